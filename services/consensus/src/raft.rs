//! The types that openraft is instantiated with. Nothing of it leaves this crate.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::settings::Settings;
use crate::wire;

openraft::declare_raft_types!(
    pub(crate) Types:
        D = Proposal,
        R = Outcome,
        NodeId = u64,
        Node = Member,
        AsyncRuntime = crate::host::Runtime,
);

pub(crate) type Raft = openraft::Raft<Types, crate::state::StateMachine>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<Types>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<Types>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub(crate) type Metrics = openraft::RaftMetrics<Types>;

/// A member as the log knows it; the key beside it is the Raft id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub name: String,
    /// `host:port`.
    pub address: String,
}

/// What a proposer adds to the log: a wrapper, because openraft asks for `Display`.
#[derive(Clone, PartialEq)]
pub(crate) struct Proposal(pub wire::Proposal);

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Some(wire::proposal::Kind::Command(bytes)) => {
                write!(f, "command of {} bytes", bytes.len())
            }
            Some(wire::proposal::Kind::OpenSession(_)) => f.write_str("open session"),
            Some(wire::proposal::Kind::RaiseVersion(version)) => {
                write!(f, "raise version to {version}")
            }
            None => f.write_str("nothing"),
        }
    }
}

/// What applying an entry gave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The machine's reply, encoded by its own schema.
    Reply(Bytes),
    /// The session that was opened.
    Session(u64),
    /// The session of the request id is gone.
    Expired,
    /// The version in force.
    Version(u32),
    /// The entry held no proposal.
    None,
}

/// How openraft is to behave.
pub(crate) fn config(system: &str, settings: &Settings) -> Result<Arc<openraft::Config>, String> {
    let config = openraft::Config {
        cluster_name: system.to_owned(),
        heartbeat_interval: settings.heartbeat_ms,
        election_timeout_min: settings.election_timeout_ms_min,
        election_timeout_max: settings.election_timeout_ms_max,
        enable_pre_vote: Some(true),
        // Snapshots are taken by bytes and time, see `status::run_upkeep`.
        snapshot_policy: openraft::SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: settings.log_keep_entries,
        max_payload_entries: 1024,
        // A follower this far behind what is left of the log is sent the state instead.
        replication_lag_threshold: settings.log_keep_entries.max(5_000),
        install_snapshot_timeout: 600_000,
        // A leader that comes back first hears whether there is another.
        enable_leader_restore: Some(false),
        ..openraft::Config::default()
    };
    config
        .validate()
        .map(Arc::new)
        .map_err(|error| error.to_string())
}
