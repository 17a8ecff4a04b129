//! What a node holds in memory is bounded in bytes, and what is stuck holds nobody else up: real
//! processes, because what one takes is known of a process only.

use std::time::{Duration, Instant};

use consensus::Status;
use devcluster::{Catalogue, Cluster, Node};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{PATIENCE, register_node};

const CATALOGUE: &str = include_str!("../register.json");
const MIB: u64 = 1 << 20;
/// Under the largest command, with what is around it.
const HEAVY: u64 = 8 * MIB - 4096;
/// What may be under way, stay of the log in memory, and wait for a follower's disk.
const LIMIT: u64 = 16 * MIB;
/// What a node may have in all: beside what is limited, commands on their way are there several
/// times, read, encoded, written and sent, and SQLite and the allocator keep something. Every test
/// sends more.
const MOST: u64 = 384 * MIB;

struct Processes {
    cluster: Cluster,
    http: reqwest::Client,
    _folder: TempDir,
}

impl Processes {
    async fn start(nodes: u16) -> Self {
        kit::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let settings = json!({
            "heartbeat_ms": 50,
            // Nobody is to take the lead from a leader whose processor has much else to do, and a
            // leader without a majority takes proposals for as long as this.
            "election_timeout_ms_min": 4000,
            "election_timeout_ms_max": 5000,
            "formation_wait_ms": 100,
            "propose_timeout_ms": 10_000,
            "log_memory_bytes_max": LIMIT,
            "proposal_bytes_max": LIMIT,
            "snapshot_bytes": 1_u64 << 40,
        });
        let catalogue = Catalogue::parse(CATALOGUE, "register.json").unwrap();
        let cluster = Cluster::builder(&catalogue, "register")
            .dir(folder.path())
            .nodes(nodes)
            .binary(register_node())
            .env("REGISTER_SETTINGS", &settings.to_string())
            .env("REGISTER_LOG_LEVEL", "error")
            .patience(PATIENCE)
            .start()
            .await
            .expect("the nodes start");
        cluster.wait_ready().await.expect("the nodes get ready");
        let field = Self {
            cluster,
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
            _folder: folder,
        };
        field.all_vote().await;
        field
    }

    /// Waits until all nodes vote: before, one that is stopped may be half of a majority.
    async fn all_vote(&self) {
        let leader = self.cluster.leader().await.unwrap();
        let url = format!("{}/status", leader.url("api").unwrap());
        let (nodes, begun) = (self.cluster.nodes().len(), Instant::now());
        loop {
            let told = self.http.get(&url).send().await.unwrap();
            let status: Status = told.json().await.unwrap();
            let voters = status.members.iter().filter(|member| member.voter);
            if voters.count() == nodes && !status.changing {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn leader_and_followers(&self) -> (&Node, Vec<&Node>) {
        let leader = self.cluster.leader().await.unwrap();
        let others = self.cluster.nodes().iter();
        let followers = others.filter(|node| node.name() != leader.name());
        (leader, followers.collect())
    }

    /// The leader, and its followers, which are frozen: none of them has taken the lead meanwhile.
    async fn leader_alone(&self) -> (&Node, Vec<&Node>) {
        loop {
            let (leader, followers) = self.leader_and_followers().await;
            for follower in &followers {
                follower.pause().await.unwrap();
            }
            let asked = leader.health().await;
            if asked.is_ok_and(|answer| answer.health.is_leader()) {
                return (leader, followers);
            }
            for follower in &followers {
                follower.resume().await.unwrap();
            }
        }
    }

    async fn tell(&self, node: &Node, what: &str, value: &Value) -> (StatusCode, Value) {
        let url = node.url("api").unwrap();
        let told = self.http.post(format!("{url}/{what}")).json(value).send();
        let answer = told.await.unwrap();
        let status = answer.status();
        let said = answer.text().await.unwrap();
        // A refusal is said in words.
        (
            status,
            serde_json::from_str(&said).unwrap_or(Value::String(said)),
        )
    }

    /// Adds one to the register `sum` by a command with so many more bytes.
    async fn add(&self, node: &Node, ballast: u64) -> (StatusCode, Value) {
        let command =
            json!({"name": "sum", "action": {"add": 1}, "request": null, "ballast": ballast});
        self.tell(node, "operation", &command).await
    }

    /// The sum at a node once it has caught up: until then it refuses to say.
    async fn sum(&self, node: &Node) -> i64 {
        let read = json!({"name": "sum", "action": "get", "request": null});
        let begun = Instant::now();
        loop {
            let (status, answer) = self.tell(node, "operation", &read).await;
            if status == StatusCode::OK {
                return answer["value"].as_i64().unwrap_or(0);
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            assert!(begun.elapsed() < PATIENCE, "{answer}");
        }
    }

    /// Adds so often, by two clients.
    async fn add_heavily(&self, node: &Node, times: usize, ballast: u64) {
        let clients = (0..2).map(|_| async {
            for _ in 0..times / 2 {
                let (status, answer) = self.add(node, ballast).await;
                assert_eq!(status, StatusCode::OK, "{answer}");
            }
        });
        join_all(clients).await;
    }
}

/// The bytes that a process has of its own, and the most that it has had since [`forget_most`].
fn memory(node: &Node) -> (u64, u64) {
    let pid = node.pid().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kib = line.split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() * 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

fn forget_most(node: &Node) {
    let pid = node.pid().expect("it runs");
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// Asserts that a node has never had more memory than [`MOST`] since [`forget_most`].
fn assert_bounded(node: &Node) {
    let (now, most) = memory(node);
    println!(
        "{}: {} MiB now, {} MiB at most",
        node.name(),
        now / MIB,
        most / MIB
    );
    assert!(
        most <= MOST,
        "{} had {} MiB, where at most {} are to be",
        node.name(),
        most / MIB,
        MOST / MIB
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_stopped_holds_nobody_up_and_costs_the_leader_bounded_memory() {
    let field = Processes::start(3).await;
    let (leader, followers) = field.leader_and_followers().await;
    followers[0].pause().await.unwrap();
    forget_most(leader);
    // All of it completes while that one does nothing at all.
    field.add_heavily(leader, 64, HEAVY).await;
    assert_bounded(leader);
    assert_eq!(field.sum(followers[1]).await, 64);
    followers[0].resume().await.unwrap();
    assert_eq!(field.sum(followers[0]).await, 64, "it has caught up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_disk_hangs_holds_nobody_up_and_takes_bounded_memory() {
    let field = Processes::start(3).await;
    let (leader, followers) = field.leader_and_followers().await;
    let (stuck, other) = (followers[0], followers[1]);
    field.tell(stuck, "stall", &json!(true)).await;
    for node in [leader, stuck] {
        forget_most(node);
    }
    field.add_heavily(leader, 64, HEAVY).await;
    assert_bounded(leader);
    assert_bounded(stuck);
    assert_eq!(field.sum(other).await, 64);
    field.tell(stuck, "stall", &json!(false)).await;
    assert_eq!(field.sum(stuck).await, 64, "it has caught up");
    assert_bounded(stuck);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_at_a_cluster_without_a_majority_take_bounded_memory_and_small_ones_go_on_later()
{
    let field = Processes::start(3).await;
    let (leader, followers) = field.leader_alone().await;
    forget_most(leader);
    // As many as have a place wait until they are given up, and all others are refused.
    let asked = join_all((0..60).map(|_| field.add(leader, HEAVY))).await;
    assert_bounded(leader);
    let (mut given_up, mut refused) = (0, 0);
    for (status, answer) in asked {
        match status {
            StatusCode::GATEWAY_TIMEOUT => given_up += 1,
            StatusCode::SERVICE_UNAVAILABLE => refused += 1,
            status => panic!("{status}: {answer}"),
        }
    }
    assert_eq!((given_up, refused), (2, 58));
    // What was given up is in the log, and counts until it is applied: nothing more is taken.
    let (status, answer) = field.add(leader, HEAVY).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    for follower in &followers {
        follower.resume().await.unwrap();
    }
    field.cluster.wait_ready().await.unwrap();
    let mut acknowledged = 0;
    while acknowledged < 20 {
        let (status, _) = field.add(followers[0], 0).await;
        acknowledged += i64::from(status == StatusCode::OK);
    }
    assert!(field.sum(followers[1]).await >= acknowledged);
    let (status, answer) = field.add(leader, HEAVY).await;
    assert_eq!(status, StatusCode::OK, "there is a place again: {answer}");
    for node in field.cluster.nodes() {
        assert_bounded(node);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_has_to_be_applied_again_is_applied_in_parts() {
    let field = Processes::start(1).await;
    let node = &field.cluster.nodes()[0];
    field.add_heavily(node, 400, MIB).await;
    // A loss of power: nothing of the state was synced since the last checkpoint.
    node.kill().await.unwrap();
    for file in std::fs::read_dir(node.data_dir().join("state")).unwrap() {
        let path = file.unwrap().path();
        let name = path.to_string_lossy();
        if name.ends_with("-wal") || name.ends_with("-shm") {
            std::fs::remove_file(&path).unwrap();
        }
    }
    node.start().await.unwrap();
    field.cluster.wait_ready().await.unwrap();
    assert_eq!(field.sum(node).await, 400);
    assert_bounded(node);
}
