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
    // 2: whose an entry is and who may read it, and who is who. What was there before is nobody's,
    // and public.
    "CREATE TABLE party (
         id INTEGER PRIMARY KEY,
         name TEXT NOT NULL UNIQUE
     ) STRICT;
     ALTER TABLE entry ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE entry ADD COLUMN visibility INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE capture ADD COLUMN owner INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE capture ADD COLUMN proceed INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE capture ADD COLUMN left_out TEXT NOT NULL DEFAULT '[]';
     CREATE INDEX capture_of_owner ON capture (owner, id);
     CREATE TABLE user (
         name TEXT PRIMARY KEY,
         role TEXT NOT NULL,
         party INTEGER NOT NULL,
         password TEXT,
         disabled INTEGER NOT NULL,
         valid_from INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE api_key (
         id TEXT PRIMARY KEY,
         user TEXT NOT NULL,
         hash BLOB NOT NULL,
         label TEXT NOT NULL,
         created_ms INTEGER NOT NULL,
         expires INTEGER
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE partner (
         party INTEGER NOT NULL,
         partner INTEGER NOT NULL,
         PRIMARY KEY (party, partner)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE session (
         hash BLOB PRIMARY KEY,
         user TEXT NOT NULL,
         family TEXT NOT NULL,
         expires INTEGER NOT NULL,
         used INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX session_of_user ON session (user, family);
     CREATE INDEX session_of_family ON session (family);
     CREATE INDEX session_ends ON session (expires);
     CREATE TABLE revoked (
         id TEXT PRIMARY KEY,
         expires INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE audit (
         id INTEGER PRIMARY KEY,
         time_ms INTEGER NOT NULL,
         actor TEXT NOT NULL,
         action TEXT NOT NULL,
         target TEXT NOT NULL,
         detail TEXT NOT NULL
     ) STRICT;",
    // 3: subjects that can be erased, queries that have names, and witnesses that cosign.
    "",
];

/// Whether the first migration has run.
pub(super) fn exists(state: &Connection) -> rusqlite::Result<bool> {
    has_table(state, "ledger")
}

/// Whether the second one has.
pub(super) fn has_access(state: &Connection) -> rusqlite::Result<bool> {
    has_table(state, "user")
}

/// Whether erasures are written down.
pub(super) fn has_erasures(state: &Connection) -> rusqlite::Result<bool> {
    has_table(state, "erasure")
}

fn has_table(state: &Connection, name: &str) -> rusqlite::Result<bool> {
    state
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
        .exists([name])
}
