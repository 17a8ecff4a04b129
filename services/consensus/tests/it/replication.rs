//! Writes, reads, crashes.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::harness::{Field, pause};
use crate::register::{add, set};

#[test]
fn a_write_on_any_node_is_read_on_every_node() {
    let field = Field::formed(3);
    for (at, node) in field.nodes.iter().enumerate() {
        let name = format!("written on {at}");
        assert_eq!(node.propose(&set(&name, 7)).unwrap(), 7);
        for reader in &field.nodes {
            assert_eq!(reader.read(&name), Some(7));
        }
    }
    field.assert_equal();
}

#[test]
fn a_killed_leader_loses_no_acknowledged_write() {
    let mut field = Field::formed(3);
    let leader = field.leader();
    for n in 1..=50 {
        assert_eq!(field.nodes[leader].propose(&add("sum", 1)).unwrap(), n);
    }
    field.nodes[leader].crash();
    let other = (leader + 1) % 3;
    for n in 51..=60 {
        assert_eq!(field.nodes[other].propose(&add("sum", 1)).unwrap(), n);
    }
    field.nodes[leader].start();
    field.nodes[leader].wait_ready();
    assert_eq!(field.nodes[leader].read("sum"), Some(60));
    field.assert_equal();
}

#[test]
fn all_nodes_killed_and_restarted_in_any_order_hold_every_acknowledged_write() {
    let mut field = Field::formed(3);
    for n in 1..=30 {
        assert_eq!(
            field.nodes[n % 3].propose(&add("sum", 1)).unwrap(),
            n as i64
        );
    }
    for node in &mut field.nodes {
        node.crash();
    }
    for at in [2, 0, 1] {
        field.nodes[at].start();
    }
    for node in &field.nodes {
        node.wait_ready();
        assert_eq!(node.read("sum"), Some(30));
    }
    field.assert_equal();
}

#[test]
fn a_member_that_closes_every_connection_is_tried_now_and_then_and_not_without_a_pause() {
    let mut field = Field::formed(3);
    let (leader, away) = (field.leader(), field.follower());
    field.nodes[away].crash();
    let door = TcpListener::bind(&field.nodes[away].config.address).unwrap();
    door.set_nonblocking(true).unwrap();
    let (mut knocks, begun) = (0, Instant::now());
    let watched = Duration::from_secs(3);
    while begun.elapsed() < watched {
        // There is always something that it lacks.
        field.nodes[leader].propose(&add("sum", 1)).unwrap();
        while door.accept().is_ok() {
            knocks += 1;
        }
        pause();
    }
    // From each of two nodes: greetings once a second, and what a leader sends at its heartbeats.
    let heartbeats =
        watched.as_millis() / u128::from(field.nodes[leader].config.settings.heartbeat_ms);
    assert!(
        (2..=3 * heartbeats).contains(&knocks),
        "{knocks} connections"
    );
}
