//! Clients that put or get as fast as they are answered.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use rand::{Rng as _, RngExt as _};
use serde::Serialize;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::store::Store;
use crate::store::etcdserverpb::kv_client::KvClient;
use crate::store::etcdserverpb::{PutRequest, RangeRequest};

pub const VALUE_BYTES: usize = 256;
/// Clients on one connection: the proportion in etcd's own published measurements (`benchmark
/// --conns=100 --clients=1000`).
pub const CLIENTS_PER_CONNECTION: usize = 10;
/// How long a client waits after an error, so that a store that refuses is not flooded.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest latency that is told apart, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;

/// What clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A value of 256 random bytes under a random key, sent to the leader.
    Put,
    /// A linearizable get of a random key, sent to all nodes in turn, the leader first.
    Get,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    pub operations: u64,
    pub errors: u64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Processor time of all three servers together.
    pub cpu_us_per_operation: f64,
}

/// When latencies count.
#[derive(Clone, Copy)]
struct Window {
    begin: Instant,
    end: Instant,
}

struct Tally {
    latencies_us: Histogram<u64>,
    errors: u64,
}

/// Loads the store with so many clients for a fourth of `time` to warm up, and then for `time`. Gets
/// must find values of one of these lengths.
pub async fn run(
    store: &Store,
    leader: usize,
    operation: Operation,
    clients: usize,
    (keys, lengths): (u32, &'static [usize]),
    time: Duration,
) -> anyhow::Result<Load> {
    let channels = connect(store, leader, operation, clients).await?;
    let begin = Instant::now() + time / 4;
    let window = Window {
        begin,
        end: begin + time,
    };
    let mut running = JoinSet::new();
    for client in 0..clients {
        let channel = channels[client % channels.len()].clone();
        running.spawn(repeat(channel, operation, (keys, lengths), window));
    }
    tokio::time::sleep_until(window.begin.into()).await;
    let cpu_before = store.cpu_micros()?;
    tokio::time::sleep_until(window.end.into()).await;
    let cpu = store.cpu_micros()? - cpu_before;
    let mut all = Tally::new()?;
    while let Some(tally) = running.join_next().await {
        let tally = tally??;
        all.latencies_us.add(&tally.latencies_us)?;
        all.errors += tally.errors;
    }
    all.load(cpu, time)
        .with_context(|| format!("{} {operation:?}, {clients} clients", store.name))
}

/// Puts each of these keys once, with values of so many bytes, so that gets find something.
pub async fn fill(
    store: &Store,
    leader: usize,
    keys: Range<u32>,
    value_bytes: usize,
) -> anyhow::Result<()> {
    const CLIENTS: u32 = 256;
    let channels = connect(store, leader, Operation::Put, CLIENTS as usize).await?;
    let mut running = JoinSet::new();
    for client in 0..CLIENTS {
        let channel = channels[client as usize % channels.len()].clone();
        let (mut client, first) = (KvClient::new(channel), keys.start + client);
        let end = keys.end;
        running.spawn(async move {
            for number in (first..end).step_by(CLIENTS as usize) {
                client.put(put(number, value_bytes)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(filled) = running.join_next().await {
        filled?.with_context(|| format!("filling {}", store.name))?;
    }
    Ok(())
}

async fn connect(
    store: &Store,
    leader: usize,
    operation: Operation,
    clients: usize,
) -> anyhow::Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for number in 0..clients.div_ceil(CLIENTS_PER_CONNECTION) {
        let at = match operation {
            Operation::Put => leader,
            Operation::Get => (leader + number) % store.nodes().len(),
        };
        channels.push(store.channel(at).await?);
    }
    Ok(channels)
}

async fn repeat(
    channel: Channel,
    operation: Operation,
    (keys, lengths): (u32, &[usize]),
    window: Window,
) -> anyhow::Result<Tally> {
    let mut client = KvClient::new(channel);
    let mut tally = Tally::new()?;
    loop {
        let number = rand::rng().random_range(0..keys);
        let request = (operation == Operation::Put).then(|| put(number, VALUE_BYTES));
        let asked = Instant::now();
        if asked >= window.end {
            return Ok(tally);
        }
        let answer = match request {
            Some(put) => client.put(put).await.map(drop),
            None => get(&mut client, number, lengths).await,
        };
        let answered = Instant::now();
        if answered < window.begin || answered > window.end {
            continue;
        }
        match answer {
            Ok(()) => tally
                .latencies_us
                .saturating_record(micros(answered - asked)),
            Err(_) => {
                tally.errors += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn get(
    client: &mut KvClient<Channel>,
    number: u32,
    lengths: &[usize],
) -> Result<(), tonic::Status> {
    let found = client
        .range(RangeRequest { key: key(number) })
        .await?
        .into_inner();
    match found.kvs.first() {
        Some(kv) if lengths.contains(&kv.value.len()) => Ok(()),
        _ => Err(tonic::Status::not_found("a key that was written")),
    }
}

/// A put of a random value of so many bytes under the key of this number.
pub fn put(number: u32, value_bytes: usize) -> PutRequest {
    let mut value = vec![0; value_bytes];
    rand::rng().fill_bytes(&mut value);
    PutRequest {
        key: key(number),
        value: value.into(),
    }
}

/// Eight bytes, as in etcd's own measurements.
fn key(number: u32) -> Bytes {
    Bytes::from(format!("{number:08}"))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            latencies_us: Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?,
            errors: 0,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn load(&self, cpu_us: u64, time: Duration) -> anyhow::Result<Load> {
        let operations = self.latencies_us.len();
        ensure!(
            operations > 0,
            "nothing was answered, {} errors",
            self.errors
        );
        let at = |quantile| self.latencies_us.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Load {
            operations,
            errors: self.errors,
            per_second: operations as f64 / time.as_secs_f64(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            cpu_us_per_operation: cpu_us as f64 / operations as f64,
        })
    }
}
