//! What of a node is backed up, and how a cluster begins anew from it.
//!
//! A backup holds the state, as of one moment, in one file that is read without being changed. It
//! holds nothing of what the members promised each other: a node that is restored is the first
//! member of another cluster, which goes on behind the last entry that the backup has applied.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Error;
use std::path::{Path, PathBuf};

use kit::backup::{Source, SourceError};
use prost::Message as _;
use serde_json::{Map, Value};

use crate::codec;
use crate::database::{self, Role};
use crate::disk::Disk;
use crate::formation::new_cluster_id;
use crate::identity::Identity;
use crate::log::{LogIo as _, SqliteLog};
use crate::machine::{Machine, MachineKind};
use crate::raft::{LogId, Member, Membership, Vote};
use crate::settings::NodeConfig;
use crate::state::{backup as state, state_path};

/// The replicated state of a node, as a source of backups.
///
/// It is copied out of the data directory, beside the node that may be running there. What is
/// restored is a data directory for the node that the configuration describes: the only member of a
/// new cluster.
pub struct StateBackup {
    kind: MachineKind,
    data_dir: PathBuf,
    member: Member,
    headroom: u64,
}

impl StateBackup {
    /// The state of the node `config`, which runs the machine `M`.
    ///
    /// # Errors
    /// A machine with more versions than can be counted.
    pub fn of<M: Machine>(config: &NodeConfig) -> std::io::Result<Self> {
        Ok(Self {
            kind: MachineKind::of::<M>()?,
            data_dir: config.data_dir.clone(),
            member: Member {
                name: config.name.clone(),
                address: config.address.clone(),
            },
            headroom: config.settings.disk_headroom_bytes,
        })
    }

    /// The database in the folder of a backup.
    ///
    /// # Errors
    /// A folder that holds no state.
    pub fn database(folder: &Path) -> std::io::Result<rusqlite::Connection> {
        let path = state_path(folder)?;
        database::open(&path, Role::Reader).map_err(Error::other)
    }

    fn make_room(&self) -> Result<(), SourceError> {
        let path = state_path(&self.data_dir)?;
        let bytes = std::fs::metadata(path)?.len();
        let room = Disk::new(&self.data_dir, self.headroom).spare_for(bytes);
        room.map_err(|reason| format!("there is no room for a copy of the state: {reason}").into())
    }
}

impl Source for StateBackup {
    fn snapshot(&self, into: &Path) -> Result<Map<String, Value>, SourceError> {
        let cluster = Identity::load(&self.data_dir, self.kind.system)
            .map_err(|error| format!("{}: {error}", self.data_dir.display()))?
            .cluster
            .ok_or("this node belongs to no cluster yet: there is nothing to back up")?;
        self.make_room()?;
        let copied = state::copy(&self.kind, &self.data_dir, into)?;
        let mut fields = told(self.kind.system, &copied);
        fields.insert("cluster".into(), cluster.into());
        Ok(fields)
    }

    fn verify(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        let found = told(self.kind.system, &state::examine(&self.kind, folder)?);
        for (name, value) in &found {
            let announced = fields.get(name).unwrap_or(&Value::Null);
            if announced != value {
                let reason = format!("its {name} is {value}, and the manifest says {announced}");
                return Err(reason.into());
            }
        }
        Ok(())
    }

    fn complete(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        let cluster = fields.get("cluster").and_then(Value::as_str);
        let cluster = cluster.ok_or("the manifest does not say which cluster it is of")?;
        let mut identity = Identity::new(self.kind.system);
        identity.cluster = Some(new_cluster_id());
        identity.member = true;
        let members = Membership::new(
            vec![BTreeSet::from([identity.id])],
            BTreeMap::from([(identity.id, self.member.clone())]),
        )
        .map_err(Error::other)?;
        let last = state::begin_anew(folder, members, cluster)?;
        begin_log(&folder.join("log.db"), &identity.log_owner(), last)?;
        identity.save(folder)?;
        kit::fsync::directory(folder)?;
        Ok(())
    }
}

/// What the manifest says of a copy.
fn told(system: &str, copy: &state::Examined) -> Map<String, Value> {
    let fields: [(&str, Value); 5] = [
        ("system", system.into()),
        ("machine_version", copy.position.version.into()),
        ("applied_index", copy.last.index.into()),
        ("applied_term", copy.last.leader_id.term.into()),
        ("digest", hex::encode(copy.digest).into()),
    ];
    Map::from_iter(fields.map(|(name, value)| (name.to_owned(), value)))
}

/// Makes a log that goes on behind `last`. Its vote is that of the leadership that `last` is of: one
/// without a vote would be older than its state, and could take entries of terms that are over.
fn begin_log(path: &Path, owner: &str, last: LogId) -> std::io::Result<()> {
    let vote = Vote {
        leader_id: last.leader_id,
        committed: true,
    };
    let mut log = SqliteLog::open(path, owner)?;
    log.save_vote(&codec::vote_to_wire(&vote).encode_to_vec())?;
    let purged = codec::log_id_to_wire(&last).encode_to_vec();
    log.purge(last.index, &purged)?;
    log.sync()?;
    drop(log);
    // Opening it moves what is beside it into the file.
    SqliteLog::open_existing(path, owner).map(drop)
}

/// One SQLite database that a service keeps beside its replicated state, as a source of backups.
pub struct DatabaseBackup {
    path: PathBuf,
    file_name: String,
}

impl DatabaseBackup {
    /// The database at `path`, which may be in use.
    ///
    /// # Errors
    /// A path without a name.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::other("the path names no file"))?;
        Ok(Self {
            path: path.to_owned(),
            file_name: name.to_owned(),
        })
    }
}

impl Source for DatabaseBackup {
    fn snapshot(&self, into: &Path) -> Result<Map<String, Value>, SourceError> {
        let source = database::open(&self.path, Role::Reader)
            .map_err(|error| format!("{}: {error}", self.path.display()))?;
        let transaction = source.unchecked_transaction()?;
        // A transaction begins with its first read.
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        let copy = into.join(&self.file_name);
        database::copy(&transaction, &copy)?;
        drop(database::open(&copy, Role::Copy)?);
        let digest = hex::encode(crate::digest(&database::open(&copy, Role::Reader)?)?);
        Ok(Map::from_iter([("digest".to_owned(), digest.into())]))
    }

    fn verify(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        let path = folder.join(&self.file_name);
        let copy = database::open(&path, Role::Reader)
            .map_err(|error| format!("{}: {error}", self.file_name))?;
        let sound: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if sound != "ok" {
            return Err(format!("{}: {sound}", self.file_name).into());
        }
        let digest = Value::from(hex::encode(crate::digest(&copy)?));
        if fields.get("digest") != Some(&digest) {
            return Err(format!("{} holds other rows than were backed up", self.file_name).into());
        }
        Ok(())
    }
}
