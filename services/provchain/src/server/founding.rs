//! Gives a new ledger its origin and its first administrator, and makes this node's key known.

use std::time::Duration;

use consensus::{Cluster, Consistency};
use kit::settings::Secret;

use crate::access::{Role, password};
use crate::api::signer::Signer;
use crate::machine::command::access::{self, ChangeAccess, PutUser};
use crate::machine::command::keys::{ChangeKeys, PutCosigner};
use crate::machine::command::{self, Command, Found, RegisterNode, change};
use crate::machine::{Ledger, SharedDirectory, VERSION_OF_ACCESS, VERSION_OF_SUBJECTS, keys, read};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// The name of the administrator that a password in the settings makes.
const ADMINISTRATOR: &str = "admin";

/// What is to be done, in this order: each once the build of all nodes knows of it.
const STEPS: [Step; 3] = [Step::Found, Step::Administer, Step::Cosign];

#[derive(Clone, Copy)]
enum Step {
    /// The ledger is founded, and the node's key known.
    Found,
    /// Somebody can administer it.
    Administer,
    /// The key is known with which the node cosigns.
    Cosign,
}

/// Runs until nothing is left to do.
pub(super) async fn run(
    cluster: Cluster<Ledger>,
    signer: Signer,
    directory: SharedDirectory,
    password: Secret,
) {
    for step in STEPS {
        loop {
            let done = match step {
                _ if cluster.unready().is_some() => Ok(false),
                Step::Found => found(&cluster, &signer).await,
                Step::Administer => administrator(&cluster, &directory, &password).await,
                Step::Cosign => cosigner(&cluster, &signer).await,
            };
            match done {
                Ok(true) => break,
                Ok(false) => {}
                Err(reason) => tracing::debug!(reason, "founding is tried again"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// One step; `true` when nothing is left to do.
async fn found(cluster: &Cluster<Ledger>, signer: &Signer) -> Result<bool, String> {
    let key = signer.public_key().map_err(|error| error.to_string())?;
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

/// Makes the key known with which this node cosigns; `true` when nothing is left to do.
async fn cosigner(cluster: &Cluster<Ledger>, signer: &Signer) -> Result<bool, String> {
    if cluster.status().version < VERSION_OF_SUBJECTS {
        return Ok(false);
    }
    let read = cluster.read(Consistency::Linearizable, keys::node_keys);
    let known = read.await.map_err(|error| error.to_string())?.value;
    let own = signer.public_keys();
    let [node, cosigner] = own.map_err(|error| error.to_string())?;
    if known
        .iter()
        .any(|key| key.public_key == node && key.cosigner == Some(cosigner))
    {
        return Ok(true);
    }
    let change = change::Change::Keys(ChangeKeys {
        time_ms: kit::clock::unix_ms(),
        actor: cluster.name().to_owned(),
        change: Some(command::keys::change::Change::PutCosigner(PutCosigner {
            node: node.to_vec(),
            cosigner: cosigner.to_vec(),
        })),
    });
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
    if password.is_empty() {
        return Ok(true);
    }
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
