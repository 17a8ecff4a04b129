//! The settings of a node; their comments are the reference, `provchain example-config` prints it.

mod cache;
mod witness;

use std::net::IpAddr;
use std::path::PathBuf;

use kit::backup::{BackupSettings, Target};
use kit::rate::RateSettings;
use kit::serve::{AddressRange, Limits};
use kit::settings::{Invalid, Names, Secret};
use kit::telemetry::TelemetrySettings;
use kit::tls::TlsSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::cache::{CacheSettings, redis_address};
pub use self::witness::{WatchedSettings, WitnessSettings};
use crate::access::{Visibility, password};

/// The settings of a provchain node.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The node's name: stable, and one of its own in the cluster.
    pub node_name: String,
    /// The address that the ports are bound to.
    pub host: IpAddr,
    /// The port of the API and of the other nodes.
    pub port: u16,
    /// The port of the metrics; `/health` answers there too.
    pub metrics_port: u16,
    /// `host:port` at which the other nodes reach this one; by default the node's name and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// `host:port` of nodes to join through. Explicitly empty: forms a cluster. Not set: waits to be
    /// added by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<Vec<String>>,
    /// The folder of the log, the ledger and the node's key.
    pub data_dir: PathBuf,
    /// The name of the ledger; nodes of another one are refused.
    pub network_id: String,
    /// The key of tokens (HS256): at least 32 characters, the same on all nodes.
    pub jwt_secret: Secret,
    /// What authenticates the nodes to each other; derived from `jwt_secret` when not set.
    pub cluster_secret: Secret,
    /// How long events wait for their block at most, in milliseconds.
    pub block_interval_ms: u64,
    /// Threads that serve; 0 takes one for each core.
    pub threads: usize,
    /// What a capture may hold.
    pub capture: CaptureSettings,
    /// The password of the user `admin`, who is made with the ledger. Without one the first
    /// administrator is made by `provchain admin bootstrap`.
    pub admin_password: Secret,
    /// How long logins last.
    pub session: SessionSettings,
    /// What subscriptions to queries may do.
    pub subscriptions: SubscriptionSettings,
    /// Answers that are kept.
    pub cache: CacheSettings,
    /// How often one user, or one address without a token, may ask.
    pub rate: RateSettings,
    /// Addresses of proxies, and ranges of them (`172.16.0.0/12`), that are believed when they say whom
    /// they speak for (`X-Forwarded-For`).
    pub trusted_proxies: Vec<AddressRange>,
    /// Backups of the ledger, made by the node that leads.
    pub backup: BackupSettings,
    /// Backups of the keys of subjects, which never lie where those of the ledger do: together they
    /// would bring back what was erased.
    pub key_backup: KeyBackupSettings,
    /// Limits of the API's listener.
    pub limits: Limits,
    /// Certificates.
    pub tls: TlsSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// Tuning of the consensus core.
    pub consensus: consensus::Settings,
}

/// How long logins last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// Minutes until an access token ends and has to be refreshed.
    pub access_minutes: u32,
    /// Days until somebody who has not been seen has to log in again.
    pub refresh_days: u32,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            access_minutes: 15,
            refresh_days: 30,
        }
    }
}

impl SessionSettings {
    /// The life of an access token, in seconds.
    #[must_use]
    pub const fn access_seconds(&self) -> u64 {
        self.access_minutes as u64 * 60
    }

    /// The life of a refresh token, in seconds.
    #[must_use]
    pub const fn refresh_seconds(&self) -> u64 {
        self.refresh_days as u64 * 86_400
    }
}

/// What subscriptions to queries may do.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubscriptionSettings {
    /// Whether receivers may be in private and reserved ranges of addresses, this machine included.
    /// Whoever may subscribe then reaches what this node reaches.
    pub private_destinations: bool,
    /// Whether receivers may be addressed with http, so that events go over the wire in the clear.
    pub plain_http: bool,
    /// PEM file with the authorities that sign the certificates of receivers; without it, those of
    /// the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities_file: Option<PathBuf>,
    /// How long a receiver may take for its answer, in milliseconds.
    pub timeout_ms: u64,
    /// After so many failures in a row a subscription is given up; with 100 that is after some 15
    /// hours.
    pub failures_max: u32,
}

impl Default for SubscriptionSettings {
    fn default() -> Self {
        Self {
            private_destinations: false,
            plain_http: false,
            authorities_file: None,
            timeout_ms: 10_000,
            failures_max: 100,
        }
    }
}

/// When and where the keys of subjects are backed up, and for how long.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyBackupSettings {
    /// Where they go: a place apart from `backup.target`, in the same form. No backups of keys
    /// without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// When they are made; by default together with those of the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Days after which one may be removed, and so for how long a key that was destroyed may still
    /// be in one; by default as for the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// Backups of a node that are kept however old they are; at least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_at_least: Option<usize>,
}

impl KeyBackupSettings {
    /// These, with what they do not say taken from the ledger's.
    #[must_use]
    pub fn beside(&self, ledger: &BackupSettings) -> BackupSettings {
        BackupSettings {
            target: self.target.clone(),
            schedule: self
                .schedule
                .clone()
                .unwrap_or_else(|| ledger.schedule.clone()),
            keep_days: self.keep_days.unwrap_or(ledger.keep_days),
            keep_at_least: self.keep_at_least.unwrap_or(ledger.keep_at_least),
        }
    }
}

/// What a capture may hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureSettings {
    /// Who may read an event whose capture does not say: public, partner or private.
    pub visibility_default: Visibility,
    /// Events in one document.
    pub events_max: usize,
    /// Bytes of one document.
    pub document_bytes_max: usize,
    /// Captures that are worked on at a time; more wait, and are refused with 503 after a while.
    pub concurrency_max: usize,
    /// Whether an event is refused if its id is the event hash id (CBV 2.0, section 8.9.2) of
    /// another one, or of what it was before it was changed.
    pub event_hashes_checked: bool,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self {
            visibility_default: Visibility::default(),
            events_max: 5_000,
            document_bytes_max: 8 << 20,
            concurrency_max: 16,
            event_hashes_checked: false,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node_name: "provchain".into(),
            host: IpAddr::from([0, 0, 0, 0]),
            port: 8080,
            metrics_port: 9090,
            advertise: None,
            peers: None,
            data_dir: "/var/lib/provchain".into(),
            network_id: "provchain".into(),
            jwt_secret: Secret::default(),
            cluster_secret: Secret::default(),
            block_interval_ms: 1_000,
            threads: 0,
            capture: CaptureSettings::default(),
            admin_password: Secret::default(),
            session: SessionSettings::default(),
            subscriptions: SubscriptionSettings::default(),
            cache: CacheSettings::default(),
            rate: RateSettings {
                per_second: 500.0,
                burst: 1_000,
                ..RateSettings::default()
            },
            trusted_proxies: Vec::new(),
            backup: BackupSettings::default(),
            key_backup: KeyBackupSettings::default(),
            limits: Limits::default(),
            tls: TlsSettings::default(),
            telemetry: TelemetrySettings::default(),
            consensus: consensus::Settings::default(),
        }
    }
}

const OWN_NAMES: Names = &[
    ("PROVCHAIN_NODE_NAME", "node_name"),
    ("PROVCHAIN_HOST", "host"),
    ("PROVCHAIN_PORT", "port"),
    ("PROVCHAIN_METRICS_PORT", "metrics_port"),
    ("PROVCHAIN_ADVERTISE", "advertise"),
    ("PROVCHAIN_PEERS", "peers"),
    ("PEERS", "peers"),
    ("PROVCHAIN_DATA_DIR", "data_dir"),
    ("PROVCHAIN_NETWORK_ID", "network_id"),
    ("JWT_SECRET", "jwt_secret"),
    ("PROVCHAIN_CLUSTER_SECRET", "cluster_secret"),
    ("PROVCHAIN_ADMIN_PASSWORD", "admin_password"),
    ("PROVCHAIN_VISIBILITY_DEFAULT", "capture.visibility_default"),
    (
        "PROVCHAIN_SUBSCRIPTION_PRIVATE_DESTINATIONS",
        "subscriptions.private_destinations",
    ),
    (
        "PROVCHAIN_SUBSCRIPTION_PLAIN_HTTP",
        "subscriptions.plain_http",
    ),
    (
        "PROVCHAIN_SUBSCRIPTION_AUTHORITIES_FILE",
        "subscriptions.authorities_file",
    ),
    (
        "PROVCHAIN_SUBSCRIPTION_FAILURES_MAX",
        "subscriptions.failures_max",
    ),
    (
        "PROVCHAIN_SUBSCRIPTION_TIMEOUT_MS",
        "subscriptions.timeout_ms",
    ),
    ("REDIS_URL", "cache.redis_url"),
    ("PROVCHAIN_RATE_PER_SECOND", "rate.per_second"),
    ("PROVCHAIN_TRUSTED_PROXIES", "trusted_proxies"),
    ("PROVCHAIN_PEER_SOURCE_ADDRESS", "consensus.source_address"),
    ("BACKUP_TARGET", "backup.target"),
    ("BACKUP_SCHEDULE", "backup.schedule"),
    ("RETENTION_DAYS", "backup.keep_days"),
    ("KEY_BACKUP_TARGET", "key_backup.target"),
    ("KEY_BACKUP_SCHEDULE", "key_backup.schedule"),
    ("KEY_BACKUP_RETENTION_DAYS", "key_backup.keep_days"),
];

impl kit::settings::Settings for Settings {
    const SERVICE: &'static str = "provchain";

    const ENV: &'static [Names] = &[kit::telemetry::ENV, OWN_NAMES];

    fn validate(&self) -> Result<(), Vec<Invalid>> {
        let mut problems = self.telemetry.problems("telemetry");
        problems.extend(self.tls.problems("tls"));
        problems.extend(
            self.consensus
                .problems()
                .into_iter()
                .map(|(key, reason)| Invalid::new(format!("consensus.{key}"), reason)),
        );
        let name = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        for (key, value) in [
            ("node_name", &self.node_name),
            ("network_id", &self.network_id),
        ] {
            if !name(value) {
                problems.push(Invalid::new(
                    key,
                    "must be 1 to 64 letters, digits, '-', '_' or '.'",
                ));
            }
        }
        if self.jwt_secret.expose().chars().count() < kit::tokens::SECRET_CHARACTERS_MIN {
            problems.push(Invalid::new(
                "jwt_secret",
                "must be at least 32 characters: set JWT_SECRET or JWT_SECRET_FILE, for example to \
                 the output of `openssl rand -hex 32`",
            ));
        }
        if self.capture.events_max == 0 || self.capture.concurrency_max == 0 {
            problems.push(Invalid::new("capture", "limits must be above 0"));
        }
        if !self.admin_password.is_empty()
            && self.admin_password.expose().chars().count() < password::CHARACTERS_MIN
        {
            let reason = format!("must be at least {} characters", password::CHARACTERS_MIN);
            problems.push(Invalid::new("admin_password", reason));
        }
        if self.session.access_minutes == 0 || self.session.refresh_days == 0 {
            problems.push(Invalid::new("session", "must be above 0"));
        }
        if self.subscriptions.timeout_ms == 0 || self.subscriptions.failures_max == 0 {
            problems.push(Invalid::new("subscriptions", "must be above 0"));
        }
        problems.extend(self.cache.problems("cache"));
        if self.block_interval_ms == 0 {
            problems.push(Invalid::new("block_interval_ms", "must be above 0"));
        }
        problems.extend(self.backup_problems());
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}

impl Settings {
    fn backup_problems(&self) -> Vec<Invalid> {
        let keys = self.key_backup.beside(&self.backup);
        let mut problems = self.backup.problems("backup");
        problems.extend(keys.problems("key_backup"));
        let data = self.data_dir.to_string_lossy();
        for (key, target) in [
            ("backup.target", &self.backup.target),
            ("key_backup.target", &keys.target),
        ] {
            if target
                .as_ref()
                .is_some_and(|target| Target::overlap(target, &data))
            {
                let reason = "must be apart from data_dir: what takes the one takes the other";
                problems.push(Invalid::new(key, reason));
            }
        }
        if let (Some(ledger), Some(keys)) = (&self.backup.target, &keys.target)
            && Target::overlap(ledger, keys)
        {
            problems.push(Invalid::new(
                "key_backup.target",
                "must be apart from backup.target, neither the same nor inside: ledger and keys \
                 together bring back what was erased; set KEY_BACKUP_TARGET to another folder or \
                 bucket",
            ));
        }
        problems
    }

    /// Where the other nodes reach this one.
    #[must_use]
    pub fn advertised(&self) -> String {
        self.advertise
            .clone()
            .unwrap_or_else(|| format!("{}:{}", self.node_name, self.port))
    }

    /// What authenticates the nodes to each other.
    #[must_use]
    pub fn peer_secret(&self) -> &Secret {
        if self.cluster_secret.is_empty() {
            &self.jwt_secret
        } else {
            &self.cluster_secret
        }
    }

    /// Where this node answers for its health, as seen from itself.
    #[must_use]
    pub fn health_url(&self) -> String {
        let host = if self.host.is_unspecified() {
            IpAddr::from([127, 0, 0, 1])
        } else {
            self.host
        };
        format!(
            "http://{}/health",
            std::net::SocketAddr::new(host, self.metrics_port)
        )
    }

    /// What a member must know of itself and its cluster.
    #[must_use]
    pub fn node_config(&self, tls: Option<kit::tls::ClientTls>) -> consensus::NodeConfig {
        consensus::NodeConfig {
            name: self.node_name.clone(),
            address: self.advertised(),
            peers: self.peers.clone(),
            data_dir: self.data_dir.clone(),
            network: self.network_id.clone(),
            secret: self.peer_secret().clone(),
            tls,
            settings: self.consensus.clone(),
        }
    }
}
