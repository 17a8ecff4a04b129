//! Where an export comes from: a node that is asked, or a folder that is read.

use std::path::Path;

use super::node::Node;
use super::offline::Offline;
use crate::ledger::Digest;
use crate::ledger::checkpoint::Checkpoint;

/// An entry as its source has it.
pub(super) struct Entry {
    pub index: u64,
    pub leaf_hash: Digest,
    pub content: Content,
}

/// What there is of an entry.
pub(super) enum Content {
    /// The event, byte for byte as it is stored.
    Event(Vec<u8>),
    /// Nothing, for this reader.
    Withheld,
    /// Nothing: it was erased.
    Erased,
    /// Nothing without the key of its subject.
    Locked,
    /// No event, but the record of an erasure.
    Record,
}

/// A ledger to export.
pub(super) enum Source {
    Node(Box<Node>),
    Folder(Box<Offline>),
}

impl Source {
    pub(super) fn node(url: &str, token: Option<String>) -> anyhow::Result<Self> {
        Node::new(url, token).map(|node| Self::Node(Box::new(node)))
    }

    pub(super) fn folder(path: &Path) -> anyhow::Result<Self> {
        Offline::open(path).map(|folder| Self::Folder(Box::new(folder)))
    }

    /// Settles which ledger is exported: the one of `as_of` entries, or of all. Gives their number.
    pub(super) async fn open(&mut self, as_of: Option<u64>) -> anyhow::Result<u64> {
        match self {
            Self::Node(node) => node.open(as_of).await,
            Self::Folder(folder) => folder.size(as_of),
        }
    }

    /// The ledger's origin, once it was opened.
    pub(super) fn origin(&self) -> &str {
        match self {
            Self::Node(node) => node.origin(),
            Self::Folder(folder) => folder.origin(),
        }
    }

    /// One to `most` entries from `from` on.
    pub(super) async fn entries(&mut self, from: u64, most: u64) -> anyhow::Result<Vec<Entry>> {
        match self {
            Self::Node(node) => node.entries(from, most).await,
            Self::Folder(folder) => folder.entries(from, most),
        }
    }

    /// A signed checkpoint over `as_of` entries, or over as many as there is one for: the note, and
    /// what it says.
    pub(super) async fn checkpoint(
        &mut self,
        as_of: Option<u64>,
    ) -> anyhow::Result<(String, Checkpoint)> {
        match self {
            Self::Node(node) => node.checkpoint(as_of).await,
            Self::Folder(folder) => folder.checkpoint(as_of),
        }
    }

    /// The encoded leaves of the bundle that begins with the entry `from`.
    pub(super) async fn leaves(&mut self, from: u64, width: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        match self {
            Self::Node(node) => node.leaves(from, width).await,
            Self::Folder(folder) => folder.leaves(from, width),
        }
    }
}
