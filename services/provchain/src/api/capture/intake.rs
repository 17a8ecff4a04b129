//! From the body of a capture to entries of the ledger.

use std::sync::Arc;

use axum::body::Bytes;

use super::super::error::{Conflict, issue_json};
use super::super::{Api, ApiError};
use super::custody::Custodies;
use super::request::Asked;
use crate::access::Caller;
use crate::documents;
use crate::epcis::capture::Parsed;
use crate::epcis::{Event, Issue, Limits, Rule};
use crate::ledger::entry::NewEntry;
use crate::ledger::identity::{Identity, LedgerSecret};
use crate::ledger::key::{Custody, EntryKey, Keeper, SUBJECTS_MAX, SubjectKey};
use crate::ledger::leaf::Kind;
use crate::ledger::payload::{ContentType, Payload};
use crate::machine::VERSION_OF_ACCESS;
use crate::machine::command::{
    Accepted, Capture, Command, Duplicate, Entry, LeftOut, change, reply,
};

/// A document that is to be captured.
pub struct NewCapture {
    /// The capture's id; empty for a single event.
    pub id: String,
    pub asked: Asked,
    pub body: Bytes,
    pub events_max: Option<usize>,
}

/// What was taken in.
pub struct Taken {
    pub accepted: Accepted,
    /// What is wrong with the events that were left out, each as a JSON object.
    pub errors: Vec<serde_json::Value>,
}

/// Tries to seal and propose, where what is personal changes or subjects are erased meanwhile.
const TRIES: usize = 4;

/// Checks, seals and proposes; returns once a majority has the events on disk.
pub async fn take_in(api: &Api, caller: Caller, capture: NewCapture) -> Result<Taken, ApiError> {
    let NewCapture {
        id,
        asked,
        body,
        events_max,
    } = capture;
    api.require_version(VERSION_OF_ACCESS)?;
    let turn = Arc::new(api.capture_turn().await?);
    let secret = api.founded().await?.secret;
    let mut limits = api.limits.clone();
    limits.events_max = events_max.unwrap_or(limits.events_max);
    let (working, read) = (Arc::clone(&turn), limits.clone());
    let parsed = tokio::task::spawn_blocking(move || {
        let _turn = working;
        (asked.parse)(&body, &read).map_err(ApiError::Invalid)
    });
    let parsed = parsed
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))??;
    if !asked.proceed && !parsed.issues.is_empty() {
        return Err(ApiError::Invalid(parsed.issues));
    }
    let work = Arc::new(Work {
        parsed,
        asked,
        submitter: caller.name,
        owner: caller.party,
        secret,
        limits,
        bytes_max: api.command_bytes_max,
        time_ms: kit::clock::unix_ms(),
    });
    for _ in 0..TRIES {
        let custodies = api.custodies(&work, &turn).await?;
        let (working, sealing) = (Arc::clone(&turn), Arc::clone(&work));
        let personal = custodies.personal;
        let sealed = tokio::task::spawn_blocking(move || {
            let _turn = working;
            sealing.seal_all(&custodies)
        });
        let sealed = sealed
            .await
            .map_err(|error| ApiError::Internal(error.to_string()))??;
        if let Some(taken) = propose(api, &id, &work, sealed, personal).await? {
            return Ok(taken);
        }
    }
    let message = "subjects of these events are erased, or what is personal is changed, all the time: \
                   try again";
    Err(ApiError::Busy(message.into()))
}

/// Proposes what is sealed; nothing if it has to be sealed again.
async fn propose(
    api: &Api,
    id: &str,
    work: &Work,
    sealed: Sealed,
    personal: u64,
) -> Result<Option<Taken>, ApiError> {
    let count = sealed.entries.len() as u64;
    let left_out = sealed.issues.iter().map(|issue| LeftOut {
        event: issue.event.unwrap_or_default() as u64,
        rule: issue.rule.name(),
    });
    let command = Command::of(change::Change::Capture(Capture {
        id: id.to_owned(),
        time_ms: work.time_ms,
        entries: sealed.entries,
        owner: work.owner.clone(),
        visibility: work.asked.visibility.code().into(),
        proceed: work.asked.proceed,
        positions: sealed
            .places
            .iter()
            .map(|(position, _)| *position)
            .collect(),
        left_out: left_out.collect(),
        personal,
    }));
    // An event has one identity, so applying the command twice is applying it once.
    let proposed = api.cluster.propose_idempotent(&command).await?;
    match proposed.reply.reply {
        Some(reply::Reply::Accepted(accepted)) => {
            let fresh = count - accepted.repeated - accepted.conflicts.len() as u64;
            metrics::counter!("provchain_events_captured_total").increment(fresh);
            metrics::counter!("provchain_events_repeated_total").increment(accepted.repeated);
            let mut errors: Vec<_> = sealed.issues.iter().map(issue_json).collect();
            if let ApiError::Conflict { conflicts, .. } =
                conflict(&accepted.conflicts, &sealed.places)
            {
                errors.extend(conflicts.iter().map(Conflict::as_error));
            }
            errors.sort_by_key(|error| error["event"].as_u64());
            Ok(Some(Taken { accepted, errors }))
        }
        Some(reply::Reply::Refused(refused)) if refused.outdated => Ok(None),
        Some(reply::Reply::Refused(refused)) if !refused.conflicts.is_empty() => {
            Err(conflict(&refused.conflicts, &sealed.places))
        }
        Some(reply::Reply::Refused(refused)) => Err(ApiError::Internal(refused.reason)),
        _ => Err(ApiError::Internal(
            "the ledger's reply cannot be read".into(),
        )),
    }
}

/// Says which events were refused, and why.
fn conflict(refused: &[Duplicate], places: &[(u64, Option<String>)]) -> ApiError {
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
    let id_of = |position| {
        let mut places = places.iter();
        places.find_map(|(place, id)| id.clone().filter(|_| *place == position))
    };
    let conflicts = refused
        .iter()
        .map(|one| Conflict {
            position: one.position,
            id: id_of(one.position),
            existing: one.existing,
        })
        .collect();
    ApiError::Conflict { reason, conflicts }
}

/// What is to be sealed.
pub(super) struct Work {
    pub parsed: Parsed,
    asked: Asked,
    submitter: String,
    owner: String,
    pub secret: LedgerSecret,
    limits: Limits,
    bytes_max: usize,
    time_ms: u64,
}

/// What is sealed, and what could not be.
#[derive(Default)]
struct Sealed {
    entries: Vec<Entry>,
    /// Where the event of each stood in the document, and its id.
    places: Vec<(u64, Option<String>)>,
    issues: Vec<Issue>,
}

impl Work {
    /// Every event as an entry. Each is stored with its document's context, so that together they
    /// may be larger than what was sent.
    fn seal_all(&self, custodies: &Custodies) -> Result<Sealed, ApiError> {
        let (mut sealed, mut bytes) = (Sealed::default(), 0);
        let events = self.parsed.document.events.iter();
        for ((event, position), subjects) in
            events.zip(&self.parsed.positions).zip(&custodies.subjects)
        {
            let sealing = if subjects.len() > SUBJECTS_MAX {
                let message = format!(
                    "the event is about {} subjects, by what is personal here: at most {SUBJECTS_MAX}",
                    subjects.len()
                );
                Err(too_costly(Some(*position), message))
            } else {
                let keepers = custodies.keepers(subjects);
                let keepers = keepers.ok_or_else(|| {
                    ApiError::Internal(format!("event {position}: a subject has no key"))
                })?;
                self.seal(*position, event, &keepers)
            };
            let entry = match sealing {
                Ok(entry) => entry,
                Err(ApiError::Invalid(issues)) => {
                    sealed.issues.extend(issues);
                    continue;
                }
                Err(error) => return Err(error),
            };
            bytes += entry.payload.len() + entry.key.len();
            if bytes > self.bytes_max {
                return Err(too_costly(
                    None,
                    format!(
                        "the events take more than {} bytes to store, each with its context: send \
                         fewer at a time",
                        self.bytes_max
                    ),
                ));
            }
            sealed.entries.push(entry);
            sealed.places.push((*position as u64, event.id.clone()));
        }
        if !self.asked.proceed && !sealed.issues.is_empty() {
            return Err(ApiError::Invalid(sealed.issues));
        }
        let issues = self.parsed.issues.iter().cloned();
        sealed.issues.splice(0..0, issues);
        Ok(sealed)
    }

    fn seal(
        &self,
        position: usize,
        event: &Event,
        keepers: &[(String, SubjectKey)],
    ) -> Result<Entry, ApiError> {
        let costly = |message| too_costly(Some(position), message);
        let fault = |reason: String| ApiError::Internal(format!("event {position}: {reason}"));
        let statements = documents::event_statements(event, &self.limits).map_err(costly)?;
        let mut identifying = documents::event_identifying(event, &self.limits).map_err(costly)?;
        identifying.owner.clone_from(&self.owner);
        let identity =
            Identity::new(&self.secret, &identifying).map_err(|error| fault(error.to_string()))?;
        let stored = event.self_contained(&self.parsed.document.context);
        let new = NewEntry {
            kind: Kind::Event,
            time_ms: self.time_ms,
            payload: Payload {
                content_type: ContentType::JsonLd,
                submitter: self.submitter.clone(),
                document: serde_json::to_vec(&stored).map_err(|error| fault(error.to_string()))?,
            },
            statements,
        };
        let keepers: Vec<Keeper<'_>> = keepers
            .iter()
            .map(|(subject, key)| Keeper {
                subject,
                key,
                nonce: rand::random(),
            })
            .collect();
        let custody = match &keepers[..] {
            [] => Custody::Plain,
            [one] => Custody::Subject {
                subject: one.subject,
                key: one.key,
                nonce: one.nonce,
            },
            several => Custody::Subjects(several),
        };
        let sealed = new
            .seal(EntryKey::from_random(rand::random()), custody)
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
