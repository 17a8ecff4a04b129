//! Error responses of axum, hyper and tower become problem documents.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};

use super::Problem;

/// The longest plain text that is taken over as detail.
const DETAIL_BYTES_MAX: usize = 4096;

/// Answers unknown routes and methods of `router` with 404 and 405 problems, and turns every other
/// error response in plain text, or with no content, into a problem. Other media types, gRPC and
/// redirects pass unchanged.
pub fn layer<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn(normalize))
}

async fn unknown_route(request: Request) -> Problem {
    Problem::not_found(format!("there is nothing at {}", request.uri().path()))
}

async fn unknown_method(request: Request) -> Problem {
    let detail = format!(
        "{} does not take {}",
        request.uri().path(),
        request.method()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED).with_detail(detail)
}

async fn normalize(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || !is_plain(response.headers()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let mut problem = Problem::new(status);
    let text = to_bytes(body, DETAIL_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if !text.trim().is_empty() {
        problem = problem.with_detail(text.trim());
    }
    let mut normalized = problem.into_response();
    for (name, value) in &parts.headers {
        let describes_body = [
            header::CONTENT_TYPE,
            header::CONTENT_LENGTH,
            header::CACHE_CONTROL,
        ]
        .contains(name);
        if !describes_body {
            normalized.headers_mut().append(name, value.clone());
        }
    }
    *normalized.extensions_mut() = parts.extensions;
    normalized.map(Body::new)
}

/// No media type, or plain text: what the libraries below answer with.
fn is_plain(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let media_type = media_type.to_str().unwrap_or_default();
    media_type.starts_with("text/plain")
}
