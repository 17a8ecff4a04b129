//! Entries of the ledger, and the events in them.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use kit::problem::{Json, Path, Problem};
use serde_json::{Value, json};

use super::{Api, ApiError, Shared};
use crate::access::Caller;
use crate::ledger::leaf::Leaf;
use crate::ledger::payload::ContentType;
use crate::machine::read::{self, Keyring, StoredEntry};

impl Shared {
    pub(super) async fn stored(&self, index: u64) -> Result<StoredEntry, ApiError> {
        self.read(move |state| read::entry(state, index))
            .await?
            .ok_or_else(|| ApiError::NotFound(format!("there is no entry {index}")))
    }
}

/// What the tree holds of an entry.
pub(super) async fn entry(
    State(api): State<Api>,
    Path(index): Path<u64>,
) -> Result<Json<Value>, Problem> {
    let stored = api.stored(index).await?;
    let leaf = Leaf::decode(&stored.leaf).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(Json(json!({
        "index": index,
        "leafHash": leaf.hash(),
        "time": kit::clock::rfc3339(leaf.time_ms),
        "submitterCommitment": leaf.submitter,
        "statementRoot": leaf.statement_root,
        "statementCount": leaf.statement_count,
        "payloadHash": leaf.payload_hash,
        "erased": stored.key.is_none(),
    })))
}

/// The event of an entry, as it was captured.
pub(super) async fn event(
    State(api): State<Api>,
    caller: Caller,
    Path(index): Path<u64>,
) -> Result<Response, Problem> {
    event_response(&api, &caller, index).await
}

pub(super) async fn event_response(
    api: &Api,
    caller: &Caller,
    index: u64,
) -> Result<Response, Problem> {
    let stored = api.stored(index).await?;
    let seen = caller.viewer.sees(stored.access);
    if seen {
        api.keeper.fetch_for(std::slice::from_ref(&stored)).await;
    }
    let keys = api.keeper.store().clone();
    // Opened in any case: how long that takes tells nobody whether it is theirs to read.
    let opened = tokio::task::spawn_blocking(move || (stored.document(&keys), stored));
    let (document, stored) = opened.await.map_err(Problem::internal)?;
    if !seen {
        return Err(hidden(index).into());
    }
    let document = document.ok_or_else(|| unreadable(&stored, api.keeper.store()))?;
    let kind = HeaderValue::from_static(ContentType::JsonLd.media_type());
    // Whoever asked by an eventID learns which entry it is: proofs are asked for by entry.
    let place = HeaderValue::from_str(&format!("/api/v1/entries/{index}/event"))
        .map_err(Problem::internal)?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_LOCATION, place),
    ];
    Ok((headers, document).into_response())
}

/// The canonical statements of an entry, in their order: each can be disclosed by itself, under its
/// index.
pub(super) async fn statements(
    State(api): State<Api>,
    caller: Caller,
    Path(index): Path<u64>,
) -> Result<Json<Value>, Problem> {
    let stored = api.stored(index).await?;
    let seen = caller.viewer.sees(stored.access);
    let turn = api.query_turn().await?;
    if seen {
        api.keeper.fetch_for(std::slice::from_ref(&stored)).await;
    }
    let keys = api.keeper.store().clone();
    let opened = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let opened = stored.opened(&keys, &crate::epcis::Limits::stored());
        (opened, stored)
    });
    let (opened, stored) = opened.await.map_err(Problem::internal)?;
    if !seen {
        return Err(hidden(index).into());
    }
    let (_, entry) = opened.map_err(|_| unreadable(&stored, api.keeper.store()))?;
    Ok(Json(
        json!({ "index": index, "statements": entry.statements }),
    ))
}

/// What whoever may not read an entry is told, whether it was erased or not.
fn hidden(index: u64) -> ApiError {
    ApiError::NotFound(format!(
        "the content of entry {index} is not for you, or not there"
    ))
}

/// Why an entry cannot be opened, for those who may read it.
pub(super) fn unreadable(stored: &StoredEntry, keys: &dyn Keyring) -> ApiError {
    let index = stored.index;
    if stored.key.is_none() {
        return ApiError::Erased(index);
    }
    if stored.is_locked(keys) {
        return ApiError::Locked(index);
    }
    ApiError::Internal(format!("entry {index} is damaged"))
}
