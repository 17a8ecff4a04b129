//! The state: a SQLite database that one thread changes and any number read.
//!
//! Every batch of entries and the index of its last one are committed in one transaction, without a
//! sync: what a loss of power takes, the log gives again. A checkpoint, with syncs, says up to where
//! the log may be forgotten.

mod apply;
pub(crate) mod backup;
mod files;
mod meta;
mod read;
mod sessions;
mod snapshot;
mod wal;

use std::io::{Error, Result};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures_util::{Stream, TryStreamExt as _};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::{EntryPayload, OptionalSend};
use tokio::sync::{mpsc, oneshot, watch};

use self::apply::Job;
use self::files::Files;
pub use self::files::state_path;
pub use self::meta::digest;
use self::read::Readers;
pub(crate) use self::snapshot::{Incoming, Materialised, SnapshotData};
use crate::machine::{Machine, MachineKind};
use crate::raft::{Entry, LogId, StoredMembership, Types};

/// Batches that may wait for the applying thread.
const QUEUE_BATCHES: usize = 16;

/// A batch ends with the entry that reaches this: what is behind it waits in the log.
const BATCH_BYTES: usize = 4 << 20;

fn command_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(proposal) => crate::propose::command_bytes(&proposal.0),
        _ => 0,
    }
}

/// Where the state stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    pub applied: Option<LogId>,
    pub membership: StoredMembership,
    pub version: u32,
    /// The clusters that this state was restored from, one after the other.
    pub restored_from: Vec<String>,
}

/// What the parts of the state share.
pub(crate) struct Shared {
    files: Files,
    wal: wal::Wal,
    machine: MachineKind,
    readers: ArcSwap<Readers>,
    position: watch::Sender<Position>,
    /// The index in it, for followers outside of this crate.
    applied: watch::Sender<u64>,
    /// What a loss of power cannot take any more.
    durable: Mutex<Option<(LogId, StoredMembership)>>,
    /// One checkpoint or snapshot at a time.
    checkpoint: tokio::sync::Mutex<()>,
}

/// The state as openraft sees it; cheap to clone.
#[derive(Clone)]
pub(crate) struct StateMachine {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

impl Shared {
    fn publish(&self, position: &Position) {
        self.position.send_replace(position.clone());
        self.applied
            .send_replace(position.applied.map_or(0, |id| id.index));
    }
}

impl StateMachine {
    /// Opens or creates the state in `dir` and starts its applying thread.
    pub(crate) fn open<M: Machine>(dir: &Path, machine: M) -> Result<Self> {
        let files = Files::open(dir)?;
        let kind = MachineKind::of::<M>()?;
        let path = files.current();
        let applier = apply::Applier::open(&path, machine)?;
        let position = applier.position()?;
        let shared = Arc::new(Shared {
            readers: ArcSwap::from_pointee(Readers::new(path)),
            files,
            wal: wal::Wal::default(),
            machine: kind,
            durable: Mutex::new(position.applied.map(|id| (id, position.membership.clone()))),
            applied: watch::Sender::new(position.applied.map_or(0, |id| id.index)),
            position: watch::Sender::new(position),
            checkpoint: tokio::sync::Mutex::default(),
        });
        let (jobs, queue) = mpsc::channel(QUEUE_BATCHES);
        let state = Arc::clone(&shared);
        let mut applier = applier;
        crate::host::spawn_worker("apply", queue, move |job, _| applier.perform(&state, job))?;
        Ok(Self { shared, jobs })
    }

    /// What it is the state of.
    pub(crate) fn machine(&self) -> MachineKind {
        self.shared.machine
    }

    /// Follows the position.
    pub(crate) fn watch(&self) -> watch::Receiver<Position> {
        self.shared.position.subscribe()
    }

    /// Follows the index of the last applied entry.
    pub(crate) fn watch_applied(&self) -> watch::Receiver<u64> {
        self.shared.applied.subscribe()
    }

    /// The position now.
    pub(crate) fn position(&self) -> Position {
        self.shared.position.borrow().clone()
    }

    /// The index in it.
    pub(crate) fn applied_index(&self) -> u64 {
        let position = self.shared.position.borrow();
        position.applied.map_or(0, |applied| applied.index)
    }

    /// The version in it.
    pub(crate) fn version(&self) -> u32 {
        self.shared.position.borrow().version
    }

    /// Reads the state in one transaction, on a thread where it may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> std::result::Result<T, rusqlite::Error> {
        read::read(self.shared.readers.load_full(), query).await
    }

    /// A copy of the whole state in a file of its own.
    pub(crate) async fn materialise(&self) -> Result<Materialised> {
        snapshot::materialise(Arc::clone(&self.shared)).await
    }

    /// A name for a new file beside the state, for a snapshot that is being received.
    pub(crate) fn incoming(&self) -> Incoming {
        Incoming {
            path: self.shared.files.incoming(),
        }
    }

    /// Checks that the file at `path` is a state of this system that this build can go on from, and
    /// the one that was announced.
    pub(crate) async fn inspect(
        &self,
        path: std::path::PathBuf,
        last: LogId,
        membership: StoredMembership,
    ) -> Result<()> {
        let machine = self.shared.machine;
        crate::host::blocking(move || machine.inspect(&path, last, &membership))
            .await
            .map_err(Error::other)?
    }

    /// Bytes that the state takes on disk.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.shared.files.bytes()
    }

    /// Bytes in the write-ahead log that no checkpoint had moved after the last batch.
    pub(crate) fn wal_waiting(&self) -> u64 {
        self.shared.wal.waiting_bytes()
    }

    /// Waits until there is something of the write-ahead log to be brought to disk, and does it.
    pub(crate) async fn flush_wal(&self) -> Result<()> {
        wal::flush(Arc::clone(&self.shared)).await
    }

    /// Moves the write-ahead log into the database, synced, and lets it begin anew where it lies.
    ///
    /// A checkpoint beside a busy writer never moves the last of it, and the log would grow on. So
    /// what is left when that is little is moved by the applying thread itself, between two batches.
    /// A log that were emptied instead would have to be given its room again by the file system, page
    /// by page, which costs more than writing it.
    pub(crate) async fn rewind_wal(&self) -> Result<()> {
        /// What may hold up the applying thread.
        const LITTLE_BYTES: u64 = 2 << 20;
        const TRIES: u32 = 4;
        for _ in 0..TRIES {
            self.checkpoint().await?;
            if self.wal_waiting() <= LITTLE_BYTES {
                break;
            }
        }
        self.perform(|done| Job::FinishCheckpoint { done }).await
    }

    /// Bytes that the write-ahead log takes on disk.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.shared.files.wal_bytes()
    }

    /// Up to where the log may be forgotten: the last entry that a synced checkpoint covers.
    pub(crate) fn durable_index(&self) -> Option<u64> {
        let durable = self
            .shared
            .durable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        durable.as_ref().map(|(id, _)| id.index)
    }

    /// Moves the write-ahead log into the database, synced.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        snapshot::checkpoint(Arc::clone(&self.shared)).await
    }

    /// The same, and leaves the write-ahead log empty if nobody is using it.
    pub(crate) async fn empty_wal(&self) -> Result<()> {
        snapshot::empty_wal(Arc::clone(&self.shared)).await
    }

    async fn perform(&self, job: impl FnOnce(oneshot::Sender<Result<()>>) -> Job) -> Result<()> {
        let stopped = || Error::other("the state's thread has stopped");
        let (done, result) = oneshot::channel();
        self.jobs.send(job(done)).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership)> {
        let position = self.position();
        Ok((position.applied, position.membership))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<()>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut entries = entries;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some((entry, responder)) = entries.try_next().await? {
            bytes += command_bytes(&entry);
            batch.push((entry, responder));
            if bytes >= BATCH_BYTES {
                let entries = std::mem::take(&mut batch);
                bytes = 0;
                self.perform(|done| Job::Apply { entries, done }).await?;
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let entries = batch;
        self.perform(|done| Job::Apply { entries, done }).await
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types>,
        snapshot: SnapshotData,
    ) -> Result<()> {
        match snapshot {
            // What openraft found at the start is the state itself.
            SnapshotData::Live => Ok(()),
            SnapshotData::File(incoming) => {
                let announced = meta.last_log_id;
                self.perform(|done| Job::Install {
                    incoming,
                    announced,
                    done,
                })
                .await
            }
        }
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, SnapshotData>>> {
        Ok(snapshot::live(&self.shared))
    }
}

impl openraft::RaftSnapshotBuilder<Types> for StateMachine {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, SnapshotData>> {
        snapshot::build(Arc::clone(&self.shared)).await
    }
}
