//! The log in a SQLite database: a transaction is opened by the first write after a sync and
//! committed, with an `fsync`, by the next sync.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Loaded, LogIo, LogRead, Record};
use crate::database::{self, Checkpoint, Role};

/// Bumped when a reader of the old layout could misread the new one.
const FORMAT: i64 = 1;
/// "TvLg", so that `file` and a mistaken copy can tell the log from the state.
const APPLICATION_ID: i64 = 0x5476_4c67;

/// A write-ahead log of about this size is moved into the database, on the writer's thread.
const WAL_BYTES: usize = 16 << 20;
/// What a transaction takes beside its entries, roughly.
const COMMIT_BYTES: usize = 8 << 10;

/// A log in the database at a path.
pub struct SqliteLog {
    path: PathBuf,
    connection: Connection,
    in_transaction: bool,
    /// Written since the last checkpoint, roughly.
    wal_bytes: usize,
}

impl SqliteLog {
    /// Opens or creates the log of the node `owner`. Another node's log is refused: its vote and its
    /// entries are promises that this node never made.
    pub fn open(path: &Path, owner: &str) -> Result<Self> {
        let connection = database::open(path, Role::Log).map_err(|error| damaged(path, &error))?;
        let log = Self {
            path: path.to_owned(),
            connection,
            in_transaction: false,
            wal_bytes: 0,
        };
        log.prepare(owner).map_err(|error| damaged(path, &error))?;
        log.check(owner)?;
        // What was left in the write-ahead log may never have been synced: the process, or a sync,
        // may have failed right before. It is written again and synced before anyone counts on it.
        database::checkpoint_all(&log.connection).map_err(|error| damaged(path, &error))?;
        Ok(log)
    }

    /// Opens the log of a node that has promised something already: one without content is no log
    /// of it, because with its votes it would have lost what keeps it from voting twice.
    pub fn open_existing(path: &Path, owner: &str) -> Result<Self> {
        let lost = || {
            Error::other(format!(
                "{} is missing beside the identity of a member, or has lost its write-ahead log: \
                 restore it, or wipe the data directory and let the node join again",
                path.display()
            ))
        };
        if !path.exists() {
            return Err(lost());
        }
        let connection = database::open(path, Role::Log).map_err(|error| damaged(path, &error))?;
        if tables(&connection).map_err(|error| damaged(path, &error))? == 0 {
            return Err(lost());
        }
        drop(connection);
        Self::open(path, owner)
    }

    fn check(&self, owner: &str) -> Result<()> {
        let (log, path) = (self, &self.path);
        let id: i64 = log
            .connection
            .pragma_query_value(None, "application_id", |row| row.get(0))
            .map_err(|error| damaged(path, &error))?;
        if id != APPLICATION_ID {
            return Err(Error::other(format!(
                "{} is no log of this core",
                path.display()
            )));
        }
        let format: i64 = log
            .connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| damaged(path, &error))?;
        if format != FORMAT {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} has log format {format}, this build reads {FORMAT}: run the build that wrote it",
                    path.display()
                ),
            ));
        }
        let found: Vec<u8> = log
            .connection
            .query_row("SELECT value FROM meta WHERE key = 'owner'", [], |row| {
                row.get(0)
            })
            .map_err(|error| damaged(path, &error))?;
        if found != owner.as_bytes() {
            return Err(Error::other(format!(
                "{} is the log of {:?}, this is {owner:?}: put back what was here, or wipe the data \
                 directory and let the node join again",
                path.display(),
                String::from_utf8_lossy(&found)
            )));
        }
        Ok(())
    }

    fn prepare(&self, owner: &str) -> rusqlite::Result<()> {
        if tables(&self.connection)? > 0 {
            return Ok(());
        }
        self.connection.execute_batch(&format!(
            "BEGIN;
             CREATE TABLE log (idx INTEGER PRIMARY KEY, crc INTEGER NOT NULL, entry BLOB NOT NULL) STRICT;
             CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {FORMAT};"
        ))?;
        put(&self.connection, "owner", owner.as_bytes())?;
        self.connection.execute_batch("COMMIT")
    }

    /// Runs one write inside the open transaction.
    fn write(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<()> {
        let begun = if self.in_transaction {
            Ok(())
        } else {
            self.connection.execute_batch("BEGIN IMMEDIATE")
        };
        self.in_transaction = true;
        begun
            .and_then(|()| work(&self.connection))
            .map_err(|error| damaged(&self.path, &error))
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

fn damaged(path: &Path, error: &rusqlite::Error) -> Error {
    Error::other(format!("the log {}: {error}", path.display()))
}

impl LogIo for SqliteLog {
    fn load(&mut self) -> Result<Loaded> {
        let path = self.path.clone();
        let meta = |key: &str| -> Result<Option<Vec<u8>>> {
            self.connection
                .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                    row.get(0)
                })
                .optional()
                .map_err(|error| damaged(&path, &error))
        };
        let last: Option<u64> = self
            .connection
            .query_row("SELECT max(idx) FROM log", [], |row| row.get(0))
            .map_err(|error| damaged(&path, &error))?;
        let last = match last {
            Some(index) => read(&self.connection, &self.path, index, index + 1, usize::MAX)?.pop(),
            None => None,
        };
        Ok(Loaded {
            vote: meta("vote")?,
            purged: meta("purged")?,
            last,
        })
    }

    fn reader(&self) -> Result<Box<dyn LogRead>> {
        let connection = database::open(&self.path, Role::Reader)
            .map_err(|error| damaged(&self.path, &error))?;
        Ok(Box::new(SqliteReader {
            path: self.path.clone(),
            connection,
        }))
    }

    fn append(&mut self, records: &[Record]) -> Result<()> {
        self.wal_bytes += records
            .iter()
            .map(|record| record.bytes.len())
            .sum::<usize>();
        self.write(|connection| {
            let mut insert = connection
                .prepare_cached("INSERT INTO log (idx, crc, entry) VALUES (?1, ?2, ?3)")?;
            for record in records {
                insert.execute(params![record.index, checksum(record), &record.bytes[..]])?;
            }
            Ok(())
        })
    }

    fn truncate(&mut self, from: u64) -> Result<()> {
        self.write(|connection| {
            connection.execute("DELETE FROM log WHERE idx >= ?1", [from])?;
            Ok(())
        })
    }

    fn purge(&mut self, through: u64, purged: &[u8]) -> Result<()> {
        self.write(|connection| {
            connection.execute("DELETE FROM log WHERE idx <= ?1", [through])?;
            put(connection, "purged", purged)
        })
    }

    fn save_vote(&mut self, vote: &[u8]) -> Result<()> {
        self.write(|connection| put(connection, "vote", vote))
    }

    fn sync(&mut self) -> Result<()> {
        if !self.in_transaction {
            return Ok(());
        }
        self.connection
            .execute_batch("COMMIT")
            .map_err(|error| damaged(&self.path, &error))?;
        self.in_transaction = false;
        self.wal_bytes += COMMIT_BYTES;
        if self.wal_bytes > WAL_BYTES {
            self.wal_bytes = 0;
            database::checkpoint(&self.connection, Checkpoint::Passive)
                .map_err(|error| damaged(&self.path, &error))?;
        }
        Ok(())
    }
}

fn put(connection: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

/// Covers the index too, so that an entry found in another's place is noticed.
fn checksum(record: &Record) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record.index.to_le_bytes());
    hasher.update(&record.bytes);
    hasher.finalize()
}

struct SqliteReader {
    path: PathBuf,
    connection: Connection,
}

impl LogRead for SqliteReader {
    fn read(&mut self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Record>> {
        read(&self.connection, &self.path, from, to, bytes_max)
    }
}

fn read(
    connection: &Connection,
    path: &Path,
    from: u64,
    to: u64,
    bytes_max: usize,
) -> Result<Vec<Record>> {
    let select = || -> rusqlite::Result<Vec<(Record, u32)>> {
        let mut select = connection.prepare_cached(
            "SELECT idx, crc, entry FROM log WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
        )?;
        let to = i64::try_from(to).unwrap_or(i64::MAX);
        let mut rows = select.query(params![from, to])?;
        let mut found = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let entry: Vec<u8> = row.get(2)?;
            bytes += entry.len();
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            let record = Record {
                index: row.get(0)?,
                bytes: Bytes::from(entry),
            };
            found.push((record, row.get(1)?));
        }
        Ok(found)
    };
    select()
        .map_err(|error| damaged(path, &error))?
        .into_iter()
        .map(|(record, crc)| {
            if checksum(&record) == crc {
                Ok(record)
            } else {
                Err(Error::new(
                    ErrorKind::InvalidData,
                    format!(
                        "the log {} is corrupt at entry {}: its checksum does not match; \
                         wipe this node's data directory and let it join again",
                        path.display(),
                        record.index
                    ),
                ))
            }
        })
        .collect()
}
