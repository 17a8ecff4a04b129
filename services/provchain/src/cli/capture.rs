//! `provchain capture`: sends documents to a node.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::access::Visibility;

/// How long one document may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(2);

/// What to send, and where to.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// URL of a node
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A token that may write; `provchain token` signs one
    #[arg(long, env = "PROVCHAIN_TOKEN", hide_env_values = true)]
    token: String,
    /// Who may read the events beside their owner; the node's default otherwise
    #[arg(long)]
    visibility: Option<Visibility>,
    /// EPCIS documents: JSON-LD, or XML in files named *.xml
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let url = format!("{}/capture", self.url.trim_end_matches('/'));
        let (mut events, mut repeated) = (0_usize, 0_u64);
        let mut told = Instant::now();
        for (done, file) in self.files.iter().enumerate() {
            let body =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let xml = file.extension().is_some_and(|extension| extension == "xml");
            let kind = if xml {
                "application/xml"
            } else {
                "application/ld+json"
            };
            let receipt = self
                .send(&client, &url, kind, body)
                .await
                .with_context(|| format!("{}", file.display()))?;
            events += receipt["entries"].as_array().map_or(0, Vec::len);
            repeated += receipt["repeated"].as_u64().unwrap_or(0);
            if told.elapsed() >= PROGRESS && std::io::stderr().is_terminal() {
                eprintln!(
                    "{} of {} files, {events} events",
                    done + 1,
                    self.files.len()
                );
                told = Instant::now();
            }
        }
        println!("{events} events captured, {repeated} of them known before");
        Ok(())
    }
}

impl Arguments {
    /// Sends a document, and again while the cluster has no leader: capturing twice captures once.
    async fn send(
        &self,
        client: &reqwest::Client,
        url: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<serde_json::Value> {
        const TRIES: u32 = 5;
        for attempt in 1..=TRIES {
            let mut request = client
                .post(url)
                .bearer_auth(&self.token)
                .header("content-type", kind);
            if let Some(visibility) = self.visibility {
                request = request.header("provchain-visibility", visibility.as_str());
            }
            let sent = request.body(body.clone()).send().await;
            match sent {
                Ok(response) if response.status().is_success() => {
                    return Ok(response.json().await?);
                }
                Ok(response) => {
                    let status = response.status();
                    let text = response.text().await.unwrap_or_default();
                    if status != reqwest::StatusCode::SERVICE_UNAVAILABLE || attempt == TRIES {
                        bail!("{status}: {text}");
                    }
                }
                Err(error) if attempt == TRIES => {
                    return Err(error).with_context(|| format!("cannot reach {url}"));
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        bail!("gave up")
    }
}
