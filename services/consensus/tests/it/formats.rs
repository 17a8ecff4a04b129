//! Data directories that every build reads, from the first one on.
//!
//! `tests/formats/N` is one that the first build of format N left behind: a cluster of one node,
//! written by [`write`] with `FORMAT_TO=<folder>`. It is never written again.

use std::path::{Path, PathBuf};

use consensus::{NodeConfig, RequestId, Session, Settings};
use futures_util::StreamExt as _;

use crate::harness::{Field, Node, PATIENCE, quick};
use crate::register::{Register, add, set};

/// The register that holds the number of the session.
const SESSION: &str = "session";
/// The commands that are still in the log, each of which adds its number to `sum`.
const KEPT: std::ops::RangeInclusive<i64> = 11..=15;

fn settings() -> Settings {
    Settings {
        log_keep_entries: 0,
        ..quick()
    }
}

fn request(session: u64, number: u64) -> RequestId {
    RequestId {
        session: Session(session),
        number,
        settled_below: 1,
    }
}

fn once(node: &Node, request: RequestId, number: i64) -> i64 {
    let command = add("once", number);
    let proposed = node.cluster().propose_once(request, &command);
    node.block_on(proposed).unwrap().reply.value
}

/// Leaves a data directory behind that holds something of everything.
fn write(data_dir: &Path) {
    let mut config: NodeConfig = Field::new().config("n1", Some(Vec::new()), settings());
    config.data_dir = data_dir.to_owned();
    let mut node: Node<Register> = Node::new(config);
    node.start();
    node.wait_ready();
    let session = node.block_on(node.cluster().open_session()).unwrap().0;
    node.propose(&set(SESSION, session.cast_signed())).unwrap();
    once(&node, request(session, 1), 7);
    for number in 1..*KEPT.start() {
        node.propose(&add("sum", number)).unwrap();
    }
    let shorten = consensus::run_command(
        &node.config,
        "register",
        &node.config.address,
        consensus::ClusterCommand::Snapshot,
    );
    node.block_on(shorten).unwrap();
    node.wait_for("its log is short", |cluster| {
        cluster.status().first_index > 10
    });
    for number in KEPT {
        node.propose(&add("sum", number)).unwrap();
    }
    node.stop();
    // No more files than are needed to keep it.
    for database in ["log.db", "state/state-000001.db"] {
        #[expect(clippy::disallowed_methods, reason = "as anyone would, from outside")]
        let database = rusqlite::Connection::open(data_dir.join(database)).unwrap();
        database
            .pragma_update(None, "wal_checkpoint", "TRUNCATE")
            .unwrap();
    }
}

/// What [`write`] left behind is all there, and goes on.
fn read(data_dir: PathBuf) {
    let mut config = Field::new().config("n1", Some(Vec::new()), settings());
    config.data_dir = data_dir;
    let mut node: Node<Register> = Node::new(config);
    node.start();
    node.wait_ready();
    assert_eq!(node.read("sum"), Some((1..=*KEPT.end()).sum()));
    assert_eq!(node.read("once"), Some(7));
    let first = node.cluster().status().first_index;
    assert!(first > 10, "the log begins at {first}");
    let kept = node.cluster().subscribe(first).take(KEPT.count());
    let kept = node.block_on(async {
        let commands = kept.map(|applied| applied.unwrap().command).collect();
        tokio::time::timeout(PATIENCE, commands).await
    });
    let kept: Vec<_> = kept.unwrap();
    assert_eq!(
        kept,
        KEPT.map(|number| add("sum", number)).collect::<Vec<_>>()
    );
    let session = node.read(SESSION).unwrap().cast_unsigned();
    assert_eq!(once(&node, request(session, 1), 7), 7);
    assert_eq!(node.read("once"), Some(7), "it had its effect before");
    assert_eq!(once(&node, request(session, 2), 1), 8);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_the_first_build_of_each_format_left_behind_is_read() {
    let formats = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    for format in std::fs::read_dir(formats).unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        copy(&format.unwrap().path(), &data_dir);
        read(data_dir);
    }
}

#[test]
fn what_this_build_leaves_behind_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("FORMAT_TO").map(PathBuf::from);
    let written = kept.unwrap_or_else(|| folder.path().join("written"));
    write(&written);
    let data_dir = folder.path().join("data");
    copy(&written, &data_dir);
    read(data_dir);
}
