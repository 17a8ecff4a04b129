//! The state's write-ahead log, as its writer knows it.

use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

use super::Shared;
use super::files::with_suffix;
use crate::database::{Frames, PAGE_BYTES};
use crate::disk::FLUSH_BYTES;

/// How much of it there is.
#[derive(Default)]
pub(super) struct Wal {
    /// Pages that no checkpoint has moved yet.
    waiting: AtomicI64,
    /// Pages that were on their way to disk when this was last looked at.
    flushed: AtomicI64,
    flush: Notify,
}

impl Wal {
    /// Takes in how much there is now.
    pub(super) fn note(&self, frames: Frames) {
        let waiting = (frames.written - frames.moved).max(0);
        self.waiting.store(waiting, Ordering::Relaxed);
        let mut flushed = self.flushed.load(Ordering::Relaxed);
        if frames.written < flushed {
            // It has begun anew.
            flushed = 0;
            self.flushed.store(0, Ordering::Relaxed);
        }
        if (frames.written - flushed) * i64::from(PAGE_BYTES) >= i64::from(FLUSH_BYTES) {
            self.flushed.store(frames.written, Ordering::Relaxed);
            self.flush.notify_one();
        }
    }

    /// Bytes that no checkpoint has moved yet.
    pub(super) fn waiting_bytes(&self) -> u64 {
        (self.waiting.load(Ordering::Relaxed) * i64::from(PAGE_BYTES)).cast_unsigned()
    }
}

/// Waits until [`FLUSH_BYTES`] have been written, and brings them to disk. Nothing counts on it: it
/// leaves less for a checkpoint to sync at once.
pub(super) async fn flush(shared: Arc<Shared>) -> Result<()> {
    shared.wal.flush.notified().await;
    let path = with_suffix(&shared.files.current(), "-wal");
    let flushed = crate::host::blocking(move || match std::fs::File::open(path) {
        Ok(file) => file.sync_data(),
        // The state was replaced meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    });
    flushed.await.map_err(std::io::Error::other)?
}
