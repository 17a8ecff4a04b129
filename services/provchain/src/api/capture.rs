//! `POST /capture`: from a document to entries of the ledger.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::problem::{Json, Path, Problem};
use serde_json::{Value, json};

use super::error::Conflict;
use super::{Api, ApiError};
use crate::access::{Access, Caller, Visibility};
use crate::documents;
use crate::epcis::{Document, Event, Issue, Rule, capture};
use crate::ledger::entry::NewEntry;
use crate::ledger::identity::{Identity, LedgerSecret};
use crate::ledger::key::{Custody, EntryKey};
use crate::ledger::leaf::Kind;
use crate::ledger::payload::{ContentType, Payload};
use crate::machine::VERSION_OF_ACCESS;
use crate::machine::command::{Accepted, Capture, Command, Duplicate, Entry, change, reply};
use crate::machine::read;

/// Who may read the captured events beside their owner: public, partner or private.
const VISIBILITY: &str = "provchain-visibility";

/// Takes a document in, all of its events or none.
pub(super) async fn capture(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    check_headers(&headers)?;
    let id = uuid::Uuid::now_v7().to_string();
    let capture = NewCapture {
        id: id.clone(),
        visibility: visibility(&api, &headers)?,
        body,
        events_max: None,
    };
    let accepted = take_in(&api, caller, capture).await?;
    let location = HeaderValue::from_str(&format!("/capture/{id}")).map_err(Problem::internal)?;
    let receipt = json!({
        "captureID": id,
        "running": false,
        "success": true,
        "captureErrorBehaviour": "rollback",
        "entries": accepted.entries,
        "repeated": accepted.repeated,
        "treeSize": accepted.size,
    });
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::ACCEPTED, headers, Json(receipt)).into_response())
}

/// EPCIS 2.0 lets a client ask for what it needs; what is not there is refused, not ignored.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(kind) = text("content-type") {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !["application/json", "application/ld+json"].contains(&kind) {
            return Err(
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_detail(format!(
                    "{kind} is not taken here: send application/ld+json"
                )),
            );
        }
    }
    match text("gs1-epcis-capture-error-behaviour") {
        None | Some("rollback") => {}
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "GS1-EPCIS-Capture-Error-Behaviour {other:?} is not supported: a capture is taken in \
                 whole or not at all (rollback)"
            )));
        }
    }
    for name in ["gs1-epcis-version", "gs1-cbv-version"] {
        if let Some(version) = text(name)
            && !version.starts_with("2.0")
        {
            return Err(Problem::new(StatusCode::NOT_ACCEPTABLE)
                .with_detail(format!("{name} {version} is not supported: this is 2.0")));
        }
    }
    Ok(())
}

/// What the request says of who may read its events.
pub(super) fn visibility(api: &Api, headers: &HeaderMap) -> Result<Visibility, Problem> {
    let Some(value) = headers.get(VISIBILITY) else {
        return Ok(api.visibility_default);
    };
    let text = value.to_str().unwrap_or_default();
    text.parse()
        .map_err(|reason| Problem::bad_request(format!("Provchain-Visibility: {reason}")))
}

/// A document that is to be captured.
pub(super) struct NewCapture {
    /// The capture's id; empty for a single event.
    pub id: String,
    pub visibility: Visibility,
    pub body: Bytes,
    pub events_max: Option<usize>,
}

/// Checks, seals and proposes; returns once a majority has the events on disk.
pub(super) async fn take_in(
    api: &Api,
    caller: Caller,
    capture: NewCapture,
) -> Result<Accepted, ApiError> {
    let NewCapture {
        id,
        visibility,
        body,
        events_max,
    } = capture;
    api.require_version(VERSION_OF_ACCESS)?;
    let (submitter, owner) = (caller.name, caller.party);
    let turn = api.capture_turn().await?;
    let secret = api.founded().await?.secret;
    let time_ms = kit::clock::unix_ms();
    let mut limits = api.limits.clone();
    limits.events_max = events_max.unwrap_or(limits.events_max);
    let bytes_max = api.command_bytes_max;
    let party = owner.clone();
    let sealed = tokio::task::spawn_blocking(move || {
        let document = capture::parse(&body, &limits).map_err(ApiError::Invalid)?;
        let sealer = Sealer {
            document: &document,
            submitter: &submitter,
            owner: &party,
            secret: &secret,
            time_ms,
            limits: &limits,
        };
        let sealed = sealer.seal_all(bytes_max)?;
        let ids: Vec<_> = document.events.into_iter().map(|event| event.id).collect();
        Ok::<_, ApiError>((sealed, ids, turn))
    });
    let (entries, ids, _turn) = sealed
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))??;
    let count = entries.len() as u64;
    let command = Command::of(change::Change::Capture(Capture {
        id,
        time_ms,
        entries,
        owner,
        visibility: visibility.code().into(),
    }));
    // An event has one identity, so applying the command twice is applying it once.
    let proposed = api.cluster.propose_idempotent(&command).await?;
    match proposed.reply.reply {
        Some(reply::Reply::Accepted(accepted)) => {
            let fresh = count - accepted.repeated;
            metrics::counter!("provchain_events_captured_total").increment(fresh);
            metrics::counter!("provchain_events_repeated_total").increment(accepted.repeated);
            Ok(accepted)
        }
        Some(reply::Reply::Refused(refused)) if !refused.conflicts.is_empty() => {
            Err(conflict(&refused.conflicts, &ids))
        }
        Some(reply::Reply::Refused(refused)) => Err(ApiError::Internal(refused.reason)),
        _ => Err(ApiError::Internal(
            "the ledger's reply cannot be read".into(),
        )),
    }
}

/// Says which events were refused, and why.
fn conflict(refused: &[Duplicate], ids: &[Option<String>]) -> ApiError {
    let twice = refused.iter().filter(|one| one.existing.is_none()).count();
    let reason = match (refused.len() - twice, twice) {
        (taken, 0) => {
            format!("{taken} events have an eventID under which another event is recorded")
        }
        (0, twice) => {
            format!("{twice} events stand in the document before, or another with their eventID")
        }
        (taken, twice) => format!(
            "{taken} events have an eventID under which another event is recorded; {twice} stand in \
             the document before, or another with their eventID"
        ),
    };
    let conflicts = refused
        .iter()
        .map(|one| Conflict {
            position: one.position,
            id: usize::try_from(one.position)
                .ok()
                .and_then(|at| ids.get(at)?.clone()),
            existing: one.existing,
        })
        .collect();
    ApiError::Conflict { reason, conflicts }
}

/// What all events of a document have in common.
struct Sealer<'a> {
    document: &'a Document,
    submitter: &'a str,
    owner: &'a str,
    secret: &'a LedgerSecret,
    time_ms: u64,
    limits: &'a crate::epcis::Limits,
}

impl Sealer<'_> {
    /// Every event as an entry. Each is stored with its document's context, so that together they
    /// may be larger than what was sent.
    fn seal_all(&self, bytes_max: usize) -> Result<Vec<Entry>, ApiError> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for (position, event) in self.document.events.iter().enumerate() {
            let entry = self.seal(position, event)?;
            bytes += entry.payload.len();
            if bytes > bytes_max {
                return Err(too_costly(
                    None,
                    format!(
                        "the events take more than {bytes_max} bytes to store, each with its \
                         context: send fewer at a time"
                    ),
                ));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn seal(&self, position: usize, event: &Event) -> Result<Entry, ApiError> {
        let costly = |message| too_costly(Some(position), message);
        let fault = |reason: String| ApiError::Internal(format!("event {position}: {reason}"));
        let statements = documents::event_statements(event, self.limits).map_err(costly)?;
        let mut identifying = documents::event_identifying(event, self.limits).map_err(costly)?;
        identifying.owner = self.owner.to_owned();
        let identity =
            Identity::new(self.secret, &identifying).map_err(|error| fault(error.to_string()))?;
        let stored = event.self_contained(&self.document.context);
        let new = NewEntry {
            kind: Kind::Event,
            time_ms: self.time_ms,
            payload: Payload {
                content_type: ContentType::JsonLd,
                submitter: self.submitter.to_owned(),
                document: serde_json::to_vec(&stored).map_err(|error| fault(error.to_string()))?,
            },
            statements,
        };
        let sealed = new
            .seal(EntryKey::from_random(rand::random()), Custody::Plain)
            .map_err(|error| fault(error.to_string()))?;
        Ok(Entry {
            leaf: sealed.leaf.encode().to_vec(),
            payload: sealed.payload.as_bytes().to_vec(),
            key: sealed.key.encode(),
            identity: identity.key.0.to_vec(),
            content: identity.content.0.to_vec(),
        })
    }
}

/// What exceeds a bound is the sender's to mend, not a fault of ours.
fn too_costly(event: Option<usize>, message: String) -> ApiError {
    ApiError::Invalid(vec![Issue {
        event,
        pointer: String::new(),
        field: String::new(),
        rule: Rule::Limit,
        message,
    }])
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
    let access = |capture: &read::StoredCapture| Access {
        owner: capture.owner,
        visibility: Visibility::Private,
    };
    let capture = found
        .filter(|capture| caller.viewer.sees(access(capture)))
        .ok_or_else(|| ApiError::NotFound(format!("there is no capture {id}")))?;
    let (time_ms, events) = (capture.time_ms, capture.events);
    let time = kit::clock::rfc3339(time_ms);
    Ok(Json(json!({
        "captureID": id,
        "createdAt": time,
        "finishedAt": time,
        "running": false,
        "success": true,
        "captureErrorBehaviour": "rollback",
        "events": events,
        "errors": [],
    })))
}
