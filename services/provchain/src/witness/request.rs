//! The body of `POST /add-checkpoint`.

use super::Refusal;
use crate::ledger::Digest;
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::evidence::Shown;

/// The most hashes of a proof.
pub const PROOF_LINES_MAX: usize = 63;

/// What a witness is asked to cosign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The size of the checkpoint that the proof begins at.
    pub old_size: u64,
    /// The RFC 6962 consistency proof.
    pub proof: Vec<Digest>,
    /// The checkpoint, with all of its signatures.
    pub signed: SignedCheckpoint,
}

impl Request {
    /// Reads the body: a line `old` and a size, up to 63 hashes, a line each, an empty line, and the
    /// checkpoint. Nothing is verified.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let malformed = |reason: &str| Refusal::Malformed(reason.to_owned());
        let text = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .ok_or_else(|| malformed("the first line is not `old` and a size"))?;
        let old_size: u64 = size
            .parse()
            .map_err(|_| malformed("the old size is not a number"))?;
        if old_size.to_string() != size {
            return Err(malformed("the old size is not in its shortest form"));
        }
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == PROOF_LINES_MAX {
                return Err(malformed("the proof has more than 63 lines"));
            }
            let hash = Digest::from_base64(line);
            proof.push(hash.map_err(|error| Refusal::Malformed(error.to_string()))?);
        }
        let signed =
            SignedCheckpoint::parse(note).map_err(|error| Refusal::Malformed(error.to_string()))?;
        Ok(Self {
            old_size,
            proof,
            signed,
        })
    }

    /// Its proof, as the path from `root` on: of requests, whose proofs do not say that root.
    pub(super) fn shown(&self, root: &Digest) -> Shown {
        Shown {
            root: *root,
            path: self.proof.clone(),
        }
    }
}
