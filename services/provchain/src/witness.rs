//! What a witness decides: whether a checkpoint continues the history that it vouched for.
//!
//! A witness keeps the newest checkpoint that it cosigned of each ledger, and cosigns another one only
//! if a path proves that the ledger grew from there. So two readers whose checkpoints one witness
//! cosigned see one history, whatever the ledger shows to whom. Nothing here knows the network or a
//! clock: what was asked and what is kept are parameters.
//!
//! Source: [C2SP tlog-witness](https://c2sp.org/tlog-witness).

mod request;

pub use request::{PROOF_LINES_MAX, Request};

use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::evidence::{Evidence, Kind, Shown, inconsistent};
use crate::ledger::merkle::{empty_root, verify_consistency};
use crate::ledger::note::VerifierKey;
use crate::ledger::{Digest, Error};

/// Why a checkpoint is not cosigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is none (400).
    #[error("{0}")]
    Malformed(String),
    /// The ledger is not watched (404).
    #[error("this witness does not watch {0}")]
    Unknown(String),
    /// No trusted key signed it, or a signature by one is wrong (403).
    #[error("the checkpoint is not signed by a key that is trusted for its ledger: {0}")]
    Untrusted(Error),
    /// The ledger has signed two histories: it is not cosigned any more (403).
    #[error("{0} has signed two histories, and is not cosigned any more: see /evidence")]
    Split(String),
    /// The request begins at another checkpoint than the newest cosigned one (409).
    #[error("the newest checkpoint that was cosigned is of {0} entries")]
    Conflict(u64),
    /// It does not continue what was cosigned (422).
    #[error("{0}")]
    Unproven(String),
    /// It contradicts what was cosigned (422), and here is the proof.
    #[error("it contradicts the checkpoint that was cosigned: {}", .0.reason)]
    Contradicts(Box<Evidence>),
}

/// Whether the checkpoint of a request may be cosigned, after `newest`, by the rules and in the order
/// of tlog-witness. `trusted` are the keys of its ledger.
///
/// # Errors
/// The first rule that it breaks.
pub fn judge(
    request: &Request,
    newest: Option<&SignedCheckpoint>,
    trusted: &[VerifierKey],
) -> Result<(), Refusal> {
    let checkpoint = request.signed.checkpoint();
    request.signed.verify(trusted).map_err(Refusal::Untrusted)?;
    if request.old_size > checkpoint.size {
        return Err(Refusal::Malformed(format!(
            "the old size, {}, is larger than that of the checkpoint, {}",
            request.old_size, checkpoint.size
        )));
    }
    let cosigned = newest.map_or(0, |newest| newest.checkpoint().size);
    if request.old_size != cosigned {
        return Err(Refusal::Conflict(cosigned));
    }
    let unproven = |reason: &str| Err(Refusal::Unproven(reason.to_owned()));
    if checkpoint.size == 0 && checkpoint.root != empty_root() {
        return unproven("the root of a tree without entries is the hash of nothing");
    }
    let Some(newest) = newest.filter(|_| cosigned > 0) else {
        if request.proof.is_empty() {
            return Ok(());
        }
        return unproven("every tree continues the empty one: the proof has to be empty");
    };
    let old = newest.checkpoint();
    if let Some(evidence) = contradiction(newest, &request.signed, &request.shown(&old.root)) {
        return Err(Refusal::Contradicts(Box::new(evidence)));
    }
    let (from, to) = (old.size, checkpoint.size);
    verify_consistency(from, to, &request.proof, &old.root, &checkpoint.root)
        .map_err(|error| Refusal::Unproven(error.to_string()))
}

/// The proof that two checkpoints, each signed by a trusted key, are of two histories; `shown` is the
/// path between them. Nothing if that proves no such thing.
#[must_use]
pub fn contradiction(
    seen: &SignedCheckpoint,
    now: &SignedCheckpoint,
    shown: &Shown,
) -> Option<Evidence> {
    let (a, b) = (seen.checkpoint(), now.checkpoint());
    if a.size == b.size {
        return (a.root != b.root).then(|| Evidence::new(Kind::SameSize, seen, now));
    }
    let (first, second) = if a.size < b.size { (a, b) } else { (b, a) };
    let proof = inconsistent(first, second, shown).ok()??;
    Some(Evidence::new(Kind::Inconsistent, seen, now).with_shown(Some(proof)))
}

/// Whether the smaller of two trees is proven to be the beginning of the larger one.
#[must_use]
pub fn continues(seen: &SignedCheckpoint, now: &SignedCheckpoint, path: &[Digest]) -> bool {
    let (a, b) = (seen.checkpoint(), now.checkpoint());
    let (first, second) = if a.size <= b.size { (a, b) } else { (b, a) };
    if first.size == 0 {
        return first.root == empty_root();
    }
    let (small, large) = (first.size, second.size);
    verify_consistency(small, large, path, &first.root, &second.root).is_ok()
}
