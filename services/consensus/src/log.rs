//! The Raft log: entries and the vote, durable before anyone is told so.
//!
//! [`LogStore`] keeps the newest entries in memory, so that replication and apply rarely touch the
//! disk, and hands every write to one thread, which performs all that waits and then syncs once.

mod io;
mod sqlite;
mod tail;
mod writer;

#[cfg(feature = "testing")]
pub mod faulty;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io::{Error, Result};
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, TryStreamExt as _};
use openraft::OptionalSend;
use openraft::entry::RaftEntry as _;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

pub use self::io::{Loaded, LogIo, LogRead, Record};
pub use self::sqlite::SqliteLog;
use self::tail::Tail;
use self::writer::Operation;
use crate::codec;
use crate::raft::{Entry, LogId, Types, Vote};

/// Writes that may wait for the disk before the core is slowed down.
const QUEUE_OPERATIONS: usize = 4096;
/// What one read for replication may bring into memory.
const READ_BYTES_MAX: usize = 4 << 20;

/// The log as openraft sees it; cheap to clone.
#[derive(Clone)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
    writer: mpsc::Sender<Operation>,
}

struct Shared {
    tail: Mutex<Tail>,
    disk: Mutex<Box<dyn LogRead>>,
    appended_bytes: AtomicU64,
}

impl Shared {
    fn tail(&self) -> std::sync::MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogStore {
    /// Opens the log on `io` and starts its writer thread.
    ///
    /// `tail_bytes_max` bounds the entries that stay in memory once they are on disk.
    pub(crate) fn open(mut io: Box<dyn LogIo>, tail_bytes_max: usize) -> Result<Self> {
        let loaded = io.load()?;
        let disk = io.reader()?;
        let tail = Tail::new(&loaded, tail_bytes_max)?;
        let shared = Arc::new(Shared {
            tail: Mutex::new(tail),
            disk: Mutex::new(disk),
            appended_bytes: AtomicU64::new(0),
        });
        let (writer, operations) = mpsc::channel(QUEUE_OPERATIONS);
        let flushed = Arc::clone(&shared);
        let write = writer::writer(io, move |index| flushed.tail().flushed(index));
        crate::host::spawn_worker("log", operations, write)?;
        Ok(Self { shared, writer })
    }

    /// The index of the first entry that is still here.
    pub(crate) fn first_index(&self) -> u64 {
        self.shared.tail().first_index()
    }

    /// The newest vote.
    pub(crate) fn vote(&self) -> Option<Vote> {
        self.shared.tail().vote
    }

    /// Whether the entry at `index` is on disk.
    pub(crate) fn is_durable(&self, index: u64) -> bool {
        index < self.shared.tail().durable()
    }

    /// Bytes of entries that were appended since the start.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.shared.appended_bytes.load(Ordering::Relaxed)
    }

    /// The entries of `from..to` that fit into one read, oldest first; at least one if there is one.
    pub(crate) async fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>> {
        let boundary = {
            let tail = self.shared.tail();
            let to = to.min(tail.next_index());
            // What is purged is gone: whoever still asks for it serves a member that was removed.
            if from >= to || from < tail.first_index() {
                return Ok(Vec::new());
            }
            if let Some(entries) = tail.range(from, to, READ_BYTES_MAX) {
                return Ok(entries);
            }
            to.min(tail.memory_from())
        };
        let shared = Arc::clone(&self.shared);
        let records = crate::host::blocking(move || {
            let mut disk = shared.disk.lock().unwrap_or_else(PoisonError::into_inner);
            disk.read(from, boundary, READ_BYTES_MAX)
        })
        .await
        .map_err(Error::other)??;
        let mut entries = Vec::with_capacity(records.len());
        for (expected, record) in (from..).zip(records) {
            if record.index != expected {
                if from < self.first_index() {
                    return Ok(Vec::new());
                }
                return Err(Error::other(format!(
                    "the log misses entry {expected}: found {} in its place",
                    record.index
                )));
            }
            entries.push(codec::decode_entry(record.bytes)?);
        }
        Ok(entries)
    }

    async fn send(&self, operation: Operation) -> Result<()> {
        self.writer
            .send(operation)
            .await
            .map_err(|_| Error::other("the log's writer has stopped"))
    }

    /// Performs an operation and waits until it is on disk.
    async fn durable(&self, build: impl FnOnce(writer::Done) -> Operation) -> Result<()> {
        let (done, result) = oneshot::channel();
        self.send(build(writer::Done::Wait(done))).await?;
        result
            .await
            .map_err(|_| Error::other("the log's writer has stopped"))?
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(index) => index + 1,
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range);
        // What has been purged may be asked for, and is not there.
        let mut from = from.max(self.first_index());
        let mut all = Vec::new();
        loop {
            let entries = self.entries(from, to).await?;
            let Some(last) = entries.last() else {
                return Ok(all);
            };
            from = last.index() + 1;
            if all.is_empty() {
                all = entries;
            } else {
                all.extend(entries);
            }
        }
    }

    /// One read after the other: what is to be applied may be all that piled up while there was no
    /// majority, or since the last checkpoint before a loss of power.
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = Result<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range);
        let log = self.clone();
        let reads = futures_util::stream::try_unfold(from, move |from| {
            let log = log.clone();
            async move {
                let entries = log.entries(from, to).await?;
                let next = entries.last().map(|last| last.index() + 1);
                Ok::<_, Error>(next.map(|next| (entries, next)))
            }
        });
        let each = |read: Vec<Entry>| futures_util::stream::iter(read.into_iter().map(Ok));
        Box::pin(reads.map_ok(each).try_flatten())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>> {
        self.entries(start, end).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>> {
        Ok(self.vote())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>> {
        let tail = self.shared.tail();
        Ok(LogState {
            last_purged_log_id: tail.purged(),
            last_log_id: tail.last(),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<()> {
        self.shared.tail().vote = Some(*vote);
        let bytes = codec::vote_to_wire(vote).encode_to_vec();
        self.durable(|done| Operation::Vote { bytes, done }).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let records: Vec<Record> = entries
            .iter()
            .map(|entry| Record {
                index: entry.index(),
                bytes: codec::encode_entry(entry),
            })
            .collect();
        {
            let mut tail = self.shared.tail();
            for (entry, record) in entries.into_iter().zip(&records) {
                tail.push(entry, record.bytes.len())?;
            }
        }
        let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
        self.shared
            .appended_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        let done = writer::Done::Flushed(callback);
        self.send(Operation::Append { records, done }).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        self.shared.tail().truncate(from, last);
        self.durable(|done| Operation::Truncate { from, done })
            .await
    }

    async fn purge(&mut self, through: LogId) -> Result<()> {
        self.shared.tail().purge(through);
        let bytes = codec::log_id_to_wire(&through).encode_to_vec();
        self.durable(|done| Operation::Purge {
            through: through.index,
            bytes,
            done,
        })
        .await
    }
}
