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
        if all.len() >= FILES_MAX {
            return Err(Error::new(
                ErrorKind::StorageFull,
                format!("{} holds {FILES_MAX} files", self.folder.display()),
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

/// A list of evidence, as its routes give it.
#[must_use]
pub fn list(all: &BTreeMap<String, Evidence>) -> Value {
    let list: Vec<Value> = all
        .iter()
        .map(|(id, evidence)| {
            json!({
                "id": id,
                "kind": evidence.kind,
                "proof": evidence.kind.is_proof(),
                "reason": evidence.reason,
                "time": kit::clock::rfc3339(evidence.time_ms),
                "evidence": evidence,
            })
        })
        .collect();
    json!({ "evidence": list })
}

/// `GET /api/v1/evidence`: what this node keeps against its own ledger.
pub(super) async fn evidence(State(api): State<Api>) -> std::result::Result<Json<Value>, Problem> {
    Ok(Json(list(&api.evidence.all())))
}
