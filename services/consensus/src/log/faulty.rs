//! A disk that forgets: what was written and not synced is gone when the power goes.

use std::io::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{Loaded, LogIo, LogRead, Record};

/// The switch of one or more faulty disks.
#[derive(Clone, Debug, Default)]
pub struct Power {
    off: Arc<AtomicBool>,
    lies: Arc<AtomicBool>,
    fails: Arc<AtomicBool>,
    /// Where syncs wait for entries from an index on.
    stalls: Arc<(Mutex<Option<u64>>, Condvar)>,
}

impl Power {
    /// Power that is on.
    #[must_use]
    pub fn on() -> Self {
        Self::default()
    }

    /// Cuts it: every later call fails, and unsynced writes never reach the disk.
    pub fn cut(&self) {
        self.off.store(true, Ordering::SeqCst);
    }

    /// From now on `sync` reports success and does nothing: the control that a durability test
    /// must catch.
    pub fn lie(&self) {
        self.lies.store(true, Ordering::SeqCst);
    }

    /// The next sync fails, and takes with it what waited for it. Those after it work: they are what
    /// a node would be deceived by that tries again.
    pub fn fail_next_sync(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    /// Lets every sync wait, as one does for a disk that hangs, until this is ended.
    pub fn stall(&self, stalls: bool) {
        self.set_stalls(stalls.then_some(0));
    }

    /// The same for those that bring entries from `index` on to disk.
    pub fn stall_from(&self, index: u64) {
        self.set_stalls(Some(index));
    }

    fn set_stalls(&self, from: Option<u64>) {
        let (stalls, changed) = &*self.stalls;
        *stalls.lock().unwrap_or_else(PoisonError::into_inner) = from;
        changed.notify_all();
    }

    /// Waits as long as a sync that brings entries up to `last` to disk is to.
    fn wait(&self, last: u64) {
        let (stalls, changed) = &*self.stalls;
        let stalls = stalls.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |from: &mut Option<u64>| from.is_some_and(|from| last >= from);
        drop(changed.wait_while(stalls, waits));
    }

    fn check(&self) -> Result<()> {
        if self.off.load(Ordering::SeqCst) {
            return Err(Error::other("the power is off"));
        }
        Ok(())
    }
}

enum Write {
    Append(Vec<Record>),
    Truncate(u64),
    Purge(u64, Vec<u8>),
    Vote(Vec<u8>),
}

/// A log whose writes reach the log below it only with a sync.
pub struct FaultyLog {
    below: Box<dyn LogIo>,
    power: Power,
    cached: Arc<Mutex<Vec<Write>>>,
}

impl FaultyLog {
    /// Puts a volatile cache in front of `below`.
    #[must_use]
    pub fn new(below: Box<dyn LogIo>, power: Power) -> Self {
        Self {
            below,
            power,
            cached: Arc::default(),
        }
    }

    /// The last entry that waits for a sync; 0 for none.
    fn last_cached(&self) -> u64 {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        let last = cached.iter().rev().find_map(|write| match write {
            Write::Append(records) => records.last(),
            _ => None,
        });
        last.map_or(0, |record| record.index)
    }

    fn cache(&self, write: Write) -> Result<()> {
        self.power.check()?;
        self.cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(write);
        Ok(())
    }
}

impl LogIo for FaultyLog {
    fn load(&mut self) -> Result<Loaded> {
        self.power.check()?;
        self.below.load()
    }

    fn reader(&self) -> Result<Box<dyn LogRead>> {
        self.below.reader()
    }

    fn append(&mut self, records: &[Record]) -> Result<()> {
        self.cache(Write::Append(records.to_vec()))
    }

    fn truncate(&mut self, from: u64) -> Result<()> {
        self.cache(Write::Truncate(from))
    }

    fn purge(&mut self, through: u64, purged: &[u8]) -> Result<()> {
        self.cache(Write::Purge(through, purged.to_vec()))
    }

    fn save_vote(&mut self, vote: &[u8]) -> Result<()> {
        self.cache(Write::Vote(vote.to_vec()))
    }

    fn sync(&mut self) -> Result<()> {
        self.power.wait(self.last_cached());
        self.power.check()?;
        if self.power.fails.swap(false, Ordering::SeqCst) {
            self.cached
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
            return Err(Error::other("the disk has failed"));
        }
        if self.power.lies.load(Ordering::SeqCst) {
            return Ok(());
        }
        let writes =
            std::mem::take(&mut *self.cached.lock().unwrap_or_else(PoisonError::into_inner));
        for write in writes {
            match write {
                Write::Append(records) => self.below.append(&records)?,
                Write::Truncate(from) => self.below.truncate(from)?,
                Write::Purge(through, purged) => self.below.purge(through, &purged)?,
                Write::Vote(vote) => self.below.save_vote(&vote)?,
            }
        }
        self.below.sync()
    }
}
