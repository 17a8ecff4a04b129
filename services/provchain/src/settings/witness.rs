//! The settings of a witness; `provchain witness example-config` prints them.

use std::net::IpAddr;
use std::path::PathBuf;

use kit::rate::RateSettings;
use kit::serve::{AddressRange, Limits};
use kit::settings::{Invalid, Names};
use kit::telemetry::TelemetrySettings;
use kit::tls::TlsSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::note::{SignatureType, VerifierKey};

/// The settings of a witness.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WitnessSettings {
    /// The name of its key, such as `witness.example/w1`: it stands in every cosignature, and cannot
    /// be changed afterwards.
    pub name: String,
    /// The address that the port is bound to.
    pub host: IpAddr,
    /// The port; `/health` and `/metrics` answer there too.
    pub port: u16,
    /// The folder of its key, of what it cosigned, and of evidence.
    pub data_dir: PathBuf,
    /// The ledgers to watch: `[[ledgers]]` with `origin`, `url` and `keys`.
    pub ledgers: Vec<WatchedSettings>,
    /// How often each ledger is looked at, in seconds.
    pub interval_seconds: u64,
    /// How long a ledger may take for one answer, in milliseconds.
    pub timeout_ms: u64,
    /// PEM file with the authorities of the ledgers' certificates, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How often one address may ask.
    pub rate: RateSettings,
    /// Addresses of proxies, and ranges of them (`172.16.0.0/12`), that are believed when they say whom
    /// they speak for (`X-Forwarded-For`).
    pub trusted_proxies: Vec<AddressRange>,
    /// Limits of the listener.
    pub limits: Limits,
    /// Certificates.
    pub tls: TlsSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
}

/// A ledger that a witness watches.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchedSettings {
    /// Its origin: the first line of its checkpoints.
    pub origin: String,
    /// Where it is served, such as `https://ledger.example:8080`.
    pub url: String,
    /// The verifier keys that are trusted for it, as `/api/v1/keys` lists them.
    pub keys: Vec<String>,
}

impl WatchedSettings {
    /// The keys.
    ///
    /// # Errors
    /// A sentence: there is none, or one that is no key of a ledger of this origin.
    pub fn verifiers(&self) -> Result<Vec<VerifierKey>, String> {
        let keys = self.keys.iter().map(|key| {
            let parsed: VerifierKey = key.parse().map_err(|error| format!("{key:?}: {error}"))?;
            if parsed.signature_type() == SignatureType::Ed25519 && parsed.name() == self.origin {
                return Ok(parsed);
            }
            Err(format!("{key:?} is no key of the ledger {}", self.origin))
        });
        let keys: Vec<VerifierKey> = keys.collect::<Result<_, String>>()?;
        if keys.is_empty() {
            return Err(format!("no key is trusted for {}", self.origin));
        }
        Ok(keys)
    }
}

impl Default for WitnessSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            host: IpAddr::from([0, 0, 0, 0]),
            port: 8090,
            data_dir: "/var/lib/provchain-witness".into(),
            ledgers: Vec::new(),
            interval_seconds: 60,
            timeout_ms: 10_000,
            ca_file: None,
            rate: RateSettings {
                per_second: 10.0,
                burst: 100,
                ..RateSettings::default()
            },
            trusted_proxies: Vec::new(),
            limits: Limits {
                connections_max: 256,
                // A checkpoint and its proof have a few kilobytes.
                body_bytes_max: 64 << 10,
                ..Limits::default()
            },
            tls: TlsSettings::default(),
            telemetry: TelemetrySettings::default(),
        }
    }
}

impl kit::settings::Settings for WitnessSettings {
    const SERVICE: &'static str = "provchain-witness";

    const ENV: &'static [Names] = &[kit::telemetry::ENV];

    fn validate(&self) -> Result<(), Vec<Invalid>> {
        let mut problems = self.telemetry.problems("telemetry");
        problems.extend(self.tls.problems("tls"));
        if let Err(error) = crate::ledger::note::check_name(&self.name) {
            problems.push(Invalid::new(
                "name",
                format!("{error}: set it, such as witness.example/w1"),
            ));
        }
        for (place, ledger) in self.ledgers.iter().enumerate() {
            let mut refuse = |key: &str, reason: String| {
                problems.push(Invalid::new(format!("ledgers.{place}.{key}"), reason));
            };
            if let Err(reason) = ledger.verifiers() {
                refuse("keys", reason);
            }
            if !["http://", "https://"]
                .iter()
                .any(|scheme| ledger.url.starts_with(scheme))
            {
                refuse("url", "must begin with http:// or https://".into());
            }
            let earlier = &self.ledgers[..place];
            if earlier.iter().any(|other| other.origin == ledger.origin) {
                refuse("origin", format!("{} stands here twice", ledger.origin));
            }
        }
        for (key, value) in [
            ("interval_seconds", self.interval_seconds),
            ("timeout_ms", self.timeout_ms),
        ] {
            if value == 0 {
                problems.push(Invalid::new(key, "must be above 0"));
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}

impl WitnessSettings {
    /// Where the witness answers for its health, as seen from itself.
    #[must_use]
    pub fn health_url(&self) -> String {
        let host = if self.host.is_unspecified() {
            IpAddr::from([127, 0, 0, 1])
        } else {
            self.host
        };
        let scheme = if self.tls.required { "https" } else { "http" };
        format!(
            "{scheme}://{}/health",
            std::net::SocketAddr::new(host, self.port)
        )
    }
}
