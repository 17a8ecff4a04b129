//! The replicated ledger: what every node stores, and how commands change it.
//!
//! The state holds what the ledger's formats call for and nothing in plain text: sealed entries,
//! the tiles of the tree, blocks, identities as keyed hashes. What makes it searchable lies beside
//! it, on each node, in [`crate::index`].

pub mod access;
pub mod command;
pub mod keys;
pub mod queries;
pub mod read;
mod schema;
mod seal;
mod shared;
pub mod subjects;

use consensus::{ApplyError, EntryInfo, Machine};
use ed25519_dalek::VerifyingKey;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use self::command::access::ChangeAccess;
use self::command::keys::ChangeKeys;
use self::command::queries::ChangeQueries;
use self::command::subjects::ChangeSubjects;
use self::command::{
    Accepted, Capture, Command, Duplicate, Found, LeftOut, Refused, RegisterNode, Reply, change,
    reply,
};
use self::keys::RetiredKeys;
use self::read::Tiles;
pub use self::shared::{Changed, Revision, Shared, SharedDirectory, SharedPersonal};
use crate::access::{Access, Directory, PartyId, Visibility};
use crate::ledger::block::{Block, Tip};
use crate::ledger::leaf::Leaf;
use crate::ledger::merkle::Appender;
use crate::ledger::payload::StoredPayload;
use crate::subject::KeyId;

/// The machine's version from which on entries have owners, and users exist.
pub const VERSION_OF_ACCESS: u32 = 2;

/// The machine's version from which on subjects can be erased, queries have names, and witnesses
/// cosign.
pub const VERSION_OF_SUBJECTS: u32 = 3;

/// The ledger's state machine.
#[derive(Default)]
pub struct Ledger {
    open: Option<Open>,
    directory: SharedDirectory,
    personal: SharedPersonal,
    retired: RetiredKeys,
    revision: Revision,
}

/// What a founded ledger keeps in memory.
struct Open {
    origin: String,
    /// The tree's right edge, as of the last applied command.
    tree: Appender,
    tip: Tip,
}

impl Machine for Ledger {
    type Command = Command;
    type Reply = Reply;

    const SYSTEM: &'static str = "provchain";
    const MIGRATIONS: &'static [&'static str] = schema::MIGRATIONS;

    fn load(&mut self, state: &Connection) -> rusqlite::Result<()> {
        self.directory.replace(if schema::has_access(state)? {
            access::directory(state)?
        } else {
            Directory::default()
        });
        self.personal.replace(subjects::personal(state)?);
        self.retired.replace(keys::retired(state)?);
        self.revision.raise(0);
        self.open = None;
        let Some(founded) = read::founded(state)? else {
            return Ok(());
        };
        let tree = Appender::resume(founded.size, &mut Tiles(state)).map_err(read::damaged)?;
        let tip = match read::last_block(state)? {
            Some(block) => Tip::after(&block.header),
            None => Tip::of_new_ledger(&founded.origin),
        };
        self.open = Some(Open {
            origin: founded.origin,
            tree,
            tip,
        });
        Ok(())
    }

    fn apply(
        &mut self,
        state: &Transaction<'_>,
        entry: EntryInfo,
        command: Command,
    ) -> Result<Reply, ApplyError> {
        match command.change {
            Some(change::Change::Found(found)) => self.found(state, &found),
            Some(change::Change::RegisterNode(node)) => register(state, &node),
            Some(change::Change::Capture(capture)) => self.capture(state, entry, &capture),
            Some(change::Change::Seal(seal)) => self.seal(state, &seal.block),
            Some(change::Change::Access(change)) => self.access(state, entry, &change),
            Some(change::Change::Subjects(change)) => self.subjects(state, entry, &change),
            Some(change::Change::Keys(change)) => self.keys(state, entry, &change),
            Some(change::Change::Queries(change)) => self.queries(state, entry, &change),
            None => Err(ApplyError::Diverged(
                "a command is of a kind that this build does not know".into(),
            )),
        }
    }
}

impl Ledger {
    /// A machine that makes the directory known to requests, too.
    #[must_use]
    pub fn with_directory(directory: SharedDirectory) -> Self {
        Self {
            directory,
            ..Self::default()
        }
    }

    /// Makes what is personal known to requests, too.
    #[must_use]
    pub fn with_personal(mut self, personal: SharedPersonal) -> Self {
        self.personal = personal;
        self
    }

    fn subjects(
        &self,
        state: &Transaction<'_>,
        entry: EntryInfo,
        change: &ChangeSubjects,
    ) -> Result<Reply, ApplyError> {
        if entry.version < VERSION_OF_SUBJECTS {
            return Ok(Reply::refused("the cluster is being upgraded: try again"));
        }
        let changed = subjects::apply(state, change)?;
        self.personal.replace(subjects::personal(state)?);
        Ok(Reply::of(reply::Reply::Subjects(changed)))
    }

    /// Makes the keys that hand over known to requests, too.
    #[must_use]
    pub fn with_retired(mut self, retired: RetiredKeys) -> Self {
        self.retired = retired;
        self
    }

    fn keys(
        &self,
        state: &Transaction<'_>,
        entry: EntryInfo,
        change: &ChangeKeys,
    ) -> Result<Reply, ApplyError> {
        if entry.version < VERSION_OF_SUBJECTS {
            return Ok(Reply::refused("the cluster is being upgraded: try again"));
        }
        let Some(open) = &self.open else {
            return Ok(Reply::refused("the ledger has not been founded yet"));
        };
        keys::apply(state, &open.origin, &self.retired, change)
    }

    /// The machine, which also tells `revision` of changes.
    #[must_use]
    pub fn telling(self, revision: Revision) -> Self {
        Self { revision, ..self }
    }

    fn access(
        &self,
        state: &Transaction<'_>,
        entry: EntryInfo,
        change: &ChangeAccess,
    ) -> Result<Reply, ApplyError> {
        if entry.version < VERSION_OF_ACCESS {
            return Ok(Reply::refused("the cluster is being upgraded: try again"));
        }
        let changed = access::apply(state, change)?;
        if access::alters_directory(change) {
            self.directory.replace(access::directory(state)?);
        }
        if matches!(
            change.change,
            Some(command::access::change::Change::RemoveUser(_))
        ) {
            // Its subscriptions are gone.
            self.revision.raise(entry.index);
        }
        Ok(Reply::of(reply::Reply::Access(changed)))
    }

    fn queries(
        &self,
        state: &Transaction<'_>,
        entry: EntryInfo,
        change: &ChangeQueries,
    ) -> Result<Reply, ApplyError> {
        if entry.version < VERSION_OF_SUBJECTS {
            return Ok(Reply::refused("the cluster is being upgraded: try again"));
        }
        let size = self.open.as_ref().map_or(0, |open| open.tree.size());
        let changed = queries::apply(state, change, size)?;
        if queries::may_name_a_party(change) {
            self.directory.replace(access::directory(state)?);
        }
        if queries::alters_queries(change) {
            self.revision.raise(entry.index);
        }
        Ok(Reply::of(reply::Reply::Queries(changed)))
    }

    /// Gives the ledger its origin and secret; the first proposal stands.
    fn found(&mut self, state: &Transaction<'_>, found: &Found) -> Result<Reply, ApplyError> {
        if self.open.is_none() {
            if found.origin.is_empty() || found.secret.len() != 32 {
                return Ok(Reply::refused(
                    "a ledger has an origin and a secret of 32 bytes",
                ));
            }
            state.execute(
                "INSERT INTO ledger (id, origin, secret, size) VALUES (1, ?1, ?2, 0)",
                params![found.origin, found.secret],
            )?;
            self.load(state)?;
        }
        Ok(Reply::done())
    }

    /// Takes a capture in, all of its events or none.
    fn capture(
        &mut self,
        state: &Transaction<'_>,
        entry: EntryInfo,
        capture: &Capture,
    ) -> Result<Reply, ApplyError> {
        let visibility = u8::try_from(capture.visibility).ok();
        let Some(visibility) = visibility.and_then(Visibility::from_code) else {
            return Ok(Reply::refused(
                "the visibility is of a kind that is not known",
            ));
        };
        let versioned = entry.version >= VERSION_OF_ACCESS;
        if !versioned && visibility != Visibility::Public {
            // A node of the build before would show it to everybody.
            return Ok(Reply::refused("the cluster is being upgraded: try again"));
        }
        let Some(open) = &mut self.open else {
            return Ok(Reply::refused("the ledger has not been founded yet"));
        };
        let with_subjects = entry.version >= VERSION_OF_SUBJECTS;
        if with_subjects && capture.personal != self.personal.now().version {
            return Ok(Reply::outdated());
        }
        let mut keys: Vec<Vec<KeyId>> = Vec::with_capacity(capture.entries.len());
        let mut duplicates: Vec<Option<u64>> = Vec::with_capacity(capture.entries.len());
        let mut refused = Refused::default();
        let mut fresh = std::collections::HashMap::new();
        let mut conflicting = std::collections::HashSet::new();
        let place_of = |position: usize| {
            let place = capture.positions.get(position).copied();
            place.unwrap_or(position as u64)
        };
        for (position, entry) in capture.entries.iter().enumerate() {
            let subjects = match well_formed(entry) {
                Ok(subjects) => subjects,
                Err(reason) => return Ok(Reply::refused(&format!("event {position}: {reason}"))),
            };
            if !with_subjects && !subjects.is_empty() {
                return Ok(Reply::refused("the cluster is being upgraded: try again"));
            }
            if !subjects.is_empty() && !subjects::are_current(state, &subjects)? {
                return Ok(Reply::outdated());
            }
            keys.push(subjects);
            let known = match fresh.get(&entry.identity[..]) {
                Some(content) => Some((None, *content)),
                None => read::identity(state, &entry.identity)?
                    .map(|(index, content)| (Some(index), content)),
            };
            match known {
                None => {
                    fresh.insert(&entry.identity[..], to_32(&entry.content));
                    duplicates.push(None);
                }
                Some((index, content)) if content == to_32(&entry.content) && index.is_some() => {
                    duplicates.push(index);
                }
                Some((index, content)) => {
                    conflicting.insert(position);
                    duplicates.push(None);
                    refused.conflicts.push(Duplicate {
                        position: place_of(position),
                        existing: index,
                        same_content: content == to_32(&entry.content),
                    });
                }
            }
        }
        if !refused.conflicts.is_empty() && !capture.proceed {
            refused.reason = "an event id is taken".into();
            return Ok(Reply::of(reply::Reply::Refused(refused)));
        }
        let owner = match self.directory.now().parties.id(&capture.owner) {
            _ if !versioned || capture.owner.is_empty() => 0,
            Some(known) => known,
            None => {
                let new = access::party(state, &capture.owner)?;
                self.directory.replace(access::directory(state)?);
                new
            }
        };
        let access = versioned.then_some(Access { owner, visibility });
        let mut accepted = Accepted {
            conflicts: refused.conflicts,
            ..Accepted::default()
        };
        for (position, (entry, duplicate)) in capture.entries.iter().zip(duplicates).enumerate() {
            if conflicting.contains(&position) {
                continue;
            }
            let index = match duplicate {
                Some(index) => {
                    accepted.repeated += 1;
                    index
                }
                None => {
                    let index = store(state, &mut open.tree, entry, access)?;
                    subjects::relate(state, &keys[position], index)?;
                    index
                }
            };
            accepted.entries.push(index);
        }
        let size = open.tree.size();
        write_tiles(state, &mut open.tree)?;
        state
            .prepare_cached("UPDATE ledger SET size = ?1 WHERE id = 1")?
            .execute([size])?;
        if !capture.id.is_empty() {
            let taken = accepted.entries.len();
            record(state, capture, owner, taken, &accepted.conflicts, versioned)?;
        }
        accepted.size = size;
        accepted.root = open.tree.root().0.to_vec();
        Ok(Reply::of(reply::Reply::Accepted(accepted)))
    }
}

/// Writes down what became of a capture.
fn record(
    state: &Transaction<'_>,
    capture: &Capture,
    owner: PartyId,
    taken: usize,
    conflicts: &[Duplicate],
    versioned: bool,
) -> Result<(), ApplyError> {
    let row = params![capture.id, capture.time_ms, taken];
    state
        .prepare_cached("INSERT OR IGNORE INTO capture (id, time_ms, entries) VALUES (?1, ?2, ?3)")?
        .execute(row)?;
    if !versioned {
        return Ok(());
    }
    let conflicts = conflicts.iter().map(|one| LeftOut {
        event: one.position,
        rule: "conflict".into(),
    });
    let left_out: Vec<LeftOut> = capture.left_out.iter().cloned().chain(conflicts).collect();
    let left_out = serde_json::to_string(&left_out)
        .map_err(|error| ApplyError::Diverged(error.to_string()))?;
    state
        .prepare_cached("UPDATE capture SET owner = ?2, proceed = ?3, left_out = ?4 WHERE id = ?1")?
        .execute(params![capture.id, owner, capture.proceed, left_out])?;
    Ok(())
}

fn to_32(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let length = bytes.len().min(32);
    out[..length].copy_from_slice(&bytes[..length]);
    out
}

/// Checks what a proposer sent without opening it; gives the keys that are needed to open it.
fn well_formed(entry: &command::Entry) -> Result<Vec<KeyId>, String> {
    let leaf = Leaf::decode(&entry.leaf).map_err(|error| error.to_string())?;
    let keys = subjects::keys_of(&entry.key)?;
    if StoredPayload::from_bytes(entry.payload.clone()).hash() != leaf.payload_hash {
        return Err("the payload is not the one that the leaf commits to".into());
    }
    if entry.identity.len() != 32 || entry.content.len() != 32 {
        return Err("the identity is not made of two hashes".into());
    }
    Ok(keys)
}

fn store(
    state: &Transaction<'_>,
    tree: &mut Appender,
    entry: &command::Entry,
    access: Option<Access>,
) -> Result<u64, ApplyError> {
    let index = tree.size();
    if let Some(Access { owner, visibility }) = access {
        state
            .prepare_cached(
                "INSERT INTO entry (idx, leaf, payload, key, owner, visibility)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                index,
                entry.leaf,
                entry.payload,
                entry.key,
                owner,
                visibility.code()
            ])?;
    } else {
        state
            .prepare_cached("INSERT INTO entry (idx, leaf, payload, key) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![index, entry.leaf, entry.payload, entry.key])?;
    }
    state
        .prepare_cached("INSERT INTO identity (key, content, entry) VALUES (?1, ?2, ?3)")?
        .execute(params![entry.identity, entry.content, index])?;
    tree.append(crate::ledger::merkle::leaf_hash(&entry.leaf));
    Ok(index)
}

fn write_tiles(state: &Transaction<'_>, tree: &mut Appender) -> rusqlite::Result<()> {
    let mut insert = state
        .prepare_cached("INSERT OR REPLACE INTO tile (level, idx, hashes) VALUES (?1, ?2, ?3)")?;
    for tile in tree.take_tiles() {
        insert.execute(params![tile.level, tile.index, tile.encode()])?;
    }
    Ok(())
}

/// Makes a node's public key known, so that what it signs can be checked for ever.
fn register(state: &Transaction<'_>, node: &RegisterNode) -> Result<Reply, ApplyError> {
    let Ok(bytes) = <[u8; 32]>::try_from(&node.public_key[..]) else {
        return Ok(Reply::refused("a public key has 32 bytes"));
    };
    if VerifyingKey::from_bytes(&bytes).is_err() {
        return Ok(Reply::refused("the public key is no point of the curve"));
    }
    let known: Option<i64> = state
        .prepare_cached("SELECT 1 FROM node WHERE public_key = ?1")?
        .query_row([&node.public_key], |row| row.get(0))
        .optional()?;
    if known.is_none() {
        state
            .prepare_cached("INSERT INTO node (public_key, name, since_ms) VALUES (?1, ?2, ?3)")?
            .execute(params![node.public_key, node.name, node.time_ms])?;
    }
    Ok(Reply::done())
}

impl Open {
    fn continues(&self, block: &Block) -> Result<(), String> {
        self.tip
            .check(&block.header)
            .map_err(|error| error.to_string())?;
        if block.header.tree_size() > self.tree.size() {
            return Err("it is over entries that are not there".into());
        }
        block.verify_signature().map_err(|error| error.to_string())
    }
}
