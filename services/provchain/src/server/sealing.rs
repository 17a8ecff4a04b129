//! The leader seals blocks; every node keeps its latest checkpoint in a file.

use std::path::PathBuf;
use std::time::Duration;

use consensus::{Cluster, Consistency};

use crate::api::signer::Signer;
use crate::ledger::block::Tip;
use crate::machine::Ledger;
use crate::machine::command::{Command, Seal, change, reply};
use crate::machine::read::{self, damaged};

/// Looks every `interval` whether entries wait for a block.
pub(super) async fn run(
    cluster: Cluster<Ledger>,
    signer: Signer,
    checkpoint: PathBuf,
    interval: Duration,
) {
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut kept = None;
    loop {
        tick.tick().await;
        if cluster.unready().is_some() {
            continue;
        }
        if cluster.leads()
            && let Err(reason) = seal(&cluster, &signer).await
        {
            tracing::debug!(reason, "no block was sealed");
        }
        match keep(&cluster, &signer, &checkpoint, kept).await {
            Ok(size) => kept = Some(size),
            Err(reason) => tracing::warn!(reason, "the checkpoint could not be kept"),
        }
    }
}

async fn seal(cluster: &Cluster<Ledger>, signer: &Signer) -> Result<(), String> {
    let read = cluster.read(Consistency::Local { age_max: None }, |state| {
        let Some(founded) = read::founded(state)? else {
            return Ok(None);
        };
        let tip = match read::last_block(state)? {
            Some(block) => Tip::after(&block.header),
            None => Tip::of_new_ledger(&founded.origin),
        };
        if founded.size <= tip.next_entry {
            return Ok(None);
        }
        let root = read::root(state, founded.size).map_err(damaged)?;
        Ok(Some((tip, founded.size, root)))
    });
    let Some((tip, size, root)) = read.await.map_err(|error| error.to_string())?.value else {
        return Ok(());
    };
    let now = kit::clock::unix_ms();
    let Some(header) = tip.next(size, root, now, &signer.public_key()) else {
        return Ok(());
    };
    let block = signer.seal(header);
    let command = Command::of(change::Change::Seal(Seal {
        block: block.encode().to_vec(),
    }));
    // A block that is proposed twice continues the chain once.
    let proposed = cluster
        .propose(&command)
        .await
        .map_err(|error| error.to_string())?;
    match proposed.reply.reply {
        Some(reply::Reply::Done(_)) => {
            metrics::counter!("provchain_blocks_sealed_total").increment(1);
            Ok(())
        }
        Some(reply::Reply::Refused(refused)) => Err(refused.reason),
        _ => Err("the ledger's reply cannot be read".into()),
    }
}

/// Writes down how large the ledger was and what its root was: a copy that lost its end is found by
/// it.
async fn keep(
    cluster: &Cluster<Ledger>,
    signer: &Signer,
    path: &std::path::Path,
    kept: Option<u64>,
) -> Result<u64, String> {
    let read = cluster.read(Consistency::Local { age_max: None }, |state| {
        let Some(founded) = read::founded(state)? else {
            return Ok(None);
        };
        let root = read::root(state, founded.size).map_err(damaged)?;
        Ok(Some((founded.origin, founded.size, root)))
    });
    let Some((origin, size, root)) = read.await.map_err(|error| error.to_string())?.value else {
        return Ok(0);
    };
    #[expect(clippy::cast_precision_loss, reason = "a count for a graph")]
    metrics::gauge!("provchain_ledger_entries").set(size as f64);
    if size == 0 || kept == Some(size) {
        return Ok(size);
    }
    let note = signer
        .checkpoint(&origin, size, root)
        .map_err(|error| error.to_string())?;
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || kit::fsync::replace(&path, note.as_bytes()))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    Ok(size)
}
