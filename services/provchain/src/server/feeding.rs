//! Tells listeners what is new in the ledger of this node.

use std::time::Duration;

use consensus::{Cluster, Consistency};

use crate::api::live::feed::{Feed, Progress};
use crate::keys::Keeper;
use crate::machine::{Ledger, read};

/// Entries that are taken in at a time.
const BATCH: usize = 512;
/// After a fault.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs for as long as the node lives.
pub(super) async fn run(cluster: Cluster<Ledger>, keeper: Keeper, feed: Feed) {
    let mut applied = cluster.applied();
    let mut begun = false;
    loop {
        match catch_up(&cluster, &keeper, &feed, &mut begun).await {
            Ok(true) => {}
            Ok(false) => {
                if applied.changed().await.is_err() {
                    return;
                }
            }
            Err(reason) => {
                tracing::warn!(reason, "listeners wait; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Takes what is new; whether there may be more. What was there before the start is nothing new.
async fn catch_up(
    cluster: &Cluster<Ledger>,
    keeper: &Keeper,
    feed: &Feed,
    begun: &mut bool,
) -> Result<bool, String> {
    let from = *feed.progress().borrow();
    let first = !*begun;
    let read = cluster.read(Consistency::Local { age_max: None }, move |state| {
        let Some(founded) = read::founded(state)? else {
            return Ok(None);
        };
        let now = Progress {
            entries: founded.size,
            blocks: read::last_block(state)?.map_or(0, |block| block.header.height + 1),
            ..from
        };
        let back = from.entries > now.entries || from.blocks > now.blocks;
        if first || back {
            return Ok(Some((now, true, Vec::new(), Vec::new())));
        }
        let entries = read::entries(state, from.entries, BATCH)?;
        let blocks = read::blocks(state, from.blocks, BATCH)?;
        Ok(Some((now, false, entries, blocks)))
    });
    let read = read.await.map_err(|error| error.to_string())?;
    let Some((now, anew, entries, blocks)) = read.value else {
        return Ok(false);
    };
    if anew {
        feed.begin(now);
        *begun = true;
        return Ok(true);
    }
    let some = !entries.is_empty() || !blocks.is_empty();
    if some {
        // What has no key then is passed over, as it is in every answer until the key comes.
        keeper.fetch_soon(&entries).await;
        feed.take(entries, blocks);
    }
    Ok(some)
}
