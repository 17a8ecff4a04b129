//! Leaving, replacing, handing over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consensus::testing::{LogIo as _, Record, SqliteLog, wire};
use consensus::{ClusterCommand, ProposeError, run_command};
use prost::Message as _;

use crate::caller::{Caller, hello, id_of};
use crate::harness::{Field, eventually, free_address, pause, quick};
use crate::register::{add, set};

/// What an operator's command prints, or why it failed, asked at the node at `place`.
fn command(field: &Field, place: usize, command: ClusterCommand) -> Result<(), String> {
    let node = &field.nodes[place];
    node.block_on(run_command(
        &node.config,
        "register",
        &node.config.address,
        command,
    ))
}

fn remove(name: &str) -> ClusterCommand {
    ClusterCommand::Remove { name: name.into() }
}

fn transfer(name: &str) -> ClusterCommand {
    ClusterCommand::Transfer {
        name: Some(name.into()),
    }
}

#[test]
fn a_removed_member_stops_serving_and_the_last_one_cannot_be_removed() {
    let mut field = Field::formed(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();

    // A follower that is up.
    let follower = field.follower();
    let name = field.nodes[follower].config.name.clone();
    command(&field, field.leader(), remove(&name)).unwrap();
    let reason = field.nodes[follower].halted();
    assert!(
        reason.contains("has been removed") && reason.contains("wipe"),
        "{reason}"
    );
    assert!(field.nodes[follower].propose(&set("a", 2)).is_err());
    field.nodes.remove(follower).crash();

    // The leader, asked at the other one.
    let leader = field.leader();
    let name = field.nodes[leader].config.name.clone();
    command(&field, 1 - leader, remove(&name)).unwrap();
    field.nodes[leader].halted();
    field.nodes.remove(leader).crash();

    // The last one.
    let last = field.nodes[0].config.name.clone();
    let refused = command(&field, 0, remove(&last)).unwrap_err();
    assert!(refused.contains("only voter"), "{refused}");
    let refused = command(&field, 0, remove("nobody")).unwrap_err();
    assert!(refused.contains("no member"), "{refused}");
    assert_eq!(field.nodes[0].propose(&add("a", 1)).unwrap(), 2);
    field.nodes[0].wait_voters(&[&last]);
}

#[test]
fn a_member_that_was_away_when_it_was_removed_learns_of_it() {
    let mut field = Field::formed(3);
    let away = field.follower();
    let name = field.nodes[away].config.name.clone();
    field.nodes[away].crash();
    let leader = field.leader();
    command(&field, leader, remove(&name)).unwrap();
    field.nodes[away].start();
    let reason = field.nodes[away].halted();
    assert!(reason.contains("has been removed"), "{reason}");

    // Wiped, it joins again under its old name.
    field.nodes[away].crash();
    field.nodes[away].wipe();
    field.nodes[away].config.peers = Some(vec![field.nodes[leader].config.address.clone()]);
    field.nodes[away].start();
    field.wait_ready();
    field.nodes[away].wait_voters(&["n1", "n2", "n3"]);
    field.assert_equal();
}

#[test]
fn leadership_goes_where_it_is_sent_and_nowhere_without_a_successor() {
    let mut field = Field::formed(3);
    let leader = field.leader();
    let (to, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let name = field.nodes[to].config.name.clone();
    command(&field, other, transfer(&name)).unwrap();
    assert_eq!(field.leader(), to);
    command(&field, other, ClusterCommand::Transfer { name: None }).unwrap();
    let leader = field.leader();
    assert_ne!(leader, to);

    // To a member that is down: the leader stays, and goes on taking writes.
    let away = (leader + 1) % 3;
    let name = field.nodes[away].config.name.clone();
    field.nodes[away].crash();
    let refused = command(&field, leader, transfer(&name)).unwrap_err();
    assert!(refused.contains("does not answer"), "{refused}");
    assert!(command(&field, leader, transfer("nobody")).is_err());
    assert_eq!(field.leader(), leader);
    assert_eq!(field.nodes[leader].propose(&set("a", 1)).unwrap(), 1);
}

#[test]
fn a_graceful_stop_of_the_leader_fails_no_write() {
    let mut field = Field::formed(3);
    let leader = field.leader();
    let before = field.nodes[leader].cluster().status().term;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            // Half of them write on the node that goes: until it is gone its writes succeed too.
            let place = if writer % 2 == 0 {
                leader
            } else {
                (leader + 1) % 3
            };
            let seat = field.nodes[place].seat();
            let done = Arc::clone(&done);
            std::thread::spawn(move || {
                let (mut acknowledged, mut failed) = (0_i64, Vec::new());
                while !done.load(Ordering::Relaxed) {
                    let written = seat.ask(|cluster| async move {
                        cluster
                            .propose(&add("sum", 1))
                            .await
                            .map_err(|error| error.to_string())
                    });
                    match written {
                        Some(Ok(_)) => acknowledged += 1,
                        Some(Err(error)) => {
                            let gone = error.contains("it was shut down");
                            failed.push(error);
                            if gone {
                                break;
                            }
                        }
                        None => break,
                    }
                }
                (acknowledged, failed)
            })
        })
        .collect();
    eventually("writes", || {
        field.nodes[leader].cluster().status().applied_index > 50
    });
    field.nodes[leader].block_on(field.nodes[leader].cluster().shutdown());
    let next = field.leader_among(|at| at != leader);
    let at_handover = field.nodes[next].cluster().status().applied_index;
    eventually("writes go on", || {
        field.nodes[next].cluster().status().applied_index > at_handover + 50
    });
    done.store(true, Ordering::Relaxed);
    let mut sum = 0;
    for (writer, handle) in writers.into_iter().enumerate() {
        let (acknowledged, failed) = handle.join().unwrap();
        sum += acknowledged;
        // The node that went refuses once it is gone; no outcome is left open anywhere.
        let gone = failed
            .iter()
            .all(|error| error.contains("it was shut down"));
        assert!(
            gone && (failed.is_empty() || writer % 2 == 0),
            "{:?}",
            &failed[..failed.len().min(3)]
        );
    }
    assert_eq!(field.nodes[next].read("sum"), Some(sum));
    let after = field.nodes[next].cluster().status();
    assert_eq!(
        after.term,
        before + 1,
        "one election, which the old leader asked for"
    );
    field.nodes[leader].crash();
}

#[test]
fn a_graceful_stop_of_a_node_that_is_alone_leaves_no_outcome_open() {
    let mut field = Field::formed(1);
    let node = &field.nodes[0];
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let seat = node.seat();
            std::thread::spawn(move || {
                let mut acknowledged = 0;
                loop {
                    let command = add("sum", 1);
                    let written =
                        seat.ask(|cluster| async move { cluster.propose(&command).await });
                    match written.expect("the node is there") {
                        Ok(_) => acknowledged += 1,
                        Err(error) => return (acknowledged, error),
                    }
                }
            })
        })
        .collect();
    node.wait_for("writes", |cluster| cluster.status().applied_index > 50);
    node.block_on(node.cluster().shutdown());
    let mut sum = 0;
    for writer in writers {
        let (acknowledged, error) = writer.join().unwrap();
        assert!(matches!(error, ProposeError::Halted(_)), "{error:?}");
        sum += acknowledged;
    }
    field.nodes[0].crash();
    field.start_all();
    assert_eq!(field.nodes[0].read("sum"), Some(sum));
}

#[test]
fn a_change_of_membership_that_a_leader_left_half_done_is_finished() {
    let mut field = Field::formed(3);
    field.assert_equal();
    let ids: Vec<u64> = field.nodes.iter().map(id_of).collect();
    let leader = ids[field.leader()];
    let term = field.nodes[0].cluster().status().term;
    let members = field
        .nodes
        .iter()
        .map(|node| {
            let member = wire::Member {
                name: node.config.name.clone(),
                address: node.config.address.clone(),
            };
            (id_of(node), member)
        })
        .collect();
    field.crash_all();
    // Removing the third is in every log, and no leader lives to see it through.
    let joint = wire::Membership {
        configs: vec![
            wire::Voters { ids: ids.clone() },
            wire::Voters {
                ids: ids[..2].to_vec(),
            },
        ],
        members,
    };
    for node in &field.nodes {
        let identity = std::fs::read_to_string(node.config.data_dir.join("identity.json")).unwrap();
        let identity: serde_json::Value = serde_json::from_str(&identity).unwrap();
        let owner = format!("register {}", identity["id"].as_str().unwrap());
        let mut log = SqliteLog::open(&node.config.data_dir.join("log.db"), &owner).unwrap();
        let index = log.load().unwrap().last.unwrap().index + 1;
        let entry = wire::Entry {
            log_id: Some(wire::LogId {
                term,
                leader,
                index,
            }),
            payload: Some(wire::entry::Payload::Membership(joint.clone())),
        };
        let bytes = entry.encode_to_vec().into();
        log.append(&[Record { index, bytes }]).unwrap();
        log.sync().unwrap();
    }
    for node in &mut field.nodes {
        node.start();
    }
    field.nodes[0].wait_voters(&["n1", "n2"]);
    field.nodes[2].halted();
    assert_eq!(field.nodes[0].propose(&set("a", 1)).unwrap(), 1);
}

#[test]
fn a_node_that_has_not_caught_up_has_no_vote() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let mut newcomer = Caller::newcomer(7, node);
    // Nobody is there.
    let who = hello(7, "n2", &free_address());
    let join = wire::JoinRequest { who: Some(who) };
    let _: wire::JoinResponse = newcomer.call(node, "Join", join).unwrap();
    // Longer than a leader takes to look for something to do, several times.
    for _ in 0..100 {
        pause();
        assert_eq!(node.voters(), ["n1"]);
    }
    assert_eq!(node.cluster().status().members.len(), 2);
    assert_eq!(node.propose(&set("a", 1)).unwrap(), 1);
}

#[test]
fn a_member_that_restarts_at_another_address_is_found_again() {
    let mut field = Field::formed(3);
    // One that follows, and the one that leads: it has to find its way without being reachable.
    for place in [field.follower(), field.leader()] {
        let moved = &mut field.nodes[place];
        moved.crash();
        moved.config.address = free_address();
        moved.start();
        moved.wait_ready();
        let address = moved.config.address.clone();
        for node in &field.nodes {
            node.wait_for("the new address is known", |cluster| {
                cluster
                    .status()
                    .members
                    .iter()
                    .any(|member| member.address == address)
            });
        }
    }
    field.nodes[0].wait_voters(&["n1", "n2", "n3"]);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    field.assert_equal();

    // Alone in its cluster there is nobody to tell, but itself.
    let mut alone = Field::formed(1);
    let address = free_address();
    alone.nodes[0].crash();
    alone.nodes[0].config.address = address.clone();
    alone.start_all();
    alone.nodes[0].wait_for("the new address is known", |cluster| {
        cluster.status().members[0].address == address
    });
    let newcomer = alone.add_node(quick());
    newcomer.start();
    newcomer.wait_ready();
}

#[test]
fn a_member_without_which_there_is_no_majority_may_come_back_at_another_address() {
    let mut field = Field::formed(3);
    let (leader, moves) = (field.leader(), field.follower());
    for place in (0..3).filter(|place| *place != leader) {
        field.nodes[place].crash();
    }
    // What the leader heard of them last is worth nothing any more: it takes nothing into its log.
    assert!(field.nodes[leader].propose(&set("a", 0)).is_err());
    let at_first = field.nodes[moves].config.address.clone();
    for (value, address) in [(1, free_address()), (2, at_first)] {
        field.nodes[moves].crash();
        field.nodes[moves].config.address = address;
        field.nodes[moves].start();
        field.nodes[moves].wait_ready();
        field.nodes[leader].propose(&set("a", value)).unwrap();
        assert_eq!(field.nodes[moves].read("a"), Some(value));
    }
}

#[test]
fn a_cluster_of_which_every_member_has_moved_goes_on() {
    let mut field = Field::formed(3);
    field.nodes[0].propose(&set("a", 1)).unwrap();
    field.crash_all();
    let addresses: Vec<String> = (0..3).map(|_| free_address()).collect();
    for (node, address) in field.nodes.iter_mut().zip(&addresses) {
        node.config.address.clone_from(address);
        node.config.peers = Some(addresses.clone());
        node.start();
    }
    field.wait_ready();
    for node in &field.nodes {
        assert_eq!(node.read("a"), Some(1));
        node.wait_for("the new addresses are known", |cluster| {
            let members = cluster.status().members;
            members
                .iter()
                .all(|member| addresses.contains(&member.address))
        });
    }
}
