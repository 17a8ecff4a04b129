//! An export from a node, as whoever has the token sees the ledger.
//!
//! Entries come as proof files: what the node says is checked against its checkpoint, the same one
//! from the first entry to the last.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use http::StatusCode;
use reqwest::{Response, Url};
use serde_json::Value;

use super::source::{Content, Entry};
use crate::documents;
use crate::epcis::Limits;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::leaf::{Kind, Leaf};
use crate::ledger::merkle::{TILE_WIDTH, TilePath, decode_bundle};
use crate::ledger::proof::{Disclosed, ProofFile, ProvenEntry, Verdict};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// What one answer may hold: a proof file has 32 MiB of events at most, each as text in JSON.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// How often something is asked for before the export gives up.
const TRIES: u32 = 10;
/// The longest wait that a node may ask for.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A node.
pub(super) struct Node {
    client: reqwest::Client,
    url: Url,
    token: Option<String>,
    /// What everything is proven against.
    checkpoint: Option<Checkpoint>,
    /// How many entries the node proves at a time.
    batch: u64,
}

impl Node {
    pub(super) fn new(url: &str, token: Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            client: reqwest::Client::builder().timeout(TIMEOUT).build()?,
            url: Url::parse(url).with_context(|| format!("{url:?} is no URL of a node"))?,
            token,
            checkpoint: None,
            batch: u64::MAX,
        })
    }

    pub(super) fn origin(&self) -> &str {
        let checkpoint = self.checkpoint.as_ref();
        checkpoint.map_or("", |checkpoint| &checkpoint.origin)
    }

    pub(super) async fn open(&mut self, as_of: Option<u64>) -> anyhow::Result<u64> {
        let (_, checkpoint) = self.checkpoint(as_of).await?;
        let size = checkpoint.size;
        self.checkpoint = Some(checkpoint);
        Ok(size)
    }

    pub(super) async fn checkpoint(
        &self,
        as_of: Option<u64>,
    ) -> anyhow::Result<(String, Checkpoint)> {
        let size = match as_of {
            Some(size) => size,
            None => {
                let ledger: Value = serde_json::from_slice(&self.get("api/v1/ledger").await?)?;
                let size = ledger["size"].as_u64();
                size.context("the node does not say how many entries there are")?
            }
        };
        ensure!(size > 0, "there is nothing to export: no entry");
        let path = format!("api/v1/proofs/entries?indices=0&closed=true&size={size}");
        let file = ProofFile::from_json(&self.get(&path).await?)?;
        let checkpoint = verified(&file)?;
        ensure!(
            checkpoint.size == size,
            "the node signed a checkpoint over {} entries, not {size}",
            checkpoint.size
        );
        Ok((file.checkpoint, checkpoint))
    }

    pub(super) async fn entries(&mut self, from: u64, most: u64) -> anyhow::Result<Vec<Entry>> {
        let trusted = self.checkpoint.as_ref().context("not opened")?;
        let size = trusted.size;
        let file = loop {
            let count = most.min(self.batch);
            let indices: Vec<_> = (from..from + count)
                .map(|index| index.to_string())
                .collect();
            let indices = indices.join(",");
            let path = format!("api/v1/proofs/entries?indices={indices}&size={size}");
            match self.try_get(&path).await? {
                Ok(bytes) => break ProofFile::from_json(&bytes)?,
                // Together they are more than a proof file holds.
                Err((StatusCode::BAD_REQUEST, _)) if count > 1 => self.batch = count / 2,
                Err(refused) => bail!(told(&refused)),
            }
        };
        let checkpoint = verified(&file)?;
        ensure!(
            checkpoint.same_tree(trusted),
            "the node signed two trees of {size} entries, with the roots {} and {}: keep both",
            trusted.root,
            checkpoint.root
        );
        ensure!(!file.entries.is_empty(), "the node left out entry {from}");
        file.entries.into_iter().map(entry_of).collect()
    }

    pub(super) async fn leaves(&self, from: u64, width: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        let path = TilePath {
            level: None,
            index: from / TILE_WIDTH as u64,
            width,
        };
        let bytes = self.get(&format!("tile/{path}")).await?;
        let leaves = decode_bundle(&bytes).with_context(|| format!("tile/{path}"))?;
        ensure!(
            leaves.len() == width,
            "tile/{path} has {} leaves",
            leaves.len()
        );
        Ok(leaves)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.try_get(path)
            .await?
            .map_err(|refused| anyhow!(told(&refused)))
    }

    /// What is at `path`, or why it is not to be had. A node that is busy, or counts how often it is
    /// asked, is given the time that it wants.
    async fn try_get(&self, path: &str) -> anyhow::Result<Result<Vec<u8>, Refused>> {
        let url = format!("{}/{path}", self.url.as_str().trim_end_matches('/'));
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut request = self.client.get(&url);
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            let wait = match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    let again = [
                        StatusCode::TOO_MANY_REQUESTS,
                        StatusCode::SERVICE_UNAVAILABLE,
                    ];
                    let wait = wait_of(&response);
                    let body = body_of(response).await?;
                    if status.is_success() {
                        return Ok(Ok(body));
                    }
                    if !again.contains(&status) || attempt == TRIES {
                        return Ok(Err((status, body)));
                    }
                    wait
                }
                Err(error) if attempt == TRIES => {
                    return Err(error).with_context(|| format!("cannot reach {}", self.url));
                }
                Err(_) => Duration::from_secs(1),
            };
            tokio::time::sleep(wait).await;
        }
    }
}

/// A status, and what was said with it.
type Refused = (StatusCode, Vec<u8>);

fn told((status, body): &Refused) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or("no reason was given");
    format!("{status}: {detail}")
}

fn wait_of(response: &Response) -> Duration {
    let seconds = response.headers().get(http::header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1)).min(WAIT_MAX)
}

async fn body_of(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        ensure!(
            body.len() + chunk.len() <= ANSWER_BYTES_MAX,
            "the node's answer is larger than {ANSWER_BYTES_MAX} bytes"
        );
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a proof file is proven against, if all of it holds.
fn verified(file: &ProofFile) -> anyhow::Result<Checkpoint> {
    let limits = Limits::stored();
    let report = file.verify(&[], &|document| documents::statements_of(document, &limits));
    if let (Verdict::Refuted, Some(fault)) = (report.verdict(), report.faults.first()) {
        bail!("what the node says does not hold: {fault}");
    }
    report.checkpoint.context("the node sent no checkpoint")
}

fn entry_of(proven: ProvenEntry) -> anyhow::Result<Entry> {
    let leaf = Leaf::decode(&proven.leaf)?;
    let content = match proven.disclosed {
        _ if leaf.kind == Kind::Erasure => Content::Record,
        Disclosed::Whole { document, .. } => Content::Event(document.into_bytes()),
        Disclosed::Parts { .. } | Disclosed::Nothing {} => Content::Withheld,
    };
    Ok(Entry {
        index: proven.index,
        leaf_hash: leaf.hash(),
        content,
    })
}
