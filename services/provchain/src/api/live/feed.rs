//! What is new in the ledger, kept for those who follow it: each event is opened and written out once,
//! however many listen.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::watch;

use crate::documents;
use crate::epcis::{Event, Limits};
use crate::ledger::block::Block;
use crate::machine::read::{Keyring, StoredEntry};

/// Entries that are kept; who is further behind reads them from the ledger.
const ENTRIES_MAX: usize = 4096;
/// Blocks that are kept.
const BLOCKS_MAX: usize = 256;

/// How far the ledger of this node has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries: the index of the next.
    pub entries: u64,
    /// Blocks: the height of the next.
    pub blocks: u64,
    /// Whether the node is going down.
    pub closed: bool,
}

/// The longest document whose event is kept as well as it is read: that takes some times as much.
const EVENT_BYTES_MAX: usize = 8 << 10;

/// An entry on its way out.
pub struct FedEntry {
    stored: StoredEntry,
    keys: Arc<dyn Keyring + Send + Sync>,
    document: OnceLock<Option<Bytes>>,
    event: OnceLock<Option<Arc<Event>>>,
}

impl FedEntry {
    pub(in crate::api) fn stored(&self) -> &StoredEntry {
        &self.stored
    }

    /// The event, if it can be read at all. That keys of its subjects are missing is not remembered:
    /// they may be on their way.
    pub(in crate::api) fn document(&self) -> Option<&Bytes> {
        if self.is_locked() {
            return None;
        }
        let opened = || self.stored.document(&*self.keys).map(Bytes::from);
        self.document.get_or_init(opened).as_ref()
    }

    /// Whether it cannot be read for want of keys that may come yet; what was erased is not.
    pub(in crate::api) fn is_locked(&self) -> bool {
        self.document.get().is_none() && self.stored.is_locked(&*self.keys)
    }

    /// The event for a query to look at, read once for however many.
    pub(in crate::api) fn event(&self) -> Option<Arc<Event>> {
        let document = self.document()?;
        let read = || match documents::read(document, &Limits::stored()) {
            Ok(event) => Some(Arc::new(event)),
            Err(reason) => {
                tracing::warn!(entry = self.stored.index, reason, "an event cannot be read");
                None
            }
        };
        if document.len() > EVENT_BYTES_MAX {
            return read();
        }
        self.event.get_or_init(read).clone()
    }
}

/// The newest entries and blocks; cheap to clone.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    keys: Arc<dyn Keyring + Send + Sync>,
    kept: RwLock<Kept>,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Arc<FedEntry>>,
    blocks: VecDeque<Arc<Block>>,
}

impl Feed {
    /// A feed of entries that are opened with these keys.
    pub(crate) fn new(keys: Arc<dyn Keyring + Send + Sync>) -> Self {
        Self(Arc::new(Inner {
            keys,
            kept: RwLock::default(),
            progress: watch::Sender::default(),
        }))
    }

    /// Takes in what follows: entries and blocks in their order, none left out since the last time.
    pub(crate) fn take(&self, entries: Vec<StoredEntry>, blocks: Vec<Block>) {
        let mut kept = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
        let mut progress = *self.0.progress.borrow();
        for entry in entries {
            progress.entries = entry.index + 1;
            if kept.entries.len() == ENTRIES_MAX {
                kept.entries.pop_front();
            }
            kept.entries.push_back(Arc::new(self.fed(entry)));
        }
        for block in blocks {
            progress.blocks = block.header.height + 1;
            if kept.blocks.len() == BLOCKS_MAX {
                kept.blocks.pop_front();
            }
            kept.blocks.push_back(Arc::new(block));
        }
        drop(kept);
        self.0.progress.send_replace(progress);
    }

    /// An entry on its way out.
    pub(in crate::api) fn fed(&self, stored: StoredEntry) -> FedEntry {
        FedEntry {
            stored,
            keys: Arc::clone(&self.0.keys),
            document: OnceLock::new(),
            event: OnceLock::new(),
        }
    }

    /// Forgets the content of entries that were erased.
    pub(crate) fn forget(&self, entries: &[u64]) {
        let mut kept = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = kept.entries.front().map(|entry| entry.stored.index) else {
            return;
        };
        for index in entries {
            let place = index.checked_sub(first).map(usize::try_from);
            if let Some(Ok(place)) = place
                && let Some(entry) = kept.entries.get_mut(place)
            {
                let mut stored = entry.stored.clone();
                (stored.payload, stored.key) = (None, None);
                *entry = Arc::new(self.fed(stored));
            }
        }
    }

    /// Begins where the ledger is, or begins anew where it was replaced by another.
    pub(crate) fn begin(&self, at: Progress) {
        let mut kept = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Kept::default();
        drop(kept);
        self.0.progress.send_replace(at);
    }

    /// Ends every stream.
    pub(crate) fn close(&self) {
        self.0
            .progress
            .send_modify(|progress| progress.closed = true);
    }

    /// How far it is, and how to hear of more.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.0.progress.subscribe()
    }

    /// Up to `limit` entries from `from` on; nothing if they are not kept any more.
    pub(in crate::api) fn entries(&self, from: u64, limit: usize) -> Option<Vec<Arc<FedEntry>>> {
        let kept = self.0.kept.read().unwrap_or_else(PoisonError::into_inner);
        page(&kept.entries, |entry| entry.stored.index, from, limit)
    }

    /// Up to `limit` blocks from the height `from` on; nothing if they are not kept any more.
    pub(super) fn blocks(&self, from: u64, limit: usize) -> Option<Vec<Arc<Block>>> {
        let kept = self.0.kept.read().unwrap_or_else(PoisonError::into_inner);
        page(&kept.blocks, |block| block.header.height, from, limit)
    }
}

fn page<T>(
    kept: &VecDeque<Arc<T>>,
    place: impl Fn(&T) -> u64,
    from: u64,
    limit: usize,
) -> Option<Vec<Arc<T>>> {
    let first = place(kept.front()?);
    let skipped = usize::try_from(from.checked_sub(first)?).ok()?;
    Some(
        kept.iter()
            .skip(skipped)
            .take(limit)
            .map(Arc::clone)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, Visibility};
    use crate::ledger::Digest;
    use crate::ledger::block::Header;
    use crate::ledger::key::{Custody, EntryKey, WrappedKey};
    use crate::ledger::payload::{ContentType, Payload};

    fn entry(index: u64) -> StoredEntry {
        StoredEntry {
            index,
            leaf: Vec::new(),
            payload: None,
            key: None,
            access: Access {
                owner: 1,
                visibility: Visibility::Public,
            },
        }
    }

    fn block(height: u64) -> Block {
        let header = Header {
            height,
            first_entry: height,
            last_entry: height,
            previous: Digest([0; 32]),
            tree_root: Digest([0; 32]),
            time_ms: 0,
            signer: [0; 32],
        };
        let signature = [0; 64];
        Block { header, signature }
    }

    #[test]
    fn what_is_kept_is_the_newest_and_what_is_older_is_not_passed_over() {
        let feed = Feed::new(Arc::new(()));
        assert!(feed.entries(0, 10).is_none());
        feed.begin(Progress {
            entries: 7,
            ..Progress::default()
        });
        let many = ENTRIES_MAX as u64 + 100;
        feed.take((7..7 + many).map(entry).collect(), Vec::new());
        assert_eq!(feed.progress().borrow().entries, 7 + many);
        assert!(feed.entries(106, 10).is_none());
        let page = feed.entries(107, 10).unwrap();
        let indices: Vec<_> = page.iter().map(|entry| entry.stored.index).collect();
        assert_eq!(indices, (107..117).collect::<Vec<_>>());
        assert_eq!(feed.entries(7 + many, 10).unwrap().len(), 0);
        let many = BLOCKS_MAX as u64 + 10;
        feed.take(Vec::new(), (0..many).map(block).collect());
        assert_eq!(feed.progress().borrow().blocks, many);
        assert!(feed.blocks(9, 1).is_none());
        let page = feed.blocks(10, 2).unwrap();
        let heights: Vec<_> = page.iter().map(|block| block.header.height).collect();
        assert_eq!(heights, [10, 11]);
    }

    #[test]
    fn what_is_erased_is_forgotten_though_a_listener_has_opened_it() {
        let key = EntryKey::from_random([3; 32]);
        let payload = Payload {
            content_type: ContentType::JsonLd,
            submitter: "farm".into(),
            document: b"{}".to_vec(),
        };
        let payload = payload.seal(&key.derive()).unwrap();
        let wrapped = WrappedKey::wrap(&key, Custody::Plain).unwrap();
        let readable = |index| StoredEntry {
            payload: Some(payload.as_bytes().to_vec()),
            key: Some(wrapped.encode()),
            ..entry(index)
        };
        let feed = Feed::new(Arc::new(()));
        feed.begin(Progress {
            entries: 5,
            ..Progress::default()
        });
        feed.take((5..8).map(readable).collect(), Vec::new());
        let opened = |index| feed.entries(index, 1).unwrap()[0].document().is_some();
        assert!((5..8).all(opened));
        feed.forget(&[1, 6, 99]);
        assert_eq!([opened(5), opened(6), opened(7)], [true, false, true]);
    }
}
