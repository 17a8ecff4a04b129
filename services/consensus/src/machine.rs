//! What a system brings: commands, and what they do to a SQLite database.

use prost::Message;
use rusqlite::{Connection, Transaction};

/// A replicated state machine: a SQLite database, and the commands that change it.
///
/// Every node applies the same commands in the same order, each inside a transaction that also
/// records its index. For the nodes to stay equal, [`Machine::apply`] depends on nothing but the
/// database and its arguments: time, randomness and identifiers are chosen by the proposer and
/// travel in the command. Tables have an explicit `INTEGER PRIMARY KEY` or are `WITHOUT ROWID`.
pub trait Machine: Send + 'static {
    /// What changes the state; encoded as protobuf, so that fields can be added.
    type Command: Message + Default + 'static;
    /// What applying a command answers, acceptance and refusal alike.
    type Reply: Message + Default + 'static;

    /// The system's name: nodes of different systems refuse each other.
    const SYSTEM: &'static str;

    /// How the tables came about, oldest first; the machine's version is their number.
    ///
    /// A version is in force from the entry that raises it on, which is proposed once every member
    /// supports it, so that nodes of mixed builds never diverge. Released migrations never change.
    const MIGRATIONS: &'static [&'static str];

    /// Reads what the machine keeps in memory from the database: at the start, after a snapshot was
    /// installed, and after a batch was rolled back.
    fn load(&mut self, state: &Connection) -> rusqlite::Result<()> {
        let _ = state;
        Ok(())
    }

    /// Applies one command.
    ///
    /// A command that is refused is answered with a reply that says so and must not have written.
    /// An error stops the node: it means that the database failed or that the nodes have diverged.
    fn apply(
        &mut self,
        state: &Transaction<'_>,
        entry: EntryInfo,
        command: Self::Command,
    ) -> Result<Self::Reply, ApplyError>;
}

/// What the core has to know of a machine beside how it applies: a value, so that only what applies
/// commands is compiled for each machine anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineKind {
    pub system: &'static str,
    /// The newest machine version that this build applies.
    pub version_supported: u32,
    /// Whether bytes are a command of it.
    pub decodes: fn(&[u8]) -> bool,
}

impl MachineKind {
    pub(crate) fn of<M: Machine>() -> std::io::Result<Self> {
        let version_supported =
            u32::try_from(M::MIGRATIONS.len()).map_err(std::io::Error::other)?;
        Ok(Self {
            system: M::SYSTEM,
            version_supported,
            decodes: |bytes| M::Command::decode(bytes).is_ok(),
        })
    }
}

/// Where in the log a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryInfo {
    /// The index of the entry; grows with every entry, not by one with every command.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
    /// The machine version in force: how many migrations have been applied.
    pub version: u32,
}

/// Why a node cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database failed.
    #[error("the state's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// This node computed something else than the command says.
    #[error("this node has diverged: {0}")]
    Diverged(String),
}
