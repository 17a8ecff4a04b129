//! What was acknowledged stays, whichever nodes are killed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use provchain::sample::Sample;
use serde_json::Value;

use super::cluster::{Ledger, until};

/// Events in each document of a writer: small, so that faults fall between and into them.
const BATCH: usize = 5;

/// What a writer was told.
#[derive(Default)]
struct Written {
    /// Between two documents.
    pause: Duration,
    /// The event at each acknowledged entry.
    events: Mutex<BTreeMap<u64, Value>>,
    /// How often each way to fail came up.
    failures: Mutex<BTreeMap<String, usize>>,
    stop: AtomicBool,
}

impl Written {
    fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }

    /// Waits until `more` further events are acknowledged.
    async fn progress(&self, more: usize) {
        let wanted = self.count() + more;
        until("the writer gets on", async || self.count() >= wanted).await;
    }

    /// Captures documents one after the other until it is stopped. What fails is sent again, to
    /// the next node: capturing twice captures once.
    async fn write(&self, ledger: &Ledger, seed: u64) {
        let mut sample = Sample::new(100_000, seed);
        let mut nodes = ledger.nodes.nodes().iter().cycle();
        for document in sample.documents(BATCH) {
            let receipt = loop {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                let node = nodes.next().expect("a cycle has no end");
                let failure = match ledger.try_capture(node, &document).await {
                    Ok(answer) if answer.status == 202 => break answer.json(),
                    Ok(answer) => {
                        answer.problem(503);
                        "503".to_owned()
                    }
                    Err(error) if error.is_connect() => "no connection".to_owned(),
                    Err(error) if error.is_timeout() => "no answer".to_owned(),
                    Err(_) => "cut off".to_owned(),
                };
                *self.failures.lock().unwrap().entry(failure).or_default() += 1;
            };
            tokio::time::sleep(self.pause).await;
            let entries = receipt["entries"].as_array().expect("entries");
            let events = document["epcisBody"]["eventList"]
                .as_array()
                .expect("events");
            assert_eq!(entries.len(), events.len());
            let mut written = self.events.lock().unwrap();
            for (entry, event) in entries.iter().zip(events) {
                let other = written.insert(entry.as_u64().expect("a number"), event.clone());
                assert_eq!(other, None, "entry {entry} was acknowledged for two events");
            }
        }
    }

    /// Every acknowledged event is where it was said to be, on all nodes, under one root.
    async fn check(&self, ledger: &Ledger) {
        let tree = ledger.common_tree().await;
        let written = self.events.lock().unwrap().clone();
        for node in ledger.nodes.nodes() {
            for (entry, event) in &written {
                let path = format!("/api/v1/entries/{entry}/event");
                let found = ledger.json(node, &path).await;
                assert_eq!(
                    found["eventID"],
                    event["eventID"],
                    "{}: {path}",
                    node.name()
                );
            }
        }
        println!(
            "{} events acknowledged, all of them in a tree of {} on every node; failures: {:?}",
            written.len(),
            tree.size,
            self.failures.lock().unwrap()
        );
    }
}

#[tokio::test]
async fn no_acknowledged_event_is_lost_when_each_node_is_killed_in_turn() {
    let ledger = Ledger::start(3).await;
    let written = Written::default();
    let faults = async {
        for node in ledger.nodes.nodes() {
            written.progress(40).await;
            node.kill().await.expect("killed");
            written.progress(40).await;
            node.start().await.expect("started");
            node.wait_ready().await.expect("back again");
        }
        written.progress(40).await;
        written.stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(written.write(&ledger, 11), faults);
    written.check(&ledger).await;
}

#[tokio::test]
async fn killing_all_nodes_loses_nothing_and_the_tree_is_the_same_afterwards() {
    let ledger = Ledger::start(3).await;
    let written = Written::default();
    let faults = async {
        written.progress(60).await;
        ledger.nodes.kill_all().await.expect("killed");
        written.stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(written.write(&ledger, 12), faults);
    ledger.nodes.start_stopped().await.expect("started");
    ledger.nodes.wait_ready().await.expect("back again");
    written.check(&ledger).await;

    // With nobody writing, the very same tree comes back.
    let before = ledger.common_tree().await;
    ledger.nodes.kill_all().await.expect("killed");
    ledger.nodes.start_stopped().await.expect("started");
    ledger.nodes.wait_ready().await.expect("back again");
    assert_eq!(ledger.common_tree().await, before);
}

#[tokio::test]
async fn a_rolling_restart_in_any_order_keeps_serving() {
    let ledger = Ledger::start(3).await;
    for order in [["node1", "node2", "node3"], ["node3", "node1", "node2"]] {
        // Restarts take their time: what is asked is that writing goes on, not how much is written.
        let written = Written {
            pause: Duration::from_millis(100),
            ..Written::default()
        };
        let restarts = async {
            ledger
                .nodes
                .rolling_restart(&order)
                .await
                .expect("restarted");
            written.progress(10).await;
            written.stop.store(true, Ordering::Relaxed);
        };
        tokio::join!(written.write(&ledger, 13), restarts);
        written.check(&ledger).await;
    }
}

#[tokio::test]
async fn a_wiped_first_node_acknowledges_nothing_beside_its_old_cluster() {
    let ledger = Ledger::start(3).await;
    ledger.capture_sample(100, 14).await;
    let first = ledger.first();
    let others = &ledger.nodes.nodes()[1..];
    first.kill().await.expect("killed");
    first.wipe().expect("wiped");
    first.start().await.expect("started");

    // The old cluster goes on; whatever the wiped node takes meanwhile is the old cluster's, too.
    let mut sample = Sample::new(200, 14);
    let documents: Vec<Value> = sample.documents(1).collect();
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for (mine, theirs) in documents[100..150].iter().zip(&documents[150..]) {
        ledger.capture(&others[0], theirs).await;
        let told = match ledger.try_capture(first, mine).await {
            Ok(answer) if answer.status == 202 => {
                // It may have joined again; then what it takes is in the old cluster's tree.
                let entry = answer.json()["entries"][0].clone();
                let path = format!("/api/v1/entries/{entry}/event");
                for other in others {
                    let found = ledger.json(other, &path).await;
                    let wanted = &mine["epcisBody"]["eventList"][0]["eventID"];
                    assert_eq!(&found["eventID"], wanted, "acknowledged beside the cluster");
                }
                "taken by the old cluster".to_owned()
            }
            Ok(answer) => format!("{}", answer.status),
            Err(_) => "no answer".to_owned(),
        };
        *answers.entry(told).or_default() += 1;
    }
    println!("the wiped node answered: {answers:?}");
}
