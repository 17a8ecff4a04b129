//! Consistent online backup and verified restore of files that a service produces.
//!
//! A [`Source`] writes a consistent set of files into a scratch folder; [`create`] hashes and
//! uploads them to a [`Target`], a folder or an object store; [`restore`] brings them back, checks
//! every hash and lets the source check the meaning. A backup is a folder of its own in the
//! target. Its `manifest.json` is written last and removed first, and what has no manifest is not
//! a backup: an upload that broke off is never listed, and is cleared away a day later by
//! [`Target::prune`].

mod manifest;
mod schedule;
mod target;
mod transfer;

pub use manifest::{FileEntry, Manifest};
pub use schedule::{BackupSettings, Job, Schedule, Turn, run_schedule};
pub use target::{Target, Watch};

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::clock;

/// What a source found wrong, in its own words.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// What is backed up. The calls may block; they run on a thread for that.
pub trait Source: Send + Sync + 'static {
    /// Writes a consistent set of files into the empty folder `into`, and returns what the
    /// manifest shall say of it, such as the index that it contains.
    ///
    /// # Errors
    /// Anything that makes the set incomplete.
    fn snapshot(&self, into: &Path) -> Result<Map<String, Value>, SourceError>;

    /// Checks that the files in `folder` are what [`Self::snapshot`] writes, and what it said of
    /// them. Their hashes have been checked before.
    ///
    /// # Errors
    /// What the service would not start with.
    fn verify(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError>;

    /// Makes of the verified files in `folder` what the service starts with, before the folder gets
    /// its name. Most files are that already.
    ///
    /// # Errors
    /// Anything that makes it less than whole.
    fn complete(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        let _ = (folder, fields);
        Ok(())
    }
}

/// Why a backup or a restore failed. Nothing half-done is left where it could be taken for whole.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Not a URL of a store that is supported.
    #[error(
        "{url:?} is not a backup target: {reason}; use file:///folder, /folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    )]
    Url {
        /// The URL, without credentials.
        url: String,
        /// What was wrong.
        reason: String,
    },
    /// The store refused: full, forbidden, unreachable.
    #[error("{action} failed at {url}: {reason}")]
    Store {
        /// What was being done, with which file.
        action: String,
        /// The target.
        url: String,
        /// What the store said.
        reason: String,
    },
    /// A local file or folder.
    #[error("{action} {path} failed: {source}")]
    Local {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The service could not produce its files.
    #[error("the service could not write its snapshot: {0}")]
    Snapshot(SourceError),
    /// The files are what was uploaded, but the service would not start with them.
    #[error("the backup is refused: {0}")]
    Refused(SourceError),
    /// No backup of that name.
    #[error("there is no backup {0:?}; list shows those that exist")]
    NotFound(String),
    /// A file that is not what was uploaded.
    #[error("{file} of the backup is damaged: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// What differs.
        reason: String,
    },
    /// Restoring never overwrites.
    #[error("{0} is not empty; restore into a new folder")]
    NotEmpty(PathBuf),
    /// A schedule that is not cron syntax.
    #[error(
        "{pattern:?} is not a schedule ({reason}); use cron syntax, such as `30 3 * * *`, or @daily"
    )]
    Schedule {
        /// The text.
        pattern: String,
        /// What was wrong.
        reason: String,
    },
    /// A task of ours panicked.
    #[error("a task panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

impl BackupError {
    pub(crate) fn local(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Local {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Makes a backup: a snapshot of `source` in a folder under `scratch`, which is removed again,
/// then an upload to `target`.
///
/// # Errors
/// The backup does not exist then.
pub async fn create(
    target: &Target,
    source: Arc<dyn Source>,
    service: &str,
    node: &str,
    scratch: &Path,
) -> Result<Manifest, BackupError> {
    create_at(target, source, (service, node), scratch, clock::now()).await
}

/// As [`create`], at the time `created_at`.
async fn create_at(
    target: &Target,
    source: Arc<dyn Source>,
    (service, node): (&str, &str),
    scratch: &Path,
    created_at: Timestamp,
) -> Result<Manifest, BackupError> {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let name = manifest::name(created_at, node, &unique[..8]);
    let folder = Scratch::create(scratch.join(format!("backup-{unique}")))?;
    let into = folder.0.clone();
    let fields = tokio::task::spawn_blocking(move || source.snapshot(&into))
        .await?
        .map_err(BackupError::Snapshot)?;
    let manifest = Manifest {
        format: manifest::FORMAT,
        name,
        service: service.to_owned(),
        node: node.to_owned(),
        created_at,
        files: Vec::new(),
        fields,
    };
    target.upload(manifest, &folder.0).await
}

/// Fetches the backup `name` into a folder under `scratch`, which is removed again, checks every
/// hash, and lets `source` check the meaning.
///
/// # Errors
/// What is wrong with it.
pub async fn verify(
    target: &Target,
    source: Arc<dyn Source>,
    name: &str,
    scratch: &Path,
) -> Result<Manifest, BackupError> {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let folder = Scratch::create(scratch.join(format!("backup-{unique}")))?;
    let check = move |folder: &Path, manifest: &Manifest| {
        let checked = source.verify(folder, &manifest.fields);
        checked.map_err(BackupError::Refused)
    };
    target.fetch(name, &folder.0.join("fetched"), check).await
}

/// Brings the backup `name` back into the folder `into`, which must be empty or absent: fetches,
/// checks every hash, lets `source` check the meaning and complete what was fetched.
///
/// # Errors
/// `into` is as it was before.
pub async fn restore(
    target: &Target,
    source: Arc<dyn Source>,
    name: &str,
    into: &Path,
) -> Result<Manifest, BackupError> {
    let check = move |folder: &Path, manifest: &Manifest| {
        let checked = source.verify(folder, &manifest.fields);
        checked
            .and_then(|()| source.complete(folder, &manifest.fields))
            .map_err(BackupError::Refused)
    };
    target.fetch(name, into, check).await
}

/// Removes what processes that were killed have left in the folder `scratch`.
///
/// # Errors
/// What the file system says.
pub fn clear_scratch(scratch: &Path) -> Result<(), BackupError> {
    match std::fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::local("clearing", scratch, error))
        }
        _ => Ok(()),
    }
}

/// A folder that is removed with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn create(path: PathBuf) -> Result<Self, BackupError> {
        std::fs::create_dir_all(&path)
            .map_err(|error| BackupError::local("creating", &path, error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
