//! Entries: what is committed to, what is hidden, what makes two of them the same.

use proptest::prelude::*;
use provchain::ledger::Error;
use provchain::ledger::commitment::{Commitments, STATEMENTS_MAX, commit_statement};
use provchain::ledger::entry::{self, EntryFault};
use provchain::ledger::identity::{Identifying, Identity, LedgerSecret};
use provchain::ledger::key::{Custody, EntryKey};

use super::ledger_fixture::{
    SUBJECT, entry_key, new_entry, sealed_entry, secret, statements_of, subject_key,
};

#[test]
fn a_sealed_entry_opens_to_what_was_sealed() {
    let sealed = sealed_entry(3);
    let key = sealed.key.unwrap(&[]).unwrap();
    let opened = entry::open(&sealed.leaf, &sealed.payload, &key, &statements_of).unwrap();
    assert_eq!(opened.payload, new_entry(3).payload);
    assert_eq!(opened.statements, new_entry(3).statements);
    assert_eq!(sealed.leaf.statement_count, 4);
}

#[test]
fn an_entry_under_a_subject_opens_with_the_key_of_the_subject_only() {
    let subject = subject_key();
    let custody = Custody::Subject {
        subject: SUBJECT,
        key: &subject,
        nonce: [1; 24],
    };
    let sealed = new_entry(3).seal(entry_key(3), custody).unwrap();
    assert_eq!(sealed.key.subjects(), [SUBJECT]);
    assert_eq!(sealed.key.unwrap(&[subject]).unwrap(), entry_key(3));
    assert!(sealed.key.unwrap(&[]).is_err());
    assert_eq!(
        sealed.leaf,
        sealed_entry(3).leaf,
        "the leaf does not depend on who keeps the key"
    );
}

#[test]
fn nothing_of_the_content_shows_in_what_is_stored() {
    let sealed = sealed_entry(3);
    let stored = [&sealed.leaf.encode()[..], sealed.payload.as_bytes()].concat();
    for plain in ["alice", "urn:epc:3", "dock 3", "shipping"] {
        let shows = stored
            .windows(plain.len())
            .any(|window| window == plain.as_bytes());
        assert!(!shows, "{plain}");
    }
    // The same content under another key has nothing in common with it.
    let other = new_entry(3).seal(entry_key(4), Custody::Plain).unwrap();
    assert_ne!(sealed.leaf.submitter, other.leaf.submitter);
    assert_ne!(sealed.leaf.statement_root, other.leaf.statement_root);
    assert_ne!(sealed.leaf.payload_hash, other.leaf.payload_hash);
}

#[test]
fn every_commitment_of_the_leaf_is_checked_when_an_entry_is_opened() {
    let sealed = sealed_entry(3);
    let key = entry_key(3);
    let open = |leaf| entry::open(&leaf, &sealed.payload, &key, &statements_of);

    let mut leaf = sealed.leaf;
    leaf.payload_hash.0[0] ^= 1;
    assert!(matches!(open(leaf), Err(EntryFault::PayloadHash { .. })));
    let mut leaf = sealed.leaf;
    leaf.submitter.0[0] ^= 1;
    assert_eq!(open(leaf), Err(EntryFault::Submitter("alice".to_owned())));
    let mut leaf = sealed.leaf;
    leaf.statement_root.0[0] ^= 1;
    assert_eq!(open(leaf), Err(EntryFault::StatementRoot));
    let mut leaf = sealed.leaf;
    leaf.statement_count += 1;
    assert_eq!(
        open(leaf),
        Err(EntryFault::StatementCount {
            recorded: 5,
            found: 4
        })
    );

    let refused = |_: &[u8]| Err("no meaning".to_owned());
    let opened = entry::open(&sealed.leaf, &sealed.payload, &key, &refused);
    assert_eq!(opened, Err(EntryFault::Meaning("no meaning".to_owned())));
    let opened = entry::open(&sealed.leaf, &sealed.payload, &entry_key(4), &statements_of);
    assert_eq!(
        opened,
        Err(EntryFault::Payload(Error::Sealed {
            what: "the payload"
        }))
    );
}

#[test]
fn an_entry_without_statements_with_too_many_or_with_lines_as_statements_is_refused() {
    let mut entry = new_entry(1);
    entry.statements[0].push('\n');
    assert!(entry.seal(entry_key(1), Custody::Plain).is_err());
    entry.statements.clear();
    assert!(entry.seal(entry_key(1), Custody::Plain).is_err());
    entry.statements = vec!["<a> <b> <c> .".to_owned(); STATEMENTS_MAX + 1];
    assert!(entry.seal(entry_key(1), Custody::Plain).is_err());
}

#[test]
fn derivations_from_one_key_have_nothing_in_common() {
    let derived = entry_key(1).derive();
    let salts = [
        derived.statement_salt(0),
        derived.statement_salt(1),
        derived.statement_salt(256),
        derived.submitter_salt(),
        *entry_key(1).expose(),
        entry_key(2).derive().statement_salt(0),
    ];
    for (i, salt) in salts.iter().enumerate() {
        assert!(!salts[..i].contains(salt), "{i}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_statement_is_disclosed_without_the_others(
        key: [u8; 32], statements in prop::collection::vec(".{0,40}", 1..30), at: prop::sample::Index,
    ) {
        let derived = EntryKey::from_random(key).derive();
        let commitments = Commitments::new(&derived, &statements).unwrap();
        let (root, count) = (commitments.root(), commitments.count());
        let index = at.index(statements.len());
        let disclosed = commitments.disclose(&derived, index as u32, &statements[index]).unwrap();
        disclosed.verify(&root, count).unwrap();

        let mut other = disclosed.clone();
        other.statement.push('!');
        prop_assert!(other.verify(&root, count).is_err(), "another statement");
        let mut other = disclosed.clone();
        other.salt[0] ^= 1;
        prop_assert!(other.verify(&root, count).is_err(), "another salt");
        let mut other = disclosed;
        other.index += 1;
        prop_assert!(other.verify(&root, count).is_err(), "another place");
        prop_assert!(commitments.disclose(&derived, count, "").is_err(), "outside");
    }
}

#[test]
fn a_salt_and_a_statement_cannot_be_split_in_another_way() {
    let salt = [b'a'; 32];
    let mut longer = salt;
    longer[31] = b'b';
    assert_ne!(
        commit_statement(&salt, "bc"),
        commit_statement(&longer, "c")
    );
}

fn event(id: Option<&str>, error_declaration: bool, statements: &[&str]) -> Identifying {
    let statements = statements.iter().map(ToString::to_string).collect();
    Identifying {
        owner: String::new(),
        event_id: id.map(str::to_owned),
        error_declaration,
        statements,
    }
}

fn identity(event: &Identifying) -> Identity {
    Identity::new(&secret(), event).unwrap()
}

#[test]
fn an_event_with_an_id_is_known_by_it_and_its_content_tells_repetition_from_conflict() {
    let first = identity(&event(Some("urn:uuid:1"), false, &["<a> <b> <c> ."]));
    let changed = identity(&event(Some("urn:uuid:1"), false, &["<a> <b> <d> ."]));
    assert_eq!(first.key, changed.key);
    assert_ne!(first.content, changed.content);
    let other = identity(&event(Some("urn:uuid:2"), false, &["<a> <b> <c> ."]));
    assert_ne!(first.key, other.key);
}

#[test]
fn the_same_event_of_two_owners_is_two_and_owner_and_id_do_not_run_into_each_other() {
    let of = |owner: &str, id| {
        let mut event = event(id, false, &["<a> <b> <c> ."]);
        owner.clone_into(&mut event.owner);
        identity(&event)
    };
    for id in [None, Some("urn:uuid:1")] {
        let identities = [of("", id), of("farm", id), of("shop", id)];
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            assert_ne!(identities[one].key, identities[other].key);
            assert_ne!(identities[one].content, identities[other].content);
        }
    }
    assert_ne!(of("farma", Some("b")).key, of("farm", Some("ab")).key);
}

#[test]
fn an_error_declaration_is_not_the_event_whose_id_it_carries() {
    let first = identity(&event(Some("urn:uuid:1"), false, &["<a> <b> <c> ."]));
    let declaration = identity(&event(Some("urn:uuid:1"), true, &["<a> <b> <c> ."]));
    assert_ne!(first.key, declaration.key);
}

#[test]
fn an_event_without_an_id_is_known_by_its_content() {
    let first = identity(&event(None, false, &["<a> <b> <c> .", "<a> <b> <d> ."]));
    assert_eq!(first.key, first.content);
    assert_eq!(
        first,
        identity(&event(None, false, &["<a> <b> <c> .", "<a> <b> <d> ."]))
    );
    assert_ne!(first, identity(&event(None, false, &["<a> <b> <c> ."])));
    assert_ne!(
        first,
        identity(&event(None, false, &["<a> <b> <c> .<a> <b> <d> ."]))
    );
}

#[test]
fn an_identity_tells_nothing_without_the_secret_of_the_ledger() {
    let event = event(Some("urn:uuid:1"), false, &["<a> <b> <c> ."]);
    let elsewhere = Identity::new(&LedgerSecret::from_random([1; 32]), &event).unwrap();
    let here = identity(&event);
    assert!(here.key != elsewhere.key && here.content != elsewhere.content);
}

#[test]
fn a_record_time_takes_no_part_in_an_identity() {
    let with = event(
        None,
        false,
        &[r#"<e> <https://ref.gs1.org/epcis/recordTime> "2024" ."#],
    );
    assert!(matches!(
        Identity::new(&secret(), &with),
        Err(Error::Refused(_))
    ));
    // Only as a predicate: the same words may be said of something else.
    let named = event(
        None,
        false,
        &["<e> <p> <https://ref.gs1.org/epcis/recordTime> ."],
    );
    assert!(Identity::new(&secret(), &named).is_ok());
}
