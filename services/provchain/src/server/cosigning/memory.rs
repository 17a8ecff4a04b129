//! What this node cosigned last, on disk.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ledger::checkpoint::Checkpoint;

/// The checkpoint that this node cosigned last, in a file; cheap to clone.
#[derive(Clone)]
pub(crate) struct Memory {
    last: Arc<Mutex<Option<Checkpoint>>>,
    path: Arc<Path>,
}

impl Memory {
    /// Reads the one at `path`.
    ///
    /// # Errors
    /// What the file system says, and a file that is no checkpoint: without it the node might cosign a
    /// second history.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let last = match std::fs::read_to_string(&path) {
            Ok(text) => Some(Checkpoint::parse(&text).map_err(|error| {
                Error::other(format!(
                    "{} does not say what was cosigned last ({error}): restore it, or remove it if \
                     the whole folder is a restored copy",
                    path.display()
                ))
            })?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            last: Arc::new(Mutex::new(last)),
            path: path.into(),
        })
    }

    /// Writes down that `checkpoint` is cosigned, unless a larger tree was, or one of this size with
    /// another root: then gives that one. Blocks.
    ///
    /// # Errors
    /// What the file system says; then nothing may be signed.
    pub(super) fn advance(&self, checkpoint: &Checkpoint) -> Result<std::result::Result<(), u64>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last
            .as_ref()
            .filter(|last| last.origin == checkpoint.origin)
        {
            if last.same_tree(checkpoint) {
                return Ok(Ok(()));
            }
            if last.size >= checkpoint.size {
                return Ok(Err(last.size));
            }
        }
        kit::fsync::replace(&self.path, checkpoint.to_string().as_bytes())?;
        *last = Some(checkpoint.clone());
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Digest;

    fn checkpoint(size: u64, root: u8) -> Checkpoint {
        Checkpoint::new("ledger.example/demo", size, Digest([root; 32])).unwrap()
    }

    #[test]
    fn what_was_cosigned_is_never_gone_behind_not_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cosigned");
        let advance = |size, root| {
            // Each time as after a restart.
            let memory = Memory::open(path.clone()).unwrap();
            memory.advance(&checkpoint(size, root)).unwrap()
        };
        assert_eq!(advance(7, 1), Ok(()));
        assert_eq!(advance(7, 1), Ok(()), "the same one again");
        assert_eq!(advance(7, 2), Err(7), "another root");
        assert_eq!(advance(6, 1), Err(7), "a smaller tree");
        assert_eq!(advance(9, 3), Ok(()));
        assert_eq!(advance(7, 1), Err(9), "what it once cosigned");
        std::fs::write(&path, "damaged").unwrap();
        assert!(Memory::open(path.clone()).is_err());
    }
}
