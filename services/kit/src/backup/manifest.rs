//! What a backup says of itself.

use std::path::{Component, Path};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::BackupError;

/// The version of the manifest that is written and read.
pub(super) const FORMAT: u32 = 1;

/// The file that makes a folder a backup.
pub(super) const MANIFEST: &str = "manifest.json";

/// A backup: where and when it was made, and its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this document.
    pub format: u32,
    /// The backup's name, which begins with the time.
    pub name: String,
    /// The service that it is of.
    pub service: String,
    /// The node that made it.
    pub node: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// What the service says of it.
    pub fields: Map<String, Value>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path in the backup, with `/` between its parts.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256, in hex.
    pub sha256: String,
}

impl Manifest {
    /// Length of all files in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Reads a manifest as it lies in the target under `name`. It comes from outside: a path in
    /// it must not lead out of the folder that the backup is restored into.
    pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Self, BackupError> {
        let damaged = |reason: String| BackupError::Damaged {
            file: format!("{name}/{MANIFEST}"),
            reason,
        };
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!(
                "its format is {}, this program reads {FORMAT}",
                manifest.format
            )));
        }
        if manifest.name != name {
            return Err(damaged(format!(
                "it belongs to the backup {:?}",
                manifest.name
            )));
        }
        match manifest.files.iter().find(|file| !is_inside(&file.path)) {
            Some(file) => Err(damaged(format!(
                "{:?} is not a path inside a backup",
                file.path
            ))),
            None => Ok(manifest),
        }
    }
}

fn is_inside(path: &str) -> bool {
    let all_normal = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let is_clean = !path.is_empty() && path.split('/').all(|part| !part.is_empty() && part != ".");
    all_normal && is_clean && path != MANIFEST && !path.contains(['\\', '\0'])
}

/// `text` as part of a name: letters, digits, dots and hyphens.
pub(super) fn plain(text: &str) -> String {
    let keep = |letter: char| {
        if letter.is_ascii_alphanumeric() || letter == '.' {
            letter
        } else {
            '-'
        }
    };
    text.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn no_path_leads_out_of_a_backup() {
        for path in ["a", "a/b.sqlite", "a b/c", "..a"] {
            assert!(is_inside(path), "{path}");
        }
        for path in [
            "",
            "/a",
            "../a",
            "a/../../b",
            "a/..",
            ".",
            "a//b",
            "a/./b",
            "a\\..\\b",
            "manifest.json",
            "a\0",
        ] {
            assert!(!is_inside(path), "{path}");
        }
    }
}
