//! A node's data folder, as [`crate::verify`] reads it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ed25519_dalek::VerifyingKey;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::wal::Mended;
use crate::keys::KeyFile;
use crate::ledger::Digest;
use crate::ledger::identity::{Identity, LedgerSecret};
use crate::machine::read::{self, Founded, Keyring, StoredEntry};
use crate::machine::{keys, subjects};
use crate::server::backups::{CHECKPOINT, COSIGNED};
use crate::subject::KeyId;
use crate::verify::{BlockRecord, EntryRecord, LedgerReader, SubjectKeyState};

/// A ledger folder, opened for reading only.
pub(super) struct Folder {
    state: Connection,
    founded: Option<Founded>,
    /// The node's checkpoint and, in a backup, one that witnesses have cosigned before it.
    checkpoints: [PathBuf; 2],
    damage: Vec<String>,
    /// The keys of subjects, where they lie beside the ledger.
    subject_keys: Option<KeyFile>,
    /// The copy that `state` reads, where there is a log beside the database.
    _mended: Option<Mended>,
}

impl Folder {
    /// Opens the ledger in a node's data folder, and changes nothing in it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let state_path = consensus::state_path(path)
            .with_context(|| format!("{} holds no ledger", path.display()))?;
        let mut damage = Vec::new();
        let wal = super::wal::check(&state_path)
            .with_context(|| format!("cannot read the log beside {}", state_path.display()))?;
        let mended = match wal {
            Some(wal) => {
                damage.extend(wal.damage);
                Some(wal.mended)
            }
            None => None,
        };
        let address = match &mended {
            Some(mended) => address(&mended.state),
            // Without a log there is nothing to share, and no file is made beside the database.
            None => format!("{}?immutable=1", address(&state_path)),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        #[expect(clippy::disallowed_methods, reason = "a folder that no node runs on")]
        let state = Connection::open_with_flags(address, flags)
            .with_context(|| format!("cannot open {}", state_path.display()))?;
        let checked: Vec<String> = match integrity(&state) {
            Ok(checked) => checked,
            Err(error) => vec![error.to_string()],
        };
        damage.extend(
            checked
                .into_iter()
                .filter(|line| line != "ok")
                .map(|line| format!("{}: {line}", super::verify::shown(&state_path))),
        );
        let founded = match read::founded(&state) {
            Ok(founded) => founded,
            Err(error) => {
                damage.push(format!("{}: {error}", super::verify::shown(&state_path)));
                None
            }
        };
        let keys = path.join("subjects.db");
        Ok(Self {
            state,
            founded,
            checkpoints: [CHECKPOINT, COSIGNED].map(|name| path.join(name)),
            damage,
            subject_keys: keys.exists().then(|| KeyFile::open(&keys).ok()).flatten(),
            _mended: mended,
        })
    }

    /// The secret of the ledger's identities.
    pub(super) fn secret(&self) -> Option<LedgerSecret> {
        self.founded.as_ref().map(|founded| founded.secret.clone())
    }

    /// The notes by which keys of nodes handed over.
    pub(super) fn successions(&self) -> Vec<String> {
        keys::successions(&self.state).unwrap_or_default()
    }

    /// Up to `limit` entries from `from` on, fewer where they are large.
    pub(super) fn stored(&self, from: u64, limit: usize) -> rusqlite::Result<Vec<StoredEntry>> {
        read::entries(&self.state, from, limit)
    }

    /// The keys of subjects, as far as they are there.
    pub(super) fn keyring(&self) -> &dyn Keyring {
        match &self.subject_keys {
            Some(keys) => keys,
            None => &(),
        }
    }

    /// The encoded leaves of up to `limit` entries from `from` on.
    pub(super) fn leaves(&self, from: u64, limit: usize) -> rusqlite::Result<Vec<Vec<u8>>> {
        read::leaves(&self.state, from, limit)
    }

    /// What is wrong with the database itself.
    pub(super) fn damage(&self) -> &[String] {
        &self.damage
    }
}

/// The path as SQLite reads it in a URI: every byte that could mean something there is escaped.
fn address(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.fold("file:".to_owned(), |mut address, byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            address.push(char::from(*byte));
        } else {
            address.push('%');
            address.push_str(&hex::encode([*byte]));
        }
        address
    })
}

fn integrity(state: &Connection) -> rusqlite::Result<Vec<String>> {
    state
        .prepare("PRAGMA integrity_check(10)")?
        .query_map([], |row| row.get(0))?
        .collect()
}

impl LedgerReader for Folder {
    type Error = rusqlite::Error;

    fn origin(&mut self) -> rusqlite::Result<String> {
        Ok(self
            .founded
            .as_ref()
            .map(|founded| founded.origin.clone())
            .unwrap_or_default())
    }

    fn size(&mut self) -> rusqlite::Result<u64> {
        Ok(self.founded.as_ref().map_or(0, |founded| founded.size))
    }

    fn node_keys(&mut self) -> rusqlite::Result<Vec<VerifyingKey>> {
        let nodes = read::nodes(&self.state)?;
        Ok(nodes
            .iter()
            .filter_map(|node| VerifyingKey::from_bytes(&node.public_key).ok())
            .collect())
    }

    fn checkpoints(&mut self) -> rusqlite::Result<Vec<String>> {
        let notes = self.checkpoints.iter().map(std::fs::read_to_string);
        Ok(notes.flatten().collect())
    }

    fn entries(&mut self, from: u64, limit: usize) -> rusqlite::Result<Vec<EntryRecord>> {
        let mut records = Vec::new();
        // A page may hold less than was asked for, and here only the end of the ledger does.
        let mut page = read::entries(&self.state, from, limit)?;
        while let Some(last) = page.last().map(|entry| entry.index)
            && page.len() < limit
        {
            let more = read::entries(&self.state, last + 1, limit - page.len())?;
            if more.is_empty() {
                break;
            }
            page.extend(more);
        }
        for entry in page {
            let identity =
                read::identity_of(&self.state, entry.index)?.map(|(key, content)| Identity {
                    key: Digest(key),
                    content: Digest(content),
                });
            records.push(EntryRecord {
                index: entry.index,
                leaf: entry.leaf,
                payload: entry.payload,
                key: entry.key,
                identity,
                owner: read::party_name(&self.state, entry.access.owner)?,
            });
        }
        Ok(records)
    }

    fn blocks(&mut self, from: u64, limit: usize) -> rusqlite::Result<Vec<BlockRecord>> {
        self.state
            .prepare_cached(
                "SELECT height, block FROM block WHERE height >= ?1 ORDER BY height LIMIT ?2",
            )?
            .query_map(params![from, limit], |row| {
                Ok(BlockRecord {
                    height: row.get(0)?,
                    block: row.get(1)?,
                })
            })?
            .collect()
    }

    fn tile(&mut self, level: u8, index: u64) -> rusqlite::Result<Option<Vec<u8>>> {
        self.state
            .prepare_cached("SELECT hashes FROM tile WHERE level = ?1 AND idx = ?2")?
            .query_row(params![level, index], |row| row.get(0))
            .optional()
    }

    fn tile_count(&mut self) -> rusqlite::Result<u64> {
        self.state
            .query_row("SELECT count(*) FROM tile", [], |row| row.get(0))
    }

    fn identities(
        &mut self,
        after: Option<(Digest, u64)>,
        limit: usize,
    ) -> rusqlite::Result<Vec<(Digest, u64)>> {
        let (key, entry) = after.map_or((Vec::new(), 0), |(key, entry)| (key.0.to_vec(), entry));
        self.state
            .prepare_cached(
                "SELECT key, entry FROM identity WHERE (key, entry) > (?1, ?2) ORDER BY key, entry LIMIT ?3",
            )?
            .query_map(params![key, entry, limit], |row| Ok((Digest(row.get(0)?), row.get(1)?)))?
            .collect()
    }

    fn subject_key(&mut self, subject: &str) -> rusqlite::Result<SubjectKeyState> {
        let Ok(id) = subject.parse::<KeyId>() else {
            return Ok(SubjectKeyState::Unavailable);
        };
        let wanted = BTreeSet::from([id.subject]);
        let now = subjects::generations(&self.state, &wanted)?;
        if now.values().any(|generation| id.generation < *generation) {
            return Ok(SubjectKeyState::Destroyed);
        }
        // A store that cannot be read has no key for us: what it would open is locked.
        let key = self
            .subject_keys
            .as_ref()
            .and_then(|keys| keys.key(&id).ok()?);
        Ok(key.map_or(SubjectKeyState::Unavailable, SubjectKeyState::Known))
    }
}
