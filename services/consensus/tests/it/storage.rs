//! What is on disk and cannot be used is refused, by file and place.

use std::path::{Path, PathBuf};

use consensus::ProposeError;
use consensus::testing::wire;
use prost::Message as _;

use crate::harness::{Field, Node, database, eventually, quick};
use crate::register::{Foreigner, add, heavy, set};

/// A node that has written a little and is down.
fn written() -> (Field, PathBuf) {
    let mut field = Field::formed(1);
    for n in 0..5 {
        field.nodes[0].propose(&set("a", n)).unwrap();
    }
    field.nodes[0].crash();
    let dir = field.nodes[0].config.data_dir.clone();
    (field, dir)
}

/// A copy of `dir` beside it.
fn copy(dir: &Path) -> PathBuf {
    let aside = dir.with_extension("aside");
    for folder in ["", "state"] {
        std::fs::create_dir(aside.join(folder)).unwrap();
        for entry in std::fs::read_dir(dir.join(folder))
            .unwrap()
            .map(Result::unwrap)
        {
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), aside.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    aside
}

fn execute(path: &Path, sql: &str) {
    database(path).execute_batch(sql).unwrap();
}

#[test]
fn files_of_a_newer_format_of_another_node_or_of_no_kind_are_refused_by_name() {
    let cases: [(&str, &str, &[&str]); 7] = [
        ("log.db", "PRAGMA user_version = 2", &["log.db", "format 2"]),
        ("log.db", "PRAGMA application_id = 7", &["log.db", "no log"]),
        (
            "log.db",
            "UPDATE meta SET value = CAST('register 0000000000000001' AS BLOB) WHERE key = 'owner'",
            &["log.db", "0000000000000001"],
        ),
        (
            "state/state-000001.db",
            "PRAGMA user_version = 2",
            &["state-000001.db", "format 2"],
        ),
        (
            "state/state-000001.db",
            "PRAGMA application_id = 7",
            &["state-000001.db", "no state"],
        ),
        (
            "state/state-000001.db",
            "UPDATE consensus_meta SET value = CAST('foreign' AS BLOB) WHERE key = 'system'",
            &["state-000001.db", "foreign"],
        ),
        (
            "state/state-000001.db",
            "UPDATE consensus_meta SET value = x'09000000' WHERE key = 'version'",
            &["state-000001.db", "version 9", "newer build"],
        ),
    ];
    let (mut field, dir) = written();
    for (file, sql, words) in cases {
        let aside = copy(&dir);
        execute(&dir.join(file), sql);
        let refusal = field.nodes[0].refusal();
        for word in words {
            assert!(refusal.contains(word), "{sql}: {refusal}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
        std::fs::rename(aside, &dir).unwrap();
    }
    let identity = dir.join("identity.json");
    let good = std::fs::read_to_string(&identity).unwrap();
    for (from, to) in [
        ("\"format\": 1", "\"format\": 2"),
        ("\"register\"", "\"foreign\""),
        ("{", ""),
    ] {
        assert!(good.contains(from), "{good}");
        std::fs::write(&identity, good.replacen(from, to, 1)).unwrap();
        let refusal = field.nodes[0].refusal();
        assert!(refusal.contains("identity.json"), "{refusal}");
    }
    std::fs::write(&identity, good).unwrap();
    std::fs::write(dir.join("state/current"), "../log.db").unwrap();
    let refusal = field.nodes[0].refusal();
    assert!(
        refusal.contains("current") && refusal.contains("no state file"),
        "{refusal}"
    );
    std::fs::write(dir.join("state/current"), "state-000001.db").unwrap();

    // Another system's build on the same folder.
    let mut foreigner: Node<Foreigner> = Node::new(field.nodes[0].config.clone());
    let refusal = foreigner.refusal();
    assert!(
        refusal.contains("identity.json") && refusal.contains("register"),
        "{refusal}"
    );

    // With everything back in place it starts.
    field.start_all();
    assert_eq!(field.nodes[0].read("a"), Some(4));
}

#[test]
fn a_data_directory_from_which_a_part_is_missing_is_refused() {
    let (mut field, dir) = written();
    let aside = |name: &str| std::fs::rename(dir.join(name), dir.with_extension("aside")).unwrap();
    let back = |name: &str| std::fs::rename(dir.with_extension("aside"), dir.join(name)).unwrap();
    aside("identity.json");
    let refusal = field.nodes[0].refusal();
    assert!(
        refusal.contains("identity.json is missing beside a log"),
        "{refusal}"
    );
    back("identity.json");
    aside("log.db");
    let refusal = field.nodes[0].refusal();
    assert!(refusal.contains("log.db is missing"), "{refusal}");
    back("log.db");
    // A log whose content was all in a file beside it, which a copy left behind.
    let kept = dir.with_extension("kept");
    std::fs::create_dir(&kept).unwrap();
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        drop(std::fs::rename(dir.join(name), kept.join(name)));
    }
    std::fs::write(dir.join("log.db"), "").unwrap();
    let refusal = field.nodes[0].refusal();
    assert!(refusal.contains("lost its write-ahead log"), "{refusal}");
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        drop(std::fs::remove_file(dir.join(name)));
        drop(std::fs::rename(kept.join(name), dir.join(name)));
    }
    // What is left of a state is not thrown away for want of the rest.
    let state = dir.join("state/state-000001.db");
    aside("state/current");
    let refusal = field.nodes[0].refusal();
    assert!(refusal.contains("current is missing beside"), "{refusal}");
    back("state/current");
    let another = state.with_file_name("state-000099.db");
    std::fs::rename(&state, &another).unwrap();
    let refusal = field.nodes[0].refusal();
    assert!(refusal.contains("put back what was here"), "{refusal}");
    std::fs::rename(&another, &state).unwrap();
    field.start_all();

    // A state may be computed again from a whole log, but not from a shortened one.
    field.nodes[0].config.settings.log_keep_entries = 1;
    field.nodes[0].crash();
    std::fs::remove_dir_all(dir.join("state")).unwrap();
    field.start_all();
    assert_eq!(field.nodes[0].read("a"), Some(4));
    let node = &field.nodes[0];
    let snapshot = consensus::ClusterCommand::Snapshot;
    node.block_on(consensus::run_command(
        &node.config,
        "register",
        &node.config.address,
        snapshot,
    ))
    .unwrap();
    node.wait_for("the log is short", |cluster| {
        cluster.status().first_index > 3
    });
    field.nodes[0].crash();
    std::fs::remove_dir_all(dir.join("state")).unwrap();
    let refusal = field.nodes[0].refusal();
    assert!(refusal.contains("the log begins at"), "{refusal}");
}

#[test]
fn a_log_that_has_gone_back_to_before_its_vote_is_refused() {
    let (mut field, dir) = written();
    let log = dir.join("log.db");
    let kept: Vec<u8> = database(&log)
        .query_row("SELECT value FROM meta WHERE key = 'vote'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let earlier = wire::Vote::default().encode_to_vec();
    for lost in [None, Some(earlier)] {
        database(&log)
            .execute("DELETE FROM meta WHERE key = 'vote'", [])
            .unwrap();
        if let Some(vote) = lost {
            put_vote(&log, &vote);
        }
        let refusal = field.nodes[0].refusal();
        assert!(
            refusal.contains("log.db has gone back to before its vote"),
            "{refusal}"
        );
    }
    put_vote(&log, &kept);
    field.start_all();
    assert_eq!(field.nodes[0].read("a"), Some(4));
}

fn put_vote(log: &Path, vote: &[u8]) {
    let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('vote', ?1)";
    database(log).execute(sql, [vote]).unwrap();
}

/// Flips a bit in the middle of an entry.
fn corrupt(path: &Path, place: &str) -> u64 {
    let log = database(path);
    let (index, mut entry): (u64, Vec<u8>) = log
        .query_row(
            &format!("SELECT idx, entry FROM log ORDER BY {place} LIMIT 1"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let middle = entry.len() / 2;
    entry[middle] ^= 0x10;
    log.execute(
        "UPDATE log SET entry = ?1 WHERE idx = ?2",
        rusqlite::params![entry, index],
    )
    .unwrap();
    index
}

#[test]
fn a_corrupt_entry_is_found_before_it_is_used_and_named() {
    // The last one, at the start.
    let (mut field, dir) = written();
    let index = corrupt(&dir.join("log.db"), "idx DESC");
    let refusal = field.nodes[0].refusal();
    assert!(
        refusal.contains("log.db") && refusal.contains(&format!("entry {index}:")),
        "{refusal}"
    );

    // One in between, at the latest when it is to be sent to a follower that has lost everything.
    let mut field = Field::formed(3);
    for n in 0..20 {
        field.nodes[0].propose(&add("sum", n)).unwrap();
    }
    field.assert_equal();
    field.crash_all();
    let mut places = Vec::new();
    for node in &field.nodes[..2] {
        let log = node.config.data_dir.join("log.db");
        let index = corrupt(&log, "abs(idx - 9)");
        places.push(format!("{} is corrupt at entry {index}:", log.display()));
    }
    field.nodes[2].wipe();
    let mut met: Vec<String> = Vec::new();
    for node in &mut field.nodes {
        met.extend(node.try_start().err().map(|error| error.to_string()));
    }
    eventually("whoever reads the entry refuses it", || {
        let running = field.nodes.iter().filter(|node| node.is_running());
        met.extend(running.filter_map(|node| node.cluster().status().halted));
        !met.is_empty()
    });
    assert!(
        met.iter()
            .all(|reason| places.iter().any(|place| reason.contains(place))),
        "{met:?}"
    );
}

#[test]
fn a_command_that_is_too_large_is_refused_with_the_limit() {
    let field = Field::formed(1);
    let bytes_max = field.nodes[0].config.settings.command_bytes_max;
    let refused = field.nodes[0]
        .propose(&heavy("a", 1, bytes_max))
        .unwrap_err();
    assert!(
        matches!(refused, ProposeError::TooLarge { bytes, bytes_max: max } if max == bytes_max && bytes > max),
        "{refused:?}"
    );
    assert_eq!(field.nodes[0].read("a"), None);
    assert_eq!(
        field.nodes[0]
            .propose(&heavy("a", 1, bytes_max - 100))
            .unwrap(),
        1
    );
}

#[test]
fn a_machine_that_fails_stops_its_node_and_no_other() {
    let mut field = Field::new();
    for _ in 0..3 {
        field.add_node(quick());
    }
    field.nodes[2].fails_on = Some("poison".into());
    field.start_all();
    field.nodes[0].propose(&set("a", 1)).unwrap();
    field.assert_equal();
    // On the two that can, it is applied.
    assert_eq!(field.nodes[0].propose(&set("poison", 1)).unwrap(), 1);
    let reason = field.nodes[2].halted();
    assert!(
        reason.contains("told to fail") && reason.contains("entry"),
        "{reason}"
    );
    assert!(field.nodes[2].propose(&set("a", 2)).is_err());
    assert_eq!(field.nodes[1].propose(&add("a", 1)).unwrap(), 2);
    field.assert_equal();

    // Nothing of the entry is in its state, and a build that can goes on from there.
    field.nodes[2].crash();
    let state = field.nodes[2].config.data_dir.join("state/state-000001.db");
    let rows: u32 = database(&state)
        .query_row(
            "SELECT count(*) FROM register WHERE name = 'poison'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rows, 0);
    field.nodes[2].fails_on = None;
    field.start_all();
    assert_eq!(field.nodes[2].read("poison"), Some(1));
    field.assert_equal();
}
