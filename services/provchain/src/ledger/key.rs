//! Keys: the one of an entry, what is derived from it, and how it is kept.

mod wrapped;

pub use wrapped::{Custody, Keeper, SUBJECTS_MAX, SubjectKey, WRAP_NONCE_LEN, WrappedKey};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::Error;

/// The key of one entry: 32 random bytes, chosen by the proposer, used for one entry only, wiped
/// from memory when dropped. Who has it can read the entry; once nobody has it, nobody can.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct EntryKey([u8; 32]);

impl EntryKey {
    /// The length in bytes.
    pub const LEN: usize = 32;

    /// A key from 32 bytes of a cryptographic random generator. Every entry needs its own: the
    /// payload's nonce is fixed, which is sound for a key that encrypts one payload.
    #[must_use]
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a disclosed key.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless there are exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes
            .try_into()
            .map_err(|_| Error::malformed("entry key", "not 32 bytes"))?;
        Ok(Self(bytes))
    }

    /// The key itself: to disclose the whole entry, or to wrap it.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What is derived from the key.
    #[must_use]
    pub fn derive(&self) -> Derived {
        // The key is uniformly random, so the extract step adds nothing (RFC 5869 §3.3).
        Derived(Hkdf::from_prk(&self.0).expect("32 bytes are a SHA-256 pseudorandom key"))
    }
}

impl std::fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EntryKey(…)")
    }
}

/// A salt: 32 bytes that hide a committed value until the salt is given with it.
pub type Salt = [u8; 32];

/// The derivations from an entry key: HKDF-Expand of SHA-256 (RFC 5869) with a named info string
/// each, so that one of them tells nothing about the key or the others.
pub struct Derived(Hkdf<Sha256>);

impl Derived {
    /// The salt of statement `index`.
    #[must_use]
    pub fn statement_salt(&self, index: u32) -> Salt {
        self.expand(&[b"provchain/v1 statement salt", &index.to_be_bytes()])
    }

    /// The salt of the submitter.
    #[must_use]
    pub fn submitter_salt(&self) -> Salt {
        self.expand(&[b"provchain/v1 submitter salt"])
    }

    /// Runs `use_key` with the key of the payload's encryption, then wipes it.
    pub(super) fn with_payload_key<T>(&self, use_key: impl FnOnce(&[u8; 32]) -> T) -> T {
        use_key(&Zeroizing::new(self.expand(&[b"provchain/v1 payload key"])))
    }

    fn expand(&self, info: &[&[u8]]) -> [u8; 32] {
        let mut out = [0; 32];
        self.0
            .expand_multi_info(info, &mut out)
            .expect("one block of output");
        out
    }
}
