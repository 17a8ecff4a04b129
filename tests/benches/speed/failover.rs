//! How long writes stand still after the leader was killed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::load::{VALUE_BYTES, put};
use crate::store::Store;
use crate::store::etcdserverpb::kv_client::KvClient;

/// A new write is tried so often, whether earlier ones were answered or not: it is also how
/// exactly the gap is known.
const PROBE_INTERVAL: Duration = Duration::from_millis(10);
/// The longest gap that is waited for.
const GAP_MAX: Duration = Duration::from_secs(30);

/// Kills the leader of a settled store with SIGKILL and returns the time until a write that was
/// sent after that to one of the others is acknowledged. Then starts the killed node again and
/// waits until the three have settled.
pub async fn gap(store: &Store, leader: usize) -> anyhow::Result<Duration> {
    let mut survivors = Vec::new();
    for at in (0..store.nodes().len()).filter(|at| *at != leader) {
        survivors.push(store.channel(at).await?);
    }
    let killed = Instant::now();
    store.nodes()[leader].kill().await?;
    let acknowledged = first_acknowledged(&survivors).await.with_context(|| {
        format!(
            "{} after the end of {}",
            store.name,
            store.nodes()[leader].name()
        )
    })?;
    store.nodes()[leader].start().await?;
    store.nodes()[leader].wait_ready().await?;
    store.settle().await?;
    Ok(acknowledged - killed)
}

/// When the first of ever more writes is acknowledged.
async fn first_acknowledged(survivors: &[Channel]) -> anyhow::Result<Instant> {
    let begun = Instant::now();
    let mut writes = JoinSet::new();
    let mut tick = tokio::time::interval(PROBE_INTERVAL);
    let mut tried = 0_u32;
    while begun.elapsed() < GAP_MAX {
        tokio::select! {
            _ = tick.tick() => {
                let channel = survivors[tried as usize % survivors.len()].clone();
                let write = put(tried, VALUE_BYTES);
                writes.spawn(async move {
                    KvClient::new(channel).put(write).await.ok().map(|_| Instant::now())
                });
                tried += 1;
            }
            Some(answer) = writes.join_next() => {
                if let Some(at) = answer? {
                    return Ok(at);
                }
            }
        }
    }
    bail!("none of {tried} writes was acknowledged within {GAP_MAX:?}")
}
