//! Secrets of a developer's machine: generated once, readable by their owner alone, never shown.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Result, at};

/// Reads a secret, or makes one of so many random bytes, as hexadecimal digits.
pub(crate) fn read_or_create(path: &Path, bytes: usize) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(secret) => return Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(at("read", path)(error)),
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(at("create", dir))?;
    }
    let secret: String = (0..bytes)
        .map(|_| format!("{:02x}", rand::random::<u8>()))
        .collect();
    // Written under another name first: a second reader finds a whole secret or none.
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(secret.as_bytes()))
        .map_err(at("write", &draft))?;
    // A hard link, unlike a rename, leaves a secret alone that somebody else made meanwhile.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).map_err(at("remove", &draft))?;
    match linked {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read_or_create(path, bytes),
        Err(error) => Err(at("write", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("secrets/jwt");
        let secret = read_or_create(&path, 32).expect("made");
        assert_eq!(secret.len(), 64);
        assert_eq!(read_or_create(&path, 32).expect("read"), secret);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(dir.path().join("secrets"))
                .expect("a folder")
                .count(),
            1
        );
    }
}
