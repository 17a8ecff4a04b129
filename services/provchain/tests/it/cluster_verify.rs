//! `provchain verify` on the folders of nodes: it passes, and finds every change.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::cluster::{Ledger, PROVCHAIN, copy};

/// Runs `provchain verify --json` on a path; gives the exit status and the report.
pub fn verify(path: &Path, keys: Option<&Path>) -> (i32, Value) {
    let mut command = Command::new(PROVCHAIN);
    command.env_clear().arg("verify").arg(path).arg("--json");
    if let Some(keys) = keys {
        command.arg("--keys-file").arg(keys);
    }
    let output = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| Value::from(told));
    (output.status.code().expect("an exit status"), report)
}

/// Waits until a node's signed checkpoint covers `size` entries.
async fn checkpoint_kept(node: &devcluster::Node, size: u64) {
    let (path, size) = (node.data_dir().join("checkpoint"), size.to_string());
    super::cluster::until("the checkpoint is kept", async || {
        std::fs::read_to_string(&path).is_ok_and(|note| note.lines().nth(1) == Some(&*size))
    })
    .await;
}

/// The database in a node's folder.
fn state(folder: &Path) -> PathBuf {
    consensus::state_path(folder).expect("a ledger")
}

fn wal(folder: &Path) -> PathBuf {
    let mut name = state(folder).into_os_string();
    name.push("-wal");
    name.into()
}

#[expect(clippy::disallowed_methods, reason = "a copy, to be damaged")]
fn open(folder: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    Connection::open_with_flags(state(folder), flags).expect("a database")
}

fn payload(folder: &Path, entry: u64) -> Vec<u8> {
    open(folder)
        .query_row("SELECT payload FROM entry WHERE idx = ?1", [entry], |row| {
            row.get(0)
        })
        .expect("an entry")
}

/// Where a file holds a part of a payload.
fn places(file: &Path, part: &[u8]) -> Vec<usize> {
    let bytes = std::fs::read(file).unwrap_or_default();
    let windows = bytes.windows(part.len()).enumerate();
    windows
        .filter(|(_, window)| *window == part)
        .map(|(at, _)| at)
        .collect()
}

/// Flips bits of the payloads of random `entries` in copies of `folder`, where they lie in the file
/// `damaged_file` only, and expects the entry to be named. Gives how often there was one to flip.
fn flips_are_found(
    ledger: &Ledger,
    folder: &Path,
    entries: std::ops::Range<u64>,
    [damaged_file, other_file]: [fn(&Path) -> PathBuf; 2],
) -> usize {
    const BYTES: usize = 16;
    let (read, damaged) = (ledger.scratch("read"), ledger.scratch("damaged"));
    copy(folder, &read);
    let mut found = 0;
    for _ in 0..24 {
        let entry = rand::random_range(entries.clone());
        let payload = payload(&read, entry);
        let offset = rand::random_range(0..payload.len() - BYTES);
        let part = &payload[offset..offset + BYTES];
        let here = places(&damaged_file(folder), part);
        if here.is_empty() || !places(&other_file(folder), part).is_empty() {
            continue; // What a file holds beside the other may be no longer read.
        }
        std::fs::remove_dir_all(&damaged).expect("removed");
        copy(folder, &damaged);
        let file = damaged_file(&damaged);
        let mut bytes = std::fs::read(&file).expect("the file");
        for at in here {
            bytes[at + BYTES / 2] ^= 0x10;
        }
        std::fs::write(&file, bytes).expect("written");
        let (status, report) = verify(&damaged, None);
        let about = format!("entry {entry}, byte {}: {report}", offset + BYTES / 2);
        assert_eq!(status, 1, "{about}");
        assert_eq!(report["firstBadEntry"], entry, "{about}");
        assert_eq!(report["badEntries"], 1, "{about}");
        found += 1;
    }
    std::fs::remove_dir_all(read).expect("removed");
    found
}

#[tokio::test]
async fn every_folder_holds_and_a_flipped_bit_of_a_payload_names_its_entry() {
    let ledger = Ledger::start(3).await;
    ledger.capture_sample(300, 31).await;
    // Each node makes its key known in its own time.
    let keys = loop {
        let keys = ledger.get(ledger.first(), "/api/v1/keys").await.body;
        if keys.split(|byte| *byte == b'\n').count() > 3 {
            break keys;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let keys_file = ledger.scratch("trust").join("keys");
    std::fs::write(&keys_file, keys).expect("written");
    ledger.sealed(ledger.first()).await;
    ledger.capture_sample(100, 33).await;
    let tree = ledger.common_tree().await;
    for node in ledger.nodes.nodes() {
        checkpoint_kept(node, tree.size).await;
    }

    // Killed, a node leaves what it wrote last in the write-ahead log; stopped, it does not.
    let [killed, rest @ ..] = ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    killed.kill().await.expect("killed");
    for node in rest {
        assert!(
            node.stop().await.expect("stopped"),
            "{} had to be killed",
            node.name()
        );
    }
    for node in ledger.nodes.nodes() {
        let (status, report) = verify(&node.data_dir(), Some(&keys_file));
        assert_eq!(status, 0, "{}: {report}", node.name());
        assert_eq!(report["size"], tree.size, "{report}");
        assert_eq!(report["root"], tree.root, "{report}");
        assert_eq!(report["opened"], tree.size, "{report}");
        assert_eq!(report["authenticated"], tree.size, "{report}");

        let (status, report) = verify(&node.data_dir(), None);
        let verdict = (status, &report["verdict"], &report["authenticated"]);
        assert_eq!(
            verdict,
            (3, &Value::from("unauthenticated"), &Value::from(0)),
            "{report}"
        );
    }
    let in_log = flips_are_found(&ledger, &killed.data_dir(), 300..400, [wal, state]);
    // All of it in the database, as after a while.
    let settled = ledger.scratch("settled");
    copy(&rest[0].data_dir(), &settled);
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    open(&settled)
        .query_row(checkpoint, [], |_| Ok(()))
        .expect("checkpointed");
    let in_file = flips_are_found(&ledger, &settled, 0..400, [state, wal]);
    println!("found {in_log} flips in the write-ahead log and {in_file} in the database");
    assert!(
        in_log > 5 && in_file > 5,
        "{in_log} and {in_file} flips show little"
    );
}

#[tokio::test]
async fn damage_outside_any_entry_is_reported_as_such() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(300, 32).await;
    let node = ledger.first();
    ledger.sealed(node).await;
    checkpoint_kept(node, 300).await;
    assert!(node.stop().await.expect("stopped"));
    let damaged = ledger.scratch("damaged");
    let expect = |what: &str, part: &str| {
        let (status, report) = verify(&damaged, None);
        assert_eq!(status, 1, "{what}: {report}");
        assert_eq!(report["badEntries"], 0, "{what}: {report}");
        assert_ne!(report["damages"], 0, "{what}: {report}");
        assert!(
            report["findings"].to_string().contains(part),
            "{what}: {report}"
        );
        std::fs::remove_dir_all(&damaged).expect("removed");
    };
    for (sql, part) in [
        (
            "UPDATE tile SET hashes = zeroblob(length(hashes)) WHERE level = 0 AND idx = 0",
            "tile 0/0",
        ),
        ("DELETE FROM tile WHERE level = 1", "tile"),
        ("INSERT INTO tile VALUES (7, 7, zeroblob(32))", "tiles:"),
        (
            "UPDATE block SET block = zeroblob(length(block)) WHERE height = 0",
            "block 0",
        ),
        (
            "INSERT INTO identity VALUES (zeroblob(32), zeroblob(32), 8000)",
            "identities",
        ),
    ] {
        copy(&node.data_dir(), &damaged);
        assert_eq!(
            open(&damaged)
                .execute(sql, [])
                .map_err(|error| error.to_string()),
            Ok(1),
            "{sql}"
        );
        expect(sql, part);
    }
    // An identity belongs to an entry, which is named.
    for sql in [
        "UPDATE identity SET key = zeroblob(32) WHERE entry = 7",
        "DELETE FROM identity WHERE entry = 7",
    ] {
        copy(&node.data_dir(), &damaged);
        assert_eq!(
            open(&damaged)
                .execute(sql, [])
                .map_err(|error| error.to_string()),
            Ok(1)
        );
        let (status, report) = verify(&damaged, None);
        assert_eq!(
            (status, &report["firstBadEntry"]),
            (1, &Value::from(7)),
            "{report}"
        );
        std::fs::remove_dir_all(&damaged).expect("removed");
    }
    for change in [
        |note: String| note.replacen("\n300\n", "\n299\n", 1),
        |note: String| note.replacen("\n300\n", "\n301\n", 1),
        |note: String| note.replacen("provchain/", "provchain-", 1),
        |_: String| "no note".to_owned(),
    ] {
        copy(&node.data_dir(), &damaged);
        let path = damaged.join("checkpoint");
        let note = std::fs::read_to_string(&path).expect("a checkpoint");
        std::fs::write(&path, change(note)).expect("written");
        expect("the checkpoint", "checkpoint");
    }
}

#[tokio::test]
async fn a_folder_without_the_checkpoint_over_its_last_entries_says_which_are_not_covered() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(100, 34).await;
    let node = ledger.first();
    ledger.sealed(node).await;
    checkpoint_kept(node, 100).await;
    let keys = ledger.scratch("trust").join("keys");
    std::fs::write(&keys, ledger.get(node, "/api/v1/keys").await.body).expect("written");
    assert!(node.stop().await.expect("stopped"));
    let older = ledger.scratch("older");
    copy(&node.data_dir(), &older);
    node.start().await.expect("started");
    node.wait_ready().await.expect("ready");
    ledger.capture_sample(20, 35).await;
    ledger.sealed(node).await;
    checkpoint_kept(node, 120).await;
    assert!(node.stop().await.expect("stopped"));
    let (status, report) = verify(&node.data_dir(), Some(&keys));
    assert_eq!(
        (status, &report["authenticated"]),
        (0, &120.into()),
        "{report}"
    );

    // Entries behind the older checkpoint that no block seals: whoever has the folder can add such.
    std::fs::copy(older.join("checkpoint"), node.data_dir().join("checkpoint")).expect("copied");
    let unsealed = "DELETE FROM block WHERE height > (SELECT count(*) FROM before.block) - 1";
    let folder = open(&node.data_dir());
    folder
        .execute("ATTACH DATABASE ?1 AS before", [state(&older).to_str()])
        .expect("attached");
    assert_ne!(folder.execute(unsealed, []), Ok(0));
    drop(folder);
    let (status, report) = verify(&node.data_dir(), Some(&keys));
    assert_eq!(
        (status, &report["verdict"], &report["authenticated"]),
        (3, &"unauthenticated".into(), &100.into()),
        "{report}"
    );
    assert_eq!(report["good"], true, "{report}");
    let output = Command::new(PROVCHAIN)
        .env_clear()
        .arg("verify")
        .arg(node.data_dir())
        .arg("--keys-file")
        .arg(&keys)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("first 100 of 120"), "{told}");
    assert!(told.contains("appended 100 to 119"), "{told}");
}
