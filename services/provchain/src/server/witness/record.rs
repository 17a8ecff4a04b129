//! What a witness has cosigned: in memory, and on disk before anybody hears of it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::{Context as _, anyhow, bail};
use ed25519_dalek::SigningKey;
use tokio::sync::mpsc;

use super::Mailboxes;
use crate::api::evidence;
use crate::ledger::Digest;
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::evidence::Evidence;
use crate::ledger::note::{Note, NoteSignature, SignatureType, SignerKey, VerifierKey};
use crate::settings::{WatchedSettings, WitnessSettings};
use crate::witness::{Refusal, Request, judge};

/// Checkpoints that clients sent and that wait to be looked at, for each ledger.
const MAILBOX: usize = 4;

/// Checkpoints that clients sent.
pub(super) type Mailbox = mpsc::Receiver<SignedCheckpoint>;

/// A witness; cheap to clone.
#[derive(Clone)]
pub(super) struct Witness(Arc<Inner>);

struct Inner {
    key: SignerKey,
    ledgers: Vec<Arc<Watched>>,
    evidence: evidence::Kept,
    /// Held for as long as the process lives: two witnesses with one key could cosign two histories.
    _lock: File,
}

/// A ledger that is watched.
pub(super) struct Watched {
    pub origin: String,
    /// SHA-256 of the origin, in hexadecimal: its name in paths.
    pub hash: String,
    /// Without a slash at the end.
    pub url: String,
    pub configured: Vec<VerifierKey>,
    /// The configured keys, and those that they are known to have handed over to.
    trusted: RwLock<Vec<VerifierKey>>,
    newest: tokio::sync::Mutex<Option<SignedCheckpoint>>,
    file: PathBuf,
    /// Whether it is proven to have signed two histories.
    split: AtomicBool,
    standing: Mutex<Standing>,
    mailbox: mpsc::Sender<SignedCheckpoint>,
}

/// How a ledger stands, for a person to read.
#[derive(Clone)]
pub(super) struct Standing {
    pub is_good: bool,
    pub words: String,
}

/// Why a checkpoint was not cosigned.
pub(super) enum NotCosigned {
    Refused(Refusal),
    /// The disk of the witness failed.
    Failed(String),
}

/// What was cosigned.
pub(super) struct Cosigned {
    /// The signature line, without its line end.
    pub line: String,
}

/// Reads the key of a witness, or makes one under this name.
///
/// # Errors
/// What the file system says, a file that is no key, or one of another name.
pub fn load_or_create_key(data_dir: &Path, name: &str) -> anyhow::Result<SignerKey> {
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make {}", data_dir.display()))?;
    let path = data_dir.join("witness.key");
    let key = match std::fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse::<SignerKey>()
            .with_context(|| format!("{} is no key: restore it", path.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let seed = SigningKey::from_bytes(&rand::random());
            let key = SignerKey::new(name, SignatureType::Cosignature, seed)?;
            kit::fsync::replace(&path, key.expose().as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            key
        }
        Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
    };
    let verifier = key.verifier();
    if verifier.name() != name || verifier.signature_type() != SignatureType::Cosignature {
        bail!(
            "{} is the key {verifier}, and the setting `name` says {name}",
            path.display()
        );
    }
    Ok(key)
}

impl Witness {
    /// Reads what the witness has on disk.
    pub(super) fn open(settings: &WitnessSettings) -> anyhow::Result<(Self, Mailboxes)> {
        let folder = &settings.data_dir;
        let key = load_or_create_key(folder, &settings.name)?;
        let lock = File::create(folder.join("lock")).context("cannot make the lock")?;
        lock.try_lock()
            .map_err(|error| anyhow!("another witness runs in {}: {error}", folder.display()))?;
        let evidence =
            evidence::Kept::open(folder.join("evidence")).context("cannot read the evidence")?;
        let checkpoints = folder.join("checkpoints");
        std::fs::create_dir_all(&checkpoints)
            .with_context(|| format!("cannot make {}", checkpoints.display()))?;
        let mut mailboxes = Vec::new();
        for ledger in &settings.ledgers {
            let (sender, mailbox) = mpsc::channel(MAILBOX);
            let watched = Watched::open(ledger, &checkpoints, &key.verifier(), sender)?;
            let proven = |evidence: &Evidence| {
                let of_it = SignedCheckpoint::parse(&evidence.first);
                evidence.kind.is_proof()
                    && of_it.is_ok_and(|note| note.checkpoint().origin == watched.origin)
            };
            if evidence.all().values().any(proven) {
                watched.stop();
            }
            mailboxes.push((Arc::new(watched), mailbox));
        }
        let ledgers = mailboxes.iter().map(|(watched, _)| Arc::clone(watched));
        let witness = Self(Arc::new(Inner {
            key,
            ledgers: ledgers.collect(),
            evidence,
            _lock: lock,
        }));
        Ok((witness, mailboxes))
    }

    /// The key that cosigns.
    pub(super) fn key(&self) -> VerifierKey {
        self.0.key.verifier()
    }

    pub(super) fn evidence(&self) -> &evidence::Kept {
        &self.0.evidence
    }

    pub(super) fn ledgers(&self) -> &[Arc<Watched>] {
        &self.0.ledgers
    }

    /// Cosigns the checkpoint of a request, if it may be: synced to disk before this returns. Requests
    /// for one ledger go one after the other, so that what is compared is what is replaced.
    pub(super) async fn cosign(
        &self,
        watched: &Watched,
        request: Request,
    ) -> Result<Cosigned, NotCosigned> {
        let mut newest = watched.newest.lock().await;
        let trusted = watched.trusted();
        if watched.is_split() {
            let signed = request.signed.verify(&trusted);
            signed.map_err(|error| NotCosigned::Refused(Refusal::Untrusted(error)))?;
            return Err(NotCosigned::Refused(Refusal::Split(watched.origin.clone())));
        }
        if let Err(refusal) = judge(&request, newest.as_ref(), &trusted) {
            if let Refusal::Contradicts(found) = &refusal {
                // Before the lock is let go, so that nothing is cosigned in between.
                watched.stop();
                self.keep(watched, (**found).clone()).await?;
            }
            return Err(NotCosigned::Refused(refusal));
        }
        let text = request.signed.note().text();
        let cosignature = self.0.key.sign(text, kit::clock::unix_seconds());
        let cosigned = only_verified(&request.signed, &trusted, cosignature.clone())
            .map_err(|error| NotCosigned::Failed(error.to_string()))?;
        let (file, bytes) = (watched.file.clone(), cosigned.to_string());
        let written =
            tokio::task::spawn_blocking(move || kit::fsync::replace(&file, bytes.as_bytes()));
        let failed = |reason: &dyn std::fmt::Display| NotCosigned::Failed(reason.to_string());
        written
            .await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))?;
        let size = cosigned.checkpoint().size;
        *newest = Some(cosigned);
        drop(newest);
        metrics::counter!("provchain_witness_cosigned_total", "origin" => watched.origin.clone())
            .increment(1);
        watched.stand(true, format!("cosigned {size} entries"));
        Ok(Cosigned {
            line: cosignature.to_string(),
        })
    }

    /// Keeps evidence against a ledger.
    pub(super) async fn keep(&self, watched: &Watched, found: Evidence) -> Result<(), NotCosigned> {
        let reason = match found.reason.as_str() {
            "" => format!("{}: {}", found.kind.word(), found.verify(&[]).says),
            reason => reason.to_owned(),
        };
        if found.kind.is_proof() {
            watched.stop();
        }
        let name = self.0.key.verifier();
        let found = found.found(name.name(), kit::clock::unix_ms(), reason);
        let store = self.0.evidence.clone();
        let kept = tokio::task::spawn_blocking(move || store.add(&found)).await;
        let failed = |reason: &dyn std::fmt::Display| NotCosigned::Failed(reason.to_string());
        let new = kept.map_err(|error| failed(&error))?;
        if new.map_err(|error| failed(&error))? {
            metrics::counter!("provchain_witness_evidence_total", "origin" => watched.origin.clone())
                .increment(1);
        }
        Ok(())
    }
}

/// The checkpoint with the signatures that were verified, and no others: anybody could have added
/// those.
fn only_verified(
    signed: &SignedCheckpoint,
    trusted: &[VerifierKey],
    cosignature: NoteSignature,
) -> Result<SignedCheckpoint, crate::ledger::Error> {
    let mut note = Note::new(signed.note().text().to_owned())?;
    for signature in signed.note().signatures() {
        if trusted.iter().any(|key| key.claims(signature)) {
            note.add(signature.clone());
        }
    }
    note.add(cosignature);
    SignedCheckpoint::parse(&note.to_string())
}

impl Watched {
    fn open(
        settings: &WatchedSettings,
        folder: &Path,
        own: &VerifierKey,
        mailbox: mpsc::Sender<SignedCheckpoint>,
    ) -> anyhow::Result<Self> {
        let configured = settings.verifiers().map_err(anyhow::Error::msg)?;
        let hash = Digest::of(&[settings.origin.as_bytes()]).to_string();
        let file = folder.join(&hash);
        let newest = match std::fs::read_to_string(&file) {
            Ok(note) => Some(read(&note, &settings.origin, own).map_err(|reason| {
                anyhow!(
                    "{} does not say what was cosigned last of {}: {reason}; restore it",
                    file.display(),
                    settings.origin
                )
            })?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).context(format!("cannot read {}", file.display())),
        };
        let words = match &newest {
            Some(newest) => format!(
                "cosigned {} entries, not looked at yet",
                newest.checkpoint().size
            ),
            None => "not looked at yet".to_owned(),
        };
        Ok(Self {
            origin: settings.origin.clone(),
            hash,
            url: settings.url.trim_end_matches('/').to_owned(),
            trusted: RwLock::new(configured.clone()),
            configured,
            newest: tokio::sync::Mutex::new(newest),
            file,
            split: AtomicBool::new(false),
            standing: Mutex::new(Standing {
                is_good: true,
                words,
            }),
            mailbox,
        })
    }

    pub(super) fn trusted(&self) -> Vec<VerifierKey> {
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
        trusted.clone()
    }

    pub(super) fn trust(&self, keys: Vec<VerifierKey>) {
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The newest checkpoint that was cosigned.
    pub(super) async fn newest(&self) -> Option<SignedCheckpoint> {
        self.newest.lock().await.clone()
    }

    pub(super) fn is_split(&self) -> bool {
        self.split.load(Ordering::SeqCst)
    }

    /// It is cosigned no more.
    fn stop(&self) {
        self.split.store(true, Ordering::SeqCst);
        let words = "it has signed two histories, and is not cosigned any more: see /evidence";
        self.stand(false, words.to_owned());
    }

    pub(super) fn standing(&self) -> Standing {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.clone()
    }

    pub(super) fn stand(&self, is_good: bool, words: String) {
        if is_good && self.is_split() {
            return;
        }
        let standing = Standing { is_good, words };
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// Has a checkpoint looked at that a client sent, unless too many wait already.
    pub(super) fn examine(&self, signed: SignedCheckpoint) {
        drop(self.mailbox.try_send(signed));
    }
}

/// What was cosigned last: it has the cosignature, or the file is damaged.
fn read(note: &str, origin: &str, own: &VerifierKey) -> Result<SignedCheckpoint, String> {
    let signed = SignedCheckpoint::parse(note).map_err(|error| error.to_string())?;
    if signed.checkpoint().origin != origin {
        return Err(format!("it is of {}", signed.checkpoint().origin));
    }
    let verified = signed.note().verify(std::slice::from_ref(own));
    verified.map_err(|error| error.to_string())?;
    Ok(signed)
}
