//! The disk of the data directory, and the room on it: writes are refused while there is still
//! some, so that the log never meets its end.
//!
//! Below `disk_headroom_bytes` a leader takes no proposals; it hands over to a member that has room,
//! if a majority has. Entries that others lead are taken down to half of it, so that what was
//! acknowledged elsewhere arrives.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::core::{Core, View, lock};

/// What is written without a sync of its own is brought to disk every so many bytes: a disk that is
/// left to collect more writes it all at once, and the log's syncs wait behind it.
pub(crate) const FLUSH_BYTES: u32 = 4 << 20;

/// How often the disk is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// The disk under one data directory.
pub(crate) struct Disk {
    folder: PathBuf,
    headroom: u64,
    free: AtomicU64,
    /// Why writes are refused, if this node knows that they are.
    refusal: Mutex<Option<Arc<str>>>,
}

impl Disk {
    pub(crate) fn new(folder: &Path, headroom: u64) -> Self {
        let disk = Self {
            folder: folder.to_owned(),
            headroom,
            free: AtomicU64::new(u64::MAX),
            refusal: Mutex::default(),
        };
        disk.look();
        disk
    }

    fn look(&self) {
        match free_bytes(&self.folder) {
            Ok(free) => self.free.store(free, Ordering::Relaxed),
            // Not to know is no reason to refuse.
            Err(error) => tracing::warn!(%error, "how much room the disk has cannot be told"),
        }
    }

    /// Bytes that are free, as of the last look.
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Whether no proposal should be taken here.
    pub(crate) fn is_low(&self) -> bool {
        self.free() < self.headroom
    }

    /// Whether not even the entries of another leader should be taken.
    pub(crate) fn is_full(&self) -> bool {
        self.free() < self.headroom / 2
    }

    /// Looks whether `bytes` more would leave enough; says why not.
    pub(crate) fn room_for(&self, bytes: u64) -> Result<(), String> {
        self.leaves(bytes, self.headroom / 2)
    }

    /// The same for what can wait: writes go on beside it.
    pub(crate) fn spare_for(&self, bytes: u64) -> Result<(), String> {
        self.leaves(bytes, self.headroom)
    }

    fn leaves(&self, bytes: u64, enough: u64) -> Result<(), String> {
        self.look();
        if self.free() >= bytes.saturating_add(enough) {
            return Ok(());
        }
        Err(format!(
            "{} has {} bytes free, and {bytes} more would leave less than {enough}",
            self.folder.display(),
            self.free(),
        ))
    }

    /// How it stands, for people; the health says it to anyone, so no folder is named.
    pub(crate) fn state(&self) -> String {
        let (free, headroom) = (self.free(), self.headroom);
        format!("{free} bytes are free on the disk of the data, {headroom} are to stay")
    }

    pub(crate) fn refusal(&self) -> Option<Arc<str>> {
        lock(&self.refusal).clone()
    }
}

/// The bytes that this process could still write to the disk of `folder`.
fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    #[cfg(feature = "testing")]
    if let Some(free) = lock(&PRETENDED).get(folder) {
        return Ok(*free);
    }
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(feature = "testing")]
static PRETENDED: Mutex<std::collections::BTreeMap<PathBuf, u64>> =
    Mutex::new(std::collections::BTreeMap::new());

/// Lets the disk of a data directory seem to have so much room; `None` ends it.
#[cfg(feature = "testing")]
pub fn pretend_free(data_dir: &Path, bytes: Option<u64>) {
    let mut pretended = lock(&PRETENDED);
    match bytes {
        Some(bytes) => pretended.insert(data_dir.to_owned(), bytes),
        None => pretended.remove(data_dir),
    };
}

/// Why writes are to be refused, if they are: clients are told too, so no folder is named.
fn refusal(core: &Core) -> Option<String> {
    if core.leads() && core.disk.is_low() {
        let name = &core.config.name;
        return Some(format!(
            "the disk of {name} is nearly full: make room there"
        ));
    }
    let metrics = core.metrics();
    let membership = metrics.membership_config.membership();
    let views = lock(&core.views);
    let is_low = |id: &u64| views.get(id).is_some_and(|view| view.disk_low);
    let low: Vec<&str> = membership
        .voter_ids()
        .filter(is_low)
        .filter_map(|id| membership.get_node(&id))
        .map(|member| member.name.as_str())
        .collect();
    let majorities = membership.get_joint_config().iter();
    let stuck = majorities
        .into_iter()
        .any(|voters| 2 * voters.iter().filter(|id| is_low(id)).count() >= voters.len());
    (stuck && !low.is_empty()).then(|| {
        format!(
            "the disks of {} are nearly full: make room there",
            low.join(" and ")
        )
    })
}

/// A voter that could lead in place of a node without room.
fn successor(core: &Core) -> Option<String> {
    let metrics = core.metrics();
    let membership = metrics.membership_config.membership();
    let views = lock(&core.views);
    let has_room = |view: &View| view.is_fresh() && !view.disk_low;
    let able: Vec<u64> = membership
        .voter_ids()
        .filter(|id| views.get(id).is_some_and(has_room))
        .collect();
    let member = membership.get_node(able.first()?)?;
    // With fewer than a majority writes stay refused wherever the leader is.
    (2 * able.len() > membership.voter_ids().count()).then(|| member.name.clone())
}

/// Watches the disk for as long as the node lives.
pub(crate) async fn run(core: Arc<Core>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while core.halted().is_none() {
        tick.tick().await;
        let looker = Arc::clone(&core.disk);
        drop(crate::host::blocking(move || looker.look()).await);
        let refusal = refusal(&core);
        let before = std::mem::replace(
            &mut *lock(&core.disk.refusal),
            refusal.as_deref().map(Arc::from),
        );
        match (&before, &refusal) {
            (None, Some(reason)) => tracing::error!(reason, "writes are refused"),
            (Some(_), None) => tracing::info!("there is room again: writes are taken"),
            _ => {}
        }
        #[expect(clippy::cast_precision_loss, reason = "a number for a graph")]
        metrics::gauge!("consensus_disk_free_bytes").set(core.disk.free() as f64);
        metrics::gauge!("consensus_disk_low").set(f64::from(core.disk.is_low()));
        if core.leads()
            && core.disk.is_low()
            && let Some(name) = successor(&core)
            && let Err(status) = core.transfer(&name).await
        {
            tracing::warn!(
                name,
                status = status.message(),
                "leadership stays here, without room"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_disk_is_looked_at_and_enough_of_it_kept() {
        let folder = tempfile::tempdir().unwrap();
        let disk = |headroom| Disk::new(folder.path(), headroom);
        let free = disk(0).free();
        assert!(free > 0 && free < u64::MAX, "{free} bytes");
        let roomy = disk(1);
        assert!(!roomy.is_low() && !roomy.is_full());
        assert_eq!(roomy.room_for(1), Ok(()));
        let refused = roomy.room_for(u64::MAX).unwrap_err();
        assert!(
            refused.contains(&folder.path().display().to_string()),
            "{refused}"
        );
        // Other processes write meanwhile: not to the byte.
        let low = disk(free / 2 * 3);
        assert!(low.is_low() && !low.is_full());
        let full = disk(u64::MAX);
        assert!(full.is_low() && full.is_full());
    }
}
