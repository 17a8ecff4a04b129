//! The newest entries, in memory.

use std::collections::VecDeque;
use std::io::{Error, Result};

use bytes::Bytes;
use openraft::entry::RaftEntry as _;
use prost::Message as _;

use super::Loaded;
use crate::codec;
use crate::raft::{Entry, LogId, Vote};
use crate::wire;

/// The vote, the log's bounds, and a run of entries that ends with the last one.
pub(super) struct Tail {
    pub(super) vote: Option<Vote>,
    purged: Option<LogId>,
    first_index: u64,
    last: Option<LogId>,
    /// Entry and encoded length; the first one has index `memory_from`.
    entries: VecDeque<(Entry, usize)>,
    memory_from: u64,
    bytes: usize,
    bytes_max: usize,
    flushed: u64,
}

fn invalid(what: &str, error: &prost::DecodeError) -> Error {
    Error::new(
        std::io::ErrorKind::InvalidData,
        format!("the log's {what} cannot be read: {error}"),
    )
}

impl Tail {
    pub(super) fn new(loaded: &Loaded, bytes_max: usize) -> Result<Self> {
        let vote = match &loaded.vote {
            Some(bytes) => {
                let vote =
                    wire::Vote::decode(&bytes[..]).map_err(|error| invalid("vote", &error))?;
                Some(codec::vote(Some(&vote))?)
            }
            None => None,
        };
        let purged = match &loaded.purged {
            Some(bytes) => {
                let id =
                    wire::LogId::decode(&bytes[..]).map_err(|error| invalid("bounds", &error))?;
                Some(codec::log_id(&id))
            }
            None => None,
        };
        let last = match &loaded.last {
            Some(record) => Some(codec::decode_entry(Bytes::clone(&record.bytes))?.log_id()),
            None => purged,
        };
        let next = last.map_or(0, |id| id.index + 1);
        Ok(Self {
            vote,
            purged,
            first_index: purged.map_or(0, |id| id.index + 1),
            last,
            entries: VecDeque::new(),
            memory_from: next,
            bytes: 0,
            bytes_max,
            flushed: next,
        })
    }

    pub(super) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    pub(super) fn last(&self) -> Option<LogId> {
        self.last
    }

    pub(super) fn next_index(&self) -> u64 {
        self.last.map_or(0, |id| id.index + 1)
    }

    pub(super) fn first_index(&self) -> u64 {
        self.first_index
    }

    /// Entries below are on disk only.
    pub(super) fn memory_from(&self) -> u64 {
        self.memory_from
    }

    /// The entries of `from..to`, if all of them are here, up to `bytes_max` but at least one.
    pub(super) fn range(&self, from: u64, to: u64, bytes_max: usize) -> Option<Vec<Entry>> {
        let skip = usize::try_from(from.checked_sub(self.memory_from)?).ok()?;
        let take = usize::try_from(to - from).ok()?;
        let mut sum = 0;
        let fits = |(at, (_, bytes)): &(usize, &(Entry, usize))| {
            sum += bytes;
            *at == 0 || sum <= bytes_max
        };
        let entries = self
            .entries
            .iter()
            .skip(skip)
            .take(take)
            .enumerate()
            .take_while(fits);
        Some(entries.map(|(_, (entry, _))| entry.clone()).collect())
    }

    pub(super) fn push(&mut self, entry: Entry, bytes: usize) -> Result<()> {
        let id = entry.log_id();
        if self.last.is_some() && id.index != self.next_index() {
            return Err(Error::other(format!(
                "entry {} was appended where {} is next",
                id.index,
                self.next_index()
            )));
        }
        if self.last.is_none() {
            self.first_index = id.index;
            self.memory_from = id.index;
            self.flushed = id.index;
        }
        self.last = Some(id);
        self.bytes += bytes;
        self.entries.push_back((entry, bytes));
        Ok(())
    }

    /// The index behind the last entry that is on disk.
    pub(super) fn durable(&self) -> u64 {
        self.flushed
    }

    /// Everything below `next` is on disk: what is too much for memory may go.
    pub(super) fn flushed(&mut self, next: u64) {
        self.flushed = next.min(self.next_index());
        while self.bytes > self.bytes_max && self.memory_from < self.flushed {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, bytes)) = self.entries.pop_front() {
            self.bytes -= bytes;
            self.memory_from += 1;
        }
    }

    pub(super) fn truncate(&mut self, from: u64, last: Option<LogId>) {
        if from >= self.next_index() {
            return;
        }
        while self.next_in_memory() > from {
            match self.entries.pop_back() {
                Some((_, bytes)) => self.bytes -= bytes,
                None => break,
            }
        }
        self.memory_from = self.memory_from.min(from);
        self.flushed = self.flushed.min(from);
        self.last = last;
    }

    fn next_in_memory(&self) -> u64 {
        self.memory_from + self.entries.len() as u64
    }

    pub(super) fn purge(&mut self, through: LogId) {
        while self.memory_from <= through.index && !self.entries.is_empty() {
            self.drop_first();
        }
        self.purged = Some(through);
        self.first_index = through.index + 1;
        if self.last.is_none_or(|last| last.index <= through.index) {
            // A snapshot replaced a log that ended before it.
            self.last = Some(through);
            self.memory_from = through.index + 1;
            self.flushed = through.index + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::EntryPayload;

    fn id(index: u64) -> LogId {
        codec::log_id(&wire::LogId {
            term: 1,
            leader: 1,
            index,
        })
    }

    /// A tail with the entries of `indexes` of ten bytes each, all on disk.
    fn tail(indexes: std::ops::Range<u64>, bytes_max: usize) -> Tail {
        let mut tail = Tail::new(&Loaded::default(), bytes_max).unwrap();
        for index in indexes.clone() {
            tail.push(Entry::new(id(index), EntryPayload::Blank), 10)
                .unwrap();
        }
        tail.flushed(indexes.end);
        tail
    }

    fn range(tail: &Tail, from: u64, to: u64, bytes_max: usize) -> Option<Vec<u64>> {
        let entries = tail.range(from, to, bytes_max)?;
        Some(entries.iter().map(|entry| entry.index()).collect())
    }

    #[test]
    fn a_range_ends_with_what_fits_but_has_at_least_one_entry() {
        let tail = tail(0..10, 1000);
        assert_eq!(range(&tail, 2, 9, 35), Some(vec![2, 3, 4]));
        assert_eq!(range(&tail, 2, 9, 0), Some(vec![2]));
        assert_eq!(range(&tail, 8, 100, 1000), Some(vec![8, 9]));
        assert_eq!(range(&tail, 10, 12, 1000), Some(vec![]));
    }

    #[test]
    fn what_is_too_much_for_memory_leaves_it_once_it_is_on_disk() {
        let mut tail = tail(0..10, 40);
        assert_eq!((tail.memory_from(), tail.next_index()), (6, 10));
        assert_eq!(range(&tail, 5, 8, 1000), None);
        assert_eq!(range(&tail, 6, 8, 1000), Some(vec![6, 7]));
        // What is not on disk stays, however much it is.
        for index in 10..20 {
            tail.push(Entry::new(id(index), EntryPayload::Blank), 10)
                .unwrap();
        }
        assert_eq!(tail.memory_from(), 6);
        tail.flushed(15);
        assert_eq!(tail.memory_from(), 15);
    }

    #[test]
    fn truncating_and_purging_move_the_bounds() {
        let mut tail = tail(0..10, 1000);
        tail.truncate(7, Some(id(6)));
        assert_eq!((tail.last(), tail.next_index()), (Some(id(6)), 7));
        assert!(
            tail.push(Entry::new(id(8), EntryPayload::Blank), 10)
                .is_err()
        );
        tail.push(Entry::new(id(7), EntryPayload::Blank), 10)
            .unwrap();
        tail.purge(id(3));
        assert_eq!((tail.purged(), tail.first_index()), (Some(id(3)), 4));
        assert_eq!(range(&tail, 3, 8, 1000), None);
        assert_eq!(range(&tail, 4, 8, 1000), Some(vec![4, 5, 6, 7]));
        tail.purge(id(30));
        assert_eq!(
            (tail.last(), tail.next_index(), tail.memory_from()),
            (Some(id(30)), 31, 31)
        );
        // Truncated to below what is in memory.
        let mut tail = self::tail(0..10, 20);
        tail.truncate(3, Some(id(2)));
        assert_eq!((tail.memory_from(), tail.next_index()), (3, 3));
        tail.push(Entry::new(id(3), EntryPayload::Blank), 10)
            .unwrap();
        assert_eq!(range(&tail, 3, 4, 1000), Some(vec![3]));
    }
}
