//! Capturing the sample.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;

/// Events in a document.
pub const BATCH: usize = 100;
/// Clients that capture at a time, one node each in turn.
pub const WRITERS: usize = 8;
/// The capture ends by then, whatever is left, so that the whole run has an end.
const TIME_MAX: Duration = Duration::from_secs(8 * 60);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
const TRIES_MAX: usize = 50;
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Captured {
    pub events: usize,
    pub seconds: f64,
    /// Documents that were sent again because a node was busy or had no leader.
    pub retries: usize,
}

/// When, since the beginning, how many events were acknowledged.
type Acknowledged = Vec<(Duration, usize)>;

/// What the clients share.
struct Run {
    client: reqwest::Client,
    token: String,
    files: Vec<PathBuf>,
    next: AtomicUsize,
    events: AtomicUsize,
    retries: AtomicUsize,
    begun: Instant,
}

/// Captures the documents of the folder in order, several at a time.
pub async fn run(
    client: &reqwest::Client,
    urls: &[String],
    token: &str,
    sample: &Path,
) -> anyhow::Result<(Captured, Acknowledged)> {
    let run = Arc::new(Run {
        client: client.clone(),
        token: token.to_owned(),
        files: documents(sample)?,
        next: AtomicUsize::new(0),
        events: AtomicUsize::new(0),
        retries: AtomicUsize::new(0),
        begun: Instant::now(),
    });
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (run, url) = (
            Arc::clone(&run),
            format!("{}/capture", urls[writer % urls.len()]),
        );
        writers.spawn(async move { run.capture(&url).await });
    }
    let mut acknowledged = Vec::new();
    let mut told = tokio::time::interval(PROGRESS);
    loop {
        tokio::select! {
            ended = writers.join_next() => match ended {
                Some(times) => acknowledged.extend(times??),
                None => break,
            },
            _ = told.tick() => eprintln!(
                "provchain: {} events captured after {} s",
                run.events.load(Ordering::Relaxed),
                run.begun.elapsed().as_secs(),
            ),
        }
    }
    acknowledged.sort_unstable();
    let (last, _) = *acknowledged.last().context("the sample has no documents")?;
    let captured = Captured {
        events: run.events.load(Ordering::Relaxed),
        seconds: last.as_secs_f64(),
        retries: run.retries.load(Ordering::Relaxed),
    };
    Ok((captured, acknowledged))
}

pub(super) fn documents(sample: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(sample)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("events-") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

impl Run {
    async fn capture(&self, url: &str) -> anyhow::Result<Acknowledged> {
        let mut acknowledged = Vec::new();
        while self.begun.elapsed() < TIME_MAX {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = self.files.get(next) else {
                break;
            };
            let body = std::fs::read(file)?;
            let events = self
                .send(url, body)
                .await
                .with_context(|| format!("{}", file.display()))?;
            acknowledged.push((self.begun.elapsed(), events));
            self.events.fetch_add(events, Ordering::Relaxed);
        }
        Ok(acknowledged)
    }

    /// Sends a document until it is taken; an event that is captured twice is captured once.
    async fn send(&self, url: &str, body: Vec<u8>) -> anyhow::Result<usize> {
        for _ in 0..TRIES_MAX {
            let response = self
                .client
                .post(url)
                .bearer_auth(&self.token)
                .header("content-type", "application/ld+json")
                .body(body.clone())
                .send()
                .await?;
            let status = response.status();
            if status.is_success() {
                let receipt: Value = response.json().await?;
                return receipt["entries"]
                    .as_array()
                    .map(Vec::len)
                    .context("a receipt without entries");
            }
            if status != reqwest::StatusCode::SERVICE_UNAVAILABLE {
                bail!("{status}: {}", response.text().await?);
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        bail!("busy after {TRIES_MAX} tries")
    }
}
