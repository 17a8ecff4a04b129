//! The store: a database of its own, in which what is deleted is overwritten.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior, params};
use tokio::sync::watch;

use super::sums::Sums;
use crate::ledger::Digest;
use crate::ledger::key::{SubjectKey, WrappedKey};
use crate::machine::read::Keyring;
use crate::subject::{KeyId, Pseudonym};

/// Keys that a store holds at most.
const KEYS_MAX: u64 = 5_000_000;

const FORMAT: i64 = 1;

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its database failed.
    #[error("the store of subject keys: {0}")]
    Database(#[from] rusqlite::Error),
    /// Its file cannot be made or read.
    #[error("the store of subject keys: {0}")]
    File(#[from] std::io::Error),
    /// It is of another build.
    #[error("the store of subject keys has the format {0}, and this build knows {FORMAT}")]
    Format(i64),
    /// It is full.
    #[error("the store of subject keys is full: it holds {KEYS_MAX}")]
    Full,
}

/// Keys that a node has, and their names.
pub type KeysPage = Vec<(KeyId, SubjectKey)>;

/// The keys of subjects that a node has; cheap to clone.
#[derive(Clone)]
pub struct SubjectStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writer: Mutex<Writer>,
    reader: Mutex<KeyFile>,
    /// Grows whenever keys were added.
    added: watch::Sender<u64>,
    /// How often something could not be opened for want of a key.
    lacked: AtomicU64,
}

struct Writer {
    connection: Connection,
    sums: Sums,
    /// The generation below which a subject's keys are destroyed.
    floors: HashMap<Pseudonym, u64>,
}

impl Writer {
    fn is_destroyed(&self, id: &KeyId) -> bool {
        self.floors
            .get(&id.subject)
            .is_some_and(|floor| id.generation < *floor)
    }
}

impl SubjectStore {
    /// Opens the store at `path`, or begins one. A copy that was put back is opened like any other: what
    /// it holds of erased generations goes when it is told of them ([`destroy`](Self::destroy)), which a
    /// node does when it starts.
    ///
    /// # Errors
    /// Those of the database and its file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        private_file(path)?;
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Deleted keys are overwritten with zeros, and no old page stays behind in a journal.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "journal_mode", "TRUNCATE")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
            0 => connection.execute_batch(&format!(
                "BEGIN;
                 CREATE TABLE subject_key (
                     subject BLOB NOT NULL,
                     generation INTEGER NOT NULL,
                     id BLOB NOT NULL,
                     key BLOB NOT NULL,
                     PRIMARY KEY (subject, generation, id)
                 ) STRICT, WITHOUT ROWID;
                 PRAGMA user_version = {FORMAT};
                 COMMIT;"
            ))?,
            FORMAT => {}
            other => return Err(StoreError::Format(other)),
        }
        let mut sums = Sums::default();
        each_id(&connection, |id| sums.toggle(id, true))?;
        let reader = KeyFile::open(path)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            writer: Mutex::new(Writer {
                connection,
                sums,
                floors: HashMap::new(),
            }),
            reader: Mutex::new(reader),
            added: watch::Sender::new(0),
            lacked: AtomicU64::new(0),
        })))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> MutexGuard<'_, KeyFile> {
        self.0.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes keys in; they are on disk when this returns. Those of erased generations are refused, and a
    /// name keeps the key that it has: gives the names that are here now, with just these keys. Blocks.
    ///
    /// # Errors
    /// Those of the database; nothing was taken then.
    pub fn insert(&self, keys: &[(KeyId, SubjectKey)]) -> Result<Vec<KeyId>, StoreError> {
        let mut writer = self.writer();
        if writer.sums.count() + keys.len() as u64 > KEYS_MAX {
            return Err(StoreError::Full);
        }
        let wanted: Vec<_> = keys
            .iter()
            .filter(|(id, _)| !writer.is_destroyed(id))
            .collect();
        let (mut here, mut fresh) = (Vec::with_capacity(wanted.len()), Vec::new());
        let transaction = writer
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (id, key) in wanted {
            match stored(&transaction, id)? {
                Some(known) if known.expose() == key.expose() => here.push(*id),
                Some(_) => tracing::warn!("another key came under a name that is taken: refused"),
                None => {
                    transaction
                        .prepare_cached(
                            "INSERT INTO subject_key (subject, generation, id, key)
                             VALUES (?1, ?2, ?3, ?4)",
                        )?
                        .execute(params![id.subject.0, id.generation, id.id, key.expose()])?;
                    fresh.push(*id);
                }
            }
        }
        transaction.commit()?;
        for id in &fresh {
            writer.sums.toggle(id, true);
        }
        if !fresh.is_empty() {
            self.0.added.send_modify(|added| *added += 1);
        }
        here.extend(fresh);
        Ok(here)
    }

    /// Destroys the keys of a subject below a generation, here and in whatever comes later. Blocks.
    ///
    /// # Errors
    /// Those of the database: it is to be tried again.
    pub fn destroy(&self, subject: Pseudonym, below: u64) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let floor = writer.floors.entry(subject).or_default();
        *floor = below.max(*floor);
        let floor = *floor;
        let mut gone = Vec::new();
        let bound = params![subject.0, floor];
        let transaction = writer
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        each_row(
            &transaction,
            "SELECT subject, generation, id FROM subject_key WHERE subject = ?1 AND generation < ?2",
            bound,
            |id| gone.push(*id),
        )?;
        if gone.is_empty() {
            return Ok(());
        }
        transaction
            .prepare_cached("DELETE FROM subject_key WHERE subject = ?1 AND generation < ?2")?
            .execute(bound)?;
        transaction.commit()?;
        for id in &gone {
            writer.sums.toggle(id, false);
        }
        Ok(())
    }

    /// Whether the keys of a subject below this generation are destroyed, and refused if they come.
    #[must_use]
    pub fn is_destroyed(&self, subject: Pseudonym, below: u64) -> bool {
        let writer = self.writer();
        writer.floors.get(&subject).copied().unwrap_or(0) >= below
    }

    /// A key by its name.
    ///
    /// # Errors
    /// Those of the database.
    pub fn key(&self, id: &KeyId) -> Result<Option<SubjectKey>, StoreError> {
        Ok(self.reader().key(id)?)
    }

    /// One key of each of these subjects and generations, where there is one: the same on all nodes that
    /// have the same.
    ///
    /// # Errors
    /// Those of the database.
    pub fn first_of<'a>(
        &self,
        subjects: impl IntoIterator<Item = (&'a Pseudonym, &'a u64)>,
    ) -> Result<KeysPage, StoreError> {
        let reader = self.reader();
        let mut select = reader.0.prepare_cached(
            "SELECT id, key FROM subject_key WHERE subject = ?1 AND generation = ?2
             ORDER BY id LIMIT 1",
        )?;
        let mut found = Vec::new();
        for (subject, generation) in subjects {
            let key: Option<([u8; 16], [u8; 32])> = select
                .query_row(params![subject.0, generation], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            found.extend(key.map(|(id, key)| {
                let id = KeyId {
                    subject: *subject,
                    generation: *generation,
                    id,
                };
                (id, SubjectKey::from_random(key))
            }));
        }
        Ok(found)
    }

    /// How often something could not be opened for want of a key: if it has not grown meanwhile,
    /// nothing was left out.
    #[must_use]
    pub fn lacked(&self) -> u64 {
        self.0.lacked.load(Ordering::SeqCst)
    }

    /// Those of these keys that are not here, and are not destroyed.
    ///
    /// # Errors
    /// Those of the database.
    pub fn missing(&self, ids: impl IntoIterator<Item = KeyId>) -> Result<Vec<KeyId>, StoreError> {
        let alive: Vec<KeyId> = {
            let writer = self.writer();
            let ids = ids.into_iter();
            ids.filter(|id| !writer.is_destroyed(id)).collect()
        };
        let reader = self.reader();
        let mut missing = Vec::new();
        for id in alive {
            if reader.key(&id)?.is_none() {
                missing.push(id);
            }
        }
        Ok(missing)
    }

    /// What tells two stores apart, by parts.
    #[must_use]
    pub fn sums(&self) -> Vec<Vec<u8>> {
        self.writer().sums.encode()
    }

    /// The names of the keys in a part behind `after`, in their order.
    ///
    /// # Errors
    /// Those of the database.
    pub fn names(
        &self,
        part: u8,
        after: Option<&KeyId>,
        limit: usize,
    ) -> Result<Vec<KeyId>, StoreError> {
        let (low, high) = Sums::range(part);
        let (subject, generation, id) = after.map_or((low, 0, [0; 16]), |after| {
            (after.subject.0, after.generation, after.id)
        });
        let mut names = Vec::new();
        each_row(
            &self.reader().0,
            "SELECT subject, generation, id FROM subject_key
             WHERE (subject, generation, id) > (?1, ?2, ?3) AND subject <= ?4
             ORDER BY subject, generation, id LIMIT ?5",
            params![subject, generation, id, high, limit],
            |id| names.push(*id),
        )?;
        Ok(names)
    }

    /// Follows whether keys come.
    #[must_use]
    pub fn added(&self) -> watch::Receiver<u64> {
        self.0.added.subscribe()
    }

    /// Copies the store into a file of its own, as of one moment: the backup of the keys, which is kept
    /// apart from that of the ledger and not longer than an erasure may wait. Blocks.
    ///
    /// # Errors
    /// Those of the database; a file that is there already is not touched.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)?;
        private_file(path)?;
        let name = path.to_string_lossy();
        let source = KeyFile::open(&self.0.path)?;
        source.0.execute("VACUUM INTO ?1", [&*name])?;
        std::fs::File::open(path)?.sync_all()?;
        Ok(())
    }
}

impl Keyring for SubjectStore {
    fn keys_of(&self, wrapped: &WrappedKey) -> Option<Vec<SubjectKey>> {
        let keys = self.reader().keys_of(wrapped);
        if keys.is_none() {
            self.0.lacked.fetch_add(1, Ordering::SeqCst);
        }
        keys
    }
}

/// The file of a store, for reading only.
pub struct KeyFile(Connection);

impl KeyFile {
    /// Opens the file at `path`, which is there.
    ///
    /// # Errors
    /// Those of the database.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map(Self)
    }

    /// A key by its name.
    ///
    /// # Errors
    /// Those of the database.
    pub fn key(&self, id: &KeyId) -> rusqlite::Result<Option<SubjectKey>> {
        stored(&self.0, id)
    }
}

impl Keyring for KeyFile {
    fn keys_of(&self, wrapped: &WrappedKey) -> Option<Vec<SubjectKey>> {
        let keys = wrapped.subjects().iter().map(|subject| {
            let id = subject.parse().ok()?;
            self.key(&id)
                .inspect_err(|error| tracing::error!(%error, "a subject key cannot be read"))
                .ok()
                .flatten()
        });
        keys.collect()
    }
}

impl std::fmt::Debug for SubjectStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectStore(…)")
    }
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the store of subject keys is no replicated state: it must not keep what is deleted"
    )]
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}

/// Makes the file, or makes sure that nobody else may read the one that is there.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = std::fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

fn stored(connection: &Connection, id: &KeyId) -> rusqlite::Result<Option<SubjectKey>> {
    connection
        .prepare_cached(
            "SELECT key FROM subject_key WHERE subject = ?1 AND generation = ?2 AND id = ?3",
        )?
        .query_row(params![id.subject.0, id.generation, id.id], |row| {
            row.get(0).map(SubjectKey::from_random)
        })
        .optional()
}

fn each_id(connection: &Connection, take: impl FnMut(&KeyId)) -> rusqlite::Result<()> {
    each_row(
        connection,
        "SELECT subject, generation, id FROM subject_key",
        [],
        take,
    )
}

fn each_row(
    connection: &Connection,
    sql: &str,
    bound: impl rusqlite::Params,
    mut take: impl FnMut(&KeyId),
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(bound)?;
    while let Some(row) = rows.next()? {
        take(&KeyId {
            subject: Digest(row.get(0)?),
            generation: row.get(1)?,
            id: row.get(2)?,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
