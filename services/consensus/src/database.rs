//! The one place that opens SQLite databases, so that every connection has the same pragmas.

use std::fs::File;
use std::io::Error;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};

use crate::disk::FLUSH_BYTES;

/// The size of a page that SQLite gives a new database.
pub(crate) const PAGE_BYTES: u32 = 4096;

/// How long a connection waits for another one.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The log's writer: each commit is synced.
    Log,
    /// The state's writer: commits are not synced, checkpoints are (`synchronous=NORMAL`).
    State,
    /// Moves the write-ahead log into the database, with a sync before and after.
    Checkpoint,
    /// Reads a consistent state and can change nothing.
    Reader,
    /// A file that nobody else uses, to be read where no byte of it may change: without a write-ahead
    /// log, every commit synced.
    Copy,
}

/// Moves the whole write-ahead log into the database, with a sync before and after, and empties it.
///
/// # Errors
/// Those of the database, and `SQLITE_BUSY` when another connection is in the way: the pragma
/// reports that in a row, as if all were well.
pub(crate) fn checkpoint_all(connection: &Connection) -> rusqlite::Result<()> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
        Some("a checkpoint was in another connection's way".into()),
    ))
}

/// How much of a write-ahead log there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frames {
    /// Whether another connection was in the way.
    pub busy: bool,
    /// Pages since the log last began.
    pub written: i64,
    /// Of these, the ones that are in the database.
    pub moved: i64,
}

/// How a checkpoint goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// Moves nothing, and tells how much there is.
    Noop,
    /// Moves what no reader is in the way of, waits for nobody and holds nobody up.
    Passive,
}

pub(crate) fn checkpoint(connection: &Connection, how: Checkpoint) -> rusqlite::Result<Frames> {
    let pragma = match how {
        Checkpoint::Noop => "PRAGMA wal_checkpoint(NOOP)",
        Checkpoint::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
    };
    connection.query_row(pragma, [], |row| {
        Ok(Frames {
            busy: row.get::<_, i64>(0)? != 0,
            written: row.get(1)?,
            moved: row.get(2)?,
        })
    })
}

/// The error of a checkpoint. One that says nothing about the disk is a `WouldBlock`, to be tried
/// again; any other is never: after a failed sync the next one succeeds, and nothing is synced.
pub(crate) fn checkpoint_error(error: rusqlite::Error) -> std::io::Error {
    let passes = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
        )
    );
    if passes {
        std::io::Error::new(std::io::ErrorKind::WouldBlock, error)
    } else {
        std::io::Error::other(error)
    }
}

/// The pages that a connection keeps in memory, in KiB. Readers lose theirs with every write; the
/// state's writer keeps them.
fn cache_kib(role: Role) -> i64 {
    match role {
        Role::State => 64 << 10,
        Role::Log | Role::Checkpoint | Role::Reader | Role::Copy => 16 << 10,
    }
}

/// Opens the database at `path` for `role`.
pub(crate) fn open(path: &Path, role: Role) -> rusqlite::Result<Connection> {
    let flags = match role {
        Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        _ => {
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where databases are opened"
    )]
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(256);
    // Closing costs nothing: what is to be durable is made so by its own call, never by the way.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    match role {
        Role::Reader => {
            connection.pragma_update(None, "query_only", true)?;
        }
        Role::Copy => {
            connection.pragma_update(None, "journal_mode", "DELETE")?;
            connection.pragma_update(None, "synchronous", "EXTRA")?;
        }
        Role::Log => {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            // The automatic ones keep their errors to themselves: the log makes its own.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        }
        Role::State | Role::Checkpoint => {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(
                None,
                "synchronous",
                if role == Role::State {
                    "NORMAL"
                } else {
                    "FULL"
                },
            )?;
            // What a machine deletes is overwritten: it may do so for somebody who wants it gone.
            connection.pragma_update(None, "secure_delete", true)?;
            // Checkpoints are made by their own connection.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        }
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -cache_kib(role))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Copies the database that a transaction reads into the file `path`. Nobody needs the copy after a
/// crash.
pub(crate) fn copy(source: &Transaction<'_>, path: &Path) -> std::io::Result<()> {
    /// What is copied between two syncs.
    const PAGES: i32 = (FLUSH_BYTES / PAGE_BYTES) as i32;
    #[expect(
        clippy::disallowed_methods,
        reason = "a plain file without a write-ahead log"
    )]
    let mut target = Connection::open(path).map_err(Error::other)?;
    target
        .pragma_update(None, "synchronous", "OFF")
        .map_err(Error::other)?;
    let backup = Backup::new(source, &mut target).map_err(Error::other)?;
    loop {
        let step = backup.step(PAGES).map_err(Error::other)?;
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => File::open(path)?.sync_data()?,
            other => {
                return Err(Error::other(format!(
                    "the database cannot be copied: {other:?}"
                )));
            }
        }
    }
}
