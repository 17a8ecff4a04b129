//! Errors as RFC 9457 problem documents, and as gRPC statuses with the same details.
//!
//! A handler returns `Result<_, Problem>`. [`Json`], [`Query`] and [`Path`] are axum's extractors
//! with a [`Problem`] for a rejection, and [`layer`] turns every error response that is not a
//! problem document yet into one, so that a client meets a single form of error.

mod extract;
mod grpc;
mod layer;

pub use extract::{Json, Path, Query};
pub use layer::layer;

use std::{borrow::Cow, fmt};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error that a client is told about (RFC 9457).
///
/// ```
/// use http::StatusCode;
/// use kit::problem::Problem;
///
/// let problem = Problem::new(StatusCode::CONFLICT)
///     .with_type("urn:problem:already-captured")
///     .with_detail("event 7 has been captured with other content")
///     .with("event", 7);
/// assert_eq!(problem.to_json()["title"], "Conflict");
/// ```
// The two members that are large and mostly empty are boxed, because a `Problem` is the error of
// many a `Result`.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// A URI that names the kind of problem; `about:blank` when the status says it all.
    pub type_: Cow<'static, str>,
    /// The kind of problem in a few words, the same for every occurrence.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: StatusCode,
    /// What happened this time, and what the client can do.
    pub detail: Option<String>,
    /// A URI of this occurrence.
    pub instance: Option<String>,
    /// Members of the document beyond the five of the standard.
    pub extensions: Box<Map<String, Value>>,
    /// Headers of the response, such as `Retry-After`.
    pub headers: Box<HeaderMap>,
}

impl Problem {
    /// A problem that its status describes.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            type_: Cow::Borrowed("about:blank"),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            status,
            detail: None,
            instance: None,
            extensions: Box::default(),
            headers: Box::default(),
        }
    }

    /// 400 with a detail.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST).with_detail(detail)
    }

    /// 404 with a detail.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND).with_detail(detail)
    }

    /// 503 with a detail.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE).with_detail(detail)
    }

    /// 500 without a detail: `error` goes to the log, because it may say more than a client
    /// should know.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "internal error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR)
            .with_detail("the server failed; its log says why")
    }

    /// Sets the URI that names the kind of problem.
    #[must_use]
    pub fn with_type(mut self, type_: impl Into<Cow<'static, str>>) -> Self {
        self.type_ = type_.into();
        self
    }

    /// Sets the title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets the URI of this occurrence.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Adds a member to the document. The five standard members cannot be replaced this way.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut document = Map::new();
        document.insert("type".to_owned(), self.type_.as_ref().into());
        document.insert("title".to_owned(), self.title.as_ref().into());
        document.insert("status".to_owned(), self.status.as_u16().into());
        let optional = [("detail", &self.detail), ("instance", &self.instance)];
        for (name, value) in optional {
            if let Some(value) = value {
                document.insert(name.to_owned(), value.as_str().into());
            }
        }
        for (name, value) in self.extensions.iter() {
            document
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        Value::Object(document)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.title)?;
        self.detail
            .as_ref()
            .map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        // What went wrong now may be right in a moment: no cache may answer in our place.
        let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let mut response = (self.status, [content_type, cache], body).into_response();
        response.headers_mut().extend(*self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_cannot_replace_the_standard_members() {
        let problem = Problem::not_found("no such thing")
            .with("status", 200)
            .with("thing", "a");
        let document = problem.to_json();
        assert_eq!(document["status"], 404);
        assert_eq!(document["thing"], "a");
    }

    #[test]
    fn an_internal_error_tells_the_client_nothing_of_its_cause() {
        let problem = Problem::internal("password of the database is hunter2");
        assert!(!problem.to_json().to_string().contains("hunter2"));
    }
}
