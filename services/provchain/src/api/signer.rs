//! The node's own key: it signs blocks and checkpoints, cosigns those of others, and never leaves the
//! node.
//!
//! A key hands over in steps, each of which can be the last one before a crash: the next key is
//! written beside the old one and synced; the ledger takes the succession in; from the moment that
//! this node has applied it, the next key signs; its file takes the place of the old one. At any time
//! the key that signs is one that the ledger knows.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ed25519_dalek::SigningKey;

use crate::ledger::block::{Block, Header};
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::declaration::Declaration;
use crate::ledger::note::{NoteSignature, SignatureType, SignerKey};
use crate::ledger::succession::Succession;
use crate::ledger::{self, Digest, cosigner};
use crate::machine::keys::RetiredKeys;

/// What a node whose key has handed over to one that it does not have says.
const RETIRED: ledger::Error = ledger::Error::Refused(
    "the node's key has handed over to another one, which is not here: restore node.key, or remove \
     it and the node signs with a new one",
);

/// A node's Ed25519 key; cheap to clone.
#[derive(Clone)]
pub struct Signer {
    keys: Arc<RwLock<Keys>>,
    path: Arc<Path>,
    retired: RetiredKeys,
    /// Held while files change; signing waits for no disk.
    changing: Arc<Mutex<()>>,
}

struct Keys {
    own: Arc<SigningKey>,
    /// Signs as soon as `own` is retired.
    next: Option<Arc<SigningKey>>,
}

impl Signer {
    /// Reads the key at `path`, and the next one beside it if there is one; or makes a key. Of
    /// `retired` it hears when the next one takes over.
    ///
    /// # Errors
    /// What the file system says, and a file that is no key.
    pub fn load_or_create(path: &Path, retired: RetiredKeys) -> Result<Self> {
        let own = match read(path)? {
            Some(key) => key,
            None => create(path)?,
        };
        let next = read(&beside(path))?;
        Ok(Self {
            keys: Arc::new(RwLock::new(Keys { own, next })),
            path: path.into(),
            retired,
            changing: Arc::default(),
        })
    }

    /// The key that signs now. The next one does as soon as the ledger has taken in that the old one
    /// handed over to it, and to no other.
    fn active(&self) -> std::result::Result<Arc<SigningKey>, ledger::Error> {
        let (own, next) = self.both();
        let Some(successor) = self.retired.successor(&public(&own)) else {
            return Ok(own);
        };
        let next = next.filter(|next| public(next) == successor);
        next.filter(|_| !self.retired.contains(&successor))
            .ok_or(RETIRED)
    }

    /// The public key that signatures are verified with.
    ///
    /// # Errors
    /// The key has handed over to one that is not here.
    pub fn public_key(&self) -> std::result::Result<ed25519_dalek::VerifyingKey, ledger::Error> {
        self.active().map(|key| key.verifying_key())
    }

    /// Seals a block; `header` is made for the public key that it is given.
    ///
    /// # Errors
    /// The key has handed over to one that is not here.
    pub fn seal(
        &self,
        header: impl FnOnce(&ed25519_dalek::VerifyingKey) -> Option<Header>,
    ) -> std::result::Result<Option<Block>, ledger::Error> {
        let key = self.active()?;
        Ok(header(&key.verifying_key()).map(|header| header.sign(&key)))
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
    ) -> std::result::Result<String, ledger::Error> {
        let signed = Checkpoint::new(origin, size, root)?.sign(&self.key(origin)?)?;
        Ok(signed.to_string())
    }

    /// Cosigns the text of a checkpoint of `origin`, as the node of this name, as of `time_s`.
    ///
    /// # Errors
    /// A name that no key can have.
    pub fn cosign(
        &self,
        (origin, node): (&str, &str),
        text: &str,
        time_s: u64,
    ) -> std::result::Result<NoteSignature, ledger::Error> {
        Ok(cosigner::signer(origin, node, &*self.active()?)?.sign(text, time_s))
    }

    /// The public keys that sign and that cosign.
    ///
    /// # Errors
    /// The key has handed over to one that is not here.
    pub fn public_keys(&self) -> std::result::Result<[[u8; 32]; 2], ledger::Error> {
        let own = self.active()?;
        let cosigner = cosigner::derive(&own).verifying_key().to_bytes();
        Ok([own.verifying_key().to_bytes(), cosigner])
    }

    /// Reads the key at `path`, which must be there, beside a node that may run: whether it has handed
    /// over is not known.
    ///
    /// # Errors
    /// What the file system says, and a file that is no key.
    pub fn load(path: &Path) -> Result<Self> {
        if path.exists() {
            return Self::load_or_create(path, RetiredKeys::default());
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!("{} is not there", path.display()),
        ))
    }

    /// What the ledger declares, signed.
    ///
    /// # Errors
    /// An origin that no note can have.
    pub fn declare(&self, declaration: &Declaration) -> std::result::Result<String, ledger::Error> {
        declaration.sign(&self.key(declaration.origin())?)
    }

    fn key(&self, origin: &str) -> std::result::Result<SignerKey, ledger::Error> {
        SignerKey::new(origin, SignatureType::Ed25519, (*self.active()?).clone())
    }

    /// Writes the next key down, unless one waits already, and gives the succession to it with the
    /// public key that cosigns then. Blocks.
    ///
    /// # Errors
    /// What the file system says, or a name that no key can have.
    pub fn prepare(&self, origin: &str, time_ms: u64) -> Result<Prepared> {
        self.settle()?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, waiting) = self.both();
        if self.retired.contains(&public(&own)) {
            // Not even this.
            return Err(Error::other(RETIRED.to_string()));
        }
        let next = match waiting {
            Some(next) => next,
            None => create(&beside(&self.path))?,
        };
        self.replace(&own, Some(&next));
        let named = |key: &SigningKey| SignerKey::new(origin, SignatureType::Ed25519, key.clone());
        let prepared = || {
            let note = Succession::sign(time_ms, &named(&own)?, &named(&next)?)?;
            Ok(Prepared {
                note,
                cosigner: cosigner::derive(&next).verifying_key().to_bytes(),
                old: named(&own)?.verifier().to_string(),
                new: named(&next)?.verifier().to_string(),
            })
        };
        prepared().map_err(|error: ledger::Error| Error::other(error.to_string()))
    }

    /// Puts the next key in the place of the old one, once that is retired. Blocks.
    ///
    /// # Errors
    /// What the file system says; the next key signs all the same.
    pub fn settle(&self) -> Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, next) = self.both();
        let successor = self.retired.successor(&public(&own));
        let Some(next) = next.filter(|next| successor == Some(public(next))) else {
            return Ok(());
        };
        kit::fsync::rename(&beside(&self.path), &self.path)?;
        self.replace(&next, None);
        Ok(())
    }

    fn both(&self) -> (Arc<SigningKey>, Option<Arc<SigningKey>>) {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&keys.own), keys.next.clone())
    }

    fn replace(&self, own: &Arc<SigningKey>, next: Option<&Arc<SigningKey>>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.own = Arc::clone(own);
        keys.next = next.cloned();
    }
}

/// A succession that the ledger has not taken in yet.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The signed note.
    pub note: String,
    /// The public key that cosigns beside the new one.
    pub cosigner: [u8; 32],
    /// The old key, as verifiers write it.
    pub old: String,
    /// The new key.
    pub new: String,
}

fn public(key: &SigningKey) -> [u8; 32] {
    key.verifying_key().to_bytes()
}

/// Where the next key waits.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("key.next")
}

fn read(path: &Path) -> Result<Option<Arc<SigningKey>>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes: [u8; 32] = hex::decode(text.trim())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            Error::other(format!(
                "{} is no key of 32 bytes in hexadecimal: restore it, or remove it and the node \
                 signs with a new one",
                path.display()
            ))
        })?;
    Ok(Some(Arc::new(SigningKey::from_bytes(&bytes))))
}

fn create(path: &Path) -> Result<Arc<SigningKey>> {
    let bytes: [u8; 32] = rand::random();
    kit::fsync::replace(path, hex::encode(bytes).as_bytes())?;
    Ok(Arc::new(SigningKey::from_bytes(&bytes)))
}
