//! Many who listen while events are captured: how long it takes until each has heard of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use tests::bench::spread::quantile;
use tokio::task::JoinSet;

/// Who listens, by server-sent events, on all nodes in turn.
pub const SUBSCRIBERS: usize = 1_000;
/// Events captured in a second, and in one document.
pub const EVENTS_PER_SECOND: usize = 200;
const BATCH: usize = 10;
const TIME: Duration = Duration::from_secs(15);
/// What was captured before then warms up.
const WARM_UP: Duration = Duration::from_secs(3);
/// After the last event, until everybody has it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Live {
    pub subscribers: usize,
    pub events: usize,
    /// Of everything that everybody heard, from the moment at which the capture was sent.
    pub heard: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// When each event was sent, in microseconds since the beginning; 0 is not known yet.
struct Sent {
    first: u64,
    begun: Instant,
    at_us: Vec<AtomicU64>,
    /// Those that listen already.
    listening: AtomicUsize,
}

impl Sent {
    fn micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Captures at an even pace while all listen.
pub async fn run(client: &reqwest::Client, urls: &[String], token: &str) -> anyhow::Result<Live> {
    eprintln!("provchain: {SUBSCRIBERS} listen");
    let ledger = client.get(format!("{}/api/v1/ledger", urls[0])).send();
    let ledger: Value = ledger.await?.json().await?;
    let events = EVENTS_PER_SECOND * usize::try_from(TIME.as_secs())?;
    let sent = Arc::new(Sent {
        first: ledger["size"].as_u64().context("a ledger without a size")?,
        begun: Instant::now(),
        at_us: (0..events).map(|_| AtomicU64::new(0)).collect(),
        listening: AtomicUsize::new(0),
    });
    let listener = reqwest::Client::builder().no_proxy().build()?;
    let mut listening = JoinSet::new();
    for number in 0..SUBSCRIBERS {
        let url = format!(
            "{}/api/v1/live?blocks=false&fromEntry={}",
            urls[number % urls.len()],
            sent.first
        );
        listening.spawn(listen(listener.clone(), url, Arc::clone(&sent)));
    }
    while sent.listening.load(Ordering::Relaxed) < SUBSCRIBERS {
        ensure!(
            sent.begun.elapsed() < Duration::from_secs(60),
            "not all could listen"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    capture(client, urls, token, &sent).await?;
    let mut latencies_ms: Vec<f64> = Vec::new();
    let all = async {
        while let Some(heard) = listening.join_next().await {
            latencies_ms.extend(heard??);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .context("somebody did not hear of everything")??;
    let at = |share| quantile(&latencies_ms, share).context("nothing was heard");
    Ok(Live {
        subscribers: SUBSCRIBERS,
        events,
        heard: latencies_ms.len(),
        p50_ms: at(0.5)?,
        p99_ms: at(0.99)?,
    })
}

async fn capture(
    client: &reqwest::Client,
    urls: &[String],
    token: &str,
    sent: &Arc<Sent>,
) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(TIME / u32::try_from(sent.at_us.len() / BATCH)?);
    // A serial number has at most twenty characters.
    let run: u32 = rand::random();
    let mut captures = JoinSet::new();
    for number in 0..sent.at_us.len() / BATCH {
        tick.tick().await;
        let request = client
            .post(format!("{}/capture", urls[number % urls.len()]))
            .bearer_auth(token)
            .header("content-type", "application/ld+json")
            .body(document(run, number).to_string());
        let (at_us, sent) = (sent.micros(), Arc::clone(sent));
        captures.spawn(async move {
            let receipt = request.send().await?.error_for_status()?;
            let receipt: Value = receipt.json().await?;
            let entries = receipt["entries"].as_array();
            for entry in entries.context("a receipt without entries")? {
                let entry = entry.as_u64().context("no index")? - sent.first;
                sent.at_us[usize::try_from(entry)?].store(at_us, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(captured) = captures.join_next().await {
        captured??;
    }
    Ok(())
}

fn document(run: u32, number: usize) -> Value {
    let events: Vec<Value> = (0..BATCH)
        .map(|event| {
            json!({
                "type": "ObjectEvent",
                "eventTime": "2026-01-01T00:00:00Z",
                "eventTimeZoneOffset": "+00:00",
                "epcList": [format!("urn:epc:id:sgtin:4012345.011111.{run}{number:06}{event}")],
                "action": "OBSERVE",
                "bizStep": "shipping",
                "readPoint": {"id": "urn:epc:id:sgln:4012345.00001.0"},
            })
        })
        .collect();
    json!({
        "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-01-01T00:00:00Z",
        "epcisBody": {"eventList": events},
    })
}

/// Listens until every event was heard; gives how long each took, in milliseconds.
async fn listen(client: reqwest::Client, url: String, sent: Arc<Sent>) -> anyhow::Result<Vec<f64>> {
    let response = client.get(url).send().await?.error_for_status()?;
    sent.listening.fetch_add(1, Ordering::Relaxed);
    let mut stream = response.bytes_stream();
    let (mut heard, mut rest) = (Vec::with_capacity(sent.at_us.len()), Vec::new());
    while heard.len() < sent.at_us.len() {
        let bytes = stream.next().await.context("the stream ended")??;
        let now = sent.micros();
        rest.extend_from_slice(&bytes);
        // Only whole lines are looked at, and of them only the ids: behind an event stands the next.
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
            continue;
        };
        for line in rest[..end].split(|byte| *byte == b'\n') {
            if let Some(id) = line.strip_prefix(b"id: ") {
                heard.push((entry_before(id)?, now));
            }
        }
        rest.drain(..=end);
    }
    let warm = u64::try_from(WARM_UP.as_micros())? + sent.at_us[0].load(Ordering::Relaxed);
    let mut latencies_ms = Vec::with_capacity(heard.len());
    for (entry, at) in heard {
        let place = usize::try_from(entry - sent.first)?;
        // Heard before the capture was answered: it is known a moment later.
        let mut begun = sent.at_us[place].load(Ordering::Relaxed);
        while begun == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            begun = sent.at_us[place].load(Ordering::Relaxed);
        }
        if begun >= warm {
            #[expect(clippy::cast_precision_loss, reason = "seconds, in microseconds")]
            latencies_ms.push(at.saturating_sub(begun) as f64 / 1e3);
        }
    }
    Ok(latencies_ms)
}

/// The entry of a message: its id says where to go on behind it.
fn entry_before(id: &[u8]) -> anyhow::Result<u64> {
    let id = std::str::from_utf8(id)?;
    let (next, _) = id.split_once('-').context("an id of another kind")?;
    Ok(next.parse::<u64>()? - 1)
}
