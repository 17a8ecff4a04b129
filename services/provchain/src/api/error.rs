//! Errors as problem documents (RFC 9457).

use axum::response::{IntoResponse, Response};
use consensus::{ProposeError, ReadError};
use http::{HeaderValue, StatusCode, header};
use kit::problem::Problem;
use serde_json::json;

use crate::epcis::{Issue, Rule};
use crate::index::IndexError;
use crate::keys::KeysError;
use crate::query::QueryError;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The document breaks rules of the standard.
    #[error("the document breaks {} rules of EPCIS 2.0", .0.len())]
    Invalid(Vec<Issue>),
    /// The ledger refused it.
    #[error("{reason}")]
    Conflict {
        /// A sentence.
        reason: String,
        /// The events that were refused.
        conflicts: Vec<Conflict>,
    },
    /// There is such a thing already.
    #[error("{0}")]
    Exists(String),
    /// The name is taken.
    #[error("{0}")]
    NameTaken(String),
    /// A subscription cannot be.
    #[error("{0}")]
    Subscription(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// Its content was erased.
    #[error(
        "the content of entry {0} was erased; what the tree holds of it is at /api/v1/entries/{0}"
    )]
    Erased(u64),
    /// The keys of whom it is about are not at hand.
    #[error(
        "the keys of the subjects of entry {0} are at no member that is there: try again later"
    )]
    Locked(u64),
    /// Keys of subjects cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A parameter cannot be.
    #[error("{0}")]
    BadRequest(String),
    /// A query cannot be.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A query finds more than its client wants.
    #[error("the query finds more than {0} events: narrow it down")]
    TooLarge(u64),
    /// There is no such thing among the resources of the REST binding.
    #[error("{0}")]
    NoSuchName(String),
    /// The answer cannot be had in the form that is asked for.
    #[error("{0}")]
    NotAcceptable(String),
    /// The ledger is being formed.
    #[error("the ledger has not been founded yet: try again in a moment")]
    NotFounded,
    /// Too much at a time.
    #[error("{0}")]
    Busy(String),
    /// A proposal has no outcome.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// A read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// What is stored is damaged, or another fault of ours.
    #[error("{0}")]
    Internal(String),
}

/// An event whose identity is taken.
#[derive(Debug)]
pub struct Conflict {
    /// Its position in the document.
    pub position: u64,
    /// Its `eventID`, if it has one.
    pub id: Option<String>,
    /// The entry that has its identity; absent if that stands in the same document.
    pub existing: Option<u64>,
}

/// What is wrong with a document, as JSON.
pub(super) fn issue_json(issue: &Issue) -> serde_json::Value {
    json!({
        "event": issue.event,
        "pointer": issue.pointer,
        "field": issue.field,
        "rule": issue.rule,
        "message": issue.message,
    })
}

impl Conflict {
    /// As one error among those of a capture that proceeds.
    pub(super) fn as_error(&self) -> serde_json::Value {
        json!({
            "event": self.position,
            "eventID": self.id,
            "entry": self.existing,
            "rule": "conflict",
            "message": "an event with this identity is recorded already, and it is another one",
        })
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let detail = error.to_string();
        let problem = |status: StatusCode| Self::new(status).with_detail(detail.clone());
        match error {
            ApiError::Invalid(issues) => {
                let size = issues
                    .iter()
                    .any(|issue| issue.rule == Rule::Limit && issue.event.is_none());
                let status = if size {
                    StatusCode::PAYLOAD_TOO_LARGE
                } else {
                    StatusCode::BAD_REQUEST
                };
                let issues: Vec<_> = issues.iter().map(issue_json).collect();
                problem(status)
                    .with_type("epcisException:ValidationException")
                    .with_title("EPCIS document is not valid")
                    .with("issues", issues)
            }
            ApiError::Conflict { conflicts, .. } => {
                let conflicts: Vec<_> = conflicts
                    .into_iter()
                    .map(|one| json!({ "event": one.position, "eventID": one.id, "entry": one.existing }))
                    .collect();
                problem(StatusCode::CONFLICT)
                    .with_type("epcisException:ResourceAlreadyExistsException")
                    .with("conflicts", conflicts)
            }
            ApiError::Exists(_) => problem(StatusCode::CONFLICT),
            ApiError::NameTaken(_) => problem(StatusCode::CONFLICT)
                .with_type("epcisException:ResourceAlreadyExistsException"),
            ApiError::Subscription(_) => problem(StatusCode::BAD_REQUEST)
                .with_type("epcisException:SubscriptionControlsException")
                .with_title("Subscription error"),
            ApiError::Query(QueryError::Parameter { name, .. }) => problem(StatusCode::BAD_REQUEST)
                .with_type("epcisException:QueryParameterException")
                .with_title("A parameter of the query cannot be")
                .with("parameter", name),
            ApiError::Query(QueryError::Unsupported { name, .. }) => {
                problem(StatusCode::NOT_IMPLEMENTED)
                    .with_type("epcisException:ImplementationException")
                    .with_title("A parameter of the query is not supported")
                    .with("parameter", name)
            }
            ApiError::TooLarge(_) => problem(StatusCode::PAYLOAD_TOO_LARGE)
                .with_type("epcisException:QueryTooLargeException")
                .with_title("The query finds too much"),
            ApiError::Index(IndexError::TooComplex) => problem(StatusCode::PAYLOAD_TOO_LARGE)
                .with_type("epcisException:QueryTooComplexException")
                .with_title("The query takes too long"),
            ApiError::NoSuchName(_) => {
                problem(StatusCode::NOT_FOUND).with_type("epcisException:NoSuchNameException")
            }
            ApiError::NotAcceptable(_) => problem(StatusCode::NOT_ACCEPTABLE)
                .with_type("epcisException:NotAcceptableException"),
            ApiError::NotFound(_) => problem(StatusCode::NOT_FOUND),
            ApiError::Erased(_) => problem(StatusCode::GONE),
            ApiError::BadRequest(_) => problem(StatusCode::BAD_REQUEST),
            ApiError::Propose(ProposeError::TooLarge { .. }) => {
                problem(StatusCode::PAYLOAD_TOO_LARGE)
            }
            ApiError::Propose(ProposeError::NoRoom(_)) => problem(StatusCode::INSUFFICIENT_STORAGE),
            ApiError::NotFounded
            | ApiError::Busy(_)
            | ApiError::Locked(_)
            | ApiError::Keys(KeysError::NoMajority { .. } | KeysError::Outdated)
            | ApiError::Propose(_)
            | ApiError::Index(IndexError::Behind { .. })
            | ApiError::Read(
                ReadError::NoLeader { .. } | ReadError::Halted(_) | ReadError::TooOld { .. },
            ) => problem(StatusCode::SERVICE_UNAVAILABLE)
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("1")),
            ApiError::Read(_)
            | ApiError::Index(_)
            | ApiError::Keys(KeysError::Store(_))
            | ApiError::Internal(_) => Self::internal(detail),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_is_no_fault_of_the_request_and_no_outage() {
        let refused = ApiError::Propose(ProposeError::NoRoom("the disk of node1".into()));
        let response = refused.into_response();
        assert_eq!(response.status(), StatusCode::INSUFFICIENT_STORAGE);
    }
}
