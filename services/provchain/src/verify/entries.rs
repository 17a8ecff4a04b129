//! Entries, one by one: what can be said without the tree.

use super::{LedgerReader, Run, SubjectKeyState};
use crate::ledger::Digest;
use crate::ledger::entry::{self, EntryFault};
use crate::ledger::identity::Identity;
use crate::ledger::key::{EntryKey, WrappedKey};
use crate::ledger::leaf::{Kind, Leaf};
use crate::ledger::merkle;
use crate::ledger::payload::StoredPayload;
use crate::verify::EntryRecord;

/// An entry that has been looked at.
pub(super) struct Examined {
    /// The hash of the stored leaf, if there is one.
    pub leaf_hash: Option<Digest>,
    /// How far it could be opened, or what is wrong with it.
    pub opened: Result<Opened, EntryFault>,
}

/// How far an entry could be opened.
pub(super) enum Opened {
    Whole,
    /// Its key was destroyed.
    Erased,
    /// Its key is not at hand.
    Locked,
}

impl Examined {
    fn unread(fault: EntryFault) -> Self {
        Self {
            leaf_hash: None,
            opened: Err(fault),
        }
    }
}

impl<R: LedgerReader> Run<'_, R> {
    /// Reads and examines the entries `start..end`, every one of them, there or not. Nothing if
    /// there is no entry from `start` on.
    pub(super) fn read_entries(&mut self, start: u64, end: u64) -> Option<Vec<Examined>> {
        let limit = (end - start) as usize;
        let Ok(page) = self.reader.entries(start, limit) else {
            return Some((start..end).map(|index| self.read_entry(index)).collect());
        };
        if page.is_empty() {
            return None;
        }
        let mut records = page.into_iter().peekable();
        let examined = (start..end)
            .map(
                |index| match records.next_if(|record| record.index == index) {
                    Some(record) => self.examine(&record),
                    None => Examined::unread(EntryFault::Missing),
                },
            )
            .collect();
        Some(examined)
    }

    /// Reads one entry of a page that could not be read as a whole.
    fn read_entry(&mut self, index: u64) -> Examined {
        match self.reader.entries(index, 1) {
            Ok(page) => match page.first().filter(|record| record.index == index) {
                Some(record) => self.examine(record),
                None => Examined::unread(EntryFault::Missing),
            },
            Err(error) => Examined::unread(EntryFault::Unreadable(error.to_string())),
        }
    }

    fn examine(&mut self, record: &EntryRecord) -> Examined {
        if let Some(identity) = &record.identity {
            self.identities = add_identity(self.identities, &identity.key, record.index);
        }
        let leaf_hash = Some(merkle::leaf_hash(&record.leaf));
        Examined {
            leaf_hash,
            opened: self.open(record),
        }
    }

    fn open(&mut self, record: &EntryRecord) -> Result<Opened, EntryFault> {
        let leaf = Leaf::decode(&record.leaf).map_err(EntryFault::Leaf)?;
        let payload = record.payload.clone().map(StoredPayload::from_bytes);
        if let Some(payload) = &payload {
            entry::check_payload(&leaf, payload)?;
        }
        let key = match self.entry_key(record)? {
            Ok(key) => key,
            Err(without) => return Ok(without),
        };
        let payload = payload.ok_or(EntryFault::PayloadMissing)?;
        let opened = entry::open(&leaf, &payload, &key, self.verifier.statements_of)?;
        if let Some((secret, identifying_of)) = self.verifier.identities
            && leaf.kind == Kind::Event
        {
            let mut event =
                identifying_of(&opened.payload.document).map_err(EntryFault::Meaning)?;
            event.owner.clone_from(&record.owner);
            if Identity::new(secret, &event).ok() != record.identity {
                return Err(EntryFault::Identity);
            }
        }
        Ok(Opened::Whole)
    }

    /// The entry's key, or why there is none.
    fn entry_key(&mut self, record: &EntryRecord) -> Result<Result<EntryKey, Opened>, EntryFault> {
        let Some(wrapped) = &record.key else {
            return Ok(Err(Opened::Erased));
        };
        let wrapped = WrappedKey::decode(wrapped).map_err(EntryFault::Key)?;
        let (mut keys, mut locked) = (Vec::new(), false);
        for subject in wrapped.subjects() {
            match self.reader.subject_key(subject) {
                Ok(SubjectKeyState::Known(key)) => keys.push(key),
                // One that is gone is enough.
                Ok(SubjectKeyState::Destroyed) => return Ok(Err(Opened::Erased)),
                Ok(SubjectKeyState::Unavailable) => locked = true,
                Err(error) => return Err(EntryFault::Unreadable(error.to_string())),
            }
        }
        if locked {
            return Ok(Err(Opened::Locked));
        }
        wrapped.unwrap(&keys).map(Ok).map_err(EntryFault::Key)
    }
}

/// Adds one identity to a sum that does not depend on the order.
pub(super) fn add_identity(sum: Digest, key: &Digest, index: u64) -> Digest {
    let term = Digest::of(&[key.as_bytes(), &index.to_be_bytes()]);
    let mut bytes = sum.0;
    for (byte, other) in bytes.iter_mut().zip(term.0) {
        *byte ^= other;
    }
    Digest(bytes)
}
