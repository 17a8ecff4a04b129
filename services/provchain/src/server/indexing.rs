//! Brings the index to where the ledger is, and keeps it there.
//!
//! One task does all of it, in the order of what it reads: an entry that was read before an erasure is
//! in the index before the erasure takes it out.

use std::time::Duration;

use consensus::{Cluster, Consistency};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::index::{Index, locked, locked_count};
use crate::keys::Keeper;
use crate::machine::read::StoredEntry;
use crate::machine::{Ledger, read, subjects};

/// Entries that are taken in at a time.
const BATCH: usize = 512;
/// Erasures that are followed at a time.
const ERASURES: usize = 16;
/// After a fault.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the entries whose keys were not at hand.
const UNLOCK_PAUSE: Duration = Duration::from_secs(1);

/// Runs for as long as the node lives.
pub(super) async fn run(cluster: Cluster<Ledger>, index: Index, keeper: Keeper) {
    let mut applied = std::pin::pin!(changes(&cluster));
    let mut added = keeper.store().added();
    let mut unlocking = Unlocking::default();
    let indexing = Indexing {
        cluster: cluster.clone(),
        index,
        keeper,
    };
    loop {
        match indexing.step(&mut unlocking).await {
            Ok(true) => {}
            // Nothing new: wait for the next change of the ledger, or for keys.
            Ok(false) => tokio::select! {
                change = applied.next() => if change.is_none() {
                    return;
                },
                _ = added.changed() => unlocking.due = true,
                () = tokio::time::sleep_until(unlocking.next), if unlocking.due => {}
            },
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

/// When entries that were locked are looked at again.
struct Unlocking {
    /// Whether keys have come since.
    due: bool,
    /// Not before.
    next: Instant,
}

impl Default for Unlocking {
    fn default() -> Self {
        Self {
            due: true,
            next: Instant::now(),
        }
    }
}

struct Indexing {
    cluster: Cluster<Ledger>,
    index: Index,
    keeper: Keeper,
}

/// What is to be done next, as of one moment.
struct News {
    size: u64,
    erasures_done: u64,
    /// Erasures by their numbers, with the entries that they took the content of.
    erasures: Vec<(u64, Vec<u64>)>,
    entries: Vec<StoredEntry>,
}

impl Indexing {
    /// Does one thing; whether there was something to do.
    async fn step(&self, unlocking: &mut Unlocking) -> Result<bool, String> {
        let news = self.news().await?;
        if self.index.indexed() > news.size || self.index.erased() > news.erasures_done {
            // The data directory was wiped, or the ledger replaced by another.
            self.blocking(|index| index.clear()).await?;
            return Ok(true);
        }
        if !news.erasures.is_empty() {
            for (number, entries) in news.erasures {
                self.blocking(move |index| index.erase(&entries, number))
                    .await?;
            }
            return Ok(true);
        }
        if !news.entries.is_empty() {
            self.take(news.entries).await?;
            #[expect(clippy::cast_precision_loss, reason = "a count for a graph")]
            metrics::gauge!("provchain_index_entries").set(self.index.indexed() as f64);
            return Ok(true);
        }
        if unlocking.due && unlocking.next <= Instant::now() {
            *unlocking = Unlocking {
                due: false,
                next: Instant::now() + UNLOCK_PAUSE,
            };
            self.unlock().await?;
            return Ok(true);
        }
        if *self.index.cleaned().borrow() < self.index.erased() {
            self.blocking(|index| index.clean()).await?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn news(&self) -> Result<News, String> {
        let (from, erased) = (self.index.indexed(), self.index.erased());
        let read = self.cluster.read(HERE, move |state| {
            let erasures = subjects::erasures(state, erased, ERASURES)?;
            let erasures = erasures.iter().map(|erasure| {
                let entries = erasure.entries(state)?;
                Ok((erasure.number, entries))
            });
            let erasures = erasures.collect::<rusqlite::Result<_>>()?;
            let Some(founded) = read::founded(state)? else {
                return Ok((0, 0, erasures, Vec::new()));
            };
            let done = subjects::erasures_done(state)?;
            let entries = read::entries(state, from, BATCH)?;
            Ok((founded.size, done, erasures, entries))
        });
        let read = read.await.map_err(|error| error.to_string())?;
        let (size, erasures_done, erasures, entries) = read.value;
        Ok(News {
            size,
            erasures_done,
            erasures,
            entries,
        })
    }

    /// Takes entries in. Those whose keys nobody gives within a moment are noted, and hold up no other.
    async fn take(&self, entries: Vec<StoredEntry>) -> Result<(), String> {
        self.keeper.fetch_soon(&entries).await;
        let about_somebody = entries.iter().any(|entry| !entry.subject_keys().is_empty());
        let store = self.keeper.store().clone();
        self.blocking(move |index| index.take(&entries, &store))
            .await?;
        if about_somebody {
            self.tell_locked().await?;
        }
        Ok(())
    }

    /// Takes in what was locked and is not any more.
    async fn unlock(&self) -> Result<(), String> {
        let mut after = None;
        loop {
            let page = self.index.read(move |index| locked(index, after, BATCH));
            let page = page.await.map_err(|error| error.to_string())?;
            let Some(last) = page.last().copied() else {
                break;
            };
            after = Some(last);
            let read = self.cluster.read(HERE, move |state| {
                let entries = page.into_iter().map(|entry| read::entry(state, entry));
                entries.collect::<rusqlite::Result<Vec<_>>>()
            });
            let entries = read.await.map_err(|error| error.to_string())?.value;
            let entries: Vec<StoredEntry> = entries.into_iter().flatten().collect();
            let store = self.keeper.store().clone();
            self.blocking(move |index| index.take(&entries, &store))
                .await?;
        }
        self.tell_locked().await
    }

    /// Tells how many entries wait for keys.
    async fn tell_locked(&self) -> Result<(), String> {
        let count = self.index.read(locked_count).await;
        let count = count.map_err(|error| error.to_string())?;
        #[expect(clippy::cast_precision_loss, reason = "a count for a graph")]
        metrics::gauge!("provchain_locked_entries").set(count as f64);
        Ok(())
    }

    /// Changes the index, on a thread where that may block.
    async fn blocking(
        &self,
        change: impl FnOnce(&Index) -> Result<(), crate::index::IndexError> + Send + 'static,
    ) -> Result<(), String> {
        let index = self.index.clone();
        tokio::task::spawn_blocking(move || change(&index))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())
    }
}

/// What this node has, however old.
const HERE: Consistency = Consistency::Local { age_max: None };
