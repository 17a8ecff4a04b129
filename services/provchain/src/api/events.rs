//! `POST /events` and `GET /events/{eventID}`.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::problem::{Json, Path, Problem};
use kit::tokens::Bearer;
use serde_json::json;

use super::capture::{WRITERS, check_headers, take_in};
use super::entries::event_response;
use super::{Api, ApiError};

/// Takes one event in.
pub(super) async fn post(
    State(api): State<Api>,
    bearer: Bearer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let claims = bearer.require_role(WRITERS)?;
    let parse = check_headers(&headers)?;
    let accepted = take_in(
        &api,
        claims.sub.clone(),
        String::new(),
        parse,
        body,
        Some(1),
    )
    .await?;
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
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let entry = api
        .entry_of(&id)
        .await?
        .ok_or_else(|| ApiError::NotFound(format!("there is no event with the id {id}")))?;
    event_response(&api, entry).await
}
