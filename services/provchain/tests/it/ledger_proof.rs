//! Proof files: good ones verify, and any fact that is changed in them is found and named.

use std::sync::LazyLock;

use proptest::prelude::*;
use provchain::ledger::Digest;
use provchain::ledger::checkpoint::Checkpoint;
use provchain::ledger::entry;
use provchain::ledger::merkle::{Leaves, prove_consistency, prove_inclusion, root_of};
use provchain::ledger::note::SignatureType;
use provchain::ledger::note::{SignerKey, VerifierKey};
use provchain::ledger::proof::{
    Consistency, Disclose, Disclosed, ProofFile, ProvenEntry, Report, Trust, Verdict,
};
use serde_json::Value;

use super::ledger_fixture::{ORIGIN, checkpoint, entry_key, sealed_entry, statements_of, trusted};

const SIZE: u64 = 20;
const EARLIER: u64 = 7;

fn leaf_hashes() -> Vec<Digest> {
    (0..SIZE)
        .map(|index| sealed_entry(index).leaf.hash())
        .collect()
}

fn proven(index: u64, disclose: impl Fn(&Disclose<'_>) -> Disclosed) -> ProvenEntry {
    let sealed = sealed_entry(index);
    let key = entry_key(index);
    let entry = entry::open(&sealed.leaf, &sealed.payload, &key, &statements_of).unwrap();
    ProvenEntry {
        index,
        leaf: sealed.leaf.encode().to_vec(),
        inclusion: prove_inclusion(&mut Leaves(&leaf_hashes()), index, SIZE).unwrap(),
        disclosed: disclose(&Disclose {
            key: &key,
            entry: &entry,
        }),
    }
}

fn proof() -> ProofFile {
    static PROOF: LazyLock<ProofFile> = LazyLock::new(make_proof);
    PROOF.clone()
}

/// One entry whole, one with a statement and its submitter, one that merely exists.
fn make_proof() -> ProofFile {
    let leaves = leaf_hashes();
    let entries = vec![
        proven(3, |entry| entry.whole().unwrap()),
        proven(8, |entry| {
            entry
                .parts(true, |_, statement| statement.contains("urn:epc"))
                .unwrap()
        }),
        proven(19, |_| Disclosed::Nothing {}),
    ];
    let mut proof = ProofFile::new(checkpoint(SIZE, root_of(&leaves)).to_string(), entries);
    proof.consistency = Some(Consistency {
        checkpoint: checkpoint(EARLIER, root_of(&leaves[..EARLIER as usize])).to_string(),
        path: prove_consistency(&mut Leaves(&leaves), EARLIER, SIZE).unwrap(),
    });
    proof
}

fn verify(proof: &ProofFile) -> Report {
    proof.verify(&trusted(), &statements_of)
}

fn faults(proof: &ProofFile) -> Vec<String> {
    let report = verify(proof);
    assert_eq!(report.verdict(), Verdict::Refuted);
    report.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_proof_is_authentic_under_a_trusted_key() {
    let report = verify(&ProofFile::from_json(proof().to_json().as_bytes()).unwrap());
    assert_eq!(report.faults, []);
    assert_eq!(report.good, [3, 8, 19]);
    assert_eq!(report.checkpoint.as_ref().map(|it| it.size), Some(SIZE));
    let log = vec![trusted()[0].to_string()];
    assert_eq!(
        report.trust,
        Trust::Signed {
            log,
            witnesses: Vec::new()
        }
    );
    assert_eq!(report.verdict(), Verdict::Authentic);
}

#[test]
fn without_trusted_keys_a_good_proof_is_unauthenticated_and_names_the_keys_it_claims() {
    let report = proof().verify(&[], &statements_of);
    let claimed = vec![format!("{ORIGIN}+{:08x}", trusted()[0].id())];
    assert_eq!(report.trust, Trust::Unauthenticated { claimed });
    assert_eq!(report.verdict(), Verdict::Unauthenticated);
    let statuses = [
        Verdict::Authentic,
        Verdict::Refuted,
        Verdict::Unauthenticated,
    ]
    .map(Verdict::exit_status);
    assert_eq!(statuses, [0, 1, 3]);
}

#[test]
fn a_proof_by_somebody_else_is_refuted() {
    let seed = ed25519_dalek::SigningKey::from_bytes(&[0x99; 32]);
    let other = SignerKey::new(ORIGIN, SignatureType::Ed25519, seed)
        .unwrap()
        .verifier();
    let report = proof().verify(&[other], &statements_of);
    assert_eq!(report.trust, Trust::Refused);
    assert_eq!(report.verdict(), Verdict::Refuted);
    assert_eq!(
        report.faults[0].to_string(),
        "checkpoint: no signature by a known key"
    );
}

#[test]
fn a_changed_document_is_found_and_the_changed_statement_is_named() {
    let mut proof = proof();
    change_document(&mut proof, |document| document.replace("4.2", "9.9"));
    assert_eq!(
        faults(&proof),
        [
            "entry 3: document: its bytes or its submitter are not those that were recorded",
            "entry 3: statement 3: not recorded: <urn:event> <urn:temperature> \"9.9\" .",
            "entry 3: statement 3: recorded, but not there",
        ]
    );
    assert_eq!(verify(&proof).good, [8, 19]);
}

#[test]
fn an_added_and_a_left_out_statement_are_named() {
    let mut added = proof();
    change_document(&mut added, |document| {
        document.replace("{", r#"{"extra":"1","#)
    });
    let named = "entry 3: statement 1: not recorded: <urn:event> <urn:extra> \"1\" .";
    assert_eq!(faults(&added)[1..], [named]);

    let mut left_out = proof();
    change_document(&mut left_out, |document| {
        document.replace(r#""step":"shipping","#, "")
    });
    assert_eq!(
        faults(&left_out)[1..],
        ["entry 3: statement 2: recorded, but not there"]
    );
}

#[test]
fn a_document_that_means_the_same_in_other_bytes_is_found() {
    let mut proof = proof();
    change_document(&mut proof, |document| document.replace("{", "{ "));
    let bytes = "entry 3: document: its bytes or its submitter are not those that were recorded";
    assert_eq!(faults(&proof), [bytes]);
}

#[test]
fn a_changed_submitter_is_named() {
    let mut proof = proof();
    let Disclosed::Whole { submitter, .. } = &mut proof.entries[0].disclosed else {
        panic!()
    };
    "mallory".clone_into(submitter);
    let Disclosed::Parts {
        submitter: Some(submitter),
        ..
    } = &mut proof.entries[1].disclosed
    else {
        panic!()
    };
    "mallory".clone_into(&mut submitter.name);
    let faults = faults(&proof);
    assert_eq!(
        faults[0],
        "entry 3: submitter: not the recorded one: mallory"
    );
    assert_eq!(
        faults[2],
        "entry 8: submitter: not the recorded one: mallory"
    );
}

#[test]
fn a_changed_key_is_named_and_nothing_else_is_blamed() {
    let mut proof = proof();
    let Disclosed::Whole { key, .. } = &mut proof.entries[0].disclosed else {
        panic!()
    };
    key[31] ^= 1;
    let faults = faults(&proof);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("entry 3: key: "), "{faults:?}");
}

#[test]
fn a_changed_disclosed_statement_is_named() {
    let mut proof = proof();
    let Disclosed::Parts { statements, .. } = &mut proof.entries[1].disclosed else {
        panic!()
    };
    statements[0].statement = statements[0].statement.replace("epc:8", "epc:9");
    let named = "entry 8: statement 0: not recorded: <urn:event> <urn:epc> \"urn:epc:9\" .";
    assert_eq!(faults(&proof), [named]);
}

#[test]
fn parts_disclose_neither_the_key_nor_the_other_statements() {
    let json = proof().to_json();
    let entry = &serde_json::from_str::<Value>(&json).unwrap()["entries"][1];
    let parts = entry["disclosed"]["parts"].to_string();
    assert!(parts.contains("urn:epc:8") && parts.contains("alice"));
    assert!(!parts.contains("dock") && !parts.contains("shipping") && !parts.contains("key"));
}

#[test]
fn an_entry_under_another_index_or_another_leaf_is_found() {
    let mut other = proof();
    other.entries[1].index = 9;
    assert!(faults(&other)[0].starts_with("entry 9: inclusion: "));

    let mut other = proof();
    // The last byte of the time: nothing but the tree knows it.
    other.entries[2].leaf[9] ^= 1;
    assert!(faults(&other)[0].starts_with("entry 19: inclusion: "));

    let mut other = proof();
    other.entries.swap(0, 1);
    assert_eq!(
        faults(&other),
        ["entries: not in ascending order of their index"]
    );
}

#[test]
fn an_inconsistent_earlier_checkpoint_is_found() {
    let mut other = proof();
    other.consistency.as_mut().unwrap().checkpoint =
        checkpoint(EARLIER, Digest([1; 32])).to_string();
    assert!(faults(&other)[0].starts_with("consistency: Merkle proof refused"));

    let mut other = proof();
    other.consistency.as_mut().unwrap().path.pop();
    assert!(faults(&other)[0].starts_with("consistency: Merkle proof refused"));
}

#[test]
fn an_earlier_checkpoint_of_another_ledger_or_by_somebody_else_is_found() {
    let good = proof();
    let root = root_of(&leaf_hashes()[..EARLIER as usize]);
    let seed = ed25519_dalek::SigningKey::from_bytes(&[0x99; 32]);
    let signed_by = |origin: &str| {
        let key = SignerKey::new(origin, SignatureType::Ed25519, seed.clone()).unwrap();
        let checkpoint = Checkpoint::new(origin, EARLIER, root).unwrap();
        (checkpoint.sign(&key).unwrap().to_string(), key.verifier())
    };

    let (checkpoint, other) = signed_by("ledger.example/other");
    let mut proof = good.clone();
    proof.consistency.as_mut().unwrap().checkpoint = checkpoint;
    let report = proof.verify(&[trusted().remove(0), other], &statements_of);
    let found: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
    let different = "consistency: Merkle proof refused: the checkpoints are of different ledgers";
    assert_eq!(found, [different]);

    let mut proof = good;
    proof.consistency.as_mut().unwrap().checkpoint = signed_by(ORIGIN).0;
    assert_eq!(faults(&proof), ["consistency: no signature by a known key"]);
}

#[test]
fn a_newer_version_is_named_before_its_fields_are_read() {
    let mut json: Value = serde_json::from_str(&proof().to_json()).unwrap();
    json["new field"] = Value::from(1);
    let error = ProofFile::from_json(json.to_string().as_bytes()).unwrap_err();
    assert!(
        error.to_string().contains("unknown field `new field`"),
        "{error}"
    );
    json["version"] = Value::from(2);
    let error = ProofFile::from_json(json.to_string().as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "proof file has version 2; this program reads version 1"
    );
    json["format"] = Value::from("other");
    assert!(ProofFile::from_json(json.to_string().as_bytes()).is_err());
    assert!(ProofFile::from_json(b"[]").is_err());
}

/// Every number and text in a JSON value, by its path.
fn facts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, value)| facts(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| facts(item, &format!("{at}/{i}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

fn authentic(json: &Value, trusted: &[VerifierKey]) -> bool {
    ProofFile::from_json(json.to_string().as_bytes())
        .is_ok_and(|proof| proof.verify(trusted, &statements_of).verdict() == Verdict::Authentic)
}

#[test]
fn no_list_of_a_proof_can_lose_an_item_but_that_of_entries_and_of_statements() {
    let good: Value = serde_json::from_str(&proof().to_json()).unwrap();
    for list in [
        "/consistency/path",
        "/entries/0/inclusion",
        "/entries/0/disclosed/whole/commitments",
        "/entries/1/inclusion",
        "/entries/1/disclosed/parts/statements/0/path",
    ] {
        let mut json = good.clone();
        json.pointer_mut(list)
            .unwrap()
            .as_array_mut()
            .unwrap()
            .pop();
        assert!(!authentic(&json, &trusted()), "{list}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_fact_in_a_proof_changes_unseen(
        fact: prop::sample::Index, at: prop::sample::Index, new in "[a-zA-Z0-9+/ .]", more in 1_u64..100,
    ) {
        let good: Value = serde_json::from_str(&proof().to_json()).unwrap();
        let mut paths = Vec::new();
        facts(&good, "", &mut paths);
        let path = &paths[fact.index(paths.len())];
        let mut json = good.clone();
        match json.pointer_mut(path).unwrap() {
            Value::String(text) => {
                let mut chars: Vec<char> = text.chars().collect();
                let at = at.index(chars.len());
                let new = new.chars().next().unwrap();
                prop_assume!(chars[at] != new);
                chars[at] = new;
                *text = chars.into_iter().collect();
            }
            number => *number = Value::from(number.as_u64().unwrap() + more),
        }
        prop_assert!(!authentic(&json, &trusted()), "{} {}", path, json.pointer(path).unwrap());
    }
}

fn change_document(proof: &mut ProofFile, change: impl Fn(&str) -> String) {
    let Disclosed::Whole { document, .. } = &mut proof.entries[0].disclosed else {
        panic!()
    };
    let changed = change(document);
    assert_ne!(*document, changed);
    *document = changed;
}
