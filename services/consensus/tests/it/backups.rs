//! Backups of nodes under load, and clusters that begin anew from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consensus::testing::pretend_free;
use consensus::{DatabaseBackup, Machine, NodeConfig, StateBackup};
use kit::backup::{BackupError, Manifest, Source, Target, create, restore, verify};

use crate::harness::{Field, Node, database, quick};
use crate::register::{Foreigner, Historian, Register, add, set};

type Fields = serde_json::Map<String, serde_json::Value>;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn target(field: &Field) -> Target {
    let folder = field.path().join("backups");
    Target::open(folder.to_str().unwrap(), []).unwrap()
}

fn source<M: Machine>(config: &NodeConfig) -> Arc<dyn Source> {
    Arc::new(StateBackup::of::<M>(config).unwrap())
}

/// Backs a node up, whether it runs or not.
fn back_up(field: &Field, config: &NodeConfig) -> Manifest {
    try_back_up::<Register>(field, config).unwrap()
}

fn try_back_up<M: Machine>(field: &Field, config: &NodeConfig) -> Result<Manifest, BackupError> {
    let (target, scratch) = (target(field), field.path().join("scratch"));
    let source = source::<M>(config);
    run(create(&target, source, "register", &config.name, &scratch))
}

/// A node of its own, on what was restored for it.
fn restored(field: &Field, backup: &Manifest, config: NodeConfig) -> Node {
    let (into, source) = (config.data_dir.clone(), source::<Register>(&config));
    run(restore(&target(field), source, &backup.name, &into)).unwrap();
    Node::new(config)
}

/// The configuration of a node's next life, in another folder.
fn next_life(field: &Field, place: usize) -> NodeConfig {
    let config = &field.nodes[place].config;
    NodeConfig {
        data_dir: field.path().join(format!("{}-restored", config.name)),
        ..config.clone()
    }
}

/// The content of all files of a folder.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn what_was_backed_up_under_load_begins_another_cluster_that_empty_nodes_join() {
    let mut field = Field::formed(3);
    field.nodes[0].propose(&set("before", 7)).unwrap();
    let follower = field.follower();
    let writing = AtomicBool::new(true);
    let (backup, written) = std::thread::scope(|scope| {
        let node = &field.nodes[0];
        let writer = scope.spawn(|| {
            let mut written = 0;
            while writing.load(Ordering::Relaxed) {
                written = node.propose(&add("a", 1)).unwrap();
            }
            written
        });
        let before = field.nodes[follower].config.clone();
        while field.nodes[follower].read("a").is_none() {}
        let backup = back_up(&field, &before);
        writing.store(false, Ordering::Relaxed);
        (backup, writer.join().unwrap())
    });
    let old = field.nodes[0].cluster().id();
    assert_eq!(backup.fields["cluster"], old.as_str());
    assert_eq!(backup.fields["system"], "register");
    assert_eq!(backup.fields["machine_version"], 1);
    field.crash_all();

    let config = field.config("r1", None, quick());
    let mut first = restored(&field, &backup, config);
    first.start();
    first.wait_ready();
    assert_ne!(first.cluster().id(), old);
    assert_eq!(first.read("before"), Some(7));
    let kept = first.read("a").unwrap();
    assert!((1..=written).contains(&kept), "{kept} of {written}");
    let status = first.cluster().status();
    let at = backup.fields["applied_index"].as_u64().unwrap();
    assert!(status.applied_index > at, "{status:?}");
    assert!(status.term > backup.fields["applied_term"].as_u64().unwrap());
    assert_eq!(first.voters(), ["r1"]);

    let address = first.config.address.clone();
    field.nodes = vec![first];
    for name in ["r2", "r3"] {
        let config = field.config(name, Some(vec![address.clone()]), quick());
        field.nodes.push(Node::new(config));
    }
    field.start_all();
    for node in &field.nodes {
        node.wait_voters(&["r1", "r2", "r3"]);
        assert_eq!(node.read("a"), Some(kept));
    }
    assert_eq!(field.nodes[2].propose(&add("a", 1)).unwrap(), kept + 1);
    field.assert_equal();

    // It is a cluster like any other: the first one may go, and come back.
    field.nodes[0].crash();
    let next = field.leader_among(|place| place > 0);
    assert_eq!(field.nodes[next].propose(&add("a", 1)).unwrap(), kept + 2);
    field.start_all();
    field.assert_equal();
}

#[test]
fn what_is_left_of_the_lost_cluster_stops_and_the_restored_one_goes_on() {
    let mut field = Field::formed(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    let backup = back_up(&field, &field.nodes[0].config);
    field.nodes[0].propose(&set("a", 2)).unwrap();
    field.crash_all();

    // The same name at the same address: the old members know no better than to greet it.
    let mut first = restored(&field, &backup, next_life(&field, 0));
    first.start();
    first.wait_ready();
    assert_eq!(first.propose(&add("a", 1)).unwrap(), 2);
    let peers = Some(vec![first.config.address.clone()]);
    let mut second: Node = Node::new(NodeConfig {
        peers,
        ..next_life(&field, 1)
    });
    second.start();
    second.wait_ready();

    let old = &mut field.nodes[2];
    old.start();
    let reason = old.halted();
    assert!(
        reason.contains("was restored from a backup") && reason.contains("let it join"),
        "{reason}"
    );
    assert!(old.propose(&set("a", 9)).is_err());
    for node in [&first, &second] {
        node.propose(&add("a", 1)).unwrap();
        assert_eq!(node.cluster().status().halted, None);
        assert_eq!(node.voters(), ["n1", "n2"]);
    }
    assert_eq!(first.read("a"), Some(4));

    // Wiped, it joins like any other.
    let old = &mut field.nodes[2];
    old.crash();
    old.wipe();
    old.start();
    old.wait_ready();
    old.wait_voters(&["n1", "n2", "n3"]);
    assert_eq!(old.read("a"), Some(4));
}

#[test]
fn a_cluster_that_lives_stops_what_is_restored_in_the_place_of_a_member() {
    let mut field = Field::formed(3);
    field.nodes[1].propose(&set("a", 1)).unwrap();
    let backup = back_up(&field, &field.nodes[0].config);
    field.nodes[1].propose(&set("a", 2)).unwrap();
    field.nodes[0].crash();
    let mut mistaken = restored(&field, &backup, next_life(&field, 0));
    mistaken.start();
    let reason = mistaken.halted();
    assert!(reason.contains(&field.nodes[1].cluster().id()), "{reason}");
    assert_eq!(field.nodes[1].propose(&add("a", 1)).unwrap(), 3);
}

#[test]
fn reading_a_backup_where_it_lies_changes_no_byte_of_it() {
    let field = Field::formed(1);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    let folder = field.path().join("copy");
    std::fs::create_dir(&folder).unwrap();
    let source = source::<Register>(&field.nodes[0].config);
    let fields = source.snapshot(&folder).unwrap();
    let before = content(&folder);
    assert_eq!(before.len(), 2, "one database, and its name");
    source.verify(&folder, &fields).unwrap();
    let state = StateBackup::database(&folder).unwrap();
    assert_eq!(crate::register::value(&state, "a").unwrap(), Some(1));
    drop(state);
    assert_eq!(content(&folder), before);
}

#[test]
fn a_backup_that_is_not_what_it_says_is_refused() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    node.propose(&set("a", 1)).unwrap();
    node.block_on(node.cluster().open_session()).unwrap();
    let folder = field.path().join("copy");
    std::fs::create_dir(&folder).unwrap();
    let source = source::<Register>(&field.nodes[0].config);
    let fields = source.snapshot(&folder).unwrap();
    let refused = |fields: &Fields| source.verify(&folder, fields).unwrap_err().to_string();
    for name in [
        "system",
        "machine_version",
        "applied_index",
        "applied_term",
        "digest",
    ] {
        let mut changed = fields.clone();
        changed.insert(name.into(), "another".into());
        let refused = refused(&changed);
        assert!(refused.contains(name), "{refused}");
    }
    let path = folder.join("state/state-000001.db");
    // The same rows, and an index that does not fit them.
    for (from, to) in [("used", "settled"), ("settled", "used")] {
        let index = format!(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, '({from})', '({to})')
             WHERE name = 'consensus_session_used';"
        );
        database(&path).execute_batch(&index).unwrap();
        if to == "settled" {
            let refused = refused(&fields);
            assert!(refused.contains("consensus_session_used"), "{refused}");
        }
    }
    source.verify(&folder, &fields).unwrap();
    database(&path)
        .execute("UPDATE register SET value = 2", [])
        .unwrap();
    assert!(refused(&fields).contains("digest"));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refused(&fields);
    std::fs::remove_file(&path).unwrap();
    assert!(refused(&fields).contains("state-000001.db"));
    assert!(!path.exists(), "nothing is made where there is nothing");
}

#[test]
fn a_backup_of_a_newer_build_or_of_another_system_is_refused_by_name() {
    let field = Field::new();
    let mut newer: Node<Historian> = Node::new(field.config("n1", Some(Vec::new()), quick()));
    newer.start();
    newer.wait_for("the version", |cluster| cluster.status().version == 2);
    let backup = try_back_up::<Historian>(&field, &newer.config).unwrap();
    let into = field.path().join("restored");
    let restoring = |source| run(restore(&target(&field), source, &backup.name, &into));
    for (source, parts) in [
        (
            source::<Register>(&newer.config),
            ["at version 2", "supports 1"],
        ),
        (
            source::<Foreigner>(&newer.config),
            ["\"register\"", "\"foreign\""],
        ),
    ] {
        let refused = restoring(source).unwrap_err();
        assert!(matches!(refused, BackupError::Refused(_)), "{refused}");
        let refused = refused.to_string();
        assert!(parts.iter().all(|part| refused.contains(part)), "{refused}");
        assert!(!into.exists());
    }
    restoring(source::<Historian>(&newer.config)).unwrap();
}

#[test]
fn nothing_is_copied_where_it_would_take_the_room_that_writes_need() {
    let field = Field::formed(1);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    let config = &field.nodes[0].config;
    pretend_free(&config.data_dir, Some(config.settings.disk_headroom_bytes));
    let refused = try_back_up::<Register>(&field, config).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("no room"), "{refused}");
    assert!(run(target(&field).list()).unwrap().is_empty());
    assert_eq!(content(&field.path().join("scratch")).len(), 0);
    pretend_free(&config.data_dir, None);
    back_up(&field, config);
}

#[test]
fn a_database_that_is_written_to_is_backed_up_as_of_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.db");
    let keys = database(&path);
    keys.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE key (subject TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
         INSERT INTO key VALUES ('anna', x'01');",
    )
    .unwrap();
    let backups = dir.path().join("backups");
    let target = Target::open(backups.to_str().unwrap(), []).unwrap();
    let source: Arc<dyn Source> = Arc::new(DatabaseBackup::of(&path).unwrap());
    let scratch = dir.path().join("scratch");
    let made = run(create(&target, Arc::clone(&source), "keys", "n1", &scratch)).unwrap();
    keys.execute("INSERT INTO key VALUES ('bert', x'02')", [])
        .unwrap();
    run(verify(&target, Arc::clone(&source), &made.name, &scratch)).unwrap();
    let into = dir.path().join("restored");
    run(restore(&target, Arc::clone(&source), &made.name, &into)).unwrap();
    let subjects: Vec<String> = database(&into.join("keys.db"))
        .prepare("SELECT subject FROM key")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(subjects, ["anna"]);

    let mut forged = made.fields.clone();
    forged.insert("digest".into(), "00".into());
    assert!(source.verify(&into, &forged).is_err());
    assert!(
        source.verify(dir.path(), &made.fields).is_err(),
        "other rows"
    );
    let absent = DatabaseBackup::of(&dir.path().join("none.db")).unwrap();
    let refused = absent.snapshot(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("none.db"), "{refused}");
}
