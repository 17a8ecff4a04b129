//! Logs and traces.
//!
//! [`init`] sets both up for the process: log lines in JSON or for a terminal on standard error,
//! each with the trace it belongs to, and spans over OTLP/gRPC to a collector. The rest of the
//! module carries the trace from one process to the next: over HTTP and gRPC ([`TraceLayer`] where
//! a request comes in, [`PropagateLayer`] where it goes out), and inside bytes
//! ([`current_traceparent`], [`span_from_traceparent`]).
//!
//! A collector that is slow or gone costs a service nothing but spans: they wait in a queue of
//! bounded length, are sent from threads of their own, and are dropped when the queue is full.

mod export;
mod format;
mod propagate;
mod trace_layer;

pub use propagate::{
    Propagate, PropagateLayer, current_traceparent, extract, inject, propagate,
    span_from_traceparent,
};
pub use trace_layer::{Trace, TraceLayer};

use std::{fmt, io};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::Invalid;
use export::Export;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// One line of text, for a terminal.
    Pretty,
}

/// The names that other programs have for these settings, where they stand under `telemetry`.
pub const ENV: crate::settings::Names = &[
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("LOG_LEVEL", "telemetry.log_level"),
    ("RUST_LOG", "telemetry.log_level"),
    ("LOG_FORMAT", "telemetry.log_format"),
];

/// What is logged and traced, and where to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged: a level (error, warn, info, debug, trace), or directives such as
    /// `info,hyper=warn`. Does not affect traces.
    pub log_level: String,
    /// The collector of traces, such as `http://jaeger:4317` (OTLP over gRPC). Without it spans
    /// are not sent, but requests still carry the trace on.
    pub otlp_endpoint: Option<String>,
    /// The name of this service in traces; the system's own name when not set.
    pub service_name: Option<String>,
    /// The share of traces that are sent, from 0 to 1. A request that comes with a trace follows
    /// the decision made where the trace began.
    pub trace_sample_ratio: f64,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log_format: LogFormat::default(),
            log_level: "info".to_owned(),
            otlp_endpoint: None,
            service_name: None,
            trace_sample_ratio: 1.0,
        }
    }
}

impl TelemetrySettings {
    /// What cannot work, for [`crate::settings::Settings::validate`]; `section` is the key of
    /// these settings, such as `telemetry`.
    #[must_use]
    pub fn problems(&self, section: &str) -> Vec<Invalid> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, reason: String| {
            problems.push(Invalid::new(format!("{section}.{key}"), reason));
        };
        if let Err(error) = self.filter() {
            refuse("log_level", error.to_string());
        }
        if !(0.0..=1.0).contains(&self.trace_sample_ratio) {
            refuse(
                "trace_sample_ratio",
                format!("{} is not between 0 and 1", self.trace_sample_ratio),
            );
        }
        if let Some(endpoint) = &self.otlp_endpoint
            && !endpoint.starts_with("http://")
        {
            refuse(
                "otlp_endpoint",
                format!(
                    "{endpoint:?} does not begin with http:// (the collector is reached in the clear, on this machine or network)"
                ),
            );
        }
        problems
    }

    fn filter(&self) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
        EnvFilter::builder().parse(&self.log_level)
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Settings that cannot work.
    #[error("{0}")]
    Settings(Invalid),
    /// The exporter of traces cannot be made.
    #[error("traces cannot be sent to {endpoint}: {reason}")]
    Exporter {
        /// The collector.
        endpoint: String,
        /// What was wrong.
        reason: String,
    },
    /// A thread cannot be started.
    #[error("cannot start the thread that sends traces: {0}")]
    Thread(#[from] io::Error),
    /// A process has one log.
    #[error("telemetry has been set up in this process before")]
    Already,
}

/// Sends what is left when it is dropped, for two seconds at most. `main` keeps it to its end.
#[must_use = "dropping the guard ends the export of traces"]
pub struct Guard {
    provider: SdkTracerProvider,
    export: Option<Export>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("exports", &self.export.is_some())
            .finish_non_exhaustive()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.provider.shutdown_with_timeout(export::FLUSH_TIMEOUT);
        drop(self.export.take());
    }
}

/// Sets up logs and traces for this process. `service` and `node` are on every log line and span.
///
/// # Errors
/// Settings that cannot work, or a second call.
pub fn init(
    settings: &TelemetrySettings,
    service: &str,
    node: &str,
) -> Result<Guard, TelemetryError> {
    if let Some(problem) = settings.problems("telemetry").into_iter().next() {
        return Err(TelemetryError::Settings(problem));
    }
    let service = settings.service_name.as_deref().unwrap_or(service);
    let export = settings
        .otlp_endpoint
        .as_deref()
        .map(Export::start)
        .transpose()?;
    let provider = provider(settings, service, node, export.as_ref());
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let log = match settings.log_format {
        LogFormat::Json => log.json().event_format(format::json(service, node)).boxed(),
        LogFormat::Pretty => log.event_format(format::pretty()).boxed(),
    };
    let filter = settings.filter().map_err(|error| {
        TelemetryError::Settings(Invalid::new("telemetry.log_level", error.to_string()))
    })?;
    // The level of the log does not decide about traces: else a quiet log would tear them apart.
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("kit"))
        .with_filter(LevelFilter::INFO);
    let subscriber = tracing_subscriber::registry()
        .with(traces)
        .with(log.with_filter(filter));
    subscriber.try_init().map_err(|_| TelemetryError::Already)?;
    Ok(Guard { provider, export })
}

fn provider(
    settings: &TelemetrySettings,
    service: &str,
    node: &str,
    export: Option<&Export>,
) -> SdkTracerProvider {
    let name = KeyValue::new("service.instance.id", node.to_owned());
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(name)
        .build();
    // Without a collector nothing is recorded; spans have identifiers all the same, for the log
    // and for the next process.
    let root = match export {
        Some(_) => Sampler::TraceIdRatioBased(settings.trace_sample_ratio),
        None => Sampler::AlwaysOff,
    };
    let builder = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(root)));
    match export {
        Some(export) => builder.with_span_processor(export.processor()).build(),
        None => builder.build(),
    }
}
