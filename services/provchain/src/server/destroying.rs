//! Destroys the keys of subjects that are erased, on this node.
//!
//! It begins with the first erasure that there ever was: keys from a copy that was put back, or from a
//! member that was away, are then destroyed or refused like any other.

use std::time::Duration;

use consensus::{Cluster, Consistency};

use crate::api::cache::Cache;
use crate::api::live::feed::Feed;
use crate::keys::Keeper;
use crate::machine::{Ledger, subjects};

/// Erasures that are followed at a time.
const BATCH: usize = 64;
/// After a fault.
const PAUSE: Duration = Duration::from_secs(1);

/// What has been told of entries, and is kept.
pub(super) struct Told {
    pub feed: Feed,
    pub cache: Cache,
}

/// Runs for as long as the node lives.
pub(super) async fn run(cluster: Cluster<Ledger>, keeper: Keeper, told: Told) {
    let mut applied = cluster.applied();
    let mut done = 0;
    loop {
        match catch_up(&cluster, &keeper, &told, &mut done).await {
            Ok(true) => {}
            Ok(false) => {
                if applied.changed().await.is_err() {
                    return;
                }
            }
            Err(reason) => {
                tracing::error!(
                    reason,
                    "keys of erased subjects are not destroyed yet; it is tried again"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Follows some erasures; whether there may be more.
async fn catch_up(
    cluster: &Cluster<Ledger>,
    keeper: &Keeper,
    told: &Told,
    done: &mut u64,
) -> Result<bool, String> {
    let after = *done;
    let read = cluster.read(Consistency::Local { age_max: None }, move |state| {
        let erasures = subjects::erasures(state, after, BATCH)?;
        let erasures = erasures.into_iter().map(|erasure| {
            let entries = erasure.entries(state)?;
            Ok((erasure, entries))
        });
        let erasures = erasures.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok((subjects::erasures_done(state)?, erasures))
    });
    let (last, erasures) = read.await.map_err(|error| error.to_string())?.value;
    if after > last {
        // The ledger was replaced by another.
        *done = 0;
        return Ok(true);
    }
    let some = !erasures.is_empty();
    for (erasure, entries) in erasures {
        let store = keeper.store().clone();
        let destroyed = tokio::task::spawn_blocking(move || {
            store.destroy(erasure.subject, erasure.generation + 1)
        });
        destroyed
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        told.feed.forget(&entries);
        told.cache.forget_all();
        *done = erasure.number;
        keeper.has_destroyed(erasure.number);
    }
    Ok(some)
}
