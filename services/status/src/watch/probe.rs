//! One question to one node.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::redirect::Policy;
use tokio::net::TcpStream;

use crate::targets::{Address, Node};

/// How much of a reason is kept.
const DETAIL_CHARACTERS_MAX: usize = 200;

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Whether all is well.
    pub up: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was answered, or why nothing was.
    pub detail: String,
}

impl Answer {
    /// Nobody could be asked.
    #[must_use]
    pub fn failed(reason: String) -> Self {
        Self {
            up: false,
            seconds: 0.0,
            detail: reason,
        }
    }
}

/// Asks nodes whether they can take work.
#[derive(Clone, Debug)]
pub struct Prober {
    client: reqwest::Client,
    patience: Duration,
}

impl Prober {
    /// A prober that waits so long for an answer, and knows these authorities besides the system's.
    ///
    /// # Errors
    /// The file of authorities cannot be used.
    pub fn new(patience: Duration, authorities: Option<&Path>) -> anyhow::Result<Self> {
        kit::tls::install_provider();
        // What is watched is asked itself: through no proxy, after no redirection, on a connection of
        // its own.
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(patience)
            .pool_max_idle_per_host(0)
            .user_agent("trivet-status");
        if let Some(path) = authorities {
            let context = || format!("cannot use the authorities in {}", path.display());
            let pem = std::fs::read(path).with_context(context)?;
            let found = reqwest::Certificate::from_pem_bundle(&pem).with_context(context)?;
            builder = builder.tls_certs_merge(found);
        }
        let client = builder.build().context("cannot make a client")?;
        Ok(Self { client, patience })
    }

    /// Asks a node in the way that its target says.
    pub async fn ask(&self, node: Node) -> Answer {
        match node.address() {
            Ok(Address::Http(url)) => self.get(url.as_str()).await,
            Ok(Address::Tcp(address)) => {
                let connected = async {
                    let stream = TcpStream::connect(&address).await;
                    stream.map_err(|error| error.to_string())?;
                    Ok("accepts connections".to_owned())
                };
                self.timed(connected).await
            }
            Err(reason) => Answer::failed(reason),
        }
    }

    /// Asks for a status of 2xx. The body is not read: what it says is for others.
    pub async fn get(&self, url: &str) -> Answer {
        let asked = async {
            let response = self.client.get(url).send().await;
            let status = response.map_err(|error| innermost(&error))?.status();
            let said = format!("answers {}", status.as_u16());
            if status.is_success() {
                Ok(said)
            } else {
                Err(said)
            }
        };
        self.timed(asked).await
    }

    async fn timed(&self, question: impl Future<Output = Result<String, String>>) -> Answer {
        let begun = Instant::now();
        let late = || format!("no answer within {} ms", self.patience.as_millis());
        // A little longer than the client's own patience, whose reason says more.
        let longest = self.patience + Duration::from_millis(50);
        let answer = tokio::time::timeout(longest, question).await;
        let answer = answer.unwrap_or_else(|_| Err(late()));
        let up = answer.is_ok();
        let detail: String = answer
            .unwrap_or_else(|reason| reason)
            .chars()
            .filter(|c| !c.is_control())
            .take(DETAIL_CHARACTERS_MAX)
            .collect();
        Answer {
            up,
            seconds: begun.elapsed().as_secs_f64(),
            detail,
        }
    }
}

/// The last of a chain of causes: the others repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
