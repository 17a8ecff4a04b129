//! Whole ledgers: a good one passes, and every damage is found and put where it belongs.

use ed25519_dalek::SigningKey;
use provchain::ledger::Digest;
use provchain::ledger::checkpoint::Checkpoint;
use provchain::ledger::entry::EntryFault;
use provchain::ledger::note::{SignatureType, SignerKey, VerifierKey};
use provchain::ledger::proof::Verdict;
use provchain::verify::{Damage, Finding, Progress, Report, SubjectKeyState, Verifier};

use super::ledger_fixture::{Ledger, checkpoint, identifying_of, secret, statements_of, trusted};

/// Three tiles, the last one partial; 25 entries are behind the last block.
pub const SIZE: u64 = 625;
pub const BLOCK: u64 = 100;

pub fn ledger() -> Ledger {
    Ledger::new(SIZE, BLOCK)
}

pub fn verify_with(ledger: &Ledger, trusted: &[VerifierKey]) -> Report {
    let secret = secret();
    let identities = Some((&secret, &identifying_of as _));
    let verifier = Verifier {
        statements_of: &statements_of,
        identities,
        trusted,
    };
    verifier.verify(&mut ledger.clone(), &mut |_| {})
}

pub fn verify(ledger: &Ledger) -> Report {
    verify_with(ledger, &trusted())
}

pub fn findings(ledger: &Ledger) -> Vec<String> {
    let report = verify(ledger);
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        report.bad_entries + report.damages,
        findings.len() as u64,
        "{findings:?}"
    );
    assert!(!report.is_good(), "the damage was not found");
    findings
}

/// The only finding is one inside this entry.
fn bad_entry(ledger: &Ledger, index: u64) -> EntryFault {
    let report = verify(ledger);
    let [Finding::Entry(at, fault)] = report.findings.as_slice() else {
        panic!("{:?}", report.findings)
    };
    assert_eq!(*at, index);
    assert_eq!(report.first_bad_entry, Some((index, fault.clone())));
    assert_eq!(report.opened + report.erased, SIZE - 1);
    fault.clone()
}

#[test]
fn a_good_ledger_passes_and_is_counted() {
    let report = verify(&ledger());
    assert_eq!(report.findings, []);
    assert_eq!(
        (report.verdict(), report.authenticated),
        (Verdict::Authentic, SIZE)
    );
    assert_eq!(
        (report.size, report.opened, report.erased, report.locked),
        (SIZE, SIZE, 0, 0)
    );
    assert_eq!((report.blocks, report.unsealed), (6, 25));
    let signed = checkpoint(SIZE, report.root).to_string();
    assert_eq!(ledger().checkpoints, [signed]);
}

#[test]
fn an_empty_ledger_passes_and_so_does_one_that_fills_its_tiles_exactly() {
    for (size, block) in [(0, 1), (1, 1), (255, 5), (256, 256), (512, 100), (513, 1)] {
        let report = verify(&Ledger::new(size, block));
        assert_eq!(report.findings, [], "{size} entries");
        assert_eq!((report.size, report.authenticated), (size, size));
    }
}

#[test]
fn progress_ends_at_the_total() {
    let mut seen = Vec::new();
    let verifier = Verifier {
        statements_of: &statements_of,
        identities: None,
        trusted: &[],
    };
    let _ = verifier.verify(&mut ledger(), &mut |progress| seen.push(progress));
    let total = SIZE;
    assert_eq!(seen, [256, 512, 625].map(|done| Progress { done, total }));
}

#[test]
fn any_flipped_byte_of_an_entry_is_found_inside_that_entry() {
    // One in each tile; 609 is behind the last block, 599 is under the subject's key. The others
    // are erased, so that a verification is quick.
    let indices = [0, 300, 599, 609];
    let mut good = ledger();
    for entry in good
        .entries
        .iter_mut()
        .filter(|entry| !indices.contains(&entry.index))
    {
        (entry.payload, entry.key) = (None, None);
    }
    for index in indices {
        let record = good.entries[index as usize].clone();
        for at in 0..record.leaf.len() {
            let mut ledger = good.clone();
            ledger.entries[index as usize].leaf[at] ^= 0x40;
            bad_entry(&ledger, index);
        }
        for at in 0..record.payload.as_ref().map_or(0, Vec::len) {
            let mut ledger = good.clone();
            ledger.entries[index as usize].payload.as_mut().unwrap()[at] ^= 1;
            let fault = bad_entry(&ledger, index);
            assert!(matches!(fault, EntryFault::PayloadHash { .. }), "{fault}");
        }
        for at in 0..record.key.as_ref().map_or(0, Vec::len) {
            let mut ledger = good.clone();
            ledger.entries[index as usize].key.as_mut().unwrap()[at] ^= 1;
            bad_entry(&ledger, index);
        }
    }
}

#[test]
fn a_changed_leaf_is_named_as_such() {
    let mut ledger = ledger();
    ledger.entries[300].leaf[9] ^= 1;
    assert_eq!(bad_entry(&ledger, 300), EntryFault::LeafHash);
}

#[test]
fn the_first_of_several_bad_entries_is_named_and_the_others_are_counted() {
    let mut ledger = ledger();
    for index in [500, 20, 21] {
        ledger.entries[index].payload.as_mut().unwrap()[5] ^= 1;
    }
    let report = verify(&ledger);
    assert_eq!(report.first_bad_entry.map(|(index, _)| index), Some(20));
    assert_eq!((report.bad_entries, report.damages), (3, 0));
}

#[test]
fn a_report_keeps_a_hundred_findings_and_counts_them_all() {
    let mut ledger = ledger();
    for entry in &mut ledger.entries {
        entry.payload.as_mut().unwrap()[5] ^= 1;
    }
    let report = verify(&ledger);
    assert_eq!((report.bad_entries, report.findings.len()), (SIZE, 100));
}

#[test]
fn a_missing_entry_is_named() {
    let mut one = ledger();
    one.entries.remove(300);
    // Its identity is in the list still.
    assert_eq!(
        findings(&one),
        [
            "entry 300: the entry is missing",
            "identities: their list is not that of the entries"
        ]
    );

    let mut cut = ledger();
    cut.entries.truncate(256);
    let report = verify(&cut);
    assert_eq!(report.first_bad_entry, Some((256, EntryFault::Missing)));
    assert_eq!(report.bad_entries, SIZE - 256);
}

#[test]
fn two_entries_that_changed_places_are_both_named() {
    let mut ledger = ledger();
    ledger.entries.swap(30, 31);
    ledger.entries[30].index = 30;
    ledger.entries[31].index = 31;
    let found = findings(&ledger);
    assert_eq!(found[0], "entry 30: leaf: it is not the one in the tree");
    assert_eq!(found[1], "entry 31: leaf: it is not the one in the tree");
}

#[test]
fn an_entry_that_was_rewritten_whole_is_found_by_the_tree() {
    let mut ledger = ledger();
    let sealed = super::ledger_fixture::sealed_entry(9999);
    let record = &mut ledger.entries[300];
    record.leaf = sealed.leaf.encode().to_vec();
    record.payload = Some(sealed.payload.as_bytes().to_vec());
    record.key = Some(sealed.key.encode());
    assert_eq!(bad_entry(&ledger, 300), EntryFault::LeafHash);
}

#[test]
fn a_rewritten_tree_is_found_by_the_blocks_and_checkpoints() {
    // Entry 300 and all tiles are those of another ledger; blocks and checkpoint are not.
    let mut other = ledger();
    other.entries[300].leaf[9] ^= 1;
    let mut tree = provchain::ledger::merkle::Appender::default();
    other.tiles.0.clear();
    for entry in &other.entries {
        tree.append(provchain::ledger::merkle::leaf_hash(&entry.leaf));
    }
    other.tiles.write(&mut tree);
    let found = findings(&other);
    assert_eq!(found[0], "block 3: its root is not that of the entries");
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[3].starts_with("checkpoint: its root over 625 entries"));
}

#[test]
fn entries_beyond_the_end_are_damage_elsewhere() {
    let mut ledger = Ledger::new(200, 10);
    ledger.size = 150;
    ledger.checkpoints.clear();
    let report = verify_with(&ledger, &[]);
    assert_eq!(report.bad_entries, 0);
    assert!(
        report
            .findings
            .contains(&Finding::Elsewhere(Damage::EntriesBeyond { size: 150 }))
    );
}

#[test]
fn a_size_that_is_far_too_large_ends_the_reading() {
    let mut ledger = ledger();
    ledger.size = u64::MAX;
    let report = verify(&ledger);
    assert_eq!(report.first_bad_entry, Some((SIZE, EntryFault::Missing)));
}

#[test]
fn a_wrong_checkpoint_is_damage_elsewhere() {
    let good = ledger();
    let root = verify(&good).root;
    let key = SigningKey::from_bytes(&[0x66; 32]);
    let key = SignerKey::new("elsewhere", SignatureType::Ed25519, key).unwrap();
    let elsewhere = Checkpoint::new("elsewhere", SIZE, root)
        .unwrap()
        .sign(&key)
        .unwrap();
    let text = |size, root| checkpoint(size, root).to_string();
    for (note, reason) in [
        (
            text(SIZE, Digest([1; 32])),
            "checkpoint: its root over 625 entries is not that of the entries",
        ),
        (
            text(SIZE + 1, root),
            "checkpoint: it is over 626 entries, there are 625",
        ),
        (
            text(SIZE, root).replace("\n625\n", "\n624\n"),
            "checkpoint: the signature by",
        ),
        (
            elsewhere.to_string(),
            "checkpoint: it is one of elsewhere, not of",
        ),
        ("not a note".to_owned(), "checkpoint: malformed note"),
    ] {
        let mut ledger = good.clone();
        ledger.checkpoints.push(note);
        let found = findings(&ledger);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(reason), "{found:?}");
    }
}

#[test]
fn an_erased_entry_verifies_by_what_is_left_of_it() {
    let mut ledger = ledger();
    ledger.entries[9].key = None;
    ledger.entries[10].key = None;
    ledger.entries[10].payload = None;
    let report = verify(&ledger);
    assert_eq!(report.findings, []);
    assert_eq!((report.erased, report.opened), (2, SIZE - 2));

    ledger.entries[9].payload.as_mut().unwrap()[3] ^= 1;
    assert!(matches!(
        verify(&ledger).first_bad_entry,
        Some((9, EntryFault::PayloadHash { .. }))
    ));
}

#[test]
fn a_payload_that_is_gone_while_its_key_is_not_is_a_fault() {
    let mut ledger = ledger();
    ledger.entries[10].payload = None;
    assert_eq!(bad_entry(&ledger, 10), EntryFault::PayloadMissing);
}

#[test]
fn destroying_the_key_of_a_subject_erases_its_entries_and_a_missing_one_locks_them() {
    let mut ledger = ledger();
    ledger.subject_key = SubjectKeyState::Destroyed;
    let report = verify(&ledger);
    assert_eq!(
        (report.is_good(), report.erased, report.locked),
        (true, 62, 0)
    );
    ledger.subject_key = SubjectKeyState::Unavailable;
    let report = verify(&ledger);
    assert_eq!(
        (report.is_good(), report.erased, report.locked),
        (true, 0, 62)
    );
}

#[test]
fn identities_that_are_wrong_repeated_or_not_those_of_the_entries_are_found() {
    let good = ledger();
    let mut wrong = good.clone();
    wrong.entries[7].identity.as_mut().unwrap().content.0[0] ^= 1;
    assert_eq!(
        findings(&wrong),
        ["entry 7: identity: it is not that of the event"]
    );

    let mut none = good.clone();
    none.entries[7].identity = None;
    assert_eq!(
        findings(&none)[0],
        "entry 7: identity: it is not that of the event"
    );

    let mut taken_over = good.clone();
    taken_over.entries[7].owner = "shop".to_owned();
    assert_eq!(
        findings(&taken_over),
        ["entry 7: identity: it is not that of the event"]
    );

    let mut listed = good.clone();
    listed.identities.pop();
    assert_eq!(
        findings(&listed),
        ["identities: their list is not that of the entries"]
    );

    // The same event twice, everything else as it has to be.
    let mut repeated = good;
    let (key, first) = repeated.identities[0];
    let (_, second) = repeated.identities[1];
    repeated.identities[1] = (key, second);
    repeated.identities.sort_unstable();
    let pair = Damage::SameIdentity {
        first: first.min(second),
        second: first.max(second),
    };
    assert_eq!(findings(&repeated)[0], pair.to_string());
}

#[test]
fn an_entry_that_the_storage_cannot_read_is_named() {
    let mut ledger = ledger();
    ledger.unreadable = vec![300];
    assert_eq!(
        findings(&ledger),
        [
            "entry 300: the entry cannot be read: the disk is gone",
            "identities: their list is not that of the entries",
        ]
    );
}
