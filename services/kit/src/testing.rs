//! What tests of services need and services do not (feature `testing`).

mod otlp_sink;

pub use otlp_sink::{CollectedSpan, OtlpSink};
