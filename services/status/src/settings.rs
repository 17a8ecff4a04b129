//! The settings; their comments are the reference, `status example-config` prints it.

mod database;

use std::path::PathBuf;

use kit::serve::Limits;
use kit::settings::{Invalid, Names, Secret};
use kit::telemetry::TelemetrySettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use database::{DATABASE_PATIENCE, database};

/// A token that can be guessed is none.
const TOKEN_CHARACTERS_MIN: usize = 32;

/// The settings of the status service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The address that is answered on.
    pub listen: String,
    /// The name of this process in traces and metrics.
    pub node_name: String,
    /// The file that says what is watched; it is read again whenever it changes.
    pub targets_file: PathBuf,
    /// `host:port` of the web servers behind the load balancer. Every address that a name has is one.
    pub web_servers: Vec<String>,
    /// How often everything is asked, in milliseconds.
    pub interval_ms: u64,
    /// How long an answer may take, in milliseconds.
    pub probe_timeout_ms: u64,
    /// How many failures of a node in a row open an incident, and how many successes close it.
    pub failures_max: u32,
    /// How long single samples are kept, in hours.
    pub sample_hours: u32,
    /// How long days and closed incidents are kept, in days.
    pub history_days: u32,
    /// The bearer token of those who write notes over HTTP: at least 32 characters. Nobody can
    /// without it.
    pub operator_token: Secret,
    /// PEM file with the authorities that sign the certificates of what is watched; without it, those
    /// of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities_file: Option<PathBuf>,
    /// Where history is kept: `postgres://user@host:port/database`, without the password. Without it
    /// there is health now, and no history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,
    /// The password for the database.
    pub database_password: Secret,
    /// Limits of the listener.
    pub limits: Limits,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8070".to_owned(),
            node_name: "status".to_owned(),
            targets_file: "targets.json".into(),
            web_servers: Vec::new(),
            interval_ms: 10_000,
            probe_timeout_ms: 3_000,
            failures_max: 3,
            sample_hours: 48,
            history_days: 90,
            operator_token: Secret::default(),
            authorities_file: None,
            database_url: None,
            database_password: Secret::default(),
            limits: Limits {
                body_bytes_max: 16 * 1024,
                request_timeout_ms: 10_000,
                ..Limits::default()
            },
            telemetry: TelemetrySettings::default(),
        }
    }
}

impl Settings {
    /// Where `status health` asks.
    #[must_use]
    pub fn health_url(&self) -> String {
        let listen = self.listen.replace("0.0.0.0", "127.0.0.1");
        format!("http://{listen}/health")
    }
}

impl kit::settings::Settings for Settings {
    const SERVICE: &'static str = "status";
    const ENV: &'static [Names] = &[
        &[
            ("DATABASE_URL", "database_url"),
            ("DATABASE_PASSWORD", "database_password"),
        ],
        kit::telemetry::ENV,
    ];

    fn validate(&self) -> Result<(), Vec<Invalid>> {
        let mut problems = self.telemetry.problems("telemetry");
        let mut need = |holds: bool, key: &str, reason: &str| {
            if !holds {
                problems.push(Invalid::new(key, reason));
            }
        };
        let within = |value: u64, least: u64, most: u64| (least..=most).contains(&value);
        need(
            within(self.interval_ms, 100, 3_600_000),
            "interval_ms",
            "between 100 and 3600000 milliseconds",
        );
        need(
            within(self.probe_timeout_ms, 50, 60_000),
            "probe_timeout_ms",
            "between 50 and 60000 milliseconds",
        );
        need(
            within(self.failures_max.into(), 1, 1000),
            "failures_max",
            "between 1 and 1000",
        );
        need(
            within(self.sample_hours.into(), 1, 24 * 90),
            "sample_hours",
            "between 1 and 2160 hours",
        );
        need(
            within(self.history_days.into(), 1, 3660),
            "history_days",
            "between 1 and 3660 days",
        );
        let token = self.operator_token.expose().chars().count();
        need(
            token == 0 || token >= TOKEN_CHARACTERS_MIN,
            "operator_token",
            "at least 32 characters: `openssl rand -hex 32` makes one",
        );
        need(
            self.web_servers.len() <= 64,
            "web_servers",
            "at most 64 names",
        );
        if let Some(url) = &self.database_url
            && let Err(reason) = database(url, &self.database_password)
        {
            problems.push(Invalid::new("database_url", reason));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}
