//! What depends on the route: time, body, panics, the form of errors.

use std::any::Any;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use http_body_util::Limited;
use tower_http::catch_panic::CatchPanicLayer;

use super::{Limits, drained::Drained};
use crate::problem::{self, Problem};

pub(super) fn limit<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    limits: Limits,
) -> Router<S> {
    let router = router
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(limits, limit_time))
        .layer(middleware::from_fn_with_state(limits, limit_body));
    problem::layer(catch_panics(router))
}

pub(super) fn catch_panics<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(CatchPanicLayer::custom(panicked))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that the layer calls"
)]
fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    metrics::counter!("http_handler_panics_total").increment(1);
    Problem::internal(format!("a handler panicked: {text}")).into_response()
}

async fn limit_time(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let timeout = limits.request_timeout();
    tokio::time::timeout(timeout, next.run(request))
        .await
        .unwrap_or_else(|_| {
            let detail = format!(
                "the request took longer than {} ms; it may have had an effect",
                timeout.as_millis()
            );
            Problem::new(StatusCode::REQUEST_TIMEOUT)
                .with_detail(detail)
                .into_response()
        })
}

async fn limit_body(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let version = request.version();
    let request = request.map(|body| Drained::new(body, version));
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body_bytes_max) {
        let detail = format!("the body is longer than {} bytes", limits.body_bytes_max);
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE)
            .with_detail(detail)
            .into_response();
    }
    let bytes_max = usize::try_from(limits.body_bytes_max).unwrap_or(usize::MAX);
    next.run(request.map(|body| Body::new(Limited::new(body, bytes_max))))
        .await
}
