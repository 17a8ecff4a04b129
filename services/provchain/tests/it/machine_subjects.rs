//! What the replicated state makes of subjects and their erasure.

use provchain::ledger::Digest;
use provchain::ledger::key::{Custody, Keeper, SubjectKey};
use provchain::machine::command::subjects::change::Change;
use provchain::machine::command::subjects::{ChangeSubjects, Erase, SetPersonal, SubjectsChanged};
use provchain::machine::command::{Accepted, Capture, Entry, Refused, Reply, change, reply};
use provchain::machine::{read, subjects};
use provchain::subject::KeyId;

use super::ledger_fixture::{entry_key, new_entry};
use super::machine_versions::{State, is_refused};

/// An event about the subjects of these numbers, each in a generation.
fn entry(number: u64, about: &[(u8, u64)]) -> Entry {
    let mut names: Vec<String> = about
        .iter()
        .map(|(subject, generation)| {
            let id = KeyId {
                subject: Digest([*subject; 32]),
                generation: *generation,
                id: [1; 16],
            };
            id.to_string()
        })
        .collect();
    names.sort();
    let key = SubjectKey::from_random([1; 32]);
    let keepers: Vec<Keeper<'_>> = names
        .iter()
        .map(|subject| Keeper {
            subject,
            key: &key,
            nonce: [0; 24],
        })
        .collect();
    let custody = match &keepers[..] {
        [] => Custody::Plain,
        [one] => Custody::Subject {
            subject: one.subject,
            key: one.key,
            nonce: one.nonce,
        },
        several => Custody::Subjects(several),
    };
    let sealed = new_entry(number).seal(entry_key(number), custody).unwrap();
    Entry {
        leaf: sealed.leaf.encode().to_vec(),
        payload: sealed.payload.as_bytes().to_vec(),
        key: sealed.key.encode(),
        identity: vec![number as u8; 32],
        content: vec![number as u8; 32],
    }
}

fn capture(state: &mut State, personal: u64, entries: Vec<Entry>) -> Reply {
    state.apply(change::Change::Capture(Capture {
        entries,
        owner: "farm".into(),
        personal,
        ..Capture::default()
    }))
}

fn accepted(reply: Reply) -> Accepted {
    match reply.reply {
        Some(reply::Reply::Accepted(accepted)) => accepted,
        other => panic!("{other:?}"),
    }
}

fn is_outdated(reply: &Reply) -> bool {
    matches!(
        &reply.reply,
        Some(reply::Reply::Refused(Refused { outdated: true, .. }))
    )
}

fn change(state: &mut State, change: Change) -> Reply {
    state.apply(change::Change::Subjects(ChangeSubjects {
        time_ms: 5,
        actor: "ann".into(),
        change: Some(change),
    }))
}

fn changed(reply: Reply) -> SubjectsChanged {
    match reply.reply {
        Some(reply::Reply::Subjects(changed)) => changed,
        other => panic!("{other:?}"),
    }
}

fn erase(state: &mut State, subject: u8) -> SubjectsChanged {
    let subject = vec![subject; 32];
    changed(change(state, Change::Erase(Erase { subject })))
}

fn set_fields(state: &mut State, fields: &[&str]) -> SubjectsChanged {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    let parties = vec![vec![7; 32]];
    let personal = SetPersonal { fields, parties };
    changed(change(state, Change::SetPersonal(personal)))
}

fn count(state: &State, sql: &str) -> u64 {
    state
        .connection
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn before_all_nodes_know_of_subjects_nothing_is_captured_under_their_keys_and_none_is_erased() {
    let mut state = State::of(2);
    assert!(is_refused(&capture(
        &mut state,
        0,
        vec![entry(1, &[(1, 0)])]
    )));
    let subject = vec![1; 32];
    assert!(is_refused(&change(
        &mut state,
        Change::Erase(Erase { subject })
    )));
    let personal = SetPersonal::default();
    assert!(is_refused(&change(
        &mut state,
        Change::SetPersonal(personal)
    )));
    assert_eq!(
        accepted(capture(&mut state, 0, vec![entry(1, &[])])).size,
        1
    );
    state.upgrade(3);
    assert_eq!(subjects::personal(&state.connection).unwrap().version, 0);
    assert_eq!(
        accepted(capture(&mut state, 0, vec![entry(2, &[(1, 0)])])).size,
        2
    );
}

#[test]
fn what_is_captured_under_an_older_generation_or_an_older_rule_is_to_be_sealed_again() {
    let mut state = State::of(3);
    accepted(capture(&mut state, 0, vec![entry(1, &[(1, 0)])]));
    assert_eq!(set_fields(&mut state, &["bizStep"]).refused, "");
    let personal = subjects::personal(&state.connection).unwrap();
    assert_eq!(
        (
            personal.version,
            personal.fields.len(),
            personal.parties.len()
        ),
        (1, 1, 1)
    );
    assert!(is_outdated(&capture(&mut state, 0, vec![entry(2, &[])])));
    accepted(capture(&mut state, 1, vec![entry(2, &[])]));
    assert_eq!(erase(&mut state, 1).generation, 1);
    for generation in [0, 2] {
        // All of its events or none.
        let entries = vec![entry(3, &[]), entry(4, &[(2, 0), (1, generation)])];
        assert!(
            is_outdated(&capture(&mut state, 1, entries)),
            "{generation}"
        );
    }
    assert_eq!(count(&state, "SELECT size FROM ledger"), 2);
    let entries = vec![entry(3, &[]), entry(4, &[(2, 0), (1, 1)])];
    assert_eq!(accepted(capture(&mut state, 1, entries)).entries, [2, 3]);
}

#[test]
fn erasing_a_subject_leaves_the_leaves_of_its_entries_and_nothing_else() {
    let mut state = State::of(3);
    let entries = vec![
        entry(1, &[(1, 0)]),
        entry(2, &[(1, 0), (2, 0)]),
        entry(3, &[(2, 0)]),
    ];
    let before = accepted(capture(&mut state, 0, entries));
    let root = read::root(&state.connection, 3).unwrap();
    let leaves = read::leaves(&state.connection, 0, 9).unwrap();

    let unknown = erase(&mut state, 9);
    assert!(!unknown.known && unknown.refused.is_empty());
    assert_eq!(count(&state, "SELECT count(*) FROM audit"), 0);

    let erased = erase(&mut state, 1);
    assert_eq!(
        (erased.known, erased.generation, erased.entries),
        (true, 1, 2)
    );
    let readable = "SELECT count(*) FROM entry WHERE key IS NOT NULL AND payload IS NOT NULL";
    let kept = "SELECT count(*) FROM entry WHERE key IS NOT NULL OR payload IS NOT NULL";
    assert_eq!((count(&state, readable), count(&state, kept)), (1, 1));
    assert_eq!(count(&state, "SELECT count(*) FROM identity"), 1);
    assert_eq!(read::leaves(&state.connection, 0, 9).unwrap(), leaves);
    assert_eq!(read::root(&state.connection, 3).unwrap(), root);
    assert_eq!(before.root, root.0);

    // The other's erasure takes what is left, and says how much that was.
    assert_eq!(erase(&mut state, 2).entries, 1);
    let erasures = subjects::erasures(&state.connection, 0, 9).unwrap();
    let told: Vec<_> = erasures
        .iter()
        .map(|erasure| {
            (
                erasure.number,
                erasure.generation,
                erasure.entries(&state.connection).unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(1, 0, vec![0, 1]), (2, 0, vec![1, 2])]);
    assert_eq!(
        subjects::erasures(&state.connection, 1, 9).unwrap().len(),
        1
    );
    assert_eq!(subjects::erasures_done(&state.connection).unwrap(), 2);
    // Erased once more there is nothing, and the event that was erased can come again.
    assert_eq!(erase(&mut state, 1).entries, 0);
    let again = accepted(capture(&mut state, 0, vec![entry(1, &[(1, 2)])]));
    assert_eq!((again.entries, again.repeated), (vec![3], 0));
    let subject = subjects::subject(&state.connection, Digest([1; 32]))
        .unwrap()
        .unwrap();
    assert_eq!(
        (subject.generation, subject.entries, subject.erasures.len()),
        (2, 1, 2)
    );
}

#[test]
fn what_no_proposer_sends_is_refused_and_changes_nothing() {
    let mut state = State::of(3);
    accepted(capture(&mut state, 0, vec![entry(1, &[(1, 0)])]));
    let mut foreign = entry(2, &[(1, 0)]);
    let key = SubjectKey::from_random([1; 32]);
    let custody = Custody::Subject {
        subject: "a subject by name",
        key: &key,
        nonce: [0; 24],
    };
    foreign.key = new_entry(2)
        .seal(entry_key(2), custody)
        .unwrap()
        .key
        .encode();
    assert!(is_refused(&capture(&mut state, 0, vec![foreign])));
    for field in ["", "two words", "cbvmda:lotNumber", "@id"] {
        assert_ne!(set_fields(&mut state, &[field]).refused, "", "{field:?}");
    }
    let many: Vec<String> = (0..300).map(|number| format!("field{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_ne!(set_fields(&mut state, &many).refused, "");
    for length in [0, 31, 33] {
        let subject = vec![1; length];
        let erased = changed(change(&mut state, Change::Erase(Erase { subject })));
        assert_ne!(erased.refused, "");
        let parties = vec![vec![1; length]];
        let personal = SetPersonal {
            fields: Vec::new(),
            parties,
        };
        assert_ne!(
            changed(change(&mut state, Change::SetPersonal(personal))).refused,
            ""
        );
    }
    assert_eq!(subjects::personal(&state.connection).unwrap().version, 0);
    assert_eq!(count(&state, "SELECT count(*) FROM audit"), 0);
    assert_eq!(count(&state, "SELECT size FROM ledger"), 1);
}
