//! `POST /capture`: from a document to entries of the ledger.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::problem::{Json, Path, Problem};
use kit::tokens::Bearer;
use serde_json::{Value, json};

use super::error::Conflict;
use super::{Api, ApiError, Shared};
use crate::documents;
use crate::epcis::{Document, Event, Issue, Limits, Rule, capture};
use crate::ledger::entry::NewEntry;
use crate::ledger::identity::{Identifying, Identity, LedgerSecret};
use crate::ledger::key::{Custody, EntryKey};
use crate::ledger::leaf::Kind;
use crate::ledger::payload::{ContentType, Payload};
use crate::machine::command::{Accepted, Capture, Command, Duplicate, Entry, change, reply};
use crate::machine::read;

/// Roles whose holders may write. Consumers and auditors read.
pub(super) const WRITERS: &[&str] = &["farmer", "processor", "transporter", "retailer", "admin"];

/// Takes a document in, all of its events or none.
pub(super) async fn capture(
    State(api): State<Api>,
    bearer: Bearer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let claims = bearer.require_role(WRITERS)?;
    let parse = check_headers(&headers)?;
    let id = uuid::Uuid::now_v7().to_string();
    let accepted = take_in(&api, claims.sub.clone(), id.clone(), parse, body, None).await?;
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

/// How a body is read, by what it is said to be.
pub(super) type Parse = fn(&[u8], &Limits) -> Result<Document, Vec<Issue>>;

/// EPCIS 2.0 lets a client ask for what it needs; what is not there is refused, not ignored.
pub(super) fn check_headers(headers: &HeaderMap) -> Result<Parse, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text("content-type").and_then(|kind| kind.split(';').next());
    let (parse, versions): (Parse, &[&str]) = match kind.map(str::trim) {
        None | Some("application/json" | "application/ld+json") => (capture::parse, &["2.0"]),
        Some("application/xml" | "text/xml") => (capture::parse_xml, &["1.", "2.0"]),
        Some(kind) => {
            return Err(
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_detail(format!(
                    "{kind} is not taken here: send application/ld+json or application/xml"
                )),
            );
        }
    };
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
            && !versions.iter().any(|taken| version.starts_with(taken))
        {
            return Err(Problem::new(StatusCode::NOT_ACCEPTABLE)
                .with_detail(format!("{name} {version} is not supported: this is 2.0")));
        }
    }
    Ok(parse)
}

/// Checks, seals and proposes; returns once a majority has the events on disk.
pub(super) async fn take_in(
    api: &Api,
    submitter: String,
    id: String,
    parse: Parse,
    body: Bytes,
    events_max: Option<usize>,
) -> Result<Accepted, ApiError> {
    let turn = api.capture_turn().await?;
    let secret = api.founded().await?.secret;
    let time_ms = kit::clock::unix_ms();
    let mut limits = api.limits.clone();
    limits.events_max = events_max.unwrap_or(limits.events_max);
    let bytes_max = api.command_bytes_max;
    let sealed = tokio::task::spawn_blocking(move || {
        let document = parse(&body, &limits).map_err(ApiError::Invalid)?;
        let sealer = Sealer {
            document: &document,
            submitter: &submitter,
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
    secret: &'a LedgerSecret,
    time_ms: u64,
    limits: &'a Limits,
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
        let identifying = documents::event_identifying(event, self.limits).map_err(costly)?;
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
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let wanted = id.clone();
    let found = api.read(move |state| read::capture(state, &wanted)).await?;
    let (time_ms, events) =
        found.ok_or_else(|| ApiError::NotFound(format!("there is no capture {id}")))?;
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

impl Shared {
    /// The entry of the event with this `eventID`.
    pub(super) async fn entry_of(&self, event_id: &str) -> Result<Option<u64>, ApiError> {
        let secret = self.founded().await?.secret;
        let identifying = Identifying {
            event_id: Some(event_id.to_owned()),
            ..Identifying::default()
        };
        let identity = Identity::new(&secret, &identifying)
            .map_err(|error| ApiError::Internal(error.to_string()))?;
        let found = self
            .read(move |state| read::identity(state, identity.key.as_bytes()))
            .await?;
        Ok(found.map(|(entry, _)| entry))
    }
}
