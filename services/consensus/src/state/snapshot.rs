//! Checkpoints and snapshots.
//!
//! What openraft calls a snapshot is here no file: the state itself is on disk, and a synced
//! checkpoint of it is all that is needed before the log may be purged. A file is made only when a
//! follower needs one, as a copy of what is then the state.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf};
use rusqlite::Connection;

use super::files::with_suffix;
use super::{Shared, meta};
use crate::database::{self, Checkpoint, Frames, Role};
use crate::raft::{LogId, StoredMembership, Types};

/// How often a checkpoint is tried, and how long it waits in between for readers to end.
const CHECKPOINT_TRIES: u32 = 100;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(20);

/// A snapshot on its way through openraft.
#[derive(Debug)]
pub(crate) enum SnapshotData {
    /// The state as it will be when it is sent.
    Live,
    /// A complete state, received and inspected.
    File(Incoming),
}

/// A file beside the state that is not the state yet. It is deleted with this; adopting it as the
/// state renames it before.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub path: PathBuf,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            drop(std::fs::remove_file(with_suffix(&self.path, suffix)));
        }
    }
}

/// A copy of the state; the file is deleted with it.
#[derive(Debug)]
pub(crate) struct Materialised {
    pub file: Incoming,
    pub last: LogId,
    pub membership: StoredMembership,
}

/// The durable state, as a snapshot.
pub(super) fn live(shared: &Shared) -> Option<SnapshotOf<Types, SnapshotData>> {
    let durable = shared
        .durable
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    durable
        .clone()
        .map(|(last, membership)| snapshot_of(Some(last), membership))
}

fn snapshot_of(
    last: Option<LogId>,
    membership: StoredMembership,
) -> SnapshotOf<Types, SnapshotData> {
    SnapshotOf::<Types, SnapshotData> {
        meta: SnapshotMetaOf::<Types> {
            last_log_id: last,
            last_membership: membership,
        },
        snapshot: SnapshotData::Live,
    }
}

/// What openraft calls building a snapshot. A state that could not be checkpointed now will be the
/// next time: openraft would stop the node for it, so it is told of what is durable already.
pub(super) async fn build(shared: Arc<Shared>) -> Result<SnapshotOf<Types, SnapshotData>> {
    match checkpoint(Arc::clone(&shared)).await {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            tracing::warn!(%error, "the log is shortened later");
        }
        checkpointed => checkpointed?,
    }
    let nothing = || snapshot_of(None, StoredMembership::default());
    Ok(live(&shared).unwrap_or_else(nothing))
}

/// Moves the write-ahead log into the database, with syncs: what is applied is durable from then on.
///
/// # Errors
/// [`ErrorKind::WouldBlock`] when a reader was in the way for too long: it can be tried again.
pub(super) async fn checkpoint(shared: Arc<Shared>) -> Result<()> {
    let _one_at_a_time = shared.checkpoint.lock().await;
    let state = Arc::clone(&shared);
    let checkpointed = crate::host::blocking(move || checkpoint_now(&state));
    let Some((last, membership)) = checkpointed.await.map_err(Error::other)?? else {
        return Ok(());
    };
    let mut durable = shared
        .durable
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if durable
        .as_ref()
        .is_none_or(|(known, _)| known.index < last.index)
    {
        *durable = Some((last, membership));
    }
    Ok(())
}

/// Empties the write-ahead log after a checkpoint, if nobody uses it right now: a copy of the files
/// is then one of the database alone, where damage stays in the place where it happened.
pub(super) async fn empty_wal(shared: Arc<Shared>) -> Result<()> {
    /// How long writers may be held up.
    const BUSY: Duration = Duration::from_millis(20);
    checkpoint(Arc::clone(&shared)).await?;
    crate::host::blocking(move || {
        let connection = database::open(&shared.files.current(), Role::Checkpoint)?;
        connection.busy_timeout(BUSY)?;
        database::checkpoint_all(&connection)
    })
    .await
    .map_err(Error::other)?
    .map_err(database::checkpoint_error)
}

/// Gives what is durable, if anything has been applied.
fn checkpoint_now(shared: &Shared) -> Result<Option<(LogId, StoredMembership)>> {
    let begun = Instant::now();
    let connection = database::open(&shared.files.current(), Role::Checkpoint)
        .map_err(database::checkpoint_error)?;
    let position = meta::position(&connection)?;
    let Some(last) = position.applied else {
        return Ok(None);
    };
    // Passive checkpoints wait for nobody and hold nobody up, but move no more than what every
    // reader of the moment has seen. Readers come and go: before long none is left that began before
    // the position was read. (A full checkpoint would wait for them and let nobody write meanwhile.)
    let mut target = None;
    for _ in 0..CHECKPOINT_TRIES {
        let frames = database::checkpoint(&connection, Checkpoint::Passive)
            .map_err(database::checkpoint_error)?;
        let Frames {
            busy,
            written,
            moved,
        } = frames;
        if !busy {
            let target = *target.get_or_insert(written);
            // Fewer frames than there were: all had been moved, and the log began again.
            if moved >= target || written < target {
                metrics::histogram!("consensus_checkpoint_seconds")
                    .record(begun.elapsed().as_secs_f64());
                return Ok(Some((last, position.membership)));
            }
        }
        #[expect(clippy::disallowed_methods, reason = "on a thread that may block")]
        std::thread::sleep(CHECKPOINT_PAUSE);
    }
    Err(Error::new(
        ErrorKind::WouldBlock,
        "the state could not be checkpointed: a reader holds it",
    ))
}

/// Copies the state into a file of its own.
pub(super) async fn materialise(shared: Arc<Shared>) -> Result<Materialised> {
    crate::host::blocking(move || {
        let begun = Instant::now();
        let source = shared.readers.load().take().map_err(Error::other)?;
        let file = Incoming {
            path: shared.files.incoming(),
        };
        let (last, membership) = copy(&source, &file.path)?;
        let bytes = std::fs::metadata(&file.path)?.len();
        metrics::histogram!("consensus_snapshot_seconds").record(begun.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a size for a graph")]
        metrics::gauge!("consensus_snapshot_bytes").set(bytes as f64);
        Ok(Materialised {
            file,
            last,
            membership,
        })
    })
    .await
    .map_err(Error::other)?
}

/// Copies the state that `source` reads into the file `path`; says where it stands.
pub(super) fn copy(source: &Connection, path: &Path) -> Result<(LogId, StoredMembership)> {
    // One transaction for all steps: a copy starts again when it finds that the writer has committed.
    let source = source.unchecked_transaction().map_err(Error::other)?;
    let position = meta::position(&source)?;
    let last = position
        .applied
        .ok_or_else(|| Error::other("nothing has been applied yet"))?;
    database::copy(&source, path)?;
    Ok((last, position.membership))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::codec;
    use crate::disk::FLUSH_BYTES;
    use crate::wire;

    /// Applies the entry `index`.
    fn apply(state: &Connection, index: u64) -> rusqlite::Result<()> {
        let transaction = state.unchecked_transaction()?;
        transaction.execute("UPDATE last SET value = ?1", [index])?;
        let id = wire::LogId {
            term: 1,
            leader: 1,
            index,
        };
        meta::put_applied(&transaction, &codec::log_id(&id))?;
        transaction.commit()
    }

    #[test]
    fn a_copy_made_beside_a_busy_writer_is_of_one_moment() {
        /// A copy that begins again at each commit ends when there are no more.
        const COMMITS_MAX: u64 = 100_000;
        let dir = tempfile::tempdir().unwrap();
        let (path, copied) = (dir.path().join("state.db"), dir.path().join("copy.db"));
        let state = database::open(&path, Role::State).unwrap();
        // What is applied lies in the first pages, and what it made of the state in the last ones,
        // some steps later.
        meta::prepare(&state, "test").unwrap();
        let filling = 4 * FLUSH_BYTES;
        let tables = format!(
            "CREATE TABLE filling AS SELECT zeroblob({filling});
             CREATE TABLE last AS SELECT 0 AS value;"
        );
        state.execute_batch(&tables).unwrap();
        apply(&state, 1).unwrap();

        let copying = AtomicBool::new(true);
        let (last, written) = std::thread::scope(|scope| {
            let copy = scope.spawn(|| {
                let source = database::open(&path, Role::Reader).unwrap();
                let copy = copy(&source, &copied);
                copying.store(false, Ordering::Relaxed);
                copy.unwrap().0
            });
            let mut index = 1;
            while copying.load(Ordering::Relaxed) && index < COMMITS_MAX {
                index += 1;
                apply(&state, index).unwrap();
            }
            (copy.join().unwrap(), index)
        });
        assert!(written > last.index + 1, "the writer was busy meanwhile");
        let copy = database::open(&copied, Role::Reader).unwrap();
        assert_eq!(meta::position(&copy).unwrap().applied, Some(last));
        let value: u64 = copy
            .query_row("SELECT value FROM last", [], |row| row.get(0))
            .unwrap();
        assert_eq!(value, last.index);
    }
}
