//! Sends spans to a collector, away from everything else.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::JoinHandle,
    time::Duration,
};

use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter},
};
use tokio::sync::oneshot;
use tracing::subscriber::NoSubscriber;

use super::TelemetryError;

/// How long the end of a process waits for its last spans.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one batch may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Spans that wait; further ones are dropped.
const QUEUE_SPANS_MAX: usize = 8192;

/// The longest wait before a batch that is not full is sent.
const DELAY: Duration = Duration::from_millis(500);

/// A runtime on a thread of its own for the connection to the collector. The service's runtime
/// may be busy, or waiting in [`super::Guard`]'s drop for what only it could send.
pub(super) struct Export {
    endpoint: String,
    runtime: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Export {
    pub fn start(endpoint: &str) -> Result<Self, TelemetryError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            // What the connection itself logs must not come back to it as spans.
            tracing::subscriber::with_default(NoSubscriber::default(), || {
                let _ = runtime.block_on(stopped);
            });
        };
        let thread = std::thread::Builder::new()
            .name("otlp-export".to_owned())
            .spawn(run)?;
        let export = Self {
            endpoint: endpoint.to_owned(),
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        };
        export.exporter()?;
        Ok(export)
    }

    pub fn processor(&self) -> BatchSpanProcessor {
        let exporter = self
            .exporter()
            .expect("an exporter for this endpoint has been made before");
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_scheduled_delay(DELAY);
        BatchSpanProcessor::new(exporter, config.build())
    }

    fn exporter(&self) -> Result<Reported, TelemetryError> {
        let _in_runtime = self.runtime.enter();
        let builder = opentelemetry_otlp::SpanExporter::builder().with_tonic();
        let built = builder
            .with_endpoint(&self.endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build();
        let refused = |error: opentelemetry_otlp::ExporterBuildError| TelemetryError::Exporter {
            endpoint: self.endpoint.clone(),
            reason: error.to_string(),
        };
        Ok(Reported {
            exporter: built.map_err(refused)?,
            failing: AtomicBool::new(false),
        })
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Counts batches, and says once that the collector cannot be reached and once that it can again.
#[derive(Debug)]
struct Reported {
    exporter: opentelemetry_otlp::SpanExporter,
    failing: AtomicBool,
}

impl SpanExporter for Reported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        let label = if result.is_ok() { "ok" } else { "failed" };
        metrics::counter!("telemetry_spans_total", "result" => label).increment(spans);
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => {
                tracing::warn!(%error, "traces cannot be sent; they are dropped until it works");
            }
            Ok(()) if was_failing => tracing::info!("traces are sent again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
