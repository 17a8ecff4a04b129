//! The trace on its way from one process to the next (W3C Trace Context).

use std::task::{Context as TaskContext, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::MetadataMap;
use tower::{Layer, Service};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACEPARENT: &str = "traceparent";

/// Writes the current span into headers as `traceparent`; nothing outside any span.
pub fn inject(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut Headers(headers));
}

/// The caller's span from headers; an empty context without a valid `traceparent`.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Received(headers))
}

/// The current span as the value of a `traceparent` header, to travel inside bytes.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    headers.get(TRACEPARENT)?.to_str().ok().map(str::to_owned)
}

/// Makes `span`, which must be new, a child of the span that `traceparent` names. A text that
/// names none leaves it as it is: bytes from elsewhere decide at most which trace they belong to.
///
/// ```
/// let span = kit::telemetry::span_from_traceparent(
///     tracing::info_span!("apply", index = 7),
///     Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
/// );
/// span.in_scope(|| tracing::info!("applied"));
/// ```
#[must_use]
pub fn span_from_traceparent(span: Span, traceparent: Option<&str>) -> Span {
    let value = traceparent.and_then(|text| HeaderValue::from_str(text).ok());
    if let Some(value) = value {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(TRACEPARENT), value)]);
        adopt(&span, extract(&headers));
    }
    span
}

/// A gRPC client's interceptor that sends the current span along.
///
/// # Errors
/// Never; the signature is tonic's.
pub fn propagate(mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
    let mut headers = std::mem::take(request.metadata_mut()).into_headers();
    inject(&mut headers);
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    Ok(request)
}

/// Sends the current span along with every request of an HTTP or gRPC client.
#[derive(Debug, Clone, Copy, Default)]
pub struct PropagateLayer;

impl<S> Layer<S> for PropagateLayer {
    type Service = Propagate<S>;

    fn layer(&self, inner: S) -> Propagate<S> {
        Propagate { inner }
    }
}

/// The service that [`PropagateLayer`] makes.
#[derive(Debug, Clone)]
pub struct Propagate<S> {
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Propagate<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        inject(request.headers_mut());
        self.inner.call(request)
    }
}

/// Makes a new span the child of a remote one.
pub(super) fn adopt(span: &Span, parent: Context) {
    if parent.span().span_context().is_valid() {
        // Fails for a span that is disabled or has begun; there is no trace to tear apart then.
        let _ = span.set_parent(parent);
    }
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::try_from(key);
        let value = HeaderValue::try_from(value);
        // An empty tracestate is no tracestate.
        if let (Ok(name), Ok(value)) = (name, value)
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}

struct Received<'a>(&'a HeaderMap);

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
