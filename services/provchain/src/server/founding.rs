//! Gives a new ledger its origin, and makes this node's key known.

use std::time::Duration;

use consensus::{Cluster, Consistency};
use ed25519_dalek::VerifyingKey;

use crate::machine::command::{Command, Found, RegisterNode, change};
use crate::machine::{Ledger, read};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs until the ledger is founded and the key is known.
pub(super) async fn run(cluster: Cluster<Ledger>, key: VerifyingKey) {
    loop {
        match step(&cluster, &key).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(reason) => tracing::debug!(reason, "founding is tried again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One step; `true` when nothing is left to do.
async fn step(cluster: &Cluster<Ledger>, key: &VerifyingKey) -> Result<bool, String> {
    if cluster.unready().is_some() {
        return Ok(false);
    }
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
