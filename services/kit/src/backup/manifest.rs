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

/// The name of a backup: its time, its node, and something that no other has.
pub(super) fn name(created_at: Timestamp, node: &str, unique: &str) -> String {
    let time = created_at.strftime("%Y%m%dT%H%M%SZ");
    format!("{time}-{}-{unique}", plain(node))
}

/// Whether `text` could be the name of a backup: anything else in a target is somebody else's.
pub(super) fn is_name(text: &str) -> bool {
    let digits = |part: &str| part.chars().all(|digit| digit.is_ascii_digit());
    let time = text.split_once('-').map_or("", |(time, _)| time);
    let unique = text.rsplit_once('-').map_or("", |(_, unique)| unique);
    time.len() == 16
        && time.is_ascii()
        && digits(&time[..8])
        && &time[8..9] == "T"
        && digits(&time[9..15])
        && time.ends_with('Z')
        && unique.len() == 8
        && unique.chars().all(|digit| digit.is_ascii_hexdigit())
}

/// `text` as part of a name: letters, digits, dots and hyphens.
fn plain(text: &str) -> String {
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
    use super::{is_inside, is_name, name};

    #[test]
    fn only_names_as_they_are_made_are_names_of_backups() {
        let at = "2026-03-01T02:03:04Z".parse().expect("a time");
        assert_eq!(name(at, "n 1", "0123abcd"), "20260301T020304Z-n-1-0123abcd");
        assert!(is_name("20260301T020304Z-n-1-0123abcd"));
        for text in [
            "",
            "keys",
            "20260301T020304Z",
            "20260301T020304Z-n1-0123abcx",
            "2026030éT02030Z-n1-0123abcd",
            "20260301-n1-0123abcd",
        ] {
            assert!(!is_name(text), "{text}");
        }
    }

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
