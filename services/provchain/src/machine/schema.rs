//! The tables. A released migration never changes.

use rusqlite::Connection;

/// One string for each version of the machine.
pub(super) const MIGRATIONS: &[&str] = &[
    // 1: the first release.
    "CREATE TABLE ledger (
         id INTEGER PRIMARY KEY CHECK (id = 1),
         origin TEXT NOT NULL,
         secret BLOB NOT NULL,
         size INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE entry (
         idx INTEGER PRIMARY KEY,
         leaf BLOB NOT NULL,
         payload BLOB,
         key BLOB
     ) STRICT;
     CREATE TABLE identity (
         key BLOB PRIMARY KEY,
         content BLOB NOT NULL,
         entry INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX identity_of_entry ON identity (entry);
     CREATE TABLE tile (
         level INTEGER NOT NULL,
         idx INTEGER NOT NULL,
         hashes BLOB NOT NULL,
         PRIMARY KEY (level, idx)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE block (
         height INTEGER PRIMARY KEY,
         block BLOB NOT NULL
     ) STRICT;
     CREATE TABLE node (
         public_key BLOB PRIMARY KEY,
         name TEXT NOT NULL,
         since_ms INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE capture (
         id TEXT PRIMARY KEY,
         time_ms INTEGER NOT NULL,
         entries INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;",
    // 2: whose an entry is and who may read it. What was there before is nobody's, and public.
    "CREATE TABLE party (
         id INTEGER PRIMARY KEY,
         name TEXT NOT NULL UNIQUE
     ) STRICT;
     ALTER TABLE entry ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE entry ADD COLUMN visibility INTEGER NOT NULL DEFAULT 0;",
];

/// Whether the first migration has run.
pub(super) fn exists(state: &Connection) -> rusqlite::Result<bool> {
    state
        .prepare_cached(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'ledger'",
        )?
        .query_row([], |row| row.get(0))
}
