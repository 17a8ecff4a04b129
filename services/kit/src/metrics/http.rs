//! Counts and times HTTP requests.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use axum::extract::MatchedPath;
use http::{Method, Request, Response};
use tower::{Layer, Service};

/// Records `http_requests_total{method,route,status}`, `http_request_duration_seconds` with the
/// same labels, from the head of the request to the head of the response, and
/// `http_requests_in_flight`.
///
/// Goes on a router with `Router::layer`, so that the route is known: labels carry the pattern
/// (`/trace/{epc}`), never what a client wrote. A request that its client gave up has the status
/// `cancelled`; one whose handler panicked outside [`crate::serve::Limits::layer`], `panic`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpMetricsLayer;

impl<S> Layer<S> for HttpMetricsLayer {
    type Service = HttpMetrics<S>;

    fn layer(&self, inner: S) -> HttpMetrics<S> {
        HttpMetrics { inner }
    }
}

/// The service that [`HttpMetricsLayer`] makes.
#[derive(Debug, Clone)]
pub struct HttpMetrics<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for HttpMetrics<S>
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
        let observed = Observed::begin(&request);
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await;
            if let Ok(response) = &response {
                observed.end(response.status().as_str());
            }
            response
        })
    }
}

struct Observed {
    method: &'static str,
    route: String,
    began: Instant,
    ended: bool,
}

impl Observed {
    fn begin<B>(request: &Request<B>) -> Self {
        metrics::gauge!("http_requests_in_flight").increment(1);
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("unmatched", MatchedPath::as_str);
        Self {
            method: known(request.method()),
            route: route.to_owned(),
            began: Instant::now(),
            ended: false,
        }
    }

    fn end(mut self, status: &str) {
        self.record(status);
        self.ended = true;
    }

    fn record(&self, status: &str) {
        let labels = [
            ("method", self.method.to_owned()),
            ("route", self.route.clone()),
            ("status", status.to_owned()),
        ];
        metrics::counter!("http_requests_total", &labels).increment(1);
        metrics::histogram!("http_request_duration_seconds", &labels)
            .record(self.began.elapsed().as_secs_f64());
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        metrics::gauge!("http_requests_in_flight").decrement(1);
        if !self.ended {
            self.record(if std::thread::panicking() {
                "panic"
            } else {
                "cancelled"
            });
        }
    }
}

/// A client may invent methods; a label may not follow it.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
