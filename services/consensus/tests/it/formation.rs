//! How nodes come to a cluster.

use std::net::TcpListener;

use consensus::testing::Power;
use consensus::{ClusterCommand, Settings, run_command};

use crate::caller::id_of;
use crate::harness::{Field, Node, eventually, pause, quick};
use crate::register::{add, set};

#[test]
fn an_empty_list_of_peers_forms_a_cluster_alone() {
    let mut field = Field::new();
    let node = field.add_node(quick());
    node.start();
    assert_eq!(
        node.cluster().id(),
        "",
        "nothing is formed before the wait is over"
    );
    node.wait_ready();
    assert_eq!(node.propose(&set("a", 1)).unwrap(), 1);
    assert_eq!(node.voters(), ["n1"]);
}

#[test]
fn a_write_that_comes_while_the_cluster_is_formed_waits_for_it() {
    let mut field = Field::new();
    let node = field.add_node(quick());
    node.start();
    assert_eq!(node.propose(&set("a", 1)).unwrap(), 1);
    assert_eq!(node.cluster().status().halted, None);
}

#[test]
fn a_node_without_a_list_waits_until_it_is_added() {
    let mut field = Field::formed(1);
    let config = field.config("n2", None, quick());
    let mut waiting: Node = Node::new(config);
    waiting.start();
    assert_eq!(
        waiting.cluster().unready().unwrap(),
        "this node belongs to no cluster yet"
    );

    let add_it = ClusterCommand::Add {
        address: waiting.config.address.clone(),
    };
    let first = &field.nodes[0];
    let added = run_command(&first.config, "register", &first.config.address, add_it);
    first.block_on(added).unwrap();
    waiting.wait_ready();
    waiting.wait_voters(&["n1", "n2"]);
    assert_eq!(waiting.propose(&set("a", 1)).unwrap(), 1);

    // Added is added: it comes back on its own.
    waiting.crash();
    waiting.start();
    waiting.wait_ready();
    field.nodes.push(waiting);
    field.assert_equal();
}

#[test]
fn a_node_joins_through_any_member() {
    let mut field = Field::formed(2);
    let follower = field.follower();
    let through = field.nodes[follower].config.address.clone();
    let newcomer = field.add_node(quick());
    newcomer.config.peers = Some(vec![through]);
    newcomer.start();
    newcomer.wait_ready();
    newcomer.wait_voters(&["n1", "n2", "n3"]);
    field.assert_equal();
}

/// Every order in which three nodes can start.
const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

#[test]
fn nodes_that_all_list_all_form_one_cluster_in_whatever_order_they_start() {
    std::thread::scope(|scope| {
        for (at, order) in ORDERS.iter().enumerate() {
            scope.spawn(move || form_together(order, at % 2 == 0));
        }
    });
}

/// Starts three nodes in `order`; `apart`: the last one only once the others have met.
fn form_together(order: &[usize; 3], apart: bool) {
    let mut field = Field::new();
    let settings = Settings {
        bootstrap_expect: 3,
        ..quick()
    };
    for _ in 0..3 {
        field.add_node(settings.clone());
    }
    let all: Vec<String> = field
        .nodes
        .iter()
        .map(|node| node.config.address.clone())
        .collect();
    for node in &mut field.nodes {
        node.config.peers = Some(all.clone());
    }
    let last = &field.nodes[order[2]].config.address;
    let nobody = apart.then(|| TcpListener::bind(last).unwrap());
    for at in &order[..2] {
        field.nodes[*at].start();
    }
    if let Some(nobody) = nobody {
        asked(&nobody, 6);
        let formed = |at: &usize| !field.nodes[*at].cluster().id().is_empty();
        assert!(!order[..2].iter().any(formed), "without the third");
    }
    field.nodes[order[2]].start();
    field.wait_ready();
    let ids: Vec<String> = field.nodes.iter().map(|node| node.cluster().id()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{order:?}: {ids:?}");
    for node in &field.nodes {
        node.wait_voters(&["n1", "n2", "n3"]);
        node.propose(&add("sum", 1)).unwrap();
    }
    assert_eq!(field.nodes[0].read("sum"), Some(3));
    field.assert_equal();
}

#[test]
fn nodes_that_were_told_different_things_form_nothing() {
    let mut field = Field::new();
    for _ in 0..2 {
        field.add_node(Settings {
            bootstrap_expect: 2,
            ..quick()
        });
    }
    let first = field.nodes[0].config.address.clone();
    let second = field.nodes[1].config.address.clone();
    field.nodes[0].config.peers = Some(vec![second]);
    // It expects somebody whom the first has not heard of.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let third = nobody.local_addr().unwrap().to_string();
    field.nodes[1].config.peers = Some(vec![first, third]);
    field.nodes[1].config.settings.bootstrap_expect = 3;
    for node in &mut field.nodes {
        node.start();
    }
    asked(&nobody, 3);
    for node in &field.nodes {
        assert_eq!(node.cluster().id(), "");
    }
}

#[test]
fn two_nodes_of_one_name_form_nothing() {
    let mut field = Field::new();
    for _ in 0..2 {
        field.add_node(Settings {
            bootstrap_expect: 2,
            ..quick()
        });
    }
    let addresses: Vec<String> = field
        .nodes
        .iter()
        .map(|node| node.config.address.clone())
        .collect();
    for (node, other) in field.nodes.iter_mut().zip(addresses.iter().rev()) {
        node.config.peers = Some(vec![other.clone()]);
        node.config.name = "n1".into();
        node.start();
    }
    // Several rounds of asking.
    for _ in 0..250 {
        pause();
        assert!(
            field
                .nodes
                .iter()
                .all(|node| node.cluster().id().is_empty())
        );
    }
}

/// Waits until whoever is expected at `nobody` has been asked for `times` times, in vain: as many
/// rounds have passed.
fn asked(nobody: &TcpListener, times: usize) {
    nobody.set_nonblocking(true).unwrap();
    let mut met = 0;
    eventually("asked", || {
        met += usize::from(nobody.accept().is_ok());
        met == times
    });
}

#[test]
fn a_crash_between_deciding_to_form_a_cluster_and_forming_it_is_made_good() {
    let mut field = Field::new();
    let node = field.add_node(quick());
    // A node that waits has an identity, a log and no cluster.
    node.config.peers = None;
    node.start();
    let id = id_of(node);
    node.crash();
    let identity = serde_json::json!({
        "format": 1,
        "system": "register",
        "id": format!("{id:016x}"),
        "cluster": "0123456789abcdef0123456789abcdef",
        "forming": [{"id": format!("{id:016x}"), "name": "n1", "address": node.config.address}],
    });
    let path = node.config.data_dir.join("identity.json");
    std::fs::write(&path, identity.to_string()).unwrap();
    node.start();
    node.wait_ready();
    assert_eq!(node.cluster().id(), "0123456789abcdef0123456789abcdef");
    assert_eq!(node.propose(&set("a", 1)).unwrap(), 1);
    let identity = std::fs::read_to_string(&path).unwrap();
    assert!(!identity.contains("forming"), "{identity}");
    node.crash();
    node.start();
    node.wait_ready();
    assert_eq!(node.read("a"), Some(1));
}

#[test]
fn a_loss_of_power_before_the_first_entry_is_on_disk_is_made_good() {
    let mut field = Field::new();
    let node = field.add_node(quick());
    let power = Power::on();
    power.fail_next_sync();
    node.power = Some(power);
    node.start();
    node.halted();
    // Others may have heard of it.
    let cluster = node.cluster().id();
    node.crash();
    node.power = None;
    node.start();
    node.wait_ready();
    assert_eq!(node.cluster().id(), cluster);
    assert_eq!(node.propose(&set("a", 1)).unwrap(), 1);
}

/// Else a loss of power could take the entry and leave what is remembered, and the membership before
/// it would look like one that the node was removed from.
#[test]
fn a_node_remembers_that_it_was_taken_in_once_the_entry_that_says_so_is_on_its_disk() {
    let mut field = Field::formed(3);
    let leader = field.leader();
    field.nodes[leader].propose(&set("a", 1)).unwrap();
    let taken_in = field.nodes[leader].cluster().status().last_index + 1;
    let power = Power::on();
    power.stall_from(taken_in);
    let node = field.add_node(quick());
    node.power = Some(power.clone());
    node.start();
    // It does not wait for its own disk to apply what others have on theirs.
    node.wait_for("the entry has been applied", |cluster| {
        cluster.status().applied_index >= taken_in
    });
    let remembers = |node: &Node| {
        let identity = std::fs::read(node.config.data_dir.join("identity.json")).unwrap();
        let identity: serde_json::Value = serde_json::from_slice(&identity).unwrap();
        identity["member"] == true
    };
    let early = (0..20).any(|_| {
        pause();
        remembers(node)
    });
    power.stall(false);
    assert!(!early, "it is not on the disk yet");
    eventually("it is remembered", || remembers(node));
}

#[test]
fn what_is_on_disk_wins_over_changed_peers() {
    let mut field = Field::formed(3);
    let cluster = field.nodes[0].cluster().id();
    field.nodes[0].propose(&set("a", 1)).unwrap();
    let lists = [Some(vec!["127.0.0.1:1".to_owned()]), Some(Vec::new()), None];
    for (node, peers) in field.nodes.iter_mut().zip(lists) {
        node.crash();
        node.config.peers = peers;
        node.start();
        node.wait_ready();
        assert_eq!(node.cluster().id(), cluster);
        assert_eq!(node.read("a"), Some(1));
    }
    field.nodes[1].wait_voters(&["n1", "n2", "n3"]);
}

/// The change that let it in may have been lost with the leader that promised it.
#[test]
fn a_joining_node_of_which_its_cluster_has_not_heard_asks_again() {
    let mut field = Field::formed(2);
    let cluster = field.nodes[0].cluster().id();
    let newcomer = field.add_node(quick());
    let peers = newcomer.config.peers.take();
    newcomer.start();
    newcomer.crash();
    let path = newcomer.config.data_dir.join("identity.json");
    let identity = std::fs::read(&path).unwrap();
    let mut identity: serde_json::Value = serde_json::from_slice(&identity).unwrap();
    identity["cluster"] = cluster.into();
    std::fs::write(&path, identity.to_string()).unwrap();
    newcomer.config.peers = peers;
    newcomer.start();
    newcomer.wait_ready();
    newcomer.wait_voters(&["n1", "n2", "n3"]);
    field.assert_equal();
}

#[test]
fn a_joining_node_that_crashes_on_the_way_ends_up_a_voter() {
    let mut field = Field::formed(2);
    let newcomer = field.add_node(quick());
    newcomer.start();
    newcomer.wait_for("adopted", |cluster| !cluster.id().is_empty());
    newcomer.crash();
    newcomer.start();
    newcomer.wait_ready();
    newcomer.wait_voters(&["n1", "n2", "n3"]);
    let members = field.nodes[0].cluster().status().members;
    assert_eq!(members.len(), 3, "{members:?}");
    eventually("reachable", || {
        field.nodes[0]
            .cluster()
            .status()
            .members
            .iter()
            .all(|member| member.reachable)
    });
}
