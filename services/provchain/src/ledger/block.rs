//! Blocks: a signed chain over runs of entries.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::codec::Fields;
use super::{Digest, Error};

const WHAT: &str = "block";
const VERSION: u8 = 1;

/// No note's text contains a NUL, so that a signature over a block is never one over a checkpoint,
/// though a node signs both with one key.
const SIGNATURE_TAG: &[u8] = b"provchain/v1 block\0";

/// What a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The position in the chain, from 0.
    pub height: u64,
    /// The index of the first entry in the block.
    pub first_entry: u64,
    /// The index of the last entry in the block; the tree below has one leaf more than this.
    pub last_entry: u64,
    /// The hash of the block before, or the [`genesis`] of the ledger.
    pub previous: Digest,
    /// The root of the Merkle tree over all entries up to the last of this block.
    pub tree_root: Digest,
    /// When it was sealed: milliseconds since 1970-01-01T00:00:00Z, never before the block before.
    pub time_ms: u64,
    /// The Ed25519 public key of the node that sealed it: as short as a hash of it, and complete.
    pub signer: [u8; 32],
}

impl Header {
    /// The length of the encoding in bytes.
    pub const LEN: usize = 137;

    /// The number of leaves under [`tree_root`](Self::tree_root).
    #[must_use]
    pub const fn tree_size(&self) -> u64 {
        self.last_entry.saturating_add(1)
    }

    /// The hash of the header, which the next block carries.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(&[SIGNATURE_TAG, &self.encode()])
    }

    /// Seals the block with the node's key.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> Block {
        debug_assert_eq!(self.signer, key.verifying_key().to_bytes());
        let signature = key.sign(&signed_bytes(&self)).to_bytes();
        Block {
            header: self,
            signature,
        }
    }

    fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[0] = VERSION;
        out[1..9].copy_from_slice(&self.height.to_be_bytes());
        out[9..17].copy_from_slice(&self.first_entry.to_be_bytes());
        out[17..25].copy_from_slice(&self.last_entry.to_be_bytes());
        out[25..57].copy_from_slice(&self.previous.0);
        out[57..65].copy_from_slice(&self.tree_size().to_be_bytes());
        out[65..97].copy_from_slice(&self.tree_root.0);
        out[97..105].copy_from_slice(&self.time_ms.to_be_bytes());
        out[105..137].copy_from_slice(&self.signer);
        out
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, Error> {
        fields.version(VERSION)?;
        let (height, first_entry, last_entry) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let previous = fields.digest()?;
        let tree_size = fields.u64()?;
        if last_entry < first_entry || last_entry.checked_add(1) != Some(tree_size) {
            return Err(fields.malformed("entries and tree size do not fit together"));
        }
        let (tree_root, time_ms, signer) = (fields.digest()?, fields.u64()?, fields.array()?);
        Ok(Self {
            height,
            first_entry,
            last_entry,
            previous,
            tree_root,
            time_ms,
            signer,
        })
    }
}

/// A sealed block: a header and its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// What the block says.
    pub header: Header,
    /// Ed25519 over the tagged header.
    pub signature: [u8; 64],
}

impl Block {
    /// The length of the encoding in bytes.
    pub const LEN: usize = Header::LEN + 64;

    /// The stored form; `FORMATS.md` has the table.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..Header::LEN].copy_from_slice(&self.header.encode());
        out[Header::LEN..].copy_from_slice(&self.signature);
        out
    }

    /// Reads what [`encode`](Self::encode) writes; the signature is not looked at.
    ///
    /// # Errors
    /// [`Error::Version`] and [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(WHAT, bytes);
        let header = Header::decode(&mut fields)?;
        let signature = fields.array()?;
        fields.finish()?;
        Ok(Self { header, signature })
    }

    /// Verifies the signature by the key that the header names. Whether that key is one of the
    /// cluster's is for the caller to know.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify_signature(&self) -> Result<(), Error> {
        let signature = Signature::from_bytes(&self.signature);
        VerifyingKey::from_bytes(&self.header.signer)
            .and_then(|key| key.verify_strict(&signed_bytes(&self.header), &signature))
            .map_err(|_| Error::Signature {
                key: hex::encode(self.header.signer),
            })
    }
}

/// Where a chain stands: what the next block must continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The height of the next block.
    pub height: u64,
    /// The first entry of the next block: the number of entries that are in blocks.
    pub next_entry: u64,
    /// The hash of the last block, or the genesis.
    pub hash: Digest,
    /// The time of the last block, or 0.
    pub time_ms: u64,
}

impl Tip {
    /// The tip of a chain without blocks: the ledger's [`genesis`].
    #[must_use]
    pub fn of_new_ledger(origin: &str) -> Self {
        Self {
            height: 0,
            next_entry: 0,
            hash: genesis(origin),
            time_ms: 0,
        }
    }

    /// The tip after this block.
    #[must_use]
    pub fn after(header: &Header) -> Self {
        Self {
            height: header.height.saturating_add(1),
            next_entry: header.tree_size(),
            hash: header.hash(),
            time_ms: header.time_ms,
        }
    }

    /// The next block, over all entries up to `tree_size`, or nothing where there are none. A
    /// clock that went back does not take the chain with it.
    #[must_use]
    pub fn next(
        &self,
        tree_size: u64,
        tree_root: Digest,
        now_ms: u64,
        signer: &VerifyingKey,
    ) -> Option<Header> {
        (tree_size > self.next_entry).then(|| Header {
            height: self.height,
            first_entry: self.next_entry,
            last_entry: tree_size - 1,
            previous: self.hash,
            tree_root,
            time_ms: now_ms.max(self.time_ms),
            signer: signer.to_bytes(),
        })
    }

    /// Checks that `header` continues the chain. Its root and its signature are not looked at.
    ///
    /// # Errors
    /// [`Error::Chain`] with the first rule broken.
    pub fn check(&self, header: &Header) -> Result<(), Error> {
        let broken = |reason| {
            Err(Error::Chain {
                height: header.height,
                reason,
            })
        };
        if header.height != self.height {
            return broken("the height is not the next one");
        }
        if header.first_entry != self.next_entry {
            return broken("the first entry does not follow the last one in the chain");
        }
        if header.last_entry < header.first_entry {
            return broken("it has no entry");
        }
        if header.previous != self.hash {
            return broken("the previous hash is not that of the block before");
        }
        if header.time_ms < self.time_ms {
            return broken("its time is before that of the block before");
        }
        Ok(())
    }
}

/// What the first block of a ledger names as previous: it ties the chain to the ledger's origin.
#[must_use]
pub fn genesis(origin: &str) -> Digest {
    Digest::of(&[b"provchain/v1 genesis\0", origin.as_bytes()])
}

fn signed_bytes(header: &Header) -> Vec<u8> {
    [SIGNATURE_TAG, &header.encode()].concat()
}
