//! What can be set, and what a node must be told.

use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tuning of the consensus core: a section of each system's settings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How often a leader tells its followers that it is there, in milliseconds.
    pub heartbeat_ms: u64,
    /// The shortest time without a leader after which a node stands for election, in milliseconds.
    pub election_timeout_ms_min: u64,
    /// The longest time without a leader after which a node stands for election, in milliseconds.
    pub election_timeout_ms_max: u64,
    /// How long a node that is to form a cluster listens first for one that knows its name, in
    /// milliseconds.
    pub formation_wait_ms: u64,
    /// How many nodes form the cluster together when all of them list all as peers; 1 lets a node
    /// with an explicitly empty list of peers form it alone.
    pub bootstrap_expect: u32,
    /// How long a proposal may look for a leader and wait for its outcome, in milliseconds.
    pub propose_timeout_ms: u64,
    /// The largest command, in bytes.
    pub command_bytes_max: usize,
    /// Proposals that may be under way on this node, in bytes: so many of its own clients, beyond
    /// which they are refused, and so many that other nodes have forwarded, beyond which they wait.
    pub proposal_bytes_max: usize,
    /// Entries of the log that stay in memory, and those of another leader that may wait there for
    /// the disk, in bytes.
    pub log_memory_bytes_max: usize,
    /// The log is shortened once so many bytes have been applied since the last time.
    pub snapshot_bytes: u64,
    /// The log is shortened at least so often while there are writes, in seconds.
    pub snapshot_interval_s: u64,
    /// Entries that stay in the log behind a snapshot, for followers that were away for a moment.
    pub log_keep_entries: u64,
    /// Bytes of the disk that are kept free: with less, writes are refused and reads go on. Members
    /// that follow take what others acknowledge down to half of it. 0 lets the disk run full.
    pub disk_headroom_bytes: u64,
    /// The address that connections to peers are made from; by default the system chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_address: Option<IpAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_ms: 100,
            election_timeout_ms_min: 300,
            election_timeout_ms_max: 500,
            formation_wait_ms: 3_000,
            bootstrap_expect: 1,
            propose_timeout_ms: 10_000,
            command_bytes_max: 8 << 20,
            proposal_bytes_max: 64 << 20,
            log_memory_bytes_max: 64 << 20,
            snapshot_bytes: 256 << 20,
            snapshot_interval_s: 900,
            log_keep_entries: 10_000,
            disk_headroom_bytes: 256 << 20,
            source_address: None,
        }
    }
}

impl Settings {
    /// What is wrong with the values, as key and reason.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.election_timeout_ms_min < self.heartbeat_ms.saturating_mul(2) {
            problems.push((
                "election_timeout_ms_min",
                format!("must be at least twice heartbeat_ms, {}", self.heartbeat_ms),
            ));
        }
        if self.election_timeout_ms_max <= self.election_timeout_ms_min {
            problems.push((
                "election_timeout_ms_max",
                "must be above election_timeout_ms_min, so that nodes do not stand together".into(),
            ));
        }
        if self.heartbeat_ms == 0 {
            problems.push(("heartbeat_ms", "must be above 0".into()));
        }
        if self.bootstrap_expect == 0 {
            problems.push(("bootstrap_expect", "must be 1 or more".into()));
        }
        if self.command_bytes_max > 64 << 20 {
            problems.push(("command_bytes_max", "must be at most 64 MiB".into()));
        }
        if self.proposal_bytes_max < self.command_bytes_max
            || u32::try_from(self.proposal_bytes_max).is_err()
        {
            problems.push((
                "proposal_bytes_max",
                format!(
                    "must be at least command_bytes_max, {}, and below 4 GiB",
                    self.command_bytes_max
                ),
            ));
        }
        problems
    }
}

/// What a node must be told about itself and its cluster.
#[derive(Clone)]
pub struct NodeConfig {
    /// The node's name: stable, unique in the cluster, chosen by people.
    pub name: String,
    /// Where peers reach this node, `host:port`.
    pub address: String,
    /// `None`: waits to be added. Empty: forms a cluster. Else joins through any of them.
    pub peers: Option<Vec<String>>,
    /// The folder that holds identity, log and state.
    pub data_dir: PathBuf,
    /// Nodes of different networks refuse each other.
    pub network: String,
    /// What all nodes of the cluster know and nobody else.
    pub secret: kit::settings::Secret,
    /// Certificates, when peers speak TLS.
    pub tls: Option<kit::tls::ClientTls>,
    /// Tuning.
    pub settings: Settings,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Settings)) -> Vec<&'static str> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings
            .problems()
            .into_iter()
            .map(|(key, _)| key)
            .collect()
    }

    #[test]
    fn the_defaults_have_no_problem_and_each_impossible_value_is_named() {
        assert_eq!(problems(|_| ()), Vec::<&str>::new());
        assert_eq!(
            problems(|s| s.election_timeout_ms_min = 150),
            ["election_timeout_ms_min"]
        );
        assert_eq!(
            problems(|s| s.election_timeout_ms_max = 300),
            ["election_timeout_ms_max"]
        );
        assert_eq!(problems(|s| s.heartbeat_ms = 0), ["heartbeat_ms"]);
        assert_eq!(problems(|s| s.bootstrap_expect = 0), ["bootstrap_expect"]);
        assert_eq!(
            problems(|s| s.command_bytes_max = 65 << 20),
            ["command_bytes_max", "proposal_bytes_max"]
        );
        assert_eq!(
            problems(|s| s.proposal_bytes_max = 1 << 20),
            ["proposal_bytes_max"]
        );
        // Too large to be doubled is a problem too, and no panic.
        assert!(!problems(|s| s.heartbeat_ms = u64::MAX).is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let refused = serde_json::from_str::<Settings>(r#"{"heartbeat": 3}"#).unwrap_err();
        assert!(refused.to_string().contains("heartbeat"), "{refused}");
    }
}
