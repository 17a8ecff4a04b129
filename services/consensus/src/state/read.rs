//! Reading beside the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::database::{self, Role};

/// Connections that are kept open between reads.
const IDLE_MAX: usize = 8;

/// The readers of one state file.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::default(),
        }
    }

    pub(super) fn take(&self) -> rusqlite::Result<Connection> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        idle.map_or_else(|| database::open(&self.path, Role::Reader), Ok)
    }

    fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}

/// Runs `query` in one read transaction: everything that it sees is of one moment.
pub(super) async fn read<T: Send + 'static>(
    readers: Arc<Readers>,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> rusqlite::Result<T> {
    let task = crate::host::blocking(move || {
        let mut connection = readers.take()?;
        let transaction = connection.transaction()?;
        let value = query(&transaction)?;
        transaction.finish()?;
        readers.put_back(connection);
        Ok(value)
    });
    match task.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down and the caller with it.
            Err(_) => Err(rusqlite::Error::InvalidQuery),
        },
    }
}
