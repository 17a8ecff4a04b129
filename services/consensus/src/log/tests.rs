//! Log and state as openraft expects them, and as they are found again.

use std::io::Result;

use futures_util::Stream;
use openraft::storage::{EntryResponder, IOFlushed, RaftLogStorage as _, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt as _;
use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::{EntryPayload, OptionalSend, RaftLogReader as _, StorageError};
use rusqlite::Transaction;
use tempfile::TempDir;

use super::{LogIo as _, LogStore, SqliteLog};
use crate::codec;
use crate::machine::{ApplyError, EntryInfo, Machine};
use crate::raft::{Entry, LogId, StoredMembership, Types};
use crate::state::{SnapshotData, StateMachine};
use openraft::entry::RaftEntry as _;

/// A machine that nothing is asked of.
struct Idle;

impl Machine for Idle {
    type Command = ();
    type Reply = ();
    const SYSTEM: &'static str = "idle";
    const MIGRATIONS: &'static [&'static str] = &[];
    fn apply(
        &mut self,
        _: &Transaction<'_>,
        _: EntryInfo,
        (): (),
    ) -> std::result::Result<(), ApplyError> {
        Ok(())
    }
}

/// A state whose snapshots are files from the start: the suite hands them over itself, where a node
/// sends them.
struct HandedOver(StateMachine);

impl RaftStateMachine<Types> for HandedOver {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = StateMachine;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership)> {
        self.0.applied_state().await
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<()>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        self.0.apply(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> StateMachine {
        self.0.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types>,
        snapshot: SnapshotData,
    ) -> Result<()> {
        self.0.install_snapshot(meta, snapshot).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, SnapshotData>>> {
        let Some(live) = self.0.get_current_snapshot().await? else {
            return Ok(None);
        };
        let copy = self.0.materialise().await?;
        Ok(Some(SnapshotOf::<Types, SnapshotData> {
            meta: live.meta,
            snapshot: SnapshotData::File(copy.file),
        }))
    }
}

struct Builder;

impl StoreBuilder<Types, LogStore, HandedOver, TempDir> for Builder {
    async fn build(
        &self,
    ) -> std::result::Result<(TempDir, LogStore, HandedOver), StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let log = open(&dir, 1 << 20);
        let state = StateMachine::open(&dir.path().join("state"), Idle).unwrap();
        Ok((dir, log, HandedOver(state)))
    }
}

fn sqlite(dir: &TempDir) -> SqliteLog {
    SqliteLog::open(&dir.path().join("log.db"), "idle 1").unwrap()
}

fn open(dir: &TempDir, tail_bytes_max: usize) -> LogStore {
    LogStore::open(Box::new(sqlite(dir)), tail_bytes_max).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn id(term: u64, index: u64) -> LogId {
    codec::log_id(&crate::wire::LogId {
        term,
        leader: 7,
        index,
    })
}

fn blank(term: u64, index: u64) -> Entry {
    Entry::new(id(term, index), EntryPayload::Blank)
}

/// Appends, and waits until it is on disk.
async fn append(log: &mut LogStore, entries: Vec<Entry>) -> Result<()> {
    let (flushed, done) = Types::oneshot();
    let flushed = IOFlushed::<Types>::signal(flushed);
    log.append(entries, flushed).await?;
    done.await.unwrap()
}

async fn ids(log: &mut LogStore) -> Vec<LogId> {
    let entries = log.try_get_log_entries(0..).await.unwrap();
    entries.iter().map(|entry| entry.log_id()).collect()
}

#[test]
fn log_and_state_are_what_openraft_expects() {
    block_on(Suite::test_all(Builder)).unwrap();
}

/// What a process that was killed left in the write-ahead log may never have been synced: it counts
/// only once it was written again.
#[test]
fn an_opened_log_is_on_disk_without_its_write_ahead_log() {
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<LogId> = (0..20).map(|index| id(1, index)).collect();
    block_on(async {
        let mut log = open(&dir, 1 << 20);
        let appended = (0..20).map(|index| blank(1, index)).collect();
        append(&mut log, appended).await.unwrap();
    });
    drop(open(&dir, 1 << 20));
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("log.db"), copy.path().join("log.db")).unwrap();
    block_on(async {
        assert_eq!(ids(&mut open(&copy, 1 << 20)).await, entries);
    });
}

#[test]
fn vote_entries_truncation_and_purge_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let vote = codec::vote(Some(&crate::wire::Vote {
        term: 3,
        node: 7,
        committed: true,
    }))
    .unwrap();
    block_on(async {
        let mut log = open(&dir, 1 << 20);
        log.save_vote(&vote).await.unwrap();
        append(&mut log, (0..20).map(|index| blank(1, index)).collect())
            .await
            .unwrap();
        log.truncate_after(Some(id(1, 14))).await.unwrap();
        append(&mut log, (15..18).map(|index| blank(2, index)).collect())
            .await
            .unwrap();
        log.purge(id(1, 4)).await.unwrap();
    });
    block_on(async {
        let mut log = open(&dir, 1 << 20);
        assert_eq!(log.read_vote().await.unwrap(), Some(vote));
        let state = log.get_log_state().await.unwrap();
        assert_eq!(
            (state.last_purged_log_id, state.last_log_id),
            (Some(id(1, 4)), Some(id(2, 17)))
        );
        let expected: Vec<LogId> = (5..15)
            .map(|index| id(1, index))
            .chain((15..18).map(|index| id(2, index)))
            .collect();
        assert_eq!(ids(&mut log).await, expected);

        // A snapshot took the place of everything: what comes next is known all the same.
        log.purge(id(2, 40)).await.unwrap();
    });
    block_on(async {
        let mut log = open(&dir, 1 << 20);
        let state = log.get_log_state().await.unwrap();
        assert_eq!(
            (state.last_purged_log_id, state.last_log_id),
            (Some(id(2, 40)), Some(id(2, 40)))
        );
        assert!(
            append(&mut log, vec![blank(2, 43)]).await.is_err(),
            "it does not follow"
        );
        append(&mut log, vec![blank(2, 41)]).await.unwrap();
        assert_eq!(ids(&mut log).await, [id(2, 41)]);
    });
}

#[test]
fn what_memory_has_no_room_for_is_read_from_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let mut log = open(&dir, 0);
        for index in 0..50 {
            append(&mut log, vec![blank(1, index)]).await.unwrap();
        }
        let all: Vec<LogId> = (0..50).map(|index| id(1, index)).collect();
        assert_eq!(ids(&mut log).await, all);
        let part = log.limited_get_log_entries(10, 20).await.unwrap();
        assert_eq!(
            part.iter().map(|entry| entry.log_id()).collect::<Vec<_>>(),
            all[10..20]
        );
    });
}

#[test]
fn what_was_not_synced_is_not_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let record = |index| super::Record {
        index,
        bytes: codec::encode_entry(&blank(1, index)),
    };
    let mut log = sqlite(&dir);
    log.append(&[record(0)]).unwrap();
    log.sync().unwrap();
    log.append(&[record(1)]).unwrap();
    log.save_vote(b"lost").unwrap();
    drop(log);
    let loaded = sqlite(&dir).load().unwrap();
    assert_eq!(
        (loaded.last.map(|last| last.index), loaded.vote),
        (Some(0), None)
    );
}

#[test]
fn after_an_error_nothing_is_written_and_everyone_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    block_on(async {
        let power = super::faulty::Power::on();
        let io = super::faulty::FaultyLog::new(Box::new(sqlite(&dir)), power.clone());
        let mut log = LogStore::open(Box::new(io), 1 << 20).unwrap();
        append(&mut log, vec![blank(1, 0)]).await.unwrap();
        power.fail_next_sync();
        let failed = append(&mut log, vec![blank(1, 1)]).await.unwrap_err();
        assert!(
            failed.to_string().contains("the disk has failed"),
            "{failed}"
        );
        // The disk would work again.
        for again in [
            append(&mut log, vec![blank(1, 2)]).await,
            log.purge(id(1, 0)).await,
            log.truncate_after(Some(id(1, 0))).await,
        ] {
            assert!(
                again
                    .unwrap_err()
                    .to_string()
                    .contains("the disk has failed")
            );
        }
    });
    let loaded = sqlite(&dir).load().unwrap();
    assert_eq!(
        (loaded.last.map(|last| last.index), loaded.purged),
        (Some(0), None)
    );
}
