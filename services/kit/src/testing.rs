//! What tests of services need and services do not (feature `testing`).

mod clock;
mod otlp_sink;

pub use clock::jump_clock;
pub(crate) use clock::jumped;
pub use otlp_sink::{CollectedSpan, OtlpSink};
