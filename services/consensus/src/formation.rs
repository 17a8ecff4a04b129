//! How a node without a cluster comes to one. What is on its disk wins over what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use crate::core::{Core, lock};
use crate::identity::Founder;
use crate::peer::client::{Lane, Target};
use crate::raft::Member;
use crate::wire::{Hello, JoinRequest};

/// Between two rounds of asking the peers.
const ROUND: Duration = Duration::from_millis(500);
/// How long a peer may take to admit this node: it waits for a commit.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Forms a cluster, joins one, or waits to be added; returns when the node belongs to one.
pub(crate) async fn run(core: Arc<Core>) {
    let (cluster, forming) = {
        let identity = lock(&core.identity);
        (identity.cluster.clone(), identity.forming.clone())
    };
    if let Some(cluster) = cluster {
        core.peers.set_cluster(&cluster);
        if !forming.is_empty() {
            // It stopped between writing down that it forms a cluster and doing so.
            initialise(&core, &forming).await;
        } else if !core.is_member() && !core.was_taken_in() {
            // It stopped while it joined: the cluster may or may not have heard of it.
            join(&core).await;
        }
        announce_address(&core).await;
        return;
    }
    match core.config.peers.clone() {
        None => {
            tracing::info!(
                "this node has no cluster and no list of peers: it waits to be added \
                 (set an empty list of peers to form a cluster)"
            );
        }
        Some(peers) if peers.is_empty() => form_alone(&core).await,
        Some(_) => join(&core).await,
    }
}

/// An id that no cluster ever had.
pub(crate) fn new_cluster_id() -> String {
    format!("{:032x}", crate::host::random::<u128>())
}

fn founder(core: &Core) -> Founder {
    Founder {
        id: core.id,
        name: core.config.name.clone(),
        address: core.config.address.clone(),
    }
}

/// Forms a cluster of one, unless somebody turns up who knows this node's name.
async fn form_alone(core: &Arc<Core>) {
    let wait = Duration::from_millis(core.config.settings.formation_wait_ms);
    tracing::info!(
        wait_ms = core.config.settings.formation_wait_ms,
        "forms a cluster unless a member of one greets it first"
    );
    let mut halted = core.watch_halted();
    let stopped = halted.wait_for(Option::is_some);
    if tokio::time::timeout(wait, stopped).await.is_ok() {
        return;
    }
    if core.peers.cluster().is_empty() {
        let founders = vec![founder(core)];
        found(core, &new_cluster_id(), founders).await;
    }
}

/// Writes down that this node forms a cluster, and forms it.
async fn found(core: &Arc<Core>, cluster: &str, founders: Vec<Founder>) {
    let saved = {
        let mut identity = lock(&core.identity);
        identity.cluster = Some(cluster.to_owned());
        identity.forming.clone_from(&founders);
        identity.save(&core.config.data_dir)
    };
    if let Err(error) = saved {
        core.halt(format!("the identity cannot be saved: {error}"));
        return;
    }
    core.peers.set_cluster(cluster);
    initialise(core, &founders).await;
}

async fn initialise(core: &Arc<Core>, founders: &[Founder]) {
    let members: BTreeMap<u64, Member> = founders
        .iter()
        .map(|founder| {
            let member = Member {
                name: founder.name.clone(),
                address: founder.address.clone(),
            };
            (founder.id, member)
        })
        .collect();
    let already = core.raft.is_initialized().await.unwrap_or(false);
    if !already {
        if let Err(error) = core.raft.initialize(members).await {
            core.halt(format!("the cluster cannot be formed: {error}"));
            return;
        }
        // The core has taken the first entry: until it is on disk, the identity alone tells of it.
        let mut written = core.raft.watch_log_progress();
        let first = written.wait_until(|flushed| {
            flushed
                .as_ref()
                .is_some_and(|flushed| flushed.last_log_id.is_some())
        });
        if first.await.is_err() {
            return;
        }
    }
    let mut identity = lock(&core.identity);
    identity.forming.clear();
    if let Err(error) = identity.save(&core.config.data_dir) {
        drop(identity);
        core.halt(format!("the identity cannot be saved: {error}"));
        return;
    }
    tracing::info!(
        cluster = core.peers.cluster(),
        founders = founders.len(),
        "formed a cluster"
    );
}

/// Asks the peers, round after round, until one of them leads to a cluster or all agree to form one.
async fn join(core: &Arc<Core>) {
    let peers = core.config.peers.clone().unwrap_or_default();
    let mut last_report = None;
    loop {
        if core.halted().is_some() || core.is_member() {
            return;
        }
        let mut strangers = Vec::new();
        let mut reasons = Vec::new();
        for (peer, answer) in greet_all(core, &peers).await {
            match answer {
                Ok(hello) if hello.cluster.is_empty() => strangers.push(hello),
                Ok(_) => match ask(core, &peer).await {
                    // It is a member once it hears so from the leader: until then the change may
                    // still be lost with the leader that promised it, or be undone.
                    Ok(cluster) => {
                        core.adopt_cluster(&cluster);
                        reasons.push(format!("{peer} has let this node in"));
                        break;
                    }
                    Err(status) => reasons.push(format!("{peer}: {}", status.message())),
                },
                Err(status) => reasons.push(format!("{peer}: {}", status.message())),
            }
        }
        if core.peers.cluster().is_empty()
            && let Some(founders) = founders(core, &strangers)
        {
            if founders.iter().map(|founder| founder.id).min() == Some(core.id) {
                // Else the first version could not be raised while one of them was away.
                for hello in &strangers {
                    core.saw(hello, Duration::ZERO);
                }
                found(core, &new_cluster_id(), founders).await;
                return;
            }
            reasons.push("another node forms the cluster".into());
        }
        let report = reasons.join("; ");
        if last_report.as_ref() != Some(&report) {
            tracing::info!(reasons = report, "not in a cluster yet");
            last_report = Some(report);
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn greet_all(core: &Core, peers: &[String]) -> Vec<(String, Result<Hello, Status>)> {
    let greetings = peers
        .iter()
        .filter(|peer| **peer != core.config.address)
        .map(|peer| async move {
            let answer = core.greet(peer).await.map(|(hello, _)| hello);
            (peer.clone(), answer)
        });
    futures_util::future::join_all(greetings).await
}

/// Asks the node at `peer` to be let into its cluster.
async fn ask(core: &Core, peer: &str) -> Result<String, Status> {
    let target = Target {
        address: peer.to_owned(),
        id: 0,
    };
    let call = core.peers.call(
        &target,
        Lane::Control,
        "/trivet.consensus.v1.Peer/Join",
        JoinRequest {
            who: Some(core.hello(peer)),
        },
        |mut client, request| async move { client.join(request).await },
    );
    let joined = tokio::time::timeout(JOIN_TIMEOUT, call)
        .await
        .map_err(|_| Status::deadline_exceeded("no answer"))??;
    Ok(joined.cluster)
}

/// All first members, if every one of them was met, none has a cluster, and all were told the same.
fn founders(core: &Core, strangers: &[Hello]) -> Option<Vec<Founder>> {
    let expect = core.config.settings.bootstrap_expect;
    if expect < 2 || strangers.len() + 1 != expect as usize {
        return None;
    }
    let mine = everyone(core.config.peers.as_ref()?, &core.config.address);
    let agreed = strangers
        .iter()
        .all(|hello| hello.expect == expect && everyone(&hello.seeds, &hello.address) == mine);
    if !agreed || mine.len() != expect as usize {
        return None;
    }
    let mut founders: Vec<Founder> = strangers
        .iter()
        .map(|hello| Founder {
            id: hello.id,
            name: hello.name.clone(),
            address: hello.address.clone(),
        })
        .collect();
    founders.push(founder(core));
    let names: BTreeSet<&str> = founders
        .iter()
        .map(|founder| founder.name.as_str())
        .collect();
    (names.len() == founders.len()).then_some(founders)
}

fn everyone(seeds: &[String], own: &str) -> BTreeSet<String> {
    seeds.iter().cloned().chain([own.to_owned()]).collect()
}

/// Tells the cluster when this node has moved: peers go to the address that the log knows. The others
/// may have moved with it, to where its list of peers says.
async fn announce_address(core: &Arc<Core>) {
    loop {
        if core.halted().is_some() {
            return;
        }
        let metrics = core.metrics();
        let membership = metrics.membership_config.membership();
        let moved = membership
            .get_node(&core.id)
            .is_some_and(|member| member.address != core.config.address);
        if !moved {
            return;
        }
        let listed = core.config.peers.iter().flatten().cloned();
        let others: BTreeSet<String> = membership
            .nodes()
            .filter(|(id, _)| **id != core.id)
            .map(|(_, member)| member.address.clone())
            .chain(listed)
            .filter(|other| *other != core.config.address)
            .collect();
        // As the leader it need not ask, and nobody could reach it to be asked.
        if core.leads() {
            drop(core.admit(core.hello(&core.config.address)).await);
        }
        for other in others {
            if ask(core, &other).await.is_ok() {
                break;
            }
        }
        tokio::time::sleep(ROUND).await;
    }
}
