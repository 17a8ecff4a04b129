//! Histories of operations on a real cluster that is being harmed: each must be one that a single
//! register could have had.
//!
//! `HISTORY_SEED` repeats what was done and asked; `MINUTES` sets for how long, and `HISTORY_LOG`
//! what the nodes log. Under fire, a failure leaves their folder behind.

#[path = "histories/client.rs"]
mod client;
#[path = "histories/history.rs"]
pub mod history;
#[path = "histories/nemesis.rs"]
mod nemesis;

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use devcluster::{Catalogue, Cluster};
use serde_json::json;
use tempfile::TempDir;

use self::client::{Client, Registers, Shared};
use self::history::{Action, History, Outcome, impossible};
use self::nemesis::{FAULTS, Nemesis};
use crate::harness::register_node;

const CATALOGUE: &str = include_str!("../register.json");
const CLIENTS: u32 = 6;

pub fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var_os(name)?.into_string().ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} cannot be {value:?}")),
    )
}

/// Logs are shortened all the time, so that members that were away need the whole state.
const SNAPSHOT_BYTES: u32 = 64 << 10;

/// A cluster of three processes whose network can fail.
async fn cluster(folder: &TempDir, snapshot_bytes: u32) -> Cluster {
    let settings = json!({
        "heartbeat_ms": 50,
        "election_timeout_ms_min": 300,
        "election_timeout_ms_max": 500,
        "formation_wait_ms": 300,
        "propose_timeout_ms": 2500,
        "snapshot_bytes": snapshot_bytes,
        "log_keep_entries": 100,
    });
    let catalogue = Catalogue::parse(CATALOGUE, "register.json").unwrap();
    let level = setting("HISTORY_LOG").unwrap_or_else(|| "warn".to_owned());
    let cluster = Cluster::builder(&catalogue, "register")
        .dir(folder.path())
        .env("REGISTER_LOG_LEVEL", &level)
        .binary(register_node())
        .env("REGISTER_SETTINGS", &settings.to_string())
        .through_proxies(true)
        .patience(Duration::from_secs(90))
        .start()
        .await
        .expect("the nodes start");
    cluster.wait_ready().await.expect("the nodes get ready");
    cluster
}

fn shared(cluster: &Cluster) -> Arc<Shared> {
    let nodes = cluster.nodes().iter();
    Arc::new(Shared {
        history: History::new(),
        registers: Registers::new(),
        nodes: RwLock::new(nodes.map(|node| node.url("api").unwrap()).collect()),
    })
}

/// Lets clients work until then.
fn clients(shared: &Arc<Shared>, seed: u64, until: Instant) -> Vec<tokio::task::JoinHandle<()>> {
    (0..CLIENTS)
        .map(|id| {
            let mut client = Client::new(id, shared, seed);
            tokio::spawn(async move {
                while Instant::now() < until {
                    client.any().await;
                }
            })
        })
        .collect()
}

async fn under_fire(length: Duration) {
    let seed = setting("HISTORY_SEED").unwrap_or_else(rand::random);
    let mut folder = tempfile::tempdir().unwrap();
    folder.disable_cleanup(true);
    println!(
        "HISTORY_SEED={seed} for {} s in {}",
        length.as_secs(),
        folder.path().display()
    );
    let cluster = cluster(&folder, SNAPSHOT_BYTES).await;
    let shared = shared(&cluster);
    let until = Instant::now() + length;
    let clients = clients(&shared, seed, until);
    let mut nemesis = Nemesis::new(cluster, Arc::clone(&shared), seed);
    while Instant::now() < until {
        nemesis.strike().await;
    }
    for client in clients {
        client.await.unwrap();
    }
    let operations = shared.history.operations();
    let unknown = operations
        .iter()
        .filter(|recorded| recorded.outcome == Outcome::Unknown);
    println!(
        "{} operations, {} of unknown outcome; faults: {:?}",
        operations.len(),
        unknown.count(),
        nemesis.done
    );
    let picture = format!("history-{seed}");
    assert_eq!(impossible(&operations, &picture), Vec::<String>::new());
    assert!(
        operations.len() > 10 * usize::try_from(length.as_secs()).unwrap(),
        "too few operations to say anything"
    );
    assert_eq!(nemesis.done.len(), FAULTS.len(), "not every fault was done");
    folder.disable_cleanup(false);
}

/// Long enough for every fault to be done several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_under_fire_is_linearizable() {
    under_fire(Duration::from_secs(120)).await;
}

mod soak {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn histories_under_fire_are_linearizable() {
        let minutes = setting("MINUTES").unwrap_or(60);
        under_fire(Duration::from_secs(60 * minutes)).await;
    }
}

#[tokio::test]
async fn a_read_that_asks_nobody_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(&folder, SNAPSHOT_BYTES).await;
    let shared = shared(&cluster);
    let away = cluster.nodes()[1].name().to_owned();
    let at = |name: &str| vec![cluster.node(name).unwrap().url("api").unwrap()];
    let mut client = Client::new(1, &shared, 1);
    client.perform("r", Action::Set(1)).await;
    *shared.nodes.write().unwrap() = at(&away);
    client.perform("r", Action::Get).await;
    cluster.isolate(&away).unwrap();
    *shared.nodes.write().unwrap() = cluster
        .nodes()
        .iter()
        .filter(|node| node.name() != away)
        .map(|node| node.url("api").unwrap())
        .collect();
    while client.perform("r", Action::Set(2)).await != Some(Outcome::Told(Some(2), true)) {}
    assert_eq!(
        impossible(&shared.history.operations(), "unchecked"),
        Vec::<String>::new()
    );
    *shared.nodes.write().unwrap() = at(&away);
    let read = client.perform("r", Action::GetUnchecked).await;
    assert_eq!(read, Some(Outcome::Told(Some(1), true)));
    assert_eq!(
        impossible(&shared.history.operations(), "unchecked").len(),
        1
    );
}

#[tokio::test]
async fn one_read_that_is_changed_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(&folder, SNAPSHOT_BYTES).await;
    let shared = shared(&cluster);
    for client in clients(&shared, 7, Instant::now() + Duration::from_secs(3)) {
        client.await.unwrap();
    }
    let mut operations = shared.history.operations();
    assert_eq!(impossible(&operations, "changed"), Vec::<String>::new());
    let read = operations
        .iter_mut()
        .filter(|recorded| recorded.action == Action::Get)
        .nth(20)
        .expect("reads");
    let Outcome::Told(value, _) = read.outcome else {
        panic!("a read of unknown outcome was recorded");
    };
    read.outcome = Outcome::Told(Some(value.unwrap_or(0) + 1), true);
    let register = read.register.clone();
    let found = impossible(&operations, "changed");
    assert!(
        found.len() == 1 && found[0].starts_with(&register),
        "{found:?}"
    );
}

#[tokio::test]
async fn an_acknowledgement_before_the_sync_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(&folder, u32::MAX).await;
    let shared = shared(&cluster);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for node in cluster.nodes() {
        let url = node.url("api").unwrap();
        let told = http.post(format!("{url}/lie")).send().await.unwrap();
        assert!(told.status().is_success(), "{told:?}");
    }
    let working = clients(&shared, 8, Instant::now() + Duration::from_secs(3));
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.kill_all().await.unwrap();
    for client in working {
        client.await.unwrap();
    }
    assert_eq!(
        impossible(&shared.history.operations(), "lies"),
        Vec::<String>::new()
    );
    // Nothing of the state is synced between checkpoints either: with the power it would be gone.
    for node in cluster.nodes() {
        for file in std::fs::read_dir(node.data_dir().join("state")).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with("-wal") || path.to_string_lossy().ends_with("-shm")
            {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    cluster.start_stopped().await.unwrap();
    let mut client = Client::new(CLIENTS, &shared, 8);
    for recorded in shared.history.operations() {
        let begun = Instant::now();
        while client
            .perform(&recorded.register, Action::Get)
            .await
            .is_none()
        {
            assert!(begun.elapsed() < Duration::from_secs(60), "no answer");
        }
    }
    assert!(!impossible(&shared.history.operations(), "lies").is_empty());
}
