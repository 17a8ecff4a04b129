//! Reading beside the writer.
//!
//! Reads that wait together share one transaction, and so one look at the write-ahead log and one
//! wake-up of a thread: for small reads these cost more than the reads do. A read never joins a
//! transaction that began before it.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::core::lock;
use crate::database::{self, Role};

/// Connections that are kept open between reads.
const IDLE_MAX: usize = 8;
/// When a transaction has lasted so long the next read begins another.
const SHARED_TIME: Duration = Duration::from_millis(1);
/// Threads that read, unless they are held up.
const THREADS: usize = 2;
/// When none of them has taken anything for so long there is one more, up to [`THREADS_MAX`]; and
/// another when that did not help for as long again.
const PATIENCE: Duration = Duration::from_millis(10);
const THREADS_MAX: usize = 64;

/// A read, and where its result goes. It is told the error when no transaction could be begun.
type Job = Box<dyn FnOnce(rusqlite::Result<&Connection>) + Send>;

/// The readers of one state file.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// How many have been taken from the queue.
    count: u64,
    threads: usize,
    /// When a thread last took something, or was started to do so.
    taken: Option<Instant>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
            queue: Mutex::default(),
        }
    }

    pub(super) fn take(&self) -> rusqlite::Result<Connection> {
        let idle = lock(&self.idle).pop();
        idle.map_or_else(|| database::open(&self.path, Role::Reader), Ok)
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }

    /// Lets one more thread read, if something waits and there are too few.
    fn add_thread(self: &Arc<Self>) {
        let mut queue = lock(&self.queue);
        let held_up = queue.taken.is_some_and(|at| at.elapsed() >= PATIENCE);
        let threads = if held_up { THREADS_MAX } else { THREADS };
        if queue.jobs.is_empty() || queue.threads >= threads {
            return;
        }
        queue.threads += 1;
        queue.taken = Some(Instant::now());
        let readers = Arc::clone(self);
        tokio::spawn(crate::host::blocking(move || readers.run()));
    }

    /// Reads until nothing waits.
    fn run(&self) {
        loop {
            let end = {
                let mut queue = lock(&self.queue);
                if queue.jobs.is_empty() {
                    queue.threads -= 1;
                    return;
                }
                queue.count + queue.jobs.len() as u64
            };
            if let Err(error) = self.read(end)
                && let Some(job) = self.next(end)
            {
                job(Err(error));
            }
        }
    }

    /// The read that waits longest, if it is not the `end`th or a later one.
    fn next(&self, end: u64) -> Option<Job> {
        let mut queue = lock(&self.queue);
        if queue.count >= end {
            return None;
        }
        let job = queue.jobs.pop_front()?;
        queue.count += 1;
        queue.taken = Some(Instant::now());
        Some(job)
    }

    /// Reads in one transaction what waited before the `end`th read, beside the other threads.
    fn read(&self, end: u64) -> rusqlite::Result<()> {
        let mut connection = self.take()?;
        let transaction = connection.transaction()?;
        let begun = Instant::now();
        while begun.elapsed() < SHARED_TIME
            && let Some(job) = self.next(end)
        {
            job(Ok(&transaction));
        }
        // It has changed nothing, and everyone has been told: a connection that cannot end it is
        // not used again.
        if transaction.finish().is_ok() {
            self.put_back(connection);
        }
        Ok(())
    }
}

/// Runs `query` in a read transaction that begins after this call: everything that it sees is of one
/// moment.
pub(super) async fn read<T: Send + 'static>(
    readers: Arc<Readers>,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> rusqlite::Result<T> {
    type Panic = Box<dyn Any + Send>;
    let (answer, mut answered) = oneshot::channel::<Result<rusqlite::Result<T>, Panic>>();
    let job = move |state: rusqlite::Result<&Connection>| {
        if answer.is_closed() {
            return;
        }
        let result = match state {
            Ok(state) => catch_unwind(AssertUnwindSafe(|| query(state))),
            Err(error) => Ok(Err(error)),
        };
        // Whoever asked may have gone meanwhile.
        drop(answer.send(result));
    };
    lock(&readers.queue).jobs.push_back(Box::new(job));
    readers.add_thread();
    let result = loop {
        match tokio::time::timeout(PATIENCE, &mut answered).await {
            Ok(result) => break result,
            Err(_) => readers.add_thread(),
        }
    };
    match result {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => resume_unwind(panic),
        // The runtime is going down and the caller with it.
        Err(_) => Err(rusqlite::Error::InvalidQuery),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::poll;

    use super::*;

    fn readers() -> (tempfile::TempDir, Arc<Readers>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        drop(database::open(&path, Role::State).unwrap());
        (folder, Arc::new(Readers::new(path)))
    }

    async fn one(readers: &Arc<Readers>) -> rusqlite::Result<u32> {
        let query = |state: &Connection| state.query_row("SELECT 1", [], |row| row.get(0));
        read(Arc::clone(readers), query).await
    }

    /// A read that takes until the other end is dropped.
    fn long(
        readers: &Arc<Readers>,
    ) -> (
        impl Future<Output = rusqlite::Result<()>>,
        mpsc::SyncSender<()>,
    ) {
        let (end, ended) = mpsc::sync_channel::<()>(0);
        let query = move |_: &Connection| {
            ended.recv().unwrap_err();
            Ok(())
        };
        (read(Arc::clone(readers), query), end)
    }

    #[tokio::test]
    async fn a_short_read_ends_while_as_many_long_ones_as_there_are_threads_go_on() {
        let (_folder, readers) = readers();
        let (reads, ends): (Vec<_>, Vec<_>) = (0..THREADS + 1).map(|_| long(&readers)).unzip();
        let mut reads: Vec<_> = reads.into_iter().map(Box::pin).collect();
        for read in &mut reads {
            assert!(poll!(read).is_pending());
        }
        let short = tokio::time::timeout(Duration::from_secs(10), one(&readers)).await;
        drop(ends);
        assert_eq!(short.expect("it does not wait for the long ones"), Ok(1));
        for read in reads {
            assert_eq!(read.await, Ok(()));
        }
    }

    /// The time rests: the thread is never done with its transaction before the second one comes.
    #[tokio::test(start_paused = true)]
    async fn a_read_that_comes_during_another_sees_what_was_committed_meanwhile() {
        fn count(state: &Connection) -> rusqlite::Result<u32> {
            state.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        }
        let (_folder, readers) = readers();
        let writer = database::open(&readers.path, Role::State).unwrap();
        writer.execute_batch("CREATE TABLE t (a INTEGER)").unwrap();
        let (answer, second) = oneshot::channel();
        let queue = Arc::clone(&readers);
        let first = read(Arc::clone(&readers), move |state| {
            let before = count(state)?;
            writer.execute("INSERT INTO t VALUES (1)", [])?;
            let job: Job = Box::new(move |state| drop(answer.send(state.and_then(count))));
            lock(&queue.queue).jobs.push_back(job);
            Ok((before, count(state)?))
        });
        assert_eq!(first.await, Ok((0, 0)), "of one moment");
        assert_eq!(second.await.unwrap(), Ok(1));
    }

    #[tokio::test]
    async fn a_burst_after_a_rest_starts_no_more_threads_than_one_without() {
        let (_folder, readers) = readers();
        assert_eq!(one(&readers).await, Ok(1));
        tokio::time::sleep(2 * PATIENCE).await;

        let mut burst: Vec<_> = (0..50).map(|_| Box::pin(one(&readers))).collect();
        for read in &mut burst {
            assert!(poll!(read).is_pending());
        }
        assert_eq!(lock(&readers.queue).threads, THREADS);
        for read in burst {
            assert_eq!(read.await, Ok(1));
        }
    }

    #[tokio::test]
    async fn a_query_that_panics_fails_the_one_that_asked_and_no_other() {
        let (_folder, readers) = readers();
        let clumsy = Arc::clone(&readers);
        let clumsy = tokio::spawn(read(clumsy, |_| -> rusqlite::Result<()> {
            panic!("a slip")
        }));
        let mut others: Vec<_> = (0..10).map(|_| Box::pin(one(&readers))).collect();
        for read in &mut others {
            assert!(poll!(read).is_pending());
        }
        for read in others {
            assert_eq!(read.await, Ok(1));
        }
        assert!(clumsy.await.unwrap_err().is_panic());
        assert_eq!(one(&readers).await, Ok(1));
    }
}
