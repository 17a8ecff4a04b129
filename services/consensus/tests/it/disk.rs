//! Disks that run full, and are made room on again.

use consensus::testing::pretend_free;
use consensus::{ProposeError, Settings};

use crate::harness::{Field, eventually, pause, quick};
use crate::register::{add, set};

/// Beside a headroom of 256 MiB.
const LOW: u64 = 200 << 20;

fn let_free(field: &Field, place: usize, bytes: Option<u64>) {
    pretend_free(&field.nodes[place].config.data_dir, bytes);
}

#[test]
fn writes_are_refused_before_the_disks_are_full_and_reads_go_on() {
    let field = Field::formed(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    for place in 0..3 {
        let_free(&field, place, Some(LOW));
    }
    // Who leads without room gives that away while it does not know that nobody has any.
    eventually(
        "those that follow know of two, and none takes writes",
        || {
            let refused = field.nodes.iter().map(|node| node.cluster().status());
            let reasons: Vec<_> = refused.filter_map(|status| status.writes_refused).collect();
            let of_two = reasons.iter().filter(|reason| reason.contains(" and "));
            reasons.len() == 3 && of_two.count() >= 2
        },
    );
    for node in &field.nodes {
        let refused = node.propose(&add("a", 1)).unwrap_err();
        let ProposeError::NoRoom(reason) = refused else {
            panic!("{refused:?}");
        };
        assert!(reason.contains("make room"), "{reason}");
        assert_eq!(node.read("a"), Some(1), "as before");
        assert_eq!(node.cluster().unready(), None);
    }
    // Two that are full are as bad as three, and the third one says which they are.
    let leader = field.leader();
    let_free(&field, leader, None);
    let names: Vec<String> = (1..3)
        .map(|step| field.nodes[(leader + step) % 3].config.name.clone())
        .collect();
    field.nodes[leader].wait_for("it names them", |cluster| {
        let refused = cluster.status().writes_refused;
        refused.is_some_and(|reason| names.iter().all(|name| reason.contains(name)))
    });
    assert!(field.nodes[leader].propose(&add("a", 1)).is_err());

    for place in 0..3 {
        let_free(&field, place, None);
    }
    for node in &field.nodes {
        node.wait_for("there is room", |cluster| {
            cluster.status().writes_refused.is_none()
        });
    }
    for (before, node) in field.nodes.iter().enumerate() {
        assert_eq!(node.propose(&add("a", 1)).unwrap(), 2 + before as i64);
    }
    field.assert_equal();
}

#[test]
fn a_leader_without_room_hands_over_to_one_that_has_some() {
    let field = Field::formed(3);
    let old = field.leader();
    let_free(&field, old, Some(LOW));
    let new = field.leader_among(|place| place != old);
    assert_eq!(field.nodes[old].propose(&set("a", 1)).unwrap(), 1);
    assert_eq!(field.nodes[new].propose(&add("a", 1)).unwrap(), 2);
    assert_eq!(field.nodes[old].read("a"), Some(2));
    let_free(&field, old, None);
}

#[test]
fn a_leader_without_room_hands_over_to_nobody_who_has_none_either() {
    // Leadership is not to move for any other reason.
    let field = Field::formed_with(
        3,
        &Settings {
            election_timeout_ms_min: 4_000,
            election_timeout_ms_max: 5_000,
            ..quick()
        },
    );
    let leader = field.leader();
    for step in 1..3 {
        let_free(&field, (leader + step) % 3, Some(LOW));
    }
    field.nodes[leader].wait_for("it knows of both", |cluster| {
        let refused = cluster.status().writes_refused;
        refused.is_some_and(|reason| reason.contains(" and "))
    });
    let_free(&field, leader, Some(LOW));
    let name = field.nodes[leader].config.name.clone();
    field.nodes[leader].wait_for("it knows of its own", |cluster| {
        let refused = cluster.status().writes_refused;
        refused.is_some_and(|reason| reason.contains(&name))
    });
    let term = field.nodes[leader].cluster().status().term;
    for _ in 0..150 {
        pause();
        let status = field.nodes[leader].cluster().status();
        assert_eq!((status.leader.as_ref(), status.term), (Some(&name), term));
    }
}

#[test]
fn a_follower_without_room_takes_nothing_and_stays_up_until_there_is_some() {
    let field = Field::formed(3);
    let leader = field.leader();
    let full = (leader + 1) % 3;
    field.nodes[leader].propose(&set("a", 0)).unwrap();
    field.nodes[full].wait_for("it has the first write", |cluster| {
        cluster.status().applied_index >= field.nodes[leader].cluster().status().applied_index
    });
    let_free(&field, full, Some(0));
    field.nodes[full].wait_for("it knows", |cluster| cluster.status().disk_free_bytes == 0);
    let before = field.nodes[full].cluster().status().last_index;
    for n in 1..=20 {
        assert_eq!(field.nodes[leader].propose(&add("a", 1)).unwrap(), n);
    }
    let status = field.nodes[full].cluster().status();
    assert_eq!((status.last_index, status.halted), (before, None));

    let_free(&field, full, None);
    field.nodes[full].wait_for("it catches up", |cluster| {
        cluster.status().applied_index >= before + 20
    });
    field.assert_equal();
}
