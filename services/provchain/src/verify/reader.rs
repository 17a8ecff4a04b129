//! What a verification reads from.

use std::fmt::Display;

use ed25519_dalek::VerifyingKey;

use crate::ledger::Digest;
use crate::ledger::identity::Identity;
use crate::ledger::key::SubjectKey;

/// An entry as it is stored, nothing of it believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// Its index.
    pub index: u64,
    /// The encoded leaf.
    pub leaf: Vec<u8>,
    /// The stored payload; erasure may have removed it.
    pub payload: Option<Vec<u8>>,
    /// The encoded wrapped key; nothing once it is destroyed.
    pub key: Option<Vec<u8>>,
    /// The identity of the event; erasure may have removed it.
    pub identity: Option<Identity>,
    /// The name of the party that captured it, which is part of its identity.
    pub owner: String,
}

/// A block as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// The height that it is stored under.
    pub height: u64,
    /// The encoded block.
    pub block: Vec<u8>,
}

/// What is known of a subject's key.
#[derive(Clone, Debug)]
pub enum SubjectKeyState {
    /// It is here.
    Known(SubjectKey),
    /// It was destroyed: the subject's entries are erased.
    Destroyed,
    /// It is not at hand: the subject's entries cannot be opened here.
    Unavailable,
}

/// A stored ledger. Pages are asked for in ascending order; an empty page is the end.
pub trait LedgerReader {
    /// What reading can fail with.
    type Error: Display;

    /// The ledger's origin: the first line of its checkpoints.
    ///
    /// # Errors
    /// Those of the storage, as for everything below.
    fn origin(&mut self) -> Result<String, Self::Error>;

    /// The number of entries that the ledger says it has.
    ///
    /// # Errors
    /// Those of the storage.
    fn size(&mut self) -> Result<u64, Self::Error>;

    /// The public keys of all nodes that ever sealed a block or signed a checkpoint.
    ///
    /// # Errors
    /// Those of the storage.
    fn node_keys(&mut self) -> Result<Vec<VerifyingKey>, Self::Error>;

    /// The checkpoints that are kept, as signed notes: a few, such as the latest of each node.
    ///
    /// # Errors
    /// Those of the storage.
    fn checkpoints(&mut self) -> Result<Vec<String>, Self::Error>;

    /// Up to `limit` entries with an index of `from` or more, in ascending order.
    ///
    /// # Errors
    /// Those of the storage.
    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<EntryRecord>, Self::Error>;

    /// Up to `limit` blocks with a height of `from` or more, in ascending order.
    ///
    /// # Errors
    /// Those of the storage.
    fn blocks(&mut self, from: u64, limit: usize) -> Result<Vec<BlockRecord>, Self::Error>;

    /// The bytes of a tile.
    ///
    /// # Errors
    /// Those of the storage.
    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Self::Error>;

    /// The number of tiles stored.
    ///
    /// # Errors
    /// Those of the storage.
    fn tile_count(&mut self) -> Result<u64, Self::Error>;

    /// Up to `limit` pairs of identity key and entry index, ascending, from behind `after`.
    ///
    /// # Errors
    /// Those of the storage.
    fn identities(
        &mut self,
        after: Option<(Digest, u64)>,
        limit: usize,
    ) -> Result<Vec<(Digest, u64)>, Self::Error>;

    /// The key of a subject.
    ///
    /// # Errors
    /// Those of the storage.
    fn subject_key(&mut self, subject: &str) -> Result<SubjectKeyState, Self::Error>;
}
