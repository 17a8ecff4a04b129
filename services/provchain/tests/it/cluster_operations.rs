//! What an operator does with a running ledger by the commands of the binary, and what its metrics
//! say meanwhile.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use devcluster::Node;
use reqwest::Method;
use serde_json::Value;

use super::cluster::{Ledger, PROVCHAIN, answer, until};

/// Runs `provchain cluster …` against a node.
fn cluster(ledger: &Ledger, node: &Node, arguments: &[&str]) -> Output {
    Command::new(PROVCHAIN)
        .env_clear()
        .env("JWT_SECRET", ledger.nodes.secret("jwt").expect("a secret"))
        .env("PROVCHAIN_NETWORK_ID", "development")
        .args([
            "cluster",
            "--address",
            &node.address("api").expect("a port"),
        ])
        .args(arguments)
        .output()
        .expect("it runs")
}

/// What a command that must succeed prints.
fn done(ledger: &Ledger, node: &Node, arguments: &[&str]) -> String {
    let output = cluster(ledger, node, arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("text")
}

fn status(ledger: &Ledger, node: &Node) -> Value {
    let status = done(ledger, node, &["status", "--json"]);
    serde_json::from_str(&status).expect("JSON")
}

/// The names of the voters that the node sees and reaches.
fn voters(ledger: &Ledger, node: &Node) -> Vec<String> {
    let status = status(ledger, node);
    let members = status["members"].as_array().expect("members").iter();
    let mut names: Vec<String> = members
        .filter(|member| member["voter"] == true && member["reachable"] == true)
        .map(|member| member["name"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

fn named<'a>(ledger: &'a Ledger, name: &str) -> &'a Node {
    let mut nodes = ledger.nodes.nodes().iter();
    nodes.find(|node| node.name() == name).expect("a node")
}

#[tokio::test]
async fn an_operator_moves_the_leadership_replaces_a_machine_and_removes_a_node() {
    let keep = "PROVCHAIN_CONSENSUS__LOG_KEEP_ENTRIES";
    let mut ledger = Ledger::start_with(3, |nodes| nodes.env(keep, "1")).await;
    ledger.capture_sample(300, 71).await;
    let all: Vec<String> = ledger
        .nodes
        .nodes()
        .iter()
        .map(|node| node.name().to_owned())
        .collect();
    until("all see all", async || {
        let mut nodes = ledger.nodes.nodes().iter();
        nodes.all(|node| voters(&ledger, node) == all)
    })
    .await;
    let table = done(&ledger, ledger.first(), &["status"]);
    assert!(all.iter().all(|name| table.contains(name)), "{table}");

    let old = status(&ledger, ledger.first())["leader"].clone();
    let next = all.iter().find(|name| old != **name).expect("a follower");
    done(&ledger, ledger.first(), &["transfer", next]);
    until("it leads", async || {
        status(&ledger, ledger.first())["leader"] == **next
    })
    .await;

    // The log that a new machine would need is gone: it is sent the state.
    for node in ledger.nodes.nodes() {
        done(&ledger, node, &["snapshot"]);
    }
    until("the leader's log is shorter", async || {
        let index = &status(&ledger, named(&ledger, next))["first_index"];
        index.as_u64().expect("an index") > 1
    })
    .await;
    let replaced = all.iter().find(|name| *name != next).expect("another");
    ledger.nodes.replace(replaced, None).await.expect("started");
    until("the new machine votes in the old one's place", async || {
        voters(&ledger, named(&ledger, next)) == all
    })
    .await;
    ledger.nodes.wait_ready().await.expect("ready");
    assert_eq!(ledger.common_tree().await.size, 300);
    let metrics = metrics(&ledger, named(&ledger, replaced)).await;
    assert_eq!(metrics["consensus_snapshots_installed_total"], 1.0);

    let removed = done(&ledger, named(&ledger, next), &["remove", replaced]);
    assert!(removed.contains(replaced), "{removed}");
    until("it counts no more", async || {
        voters(&ledger, named(&ledger, next)).len() == 2
    })
    .await;
    let again = cluster(&ledger, named(&ledger, next), &["remove", replaced]);
    let complaint = String::from_utf8_lossy(&again.stderr);
    assert!(
        !again.status.success() && complaint.contains(replaced),
        "{complaint}"
    );
}

/// What Prometheus would read of a node; the labels of a series are part of its name.
async fn metrics(ledger: &Ledger, node: &Node) -> BTreeMap<String, f64> {
    let request = ledger.request_at("metrics", Method::GET, node, "/metrics");
    let exposition = answer(request).await.expect("an answer");
    assert_eq!(exposition.status, 200);
    exposition
        .text()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect()
}

#[tokio::test]
async fn metrics_tell_who_leads_how_far_each_node_is_and_what_writing_costs() {
    let ledger = Ledger::start(3).await;
    ledger.capture_sample(200, 72).await;
    let status = status(&ledger, ledger.first());
    let leader = status["leader"].as_str().expect("a leader");
    for node in ledger.nodes.nodes() {
        let leads = f64::from(node.name() == leader);
        let caught_up = async || {
            let metrics = metrics(&ledger, node).await;
            let value = |name| metrics.get(name).copied();
            value("provchain_ledger_entries") == Some(200.0)
                && value("provchain_index_entries") == Some(200.0)
                && value("consensus_lag_entries") == Some(0.0)
                && value("consensus_applied_index") == value("consensus_committed_index")
        };
        until("the metrics tell of all events", caught_up).await;
        let metrics = metrics(&ledger, node).await;
        let value = |name: &str| {
            *metrics
                .get(name)
                .unwrap_or_else(|| panic!("{} has no {name}: {metrics:#?}", node.name()))
        };
        assert_eq!(value("consensus_role{role=\"leader\"}"), leads);
        assert_eq!(value("consensus_role{role=\"follower\"}"), 1.0 - leads);
        assert_eq!(Some(value("consensus_term")), status["term"].as_f64());
        assert_eq!(value("consensus_has_leader"), 1.0);
        assert_eq!(value("consensus_members"), 3.0);
        assert_eq!(value("consensus_halted"), 0.0);
        assert!(value("consensus_last_index") >= value("consensus_committed_index"));
        assert!(value("consensus_state_bytes") > 0.0);
        for histogram in [
            "consensus_log_sync_seconds",
            "consensus_log_sync_entries",
            "consensus_apply_seconds",
            "consensus_apply_entries",
            "consensus_peer_round_trip_seconds",
        ] {
            let counts = metrics
                .iter()
                .filter(|(name, _)| name.starts_with(&format!("{histogram}_count")));
            assert!(
                counts.map(|(_, count)| count).sum::<f64>() > 0.0,
                "{histogram}"
            );
        }
        if node.name() == leader {
            // The founding, three keys and two captures, blocks apart.
            assert!(value("consensus_proposals_total{outcome=\"applied\"}") >= 6.0);
        }
    }
}
