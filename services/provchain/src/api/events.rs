//! `POST /events` and `GET /events/{eventID}`.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::problem::{Json, Path, Problem};
use serde_json::json;

use super::capture::{Asked, NewCapture, take_in};
use super::entries::event_response;
use super::{Api, ApiError};
use crate::access::Caller;
use crate::index::entries_of;

/// Takes one event in.
pub(super) async fn post(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let mut asked = Asked::read(&api, &headers)?;
    // Without its only event nothing is left to take.
    asked.proceed = false;
    let capture = NewCapture {
        id: String::new(),
        asked,
        body,
        events_max: Some(1),
    };
    let accepted = take_in(&api, caller, capture).await?.accepted;
    let Some(entry) = accepted.entries.first() else {
        return Err(Problem::bad_request("there is no event in the document"));
    };
    let location = HeaderValue::from_str(&format!("/api/v1/entries/{entry}/event"))
        .map_err(Problem::internal)?;
    let receipt = json!({ "entry": entry, "treeSize": accepted.size });
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(receipt)).into_response())
}

/// The event with an `eventID`.
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    api.indexed().await?;
    let (wanted, viewer) = (id.clone(), caller.viewer.clone());
    let found = api
        .index
        .read(move |index| entries_of(index, &wanted, &viewer))
        .await
        .map_err(ApiError::from)?;
    let entry = found.first().copied();
    let entry =
        entry.ok_or_else(|| ApiError::NotFound(format!("there is no event with the id {id}")))?;
    event_response(&api, &caller, entry).await
}
