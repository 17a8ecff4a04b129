//! Reading logs that may be long and may be growing.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Result, at};

/// How much of the end of a file is read to find its last lines.
const TAIL_BYTES: u64 = 64 * 1024;

/// The last lines of a file; empty when it does not exist yet.
///
/// # Errors
/// The file cannot be read.
pub fn tail(path: &Path, lines: usize) -> Result<String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(at("read", path)(error)),
    };
    let length = file.metadata().map_err(at("read", path))?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))
        .map_err(at("read", path))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(at("read", path))?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}

/// Reads what was appended to a file since the last time.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    position: u64,
    /// The start of a line whose end has not been written yet.
    partial: Vec<u8>,
}

impl Follower {
    /// Starts at the end of what there is now.
    #[must_use]
    pub fn at_end(path: &Path) -> Self {
        let position = path.metadata().map_or(0, |metadata| metadata.len());
        Self {
            path: path.to_path_buf(),
            position,
            partial: Vec::new(),
        }
    }

    /// The lines that were completed since the last call. A file that became shorter was begun
    /// anew and is read from its start.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lines(&mut self) -> Result<Vec<String>> {
        let Ok(mut file) = File::open(&self.path) else {
            return Ok(Vec::new());
        };
        let length = file.metadata().map_err(at("read", &self.path))?.len();
        if length < self.position {
            self.position = 0;
            self.partial.clear();
        }
        file.seek(SeekFrom::Start(self.position))
            .map_err(at("read", &self.path))?;
        let read = file
            .read_to_end(&mut self.partial)
            .map_err(at("read", &self.path))?;
        self.position += read as u64;
        let complete = self
            .partial
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.partial.drain(..complete).collect();
        Ok(String::from_utf8_lossy(&lines)
            .lines()
            .map(str::to_owned)
            .collect())
    }
}

/// Indents lines for an error message; says so when there are none.
pub(crate) fn indented(text: &str) -> String {
    if text.is_empty() {
        return "    (nothing)".to_owned();
    }
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_tail_is_the_last_lines() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        assert_eq!(tail(&path, 2).expect("absent is empty"), "");
        fs::write(&path, "one\ntwo\nthree\n").expect("written");
        assert_eq!(tail(&path, 2).expect("readable"), "two\nthree");
    }

    #[test]
    fn a_follower_gives_whole_lines_once_and_notices_a_new_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        fs::write(&path, "old\n").expect("written");
        let mut follower = Follower::at_end(&path);
        fs::write(&path, "old\nnew\nhal").expect("written");
        assert_eq!(follower.lines().expect("readable"), ["new"]);
        fs::write(&path, "old\nnew\nhalf\n").expect("written");
        assert_eq!(follower.lines().expect("readable"), ["half"]);
        fs::write(&path, "anew\n").expect("written");
        assert_eq!(follower.lines().expect("readable"), ["anew"]);
    }
}
