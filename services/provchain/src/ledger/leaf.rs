//! The leaf: the 110 bytes of an entry that the Merkle tree is built over.

use super::codec::Fields;
use super::commitment::STATEMENTS_MAX;
use super::{Digest, Error, merkle};

const WHAT: &str = "leaf";
const VERSION: u8 = 1;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A captured event.
    Event,
    /// A record that the keys of earlier entries were destroyed.
    Erasure,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Event => 1,
            Self::Erasure => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Event),
            2 => Some(Self::Erasure),
            _ => None,
        }
    }
}

/// What the tree holds of an entry: commitments only, nothing that can be guessed and tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What the entry is.
    pub kind: Kind,
    /// When the ledger took it in: milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// The salted commitment to the submitter.
    pub submitter: Digest,
    /// The root over the commitments to the statements.
    pub statement_root: Digest,
    /// The number of statements: 1 to 65,536.
    pub statement_count: u32,
    /// SHA-256 of the stored payload.
    pub payload_hash: Digest,
}

impl Leaf {
    /// The length of the encoding in bytes.
    pub const LEN: usize = 110;

    /// The stored form; `FORMATS.md` has the table.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[0] = VERSION;
        out[1] = self.kind.code();
        out[2..10].copy_from_slice(&self.time_ms.to_be_bytes());
        out[10..42].copy_from_slice(&self.submitter.0);
        out[42..74].copy_from_slice(&self.statement_root.0);
        out[74..78].copy_from_slice(&self.statement_count.to_be_bytes());
        out[78..110].copy_from_slice(&self.payload_hash.0);
        out
    }

    /// Reads what [`encode`](Self::encode) writes.
    ///
    /// # Errors
    /// [`Error::Version`] and [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(WHAT, bytes);
        fields.version(VERSION)?;
        let kind = Kind::from_code(fields.u8()?).ok_or_else(|| fields.malformed("unknown kind"))?;
        let leaf = Self {
            kind,
            time_ms: fields.u64()?,
            submitter: fields.digest()?,
            statement_root: fields.digest()?,
            statement_count: fields.u32()?,
            payload_hash: fields.digest()?,
        };
        if leaf.statement_count == 0 || leaf.statement_count as usize > STATEMENTS_MAX {
            return Err(fields.malformed("not 1 to 65,536 statements"));
        }
        fields.finish()?;
        Ok(leaf)
    }

    /// The leaf hash in the Merkle tree: `SHA-256(0x00 ‖ leaf)`.
    #[must_use]
    pub fn hash(&self) -> Digest {
        merkle::leaf_hash(&self.encode())
    }
}
