//! The keys with which nodes sign: which there are, and which handed over to which.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use consensus::ApplyError;
use ed25519_dalek::VerifyingKey;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::access::{self, AuditLine};
use super::command::Reply;
use super::command::keys::change::Change;
use super::command::keys::{ChangeKeys, PutCosigner, Succeed};
use crate::ledger::succession::Succession;

/// The keys that sign nothing any more and those that they handed over to, as the requests of a node
/// see them; cheap to clone.
#[derive(Clone, Default)]
pub struct RetiredKeys(Arc<RwLock<Successors>>);

/// By the public key that is retired.
type Successors = HashMap<[u8; 32], [u8; 32]>;

impl RetiredKeys {
    /// Whether this public key has handed over.
    #[must_use]
    pub fn contains(&self, public_key: &[u8; 32]) -> bool {
        self.successor(public_key).is_some()
    }

    /// The public key that this one has handed over to.
    #[must_use]
    pub fn successor(&self, public_key: &[u8; 32]) -> Option<[u8; 32]> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(public_key).copied()
    }

    pub(super) fn replace(&self, keys: Successors) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn insert(&self, old: [u8; 32], new: [u8; 32]) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(old, new);
    }
}

/// A key of a node, and what became of it.
#[derive(Clone, Debug)]
pub struct NodeKey {
    /// The name of the node.
    pub node: String,
    /// The public key.
    pub public_key: [u8; 32],
    /// Since when it is known, in milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: u64,
    /// The public key that cosigns beside it.
    pub cosigner: Option<[u8; 32]>,
    /// The note by which it handed over, if it did.
    pub succession: Option<String>,
}

/// All keys that any node ever signed with, in the order in which they came.
///
/// # Errors
/// Those of the database.
pub fn node_keys(state: &Connection) -> rusqlite::Result<Vec<NodeKey>> {
    if !super::schema::exists(state)? {
        return Ok(Vec::new());
    }
    let select = if super::schema::has_successions(state)? {
        "SELECT name, node.public_key, since_ms, cosigner.public_key, note FROM node
         LEFT JOIN cosigner ON cosigner.node = node.public_key
         LEFT JOIN succession ON old = node.public_key ORDER BY since_ms, node.public_key"
    } else {
        "SELECT name, public_key, since_ms, NULL, NULL FROM node ORDER BY since_ms, public_key"
    };
    state
        .prepare_cached(select)?
        .query_map([], |row| {
            Ok(NodeKey {
                node: row.get(0)?,
                public_key: row.get(1)?,
                since_ms: row.get(2)?,
                cosigner: row.get(3)?,
                succession: row.get(4)?,
            })
        })?
        .collect()
}

/// All successions, as signed notes.
///
/// # Errors
/// Those of the database.
pub fn successions(state: &Connection) -> rusqlite::Result<Vec<String>> {
    if !super::schema::has_successions(state)? {
        return Ok(Vec::new());
    }
    state
        .prepare_cached("SELECT note FROM succession ORDER BY time_ms, old")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The keys that have handed over.
pub fn retired(state: &Connection) -> rusqlite::Result<Successors> {
    if !super::schema::has_successions(state)? {
        return Ok(HashMap::new());
    }
    state
        .prepare_cached("SELECT old, new FROM succession")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Applies a change of keys.
pub(super) fn apply(
    state: &Transaction<'_>,
    origin: &str,
    retired: &RetiredKeys,
    change: &ChangeKeys,
) -> Result<Reply, ApplyError> {
    match &change.change {
        Some(Change::PutCosigner(put)) => put_cosigner(state, put),
        Some(Change::Succeed(succeed)) => match succeed_key(state, origin, change, succeed)? {
            Ok((old, new)) => {
                retired.insert(old, new);
                Ok(Reply::done())
            }
            Err(reason) => Ok(Reply::refused(&reason)),
        },
        None => Err(ApplyError::Diverged(
            "a change of keys is of a kind that this build does not know".into(),
        )),
    }
}

fn put_cosigner(state: &Transaction<'_>, put: &PutCosigner) -> Result<Reply, ApplyError> {
    if node_name(state, &put.node)?.is_none() {
        return Ok(Reply::refused("no node has this key"));
    }
    if let Err(reason) = check_key(&put.cosigner) {
        return Ok(Reply::refused(reason));
    }
    state
        .prepare_cached("INSERT OR IGNORE INTO cosigner (node, public_key) VALUES (?1, ?2)")?
        .execute(params![put.node, put.cosigner])?;
    Ok(Reply::done())
}

/// The key that is retired, and its successor.
type Handed = ([u8; 32], [u8; 32]);

/// Takes a succession in; gives the old and the new key, or why nothing was changed. The same one twice
/// is done once.
fn succeed_key(
    state: &Transaction<'_>,
    origin: &str,
    change: &ChangeKeys,
    succeed: &Succeed,
) -> Result<Result<Handed, String>, ApplyError> {
    let refused = |reason: &str| Ok(Err(reason.to_owned()));
    let succession = match Succession::parse(&succeed.note) {
        Ok(succession) => succession,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if succession.origin != origin {
        return refused("the succession is of another ledger");
    }
    if let Err(reason) = check_key(&succeed.cosigner) {
        return refused(reason);
    }
    let old = succession.old.public_key().to_bytes();
    let new = succession.new.public_key().to_bytes();
    let Some(name) = node_name(state, &old)? else {
        return refused("no node has the old key");
    };
    let successor: Option<[u8; 32]> = state
        .prepare_cached("SELECT new FROM succession WHERE old = ?1")?
        .query_row([&old], |row| row.get(0))
        .optional()?;
    match successor {
        Some(known) if known == new => return Ok(Ok((old, new))),
        Some(_) => return refused("the old key has handed over already"),
        None => {}
    }
    if node_name(state, &new)?.is_some() {
        return refused("the new key is that of a node already");
    }
    state
        .prepare_cached("INSERT INTO node (public_key, name, since_ms) VALUES (?1, ?2, ?3)")?
        .execute(params![new, name, succession.time_ms])?;
    state
        .prepare_cached("INSERT OR IGNORE INTO cosigner (node, public_key) VALUES (?1, ?2)")?
        .execute(params![new, succeed.cosigner])?;
    state
        .prepare_cached("INSERT INTO succession (old, new, time_ms, note) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![old, new, succession.time_ms, succeed.note])?;
    let line = AuditLine {
        action: "node-key.rotate",
        target: name,
        detail: String::new(),
    };
    access::audit(state, change.time_ms, &change.actor, &line)?;
    Ok(Ok((old, new)))
}

fn check_key(bytes: &[u8]) -> Result<(), &'static str> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| "a public key has 32 bytes")?;
    match VerifyingKey::from_bytes(&bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err("the public key is no point of the curve"),
    }
}

fn node_name(state: &Connection, public_key: &[u8]) -> rusqlite::Result<Option<String>> {
    state
        .prepare_cached("SELECT name FROM node WHERE public_key = ?1")?
        .query_row([public_key], |row| row.get(0))
        .optional()
}
