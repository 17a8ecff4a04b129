//! What makes the ledger searchable, on each node for itself: events by identifier, in a database
//! beside the replicated one.
//!
//! It holds plain text, so it is in no snapshot and no backup of the ledger; it is made from the
//! ledger's entries, and made again when it is lost or behind.

mod erase;
mod links;
mod resources;
mod search;
mod tables;
mod visible;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;

pub use self::links::IndexLinks;
pub use self::resources::{Collection, Listing};
pub use self::search::{Candidate, Search};
pub use self::tables::{entries_of, events, locked, locked_count, progress};
pub use self::visible::{Eyes, visible};
use crate::machine::read::{Keyring, StoredEntry};

/// Why the index cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Its database failed.
    #[error("the index: {0}")]
    Database(#[from] rusqlite::Error),
    /// Its file could not be replaced.
    #[error("the index: {0}")]
    File(#[from] std::io::Error),
    /// It has not come to where the ledger is.
    #[error("the index has {indexed} of {wanted} entries: try again in a moment")]
    Behind {
        /// Entries in the index.
        indexed: u64,
        /// Entries asked for.
        wanted: u64,
    },
    /// A query took too long and was ended.
    #[error(
        "the query looks at too much before it finds something: narrow it down, by a time or an identifier"
    )]
    TooComplex,
}

/// The index of one node; cheap to clone.
#[derive(Clone)]
pub struct Index(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Readers>,
    indexed: watch::Sender<u64>,
    /// The erasure up to which no query finds what was erased.
    erased: watch::Sender<u64>,
    /// The erasure up to which nothing of it is left in the file.
    cleaned: watch::Sender<u64>,
}

/// Connections that no query uses.
#[derive(Default)]
struct Readers {
    idle: Vec<Connection>,
    /// How often the file was replaced: connections to one before are not used again.
    files: u64,
}

/// A connection for queries.
struct Reader {
    connection: Connection,
    file: u64,
}

/// Connections that are kept open between queries.
const READERS_IDLE_MAX: usize = 4;

impl Index {
    /// Opens the index at `path`, or begins a new one if there is none that this build can use.
    ///
    /// # Errors
    /// Those of the database.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let (writer, progress) = match tables::open(path) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%error, "the index cannot be used and is made again");
                tables::remove(path);
                tables::open(path)?
            }
        };
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            indexed: watch::Sender::new(progress.next),
            erased: watch::Sender::new(progress.erased),
            cleaned: watch::Sender::new(progress.cleaned),
        })))
    }

    /// The number of entries that are in the index: it holds every entry below.
    #[must_use]
    pub fn indexed(&self) -> u64 {
        *self.0.indexed.borrow()
    }

    /// The number of the erasure up to which no query finds what was erased.
    #[must_use]
    pub fn erased(&self) -> u64 {
        *self.0.erased.borrow()
    }

    /// Follows the number of the erasure up to which nothing of what was erased is left in the file.
    #[must_use]
    pub fn cleaned(&self) -> watch::Receiver<u64> {
        self.0.cleaned.subscribe()
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes entries in, which follow those that are there, or were locked. Blocks.
    ///
    /// # Errors
    /// Those of the database; the index is as before then.
    pub fn take(&self, entries: &[StoredEntry], keyring: &dyn Keyring) -> Result<(), IndexError> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        let mut next = self.indexed();
        for entry in entries {
            tables::insert(&transaction, entry, keyring)?;
            next = next.max(entry.index + 1);
        }
        tables::put_progress(&transaction, next)?;
        transaction.commit()?;
        self.0.indexed.send_replace(next);
        Ok(())
    }

    /// Takes entries out, those of the erasure of this number: no query finds them from here on. Blocks.
    ///
    /// # Errors
    /// Those of the database; the index is as before then.
    pub fn erase(&self, entries: &[u64], erasure: u64) -> Result<(), IndexError> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        erase::erase(&transaction, entries)?;
        tables::put_erased(&transaction, erasure)?;
        transaction.commit()?;
        self.0.erased.send_replace(erasure);
        Ok(())
    }

    /// Leaves nothing in the files of what was taken out. Takes as long as writing all that is in the
    /// index; queries go on meanwhile, and what is new waits. Blocks.
    ///
    /// # Errors
    /// Those of the database and the disk: it is to be tried again.
    pub fn clean(&self) -> Result<(), IndexError> {
        let mut writer = self.writer();
        erase::rewrite(&writer, &self.0.path)?;
        let mut readers = self
            .0
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let adopted = erase::adopt(&self.0.path);
        // Whatever file it is by now, or none if that failed half way: the index is then made again.
        readers.files += 1;
        readers.idle.clear();
        let (connection, progress) = tables::open(&self.0.path)?;
        *writer = connection;
        drop(readers);
        self.0.indexed.send_replace(progress.next);
        self.0.erased.send_replace(progress.erased);
        self.0.cleaned.send_replace(progress.cleaned);
        Ok(adopted?)
    }

    /// Forgets everything: the ledger is not the one that was indexed.
    ///
    /// # Errors
    /// Those of the database.
    pub fn clear(&self) -> Result<(), IndexError> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        tables::clear(&transaction)?;
        transaction.commit()?;
        for at in [&self.0.indexed, &self.0.erased, &self.0.cleaned] {
            at.send_replace(0);
        }
        Ok(())
    }

    /// Waits until `wanted` entries are in the index, and what the erasures up to this one are about is
    /// not.
    ///
    /// # Errors
    /// [`IndexError::Behind`] once the time is over.
    pub async fn caught_up(
        &self,
        wanted: u64,
        erasure: u64,
        limit: Duration,
    ) -> Result<(), IndexError> {
        let (mut indexed, mut erased) = (self.0.indexed.subscribe(), self.0.erased.subscribe());
        let reached = async {
            indexed.wait_for(|indexed| *indexed >= wanted).await.is_ok()
                && erased.wait_for(|erased| *erased >= erasure).await.is_ok()
        };
        match tokio::time::timeout(limit, reached).await {
            Ok(true) => Ok(()),
            _ => Err(IndexError::Behind {
                indexed: self.indexed(),
                wanted,
            }),
        }
    }

    /// Runs `query` in one read transaction, on a thread where it may block.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, IndexError> {
        let index = Arc::clone(&self.0);
        let task = tokio::task::spawn_blocking(move || {
            let (value, reader) = run(index.reader()?, query)?;
            index.keep(reader);
            Ok(value)
        });
        finished(task.await)
    }

    /// Runs `query` as [`Index::read`] does, and ends it after `limit`, also when nobody waits for
    /// it any more.
    ///
    /// # Errors
    /// [`IndexError::TooComplex`] then; else those of the query.
    pub async fn read_within<T: Send + 'static>(
        &self,
        limit: Duration,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, IndexError> {
        let (index, inner) = (self.clone(), Arc::clone(&self.0));
        let (begun, handle) = oneshot::channel();
        let mut task = tokio::task::spawn_blocking(move || {
            let reader = inner.reader()?;
            // Nobody listens if the runtime ends.
            drop(begun.send(reader.connection.get_interrupt_handle()));
            run(reader, query)
        });
        let watched = tokio::spawn(async move {
            let handle = handle.await;
            let ended = match tokio::time::timeout(limit, &mut task).await {
                Ok(ended) => ended,
                Err(_) => {
                    if let Ok(handle) = handle {
                        handle.interrupt();
                    }
                    task.await
                }
            };
            // Not before: what is interrupted must not be the next one's query.
            ended.map(|ended| {
                ended.map(|(value, reader)| {
                    index.0.keep(reader);
                    value
                })
            })
        });
        finished(watched.await.and_then(|ended| ended))
    }
}

impl Inner {
    fn reader(&self) -> rusqlite::Result<Reader> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match readers.idle.pop() {
            Some(connection) => connection,
            None => tables::reader(&self.path)?,
        };
        let file = readers.files;
        Ok(Reader { connection, file })
    }

    /// Keeps a connection for the next query.
    fn keep(&self, reader: Reader) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.idle.len() < READERS_IDLE_MAX && reader.file == readers.files {
            readers.idle.push(reader.connection);
        }
    }
}

fn run<T>(
    mut reader: Reader,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<(T, Reader)> {
    let transaction = reader.connection.transaction()?;
    let value = query(&transaction)?;
    transaction.finish()?;
    Ok((value, reader))
}

fn finished<T>(ended: Result<rusqlite::Result<T>, JoinError>) -> Result<T, IndexError> {
    match ended {
        Ok(Err(error)) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Err(IndexError::TooComplex)
        }
        Ok(result) => result.map_err(IndexError::Database),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(IndexError::Database(rusqlite::Error::InvalidQuery)),
        },
    }
}
