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
/// Reads of one transaction.
const GROUP_MAX: usize = 32;
/// A group that has taken so long goes on in another transaction.
const GROUP_TIME: Duration = Duration::from_millis(1);
/// Threads that read, unless they are held up.
const THREADS: usize = 2;
/// When none of them has taken anything for so long there is one more, up to [`THREADS_MAX`].
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
    threads: usize,
    /// When a thread last took something.
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
        let readers = Arc::clone(self);
        tokio::spawn(crate::host::blocking(move || readers.run()));
    }

    /// Reads until nothing waits.
    fn run(&self) {
        loop {
            let mut group = {
                let mut queue = lock(&self.queue);
                if queue.jobs.is_empty() {
                    queue.threads -= 1;
                    return;
                }
                queue.taken = Some(Instant::now());
                let size = queue.jobs.len().min(GROUP_MAX);
                queue.jobs.drain(..size).collect::<VecDeque<Job>>()
            };
            if let Err(error) = self.read(&mut group)
                && let Some(job) = group.pop_front()
            {
                job(Err(error));
            }
            // What could not be read, or should not wait any longer behind what takes its time.
            let mut queue = lock(&self.queue);
            while let Some(job) = group.pop_back() {
                queue.jobs.push_front(job);
            }
        }
    }

    /// Reads what it can of `group` in one transaction, for as long as nobody is held up by it.
    fn read(&self, group: &mut VecDeque<Job>) -> rusqlite::Result<()> {
        let mut connection = self.take()?;
        let transaction = connection.transaction()?;
        let begun = Instant::now();
        while let Some(job) = group.pop_front() {
            job(Ok(&transaction));
            if begun.elapsed() > GROUP_TIME {
                break;
            }
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
