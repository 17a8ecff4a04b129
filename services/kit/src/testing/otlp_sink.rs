//! A collector of traces that a test can look into.

use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use axum::Router;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::Span,
};
use tokio::{net::TcpListener, sync::watch};
use tonic::{Request, Response, Status};

use crate::{
    serve::{Limits, serve, with_grpc},
    shutdown::Shutdown,
};

/// Spans are sent in batches, some seconds after they end.
const WAIT: Duration = Duration::from_secs(60);

/// A span as the collector has received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedSpan {
    /// The trace, in hex.
    pub trace_id: String,
    /// The span, in hex.
    pub span_id: String,
    /// The parent in hex; empty for a root.
    pub parent_span_id: String,
    /// What it is about.
    pub name: String,
    /// The service that sent it.
    pub service: String,
    /// The node that sent it.
    pub node: String,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
}

/// Receives OTLP over gRPC on a port of its own, until it is dropped.
pub struct OtlpSink {
    address: SocketAddr,
    spans: watch::Receiver<Vec<CollectedSpan>>,
    shutdown: Shutdown,
}

impl OtlpSink {
    /// Starts a sink on a free port of the loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (collected, spans) = watch::channel(Vec::new());
        let router = with_grpc(Router::new(), TraceServiceServer::new(Collector(collected)));
        let shutdown = Shutdown::new(Duration::ZERO);
        tokio::spawn(serve(
            listener,
            router,
            None,
            Limits::default(),
            shutdown.clone(),
        ));
        Ok(Self {
            address,
            spans,
            shutdown,
        })
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has been received so far, in order of arrival.
    #[must_use]
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.spans.borrow().clone()
    }

    /// Waits until `found` is satisfied with what has been received, or no more can be expected,
    /// and returns what there is: what it lacks then is the caller's to tell.
    pub async fn wait_for(&self, found: impl Fn(&[CollectedSpan]) -> bool) -> Vec<CollectedSpan> {
        let mut spans = self.spans.clone();
        drop(tokio::time::timeout(WAIT, spans.wait_for(|spans| found(spans))).await);
        self.spans()
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.shutdown.request("the sink was dropped");
    }
}

struct Collector(watch::Sender<Vec<CollectedSpan>>);

#[async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource_spans in request.into_inner().resource_spans {
            let resource = attributes(
                resource_spans
                    .resource
                    .map(|resource| resource.attributes)
                    .unwrap_or_default(),
            );
            let spans = resource_spans
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            self.0.send_modify(|collected| {
                collected.extend(spans.map(|span| received(span, &resource)));
            });
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn received(span: Span, resource: &BTreeMap<String, String>) -> CollectedSpan {
    let of_resource = |name: &str| resource.get(name).cloned().unwrap_or_default();
    CollectedSpan {
        trace_id: hex::encode(span.trace_id),
        span_id: hex::encode(span.span_id),
        parent_span_id: hex::encode(span.parent_span_id),
        name: span.name,
        service: of_resource("service.name"),
        node: of_resource("service.instance.id"),
        attributes: attributes(span.attributes),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .map(|pair| (pair.key, text(pair.value)))
        .collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
