//! What was seen, in PostgreSQL: samples for hours, days for months, incidents and their notes.
//!
//! Nothing here waits for long: a database that is away costs a round its history, and no more.

mod history;
mod incidents;
mod migrations;
mod record;

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::settings::DATABASE_PATIENCE as PATIENCE;
pub use incidents::{AUTHOR_CHARACTERS_MAX, NOTE_CHARACTERS_MAX};
pub use migrations::{MIGRATIONS, Migration};
pub use record::{Down, Retention, Round, Sample};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 4;

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection can be had.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// It did not answer in time.
    #[error("the database did not answer within {} s", PATIENCE.as_secs())]
    Slow,
    /// It refused what it was asked.
    #[error("the database refused: {0}")]
    Refused(String),
    /// Its tables are not those of this version.
    #[error("the tables of the database are not usable: {0}")]
    Tables(String),
    /// What was to be written cannot be.
    #[error("{0}")]
    Invalid(String),
    /// There is no such incident.
    #[error("there is no incident {0}")]
    NoIncident(i64),
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refused) => Self::Refused(refused.message().to_owned()),
            None => Self::Away(innermost(&error)),
        }
    }
}

/// The history. It connects when it is needed, and again after every loss.
#[derive(Debug)]
pub struct Store {
    pool: Pool,
    migrated: AtomicBool,
}

impl Store {
    /// A store that connects when it is first asked.
    #[must_use]
    pub fn new(config: tokio_postgres::Config) -> Self {
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let timeouts = Timeouts {
            wait: Some(PATIENCE),
            create: Some(PATIENCE),
            recycle: Some(PATIENCE),
        };
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager))
            .max_size(CONNECTIONS_MAX)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a runtime is given, which is all that timeouts need");
        Self {
            pool,
            migrated: AtomicBool::new(false),
        }
    }

    /// Brings the tables to the form of this version; nothing when they have it.
    ///
    /// # Errors
    /// The database is away, or its tables are of a later version.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut client = self.connect().await?;
        self.within(migrations::run(&mut client)).await?;
        self.migrated.store(true, Ordering::Release);
        Ok(())
    }

    /// Runs work on a connection whose tables are there. A connection on which anything fails is
    /// closed, because an answer may still be on its way.
    async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut Object) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !self.migrated.load(Ordering::Acquire) {
            self.migrate().await?;
        }
        let mut client = self.connect().await?;
        let done = self.within(work(&mut client)).await;
        if done.is_err() {
            drop(Object::take(client));
        }
        done
    }

    async fn connect(&self) -> Result<Object, StoreError> {
        // A dead connection is found by using it: the pool has others, at most as many as these.
        let client = self.pool.get().await;
        client.map_err(|error| StoreError::Away(innermost(&error)))
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(PATIENCE, work)
            .await
            .unwrap_or(Err(StoreError::Slow))
    }

    /// Another database may have taken the place of the one whose tables were made.
    fn notice(&self, error: &tokio_postgres::Error) {
        if error.code() == Some(&SqlState::UNDEFINED_TABLE) {
            self.migrated.store(false, Ordering::Release);
        }
    }
}

/// The last of a chain of causes: the others say only that something failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
