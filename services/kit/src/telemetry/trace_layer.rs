//! One server span a request.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::extract::MatchedPath;
use http::{HeaderMap, Request, Response, header};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, field::Empty, info_span};

use super::propagate::{adopt, extract};

/// Makes a server span of every request, child of the caller's span, with method, matched route
/// and status under OpenTelemetry's names. It ends with the head of the response.
///
/// Goes on a router with `Router::layer`, so that the route is known. A gRPC call is named by its
/// method.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// The service that [`TraceLayer`] makes.
#[derive(Debug, Clone)]
pub struct Trace<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Trace<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let span = server_span(&request);
        adopt(&span, extract(request.headers()));
        let response = span.in_scope(|| self.inner.call(request));
        let recorded = span.clone();
        let answer = async move {
            let response = response.await;
            if let Ok(response) = &response {
                record(&recorded, response);
            }
            response
        };
        Box::pin(answer.instrument(span))
    }
}

fn server_span<B>(request: &Request<B>) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str);
    let path = request.uri().path();
    let span = info_span!(
        "request",
        otel.kind = "server",
        otel.name = Empty,
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        http.route = route,
        http.response.status_code = Empty,
        url.path = path,
        rpc.system = Empty,
        rpc.grpc.status_code = Empty,
    );
    if is_grpc(request.headers()) {
        span.record("rpc.system", "grpc")
            .record("otel.name", path.trim_start_matches('/'));
    } else {
        span.record("otel.name", format!("{} {route}", request.method()));
    }
    span
}

fn record<R>(span: &Span, response: &Response<R>) {
    span.record("http.response.status_code", response.status().as_u16());
    // A call that failed without a message body says so in its head.
    let grpc_status = response
        .headers()
        .get("grpc-status")
        .and_then(|status| status.to_str().ok());
    if let Some(status) = grpc_status {
        span.record("rpc.grpc.status_code", status);
    }
    if response.status().is_server_error() || grpc_status.is_some_and(|status| status != "0") {
        span.record("otel.status_code", "ERROR");
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    media_type.is_some_and(|media_type| media_type.starts_with("application/grpc"))
}
