//! Asking a full ledger, one question at a time.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use reqwest::Url;
use serde::Serialize;
use serde_json::Value;
use tests::bench::spread::quantile;

/// Questions of a kind, and how long they may take together.
pub(super) const REQUESTS: usize = 2_000;
const TIME_MAX: Duration = Duration::from_secs(60);
/// How far an index may be behind the last acknowledgement.
const INDEX_TIME_MAX: Duration = Duration::from_secs(180);
/// Questions before those that count, so that every node has what it keeps in memory.
pub(super) const WARM_UP: usize = 30;
/// Steps of a trace, and from how many items one begins.
const HOPS: u64 = 10;
const SUBJECTS_MAX: usize = 200;
/// Items that are tried for one that so many steps lead back from.
const CANDIDATES_MAX: usize = 600;

/// How long answers took, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Latencies {
    pub requests: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Steps of each trace; 0 for other questions.
    pub hops: u64,
    /// Different questions.
    pub subjects: usize,
    /// Items in an answer, on average.
    pub items: f64,
}

impl Latencies {
    pub fn text(&self) -> String {
        format!("{:.2} / {:.2} ms", self.p50_ms, self.p99_ms)
    }
}

/// Seconds until every node's index holds every entry.
pub async fn indexed(client: &reqwest::Client, urls: &[String]) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for url in urls {
        loop {
            let ledger: Value = client
                .get(format!("{url}/api/v1/ledger"))
                .send()
                .await?
                .json()
                .await?;
            if ledger["indexed"] == ledger["size"] {
                break;
            }
            ensure!(
                begun.elapsed() < INDEX_TIME_MAX,
                "an index is behind: {ledger}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Proofs of entries chosen at random, from all nodes in turn.
pub async fn inclusion(
    client: &reqwest::Client,
    urls: &[String],
    entries: usize,
) -> anyhow::Result<Latencies> {
    eprintln!("provchain: asking for inclusion proofs");
    let mut questions = Vec::new();
    for number in 0..REQUESTS + WARM_UP {
        let entry = rand::rng().random_range(0..entries);
        let url = &urls[number % urls.len()];
        questions.push(Url::parse(&format!(
            "{url}/api/v1/proofs/inclusion?entry={entry}"
        ))?);
    }
    let times = time(client, &questions).await?;
    latencies(&times, 0, times.len(), 0.0)
}

/// Traces back over exactly ten hops, from all nodes in turn.
pub async fn trace(
    client: &reqwest::Client,
    urls: &[String],
    sample: &Path,
) -> anyhow::Result<Latencies> {
    eprintln!("provchain: asking for traces");
    let truth: Value = serde_json::from_slice(&std::fs::read(sample.join("truth.json"))?)?;
    let (mut subjects, mut items, mut deepest) = (Vec::new(), 0_usize, 0);
    for (number, item) in candidates(&truth)
        .into_iter()
        .take(CANDIDATES_MAX)
        .enumerate()
    {
        let node = Url::parse(&urls[number % urls.len()])?;
        let mut url = with_path(node, &["api", "v1", "trace", item])?;
        url.set_query(Some(&format!("direction=up&depth={HOPS}")));
        let response = client.get(url.clone()).send().await?;
        // The sample's truth is told of all events; a capture that was stopped has not seen all.
        if !response.status().is_success() {
            continue;
        }
        let answer: Value = response.json().await?;
        let reached = answer["items"]
            .as_array()
            .context("a trace without items")?;
        let depth = reached
            .iter()
            .filter_map(|item| item["depth"].as_u64())
            .max()
            .unwrap_or(0);
        deepest = deepest.max(depth);
        if depth == HOPS && subjects.len() < SUBJECTS_MAX {
            subjects.push(url);
            items += reached.len();
        }
    }
    ensure!(
        !subjects.is_empty(),
        "no item of the sample has {HOPS} steps behind it, at most {deepest}"
    );
    // Each asks from another time on, all before the first event, so that none is answered from
    // what is kept.
    let questions: Vec<Url> = (0..REQUESTS + WARM_UP)
        .map(|number| {
            let mut url = subjects[number % subjects.len()].clone();
            let from = format!(
                "1990-01-01T{:02}:{:02}:{:02}Z",
                number / 3600,
                number / 60 % 60,
                number % 60
            );
            url.query_pairs_mut().append_pair("from", &from);
            url
        })
        .collect();
    let times = time(client, &questions).await?;
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let items = items as f64 / subjects.len() as f64;
    latencies(&times, HOPS, subjects.len(), items)
}

/// What stands there under a path of these parts.
pub(super) fn with_path(mut url: Url, parts: &[&str]) -> anyhow::Result<Url> {
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("a URL without a path"))?
        .extend(parts);
    Ok(url)
}

/// The end of the longest chain, and everything that shops received of the recalled batch.
fn candidates(truth: &Value) -> Vec<&str> {
    let longest = truth["longest"]["to"].as_str();
    let shops = truth["retailers"].as_object();
    let received = shops
        .into_iter()
        .flat_map(|shops| shops.values())
        .filter_map(|shop| shop["received"].as_array())
        .flatten()
        .filter_map(Value::as_str);
    longest.into_iter().chain(received).collect()
}

/// The time to the last byte of each answer, in milliseconds.
pub(super) async fn time(client: &reqwest::Client, questions: &[Url]) -> anyhow::Result<Vec<f64>> {
    let (begun, mut times) = (Instant::now(), Vec::new());
    for (number, url) in questions.iter().enumerate() {
        if begun.elapsed() > TIME_MAX {
            break;
        }
        let asked = Instant::now();
        let response = client.get(url.clone()).send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        ensure!(
            status.is_success(),
            "{url}: {status}: {}",
            String::from_utf8_lossy(&body)
        );
        if number >= WARM_UP {
            times.push(asked.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(times)
}

pub(super) fn latencies(
    times: &[f64],
    hops: u64,
    subjects: usize,
    items: f64,
) -> anyhow::Result<Latencies> {
    let at = |share| quantile(times, share).context("nothing was answered in time");
    Ok(Latencies {
        requests: times.len(),
        p50_ms: at(0.5)?,
        p99_ms: at(0.99)?,
        hops,
        subjects,
        items,
    })
}
