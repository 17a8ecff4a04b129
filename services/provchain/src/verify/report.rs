//! What a verification found.

use std::fmt;

use crate::ledger::Digest;
use crate::ledger::entry::EntryFault;
use crate::ledger::proof::Verdict;

/// The most findings that a report keeps; the others are counted.
const FINDINGS_MAX: usize = 100;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The number of entries in the tree.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
    /// Entries that were opened and found good.
    pub opened: u64,
    /// Entries whose key was destroyed: the leaf and what is left of the payload were checked.
    pub erased: u64,
    /// Entries whose key is not at hand: the leaf and the stored payload were checked.
    pub locked: u64,
    /// Blocks in the chain that are good.
    pub blocks: u64,
    /// Entries behind the last block, not sealed yet.
    pub unsealed: u64,
    /// How many entries, from the first on, trusted keys vouch for by a checkpoint or a block over
    /// them. What was appended behind them, anybody could have.
    pub authenticated: u64,
    /// The number of bad entries.
    pub bad_entries: u64,
    /// The number of damages that are not inside an entry.
    pub damages: u64,
    /// The first bad entry: the one with the lowest index.
    pub first_bad_entry: Option<(u64, EntryFault)>,
    /// The first damage that is not inside an entry.
    pub first_damage: Option<Damage>,
    /// The first hundred findings of either sort.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Inside the entry of this index.
    Entry(u64, EntryFault),
    /// Elsewhere.
    Elsewhere(Damage),
}

/// Damage that is not inside an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The storage cannot be read.
    #[error("{what}: cannot be read: {reason}")]
    Unreadable {
        /// What was being read.
        what: &'static str,
        /// What the storage says.
        reason: String,
    },
    /// There are entries behind the end of the ledger.
    #[error("entries: the ledger says that it has {size}, and there are more")]
    EntriesBeyond {
        /// The number of entries that the ledger says it has.
        size: u64,
    },
    /// A stored tile is missing or not the one that the entries make.
    #[error("tile {level}/{index}: missing, or not the one that the entries make")]
    Tile {
        /// The level of the tile.
        level: u8,
        /// Its index in the level.
        index: u64,
    },
    /// There are more or fewer tiles than a tree of this size has.
    #[error("tiles: {stored} are stored, the tree has {expected}")]
    TileCount {
        /// The number stored.
        stored: u64,
        /// The number that the tree has.
        expected: u64,
    },
    /// A block is wrong.
    #[error("block {height}: {reason}")]
    Block {
        /// The height that it is stored under.
        height: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint is wrong, or there is none where there has to be one.
    #[error("checkpoint: {reason}")]
    Checkpoint {
        /// What is wrong with it.
        reason: String,
    },
    /// Two entries have one identity.
    #[error("identities: entries {first} and {second} are the same event")]
    SameIdentity {
        /// One of the entries.
        first: u64,
        /// The other one.
        second: u64,
    },
    /// The list of identities is not that of the entries.
    #[error("identities: their list is not that of the entries")]
    Identities,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            size: 0,
            root: crate::ledger::merkle::empty_root(),
            opened: 0,
            erased: 0,
            locked: 0,
            blocks: 0,
            unsealed: 0,
            authenticated: 0,
            bad_entries: 0,
            damages: 0,
            first_bad_entry: None,
            first_damage: None,
            findings: Vec::new(),
        }
    }
}

impl Report {
    /// Whether nothing at all is wrong.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.bad_entries == 0 && self.damages == 0
    }

    /// What it comes to. Of an empty ledger nothing is vouched for.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        if !self.is_good() {
            Verdict::Refuted
        } else if self.authenticated == 0 || self.authenticated < self.size {
            Verdict::Unauthenticated
        } else {
            Verdict::Authentic
        }
    }

    pub(super) fn bad_entry(&mut self, index: u64, fault: EntryFault) {
        self.bad_entries += 1;
        self.first_bad_entry
            .get_or_insert_with(|| (index, fault.clone()));
        self.keep(Finding::Entry(index, fault));
    }

    /// All entries from `start` on are missing.
    pub(super) fn cut_off(&mut self, start: u64, total: u64) {
        self.bad_entry(start, EntryFault::Missing);
        self.bad_entries += total - start - 1;
    }

    pub(super) fn damage(&mut self, damage: Damage) {
        self.damages += 1;
        self.first_damage.get_or_insert_with(|| damage.clone());
        self.keep(Finding::Elsewhere(damage));
    }

    /// What was read, or a damage.
    pub(super) fn readable<T, E: fmt::Display>(
        &mut self,
        what: &'static str,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|error| {
            self.damage(Damage::Unreadable {
                what,
                reason: error.to_string(),
            });
        })
        .ok()
    }

    fn keep(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(index, fault) => write!(f, "entry {index}: {fault}"),
            Self::Elsewhere(damage) => damage.fmt(f),
        }
    }
}
