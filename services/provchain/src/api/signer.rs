//! The node's own key: it signs blocks and checkpoints and never leaves the node.

use std::io::{Error, Result};
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::SigningKey;

use crate::backup::Statement;
use crate::ledger::Digest;
use crate::ledger::block::{Block, Header};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::note::{SignatureType, SignerKey};
use crate::trace::Attestation;

/// A node's Ed25519 key; cheap to clone.
#[derive(Clone)]
pub struct Signer(Arc<SigningKey>);

impl Signer {
    /// Reads the key at `path`, or makes one.
    ///
    /// # Errors
    /// What the file system says, and a file that is no key.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        let bytes: [u8; 32] = match std::fs::read_to_string(path) {
            Ok(text) => hex::decode(text.trim())
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(|| {
                    Error::other(format!(
                        "{} is no key of 32 bytes in hexadecimal: restore it, or remove it and the \
                         node signs with a new one",
                        path.display()
                    ))
                })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let bytes: [u8; 32] = rand::random();
                kit::fsync::replace(path, hex::encode(bytes).as_bytes())?;
                bytes
            }
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(SigningKey::from_bytes(&bytes))))
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> ed25519_dalek::VerifyingKey {
        self.0.verifying_key()
    }

    /// Seals a block.
    #[must_use]
    pub fn seal(&self, header: Header) -> Block {
        header.sign(&self.0)
    }

    /// A checkpoint over `size` entries with `root`, signed.
    ///
    /// # Errors
    /// An origin that no checkpoint can have.
    pub fn checkpoint(
        &self,
        origin: &str,
        size: u64,
        root: Digest,
    ) -> std::result::Result<String, crate::ledger::Error> {
        let signed = Checkpoint::new(origin, size, root)?.sign(&self.key(origin)?)?;
        Ok(signed.to_string())
    }

    /// Reads the key at `path`, which must be there.
    ///
    /// # Errors
    /// What the file system says, and a file that is no key.
    pub fn load(path: &Path) -> Result<Self> {
        if path.exists() {
            return Self::load_or_create(path);
        }
        Err(Error::new(
            std::io::ErrorKind::NotFound,
            format!("{} is not there", path.display()),
        ))
    }

    /// The rows of a state, signed.
    ///
    /// # Errors
    /// An origin that no note can have.
    pub fn state(
        &self,
        statement: &Statement,
    ) -> std::result::Result<String, crate::ledger::Error> {
        statement.sign(&self.key(&statement.origin)?)
    }

    /// An answer of the ledger `origin`, signed.
    ///
    /// # Errors
    /// An origin that no note can have.
    pub fn attest(
        &self,
        origin: &str,
        attestation: &Attestation,
    ) -> std::result::Result<String, crate::ledger::Error> {
        attestation.sign(&self.key(origin)?)
    }

    fn key(&self, origin: &str) -> std::result::Result<SignerKey, crate::ledger::Error> {
        SignerKey::new(origin, SignatureType::Ed25519, (*self.0).clone())
    }
}
