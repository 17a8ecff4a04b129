//! How fresh reads are.

use std::collections::BTreeMap;
use std::time::Duration;

use consensus::{Consistency, Read, ReadError, Settings};

use crate::harness::{Field, Node, eventually};
use crate::register::{add, set, value};

fn read(node: &Node, consistency: Consistency) -> Result<Read<Option<i64>>, ReadError> {
    node.block_on(node.cluster().read(consistency, |state| value(state, "a")))
}

fn local(node: &Node, age_max: Option<Duration>) -> Result<Read<Option<i64>>, ReadError> {
    read(node, Consistency::Local { age_max })
}

#[test]
fn a_linearizable_read_on_any_node_sees_what_was_acknowledged_on_any_other() {
    let field = Field::formed(3);
    for n in 1..=60 {
        let (writer, reader) = (n % 3, (n + n / 3) % 3);
        field.nodes[writer].propose(&set("a", n as i64)).unwrap();
        let seen = read(&field.nodes[reader], Consistency::Linearizable).unwrap();
        assert_eq!((seen.value, seen.age), (Some(n as i64), Duration::ZERO));
    }
}

#[test]
fn a_node_finds_what_was_written_by_way_of_it_without_asking_anybody() {
    let field = Field::formed(3);
    let node = &field.nodes[field.follower()];
    for n in 1..=200 {
        node.propose(&set("a", n)).unwrap();
        assert_eq!(local(node, None).unwrap().value, Some(n));
    }
}

#[test]
fn what_an_entry_did_and_that_it_was_applied_are_seen_together() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let seat = node.seat();
    let writer = std::thread::spawn(move || {
        for _ in 0..500 {
            let written = seat.ask(|cluster| async move { cluster.propose(&add("a", 1)).await });
            written.unwrap().unwrap();
        }
    });
    let mut seen = BTreeMap::new();
    while !writer.is_finished() {
        let (applied, found) = node.read_local(|state| {
            let select = "SELECT value FROM consensus_meta WHERE key = 'applied'";
            let applied: Vec<u8> = state.query_row(select, [], |row| row.get(0))?;
            Ok((applied, value(state, "a")?))
        });
        assert_eq!(*seen.entry(applied).or_insert(found), found);
    }
    writer.join().unwrap();
}

#[test]
fn a_local_read_says_how_old_it_is_and_a_node_that_is_cut_off_says_so() {
    let mut field = Field::wired(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    let cut = field.follower();
    let limit = Duration::from_secs(2);
    eventually("a fresh local read", || {
        local(&field.nodes[cut], Some(limit))
            .is_ok_and(|read| read.value == Some(1) && read.age < limit)
    });

    field.wires().isolate(cut, 3);
    let other = field.leader_among(|place| place != cut);
    field.nodes[other].propose(&add("a", 1)).unwrap();
    // What it has gets old, and it knows.
    eventually(
        "too old",
        || matches!(local(&field.nodes[cut], Some(limit)), Err(ReadError::TooOld { age }) if age > limit),
    );
    let old = local(&field.nodes[cut], None).unwrap();
    assert_eq!(old.value, Some(1));
    assert!(old.age > limit);
    field.nodes[cut].wait_for("it says so", |cluster| {
        cluster
            .unready()
            .is_some_and(|reason| reason.contains("cut off"))
    });

    field.wires().heal();
    field.nodes[cut].wait_ready();
    eventually("fresh again", || {
        local(&field.nodes[cut], Some(limit)).is_ok_and(|read| read.value == Some(2))
    });

    // Started alone it cannot tell at all.
    field.crash_all();
    field.nodes[cut].start();
    let unknown = local(&field.nodes[cut], None).unwrap();
    assert_eq!((unknown.value, unknown.age), (Some(2), Duration::MAX));
    assert!(matches!(
        local(&field.nodes[cut], Some(limit)),
        Err(ReadError::TooOld { .. })
    ));
}

#[test]
fn a_leader_that_was_cut_off_answers_no_linearizable_read_and_acknowledges_no_write() {
    let mut field = Field::wired(3);
    for node in &mut field.nodes {
        node.config.settings = Settings {
            propose_timeout_ms: 3_000,
            ..node.config.settings.clone()
        };
        node.crash();
    }
    field.start_all();
    field.nodes[0].propose(&set("a", 1)).unwrap();
    let old = field.leader();
    field.wires().isolate(old, 3);
    // Even before another can lead: a clock is not trusted with what only a majority knows.
    let answer = read(&field.nodes[old], Consistency::Linearizable);
    assert!(
        matches!(answer, Err(ReadError::NoLeader { .. })),
        "{answer:?}"
    );
    let new = field.leader_among(|place| place != old);
    field.nodes[new].propose(&add("a", 1)).unwrap();
    assert!(field.nodes[old].cluster().leads(), "it cannot know better");
    let answer = read(&field.nodes[old], Consistency::Linearizable);
    assert!(
        matches!(answer, Err(ReadError::NoLeader { .. })),
        "{answer:?}"
    );
    let refused = field.nodes[old].propose(&add("a", 100));
    assert!(refused.is_err(), "{refused:?}");
    field.nodes[old].wait_for("it says so", |cluster| cluster.unready().is_some());

    field.wires().heal();
    field.nodes[old].wait_ready();
    assert_eq!(
        field.nodes[old].read("a"),
        Some(2),
        "what it had not acknowledged is gone"
    );
    field.assert_equal();
}
