//! What must hold of logs, votes and states at every moment.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use bytes::Bytes;
use consensus::testing::wire;
use prost::Message as _;

use crate::register::Command;

/// A vote, in the order in which votes replace each other.
type Vote = (u64, u64, bool);

/// Sees everything that is written to the disks and applied to the states.
#[derive(Default)]
pub struct Oracle {
    /// By leadership and index, what an entry says.
    entries: BTreeMap<(u64, u64, u64), wire::Entry>,
    /// By index, the term and the command that were applied.
    applied: BTreeMap<u64, (u64, Command)>,
    /// By disk, its last vote.
    votes: BTreeMap<String, Vote>,
    violations: Vec<String>,
}

impl Oracle {
    pub fn violated(&mut self, what: String) {
        self.violations.push(what);
    }

    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// One leadership puts one entry at an index, wherever it is written.
    pub fn written(&mut self, disk: &str, bytes: &Bytes) {
        let Ok(entry) = wire::Entry::decode(Bytes::clone(bytes)) else {
            return self.violated(format!("{disk} was given an entry that cannot be read"));
        };
        let id = entry.log_id.unwrap_or_default();
        match self.entries.entry((id.term, id.leader, id.index)) {
            Slot::Vacant(slot) => {
                slot.insert(entry);
            }
            Slot::Occupied(known) if *known.get() == entry => {}
            Slot::Occupied(known) => {
                let what = format!("{disk} has {entry:?} where another has {:?}", known.get());
                self.violated(what);
            }
        }
    }

    /// A vote never goes back. Gives it, and whether it is that of a leader.
    pub fn voted(&mut self, disk: &str, bytes: &[u8]) -> (u64, u64, bool) {
        let Ok(vote) = wire::Vote::decode(bytes) else {
            self.violated(format!("{disk} was given a vote that cannot be read"));
            return Vote::default();
        };
        let vote = (vote.term, vote.node, vote.committed);
        if let Some(before) = self.votes.insert(disk.to_owned(), vote)
            && before > vote
        {
            self.violated(format!("{disk} votes {vote:?} after {before:?}"));
        }
        vote
    }

    /// All states apply the same.
    pub fn applied(&mut self, node: &str, index: u64, term: u64, command: &Command) {
        match self.applied.entry(index) {
            Slot::Vacant(slot) => {
                slot.insert((term, command.clone()));
            }
            Slot::Occupied(known) if *known.get() == (term, command.clone()) => {}
            Slot::Occupied(known) => {
                let what = format!(
                    "{node} applies {command:?} of term {term} as entry {index}, another {:?}",
                    known.get()
                );
                self.violated(what);
            }
        }
    }
}
