//! A node's data folder, as [`crate::verify`] reads it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ed25519_dalek::VerifyingKey;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::wal::Mended;
use crate::ledger::Digest;
use crate::ledger::identity::{Identity, LedgerSecret};
use crate::machine::read::{self, Founded};
use crate::server::backups::{CHECKPOINT, COSIGNED};
use crate::verify::{BlockRecord, EntryRecord, LedgerReader, SubjectKeyState};

/// A ledger folder, opened for reading only.
pub(super) struct Folder {
    state: Connection,
    founded: Option<Founded>,
    /// The node's checkpoint and, in a backup, one that witnesses have cosigned before it.
    checkpoints: [PathBuf; 2],
    damage: Vec<String>,
    /// The copy that `state` reads, where SQLite would have passed over a damaged log in silence.
    _mended: Option<Mended>,
}

impl Folder {
    /// Opens the ledger in a node's data folder.
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
        let readable = mended.as_ref().map_or(&state_path, |mended| &mended.state);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        #[expect(clippy::disallowed_methods, reason = "a folder that no node runs on")]
        let state = Connection::open_with_flags(readable, flags)
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
        Ok(Self {
            state,
            founded,
            checkpoints: [CHECKPOINT, COSIGNED].map(|name| path.join(name)),
            damage,
            _mended: mended,
        })
    }

    /// The secret of the ledger's identities.
    pub(super) fn secret(&self) -> Option<LedgerSecret> {
        self.founded.as_ref().map(|founded| founded.secret.clone())
    }

    /// What is wrong with the database itself.
    pub(super) fn damage(&self) -> &[String] {
        &self.damage
    }
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

    fn subject_key(&mut self, _subject: &str) -> rusqlite::Result<SubjectKeyState> {
        // The store of subject keys is elsewhere.
        Ok(SubjectKeyState::Unavailable)
    }
}
