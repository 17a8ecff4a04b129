//! Reading the ledger's tables.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::access::{Access, PartyId, Visibility};
use crate::epcis::time::Timestamp;
use crate::ledger::block::Block;
use crate::ledger::entry::{self, OpenedEntry, StatementsOf};
use crate::ledger::identity::LedgerSecret;
use crate::ledger::key::{EntryKey, SubjectKey, WrappedKey};
use crate::ledger::leaf::Leaf;
use crate::ledger::merkle::TileSource;
use crate::ledger::payload::StoredPayload;
use crate::ledger::{self, Digest};
use crate::subject::KeyId;

/// Why reading failed: the database, or what it holds.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// What it holds is damaged.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// A damaged ledger, as the error of a database.
pub fn damaged(error: ReadError) -> rusqlite::Error {
    match error {
        ReadError::Database(error) => error,
        ReadError::Ledger(error) => rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
    }
}

/// The stored tiles of the tree.
pub struct Tiles<'a>(pub &'a Connection);

impl TileSource for Tiles<'_> {
    type Error = ReadError;

    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let tile = self
            .0
            .prepare_cached("SELECT hashes FROM tile WHERE level = ?1 AND idx = ?2")?
            .query_row(params![level, index], |row| row.get(0))
            .optional()?;
        Ok(tile)
    }
}

/// What a founded ledger says of itself.
#[derive(Clone, Debug)]
pub struct Founded {
    /// The first line of every checkpoint.
    pub origin: String,
    /// The secret of its identities.
    pub secret: LedgerSecret,
    /// The number of entries.
    pub size: u64,
}

/// The ledger's own row, once it has been founded.
pub fn founded(state: &Connection) -> rusqlite::Result<Option<Founded>> {
    if !super::schema::exists(state)? {
        return Ok(None);
    }
    state
        .prepare_cached("SELECT origin, secret, size FROM ledger WHERE id = 1")?
        .query_row([], |row| {
            Ok(Founded {
                origin: row.get(0)?,
                secret: LedgerSecret::from_random(row.get(1)?),
                size: row.get(2)?,
            })
        })
        .optional()
}

/// Where the keys of subjects are found.
pub trait Keyring {
    /// The keys that a wrapped key needs, in its order; nothing unless all are here.
    fn keys_of(&self, wrapped: &WrappedKey) -> Option<Vec<SubjectKey>>;
}

/// No keys: enough for entries that are about nobody.
impl Keyring for () {
    fn keys_of(&self, _: &WrappedKey) -> Option<Vec<SubjectKey>> {
        None
    }
}

/// How often something was erased: what was told before must not be told from memory.
pub fn erasures(state: &Connection) -> rusqlite::Result<u64> {
    if !super::schema::has_subjects(state)? {
        return Ok(0);
    }
    state
        .prepare_cached("SELECT COALESCE(MAX(id), 0) FROM erasure")?
        .query_row([], |row| row.get(0))
}

/// An entry as it is stored.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// Its index.
    pub index: u64,
    /// The encoded leaf.
    pub leaf: Vec<u8>,
    /// The stored payload, unless it was erased.
    pub payload: Option<Vec<u8>>,
    /// The encoded wrapped key, unless it was destroyed.
    pub key: Option<Vec<u8>>,
    /// Whose it is, and who may read it.
    pub access: Access,
}

/// The columns of [`StoredEntry`], in its order. Before the machine's second version entries are
/// nobody's, and public.
fn entry_columns(state: &Connection) -> rusqlite::Result<&'static str> {
    Ok(if super::schema::has_access(state)? {
        "idx, leaf, payload, key, owner, visibility"
    } else {
        "idx, leaf, payload, key, 0, 0"
    })
}

impl StoredEntry {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            index: row.get(0)?,
            leaf: row.get(1)?,
            payload: row.get(2)?,
            key: row.get(3)?,
            access: Access {
                owner: row.get(4)?,
                // What this build does not know is shown to nobody else.
                visibility: Visibility::from_code(row.get(5)?).unwrap_or(Visibility::Private),
            },
        })
    }

    /// The keys of subjects that its own is wrapped under.
    pub fn subject_keys(&self) -> Vec<KeyId> {
        let keys = self.key.as_deref().map(super::subjects::keys_of);
        keys.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether keys of its subjects are missing.
    pub fn is_locked(&self, keyring: &dyn Keyring) -> bool {
        let key = self.key.as_deref().map(WrappedKey::decode);
        let wrapped = key.and_then(Result::ok);
        wrapped.is_some_and(|wrapped| {
            !wrapped.subjects().is_empty() && keyring.keys_of(&wrapped).is_none()
        })
    }

    /// The key, if it and those of its subjects are here.
    pub fn entry_key(&self, keyring: &dyn Keyring) -> Option<EntryKey> {
        let wrapped = WrappedKey::decode(self.key.as_ref()?).ok()?;
        let keys = if wrapped.subjects().is_empty() {
            Vec::new()
        } else {
            keyring.keys_of(&wrapped)?
        };
        wrapped.unwrap(&keys).ok()
    }

    /// When its proposer took it in; the beginning of 1970 if the leaf is damaged.
    #[must_use]
    pub fn recorded(&self) -> Timestamp {
        let time_ms = Leaf::decode(&self.leaf).map_or(0, |leaf| leaf.time_ms);
        let time_ms = i64::try_from(time_ms).unwrap_or(i64::MAX);
        Timestamp {
            unix_micros: time_ms.saturating_mul(1000),
        }
    }

    /// Decrypts the document, and trusts that it is the recorded one.
    pub fn document(&self, keyring: &dyn Keyring) -> Option<Vec<u8>> {
        let key = self.entry_key(keyring)?;
        let payload = StoredPayload::from_bytes(self.payload.clone()?);
        let payload = payload.open(&key.derive()).ok()?;
        Some(payload.document)
    }

    /// Opens the entry and checks everything that its leaf commits to.
    pub fn open(
        &self,
        keyring: &dyn Keyring,
        statements_of: &StatementsOf<'_>,
    ) -> Result<(EntryKey, OpenedEntry), String> {
        let leaf = Leaf::decode(&self.leaf).map_err(|error| error.to_string())?;
        let key = self.entry_key(keyring).ok_or("its key is not here")?;
        let payload = self.payload.clone().ok_or("its content was erased")?;
        let payload = StoredPayload::from_bytes(payload);
        let opened =
            entry::open(&leaf, &payload, &key, statements_of).map_err(|fault| fault.to_string())?;
        Ok((key, opened))
    }
}

/// Content that is read at a time; an entry has some hundred bytes or some megabytes.
const PAGE_BYTES: usize = 16 << 20;

/// Up to `limit` entries from `from` on, fewer where they are large, and one at least if there is
/// one.
pub fn entries(state: &Connection, from: u64, limit: usize) -> rusqlite::Result<Vec<StoredEntry>> {
    let columns = entry_columns(state)?;
    let mut select = state.prepare_cached(&format!(
        "SELECT {columns} FROM entry WHERE idx >= ?1 ORDER BY idx LIMIT ?2"
    ))?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    for entry in select.query_map(params![from, limit], StoredEntry::from_row)? {
        let entry = entry?;
        bytes += entry.payload.as_ref().map_or(0, Vec::len);
        page.push(entry);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(page)
}

/// The entry at `index`.
pub fn entry(state: &Connection, index: u64) -> rusqlite::Result<Option<StoredEntry>> {
    let columns = entry_columns(state)?;
    state
        .prepare_cached(&format!("SELECT {columns} FROM entry WHERE idx = ?1"))?
        .query_row([index], StoredEntry::from_row)
        .optional()
}

/// The encoded leaf of the entry at `index`.
pub fn leaf(state: &Connection, index: u64) -> rusqlite::Result<Option<Vec<u8>>> {
    state
        .prepare_cached("SELECT leaf FROM entry WHERE idx = ?1")?
        .query_row([index], |row| row.get(0))
        .optional()
}

/// The encoded leaves of up to `limit` entries from `from` on.
pub fn leaves(state: &Connection, from: u64, limit: usize) -> rusqlite::Result<Vec<Vec<u8>>> {
    // An index is a signed number there.
    let Ok(from) = i64::try_from(from) else {
        return Ok(Vec::new());
    };
    state
        .prepare_cached("SELECT leaf FROM entry WHERE idx >= ?1 ORDER BY idx LIMIT ?2")?
        .query_map(params![from, limit], |row| row.get(0))?
        .collect()
}

/// The entry and the content hash that belong to an identity.
pub fn identity(state: &Connection, key: &[u8]) -> rusqlite::Result<Option<(u64, [u8; 32])>> {
    state
        .prepare_cached("SELECT entry, content FROM identity WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// The identity of an entry: its key and content hashes.
pub fn identity_of(
    state: &Connection,
    entry: u64,
) -> rusqlite::Result<Option<([u8; 32], [u8; 32])>> {
    state
        .prepare_cached("SELECT key, content FROM identity WHERE entry = ?1")?
        .query_row([entry], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// The name of a party; of nobody, and of one that is not known, it is empty.
pub fn party_name(state: &Connection, party: PartyId) -> rusqlite::Result<String> {
    if party == 0 {
        return Ok(String::new());
    }
    let name = state
        .prepare_cached("SELECT name FROM party WHERE id = ?1")?
        .query_row([party], |row| row.get(0))
        .optional()?;
    Ok(name.unwrap_or_default())
}

fn decode_block(row: &Row<'_>) -> rusqlite::Result<Block> {
    let bytes: Vec<u8> = row.get(0)?;
    Block::decode(&bytes).map_err(|error| damaged(error.into()))
}

/// The newest block.
pub fn last_block(state: &Connection) -> rusqlite::Result<Option<Block>> {
    state
        .prepare_cached("SELECT block FROM block ORDER BY height DESC LIMIT 1")?
        .query_row([], decode_block)
        .optional()
}

/// Up to `limit` blocks from `from` on.
pub fn blocks(state: &Connection, from: u64, limit: usize) -> rusqlite::Result<Vec<Block>> {
    state
        .prepare_cached("SELECT block FROM block WHERE height >= ?1 ORDER BY height LIMIT ?2")?
        .query_map(params![from, limit], decode_block)?
        .collect()
}

/// A node whose key is known.
#[derive(Clone, Debug)]
pub struct KnownNode {
    /// Its name when it was registered.
    pub name: String,
    /// Its Ed25519 public key.
    pub public_key: [u8; 32],
}

/// All nodes that ever registered a key.
pub fn nodes(state: &Connection) -> rusqlite::Result<Vec<KnownNode>> {
    state
        .prepare_cached("SELECT name, public_key FROM node ORDER BY since_ms, public_key")?
        .query_map([], |row| {
            Ok(KnownNode {
                name: row.get(0)?,
                public_key: row.get(1)?,
            })
        })?
        .collect()
}

/// A capture that was taken in.
#[derive(Clone, Debug)]
pub struct StoredCapture {
    /// Its id.
    pub id: String,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// How many of its events are in the ledger.
    pub events: u64,
    /// The party that captured.
    pub owner: PartyId,
    /// Whether what was refused was left out, and not everything with it.
    pub proceed: bool,
    /// What was left out: a JSON array of `LeftOut`.
    pub left_out: String,
}

impl StoredCapture {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            time_ms: row.get(1)?,
            events: row.get(2)?,
            owner: row.get(3)?,
            proceed: row.get(4)?,
            left_out: row.get(5)?,
        })
    }
}

fn capture_columns(state: &Connection) -> rusqlite::Result<&'static str> {
    Ok(if super::schema::has_access(state)? {
        "id, time_ms, entries, owner, proceed, left_out"
    } else {
        "id, time_ms, entries, 0, 0, '[]'"
    })
}

/// The capture with this id.
pub fn capture(state: &Connection, id: &str) -> rusqlite::Result<Option<StoredCapture>> {
    let columns = capture_columns(state)?;
    state
        .prepare_cached(&format!("SELECT {columns} FROM capture WHERE id = ?1"))?
        .query_row([id], StoredCapture::from_row)
        .optional()
}

/// Up to `limit` captures of a party, or of all, older than the one with the id `before`: the newest
/// first, since ids begin with their time.
pub fn captures(
    state: &Connection,
    owner: Option<PartyId>,
    before: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredCapture>> {
    let columns = capture_columns(state)?;
    // Behind every id.
    let before = before.unwrap_or("~");
    match owner {
        Some(owner) => state
            .prepare_cached(&format!(
                "SELECT {columns} FROM capture WHERE owner = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
            ))?
            .query_map(params![owner, before, limit], StoredCapture::from_row)?
            .collect(),
        None => state
            .prepare_cached(&format!(
                "SELECT {columns} FROM capture WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
            ))?
            .query_map(params![before, limit], StoredCapture::from_row)?
            .collect(),
    }
}

/// The root of the tree over the first `size` entries.
pub fn root(state: &Connection, size: u64) -> Result<Digest, ReadError> {
    let mut hashes = ledger::merkle::TileHashes::new(Tiles(state));
    ledger::merkle::root_at(&mut hashes, size)
}
