//! The tables of the index.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Transaction, params};

use super::visible::{Eyes, visible};
use crate::access::Viewer;
use crate::epcis::links::{Action, LinkSet, Role};
use crate::epcis::{self, capture};
use crate::machine::read::{Keyring, StoredEntry};
use crate::query::{Facts, Fields};
use crate::trace::EventRow;

/// Bumped when an index of the old layout has to be made again.
const FORMAT: i64 = 5;

const TABLES: &str = "
    CREATE TABLE progress (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        next INTEGER NOT NULL,
        erased INTEGER NOT NULL,
        cleaned INTEGER NOT NULL
    ) STRICT;
    INSERT INTO progress VALUES (1, 0, 0, 0);
    CREATE TABLE locked (entry INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE item (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        kinds INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX read_point ON item (key) WHERE kinds & 2;
    CREATE INDEX biz_location ON item (key) WHERE kinds & 4;
    CREATE TABLE event (
        entry INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        id TEXT,
        action INTEGER,
        time INTEGER NOT NULL,
        recorded INTEGER NOT NULL,
        summary TEXT NOT NULL,
        owner INTEGER NOT NULL,
        visibility INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX event_of_id ON event (id) WHERE id IS NOT NULL;
    CREATE INDEX event_by_time ON event (time, entry);
    CREATE INDEX event_by_record ON event (recorded, entry);
    CREATE TABLE link (
        item INTEGER NOT NULL,
        time INTEGER NOT NULL,
        entry INTEGER NOT NULL,
        role INTEGER NOT NULL,
        action INTEGER,
        class INTEGER NOT NULL,
        fields INTEGER NOT NULL,
        PRIMARY KEY (item, time, entry, role)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX link_of_entry ON link (entry, role);
    CREATE TABLE lot (
        instance INTEGER NOT NULL,
        lot INTEGER NOT NULL,
        entry INTEGER NOT NULL,
        PRIMARY KEY (instance, lot, entry)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX instance_of_lot ON lot (lot);
    CREATE TABLE word (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        UNIQUE (name, value)
    ) STRICT;
    CREATE TABLE attribute (
        word INTEGER NOT NULL,
        entry INTEGER NOT NULL,
        PRIMARY KEY (word, entry)
    ) STRICT, WITHOUT ROWID;";

/// How far an index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The entries that are in.
    pub next: u64,
    /// The erasure up to which entries were taken out.
    pub erased: u64,
    /// The erasure up to which nothing of them is left in its file.
    pub cleaned: u64,
}

/// Opens the writer's connection.
pub(super) fn open(path: &Path) -> rusqlite::Result<(Connection, Progress)> {
    if beside(path, "-swap").exists() {
        remove(path);
    }
    // One that was not finished.
    remove(&beside(path, "-new"));
    #[expect(
        clippy::disallowed_methods,
        reason = "the index is no replicated state"
    )]
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What a loss of power takes is made again from the ledger.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format == 0 {
        connection.execute_batch(&format!(
            "BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?;
    } else if format != FORMAT {
        return Err(rusqlite::Error::InvalidQuery);
    }
    let progress = connection.query_row(
        "SELECT next, erased, cleaned FROM progress WHERE id = 1",
        [],
        |row| {
            Ok(Progress {
                next: row.get(0)?,
                erased: row.get(1)?,
                cleaned: row.get(2)?,
            })
        },
    )?;
    Ok((connection, progress))
}

/// Up to `limit` entries behind `after` whose subjects' keys were not at hand.
///
/// # Errors
/// Those of the database.
pub fn locked(index: &Connection, after: Option<u64>, limit: usize) -> rusqlite::Result<Vec<u64>> {
    index
        .prepare_cached(
            "SELECT entry FROM locked WHERE ?1 IS NULL OR entry > ?1 ORDER BY entry LIMIT ?2",
        )?
        .query_map(params![after, limit], |row| row.get(0))?
        .collect()
}

/// How many entries are not in, for their subjects' keys were not at hand.
///
/// # Errors
/// Those of the database.
pub fn locked_count(index: &Connection) -> rusqlite::Result<u64> {
    index
        .prepare_cached("SELECT count(*) FROM locked")?
        .query_row([], |row| row.get(0))
}

/// The number of entries that are in.
///
/// # Errors
/// Those of the database.
pub fn progress(index: &Connection) -> rusqlite::Result<u64> {
    index
        .prepare_cached("SELECT next FROM progress WHERE id = 1")?
        .query_row([], |row| row.get(0))
}

pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    #[expect(
        clippy::disallowed_methods,
        reason = "the index is no replicated state"
    )]
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// A file beside the index.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal", "-new", "-swap"] {
        drop(std::fs::remove_file(beside(path, suffix)));
    }
}

pub(super) fn clear(state: &Transaction<'_>) -> rusqlite::Result<()> {
    state.execute_batch(
        "DELETE FROM event; DELETE FROM link; DELETE FROM lot; DELETE FROM item;
         DELETE FROM attribute; DELETE FROM word; DELETE FROM locked;
         UPDATE progress SET next = 0, erased = 0, cleaned = 0 WHERE id = 1;",
    )
}

pub(super) fn put_progress(state: &Transaction<'_>, next: u64) -> rusqlite::Result<()> {
    state
        .prepare_cached("UPDATE progress SET next = ?1 WHERE id = 1")?
        .execute([next])?;
    Ok(())
}

pub(super) fn put_erased(state: &Transaction<'_>, erased: u64) -> rusqlite::Result<()> {
    state
        .prepare_cached("UPDATE progress SET erased = ?1 WHERE id = 1")?
        .execute([erased])?;
    Ok(())
}

/// Takes one entry in. One whose subjects' keys are not at hand is noted, to be taken in once they are;
/// one that is erased has no row.
pub(super) fn insert(
    state: &Transaction<'_>,
    entry: &StoredEntry,
    keyring: &dyn Keyring,
) -> rusqlite::Result<()> {
    let document = entry.document(keyring);
    let note = if document.is_none() && entry.is_locked(keyring) {
        "INSERT OR IGNORE INTO locked (entry) VALUES (?1)"
    } else {
        "DELETE FROM locked WHERE entry = ?1"
    };
    state.prepare_cached(note)?.execute([entry.index])?;
    let Some(document) = document else {
        return Ok(());
    };
    let limits = epcis::Limits::stored();
    let Ok(mut document) = capture::parse(&document, &limits) else {
        // It was checked when it was captured: another build's rules are stricter.
        tracing::warn!(
            entry = entry.index,
            "an entry cannot be read and is not indexed"
        );
        return Ok(());
    };
    let Some(event) = document.events.pop() else {
        return Ok(());
    };
    let (row, set) = (EventRow::of(entry.index, &event), LinkSet::of(&event));
    let facts = Facts::of(&event);
    let (action, time) = (set.action.map(action_code), event.time.unix_micros);
    state
        .prepare_cached(
            "INSERT OR REPLACE INTO event
             (entry, type, id, action, time, recorded, summary, owner, visibility)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            row.entry,
            row.kind,
            row.id,
            action,
            time,
            entry.recorded().unix_micros,
            row.summary.to_string(),
            entry.access.owner,
            entry.access.visibility.code()
        ])?;
    for link in &set.links {
        let fields = facts.fields.get(&link.key).copied().unwrap_or_default();
        let item = item(state, link.key.as_str(), Kinds::of(link.role, fields))?;
        let class = link.level == epcis::identifier::Level::Class;
        state
            .prepare_cached(
                "INSERT OR REPLACE INTO link (item, time, entry, role, action, class, fields)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                item,
                time,
                entry.index,
                role_code(link.role),
                action,
                class,
                fields.bits()
            ])?;
    }
    for (instance, lot) in &set.lots {
        let instance = item(state, instance.as_str(), Kinds::NONE)?;
        let lot = item(state, lot.as_str(), Kinds::NONE)?;
        state
            .prepare_cached("INSERT OR IGNORE INTO lot (instance, lot, entry) VALUES (?1, ?2, ?3)")?
            .execute(params![instance, lot, entry.index])?;
    }
    for (name, value) in &facts.words {
        let word = word(state, name, value)?;
        state
            .prepare_cached("INSERT OR IGNORE INTO attribute (word, entry) VALUES (?1, ?2)")?
            .execute(params![word, entry.index])?;
    }
    Ok(())
}

/// Of which collections of the REST binding an item is, a bit each. The numbers stand in the tables'
/// partial indexes: places are few among many items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    const NONE: Self = Self(0);
    pub const EPC: Self = Self(1);
    pub const READ_POINT: Self = Self(2);
    pub const BIZ_LOCATION: Self = Self(4);

    fn of(role: Role, fields: Fields) -> Self {
        match role {
            Role::ReadPoint => Self::READ_POINT,
            Role::BizLocation => Self::BIZ_LOCATION,
            _ if fields.bits() & Fields::ANY_EPC.bits() != 0 => Self::EPC,
            _ => Self::NONE,
        }
    }

    /// The number under which it is stored.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

fn item(state: &Transaction<'_>, key: &str, kinds: Kinds) -> rusqlite::Result<i64> {
    let known = state
        .prepare_cached("SELECT id, kinds FROM item WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get::<_, u8>(1)?)))
        .optional()?;
    match known {
        None => state
            .prepare_cached("INSERT INTO item (key, kinds) VALUES (?1, ?2)")?
            .insert(params![key, kinds.bits()]),
        Some((id, known)) if known & kinds.bits() == kinds.bits() => Ok(id),
        Some((id, known)) => {
            state
                .prepare_cached("UPDATE item SET kinds = ?2 WHERE id = ?1")?
                .execute(params![id, known | kinds.bits()])?;
            Ok(id)
        }
    }
}

fn word(state: &Transaction<'_>, name: &str, value: &str) -> rusqlite::Result<i64> {
    let known = state
        .prepare_cached("SELECT id FROM word WHERE name = ?1 AND value = ?2")?
        .query_row([name, value], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => state
            .prepare_cached("INSERT INTO word (name, value) VALUES (?1, ?2)")?
            .insert([name, value]),
    }
}

pub(super) const ROLES: [Role; 11] = [
    Role::Object,
    Role::Input,
    Role::Output,
    Role::Transformation,
    Role::Parent,
    Role::Child,
    Role::Transaction,
    Role::Source,
    Role::Destination,
    Role::ReadPoint,
    Role::BizLocation,
];

/// The number under which a role is stored: its place in [`ROLES`].
pub(super) fn role_code(role: Role) -> i64 {
    let place = ROLES
        .iter()
        .position(|known| *known == role)
        .unwrap_or(ROLES.len());
    i64::try_from(place).unwrap_or(i64::MAX)
}

pub(super) fn action_code(action: Action) -> i64 {
    match action {
        Action::Observe => 0,
        Action::Add => 1,
        Action::Delete => 2,
    }
}

pub(super) fn action_of(code: Option<i64>) -> Option<Action> {
    match code {
        Some(0) => Some(Action::Observe),
        Some(1) => Some(Action::Add),
        Some(2) => Some(Action::Delete),
        _ => None,
    }
}

fn event_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    let summary: String = row.get(3)?;
    Ok(EventRow {
        entry: row.get(0)?,
        kind: row.get(1)?,
        id: row.get(2)?,
        summary: serde_json::from_str(&summary).unwrap_or_default(),
    })
}

/// The entries of the events with this `eventID` that the viewer may read: error declarations have it
/// too, and another party may have recorded an event under the same.
///
/// # Errors
/// Those of the database.
pub fn entries_of(index: &Connection, id: &str, viewer: &Viewer) -> rusqlite::Result<Vec<u64>> {
    index
        .prepare_cached(&format!(
            "SELECT entry FROM event WHERE id = ?1 AND {} ORDER BY entry",
            visible(2)
        ))?
        .query_map(params![id, Eyes::from(viewer)], |row| row.get(0))?
        .collect()
}

/// The events of `entries` that the index knows, in their order.
///
/// # Errors
/// Those of the database.
pub fn events(
    index: &Connection,
    entries: impl IntoIterator<Item = u64>,
) -> rusqlite::Result<Vec<EventRow>> {
    let mut select =
        index.prepare_cached("SELECT entry, type, id, summary FROM event WHERE entry = ?1")?;
    let mut found = Vec::new();
    for entry in entries {
        match select.query_row([entry], event_row) {
            Ok(row) => found.push(row),
            Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
