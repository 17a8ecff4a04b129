//! What makes the ledger searchable, on each node for itself: events by identifier, in a database
//! beside the replicated one.
//!
//! It holds plain text, so it is in no snapshot and no backup of the ledger; it is made from the
//! ledger's entries, and made again when it is lost or behind.

mod links;
mod tables;
mod visible;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::watch;

pub use self::links::IndexLinks;
pub use self::tables::{entry_of, events, progress};
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
            let idle = index
                .readers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => tables::reader(&index.path)?,
            };
            let transaction = connection.transaction()?;
            let value = query(&transaction)?;
            transaction.finish()?;
            let mut readers = index.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < READERS_IDLE_MAX {
                readers.push(connection);
            }
            Ok(value)
        });
        match task.await {
            Ok(result) => result.map_err(IndexError::Database),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(IndexError::Database(rusqlite::Error::InvalidQuery)),
            },
        }
    }
}
