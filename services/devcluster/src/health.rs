//! What a node says about itself.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use crate::error::{Error, Result};

/// How long one answer may take.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The JSON that `/health` answers; a system that answers something else gives the defaults.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Health {
    /// `pass`, `warn` or `fail`.
    pub status: String,
    /// The system.
    pub service: String,
    /// The node's name.
    pub node: String,
    /// The version of the binary.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: f64,
    /// `leader`, `follower` or `learner`; absent where there is no consensus.
    pub role: Option<String>,
    /// The name of the node that it takes for the leader.
    pub leader: Option<String>,
    /// Each check with its status and detail.
    pub checks: Map<String, Value>,
}

impl Health {
    /// Whether the node takes itself for the leader.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.role.as_deref() == Some("leader")
    }
}

/// An answer to a question about health.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Whether it says that all is well: a status of 2xx.
    pub well: bool,
    /// What it says.
    pub health: Health,
    /// The status and the start of the body, for messages.
    pub text: String,
}

/// Asks nodes about their health.
#[derive(Clone, Debug)]
pub(crate) struct Prober(reqwest::Client);

impl Prober {
    pub(crate) fn new() -> Self {
        // Built beside a crate that speaks HTTPS, the client asks for a provider even for HTTP.
        kit::tls::install_provider();
        // Nodes are on this machine; a proxy set for the outside world must not be asked for them.
        // Connections are not kept: a node that was replaced must not be met through an old one.
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_TIMEOUT)
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client without TLS needs nothing from the system");
        Self(client)
    }

    /// GETs a health endpoint.
    pub(crate) async fn ask(&self, url: &str) -> Result<Answer> {
        let failed = |error: reqwest::Error| Error::Probe {
            url: url.to_owned(),
            reason: innermost(&error),
        };
        let response = self.0.get(url).send().await.map_err(failed)?;
        let status = response.status();
        let body = response.text().await.map_err(failed)?;
        let health = serde_json::from_str(&body).unwrap_or_default();
        Ok(Answer {
            well: status.is_success(),
            health,
            text: summary(status, &body),
        })
    }

    /// For roles whose health is an accepted connection.
    pub(crate) async fn connect(&self, address: &str) -> Result<Answer> {
        let failed = |reason: String| Error::Probe {
            url: address.to_owned(),
            reason,
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Ok(Answer {
                well: true,
                health: Health::default(),
                text: "connection accepted".to_owned(),
            }),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("no connection within the time".to_owned())),
        }
    }
}

fn summary(status: StatusCode, body: &str) -> String {
    let start: String = body.chars().take(200).collect();
    format!("{status}: {start}")
}

/// reqwest's own message repeats the URL; the reason is at the end of the chain.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
