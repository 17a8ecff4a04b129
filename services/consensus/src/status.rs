//! Where a node and its cluster stand: for people, for machines, for graphs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::{Core, View, lock};

/// What a node knows of itself and its cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The node's name.
    pub name: String,
    /// Its Raft id, in hexadecimal.
    pub id: String,
    /// The cluster's id; empty while it has none.
    pub cluster: String,
    /// The network's name.
    pub network: String,
    /// What it is.
    pub role: Role,
    /// The leader's name.
    pub leader: Option<String>,
    /// The current term.
    pub term: u64,
    /// The last entry in the log.
    pub last_index: u64,
    /// The last entry that a majority has, as far as this node knows.
    pub committed_index: u64,
    /// The last entry in the state.
    pub applied_index: u64,
    /// The last entry that a synced checkpoint of the state covers.
    pub durable_index: u64,
    /// The first entry that is still in the log.
    pub first_index: u64,
    /// The machine version in force, and the newest that this build applies.
    pub version: u32,
    /// The newest machine version that this build applies.
    pub version_supported: u32,
    /// Bytes that the state takes on disk.
    pub state_bytes: u64,
    /// Bytes that are free on the disk of the data directory.
    #[serde(default)]
    pub disk_free_bytes: u64,
    /// Why writes are refused, if this node knows that they are.
    #[serde(default)]
    pub writes_refused: Option<String>,
    /// Whether a change of the members is under way: until it is done, both the old and the new
    /// majority have to be up.
    #[serde(default)]
    pub changing: bool,
    /// All members, this node among them.
    pub members: Vec<MemberStatus>,
    /// Why the node has stopped serving, if it has.
    pub halted: Option<String>,
}

/// What a node is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders all writes.
    Leader,
    /// Votes and follows.
    Follower,
    /// Stands for election.
    Candidate,
    /// Follows without a vote: it is catching up.
    Learner,
    /// Belongs to no cluster yet.
    Unformed,
    /// Has stopped serving.
    Halted,
}

/// What a node knows of a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// Its Raft id, in hexadecimal.
    pub id: String,
    /// Where peers reach it.
    pub address: String,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it has answered a greeting within the last five seconds.
    pub reachable: bool,
    /// How long its last answer took, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Entries it is behind; only the leader knows.
    pub lag: Option<u64>,
    /// The newest machine version that its build applies, when it last said so.
    pub version_supported: Option<u32>,
}

impl Core {
    pub(crate) fn role(&self) -> Role {
        use openraft::ServerState;
        if self.halted().is_some() {
            return Role::Halted;
        }
        if self.peers.cluster().is_empty() || !self.is_member() {
            return Role::Unformed;
        }
        match self.metrics().state {
            ServerState::Leader => Role::Leader,
            ServerState::Candidate => Role::Candidate,
            ServerState::Learner => Role::Learner,
            _ => Role::Follower,
        }
    }

    pub(crate) fn status(&self) -> Status {
        let metrics = self.metrics();
        let position = self.state.position();
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let views = lock(&self.views).clone();
        let last = metrics.last_log_index.unwrap_or(0);
        let members = membership
            .nodes()
            .map(|(id, member)| {
                let view = views.get(id);
                let me = *id == self.id;
                let matched = metrics
                    .replication
                    .as_ref()
                    .and_then(|all| all.get(id).cloned());
                MemberStatus {
                    name: member.name.clone(),
                    id: format!("{id:016x}"),
                    address: member.address.clone(),
                    voter: voters.contains(id),
                    reachable: me || view.is_some_and(View::is_fresh),
                    round_trip_ms: view.map(|view| view.round_trip.as_secs_f64() * 1e3),
                    lag: matched
                        .map(|matched| last.saturating_sub(matched.map_or(0, |id| id.index))),
                    version_supported: if me {
                        Some(self.machine.version_supported)
                    } else {
                        view.map(|view| view.version_supported)
                    },
                }
            })
            .collect();
        let committed = metrics.cluster_committed.or(metrics.local_committed);
        let committed = committed.map_or(0, |id| id.index);
        let changed_at = metrics.membership_config.log_id().as_ref();
        let changing = membership.get_joint_config().len() > 1
            || changed_at.is_some_and(|changed| changed.index > committed);
        Status {
            name: self.config.name.clone(),
            id: format!("{:016x}", self.id),
            cluster: self.peers.cluster(),
            network: self.config.network.clone(),
            role: self.role(),
            leader: self.known_leader().map(|(_, member)| member.name),
            term: metrics.current_term,
            last_index: last,
            committed_index: committed,
            applied_index: position.applied.map_or(0, |id| id.index),
            durable_index: self.state.durable_index().unwrap_or(0),
            first_index: self.log.first_index(),
            version: position.version,
            version_supported: self.machine.version_supported,
            state_bytes: self.state.bytes_on_disk(),
            disk_free_bytes: self.disk.free(),
            writes_refused: self.disk.refusal().map(|reason| reason.to_string()),
            changing,
            members,
            halted: self.halted(),
        }
    }

    fn cut_off_after(&self) -> Duration {
        Duration::from_secs(1)
            + 3 * Duration::from_millis(self.config.settings.election_timeout_ms_max)
    }

    /// Whether a majority has confirmed a leader to this node lately.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.staleness() <= self.cut_off_after()
    }

    /// Why this node should not be sent work, if it should not.
    pub(crate) fn unready(&self) -> Option<String> {
        let status = self.status();
        if let Some(reason) = status.halted {
            return Some(reason);
        }
        match status.role {
            Role::Unformed => Some("this node belongs to no cluster yet".into()),
            Role::Learner => Some("this node is still catching up".into()),
            _ if status.leader.is_none() => Some("there is no leader".into()),
            _ if status.version == 0 => Some("the cluster is still being formed".into()),
            // A node that is cut off goes on believing in the last leader that it knew.
            _ if !self.is_confirmed() => {
                Some("this node is cut off: no majority has confirmed a leader to it lately".into())
            }
            _ if self.draining.load(std::sync::atomic::Ordering::Relaxed) => {
                Some("this node is leaving".into())
            }
            _ if status.committed_index > status.applied_index + 10_000 => {
                Some("this node is behind".into())
            }
            _ => None,
        }
    }
}

/// Keeps the gauges up to date, the write-ahead log small and the log short.
pub(crate) async fn run_upkeep(core: Arc<Core>) {
    /// A write-ahead log of this size is moved into the database.
    const WAL_BYTES: u64 = 64 << 20;
    let settings = core.config.settings.clone();
    let interval = Duration::from_secs(settings.snapshot_interval_s);
    let mut last_snapshot = (tokio::time::Instant::now(), core.log.appended_bytes());
    let mut applied_before = None;
    let mut peers = BTreeSet::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if core.halted().is_some() {
            return;
        }
        record(&core, &mut peers);
        let (at, bytes) = last_snapshot;
        let appended = core.log.appended_bytes();
        let due = appended - bytes >= settings.snapshot_bytes
            || (appended > bytes && at.elapsed() >= interval);
        let applied = core.state.position().applied.map(|id| id.index);
        let idle = applied.is_some() && applied == applied_before;
        applied_before = applied;
        if !due && core.state.wal_waiting() <= WAL_BYTES {
            if idle
                && core.state.wal_bytes() > 0
                && let Err(error) = core.state.empty_wal().await
            {
                cannot_checkpoint(&core, &error);
            }
            continue;
        }
        // The log may be shortened once what it brought about is durable; else it is tried again.
        if let Err(error) = core.state.rewind_wal().await {
            cannot_checkpoint(&core, &error);
        } else if due && core.raft.trigger().snapshot().await.is_ok() {
            last_snapshot = (tokio::time::Instant::now(), appended);
        }
    }
}

/// Brings what is written to the state to disk little by little.
pub(crate) async fn run_flush(core: Arc<Core>) {
    let mut halted = core.watch_halted();
    while halted.borrow_and_update().is_none() {
        tokio::select! {
            flushed = core.state.flush_wal() => if let Err(error) = flushed {
                core.halt(format!("the state cannot be made durable: {error}"));
            },
            _ = halted.changed() => {}
        }
    }
}

/// Waits where somebody is in the way, and stops the node where the disk is.
fn cannot_checkpoint(core: &Core, error: &std::io::Error) {
    if error.kind() == std::io::ErrorKind::WouldBlock {
        tracing::debug!(%error, "the state is checkpointed later");
    } else {
        core.halt(format!("the state cannot be made durable: {error}"));
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers for graphs")]
fn record(core: &Core, peers: &mut BTreeSet<String>) {
    let status = core.status();
    metrics::gauge!("consensus_term").set(status.term as f64);
    for role in [
        Role::Leader,
        Role::Follower,
        Role::Candidate,
        Role::Learner,
        Role::Unformed,
    ] {
        let name = format!("{role:?}").to_lowercase();
        metrics::gauge!("consensus_role", "role" => name).set(f64::from(role == status.role));
    }
    metrics::gauge!("consensus_halted").set(f64::from(status.halted.is_some()));
    metrics::gauge!("consensus_has_leader").set(f64::from(status.leader.is_some()));
    metrics::gauge!("consensus_last_index").set(status.last_index as f64);
    metrics::gauge!("consensus_committed_index").set(status.committed_index as f64);
    metrics::gauge!("consensus_applied_index").set(status.applied_index as f64);
    metrics::gauge!("consensus_durable_index").set(status.durable_index as f64);
    metrics::gauge!("consensus_first_index").set(status.first_index as f64);
    metrics::gauge!("consensus_lag_entries")
        .set(status.committed_index.saturating_sub(status.applied_index) as f64);
    metrics::gauge!("consensus_state_bytes").set(status.state_bytes as f64);
    metrics::gauge!("consensus_state_wal_bytes").set(core.state.wal_bytes() as f64);
    metrics::gauge!("consensus_members").set(status.members.len() as f64);
    metrics::gauge!("consensus_machine_version").set(f64::from(status.version));
    record_peers(&status.members, peers);
}

/// What nobody knows (any more): a gauge cannot be taken back, and its last value would stand for ever.
const UNKNOWN: f64 = f64::NAN;

/// Tells of the members, and takes back what was told of those that were members before.
#[expect(clippy::cast_precision_loss, reason = "numbers for graphs")]
fn record_peers(members: &[MemberStatus], told: &mut BTreeSet<String>) {
    let tell = |name: &str, reachable: f64, lag: f64| {
        let labels = [("peer", name.to_owned())];
        metrics::gauge!("consensus_peer_reachable", &labels).set(reachable);
        metrics::gauge!("consensus_peer_lag_entries", &labels).set(lag);
    };
    let now: BTreeSet<String> = members.iter().map(|member| member.name.clone()).collect();
    for name in told.difference(&now) {
        tell(name, UNKNOWN, UNKNOWN);
    }
    for member in members {
        let lag = member.lag.map_or(UNKNOWN, |lag| lag as f64);
        tell(&member.name, f64::from(member.reachable), lag);
    }
    *told = now;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_forget_the_lag_once_another_leads_and_a_member_once_it_is_removed() {
        let told = kit::metrics::install();
        let member = |lag| MemberStatus {
            name: "forgotten".to_owned(),
            id: String::new(),
            address: String::new(),
            voter: true,
            reachable: false,
            round_trip_ms: None,
            lag,
            version_supported: None,
        };
        let mut peers = BTreeSet::new();
        let mut says = |members: &[MemberStatus], reachable: &str, lag: &str| {
            record_peers(members, &mut peers);
            let text = told.render();
            for (name, value) in [("reachable", reachable), ("lag_entries", lag)] {
                let line = format!("consensus_peer_{name}{{peer=\"forgotten\"}} {value}\n");
                assert!(text.contains(&line), "{line} is not in\n{text}");
            }
        };
        says(&[member(Some(7))], "0", "7");
        says(&[member(None)], "0", "NaN");
        says(&[], "NaN", "NaN");
    }
}
