//! One file on its way, there and back.

use std::path::Path;

use futures_util::TryStreamExt as _;
use object_store::{ObjectStoreExt as _, buffered::BufWriter};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};

use super::{BackupError, Target, manifest::FileEntry};
use crate::fsync;

/// Length of a piece that is read, hashed and sent at a time.
const PIECE_BYTES: usize = 1024 * 1024;

impl Target {
    /// Uploads a file, hashing what is sent.
    pub(super) async fn upload_file(
        &self,
        name: &str,
        folder: &Path,
        path: &str,
    ) -> Result<FileEntry, BackupError> {
        let local = folder.join(path);
        let reading = |error| BackupError::local("reading", &local, error);
        let failed = |reason: String| BackupError::Store {
            action: format!("uploading {path}"),
            url: self.url.clone(),
            reason,
        };
        let mut file = File::open(&local).await.map_err(reading)?;
        let mut writer = BufWriter::new(self.store.clone(), self.key(name, path));
        let (mut hash, mut size) = (Sha256::new(), 0);
        loop {
            let mut piece = bytes::BytesMut::with_capacity(PIECE_BYTES);
            if file.read_buf(&mut piece).await.map_err(reading)? == 0 {
                break;
            }
            hash.update(&piece);
            size += piece.len() as u64;
            self.tell(path, size);
            if let Err(error) = writer.put(piece.freeze()).await {
                let _ = writer.abort().await;
                return Err(failed(error.to_string()));
            }
        }
        writer
            .shutdown()
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(FileEntry {
            path: path.to_owned(),
            size,
            sha256: hex::encode(hash.finalize()),
        })
    }

    fn tell(&self, path: &str, bytes: u64) {
        if let Some(watch) = &self.watch {
            watch(path, bytes);
        }
    }

    /// Fetches a file into `folder`, syncs it, and checks that it is what was uploaded.
    pub(super) async fn download(
        &self,
        name: &str,
        file: &FileEntry,
        folder: &Path,
    ) -> Result<(), BackupError> {
        let damaged = |reason: String| BackupError::Damaged {
            file: file.path.clone(),
            reason,
        };
        let failed =
            |error: &object_store::Error| self.failed(&format!("fetching {}", file.path), error);
        let got = match self.store.get(&self.key(name, &file.path)).await {
            Err(object_store::Error::NotFound { .. }) => {
                return Err(damaged("it is missing".to_owned()));
            }
            got => got.map_err(|error| failed(&error))?,
        };
        let local = folder.join(&file.path);
        let writing = |error| BackupError::local("writing", &local, error);
        let parent = local.parent().unwrap_or(folder);
        tokio::fs::create_dir_all(parent).await.map_err(writing)?;
        let mut written = File::create_new(&local).await.map_err(writing)?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        let mut pieces = got.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(|error| failed(&error))? {
            hash.update(&piece);
            size += piece.len() as u64;
            self.tell(&file.path, size);
            if size > file.size {
                return Err(damaged(format!("it is longer than {} bytes", file.size)));
            }
            written.write_all(&piece).await.map_err(writing)?;
        }
        if size != file.size {
            return Err(damaged(format!(
                "it has {size} bytes instead of {}",
                file.size
            )));
        }
        let sha256 = hex::encode(hash.finalize());
        if sha256 != file.sha256 {
            return Err(damaged(format!(
                "its SHA-256 is {sha256} instead of {}",
                file.sha256
            )));
        }
        written.flush().await.map_err(writing)?;
        written.sync_all().await.map_err(writing)?;
        fsync::directory(parent).map_err(writing)
    }
}
