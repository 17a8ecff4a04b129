//! Shortening the log, and sending the state to who misses what was cut off.

use std::pin::pin;

use consensus::testing::pretend_free;
use consensus::{ClusterCommand, Settings, SubscribeError, run_command};
use futures_util::StreamExt as _;

use crate::harness::{Field, Node, PATIENCE, eventually, pause, quick};
use crate::register::{Register, add, heavy, set};

fn shorten(node: &Node<Register>) {
    let snapshot = run_command(
        &node.config,
        "register",
        &node.config.address,
        ClusterCommand::Snapshot,
    );
    node.block_on(snapshot).unwrap();
}

/// A field in which one node, whose place is given, is down and misses more than the others' logs
/// still hold.
fn left_behind() -> (Field, usize) {
    left_behind_with(&quick())
}

fn left_behind_with(settings: &Settings) -> (Field, usize) {
    let mut field = Field::formed_with(
        3,
        &Settings {
            log_keep_entries: 5,
            ..settings.clone()
        },
    );
    field.nodes[0].propose(&set("before", 1)).unwrap();
    let away = field.follower();
    field.nodes[away].crash();
    let leader = field.leader();
    for n in 0..60 {
        field.nodes[leader]
            .propose(&heavy(&format!("missed {n}"), n, 40_000))
            .unwrap();
    }
    for place in (0..3).filter(|place| *place != away) {
        shorten(&field.nodes[place]);
        field.nodes[place].wait_for("the log is short", |cluster| {
            cluster.status().first_index > 40
        });
    }
    (field, away)
}

fn state_names(node: &Node<Register>) -> Vec<String> {
    let files = node.state_files();
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files
        .iter()
        .map(name)
        .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect()
}

#[test]
fn a_follower_that_misses_what_is_gone_from_the_log_is_sent_the_state() {
    let (mut field, away) = left_behind();
    assert_eq!(
        state_names(&field.nodes[away]),
        ["current", "state-000001.db"]
    );
    field.nodes[away].start();
    field.nodes[away].wait_ready();
    assert_eq!(field.nodes[away].read("missed 59"), Some(59));
    field.assert_equal();
    // It is another file, and the one that it replaced and the ones on the way are gone.
    assert_eq!(
        state_names(&field.nodes[away]),
        ["current", "state-000002.db"]
    );
    eventually("the copy that was sent is gone", || {
        let mut files = field.nodes.iter().flat_map(state_names);
        files.all(|name| !name.starts_with("incoming"))
    });

    // A crash right after it finds it in force.
    field.nodes[away].crash();
    assert_eq!(
        state_names(&field.nodes[away]),
        ["current", "state-000002.db"]
    );
    field.nodes[away].start();
    field.nodes[away].wait_ready();
    field.nodes[away].propose(&add("before", 1)).unwrap();
    field.assert_equal();
}

#[test]
fn a_subscription_that_the_state_overtakes_ends_with_where_the_log_begins() {
    let (mut field, away) = left_behind();
    // Behind what the node has, and gone from the logs of the others.
    let leader = field.leader();
    let next = field.nodes[leader].cluster().status().first_index - 1;
    field.nodes[away].start();
    let node = &field.nodes[away];
    let ended = node.block_on(async {
        let mut subscription = pin!(node.cluster().subscribe(next));
        tokio::time::timeout(PATIENCE, subscription.next())
            .await
            .unwrap()
    });
    assert!(
        matches!(ended, Some(Err(SubscribeError::Compacted { first })) if first > 40),
        "{ended:?}"
    );
}

#[test]
fn a_follower_takes_no_state_for_which_it_has_no_room() {
    let (mut field, away) = left_behind();
    let node = &mut field.nodes[away];
    let headroom = node.config.settings.disk_headroom_bytes;
    // Enough for entries, and for half of the state.
    pretend_free(&node.config.data_dir, Some(headroom / 2 + 1_200_000));
    node.start();
    for _ in 0..150 {
        pause();
        let status = field.nodes[away].cluster().status();
        assert!(status.applied_index < 40 && status.halted.is_none());
        assert_eq!(
            state_names(&field.nodes[away]),
            ["current", "state-000001.db"]
        );
    }
    pretend_free(&field.nodes[away].config.data_dir, None);
    field.nodes[away].wait_ready();
    assert_eq!(field.nodes[away].read("missed 59"), Some(59));
    field.assert_equal();
}

#[test]
fn no_copy_of_the_state_is_made_for_which_there_is_no_room() {
    let headroom = 1 << 20;
    let (mut field, away) = left_behind_with(&Settings {
        disk_headroom_bytes: headroom,
        ..quick()
    });
    // Whichever leads: enough for writes, and less than the state takes.
    let others = [(away + 1) % 3, (away + 2) % 3];
    for place in others {
        let node = &field.nodes[place];
        assert!(node.cluster().status().state_bytes > headroom);
        pretend_free(&node.config.data_dir, Some(headroom + 1));
    }
    field.nodes[away].start();
    for _ in 0..150 {
        pause();
        let mut files = others.iter().flat_map(|at| state_names(&field.nodes[*at]));
        assert!(files.all(|name| !name.starts_with("incoming")));
        assert!(field.nodes[away].cluster().status().applied_index < 40);
    }
    for place in others {
        pretend_free(&field.nodes[place].config.data_dir, None);
    }
    field.nodes[away].wait_ready();
    assert_eq!(field.nodes[away].read("missed 59"), Some(59));
    field.assert_equal();
}

#[test]
fn a_follower_that_crashes_while_it_is_sent_the_state_is_sent_it_again() {
    let (mut field, away) = left_behind();
    // Whenever the crash comes: before, in the middle of, or after the installation.
    for _ in 0..4 {
        field.nodes[away].start();
        eventually("something arrives", || {
            let files = state_names(&field.nodes[away]);
            files
                .iter()
                .any(|name| name.starts_with("incoming") || name == "state-000002.db")
                || field.nodes[away].cluster().status().applied_index > 40
        });
        field.nodes[away].crash();
    }
    field.start_all();
    assert_eq!(field.nodes[away].read("missed 59"), Some(59));
    field.assert_equal();
    assert!(
        state_names(&field.nodes[away])
            .iter()
            .all(|name| !name.starts_with("incoming"))
    );
}

#[test]
fn the_log_shrinks_by_bytes_and_by_time_and_never_past_what_is_durable() {
    let by_bytes = Settings {
        snapshot_bytes: 100_000,
        snapshot_interval_s: 3600,
        log_keep_entries: 2,
        ..quick()
    };
    let by_time = Settings {
        snapshot_bytes: 1 << 30,
        snapshot_interval_s: 1,
        ..by_bytes
    };
    for settings in [by_bytes, by_time] {
        let field = Field::formed_with(1, &settings);
        let node = &field.nodes[0];
        let mut written = 0;
        let mut shrunk = Vec::new();
        eventually("the log is shortened twice", || {
            node.propose(&heavy("a", written, 10_000)).unwrap();
            written += 1;
            // First the log's start, then what is durable: it only grows.
            let first = node.cluster().status().first_index;
            let durable = node.cluster().status().durable_index;
            assert!(
                first <= durable + 1,
                "the log begins at {first}, durable is {durable}"
            );
            if first > 0 && shrunk.last() != Some(&first) {
                shrunk.push(first);
            }
            shrunk.len() >= 2
        });
        let kept = node.cluster().status();
        assert!(kept.last_index >= kept.first_index);
    }
}

#[test]
fn what_is_gone_from_the_log_is_in_the_state_after_a_loss_of_power() {
    let mut field = Field::formed_with(
        1,
        &Settings {
            snapshot_interval_s: 3600,
            log_keep_entries: 0,
            ..quick()
        },
    );
    let node = &mut field.nodes[0];
    for n in 1..=30 {
        assert_eq!(node.propose(&add("sum", 1)).unwrap(), n);
    }
    shorten(node);
    node.wait_for("the log is short", |cluster| {
        cluster.status().first_index > 30
    });
    node.crash();
    // What no checkpoint has moved was never synced.
    for file in node.state_files() {
        let name = file.to_string_lossy();
        if name.ends_with("-wal") || name.ends_with("-shm") {
            std::fs::remove_file(&file).unwrap();
        }
    }
    node.start();
    node.wait_ready();
    assert_eq!(node.read("sum"), Some(30));
}

#[test]
fn a_follower_that_was_away_is_sent_more_than_one_message_can_hold() {
    let mut field = Field::formed(3);
    let away = field.follower();
    field.nodes[away].crash();
    let leader = field.leader();
    // Above the 80 MiB of a message, below the 5,000 entries from which the state is sent instead.
    for n in 0..14 {
        field.nodes[leader]
            .propose(&heavy("big", n, 7 << 20))
            .unwrap();
    }
    field.nodes[away].start();
    field.nodes[away].wait_ready();
    assert_eq!(field.nodes[away].read("big"), Some(13));
    assert_eq!(
        state_names(&field.nodes[away]),
        ["current", "state-000001.db"],
        "by its log"
    );
    field.assert_equal();
}

#[test]
fn neither_a_long_read_nor_an_empty_state_makes_a_snapshot_fatal() {
    let mut field = Field::formed_with(
        1,
        &Settings {
            snapshot_interval_s: 3600,
            log_keep_entries: 2,
            ..quick()
        },
    );
    let node = &field.nodes[0];
    // A reader that holds an old state for as long as it likes.
    let (hold, held) = std::sync::mpsc::sync_channel::<()>(1);
    let (seen, sees) = std::sync::mpsc::sync_channel::<()>(1);
    let seat = node.seat();
    let reader = std::thread::spawn(move || {
        seat.ask(|cluster| async move {
            let read = cluster.read(consensus::Consistency::default(), move |state| {
                let value = crate::register::value(state, "a");
                seen.send(()).unwrap();
                held.recv().unwrap_err();
                value
            });
            read.await.unwrap().value
        })
    });
    sees.recv().unwrap();
    node.propose(&set("a", 1)).unwrap();
    let written = node.cluster().status().applied_index;
    shorten(node);
    for _ in 0..10 {
        node.propose(&add("a", 1)).unwrap();
    }
    // Longer than a checkpoint waits for readers.
    for _ in 0..300 {
        pause();
        let status = node.cluster().status();
        assert!(status.durable_index < written, "the reader is in the way");
        assert!(status.first_index <= status.durable_index + 1);
        assert_eq!(status.halted, None);
    }
    drop(hold);
    assert_eq!(
        reader.join().unwrap(),
        Some(None),
        "it has read what was there when it began"
    );
    for _ in 0..20 {
        node.propose(&add("a", 1)).unwrap();
    }
    eventually("the log is shortened", || {
        shorten(node);
        node.cluster().status().first_index > 10
    });

    let waiting = field.add_node(quick());
    waiting.config.peers = None;
    waiting.start();
    shorten(waiting);
    shorten(waiting);
    assert_eq!(waiting.cluster().status().halted, None);
    assert_eq!(
        waiting.cluster().unready().unwrap(),
        "this node belongs to no cluster yet"
    );
}
