//! The state outside of its node: copied beside it, examined where the copy lies, and made the
//! beginning of another cluster's.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use super::files::{self, state_path};
use super::{Position, digest, meta, snapshot};
use crate::database::{self, Role};
use crate::machine::MachineKind;
use crate::raft::{LogId, Membership, StoredMembership};

/// The copy of a state, as it was found to be.
pub(crate) struct Examined {
    pub position: Position,
    pub last: LogId,
    pub digest: [u8; 32],
}

/// How often the state is looked for: a follower's may be replaced at any moment.
const TRIES: u32 = 3;

/// Copies the state of the node in `data_dir`, which may be running, into the empty folder `into`, in
/// the places where a node has it.
pub(crate) fn copy(kind: &MachineKind, data_dir: &Path, into: &Path) -> Result<Examined> {
    let dir = into.join("state");
    fs::create_dir(&dir)?;
    let name = files::file_name(1);
    let path = dir.join(&name);
    let mut tries = 1;
    let source = loop {
        let current = state_path(data_dir)?;
        match database::open(&current, Role::Reader) {
            Ok(source) => break source,
            Err(_) if tries < TRIES => tries += 1,
            Err(error) => {
                return Err(Error::other(format!("{}: {error}", current.display())));
            }
        }
    };
    snapshot::copy(&source, &path)?;
    // A write-ahead log would have to be written for the file to be read.
    drop(database::open(&path, Role::Copy).map_err(Error::other)?);
    kit::fsync::write_new(&dir.join("current"), name.as_bytes())?;
    examine(kind, into)
}

/// Looks at the copy in `folder`, without changing a byte: refuses one that is damaged, of another
/// system, or of a newer build.
pub(crate) fn examine(kind: &MachineKind, folder: &Path) -> Result<Examined> {
    let path = state_path(folder)?;
    let named = |error: Error| meta::named("the state", &path, &error);
    if path.with_extension("db-wal").exists() {
        let reason = "there is a write-ahead log beside it, which no backup has";
        return Err(named(Error::other(reason)));
    }
    let state = database::open(&path, Role::Reader)
        .map_err(Error::other)
        .map_err(named)?;
    let position = kind.check(&state).map_err(named)?;
    let sound: String = state
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(Error::other)?;
    if sound != "ok" {
        return Err(named(Error::new(ErrorKind::InvalidData, sound)));
    }
    let last = position
        .applied
        .ok_or_else(|| named(Error::other("nothing has been applied to it")))?;
    let digest = digest(&state).map_err(Error::other).map_err(named)?;
    Ok(Examined {
        position,
        last,
        digest,
    })
}

/// Makes the examined copy in `folder` the state of a cluster with these members; `cluster` is the
/// one that it is of. Gives the entry behind which it goes on.
pub(crate) fn begin_anew(folder: &Path, members: Membership, cluster: &str) -> Result<LogId> {
    let path = state_path(folder)?;
    let mut state = database::open(&path, Role::Copy).map_err(Error::other)?;
    let Position {
        applied,
        mut restored_from,
        ..
    } = meta::position(&state)?;
    let last = applied.ok_or_else(|| Error::other("nothing has been applied to the state"))?;
    restored_from.push(cluster.to_owned());
    let transaction = state.transaction().map_err(Error::other)?;
    meta::put_membership(&transaction, &StoredMembership::new(Some(last), members))
        .and_then(|()| meta::put_restored_from(&transaction, &restored_from))
        .and_then(|()| transaction.commit())
        .map_err(Error::other)?;
    Ok(last)
}
