//! Which file is the state.
//!
//! A snapshot never overwrites the state that it replaces: it becomes a file of its own, and one
//! atomic rename of `current` makes it the state. A write-ahead log can so never meet a database
//! that it does not belong to.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

pub(super) struct Files {
    dir: PathBuf,
    current: Mutex<PathBuf>,
}

/// The name of a state file in `dir`, if there is one.
fn any_state(dir: &Path) -> Result<Option<String>> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if number(&name).is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

impl Files {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let pointer = dir.join("current");
        let name = match fs::read_to_string(&pointer) {
            Ok(name) => name.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if let Some(orphan) = any_state(dir)? {
                    return Err(Error::other(format!(
                        "{} is missing beside {orphan}: restore it, or wipe the data directory and \
                         let the node join again",
                        pointer.display()
                    )));
                }
                let name = file_name(1);
                kit::fsync::replace(&pointer, name.as_bytes())?;
                name
            }
            Err(error) => return Err(error),
        };
        if number(&name).is_none() {
            return Err(Error::other(format!(
                "{} names {name:?}, which is no state file",
                pointer.display()
            )));
        }
        if !dir.join(&name).exists()
            && let Some(other) = any_state(dir)?
        {
            return Err(Error::other(format!(
                "{} is missing, and there is {other}: put back what was here, or wipe the data \
                 directory and let the node join again",
                dir.join(&name).display()
            )));
        }
        let files = Self {
            dir: dir.to_owned(),
            current: Mutex::new(dir.join(name)),
        };
        // A crash may have interrupted a transfer or an installation.
        files.remove_but_current(&["state-", "incoming-"]);
        Ok(files)
    }

    pub(super) fn current(&self) -> PathBuf {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A name for a file that is being received or made.
    pub(super) fn incoming(&self) -> PathBuf {
        self.dir
            .join(format!("incoming-{:016x}", crate::host::random::<u64>()))
    }

    /// Makes the complete and synced file at `path` the state.
    pub(super) fn adopt(&self, path: &Path) -> Result<PathBuf> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let last = current
            .file_name()
            .and_then(|name| number(&name.to_string_lossy()));
        let name = file_name(last.unwrap_or(0) + 1);
        let adopted = self.dir.join(&name);
        // Opening it for the check may have left companions; they are empty.
        for suffix in ["-wal", "-shm"] {
            drop(fs::remove_file(with_suffix(path, suffix)));
        }
        kit::fsync::rename(path, &adopted)?;
        kit::fsync::replace(&self.dir.join("current"), name.as_bytes())?;
        current.clone_from(&adopted);
        Ok(adopted)
    }

    /// Deletes the states that were replaced. Files under way are their owners' to delete.
    pub(super) fn remove_superseded(&self) {
        self.remove_but_current(&["state-"]);
    }

    fn remove_but_current(&self, prefixes: &[&str]) {
        let current = self.current();
        let keep = current
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = prefixes.iter().any(|prefix| name.starts_with(prefix));
            let kept = keep
                .as_ref()
                .is_some_and(|keep| name.starts_with(keep.as_str()));
            if ours && !kept {
                drop(fs::remove_file(entry.path()));
            }
        }
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        fs::metadata(with_suffix(&self.current(), "-wal")).map_or(0, |found| found.len())
    }

    pub(super) fn bytes(&self) -> u64 {
        fs::metadata(self.current()).map_or(0, |found| found.len()) + self.wal_bytes()
    }
}

/// The database that is the state of the node with this data directory, for reading it while the
/// node is not running.
///
/// # Errors
/// What the file system says, and a directory that holds no state.
pub fn state_path(data_dir: &Path) -> Result<PathBuf> {
    let dir = data_dir.join("state");
    let name = fs::read_to_string(dir.join("current"))?;
    let name = name.trim();
    if number(name).is_none() {
        return Err(Error::other(format!("{name:?} is no state file")));
    }
    Ok(dir.join(name))
}

pub(super) fn file_name(number: u64) -> String {
    format!("state-{number:06}.db")
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("state-")?
        .strip_suffix(".db")?
        .parse()
        .ok()
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder whose state is the first one, with `old` in it, and a received one with `new`.
    fn folder() -> (tempfile::TempDir, Files, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        fs::write(files.current(), "old").unwrap();
        let incoming = files.incoming();
        fs::write(&incoming, "new").unwrap();
        (dir, files, incoming)
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn found(dir: &Path) -> String {
        let files = Files::open(dir).unwrap();
        fs::read_to_string(files.current()).unwrap()
    }

    #[test]
    fn an_adopted_file_is_the_state_from_then_on() {
        let (dir, files, incoming) = folder();
        let adopted = files.adopt(&incoming).unwrap();
        assert_eq!(adopted, files.current());
        files.remove_superseded();
        assert_eq!(names(dir.path()), ["current", "state-000002.db"]);
        assert_eq!(found(dir.path()), "new");
    }

    #[test]
    fn a_crash_at_any_step_of_adopting_finds_the_old_or_the_new_state_whole() {
        // Before the first step: received, and no more.
        let (dir, _, _) = folder();
        assert_eq!(found(dir.path()), "old");
        assert_eq!(names(dir.path()), ["current", "state-000001.db"]);

        // It has its name, but nobody points to it.
        let (dir, _, incoming) = folder();
        fs::rename(incoming, dir.path().join("state-000002.db")).unwrap();
        assert_eq!(found(dir.path()), "old");
        assert_eq!(names(dir.path()), ["current", "state-000001.db"]);

        // It is pointed to, and the old one has not gone.
        let (dir, files, incoming) = folder();
        fs::write(dir.path().join("state-000001.db-wal"), "old").unwrap();
        files.adopt(&incoming).unwrap();
        assert_eq!(found(dir.path()), "new");
        assert_eq!(names(dir.path()), ["current", "state-000002.db"]);
    }

    #[test]
    fn what_is_being_received_outlives_the_removal_of_an_old_state() {
        let (dir, files, incoming) = folder();
        let other = files.incoming();
        fs::write(&other, "newer").unwrap();
        files.adopt(&incoming).unwrap();
        files.remove_superseded();
        assert!(other.exists());
        assert_eq!(names(dir.path()).len(), 3);
    }

    #[test]
    fn a_pointer_to_anything_else_is_refused() {
        for name in ["", "state-x.db", "../state-000001.db", "log.db"] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("current"), name).unwrap();
            let refused = Files::open(dir.path()).err().unwrap().to_string();
            assert!(refused.contains("current"), "{refused}");
        }
    }
}
