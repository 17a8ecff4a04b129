//! What makes the ledger searchable, on each node for itself: events by identifier, in a database
//! beside the replicated one.
//!
//! It holds plain text, so it is in no snapshot and no backup of the ledger; it is made from the
//! ledger's entries, and made again when it is lost or behind.

mod links;
mod resources;
mod search;
mod tables;
mod visible;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;

pub use self::links::IndexLinks;
pub use self::resources::{Collection, Listing};
pub use self::search::{Candidate, Search};
pub use self::tables::{entries_of, events, progress};
pub use self::visible::{Eyes, visible};
use crate::machine::read::StoredEntry;

/// Why the index cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Its database failed.
    #[error("the index: {0}")]
    Database(#[from] rusqlite::Error),
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
    readers: Mutex<Vec<Connection>>,
    indexed: watch::Sender<u64>,
}

/// Connections that are kept open between queries.
const READERS_IDLE_MAX: usize = 4;

impl Index {
    /// Opens the index at `path`, or begins a new one if there is none that this build can use.
    ///
    /// # Errors
    /// Those of the database.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let (writer, indexed) = match tables::open(path) {
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
            indexed: watch::Sender::new(indexed),
        })))
    }

    /// The number of entries that are in the index: it holds every entry below.
    #[must_use]
    pub fn indexed(&self) -> u64 {
        *self.0.indexed.borrow()
    }

    /// Takes entries in, which follow those that are there. Blocks.
    ///
    /// # Errors
    /// Those of the database; the index is as before then.
    pub fn take(&self, entries: &[StoredEntry]) -> Result<(), IndexError> {
        let mut writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction()?;
        let mut next = self.indexed();
        for entry in entries {
            tables::insert(&transaction, entry)?;
            next = entry.index + 1;
        }
        tables::put_progress(&transaction, next)?;
        transaction.commit()?;
        self.0.indexed.send_replace(next);
        Ok(())
    }

    /// Forgets everything: the ledger is not the one that was indexed.
    ///
    /// # Errors
    /// Those of the database.
    pub fn clear(&self) -> Result<(), IndexError> {
        let mut writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction()?;
        tables::clear(&transaction)?;
        transaction.commit()?;
        self.0.indexed.send_replace(0);
        Ok(())
    }

    /// Waits until `wanted` entries are in the index.
    ///
    /// # Errors
    /// [`IndexError::Behind`] once the time is over.
    pub async fn caught_up(&self, wanted: u64, limit: Duration) -> Result<(), IndexError> {
        let mut indexed = self.0.indexed.subscribe();
        let reached = indexed.wait_for(|indexed| *indexed >= wanted);
        match tokio::time::timeout(limit, reached).await {
            Ok(Ok(_)) => Ok(()),
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
            let (value, connection) = run(index.reader()?, query)?;
            index.keep(connection);
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
            let connection = inner.reader()?;
            // Nobody listens if the runtime ends.
            drop(begun.send(connection.get_interrupt_handle()));
            run(connection, query)
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
                ended.map(|(value, connection)| {
                    index.0.keep(connection);
                    value
                })
            })
        });
        finished(watched.await.and_then(|ended| ended))
    }
}

impl Inner {
    fn reader(&self) -> rusqlite::Result<Connection> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        match readers.pop() {
            Some(connection) => Ok(connection),
            None => tables::reader(&self.path),
        }
    }

    /// Keeps a connection for the next query.
    fn keep(&self, connection: Connection) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_IDLE_MAX {
            readers.push(connection);
        }
    }
}

fn run<T>(
    mut connection: Connection,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<(T, Connection)> {
    let transaction = connection.transaction()?;
    let value = query(&transaction)?;
    transaction.finish()?;
    Ok((value, connection))
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
