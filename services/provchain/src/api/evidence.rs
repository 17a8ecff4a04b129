//! Evidence of split histories that a node or a witness keeps: a file each, never overwritten.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use kit::health::{Check, Health};
use kit::problem::{Json, Problem};
use serde_json::{Value, json};

use super::Api;
use crate::ledger::evidence::{BYTES_MAX, Evidence};

/// Files of one folder. Whoever has a key could sign for ever, and fill the disk.
const FILES_MAX: usize = 1_000;

/// Of these, what proves nothing: there is always room for a proof.
const DOUBTS_MAX: usize = 200;

/// Evidence in a folder; cheap to clone.
#[derive(Clone)]
pub struct Kept {
    folder: Arc<Path>,
    all: Arc<Mutex<BTreeMap<String, Evidence>>>,
}

impl Kept {
    /// Reads what `folder` holds, and makes it if there is none.
    ///
    /// # Errors
    /// What the file system says, and a file that is no evidence.
    pub fn open(folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let mut all = BTreeMap::new();
        for file in std::fs::read_dir(&folder)? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue; // What a crash left of one that was being written.
            }
            let unreadable = |reason: String| {
                Error::other(format!(
                    "{} is no evidence: {reason}; move it elsewhere",
                    path.display()
                ))
            };
            if path.metadata()?.len() > BYTES_MAX as u64 {
                return Err(unreadable("it is too long".into()));
            }
            let evidence = Evidence::from_json(&std::fs::read(&path)?)
                .map_err(|fault| unreadable(fault.to_string()))?;
            let id = evidence
                .id()
                .map_err(|fault| unreadable(fault.to_string()))?;
            all.insert(id.to_string(), evidence);
        }
        Ok(Self {
            folder: folder.into(),
            all: Arc::new(Mutex::new(all)),
        })
    }

    /// Keeps evidence, synced, unless the same is here already; whether it is new. Blocks.
    ///
    /// # Errors
    /// What the file system says, or that there is too much already.
    pub fn add(&self, evidence: &Evidence) -> Result<bool> {
        let id = evidence
            .id()
            .map_err(|fault| Error::other(fault.to_string()))?;
        let id = id.to_string();
        let mut all = self.lock();
        if all.contains_key(&id) {
            return Ok(false);
        }
        let is_doubt = |evidence: &&Evidence| !evidence.kind.is_proof();
        let doubts = all.values().filter(is_doubt).count();
        if all.len() >= FILES_MAX || is_doubt(&evidence) && doubts >= DOUBTS_MAX {
            return Err(Error::new(
                ErrorKind::StorageFull,
                format!("{} holds {} files", self.folder.display(), all.len()),
            ));
        }
        let path = self.folder.join(format!("{id}.json"));
        kit::fsync::replace(&path, evidence.to_json().as_bytes())?;
        tracing::error!(
            target: "audit",
            kind = evidence.kind.word(), reason = evidence.reason, file = %path.display(),
            "evidence against a ledger is kept"
        );
        all.insert(id, evidence.clone());
        Ok(true)
    }

    /// All of it, by id.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Evidence> {
        self.lock().clone()
    }

    /// Makes the health of the service show it.
    pub fn register(&self, health: &Health) {
        let kept = self.clone();
        health.register("evidence", move || kept.check());
    }

    fn check(&self) -> Check {
        let all = self.lock();
        #[expect(clippy::cast_precision_loss, reason = "a count for a graph")]
        metrics::gauge!("provchain_evidence").set(all.len() as f64);
        match all.values().max_by_key(|evidence| evidence.time_ms) {
            None => Check::pass("none"),
            Some(newest) => Check::warn(format!(
                "{} files, the newest: {}",
                all.len(),
                newest.reason
            )),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Evidence>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a list says of one piece.
#[must_use]
pub fn summary(id: &str, evidence: &Evidence) -> Value {
    json!({
        "id": id,
        "kind": evidence.kind,
        "proof": evidence.kind.is_proof(),
        "reason": evidence.reason,
        "time": kit::clock::rfc3339(evidence.time_ms),
    })
}

/// `GET /api/v1/evidence`: what this node keeps against its own ledger.
pub(super) async fn evidence(State(api): State<Api>) -> std::result::Result<Json<Value>, Problem> {
    let all = api.evidence.all();
    let list = all.iter().map(|(id, evidence)| {
        let mut shown = summary(id, evidence);
        shown["evidence"] = json!(evidence);
        shown
    });
    let list: Vec<Value> = list.collect();
    Ok(Json(json!({ "evidence": list })))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::ledger::Digest;
    use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
    use crate::ledger::evidence::Kind;
    use crate::ledger::note::{SignatureType, SignerKey};

    fn signed(size: u64, root: u8) -> SignedCheckpoint {
        let key = SigningKey::from_bytes(&[1; 32]);
        let key = SignerKey::new("ledger.example", SignatureType::Ed25519, key).unwrap();
        let checkpoint = Checkpoint::new("ledger.example", size, Digest([root; 32])).unwrap();
        checkpoint.sign(&key).unwrap()
    }

    #[test]
    fn evidence_is_kept_once_survives_a_restart_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Kept::open(folder.path().join("evidence")).unwrap();
        let evidence = Evidence::new(Kind::SameSize, &signed(7, 1), &signed(7, 2));
        let first = evidence.clone().found("one", 1, "first".into());
        assert!(open().add(&first).unwrap());
        let again = evidence.found("two", 2, "again".into());
        assert!(!open().add(&again).unwrap());
        assert_eq!(open().all().into_values().collect::<Vec<_>>(), [first]);
        // A file that cannot be read stops the start, and is not passed over.
        std::fs::write(folder.path().join("evidence/x.json"), "damaged").unwrap();
        assert!(Kept::open(folder.path().join("evidence")).is_err());
    }

    #[test]
    fn doubts_leave_room_for_a_proof() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path().to_owned()).unwrap();
        let doubt = |size| Evidence::new(Kind::Rollback, &signed(9_000, 1), &signed(size, 1));
        for size in 0..DOUBTS_MAX as u64 {
            assert!(kept.add(&doubt(size)).unwrap());
        }
        assert!(kept.add(&doubt(5_000)).is_err());
        let proof = Evidence::new(Kind::SameSize, &signed(7, 1), &signed(7, 2));
        assert!(kept.add(&proof).unwrap());
    }
}
