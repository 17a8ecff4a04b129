//! Gives a new ledger its origin and its first administrator, and makes this node's key known.

use std::time::Duration;

use consensus::{Cluster, Consistency};
use ed25519_dalek::VerifyingKey;
use kit::settings::Secret;

use crate::access::{Role, password};
use crate::machine::command::access::{self, ChangeAccess, PutUser};
use crate::machine::command::{Command, Found, RegisterNode, change};
use crate::machine::{Ledger, SharedDirectory, VERSION_OF_ACCESS, read};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// The name of the administrator that a password in the settings makes.
const ADMINISTRATOR: &str = "admin";

/// Runs until the ledger is founded, the key is known, and somebody can administer it.
pub(super) async fn run(
    cluster: Cluster<Ledger>,
    key: VerifyingKey,
    directory: SharedDirectory,
    password: Secret,
) {
    let mut founded = false;
    loop {
        let done = if cluster.unready().is_some() {
            Ok(false)
        } else if founded {
            administrator(&cluster, &directory, &password).await
        } else {
            step(&cluster, &key).await
        };
        match done {
            Ok(true) if founded || password.is_empty() => return,
            Ok(true) => founded = true,
            Ok(false) => {}
            Err(reason) => tracing::debug!(reason, "founding is tried again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One step; `true` when nothing is left to do.
async fn step(cluster: &Cluster<Ledger>, key: &VerifyingKey) -> Result<bool, String> {
    let public_key = key.to_bytes();
    let read = cluster.read(Consistency::Linearizable, move |state| {
        let founded = read::founded(state)?.is_some();
        let known = read::nodes(state)?
            .iter()
            .any(|node| node.public_key == public_key);
        Ok((founded, known))
    });
    let (founded, known) = read.await.map_err(|error| error.to_string())?.value;
    let change = if !founded {
        if !cluster.leads() {
            return Ok(false);
        }
        change::Change::Found(Found {
            // Unique for ever: a witness of two ledgers can tell them apart.
            origin: format!("provchain/{}/{}", cluster.status().network, cluster.id()),
            secret: rand::random::<[u8; 32]>().to_vec(),
        })
    } else if !known {
        change::Change::RegisterNode(RegisterNode {
            name: cluster.name().to_owned(),
            public_key: public_key.to_vec(),
            time_ms: kit::clock::unix_ms(),
        })
    } else {
        return Ok(true);
    };
    // Founding twice founds once, and so does registering.
    cluster
        .propose_idempotent(&Command::of(change))
        .await
        .map_err(|error| error.to_string())?;
    Ok(false)
}

/// Makes the first administrator, unless there are users already; `true` when nothing is left to do.
async fn administrator(
    cluster: &Cluster<Ledger>,
    directory: &SharedDirectory,
    password: &Secret,
) -> Result<bool, String> {
    if cluster.status().version < VERSION_OF_ACCESS {
        return Ok(false);
    }
    if !directory.now().users.is_empty() {
        return Ok(true);
    }
    if !cluster.leads() {
        return Ok(false);
    }
    let password = password.clone();
    let hashed = tokio::task::spawn_blocking(move || {
        password::hash(password.expose(), &rand::random()).map_err(|error| error.to_string())
    });
    let hash = hashed.await.map_err(|error| error.to_string())??;
    let change = change::Change::Access(ChangeAccess {
        time_ms: kit::clock::unix_ms(),
        actor: cluster.name().to_owned(),
        change: Some(access::change::Change::PutUser(PutUser {
            name: ADMINISTRATOR.to_owned(),
            role: Some(Role::Admin.to_string()),
            password: Some(hash),
            new: true,
            // Another leader may have been faster.
            first: true,
            ..PutUser::default()
        })),
    });
    cluster
        .propose(&Command::of(change))
        .await
        .map_err(|error| error.to_string())?;
    Ok(false)
}
