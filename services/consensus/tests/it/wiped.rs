//! A node that has lost its disk.

use consensus::testing::wire;
use tonic::Code;

use crate::caller::{Caller, hello, id_of};
use crate::harness::{Field, eventually, quick};
use crate::register::{add, set};

#[test]
fn a_wiped_first_node_acknowledges_nothing_beside_its_cluster_and_says_why() {
    let mut field = Field::formed(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    field.nodes[0].crash();
    field.nodes[0].wipe();
    // As it was told the first time: no peers. It has the wait to hear of its cluster.
    field.nodes[0].config.settings.formation_wait_ms = 10_000;
    field.nodes[0].start();
    let wiped = &field.nodes[0];
    eventually("the wiped node stops", || {
        assert!(
            wiped.propose(&set("a", 2)).is_err(),
            "a write was acknowledged"
        );
        wiped.cluster().status().halted.is_some()
    });
    let reason = wiped.halted();
    assert!(
        reason.contains("belongs to cluster") && reason.contains("set its peers"),
        "{reason}"
    );
    assert_eq!(wiped.cluster().id(), "", "it has formed nothing");
    assert_eq!(wiped.cluster().unready(), Some(reason));
    assert_eq!(
        field.nodes[1].propose(&add("a", 1)).unwrap(),
        2,
        "its cluster goes on"
    );

    // Told where its cluster is, it takes part again, and its old self is gone.
    field.nodes[0].crash();
    field.nodes[0].wipe();
    field.nodes[0].config.peers = Some(vec![field.nodes[1].config.address.clone()]);
    field.nodes[0].start();
    field.nodes[0].wait_ready();
    for node in &field.nodes {
        node.wait_voters(&["n1", "n2", "n3"]);
    }
    assert_eq!(field.nodes[0].read("a"), Some(2));
    field.assert_equal();
}

#[test]
fn a_wiped_first_node_that_formed_a_cluster_stops_as_soon_as_its_old_one_greets_it() {
    let mut field = Field::wired(3);
    field.nodes[1].propose(&set("a", 1)).unwrap();
    field.nodes[0].crash();
    field.nodes[0].wipe();
    for other in [1, 2] {
        field.wires().cut(other, 0);
    }
    field.nodes[0].start();
    field.nodes[0].wait_ready();
    let old = field.nodes[1].cluster().id();
    assert_ne!(
        field.nodes[0].cluster().id(),
        old,
        "it could not know better"
    );
    field.wires().heal();
    let reason = field.nodes[0].halted();
    assert!(reason.contains(&old), "{reason}");
    assert!(field.nodes[0].propose(&set("a", 2)).is_err());
    assert_eq!(field.nodes[1].read("a"), Some(1));

    // It does not forget with a restart: the others are there and say so again.
    field.nodes[0].crash();
    field.nodes[0].start();
    field.nodes[0].halted();
}

#[test]
fn a_wiped_node_that_waits_to_be_added_replaces_its_old_self() {
    let mut field = Field::formed(3);
    let old = id_of(&field.nodes[2]);
    field.nodes[2].crash();
    field.nodes[2].wipe();
    field.nodes[2].config.peers = None;
    field.nodes[2].start();
    // Its old cluster greets it, which changes nothing until somebody adds it.
    let first = &field.nodes[0];
    eventually("greeted", || {
        first
            .cluster()
            .status()
            .members
            .iter()
            .all(|member| member.name != "n3" || !member.reachable)
    });
    assert_eq!(field.nodes[2].cluster().status().halted, None);
    let add = consensus::ClusterCommand::Add {
        address: field.nodes[2].config.address.clone(),
    };
    first
        .block_on(consensus::run_command(
            &first.config,
            "register",
            &first.config.address,
            add,
        ))
        .unwrap();
    field.nodes[2].wait_ready();
    assert_ne!(id_of(&field.nodes[2]), old);
    for node in &field.nodes {
        node.wait_voters(&["n1", "n2", "n3"]);
    }
    field.assert_equal();
}

#[test]
fn a_second_live_node_with_a_taken_name_is_refused() {
    let field = Field::formed(3);
    field.nodes[0].wait_voters(&["n1", "n2", "n3"]);
    field.assert_equal();
    let before = field.nodes[0].cluster().status();
    let pretender = Caller::newcomer(99, &field.nodes[0]);
    let who = hello(99, "n2", &crate::harness::free_address());
    for node in &field.nodes {
        let mut pretender = pretender.another();
        let join = wire::JoinRequest {
            who: Some(who.clone()),
        };
        assert_eq!(
            pretender.refused(node, "Join", vec![join]),
            Code::AlreadyExists
        );
    }
    let after = field.nodes[0].cluster().status();
    assert_eq!(before.last_index, after.last_index, "nothing was written");
    assert_eq!(before.members.len(), after.members.len());

    // A whole node fares no better, for as long as the other lives.
    let mut field = field;
    let config = field.config(
        "n2b",
        Some(vec![field.nodes[0].config.address.clone()]),
        quick(),
    );
    let mut second = crate::harness::Node::new(config);
    second.config.name = "n2".into();
    second.start();
    field.nodes[1].crash();
    second.wait_ready();
    second.wait_voters(&["n1", "n2", "n3"]);
    field.nodes[1] = second;
    field.assert_equal();
}
