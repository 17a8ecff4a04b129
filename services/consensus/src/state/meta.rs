//! The core's own tables, beside the machine's.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::Position;
use crate::codec;
use crate::database::{self, Role};
use crate::machine::MachineKind;
use crate::raft::{LogId, StoredMembership};
use crate::wire;

/// "TvSt": tells the state from the log.
const APPLICATION_ID: i64 = 0x5476_5374;
/// Of the core's own tables; the machine's version is counted apart.
const FORMAT: i64 = 1;

impl MachineKind {
    /// Refuses a state of another system or of a newer build; gives where it stands.
    pub(super) fn check(&self, state: &Connection) -> Result<Position> {
        let id: i64 = state
            .pragma_query_value(None, "application_id", |row| row.get(0))
            .map_err(Error::other)?;
        if id != APPLICATION_ID {
            return Err(Error::other("it is no state of this core"));
        }
        let format: i64 = state
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(Error::other)?;
        if format != FORMAT {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "it has format {format}, this build reads {FORMAT}: run the build that wrote it"
                ),
            ));
        }
        let found = get(state, "system")
            .map_err(Error::other)?
            .unwrap_or_default();
        if found != self.system.as_bytes() {
            return Err(Error::other(format!(
                "it belongs to the system {:?}, not to {:?}",
                String::from_utf8_lossy(&found),
                self.system
            )));
        }
        let position = position(state)?;
        if position.version > self.version_supported {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "it is at version {} and this build of {} supports {}: run a newer build on this node",
                    position.version, self.system, self.version_supported
                ),
            ));
        }
        Ok(position)
    }

    /// Checks a received file before anything is built on it. It is opened for reading: nothing is
    /// made where there is nothing.
    pub(super) fn inspect(
        &self,
        path: &Path,
        last: LogId,
        membership: &StoredMembership,
    ) -> Result<()> {
        let found = database::open(path, Role::Reader)
            .map_err(Error::other)
            .and_then(|state| self.check(&state))
            .map_err(|error| named("the received state", path, &error))?;
        if found.applied != Some(last) || found.membership != *membership {
            return Err(Error::other(format!(
                "the received state holds {:?}, where {last:?} was announced",
                found.applied
            )));
        }
        Ok(())
    }
}

/// `error`, and what it is about.
pub(super) fn named(what: &str, path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

/// Creates the core's tables in an empty database.
pub(super) fn prepare(state: &Connection, system: &str) -> Result<()> {
    let tables: i64 = state
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(Error::other)?;
    if tables == 0 {
        state
            .execute_batch(&format!(
                "BEGIN;
                 CREATE TABLE consensus_meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
                 CREATE TABLE consensus_session (id INTEGER PRIMARY KEY, used INTEGER NOT NULL, settled INTEGER NOT NULL) STRICT;
                 CREATE INDEX consensus_session_used ON consensus_session (used);
                 CREATE TABLE consensus_reply (
                     session INTEGER NOT NULL REFERENCES consensus_session ON DELETE CASCADE,
                     number INTEGER NOT NULL,
                     outcome BLOB NOT NULL,
                     PRIMARY KEY (session, number)
                 ) STRICT, WITHOUT ROWID;
                 PRAGMA application_id = {APPLICATION_ID};
                 PRAGMA user_version = {FORMAT};"
            ))
            .and_then(|()| put(state, "system", system.as_bytes()))
            .and_then(|()| state.execute_batch("COMMIT"))
            .map_err(Error::other)?;
    }
    Ok(())
}

pub(super) fn get(state: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    state
        .prepare_cached("SELECT value FROM consensus_meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

pub(super) fn put(state: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    state
        .prepare_cached("INSERT OR REPLACE INTO consensus_meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

pub(super) fn put_applied(state: &Connection, id: &LogId) -> rusqlite::Result<()> {
    put(state, "applied", &codec::log_id_to_wire(id).encode_to_vec())
}

pub(super) fn put_membership(
    state: &Connection,
    stored: &StoredMembership,
) -> rusqlite::Result<()> {
    let stored = codec::stored_membership_to_wire(stored);
    put(state, "membership", &stored.encode_to_vec())
}

pub(super) fn put_restored_from(state: &Connection, clusters: &[String]) -> rusqlite::Result<()> {
    put(state, "restored_from", clusters.join("\n").as_bytes())
}

pub(super) fn put_version(state: &Connection, version: u32) -> rusqlite::Result<()> {
    put(state, "version", &version.to_le_bytes())
}

/// Where the state stands.
pub(super) fn position(state: &Connection) -> Result<Position> {
    let read = |key| get(state, key).map_err(Error::other);
    let applied = match read("applied")? {
        Some(bytes) => {
            let id = wire::LogId::decode(&bytes[..]).map_err(Error::other)?;
            Some(codec::log_id(&id))
        }
        None => None,
    };
    let membership = match read("membership")? {
        Some(bytes) => Some(wire::StoredMembership::decode(&bytes[..]).map_err(Error::other)?),
        None => None,
    };
    let version = read("version")?
        .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
        .map_or(0, u32::from_le_bytes);
    let restored_from = read("restored_from")?.unwrap_or_default();
    let restored_from = String::from_utf8(restored_from).map_err(Error::other)?;
    Ok(Position {
        applied,
        membership: codec::stored_membership(membership)?,
        version,
        restored_from: restored_from.lines().map(str::to_owned).collect(),
    })
}

/// A digest over all rows, equal on every node that has applied the same index.
///
/// Rows are taken in the order of their primary key, so that it does not matter how SQLite laid out
/// its pages.
pub fn digest(state: &Connection) -> rusqlite::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let tables: Vec<String> = state
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for table in tables {
        hasher.update(table.as_bytes());
        let keys: Vec<String> = state
            .prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?
            .query_map([&table], |row| row.get::<_, String>(0))?
            .map(|name| name.map(|name| format!("\"{name}\"")))
            .collect::<rusqlite::Result<_>>()?;
        let order = if keys.is_empty() {
            "rowid".to_owned()
        } else {
            keys.join(", ")
        };
        let mut select = state.prepare(&format!("SELECT * FROM \"{table}\" ORDER BY {order}"))?;
        let columns = select.column_count();
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                hash_value(&mut hasher, row.get_ref(column)?);
            }
        }
    }
    Ok(hasher.finalize().into())
}

fn hash_value(hasher: &mut Sha256, value: rusqlite::types::ValueRef<'_>) {
    use rusqlite::types::ValueRef;
    let (tag, bytes): (u8, &[u8]) = match &value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(number) => (1, &number.to_le_bytes()),
        ValueRef::Real(number) => (2, &number.to_le_bytes()),
        ValueRef::Text(bytes) => (3, bytes),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    hasher.update([tag]);
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(statements: &str) -> Connection {
        let state = Connection::open_in_memory().unwrap();
        state.execute_batch(statements).unwrap();
        state
    }

    const TABLE: &str = "CREATE TABLE t (a TEXT, b INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID;";

    #[test]
    fn equal_rows_give_equal_digests_however_they_came_there() {
        let one = database(&format!(
            "{TABLE} INSERT INTO t VALUES ('x', 1), ('y', 2), ('z', 3);"
        ));
        let other = database(&format!(
            "{TABLE} INSERT INTO t VALUES ('z', 3), ('w', 9), ('y', 2); DELETE FROM t WHERE a = 'w';
             INSERT INTO t VALUES ('x', 1); VACUUM; CREATE INDEX i ON t (a);"
        ));
        assert_eq!(digest(&one).unwrap(), digest(&other).unwrap());
    }

    #[test]
    fn every_difference_in_a_row_gives_another_digest() {
        let contents = [
            "",
            "INSERT INTO t VALUES ('x', 1)",
            "INSERT INTO t VALUES ('x', 2)",
            "INSERT INTO t VALUES ('', 1)",
            "INSERT INTO t VALUES (x'78', 1)",
            "INSERT INTO t VALUES ('x', 1.5)",
            "INSERT INTO t VALUES ('x1', 1)",
            "INSERT INTO t VALUES ('x', 1), ('x', 2)",
            "CREATE TABLE u (a INTEGER PRIMARY KEY)",
        ];
        let digests: std::collections::BTreeSet<[u8; 32]> = contents
            .iter()
            .map(|content| digest(&database(&format!("{TABLE} {content};"))).unwrap())
            .collect();
        assert_eq!(digests.len(), contents.len());
    }
}
