//! The same problem as a gRPC status, without loss in either direction.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::Problem;

/// Marks the error info that carries a problem document.
const DOMAIN: &str = "problem+json";
const DOCUMENT: &str = "document";

impl From<Problem> for Status {
    /// The code that fits the HTTP status, the detail as message, and the whole document in a
    /// `google.rpc.ErrorInfo`.
    fn from(problem: Problem) -> Self {
        let message = problem
            .detail
            .clone()
            .unwrap_or_else(|| problem.title.clone().into_owned());
        let metadata = HashMap::from([(DOCUMENT.to_owned(), problem.to_json().to_string())]);
        let details = ErrorDetails::with_error_info(problem.type_, DOMAIN, metadata);
        Self::with_error_details(code(problem.status), message, details)
    }
}

impl From<Status> for Problem {
    /// The problem that travelled in the status, or one made from its code and message.
    fn from(status: Status) -> Self {
        let info = status
            .get_details_error_info()
            .filter(|info| info.domain == DOMAIN);
        let document =
            info.and_then(|info| serde_json::from_str(info.metadata.get(DOCUMENT)?).ok());
        document
            .and_then(from_json)
            .unwrap_or_else(|| Self::new(http_status(status.code())).with_detail(status.message()))
    }
}

fn from_json(document: Value) -> Option<Problem> {
    let Value::Object(mut members) = document else {
        return None;
    };
    let mut text = |name: &str| {
        members
            .remove(name)
            .and_then(|value| value.as_str().map(str::to_owned))
    };
    let (type_, title, detail, instance) = (
        text("type")?,
        text("title")?,
        text("detail"),
        text("instance"),
    );
    let status = members.remove("status")?.as_u64()?;
    let status = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    let problem = Problem {
        detail,
        instance,
        extensions: Box::new(members),
        ..Problem::new(status)
    };
    Some(problem.with_type(type_).with_title(title))
}

/// The nearest gRPC code; the reverse of the table in `google/rpc/code.proto`.
fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        400 | 413 | 415 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        405 | 501 => Code::Unimplemented,
        408 | 504 => Code::DeadlineExceeded,
        409 => Code::Aborted,
        412 | 421 | 426 | 428 => Code::FailedPrecondition,
        416 => Code::OutOfRange,
        429 | 507 => Code::ResourceExhausted,
        499 => Code::Cancelled,
        502 | 503 => Code::Unavailable,
        500 => Code::Internal,
        _ => Code::Unknown,
    }
}

fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_survives_the_way_through_grpc() {
        let problem = Problem::new(StatusCode::CONFLICT)
            .with_type("urn:problem:example")
            .with_title("Already there")
            .with_detail("event 7 exists")
            .with_instance("/events/7")
            .with("height", 12);
        let status = Status::from(problem.clone());
        assert_eq!(status.code(), Code::Aborted);
        assert_eq!(status.message(), "event 7 exists");
        assert_eq!(Problem::from(status), problem);
    }

    #[test]
    fn a_status_of_other_origin_becomes_a_plain_problem() {
        let problem = Problem::from(Status::not_found("no such room"));
        assert_eq!(problem, Problem::not_found("no such room"));
    }
}
