//! Brings the index to where the ledger is, and keeps it there.

use std::time::Duration;

use consensus::{Cluster, Consistency};
use futures_util::StreamExt as _;

use crate::index::Index;
use crate::machine::{Ledger, read};

/// Entries that are taken in at a time.
const BATCH: usize = 512;
/// After a fault.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs for as long as the node lives.
pub(super) async fn run(cluster: Cluster<Ledger>, index: Index) {
    let mut applied = std::pin::pin!(changes(&cluster));
    loop {
        match catch_up(&cluster, &index).await {
            Ok(true) => {}
            // Nothing new: wait for the next change of the ledger.
            Ok(false) => {
                if applied.next().await.is_none() {
                    return;
                }
            }
            Err(reason) => {
                tracing::warn!(reason, "the index is behind; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Something for each time that the ledger may have changed.
fn changes(cluster: &Cluster<Ledger>) -> impl futures_util::Stream<Item = ()> + use<> {
    let applied = cluster.applied();
    tokio_stream::wrappers::WatchStream::from_changes(applied).map(drop)
}

/// Takes one batch in; whether there was something to take.
async fn catch_up(cluster: &Cluster<Ledger>, index: &Index) -> Result<bool, String> {
    let from = index.indexed();
    let read = cluster.read(Consistency::Local { age_max: None }, move |state| {
        let Some(founded) = read::founded(state)? else {
            return Ok((0, Vec::new()));
        };
        Ok((founded.size, read::entries(state, from, BATCH)?))
    });
    let (size, entries) = read.await.map_err(|error| error.to_string())?.value;
    if from > size {
        // The data directory was wiped, or the ledger replaced by another.
        index.clear().map_err(|error| error.to_string())?;
        return Ok(true);
    }
    if entries.is_empty() {
        return Ok(false);
    }
    let taker = index.clone();
    tokio::task::spawn_blocking(move || taker.take(&entries))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    #[expect(clippy::cast_precision_loss, reason = "a count for a graph")]
    metrics::gauge!("provchain_index_entries").set(index.indexed() as f64);
    Ok(true)
}
