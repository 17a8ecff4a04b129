//! Programs that are installed on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Finds a program as a shell would, and after that in folders that may hold a `*` in one of their
/// parts: the last of those that match comes first, as the newest version does.
pub(crate) fn find_program(name: &str, folders: &[String]) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(folders.iter().flat_map(|folder| matching(folder)))
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let beside = folders.iter().map(|folder| format!(", nor in {folder}"));
            Error::NoBinary {
                binary: name.to_owned(),
                reason: format!("it is not on the PATH{}", beside.collect::<String>()),
            }
        })
}

/// The folders that a pattern stands for.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once("*/") else {
        return vec![PathBuf::from(pattern)];
    };
    let mut found: Vec<PathBuf> = fs::read_dir(Path::new(before))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join(after))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_beside_the_path_in_its_newest_version() {
        let dir = tempfile::tempdir().expect("a folder");
        for version in ["15", "17"] {
            let bin = dir.path().join(version).join("bin");
            fs::create_dir_all(&bin).expect("made");
            fs::write(bin.join("a-database"), "").expect("written");
        }
        let folder = format!("{}/*/bin", dir.path().display());
        let found = find_program("a-database", std::slice::from_ref(&folder)).expect("found");
        assert_eq!(found, dir.path().join("17/bin/a-database"));
        let error = find_program("another", &[folder]).expect_err("there is none");
        assert!(error.to_string().contains("not on the PATH"), "{error}");
    }
}
