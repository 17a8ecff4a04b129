//! The leader seals blocks; every node keeps its latest checkpoint in a file.

use std::time::Duration;

use consensus::{Cluster, Consistency};
use tokio::sync::watch;

use crate::api::kept::Kept;
use crate::api::signer::Signer;
use crate::ledger::block::Tip;
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::note::{SignatureType, VerifierKey};
use crate::machine::Ledger;
use crate::machine::command::{Command, Seal, change, reply};
use crate::machine::read::{self, damaged};

/// Looks every `interval` whether entries wait for a block; tells by `renewed` that there is a new
/// checkpoint.
pub(super) async fn run(
    cluster: Cluster<Ledger>,
    signer: Signer,
    checkpoint: Kept,
    renewed: watch::Sender<()>,
    interval: Duration,
) {
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if cluster.unready().is_some() {
            continue;
        }
        let settling = signer.clone();
        match tokio::task::spawn_blocking(move || settling.settle()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the old key could not be replaced"),
            Err(error) => tracing::warn!(%error, "the old key could not be replaced"),
        }
        if cluster.leads()
            && let Err(reason) = seal(&cluster, &signer).await
        {
            tracing::debug!(reason, "no block was sealed");
        }
        match keep(&cluster, &signer, &checkpoint).await {
            Ok(true) => drop(renewed.send(())),
            Ok(false) => {}
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
    let sealed = signer.seal(|key| tip.next(size, root, now, key));
    let Some(block) = sealed.map_err(|error| error.to_string())? else {
        return Ok(());
    };
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
/// it. Whether there is a new checkpoint.
async fn keep(cluster: &Cluster<Ledger>, signer: &Signer, kept: &Kept) -> Result<bool, String> {
    let read = cluster.read(Consistency::Local { age_max: None }, |state| {
        let Some(founded) = read::founded(state)? else {
            return Ok(None);
        };
        let root = read::root(state, founded.size).map_err(damaged)?;
        Ok(Some((founded.origin, founded.size, root)))
    });
    let Some((origin, size, root)) = read.await.map_err(|error| error.to_string())?.value else {
        return Ok(false);
    };
    #[expect(clippy::cast_precision_loss, reason = "a count for a graph")]
    metrics::gauge!("provchain_ledger_entries").set(size as f64);
    let is_new = |old: &SignedCheckpoint| {
        let old_tree = old.checkpoint();
        (&old_tree.origin, old_tree.size, old_tree.root) != (&origin, size, root)
            || !is_signed(old, signer)
    };
    if size == 0 || !kept.newest().is_none_or(|old| is_new(&old)) {
        return Ok(false);
    }
    let note = signer.checkpoint(&origin, size, root);
    let signed = note.and_then(|note| SignedCheckpoint::parse(&note));
    let (kept, signed) = (kept.clone(), signed.map_err(|error| error.to_string())?);
    tokio::task::spawn_blocking(move || kept.keep(signed))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    Ok(true)
}

/// Whether the key that signs now signed it: not if that has taken over since.
fn is_signed(signed: &SignedCheckpoint, signer: &Signer) -> bool {
    let key = signer.public_key().ok();
    let origin = &signed.checkpoint().origin;
    let key = key.and_then(|key| VerifierKey::new(origin, SignatureType::Ed25519, key).ok());
    key.is_some_and(|key| signed.verify(&[key]).is_ok())
}
