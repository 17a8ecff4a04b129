//! What a ledger is worth depends on whose signatures it carries, and how far they reach.

use ed25519_dalek::SigningKey;
use provchain::ledger::Digest;
use provchain::ledger::merkle::leaf_hash;
use provchain::ledger::note::{SignatureType, SignerKey};
use provchain::ledger::proof::Verdict;

use super::ledger_fixture::{Ledger, ORIGIN, checkpoint, node_key};
use super::verify::{BLOCK, SIZE, findings, ledger, verify, verify_with};

#[test]
fn a_ledger_rewritten_with_another_key_is_found_by_who_knows_the_right_one() {
    let seed = SigningKey::from_bytes(&[0x66; 32]);
    let other = SignerKey::new(ORIGIN, SignatureType::Ed25519, seed)
        .unwrap()
        .verifier();
    let report = verify_with(&ledger(), &[other]);
    assert_eq!(
        (report.verdict(), report.authenticated),
        (Verdict::Refuted, 0)
    );
    let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found[..2],
        [
            "checkpoint: no trusted key vouches for it: no signature by a known key",
            "block 0: its signer is no trusted key"
        ]
    );
    assert_eq!(found.len(), 7, "the checkpoint and each block: {found:?}");

    let report = verify_with(&ledger(), &[]);
    assert!(report.is_good(), "{:?}", report.findings);
    assert_eq!(
        (report.verdict(), report.authenticated),
        (Verdict::Unauthenticated, 0),
        "without a key it says what it is worth"
    );
}

/// The root over the first entries of a ledger.
fn root_of_first(ledger: &Ledger, size: usize) -> Digest {
    let leaves = ledger.entries[..size].iter();
    let hashes: Vec<Digest> = leaves.map(|entry| leaf_hash(&entry.leaf)).collect();
    provchain::ledger::merkle::root_of(&hashes)
}

/// A ledger whose entries from 400 on were replaced and sealed again with a key of the forger's,
/// which is in the list of nodes; 400 of them are under an older checkpoint by a trusted key.
fn rewritten_behind_400(rewritten: u64) -> Ledger {
    let forger = SigningKey::from_bytes(&[0x66; 32]);
    let good = ledger();
    let mut forged = Ledger::resealed(SIZE, BLOCK, |index| match index < 400 {
        true => (index, node_key()),
        false => (index + rewritten, forger.clone()),
    });
    forged.node_keys.push(forger.verifying_key());
    forged.checkpoints = vec![checkpoint(400, root_of_first(&good, 400)).to_string()];
    assert_eq!(
        root_of_first(&forged, 400),
        root_of_first(&good, 400),
        "the beginning is the old one"
    );
    forged
}

#[test]
fn entries_rewritten_behind_an_older_checkpoint_and_sealed_by_a_foreign_key_are_found() {
    let forged = rewritten_behind_400(10_000);
    let untrusting = verify_with(&forged, &[]);
    assert_eq!(untrusting.findings, [], "the forgery is whole in itself");
    assert_eq!(untrusting.verdict(), Verdict::Unauthenticated);

    let report = verify(&forged);
    assert_eq!(report.verdict(), Verdict::Refuted);
    assert_eq!(report.authenticated, 400);
    assert_eq!(
        findings(&forged),
        [
            "block 4: its signer is no trusted key",
            "block 5: its signer is no trusted key"
        ]
    );
}

#[test]
fn entries_that_were_appended_behind_what_trusted_keys_signed_are_not_authentic() {
    // The forger leaves his entries unsealed, so that no signature is his.
    let mut appended = rewritten_behind_400(10_000);
    appended.blocks.truncate(4);
    for (checkpoints, covered) in [
        (appended.checkpoints.clone(), 400),
        (Vec::new(), 400),
        (
            vec![checkpoint(0, provchain::ledger::merkle::empty_root()).to_string()],
            400,
        ),
    ] {
        appended.checkpoints = checkpoints;
        let report = verify(&appended);
        assert_eq!(report.findings, []);
        assert_eq!(
            (report.verdict(), report.authenticated),
            (Verdict::Unauthenticated, covered)
        );
    }
    let mut unsealed = appended.clone();
    unsealed.blocks.clear();
    let report = verify(&unsealed);
    assert_eq!(
        (report.verdict(), report.authenticated),
        (Verdict::Unauthenticated, 0),
        "a checkpoint of nothing covers nothing"
    );
    let middle = checkpoint(300, root_of_first(&unsealed, 300)).to_string();
    unsealed.checkpoints = vec![middle];
    assert_eq!(verify(&unsealed).authenticated, 300);
}

#[test]
fn a_trusted_key_of_another_ledger_or_of_a_witness_vouches_for_nothing() {
    let named = |name, kind| SignerKey::new(name, kind, node_key()).unwrap().verifier();
    for key in [
        named("elsewhere", SignatureType::Ed25519),
        named(ORIGIN, SignatureType::Cosignature),
    ] {
        let report = verify_with(&ledger(), &[key]);
        assert_eq!(
            (report.verdict(), report.authenticated),
            (Verdict::Refuted, 0)
        );
    }
}

#[test]
fn of_an_empty_ledger_nothing_is_authentic() {
    let report = verify(&Ledger::new(0, 1));
    assert_eq!(report.verdict(), Verdict::Unauthenticated);
}
