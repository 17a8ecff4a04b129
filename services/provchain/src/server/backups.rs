//! Backups of the ledger, and apart from them those of the keys of subjects.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use consensus::{Cluster, Consistency, DatabaseBackup, StateBackup};
use kit::backup::{Job, Source, SourceError, Turn, run_schedule};
use kit::health::Health;
use kit::shutdown::Shutdown;
use serde_json::{Map, Value};

use crate::api::signer::Signer;
use crate::backup::statement;
use crate::ledger::Digest;
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::machine::{Ledger, keys, read};
use crate::settings::Settings;

/// Whose backups these are.
pub const SERVICE: &str = "provchain";
/// The keys of subjects are nobody else's.
pub const KEY_SERVICE: &str = "provchain-keys";

/// The checkpoint over all entries of the backup, as in a node's data directory.
pub const CHECKPOINT: &str = "checkpoint";
/// An earlier checkpoint, with the cosignatures of witnesses that the last one has not got yet.
pub const COSIGNED: &str = "checkpoint-cosigned";
/// The node's statement of all rows.
pub const STATEMENT: &str = "backup.note";

/// The database of the keys of subjects, in the data directory.
#[must_use]
pub fn key_store(settings: &Settings) -> PathBuf {
    settings.data_dir.join("subjects.db")
}

/// The ledger of a node: its state, a checkpoint over it, and the node's word for the rest of it.
/// Without the node's key, which no backup holds, and the index, which a node makes again.
pub struct LedgerBackup {
    state: StateBackup,
    data_dir: PathBuf,
    /// The node's key; whoever only restores has none.
    signer: Option<Signer>,
}

impl LedgerBackup {
    /// The ledger of the node with these settings.
    ///
    /// # Errors
    /// What keeps the machine from being known.
    pub fn of(settings: &Settings, signer: Option<Signer>) -> std::io::Result<Self> {
        Ok(Self {
            state: StateBackup::of::<Ledger>(&settings.node_config(None))?,
            data_dir: settings.data_dir.clone(),
            signer,
        })
    }

    /// Writes the checkpoint over the entries: the node's own if it is of these, with all that
    /// witnesses have said of it.
    fn write_checkpoint(
        &self,
        into: &Path,
        signer: &Signer,
        checkpoint: &Checkpoint,
    ) -> Result<(), SourceError> {
        let kept = std::fs::read_to_string(self.data_dir.join(CHECKPOINT)).ok();
        let kept = kept.and_then(|note| SignedCheckpoint::parse(&note).ok());
        if let Some(kept) = &kept
            && kept.checkpoint().same_tree(checkpoint)
        {
            std::fs::write(into.join(CHECKPOINT), kept.to_string())?;
            return Ok(());
        }
        let Checkpoint {
            origin, size, root, ..
        } = checkpoint;
        std::fs::write(
            into.join(CHECKPOINT),
            signer.checkpoint(origin, *size, *root)?,
        )?;
        if let Some(kept) = kept
            && kept.checkpoint().origin == *origin
            && kept.checkpoint().size < *size
            && kept.note().signatures().len() > 1
        {
            std::fs::write(into.join(COSIGNED), kept.to_string())?;
        }
        Ok(())
    }
}

impl Source for LedgerBackup {
    fn snapshot(&self, into: &Path) -> Result<Map<String, Value>, SourceError> {
        let signer = self.signer.as_ref().ok_or("the node's key is not here")?;
        let mut fields = self.state.snapshot(into)?;
        let state = StateBackup::database(into)?;
        let founded = read::founded(&state)?.ok_or("the ledger has not been founded yet")?;
        let key = signer.public_key()?.to_bytes();
        let known = read::nodes(&state)?;
        if !known.iter().any(|node| node.public_key == key) {
            return Err("the ledger does not know this node's key yet: try again".into());
        }
        if keys::retired(&state)?.contains_key(&key) {
            return Err("this node's key has just handed over: try again".into());
        }
        let root = read::root(&state, founded.size)?;
        let checkpoint = Checkpoint::new(&founded.origin, founded.size, root)?;
        self.write_checkpoint(into, signer, &checkpoint)?;
        let rows = digest(&fields).ok_or("the state has no digest")?;
        let statement = statement(&founded.origin, rows);
        std::fs::write(into.join(STATEMENT), signer.declare(&statement)?)?;
        fields.insert("origin".into(), founded.origin.into());
        fields.insert("size".into(), founded.size.into());
        fields.insert("root".into(), root.to_base64().into());
        Ok(fields)
    }

    fn verify(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        self.state.verify(folder, fields)
    }

    fn complete(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        // The rows are others from here on: the members are.
        std::fs::remove_file(folder.join(STATEMENT))?;
        self.state.complete(folder, fields)
    }
}

/// The digest of all rows, as the manifest says it.
#[must_use]
pub fn digest(fields: &Map<String, Value>) -> Option<Digest> {
    let bytes = hex::decode(fields.get("digest")?.as_str()?).ok()?;
    Some(Digest(bytes.try_into().ok()?))
}

/// Makes the backups that are due for as long as the node lives: those of the ledger and those of the
/// keys, each if it has a target. The node that leads makes them.
pub(super) async fn run(
    cluster: Cluster<Ledger>,
    signer: Signer,
    settings: Settings,
    health: Health,
    shutdown: Shutdown,
) {
    if let Err(error) = schedules(cluster, signer, settings, health, shutdown).await {
        tracing::error!(%error, "no backups are made");
    }
}

async fn schedules(
    cluster: Cluster<Ledger>,
    signer: Signer,
    settings: Settings,
    health: Health,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let left = consensus::backup_scratch(&settings.data_dir);
    if let Err(error) = kit::backup::clear_scratch(&left) {
        tracing::warn!(%error, "what a killed command left behind stays");
    }
    let folder = |name| settings.data_dir.join(name);
    let ledger = Arc::new(LedgerBackup::of(&settings, Some(signer))?);
    let ledger = job(&settings, SERVICE, ledger, folder("backup"));
    let store = key_store(&settings);
    let keys = Arc::new(DatabaseBackup::of(&store)?);
    let keys = job(&settings, KEY_SERVICE, keys, folder("key-backup"));
    let turn: Turn = Arc::new(move || Box::pin(has_turn(cluster.clone())));
    let key_turn: Turn = {
        let turn = Arc::clone(&turn);
        Arc::new(move || {
            // Nobody has had keys until there are some.
            let (turn, exists) = (turn(), store.exists());
            Box::pin(async move { exists && turn.await })
        })
    };
    let (ledger, keys) = tokio::join!(
        run_schedule(ledger, turn, &health, shutdown.clone()),
        run_schedule(keys, key_turn, &health, shutdown),
    );
    Ok(ledger.and(keys)?)
}

/// The backups of a node that are of `service`, by way of the folder `scratch`.
#[must_use]
pub fn job(settings: &Settings, service: &str, source: Arc<dyn Source>, scratch: PathBuf) -> Job {
    Job {
        settings: match service {
            KEY_SERVICE => settings.key_backup.beside(&settings.backup),
            _ => settings.backup.clone(),
        },
        environment: kit::settings::Sources::of_process(None, Vec::new()).environment,
        source,
        service: service.to_owned(),
        node: settings.node_name.clone(),
        scratch,
    }
}

/// Whether this node leads, of a ledger that has been founded.
async fn has_turn(cluster: Cluster<Ledger>) -> bool {
    if !cluster.leads() || cluster.unready().is_some() {
        return false;
    }
    let read = cluster.read(Consistency::Local { age_max: None }, |state| {
        Ok(read::founded(state)?.is_some() && !read::nodes(state)?.is_empty())
    });
    read.await.is_ok_and(|read| read.value)
}
