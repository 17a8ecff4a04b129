//! New files and folders, which are there once they are whole.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::{Builder, NamedTempFile, TempDir};

/// Refuses to write where something is.
pub(super) fn require_new(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
        Ok(_) => bail!(
            "{} is there already, and is not touched: name another one",
            path.display()
        ),
    }
}

/// The folder that `path` is to stand in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A folder under way. It is removed with the value unless it is finished.
pub(super) struct NewFolder {
    path: PathBuf,
    written: TempDir,
}

impl NewFolder {
    pub(super) fn begin(path: &Path) -> anyhow::Result<Self> {
        let written = Builder::new()
            .prefix(".export-")
            .tempdir_in(parent(path))
            .with_context(|| format!("cannot write beside {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            written,
        })
    }

    /// Writes a file of the folder, below folders that its name calls for.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.written.path().join(name);
        let write = || {
            fs::create_dir_all(parent(&path))?;
            kit::fsync::write_new(&path, bytes)
        };
        write().with_context(|| format!("cannot write {name} of {}", self.path.display()))
    }

    /// Gives the folder its name.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        require_new(&self.path)?;
        synced(self.written.path())
            .and_then(|()| kit::fsync::rename(self.written.path(), &self.path))
            .with_context(|| format!("cannot finish {}", self.path.display()))?;
        // There is nothing under its first name any more.
        let _ = self.written.keep();
        Ok(())
    }
}

/// Syncs a folder and those below it.
fn synced(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            synced(&entry.path())?;
        }
    }
    kit::fsync::directory(folder)
}

/// A file under way. It is removed with the value unless it is finished.
pub(super) struct NewFile {
    path: PathBuf,
    written: BufWriter<NamedTempFile>,
}

impl NewFile {
    pub(super) fn begin(path: &Path) -> anyhow::Result<Self> {
        let file = Builder::new()
            .prefix(".export-")
            .tempfile_in(parent(path))
            .with_context(|| format!("cannot write beside {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            written: BufWriter::new(file),
        })
    }

    pub(super) fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.written
            .write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Gives the file its name, unless that was taken meanwhile.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let finish = || {
            let file = self
                .written
                .into_inner()
                .map_err(|error| error.into_error())?;
            file.as_file().sync_all()?;
            file.persist_noclobber(&self.path)?;
            kit::fsync::directory(parent(&self.path))
        };
        let path = self.path.clone();
        finish().with_context(|| format!("cannot finish {}", path.display()))
    }
}
