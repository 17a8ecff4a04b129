//! A disk in memory for a log, which knows what was synced and what was not.

use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use consensus::testing::{Loaded, LogIo, LogRead, Record};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::world::{Host, lock};

/// What a log holds.
#[derive(Clone, Default)]
struct Content {
    vote: Option<Vec<u8>>,
    purged: Option<Vec<u8>>,
    entries: BTreeMap<u64, Bytes>,
}

impl Content {
    fn write(&mut self, write: &Write) {
        match write {
            Write::Append(record) => {
                self.entries.insert(record.index, record.bytes.clone());
            }
            Write::Truncate(from) => drop(self.entries.split_off(from)),
            Write::Purge(through, purged) => {
                self.entries = self.entries.split_off(&(through + 1));
                self.purged = Some(purged.clone());
            }
            Write::Vote(vote) => self.vote = Some(vote.clone()),
        }
    }
}

enum Write {
    Append(Record),
    Truncate(u64),
    Purge(u64, Vec<u8>),
    Vote(Vec<u8>),
}

/// What the next sync does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    #[default]
    Works,
    /// It reports an error; what it was for may be on the disk in part.
    Fails,
    /// The power goes while it is under way.
    LosesPower,
}

struct State {
    name: String,
    /// What outlives the power.
    synced: Content,
    /// What can be read.
    written: Content,
    unsynced: Vec<Write>,
    fate: Fate,
    lies: bool,
    random: StdRng,
}

/// The disk of one node, through all its lives.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk that is empty. One that `lies` says that it has synced, and has not.
    pub fn new(name: String, lies: bool, random: StdRng) -> Self {
        Self(Arc::new(Mutex::new(State {
            name,
            synced: Content::default(),
            written: Content::default(),
            unsynced: Vec::new(),
            fate: Fate::default(),
            lies,
            random,
        })))
    }

    /// Decides over the next sync.
    pub fn destine(&self, fate: Fate) {
        lock(&self.0).fate = fate;
    }

    /// The power goes: what was not synced is there up to some moment.
    pub fn lose_power(&self) {
        let mut state = lock(&self.0);
        state.keep_a_part();
        state.written = state.synced.clone();
        state.fate = Fate::default();
    }

    /// The log on it, for one life of its host.
    pub fn log(&self, host: &Arc<Host>) -> Box<dyn LogIo> {
        Box::new(Log {
            disk: self.clone(),
            host: Arc::clone(host),
        })
    }
}

impl State {
    fn last_index(&self) -> Option<u64> {
        let last = self.written.entries.last_key_value();
        last.map(|(index, _)| *index)
    }

    fn keep_a_part(&mut self) {
        let kept = match self.lies {
            true => 0,
            false => self.random.random_range(0..=self.unsynced.len()),
        };
        for write in self.unsynced.drain(..).take(kept) {
            self.synced.write(&write);
        }
    }

    fn write(&mut self, write: Write) {
        self.written.write(&write);
        self.unsynced.push(write);
    }
}

struct Log {
    disk: Disk,
    host: Arc<Host>,
}

impl Log {
    fn write(&self, write: Write) -> Result<()> {
        if !self.host.is_alive() {
            return Err(Error::other("the power is off"));
        }
        lock(&self.disk.0).write(write);
        Ok(())
    }
}

impl LogIo for Log {
    fn load(&mut self) -> Result<Loaded> {
        let state = lock(&self.disk.0);
        let last = state.written.entries.last_key_value();
        Ok(Loaded {
            vote: state.written.vote.clone(),
            purged: state.written.purged.clone(),
            last: last.map(|(index, bytes)| Record {
                index: *index,
                bytes: bytes.clone(),
            }),
        })
    }

    fn reader(&self) -> Result<Box<dyn LogRead>> {
        Ok(Box::new(Reader(self.disk.clone())))
    }

    fn append(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            let last = lock(&self.disk.0).last_index();
            if last.is_some_and(|last| record.index != last + 1) {
                let what = format!("entry {} is appended behind {last:?}", record.index);
                lock(&self.host.world.oracle).violated(what);
            }
            self.write(Write::Append(record.clone()))?;
        }
        Ok(())
    }

    fn truncate(&mut self, from: u64) -> Result<()> {
        self.write(Write::Truncate(from))
    }

    fn purge(&mut self, through: u64, purged: &[u8]) -> Result<()> {
        self.write(Write::Purge(through, purged.to_vec()))
    }

    fn save_vote(&mut self, vote: &[u8]) -> Result<()> {
        self.write(Write::Vote(vote.to_vec()))
    }

    fn sync(&mut self) -> Result<()> {
        let mut state = lock(&self.disk.0);
        if !self.host.is_alive() {
            return Err(Error::other("the power is off"));
        }
        match std::mem::take(&mut state.fate) {
            Fate::Works => {}
            Fate::Fails => {
                state.keep_a_part();
                state.written = state.synced.clone();
                return Err(Error::other("the disk has failed"));
            }
            Fate::LosesPower => {
                self.host.die();
                return Err(Error::other("the power is off"));
            }
        }
        let world = &self.host.world;
        let now = self.host.now();
        let mut oracle = lock(&world.oracle);
        for write in &state.unsynced {
            match write {
                Write::Append(record) => oracle.written(&state.name, &record.bytes),
                Write::Vote(vote) => {
                    let (term, node, leads) = oracle.voted(&state.name, vote);
                    let what = if leads { "follows" } else { "votes for" };
                    world.note(now, format!("{} {what} {node:x} in {term}", state.name));
                }
                Write::Truncate(_) | Write::Purge(..) => {}
            }
        }
        if let Some(Write::Append(record)) = state.unsynced.last() {
            world.note(now, format!("{} has {}", state.name, record.index));
        }
        let state = &mut *state;
        for write in state.unsynced.drain(..) {
            if !state.lies {
                state.synced.write(&write);
            }
        }
        Ok(())
    }
}

struct Reader(Disk);

impl LogRead for Reader {
    fn read(&mut self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Record>> {
        let state = lock(&self.0.0);
        let mut records: Vec<Record> = Vec::new();
        let mut sum = 0;
        for (index, bytes) in state.written.entries.range(from..to) {
            sum += bytes.len();
            if !records.is_empty() && sum > bytes_max {
                break;
            }
            records.push(Record {
                index: *index,
                bytes: bytes.clone(),
            });
        }
        Ok(records)
    }
}
