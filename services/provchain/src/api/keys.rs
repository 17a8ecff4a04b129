//! The keys of the nodes: which there are, and how one hands over to the next.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use ed25519_dalek::VerifyingKey;
use http::header;
use kit::problem::{Json, Problem, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ledger::TEXT;
use super::{Api, ApiError};
use crate::access::Caller;
use crate::ledger::cosigner;
use crate::ledger::note::{SignatureType, VerifierKey};
use crate::ledger::succession::Succession;
use crate::machine::VERSION_OF_SUBJECTS;
use crate::machine::command::keys::change::Change;
use crate::machine::command::keys::{ChangeKeys, Succeed};
use crate::machine::command::{Command, change, reply};
use crate::machine::keys::{self, NodeKey};

/// In which form.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Form {
    /// `text`, a key a line, or `json`, with all that is known of each.
    format: Format,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Format {
    #[default]
    Text,
    Json,
}

/// `GET /api/v1/keys`: the verifier keys of all nodes, one a line, those that handed over included:
/// what a reader of checkpoints has to trust. With `format=json`, all that is known of each.
pub(super) async fn keys(
    State(api): State<Api>,
    Query(form): Query<Form>,
) -> Result<Response, Problem> {
    let origin = api.founded().await?.origin;
    let known = api.read(keys::node_keys).await?;
    let internal = |error: crate::ledger::Error| ApiError::Internal(error.to_string());
    match form.format {
        Format::Text => {
            let mut text = String::new();
            for key in known {
                let key = log_key(&origin, &key.public_key).map_err(internal)?;
                text.push_str(&format!("{key}\n"));
            }
            Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
        }
        Format::Json => {
            let keys = known.iter().map(|key| key_json(&origin, key));
            let keys = keys.collect::<Result<Vec<_>, _>>().map_err(internal)?;
            Ok(Json(json!({ "origin": origin, "keys": keys })).into_response())
        }
    }
}

fn log_key(origin: &str, public_key: &[u8; 32]) -> Result<VerifierKey, crate::ledger::Error> {
    let key = VerifyingKey::from_bytes(public_key)
        .map_err(|_| crate::ledger::Error::Refused("a node's key is no point of the curve"))?;
    VerifierKey::new(origin, SignatureType::Ed25519, key)
}

fn key_json(origin: &str, key: &NodeKey) -> Result<Value, crate::ledger::Error> {
    let succession = key.succession.as_deref().map(Succession::parse);
    let succession = succession.transpose()?;
    let cosigner = key.cosigner.as_ref();
    let cosigner = cosigner.map(|cosigner| cosigner::verifier(origin, &key.node, cosigner));
    let retired = succession
        .as_ref()
        .map(|one| kit::clock::rfc3339(one.time_ms));
    Ok(json!({
        "node": key.node,
        "key": log_key(origin, &key.public_key)?.to_string(),
        "cosigner": cosigner.transpose()?.map(|cosigner| cosigner.to_string()),
        "since": kit::clock::rfc3339(key.since_ms),
        "retired": retired,
        "successor": succession.as_ref().map(|one| one.new.to_string()),
        "succession": key.succession,
    }))
}

/// `POST /api/v1/keys/rotate`: this node signs with a new key from now on.
pub(super) async fn rotate(State(api): State<Api>, caller: Caller) -> Result<Json<Value>, Problem> {
    api.require_version(VERSION_OF_SUBJECTS)?;
    // Once it has begun it goes on to its end, whether the client waits or not.
    let rotated = tokio::spawn(rotated(api, caller.name));
    let rotated = rotated
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(Json(rotated?))
}

async fn rotated(api: Api, actor: String) -> Result<Value, ApiError> {
    let _alone = api.rotating.lock().await;
    let origin = api.founded().await?.origin;
    let time_ms = kit::clock::unix_ms();
    let signer = api.signer.clone();
    let blocking = tokio::task::spawn_blocking(move || signer.prepare(&origin, time_ms));
    let failed = |reason: &dyn std::fmt::Display| ApiError::Internal(reason.to_string());
    let prepared = blocking.await.map_err(|error| failed(&error))?;
    let prepared = prepared.map_err(|error| failed(&error))?;
    let change = Change::Succeed(Succeed {
        note: prepared.note.clone(),
        cosigner: prepared.cosigner.to_vec(),
    });
    let command = Command::of(change::Change::Keys(ChangeKeys {
        time_ms,
        actor: actor.clone(),
        change: Some(change),
    }));
    let proposed = api.cluster.propose_idempotent(&command).await?;
    match proposed.reply.reply {
        Some(reply::Reply::Done(_)) => {}
        Some(reply::Reply::Refused(refused)) => return Err(ApiError::Busy(refused.reason)),
        _ => return Err(failed(&"the ledger's reply cannot be read")),
    }
    let signer = api.signer.clone();
    let settled = tokio::task::spawn_blocking(move || signer.settle()).await;
    // If the old file stays for now, the next key signs all the same.
    if let Ok(Err(error)) = settled {
        tracing::warn!(%error, "the old key could not be replaced yet");
    }
    tracing::info!(target: "audit", actor, old = prepared.old, new = prepared.new, "the node's key handed over");
    Ok(json!({
        "old": prepared.old,
        "new": prepared.new,
        "succession": prepared.note,
    }))
}
