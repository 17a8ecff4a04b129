//! What can go wrong with the ledger's formats.

/// An error of the ledger's formats: always a fact about bytes that were given, never a panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes or text that are not in the one form that the format allows.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// The format that was being read.
        what: &'static str,
        /// The first departure from it.
        reason: String,
    },
    /// A version that this program does not know: a newer program wrote it.
    #[error("{what} has version {found}; this program reads version {supported}")]
    Version {
        /// The format that was being read.
        what: &'static str,
        /// The version found.
        found: u64,
        /// The version that can be read.
        supported: u64,
    },
    /// Authenticated decryption failed.
    #[error("{what} does not open: the key is another one, or the bytes are damaged")]
    Sealed {
        /// What was to be decrypted.
        what: &'static str,
    },
    /// A Merkle proof does not hold.
    #[error("Merkle proof refused: {0}")]
    Proof(&'static str),
    /// A tile, or a hash in it, that a tree of this size must have is not there.
    #[error("tile {level}/{index} is missing or too short")]
    TileMissing {
        /// The level of the tile.
        level: u8,
        /// Its index in the level.
        index: u64,
    },
    /// A signature by a known key does not verify.
    #[error("the signature by {key} does not verify")]
    Signature {
        /// The key, by name.
        key: String,
    },
    /// No signature on a note is by a key that was given.
    #[error("no signature by a known key")]
    NoKnownSignature,
    /// A block does not continue its chain.
    #[error("block {height} does not continue the chain: {reason}")]
    Chain {
        /// The height that the block claims.
        height: u64,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A value that no ledger may hold, refused before it is written.
    #[error("refused: {0}")]
    Refused(&'static str),
}

impl Error {
    pub(crate) fn malformed(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed {
            what,
            reason: reason.into(),
        }
    }
}
