//! The seam between the log and a disk: what a faulty disk, or another layout, takes the place of.

use std::io::Result;

use bytes::Bytes;

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log.
    pub index: u64,
    /// The encoded `Entry` of `proto/consensus.proto`.
    pub bytes: Bytes,
}

/// What a log holds when it is opened.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The encoded vote.
    pub vote: Option<Vec<u8>>,
    /// The encoded id of the last entry that was purged.
    pub purged: Option<Vec<u8>>,
    /// The newest entry.
    pub last: Option<Record>,
}

/// A log on a disk. Calls come from one thread, in order.
///
/// Nothing but [`LogIo::sync`] makes anything durable. After an error the log is not used again: a
/// failed sync says nothing about what reached the disk, so it is never retried.
pub trait LogIo: Send + 'static {
    /// Reads what is there, and refuses a log that is damaged or of an unknown format.
    fn load(&mut self) -> Result<Loaded>;
    /// A handle for reading beside the writer. It sees what has been synced.
    fn reader(&self) -> Result<Box<dyn LogRead>>;
    /// Adds entries behind the last one.
    fn append(&mut self, records: &[Record]) -> Result<()>;
    /// Removes the entries from `from` on.
    fn truncate(&mut self, from: u64) -> Result<()>;
    /// Removes the entries up to and with `through`, and remembers `purged`, its encoded id.
    fn purge(&mut self, through: u64, purged: &[u8]) -> Result<()>;
    /// Replaces the vote.
    fn save_vote(&mut self, vote: &[u8]) -> Result<()>;
    /// Returns when everything before it survives a loss of power.
    fn sync(&mut self) -> Result<()>;
}

/// Reads entries that have been synced.
pub trait LogRead: Send + 'static {
    /// The entries of `from..to`, oldest first, up to `bytes_max` but at least one.
    fn read(&mut self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Record>>;
}
