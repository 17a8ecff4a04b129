//! What a disk may hold after the power went: everything that was synced, and of the rest whatever
//! the kernel and the disk had come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::trace::{Change, Event};

/// What a disk writes in one piece.
const SECTOR: usize = 512;

/// What becomes of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All of it is lost.
    Dropped,
    /// It is written in order up to some moment, and the last of it in part.
    Torn,
    /// Any part of it is written, in any order.
    Reordered,
    /// All of it is written, as after the end of a process alone.
    Kept,
}

pub const RESTS: [Rest; 4] = [Rest::Dropped, Rest::Torn, Rest::Reordered, Rest::Kept];

/// A file's changes that no sync has covered, with what was synced below them.
#[derive(Clone, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<(usize, Piece)>,
}

#[derive(Clone)]
enum Piece {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

/// A folder on a disk. Changes of names come to the disk in order, and before a file's first sync
/// returns its name is there: what the file systems of Linux do, and no more.
#[derive(Clone, Default)]
pub struct Disk {
    files: Vec<File>,
    /// The names that will outlive the power, as far as they are known to.
    durable: BTreeMap<PathBuf, usize>,
    names: BTreeMap<PathBuf, usize>,
    /// Changes of names that no sync has covered.
    moves: Vec<(usize, BTreeMap<PathBuf, usize>)>,
    folders: Vec<PathBuf>,
    /// Where appended bytes go.
    ends: BTreeMap<usize, u64>,
}

impl Disk {
    /// The disk after `events`.
    pub fn after(events: &[Event]) -> Self {
        let mut disk = Self::default();
        for (at, event) in events.iter().enumerate() {
            disk.perform(at, event);
        }
        disk
    }

    fn perform(&mut self, at: usize, event: &Event) {
        match &event.change {
            Change::Create(path) if self.names.contains_key(path) => {}
            Change::Create(path) => {
                self.files.push(File::default());
                self.names.insert(path.clone(), self.files.len() - 1);
                self.moves.push((at, self.names.clone()));
            }
            Change::Folder(path) => self.folders.push(path.clone()),
            Change::Write {
                path,
                offset,
                bytes,
            } => {
                let Some(file) = self.names.get(path).copied() else {
                    return;
                };
                let end = self.ends.entry(file).or_default();
                let offset = offset.unwrap_or(*end);
                *end = offset + bytes.len() as u64;
                let piece = Piece::Write(offset, bytes.clone());
                self.files[file].pending.push((at, piece));
            }
            Change::Truncate(path, length) => {
                if let Some(file) = self.names.get(path) {
                    self.files[*file]
                        .pending
                        .push((at, Piece::Truncate(*length)));
                }
            }
            Change::Rename(from, to) => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                    self.moves.push((at, self.names.clone()));
                }
            }
            Change::Remove(path) => {
                if self.names.remove(path).is_some() {
                    self.moves.push((at, self.names.clone()));
                }
            }
            Change::Sync(path) => self.sync(path, event.begun),
        }
    }

    /// What was done before the sync began is on the disk.
    fn sync(&mut self, path: &Path, begun: usize) {
        let named = if let Some(file) = self.names.get(path).copied() {
            let file_state = &mut self.files[file];
            let covered = file_state
                .pending
                .iter()
                .take_while(|(at, _)| *at < begun)
                .count();
            let pieces: Vec<_> = file_state.pending.drain(..covered).collect();
            for (_, piece) in pieces {
                piece.apply(&mut file_state.durable);
            }
            // Its own name is there, with every change of names before it.
            self.moves
                .iter()
                .position(|(_, names)| names.get(path) == Some(&file))
        } else {
            // A folder.
            self.moves.iter().rposition(|(at, _)| *at < begun)
        };
        if let Some(last) = named {
            let (_, names) = self.moves.drain(..=last).next_back().expect("one");
            self.durable = names;
        }
    }

    /// Puts into `folder` what may be found after a loss of power now.
    pub fn after_power_loss(&self, rest: Rest, random: &mut StdRng, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for made in &self.folders {
            std::fs::create_dir_all(folder.join(made)).unwrap();
        }
        let moved = match rest {
            Rest::Dropped => 0,
            Rest::Torn | Rest::Reordered => random.random_range(0..=self.moves.len()),
            Rest::Kept => self.moves.len(),
        };
        let names = match moved {
            0 => &self.durable,
            moved => &self.moves[moved - 1].1,
        };
        for (name, file) in names {
            let content = self.files[*file].after_power_loss(rest, random);
            std::fs::write(folder.join(name), content).unwrap();
        }
    }
}

impl File {
    fn after_power_loss(&self, rest: Rest, random: &mut StdRng) -> Vec<u8> {
        let mut content = self.durable.clone();
        match rest {
            Rest::Dropped => {}
            Rest::Kept => {
                for (_, piece) in &self.pending {
                    piece.apply(&mut content);
                }
            }
            Rest::Torn => {
                let whole = random.random_range(0..=self.pending.len());
                for (_, piece) in &self.pending[..whole] {
                    piece.apply(&mut content);
                }
                if let Some((_, Piece::Write(offset, bytes))) = self.pending.get(whole) {
                    let sectors = random.random_range(0..=bytes.len() / SECTOR);
                    let part = bytes[..sectors * SECTOR].to_vec();
                    Piece::Write(*offset, part).apply(&mut content);
                }
            }
            Rest::Reordered => {
                for (_, piece) in &self.pending {
                    for part in piece.sectors() {
                        if random.random_bool(0.5) {
                            part.apply(&mut content);
                        }
                    }
                }
            }
        }
        content
    }
}

impl Piece {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(_, bytes) if bytes.is_empty() => {}
            Self::Write(offset, bytes) => {
                let from = usize::try_from(*offset).unwrap();
                let to = from + bytes.len();
                content.resize(content.len().max(to), 0);
                content[from..to].copy_from_slice(bytes);
            }
            Self::Truncate(length) => content.resize(usize::try_from(*length).unwrap(), 0),
        }
    }

    fn sectors(&self) -> Vec<Self> {
        match self {
            Self::Truncate(length) => vec![Self::Truncate(*length)],
            Self::Write(offset, bytes) => bytes
                .chunks(SECTOR)
                .enumerate()
                .map(|(at, part)| Self::Write(offset + (at * SECTOR) as u64, part.to_vec()))
                .collect(),
        }
    }
}
