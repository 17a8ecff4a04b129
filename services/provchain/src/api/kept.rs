//! The newest checkpoint that this node keeps, with the cosignatures of the others.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::note::NoteSignature;

/// The checkpoint in a node's data folder; cheap to clone.
#[derive(Clone)]
pub struct Kept {
    newest: Arc<RwLock<Option<SignedCheckpoint>>>,
    path: Arc<Path>,
    writing: Arc<Mutex<()>>,
}

impl Kept {
    /// Reads the one at `path`. One that cannot be read is replaced when there is a new one.
    #[must_use]
    pub fn open(path: PathBuf) -> Self {
        let stored = std::fs::read_to_string(&path).ok();
        let newest = stored.and_then(|note| SignedCheckpoint::parse(&note).ok());
        Self {
            newest: Arc::new(RwLock::new(newest)),
            path: path.into(),
            writing: Arc::default(),
        }
    }

    /// The newest one.
    #[must_use]
    pub fn newest(&self) -> Option<SignedCheckpoint> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        newest.clone()
    }

    /// Keeps a new one in its place, on disk first. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep(&self, signed: SignedCheckpoint) -> std::io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        kit::fsync::replace(&self.path, signed.to_string().as_bytes())?;
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(signed);
        Ok(())
    }

    /// Adds cosignatures to the newest one, if that still says `text`. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub fn cosign(&self, text: &str, signatures: Vec<NoteSignature>) -> std::io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.newest().filter(|newest| newest.note().text() == text);
        let Some(mut signed) = newest.filter(|_| !signatures.is_empty()) else {
            return Ok(());
        };
        for signature in signatures {
            signed.add(signature);
        }
        kit::fsync::replace(&self.path, signed.to_string().as_bytes())?;
        *self.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(signed);
        Ok(())
    }
}
