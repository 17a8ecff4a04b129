//! A running service: the watch, what it records, and what is answered meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kit::health::{Check, Health};
use kit::metrics::HttpMetricsLayer;
use kit::shutdown::Shutdown;
use kit::telemetry::TraceLayer;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};

use crate::api::{Api, Kept, available};
use crate::settings::{Settings, database};
use crate::store::{Retention, Store};
use crate::watch::{Prober, Watch};

/// How often what is too old is deleted.
const RETAIN_EVERY: Duration = Duration::from_secs(300);

/// How long it waits before the first round.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What the last attempt to write a round came to: nothing, or why not.
type Recorded = Arc<Mutex<Option<String>>>;

/// Runs the service until the shutdown is over.
///
/// # Errors
/// What kept it from starting: settings or authorities.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let exposition = kit::metrics::install();
    let store = match &settings.database_url {
        Some(url) => {
            let config = database(url, &settings.database_password);
            let config = config.map_err(|reason| anyhow::anyhow!("database_url: {reason}"))?;
            Some(Arc::new(Store::new(config)))
        }
        None => None,
    };
    let patience = Duration::from_millis(settings.probe_timeout_ms);
    let prober = Prober::new(patience, settings.authorities_file.as_deref())?;
    let watch = Watch::new(&settings, prober);
    let recorded = Recorded::default();
    let health = Health::new("status", &settings.node_name, env!("CARGO_PKG_VERSION"));
    health.register_shutdown(&shutdown);
    register(&health, &settings, &watch, &recorded, store.is_some());
    let kept = Arc::new(Kept::new(store.clone(), settings.history_days));
    let api = Api::new(&settings, watch.live(), store.clone(), kept);
    let routes = api.router().merge(health.router(exposition));
    let router = settings
        .limits
        .layer(routes)
        .layer(HttpMetricsLayer)
        .layer(TraceLayer);
    let watching = tokio::spawn(watched(settings.clone(), watch, store, recorded));
    kit::systemd::ready(&format!("answering on {}", listener.local_addr()?));
    kit::systemd::watch(shutdown.clone(), || true);
    let served = kit::serve::serve(listener, router, None, settings.limits, shutdown).await;
    watching.abort();
    served.context("cannot serve")
}

/// Asks and records, for ever.
async fn watched(
    settings: Settings,
    mut watch: Watch,
    store: Option<Arc<Store>>,
    recorded: Recorded,
) {
    let keep = Retention {
        sample_hours: settings.sample_hours,
        history_days: settings.history_days,
    };
    let mut retained: Option<Instant> = None;
    let mut ticks = interval(Duration::from_millis(settings.interval_ms));
    // A round that took long is followed by one, not by all that were missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Those that are started together with it have a moment to come up, itself among them.
    tokio::time::sleep(FIRST_PAUSE).await;
    loop {
        ticks.tick().await;
        let round = watch.round(kit::clock::now()).await;
        let Some(store) = &store else {
            available(false);
            continue;
        };
        let mut written = store.record(&round).await;
        // What could not be written is lost; the next round has news of its own.
        if written.is_ok() && retained.is_none_or(|last| last.elapsed() >= RETAIN_EVERY) {
            written = store.retain(keep, round.at).await.map(drop);
            retained = Some(Instant::now());
        }
        available(written.is_ok());
        let reason = written.err().map(|error| error.to_string());
        let mut last = recorded.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*last, &reason) {
            (None, Some(reason)) => tracing::warn!(reason, "history is not written"),
            (Some(_), None) => tracing::info!("history is written again"),
            _ => {}
        }
        *last = reason;
    }
}

fn register(
    health: &Health,
    settings: &Settings,
    watch: &Watch,
    recorded: &Recorded,
    has_store: bool,
) {
    let trouble = watch.trouble();
    health.register("targets", move || {
        match &*trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(trouble) => Check::warn(trouble.clone()),
            None => Check::pass("read"),
        }
    });
    let recorded = Arc::clone(recorded);
    // Health now can be told without it.
    health.register("history", move || {
        let reason = recorded.lock().unwrap_or_else(PoisonError::into_inner);
        match &*reason {
            _ if !has_store => Check::warn("no database is configured"),
            Some(reason) => Check::warn(reason.clone()),
            None => Check::pass("is written"),
        }
    });
    let live = watch.live();
    let longest = 3 * (settings.interval_ms + settings.probe_timeout_ms) + 10_000;
    health.register("watch", move || match live.borrow().at {
        None => Check::warn("nobody has been asked yet"),
        Some(at) => {
            let age = kit::clock::now().duration_since(at).as_millis();
            if age > i128::from(longest) {
                Check::fail(format!("the last round was {} s ago", age / 1000))
            } else {
                Check::pass(format!("asked at {at}"))
            }
        }
    });
}
