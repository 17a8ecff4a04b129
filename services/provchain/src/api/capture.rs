//! `/capture`: documents on their way into the ledger, and what became of them.

mod custody;
mod intake;
mod request;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use kit::problem::{Json, Path, Problem, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use self::intake::{NewCapture, take_in};
pub(super) use self::request::Asked;
use super::{Api, ApiError};
use crate::access::{Access, Caller, Viewer, Visibility};
use crate::machine::read::{self, StoredCapture};

/// Headers of a capture.
pub(super) const HEADERS: &[&str] = &["Provchain-Visibility", "GS1-Capture-Error-Behaviour"];

/// `POST /capture`: takes a document in, all of its events or none, or those that are good.
pub(super) async fn capture(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let asked = Asked::read(&api, &headers)?;
    let id = uuid::Uuid::now_v7().to_string();
    let capture = NewCapture {
        id: id.clone(),
        asked,
        body,
        events_max: None,
    };
    let taken = take_in(&api, caller, capture).await?;
    let location = HeaderValue::from_str(&format!("/capture/{id}")).map_err(Problem::internal)?;
    let receipt = json!({
        "captureID": id,
        "running": false,
        "success": taken.errors.is_empty(),
        "captureErrorBehaviour": behaviour(asked.proceed),
        "errors": taken.errors,
        "entries": taken.accepted.entries,
        "repeated": taken.accepted.repeated,
        "treeSize": taken.accepted.size,
    });
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::ACCEPTED, headers, Json(receipt)).into_response())
}

const fn behaviour(proceed: bool) -> &'static str {
    if proceed { "proceed" } else { "rollback" }
}

/// A capture that was taken in. It was done when it was acknowledged; what the errors said is not kept,
/// because they quote events.
fn job_json(capture: &StoredCapture) -> Value {
    let left_out: Vec<Value> = serde_json::from_str(&capture.left_out).unwrap_or_default();
    let errors: Vec<Value> = left_out
        .iter()
        .map(|one| {
            json!({
                "type": "epcisException:ValidationException",
                "title": "an event was left out",
                "status": StatusCode::BAD_REQUEST.as_u16(),
                "event": one["event"],
                "rule": one["rule"],
            })
        })
        .collect();
    let time = kit::clock::rfc3339(capture.time_ms);
    json!({
        "captureID": capture.id,
        "createdAt": time,
        "finishedAt": time,
        "running": false,
        "success": errors.is_empty(),
        "captureErrorBehaviour": behaviour(capture.proceed),
        "events": capture.events,
        "errors": errors,
    })
}

/// `GET /capture/{id}`: what became of a capture (EPCIS 2.0, section 12.6).
pub(super) async fn job(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let wanted = id.clone();
    let found = api.read(move |state| read::capture(state, &wanted)).await?;
    // Somebody else's capture is none that the caller knows of.
    let access = |capture: &StoredCapture| Access {
        owner: capture.owner,
        visibility: Visibility::Private,
    };
    let capture = found
        .filter(|capture| caller.viewer.sees(access(capture)))
        .ok_or_else(|| ApiError::NotFound(format!("there is no capture {id}")))?;
    Ok(Json(job_json(&capture)))
}

/// A page of captures.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Page {
    /// How many captures a page has: 1 to 1000.
    per_page: usize,
    /// The page after that one; the header Link of it has the address.
    next_page_token: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            per_page: 30,
            next_page_token: None,
        }
    }
}

/// `GET /capture`: the captures of the caller's party, the newest first; everybody's for whoever sees
/// everything.
pub(super) async fn jobs(
    State(api): State<Api>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    const PER_PAGE_MAX: usize = 1000;
    if page.per_page == 0 || page.per_page > PER_PAGE_MAX {
        return Err(Problem::bad_request(format!(
            "perPage must be 1 to {PER_PAGE_MAX}"
        )));
    }
    let own = match caller.viewer {
        Viewer::All => None,
        // A party without a number has captured nothing.
        Viewer::Party { own, .. } => Some(own.unwrap_or(0)),
    };
    let (limit, before) = (page.per_page, page.next_page_token);
    let mut captures = if own == Some(0) {
        Vec::new()
    } else {
        let read = api.read(move |state| read::captures(state, own, before.as_deref(), limit + 1));
        read.await?
    };
    let more = captures.len() > limit;
    captures.truncate(limit);
    let jobs: Vec<_> = captures.iter().map(job_json).collect();
    let mut response = Json(jobs).into_response();
    if let Some(last) = captures.last().filter(|_| more) {
        let next = format!(
            "</capture?perPage={limit}&nextPageToken={}>; rel=\"next\"",
            last.id
        );
        let next = HeaderValue::from_str(&next).map_err(Problem::internal)?;
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// `OPTIONS /capture`: what is taken, and how much of it.
pub(super) async fn options(State(api): State<Api>) -> Response {
    let named = |name: &'static str, value: String| {
        let value = HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static(""));
        (HeaderName::from_static(name), value)
    };
    let headers = [
        named("allow", "OPTIONS, GET, POST".into()),
        named("gs1-epcis-version", "2.0.0".into()),
        named("gs1-epcis-min", "2.0.0".into()),
        named("gs1-epcis-max", "2.0.0".into()),
        named("gs1-cbv-version", "2.0.0".into()),
        named("gs1-cbv-min", "2.0.0".into()),
        named("gs1-cbv-max", "2.0.0".into()),
        named("gs1-epcis-capture-limit", api.limits.events_max.to_string()),
        named(
            "gs1-epcis-capture-file-size-limit",
            api.limits.document_bytes_max.to_string(),
        ),
        named("gs1-capture-error-behaviour", behaviour(false).into()),
    ];
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend(headers);
    response
}
