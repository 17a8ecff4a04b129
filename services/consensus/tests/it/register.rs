//! Machines for tests: named registers that are set and added to.

use std::sync::Arc;

use consensus::{ApplyError, EntryInfo, Machine};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// Sets or adds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "2")]
    pub value: i64,
    /// Adds `value` instead of setting it.
    #[prost(bool, tag = "3")]
    pub add: bool,
    /// Makes the command bigger.
    #[prost(bytes = "vec", tag = "4")]
    pub ballast: Vec<u8>,
}

/// The register's new value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reply {
    #[prost(int64, tag = "1")]
    pub value: i64,
}

/// What a node under test runs.
pub trait TestMachine: Machine<Command = Command, Reply = Reply> {
    /// `alive` is dropped with the machine; setting the register `fails_on` fails.
    fn build(alive: Arc<()>, fails_on: Option<String>) -> Self;
}

const TABLE: &str = "CREATE TABLE register (name TEXT PRIMARY KEY, value INTEGER NOT NULL, ballast BLOB) STRICT, WITHOUT ROWID";
const HISTORY: &str = "CREATE TABLE history (entry INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT";

macro_rules! machine {
    ($(#[$doc:meta])* $name:ident, $system:literal, $migrations:expr) => {
        $(#[$doc])*
        pub struct $name {
            _alive: Arc<()>,
            fails_on: Option<String>,
        }

        impl TestMachine for $name {
            fn build(alive: Arc<()>, fails_on: Option<String>) -> Self {
                Self { _alive: alive, fails_on }
            }
        }

        impl Machine for $name {
            type Command = Command;
            type Reply = Reply;

            const SYSTEM: &'static str = $system;
            const MIGRATIONS: &'static [&'static str] = $migrations;

            fn apply(
                &mut self,
                state: &Transaction<'_>,
                entry: EntryInfo,
                command: Command,
            ) -> Result<Reply, ApplyError> {
                if self.fails_on.as_ref() == Some(&command.name) {
                    return Err(ApplyError::Diverged("this node was told to fail".into()));
                }
                apply(state, entry, &command)
            }
        }
    };
}

machine!(
    /// Registers.
    Register,
    "register",
    &[TABLE]
);
machine!(
    /// The next build of [`Register`]: it also keeps a history.
    Historian,
    "register",
    &[TABLE, HISTORY]
);
machine!(
    /// Another system altogether.
    Foreigner,
    "foreign",
    &[TABLE]
);

fn apply(
    state: &Transaction<'_>,
    entry: EntryInfo,
    command: &Command,
) -> Result<Reply, ApplyError> {
    let before = if command.add {
        value(state, &command.name)?.unwrap_or(0)
    } else {
        0
    };
    let value = before + command.value;
    state
        .prepare_cached(
            "INSERT OR REPLACE INTO register (name, value, ballast) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![command.name, value, command.ballast])?;
    if entry.version >= 2 {
        state
            .prepare_cached("INSERT INTO history (entry, name) VALUES (?1, ?2)")?
            .execute(params![entry.index, command.name])?;
    }
    Ok(Reply { value })
}

pub fn value(state: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    state
        .prepare_cached("SELECT value FROM register WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub fn set(name: &str, value: i64) -> Command {
    Command {
        name: name.into(),
        value,
        ..Command::default()
    }
}

pub fn add(name: &str, value: i64) -> Command {
    Command {
        add: true,
        ..set(name, value)
    }
}

/// A command of about `bytes`.
pub fn heavy(name: &str, value: i64, bytes: usize) -> Command {
    Command {
        ballast: vec![7; bytes],
        ..set(name, value)
    }
}
