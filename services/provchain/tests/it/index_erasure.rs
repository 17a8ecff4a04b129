//! An index that entries were taken out of is the one that never had them, to the last byte of its file.

use std::collections::BTreeSet;
use std::path::Path;

use provchain::index::Index;
use provchain::machine::read::StoredEntry;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::query_fixture::INDEXED;

/// All that an index holds, with names in the place of numbers of its own.
const EVERYTHING: [&str; 6] = [
    "SELECT * FROM event",
    "SELECT key, kinds FROM item",
    "SELECT key, time, entry, role, action, class, fields FROM link JOIN item ON item.id = item",
    "SELECT one.key, other.key, entry FROM lot
     JOIN item AS one ON one.id = instance JOIN item AS other ON other.id = lot",
    "SELECT name, value FROM word",
    "SELECT name, value, entry FROM attribute JOIN word ON word.id = word",
];

#[expect(clippy::disallowed_methods, reason = "an index, to be looked into")]
fn opened(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn rows(path: &Path, sql: &str) -> BTreeSet<String> {
    let index = opened(path);
    let mut select = index.prepare(sql).unwrap();
    let columns = select.column_count();
    let rows = select.query_map([], |row| {
        let values = (0..columns).map(|column| row.get::<_, Value>(column));
        Ok(format!("{:?}", values.collect::<Result<Vec<_>, _>>()?))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn texts(path: &Path) -> BTreeSet<String> {
    let index = opened(path);
    let sql = "SELECT key FROM item UNION SELECT value FROM word UNION SELECT id FROM event
               WHERE id IS NOT NULL UNION SELECT summary FROM event";
    let mut select = index.prepare(sql).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The events of the sample; those of the other kind are erased.
fn entries(kept: impl Fn(u64) -> bool) -> Vec<StoredEntry> {
    let stored = INDEXED.events.iter().map(|known| known.stored.clone());
    stored
        .map(|entry| match kept(entry.index) {
            true => entry,
            false => StoredEntry {
                key: None,
                payload: None,
                ..entry
            },
        })
        .collect()
}

#[tokio::test]
async fn an_index_that_entries_were_taken_out_of_is_the_one_that_never_had_them() {
    let folder = tempfile::tempdir().unwrap();
    let (path, never) = (
        folder.path().join("index.db"),
        folder.path().join("never.db"),
    );
    let kept = |index: u64| !index.is_multiple_of(3) && index < 200;
    Index::open(&never)
        .unwrap()
        .take(&entries(kept), &())
        .unwrap();
    let index = Index::open(&path).unwrap();
    // Little by little: pages are split, and rows move.
    for page in entries(|_| true).chunks(7) {
        index.take(page, &()).unwrap();
    }
    let (all, left) = (texts(&path), texts(&never));
    let gone: Vec<&String> = all
        .difference(&left)
        .filter(|text| text.len() >= 16)
        .collect();
    assert!(gone.len() > 100, "{} texts show little", gone.len());

    // Somebody reads meanwhile, and what it began with stays whole.
    let (begun, waiting) = (
        std::sync::mpsc::sync_channel(1),
        std::sync::mpsc::sync_channel(1),
    );
    let reader = index.clone();
    let reading = tokio::spawn(async move {
        let read = reader.read(move |index| {
            let count = |index: &Connection| {
                index.query_row("SELECT count(*) FROM event", [], |row| row.get::<_, u64>(0))
            };
            let before = count(index)?;
            begun.0.send(()).unwrap();
            waiting.1.recv().unwrap();
            Ok((before, count(index)?))
        });
        read.await.unwrap()
    });
    tokio::task::spawn_blocking(move || begun.1.recv().unwrap())
        .await
        .unwrap();
    let erased: Vec<u64> = entries(|_| true)
        .iter()
        .map(|entry| entry.index)
        .filter(|index| !kept(*index))
        .collect();
    let (first, second) = erased.split_at(erased.len() / 2);
    index.erase(first, 1).unwrap();
    index.erase(second, 2).unwrap();
    assert_eq!((index.erased(), *index.cleaned().borrow()), (2, 0));
    index.clean().unwrap();
    assert_eq!(*index.cleaned().borrow(), 2);
    waiting.0.send(()).unwrap();
    let (before, after) = reading.await.unwrap();
    assert_eq!(before, after);

    for sql in EVERYTHING {
        assert_eq!(rows(&path, sql), rows(&never, sql), "{sql}");
    }
    for name in std::fs::read_dir(folder.path()).unwrap() {
        let name = name.unwrap().path();
        let bytes = std::fs::read(&name).unwrap();
        let found = gone.iter().find(|text| {
            let text = text.as_bytes();
            bytes.windows(text.len()).any(|window| window == text)
        });
        assert_eq!(found, None, "in {}", name.display());
    }
    // It goes on, and whoever asks from now on asks the new file.
    let more = entries(|_| true).remove(0);
    index.take(&[more], &()).unwrap();
    let count = index.read(|index| {
        index.query_row("SELECT count(*) FROM event", [], |row| {
            row.get::<_, usize>(0)
        })
    });
    assert_eq!(count.await.unwrap(), rows(&never, EVERYTHING[0]).len() + 1);
    drop(index);
    let again = Index::open(&path).unwrap();
    assert_eq!(
        (again.indexed(), again.erased(), *again.cleaned().borrow()),
        (264, 2, 2)
    );
}

#[test]
fn an_index_whose_file_a_crash_left_half_replaced_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let index = Index::open(&path).unwrap();
    index.take(&entries(|_| true), &()).unwrap();
    drop(index);
    for file in ["index.db-swap", "index.db-new"] {
        std::fs::write(folder.path().join(file), "half").unwrap();
    }
    let index = Index::open(&path).unwrap();
    assert_eq!(index.indexed(), 0);
    drop(index);
    let names: BTreeSet<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|name| name.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        !names.contains("index.db-swap") && !names.contains("index.db-new"),
        "{names:?}"
    );
}
