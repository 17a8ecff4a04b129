use super::*;
use crate::ledger::key::{Custody, EntryKey, Keeper};

fn subject(number: u8) -> Pseudonym {
    Digest([number; 32])
}

fn key(subject: Pseudonym, generation: u64, number: u8) -> (KeyId, SubjectKey) {
    let id = KeyId {
        subject,
        generation,
        id: [number; 16],
    };
    (id, SubjectKey::from_random([number | 0x80; 32]))
}

fn store() -> (tempfile::TempDir, SubjectStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SubjectStore::open(&dir.path().join("subjects.db")).unwrap();
    (dir, store)
}

fn has(store: &SubjectStore, id: &KeyId) -> bool {
    store.key(id).unwrap().is_some()
}

/// Whether any file in `dir` holds these bytes.
fn holds(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|file| {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn keys_stay_and_the_file_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, store) = store();
    let keys = [key(subject(1), 0, 1), key(subject(2), 3, 2)];
    let path = dir.path().join("subjects.db");
    let here = store.insert(&keys).unwrap();
    assert_eq!(here, [keys[0].0, keys[1].0]);
    // Once more is no more.
    assert_eq!(store.insert(&keys).unwrap().len(), 2);
    drop(store);
    let store = SubjectStore::open(&path).unwrap();
    for (id, key) in &keys {
        assert_eq!(store.key(id).unwrap().unwrap().expose(), key.expose());
    }
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_destroyed_is_in_no_file_and_does_not_come_back() {
    let (dir, store) = store();
    let (old, other) = (key(subject(1), 0, 1), key(subject(2), 0, 2));
    let next = key(subject(1), 1, 3);
    store
        .insert(&[old.clone(), other.clone(), next.clone()])
        .unwrap();
    assert!(holds(dir.path(), old.1.expose()));
    assert!(!store.is_destroyed(subject(1), 1));
    store.destroy(subject(1), 1).unwrap();
    assert!(store.is_destroyed(subject(1), 1));
    assert!(!holds(dir.path(), old.1.expose()));
    assert!(!has(&store, &old.0) && has(&store, &other.0) && has(&store, &next.0));
    // Brought by a member that was away, it is refused, and asked of nobody.
    assert_eq!(store.insert(std::slice::from_ref(&old)).unwrap(), []);
    assert!(!has(&store, &old.0));
    assert_eq!(store.missing([old.0]).unwrap(), []);
    // An older erasure that is heard of later takes nothing back.
    store.destroy(subject(1), 0).unwrap();
    assert!(store.is_destroyed(subject(1), 1));
    assert_eq!(store.insert(&[old]).unwrap(), []);
}

#[test]
fn a_copy_that_is_put_back_loses_what_was_erased_since() {
    let (dir, store) = store();
    let (old, other) = (key(subject(1), 0, 1), key(subject(2), 0, 2));
    store.insert(&[old.clone(), other.clone()]).unwrap();
    let copy = dir.path().join("copy");
    store.copy_to(&copy).unwrap();
    assert!(store.copy_to(&copy).is_err(), "no file is overwritten");
    store.destroy(subject(1), 1).unwrap();
    drop(store);
    let restored = SubjectStore::open(&copy).unwrap();
    assert!(has(&restored, &old.0) && has(&restored, &other.0));
    restored.destroy(subject(1), 1).unwrap();
    assert!(!has(&restored, &old.0) && has(&restored, &other.0));
    assert!(!holds(dir.path(), old.1.expose()));
}

#[test]
fn a_name_keeps_the_key_that_it_has() {
    let (_dir, store) = store();
    let (id, first) = key(subject(1), 0, 1);
    store.insert(&[(id, first.clone())]).unwrap();
    let other = SubjectKey::from_random([9; 32]);
    assert_eq!(store.insert(&[(id, other)]).unwrap(), []);
    assert_eq!(store.key(&id).unwrap().unwrap().expose(), first.expose());
}

#[test]
fn sums_tell_stores_apart_and_names_come_in_pages() {
    let ((_one, one), (_other, other)) = (store(), store());
    let keys: Vec<_> = (0..9).map(|number| key(subject(7), 0, number)).collect();
    one.insert(&keys).unwrap();
    let reversed: Vec<_> = keys.iter().rev().cloned().collect();
    other.insert(&reversed[1..]).unwrap();
    let differing = |one: &SubjectStore, other: &SubjectStore| {
        let (one, other) = (one.sums(), other.sums());
        (0..256)
            .filter(|part| one[*part] != other[*part])
            .collect::<Vec<_>>()
    };
    assert_eq!(differing(&one, &other), [7]);
    other.insert(&keys).unwrap();
    assert_eq!(differing(&one, &other), [0; 0]);
    let first = one.names(7, None, 4).unwrap();
    let second = one.names(7, first.last(), 100).unwrap();
    let all: Vec<_> = keys.iter().map(|(id, _)| *id).collect();
    assert_eq!([first, second].concat(), all);
    assert_eq!(one.names(8, None, 4).unwrap(), []);
    one.destroy(subject(7), 1).unwrap();
    assert_eq!(differing(&one, &store().1), [0; 0]);
}

#[test]
fn an_entry_key_needs_the_keys_of_all_its_subjects() {
    let (_dir, store) = store();
    let keys = [key(subject(1), 0, 1), key(subject(2), 0, 2)];
    let names: Vec<_> = keys.iter().map(|(id, _)| id.to_string()).collect();
    let keepers: Vec<_> = keys
        .iter()
        .zip(&names)
        .map(|((_, key), subject)| Keeper {
            subject,
            key,
            nonce: [4; 24],
        })
        .collect();
    let entry = EntryKey::from_random([5; 32]);
    let wrapped = WrappedKey::wrap(&entry, Custody::Subjects(&keepers)).unwrap();
    assert!(store.keys_of(&wrapped).is_none());
    store.insert(&keys[..1]).unwrap();
    assert!(store.keys_of(&wrapped).is_none());
    store.insert(&keys).unwrap();
    let found = store.keys_of(&wrapped).unwrap();
    assert_eq!(wrapped.unwrap(&found).unwrap(), entry);
}

#[test]
fn a_store_of_another_format_is_refused() {
    let (dir, store) = store();
    drop(store);
    let path = dir.path().join("subjects.db");
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection.pragma_update(None, "user_version", 9).unwrap();
    drop(connection);
    let refused = SubjectStore::open(&path).err().unwrap().to_string();
    assert!(refused.contains("format 9"), "{refused}");
}
