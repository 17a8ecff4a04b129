//! The ledger in containers: its image, and three nodes of it on a network that fails.
//!
//! `TESTCONTAINERS_COMMAND=keep` leaves the containers behind, with their logs.

#[path = "containers/cluster.rs"]
mod cluster;
#[path = "containers/compose.rs"]
mod compose;
#[path = "containers/image.rs"]
mod image;
#[path = "containers/machines.rs"]
mod machines;
#[path = "containers/strategies.rs"]
mod strategies;

use cluster::{Cluster, Node};
use image::Ledger;
use serde_json::Value;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::HealthStatusEnum::HEALTHY;

/// Events in one document.
const BATCH: usize = 5;

/// A connection to the engine; none where `TEST_CONTAINERS=no` leaves these tests out. Without an
/// engine and without this setting they fail: a test that did not run must not read as a pass.
async fn engine() -> Option<Docker> {
    if std::env::var_os("TEST_CONTAINERS").is_some_and(|setting| setting == "no") {
        eprintln!("NOT RUN: TEST_CONTAINERS=no");
        return None;
    }
    Some(cluster::docker().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_says_what_it_is_and_runs_as_nobody() {
    let Some(docker) = engine().await else {
        return;
    };
    let ledger = Ledger::build();
    let image = docker.inspect_image(&ledger.image).await.expect("an image");
    let config = image.config.expect("a configuration");

    assert_eq!(config.user.as_deref(), Some("65532:65532"));
    let labels = config.labels.expect("labels");
    for name in ["title", "description", "licenses", "version"] {
        let label = labels.get(&format!("org.opencontainers.image.{name}"));
        assert!(label.is_some_and(|text| !text.is_empty()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_shell_reports_its_health_and_stops_in_order_when_asked() {
    let Some(docker) = engine().await else {
        return;
    };
    let cluster = Cluster::start(&docker, Ledger::build(), 1).await;
    let node = cluster.node(0);
    let state = node.inspect().await.state.expect("a state");
    assert_eq!(state.health.and_then(|health| health.status), Some(HEALTHY));
    assert!(node.runs(&["/usr/bin/provchain", "health"]).await);
    assert!(!node.runs(&["/bin/sh", "-c", "exit"]).await);
    assert_eq!(node.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_survive_a_killed_leader_and_then_a_leader_cut_off() {
    let Some(docker) = engine().await else {
        return;
    };
    let ledger = Ledger::build();
    let cluster = Cluster::start(&docker, ledger, 3).await;
    let documents = ledger.sample(8 * BATCH, BATCH);
    let mut documents = documents.iter();
    let mut next = || documents.next().expect("a document");
    let mut captured = Vec::new();

    for node in cluster.nodes() {
        captured.extend(node.capture_until_acknowledged(next()).await);
    }

    let killed = cluster.leader().await;
    killed.kill().await;
    for node in cluster.without(killed) {
        captured.extend(node.capture_until_acknowledged(next()).await);
    }
    killed.start_again().await;
    killed.ready().await;

    let cut_off = cluster.leader().await;
    let refused = next();
    cut_off.cut_off().await;
    let (answer, acknowledged) = tokio::join!(cut_off.capture(refused), async {
        let mut acknowledged = Vec::new();
        for node in cluster.without(cut_off) {
            acknowledged.extend(node.capture_until_acknowledged(next()).await);
        }
        acknowledged
    });
    captured.extend(acknowledged);
    let answer = answer.map(drop);
    let problem = answer.expect_err("a leader that nobody follows acknowledged a write");
    assert!(problem.starts_with("503"), "{problem}");
    cut_off.heal().await;
    cut_off.ready().await;

    captured.extend(cut_off.capture_until_acknowledged(refused).await);
    assert_all_hold(&cluster, &captured).await;
}

/// Every node answers with every event, and with the same tree over them.
async fn assert_all_hold(cluster: &Cluster, captured: &[Value]) {
    let mut trees = Vec::new();
    for node in cluster.nodes() {
        for event in captured {
            assert_holds(node, event).await;
        }
        trees.push(node.tree().await);
    }
    let size: u64 = trees[0].size;
    assert_eq!(size, captured.len() as u64, "each event once");
    for tree in &trees {
        assert_eq!(*tree, trees[0]);
    }
}

async fn assert_holds(node: &Node, event: &Value) {
    let id = event["eventID"].as_str().expect("samples have ids");
    let stored: Value = node.get(&format!("/events/{id}")).await;
    for (field, value) in event.as_object().expect("an event") {
        assert_eq!(&stored[field], value, "{field} of {id} on {}", node.name());
    }
}
