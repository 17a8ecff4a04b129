//! Whole entries: sealing one, and finding out what is wrong with one.

use super::commitment::{Commitments, commit_submitter};
use super::key::{Custody, EntryKey, WrappedKey};
use super::leaf::{Kind, Leaf};
use super::payload::{Payload, StoredPayload};
use super::{Digest, Error};

/// Canonicalises a document into its statements: the same document always gives the same list.
/// Given from outside, so that the formats know nothing of JSON-LD.
pub type StatementsOf<'a> = dyn Fn(&[u8]) -> Result<Vec<String>, String> + 'a;

/// What an entry is made of.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// What the entry is.
    pub kind: Kind,
    /// When the proposer took it in: milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// The document and who submitted it.
    pub payload: Payload,
    /// The canonical statements of the document.
    pub statements: Vec<String>,
}

/// An entry as it travels in a command and is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEntry {
    /// What the tree holds of it.
    pub leaf: Leaf,
    /// What its readers get, encrypted.
    pub payload: StoredPayload,
    /// The key, as its keeper wants it stored.
    pub key: WrappedKey,
}

impl NewEntry {
    /// Seals the entry under `key`, which is used up: no second payload is ever encrypted with it.
    ///
    /// # Errors
    /// [`Error::Refused`] for no statements or too many, and for names that are empty or too long.
    pub fn seal(&self, key: EntryKey, custody: Custody<'_>) -> Result<SealedEntry, Error> {
        let derived = key.derive();
        let commitments = Commitments::new(&derived, &self.statements)?;
        let payload = self.payload.seal(&derived)?;
        let leaf = Leaf {
            kind: self.kind,
            time_ms: self.time_ms,
            submitter: commit_submitter(&derived.submitter_salt(), &self.payload.submitter),
            statement_root: commitments.root(),
            statement_count: commitments.count(),
            payload_hash: payload.hash(),
        };
        let wrapped = WrappedKey::wrap(&key, custody)?;
        drop(key);
        Ok(SealedEntry {
            leaf,
            payload,
            key: wrapped,
        })
    }
}

/// What is wrong inside an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// There is no entry at this index.
    #[error("the entry is missing")]
    Missing,
    /// The storage cannot read it.
    #[error("the entry cannot be read: {0}")]
    Unreadable(String),
    /// The leaf cannot be read.
    #[error("leaf: {0}")]
    Leaf(Error),
    /// The leaf is not the one that the tree was built over.
    #[error("leaf: it is not the one in the tree")]
    LeafHash,
    /// The inclusion path does not lead from the leaf to the checkpoint.
    #[error("inclusion: {0}")]
    Inclusion(Error),
    /// The stored payload is missing though the key is not destroyed.
    #[error("payload: it is missing")]
    PayloadMissing,
    /// The stored payload is not the one that the leaf commits to.
    #[error("payload: its hash is {found}, recorded was {recorded}")]
    PayloadHash {
        /// The hash in the leaf.
        recorded: Digest,
        /// The hash of what is there.
        found: Digest,
    },
    /// The document or its submitter, byte for byte, is not the one that was recorded.
    #[error("document: its bytes or its submitter are not those that were recorded")]
    Document,
    /// The stored key cannot be read or opened.
    #[error("key: {0}")]
    Key(Error),
    /// The payload does not open with the key, or holds what no ledger writes.
    #[error("payload: {0}")]
    Payload(Error),
    /// The document cannot be canonicalised.
    #[error("document: no statements can be made of it: {0}")]
    Meaning(String),
    /// The document makes another number of statements.
    #[error("statements: there are {found}, recorded were {recorded}")]
    StatementCount {
        /// The count in the leaf.
        recorded: u32,
        /// The count of what is there.
        found: usize,
    },
    /// Some statement is not the recorded one; which one cannot be said from the leaf alone.
    #[error("statements: they are not those that were recorded")]
    StatementRoot,
    /// A statement that was not recorded.
    #[error("statement {index}: not recorded: {statement}")]
    Statement {
        /// Its position among the statements.
        index: u32,
        /// The statement as it is claimed.
        statement: String,
    },
    /// A recorded statement that is not there.
    #[error("statement {index}: recorded, but not there")]
    StatementMissing {
        /// Its position among the recorded statements.
        index: u32,
    },
    /// The commitments given are not those under the leaf.
    #[error("commitments: they are not those that were recorded")]
    Commitments,
    /// The submitter is not the recorded one.
    #[error("submitter: not the recorded one: {0}")]
    Submitter(String),
    /// The stored identity is not that of the event.
    #[error("identity: it is not that of the event")]
    Identity,
}

/// What is known of an entry that has been opened and found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedEntry {
    /// The document and who submitted it.
    pub payload: Payload,
    /// The canonical statements of the document.
    pub statements: Vec<String>,
}

/// Checks a stored payload against its leaf: the part that needs no key.
///
/// # Errors
/// [`EntryFault::PayloadHash`].
pub fn check_payload(leaf: &Leaf, payload: &StoredPayload) -> Result<(), EntryFault> {
    let found = payload.hash();
    if found == leaf.payload_hash {
        return Ok(());
    }
    Err(EntryFault::PayloadHash {
        recorded: leaf.payload_hash,
        found,
    })
}

/// Opens an entry and checks everything that its leaf commits to.
///
/// # Errors
/// The first [`EntryFault`] found.
pub fn open(
    leaf: &Leaf,
    payload: &StoredPayload,
    key: &EntryKey,
    statements_of: &StatementsOf<'_>,
) -> Result<OpenedEntry, EntryFault> {
    check_payload(leaf, payload)?;
    let derived = key.derive();
    let payload = payload.open(&derived).map_err(EntryFault::Payload)?;
    if commit_submitter(&derived.submitter_salt(), &payload.submitter) != leaf.submitter {
        return Err(EntryFault::Submitter(payload.submitter));
    }
    let statements = statements_of(&payload.document).map_err(EntryFault::Meaning)?;
    if statements.len() != leaf.statement_count as usize {
        let recorded = leaf.statement_count;
        return Err(EntryFault::StatementCount {
            recorded,
            found: statements.len(),
        });
    }
    let root = Commitments::new(&derived, &statements).map(|commitments| commitments.root());
    if root != Ok(leaf.statement_root) {
        return Err(EntryFault::StatementRoot);
    }
    Ok(OpenedEntry {
        payload,
        statements,
    })
}
