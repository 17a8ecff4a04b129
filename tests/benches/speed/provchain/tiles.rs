//! Fetching the tree as a mirror does, by many clients at once.

use std::time::{Duration, Instant};

use anyhow::ensure;
use rand::RngExt as _;
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;

/// Clients that ask as fast as they are answered, one node each in turn.
pub const CLIENTS: usize = 32;
const TIME: Duration = Duration::from_secs(8);
/// Hashes in a full tile (C2SP tlog-tiles).
const TILE_WIDTH: u64 = 256;

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Tiles {
    pub requests: usize,
    pub per_second: f64,
    /// Full tiles of the lowest level, which are asked for at random.
    pub tiles: u64,
}

/// Asks for full tiles at random.
pub async fn run(client: &reqwest::Client, urls: &[String]) -> anyhow::Result<Tiles> {
    eprintln!("provchain: fetching tiles");
    let ledger = client.get(format!("{}/api/v1/ledger", urls[0])).send();
    let ledger: Value = ledger.await?.json().await?;
    let tiles = ledger["size"].as_u64().unwrap_or(0) / TILE_WIDTH;
    ensure!(tiles > 0, "no tile is full yet");
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..CLIENTS {
        let (client, url) = (client.clone(), urls[number % urls.len()].clone());
        running.spawn(async move {
            let mut requests = 0_usize;
            while begun.elapsed() < TIME {
                let path = path(rand::rng().random_range(0..tiles));
                let answer = client.get(format!("{url}/tile/0/{path}")).send().await?;
                let answer = answer.error_for_status()?.bytes().await?;
                ensure!(answer.len() == 32 * 256, "a tile of {} bytes", answer.len());
                requests += 1;
            }
            anyhow::Ok(requests)
        });
    }
    let mut requests = 0;
    while let Some(ended) = running.join_next().await {
        requests += ended??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of thousands")]
    let per_second = requests as f64 / begun.elapsed().as_secs_f64();
    Ok(Tiles {
        requests,
        per_second,
        tiles,
    })
}

/// The path of a tile: groups of three digits, all but the last with an `x`.
fn path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}
