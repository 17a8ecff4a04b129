//! Keys of subjects while nodes are away, join, die, and lose or get back their stores.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use devcluster::Node;
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::cluster::until;
use super::cluster_erasure::{Erasing, driven_by, event, holding, keys_in};
use super::epcis_fixtures::document;

fn store(node: &Node) -> std::path::PathBuf {
    node.data_dir().join("subjects.db")
}

/// Waits until a node's own index finds so many events.
async fn finds(erasing: &Erasing, node: &Node, count: usize) {
    until("the node reads all events", async || {
        let query = "/events?EQ_action=OBSERVE&perPage=1000";
        let answer = erasing.ask(node, Method::GET, query, None).await;
        let found = answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"].clone();
        answer.status == 200 && found.as_array().is_some_and(|found| found.len() == count)
    })
    .await;
}

#[tokio::test]
async fn a_node_that_was_down_during_an_erasure_destroys_its_keys_when_it_returns() {
    let erasing = Erasing::start(3).await;
    let [first, _, third] = erasing.ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    let entries = erasing
        .capture(third, &[event(0, &driven_by("Ann"), "a secret of Ann")])
        .await;
    finds(&erasing, third, 1).await;
    until("the third node has the key", async || {
        keys_in(&third.data_dir()).len() == 1
    })
    .await;
    let key = keys_in(&third.data_dir()).remove(0);
    third.kill().await.expect("killed");
    let erased = erasing.erase_driver(first, "Ann").await;
    assert_eq!(erased["complete"], false, "{erased}");
    let members = erased["members"].as_array().expect("members").iter();
    let away: Vec<_> = members
        .filter(|member| member["destroyed"] == false)
        .map(|member| member["member"].as_str().expect("a name"))
        .collect();
    assert_eq!(away, [third.name()], "{erased}");
    assert_ne!(holding(&third.dir(), &key), [""; 0], "it has it still");
    // Others capture under the same subject meanwhile: it learns the new key, and not to bring the old.
    let again = erasing
        .capture(first, &[event(1, &driven_by("Ann"), "later")])
        .await;
    third.start().await.expect("started");
    third.wait_ready().await.expect("ready");
    erasing.complete(first, &erased).await;
    finds(&erasing, third, 1).await;
    assert_eq!(erasing.status_of(entries[0]).await, 410);
    assert_eq!(erasing.status_of(again[0]).await, 200);
    for node in erasing.ledger.nodes.nodes() {
        for bytes in [&key[..], b"a secret of Ann"] {
            assert_eq!(holding(&node.dir(), bytes), [""; 0], "{}", node.name());
        }
    }
}

#[tokio::test]
async fn a_node_that_joins_later_reads_what_was_captured_under_subjects_keys() {
    let mut erasing = Erasing::start_with(3, |nodes| {
        // The log is short: it is sent the state, which holds no keys.
        nodes
            .env("PROVCHAIN_CONSENSUS__LOG_KEEP_ENTRIES", "1")
            .env("PROVCHAIN_CONSENSUS__SNAPSHOT_INTERVAL_S", "1")
    })
    .await;
    let events: Vec<Value> = (0..40)
        .map(|number| event(number, &driven_by(&format!("driver {}", number % 7)), "x"))
        .collect();
    let entries = erasing.capture(erasing.ledger.first(), &events).await;
    let erased = erasing
        .erase_driver(erasing.ledger.first(), "driver 0")
        .await;
    let joined = erasing
        .ledger
        .nodes
        .add_node("node")
        .await
        .expect("added")
        .name()
        .to_owned();
    let node = erasing.ledger.nodes.node(&joined).expect("a node");
    node.wait_ready().await.expect("ready");
    let left = (0..40).filter(|number| number % 7 != 0).count();
    finds(&erasing, node, left).await;
    for (number, entry) in entries.iter().enumerate() {
        let wanted = if number % 7 == 0 { 410 } else { 200 };
        assert_eq!(erasing.status_of(*entry).await, wanted);
    }
    assert_eq!(keys_in(&node.data_dir()).len(), 6);
    let told = erasing.complete(node, &erased).await;
    assert_eq!(told["members"].as_array().map(Vec::len), Some(4), "{told}");
}

#[tokio::test]
async fn killing_the_node_that_captured_right_after_it_said_so_loses_nothing() {
    let erasing = Erasing::start(3).await;
    let mut entries = Vec::new();
    for (number, node) in erasing.ledger.nodes.nodes().iter().enumerate() {
        let events = [
            event(number * 2, &driven_by(&format!("driver {number}")), "kept"),
            event(
                number * 2 + 1,
                &json!({ "ext:driver": ["a", "b", number] }),
                "kept",
            ),
        ];
        entries.extend(erasing.capture(node, &events).await);
        node.kill().await.expect("killed");
        // Its disk is lost with it: who has the keys are the others.
        std::fs::remove_file(store(node)).expect("removed");
        for entry in &entries {
            until("the others read it", async || {
                let path = format!("/api/v1/entries/{entry}/event");
                let mut read = 0;
                for other in erasing.ledger.nodes.nodes() {
                    if other.is_running() {
                        let answer = erasing.ask(other, Method::GET, &path, None).await;
                        read += usize::from(answer.status == 200);
                    }
                }
                read == 2
            })
            .await;
        }
        node.start().await.expect("started");
        node.wait_ready().await.expect("ready");
        finds(&erasing, node, entries.len()).await;
        until("it has all keys again", async || {
            let counts = erasing.ledger.nodes.nodes().iter();
            let counts: BTreeSet<_> = counts.map(|node| keys_in(&node.data_dir()).len()).collect();
            counts.len() == 1
        })
        .await;
    }
}

#[tokio::test]
async fn without_a_majority_that_keeps_the_keys_nothing_is_captured() {
    let erasing = Erasing::start(3).await;
    let [first, second, third] = erasing.ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    // The others go on with the log, and cannot write keys.
    let held: Vec<Connection> = [second, third].into_iter().map(held).collect();
    let of_somebody = document(&json!([event(0, &driven_by("Ann"), "x")]));
    let captured = erasing.ledger.try_capture(first, &of_somebody).await;
    let problem = captured.expect("an answer").problem(503);
    assert!(problem.to_string().contains("1 of 2 members"), "{problem}");
    let of_nobody = document(&json!([event(1, &json!({}), "x")]));
    let receipt = erasing.ledger.capture(first, &of_nobody).await;
    assert_eq!(receipt["treeSize"], 1, "{receipt}");
    drop(held);
    erasing.ledger.capture(first, &of_somebody).await;
}

/// Keeps a node from writing keys for as long as the value lives.
#[expect(clippy::disallowed_methods, reason = "a store, to be held up")]
fn held(node: &Node) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(store(node), flags).expect("a store");
    connection
        .busy_timeout(Duration::from_secs(10))
        .expect("set");
    connection.execute_batch("BEGIN EXCLUSIVE").expect("held");
    connection
}

#[tokio::test]
async fn entries_whose_keys_are_nowhere_are_locked_and_come_back_with_a_copy_of_the_keys() {
    let erasing = Erasing::start(3).await;
    let ledger = &erasing.ledger;
    let [first, second, third] = ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    let entries = erasing
        .capture(
            first,
            &[
                event(0, &driven_by("Ann"), "a secret of Ann"),
                event(1, &driven_by("Bob"), "Bob's"),
            ],
        )
        .await;
    until("the third has the keys", async || {
        keys_in(&third.data_dir()).len() == 2
    })
    .await;
    let copied = ledger.scratch("keys").join("copy.db");
    for node in [first, second, third] {
        node.stop().await.expect("stopped");
        std::fs::rename(store(node), &copied).expect("taken away");
        for file in ["index.db", "index.db-wal", "index.db-shm"] {
            drop(std::fs::remove_file(node.data_dir().join(file)));
        }
    }
    ledger.nodes.start_stopped().await.expect("started");
    ledger.nodes.wait_ready().await.expect("ready");
    for entry in &entries {
        assert_eq!(erasing.status_of(*entry).await, 503, "locked, and not lost");
    }
    // Others are not held up by them.
    let later = erasing
        .capture(
            second,
            &[
                event(2, &driven_by("Ann"), "later"),
                event(3, &json!({}), "x"),
            ],
        )
        .await;
    for node in [first, second, third] {
        finds(&erasing, node, 2).await;
    }
    assert_eq!(erasing.status_of(later[0]).await, 200);
    // Erased while nobody has the key; then an old copy of all keys is put back on one node.
    let erased = erasing.erase_driver(first, "Ann").await;
    erasing.complete(first, &erased).await;
    let restored = keys_in_file(&copied);
    assert_eq!(restored.len(), 2);
    third.stop().await.expect("stopped");
    std::fs::copy(&copied, store(third)).expect("put back");
    third.start().await.expect("started");
    third.wait_ready().await.expect("ready");
    // Everybody reads Bob's again, nobody Ann's, and hers is in no store.
    for node in [first, second, third] {
        finds(&erasing, node, 2).await;
    }
    assert_eq!(erasing.status_of(entries[0]).await, 410);
    assert_eq!(erasing.status_of(entries[1]).await, 200);
    assert_eq!(erasing.status_of(later[0]).await, 410);
    erasing.complete(third, &erased).await;
    for node in [first, second, third] {
        let left = keys_in(&node.data_dir());
        let of_the_copy = restored.iter().filter(|key| left.contains(key)).count();
        assert_eq!(
            (left.len(), of_the_copy),
            (1, 1),
            "Bob's on {}",
            node.name()
        );
    }
}

fn keys_in_file(copy: &std::path::Path) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(copy, folder.path().join("subjects.db")).expect("copied");
    keys_in(folder.path())
}

#[tokio::test]
async fn captures_and_erasures_at_the_same_time_leave_every_event_readable_or_erased() {
    const WRITERS: usize = 3;
    const ERASURES: usize = 12;
    let erasing = Erasing::start(3).await;
    let nodes = erasing.ledger.nodes.nodes();
    let (stop, number) = (AtomicBool::new(false), AtomicUsize::new(0));
    let written = Mutex::new(Vec::new());
    let write = async |node: &Node| {
        while !stop.load(Ordering::Relaxed) {
            let number = number.fetch_add(1, Ordering::Relaxed);
            let body = document(&json!([event(number, &driven_by("Ann"), "contended")]));
            let answer = erasing
                .ledger
                .try_capture(node, &body)
                .await
                .expect("an answer");
            if answer.status == 202 {
                let entry = answer.json()["entries"][0].as_u64().expect("an entry");
                written.lock().unwrap().push(entry);
            } else {
                answer.problem(503);
            }
        }
    };
    let erase = async {
        for round in 0..ERASURES {
            let before = written.lock().unwrap().len();
            until("something is captured in between", async || {
                written.lock().unwrap().len() > before + WRITERS
            })
            .await;
            erasing.erase_driver(&nodes[round % 3], "Ann").await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(write(&nodes[0]), write(&nodes[1]), write(&nodes[2]), erase);
    let written = written.into_inner().unwrap();
    // Acknowledged, it is read everywhere or erased everywhere; nothing is under a key that is gone.
    let mut statuses = BTreeSet::new();
    for entry in &written {
        let status = erasing.status_of(*entry).await;
        assert!([200, 410].contains(&status), "entry {entry}: {status}");
        statuses.insert(status);
    }
    assert!(
        statuses.contains(&410),
        "{} events show little",
        written.len()
    );
    let erased = erasing.erase_driver(&nodes[0], "Ann").await;
    erasing.complete(&nodes[1], &erased).await;
    for entry in &written {
        assert_eq!(erasing.status_of(*entry).await, 410);
    }
    for node in nodes {
        assert_eq!(
            keys_in(&node.data_dir()),
            [[0_u8; 32]; 0],
            "{}",
            node.name()
        );
        assert_eq!(
            holding(&node.dir(), b"contended"),
            [""; 0],
            "{}",
            node.name()
        );
    }
}
