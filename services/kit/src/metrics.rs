//! Metrics in the Prometheus text format.
//!
//! Code anywhere uses the macros of the `metrics` crate; [`install`] collects what they record,
//! and [`Exposition::render`] prints it together with the process's own figures. Durations are
//! histograms in seconds under names that end in `_seconds`.

mod http;
mod process;

pub use http::{HttpMetrics, HttpMetricsLayer};

use std::{sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The media type of the Prometheus text format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the buckets of every `*_seconds` histogram: from a fast lock to a slow backup.
const SECONDS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 120.0,
];

/// Upper bounds of the buckets of every `*_bytes` histogram: powers of four from 64 B to 1 GiB.
const BYTES: [f64; 13] = [
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];

/// How often recorded samples are folded into buckets; without it a process that nobody scrapes
/// would keep every sample.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics of this process.
#[derive(Clone)]
pub struct Exposition(PrometheusHandle);

impl Exposition {
    /// Everything recorded so far, and the process's own figures as they are now.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.0.render();
        text.push_str(&process::render());
        text
    }
}

/// Starts to collect metrics. Every call in a process returns the same exposition.
pub fn install() -> Exposition {
    static INSTALLED: OnceLock<Exposition> = OnceLock::new();
    INSTALLED.get_or_init(start).clone()
}

fn start() -> Exposition {
    let builder = [
        ("_seconds", SECONDS.as_slice()),
        ("_bytes", BYTES.as_slice()),
    ]
    .into_iter()
    .try_fold(PrometheusBuilder::new(), |builder, (suffix, buckets)| {
        builder.set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), buckets)
    });
    let recorder = builder.expect("the buckets are not empty").build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another recorder is installed: /metrics shows the process's figures only");
    }
    let upkeep = handle.clone();
    let keep_up = move || loop {
        #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
        std::thread::sleep(UPKEEP);
        upkeep.run_upkeep();
    };
    if let Err(error) = std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(keep_up)
    {
        tracing::warn!(%error, "samples are folded only when /metrics is read");
    }
    Exposition(handle)
}

/// States what runs: `build_info{service,node,version} 1`.
pub fn build_info(service: &str, node: &str, version: &str) {
    let labels = [
        ("service", service.to_owned()),
        ("node", node.to_owned()),
        ("version", version.to_owned()),
    ];
    metrics::gauge!("build_info", &labels).set(1.0);
}
