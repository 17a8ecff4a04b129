//! Following what is applied.

use std::pin::pin;

use consensus::{Applied, ClusterCommand, Settings, SubscribeError, run_command};
use futures_util::StreamExt as _;

use crate::harness::{Field, Node, PATIENCE, quick};
use crate::register::{Command, add};

/// The next `count` commands that `node` applies from the entry `from` on.
fn follow(node: &Node, from: u64, count: usize) -> Vec<Applied<Command>> {
    node.block_on(async {
        let commands = node
            .cluster()
            .subscribe(from)
            .take(count)
            .map(Result::unwrap)
            .collect();
        tokio::time::timeout(PATIENCE, commands).await.unwrap()
    })
}

#[test]
fn every_subscriber_sees_every_command_in_order_from_wherever_it_begins() {
    let mut field = Field::formed(3);
    let names = |applied: &[Applied<Command>]| -> Vec<String> {
        applied
            .iter()
            .map(|applied| applied.command.name.clone())
            .collect()
    };
    let mut expected = Vec::new();
    // Across two changes of leader.
    for round in 0..3 {
        let leader = field.leader();
        for n in 0..20 {
            let name = format!("{round}/{n}");
            field.nodes[(leader + n) % 3]
                .propose(&add(&name, 1))
                .unwrap();
            expected.push(name);
        }
        if round < 2 {
            field.nodes[leader].crash();
            field.leader();
            field.nodes[leader].start();
            field.nodes[leader].wait_ready();
        }
    }
    let all = follow(&field.nodes[0], 0, expected.len());
    assert_eq!(names(&all), expected);
    assert!(all.windows(2).all(|pair| pair[0].index < pair[1].index));
    for node in &field.nodes {
        assert_eq!(
            follow(node, 0, expected.len()),
            all,
            "the same on every node"
        );
        for begin in [1, 17, 59] {
            assert_eq!(
                follow(node, all[begin].index, all.len() - begin),
                all[begin..]
            );
        }
    }
    // One that waits for what is yet to come.
    let next = all.last().unwrap().index + 1;
    let node = &field.nodes[0];
    let came = node.block_on(async {
        let mut subscription = pin!(node.cluster().subscribe(next));
        let proposed = node.cluster().propose(&add("late", 1)).await.unwrap();
        let came = tokio::time::timeout(PATIENCE, subscription.next())
            .await
            .unwrap();
        assert_eq!(
            came.as_ref().unwrap().as_ref().unwrap().index,
            proposed.index
        );
        came.unwrap().unwrap()
    });
    assert_eq!(came.command.name, "late");
}

#[test]
fn what_is_gone_from_the_log_is_refused_with_where_it_begins() {
    let field = Field::formed_with(
        1,
        &Settings {
            log_keep_entries: 5,
            ..quick()
        },
    );
    let node = &field.nodes[0];
    for _ in 0..30 {
        node.propose(&add("sum", 1)).unwrap();
    }
    let snapshot = run_command(
        &node.config,
        "register",
        &node.config.address,
        ClusterCommand::Snapshot,
    );
    node.block_on(snapshot).unwrap();
    node.wait_for("the log is short", |cluster| {
        cluster.status().first_index > 20
    });
    let first = node.cluster().status().first_index;
    let mut items: Vec<_> = node.block_on(async {
        let items = node.cluster().subscribe(3).collect();
        tokio::time::timeout(PATIENCE, items).await.unwrap()
    });
    assert_eq!(items.len(), 1, "an error ends it");
    assert_eq!(
        items.pop().unwrap().unwrap_err(),
        SubscribeError::Compacted { first }
    );
    assert_eq!(follow(node, first, 3).len(), 3);
}

#[test]
fn what_no_majority_has_is_told_to_nobody() {
    let mut field = Field::laid(3);
    for node in &mut field.nodes {
        node.config.settings.propose_timeout_ms = 2_000;
    }
    field.start_all();
    field.nodes[0].propose(&add("first", 1)).unwrap();
    let cut = field.leader();
    field.wires().isolate(cut, 3);
    let node = &field.nodes[cut];
    assert!(node.propose(&add("lost", 1)).is_err());
    let status = node.cluster().status();
    assert!(status.last_index > status.applied_index, "it has it");
    let other = field.leader_among(|place| place != cut);
    field.nodes[other].propose(&add("second", 1)).unwrap();
    node.block_on(async {
        let mut subscription = pin!(node.cluster().subscribe(0));
        for name in ["first", "second"] {
            let next = tokio::time::timeout(PATIENCE, subscription.next());
            let next = next.await.unwrap().unwrap().unwrap();
            assert_eq!(next.command.name, name);
            assert!(futures_util::poll!(subscription.next()).is_pending());
            field.wires().heal();
        }
    });
}

#[test]
fn a_subscription_ends_with_its_node() {
    let field = Field::formed(1);
    let node = &field.nodes[0];
    let last = node.block_on(async {
        let mut subscription = pin!(node.cluster().subscribe(1 << 40));
        let waits = futures_util::poll!(subscription.next()).is_pending();
        assert!(waits);
        node.cluster().shutdown().await;
        let last = tokio::time::timeout(PATIENCE, subscription.next())
            .await
            .unwrap();
        assert!(subscription.next().await.is_none());
        last.unwrap()
    });
    assert_eq!(
        last.unwrap_err(),
        SubscribeError::Halted("it was shut down".into())
    );
}
