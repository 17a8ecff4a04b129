//! `provchain witness`: watches the ledgers of other networks, and cosigns what they show everybody.

mod fetch;
mod look;
mod record;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kit::health::{Check, Health};
use kit::metrics::HttpMetricsLayer;
use kit::rate::RateLimit;
use kit::serve::Connection;
use kit::shutdown::Shutdown;
use kit::telemetry::TraceLayer;
use kit::tls::Tls;
use tokio::net::TcpListener;

pub use record::load_or_create_key;

use self::fetch::Fetcher;
use self::record::{Mailbox, Watched, Witness};
use super::TLS_WATCH;
use crate::settings::WitnessSettings;

/// Runs a witness until the shutdown is over.
///
/// # Errors
/// What kept it from starting: settings, disk, certificates.
pub async fn run(
    settings: WitnessSettings,
    listener: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let exposition = kit::metrics::install();
    let tls = Tls::load(&settings.tls)?;
    let watching = tls
        .as_ref()
        .map(|tls| tls.watch(TLS_WATCH, shutdown.clone()));
    let (witness, mailboxes) = Witness::open(&settings)?;
    tracing::info!(key = %witness.key(), ledgers = settings.ledgers.len(), "the witness runs");
    let fetcher = Fetcher::new(
        Duration::from_millis(settings.timeout_ms),
        settings.ca_file.as_deref(),
    )?;
    let health = Health::new(
        "provchain-witness",
        &settings.name,
        env!("CARGO_PKG_VERSION"),
    );
    health.register_shutdown(&shutdown);
    witness.evidence().register(&health);
    let mut tasks = Vec::new();
    for (watched, mailbox) in mailboxes {
        register(&health, &watched);
        let watcher = look::Watcher {
            witness: witness.clone(),
            watched,
            fetcher: fetcher.clone(),
            interval: Duration::from_secs(settings.interval_seconds),
        };
        tasks.push(tokio::spawn(watcher.run(mailbox)));
    }
    let limit = RateLimit::new(settings.rate);
    let proxies = settings.trusted_proxies.clone();
    let limited = limit.layer(routes::router(witness), move |request| {
        let connection = request.extensions().get::<Connection>()?;
        let client = connection.client(request.headers(), &proxies);
        Some(kit::rate::address_key(client))
    });
    let router = settings
        .limits
        .layer(limited.merge(health.router(exposition)))
        .layer(HttpMetricsLayer)
        .layer(TraceLayer);
    let server_tls = tls.as_ref().map(Tls::server);
    kit::systemd::ready("serving");
    kit::serve::serve(listener, router, server_tls, settings.limits, shutdown)
        .await
        .context("cannot serve")?;
    for task in tasks {
        task.abort();
    }
    if let Some(watching) = watching {
        watching.abort();
    }
    Ok(())
}

/// Shows in the health how a ledger stands. It is never the witness that fails where a ledger does.
fn register(health: &Health, watched: &Arc<Watched>) {
    let watched = Arc::clone(watched);
    health.register(watched.origin.clone(), move || {
        let standing = watched.standing();
        if standing.is_good {
            Check::pass(standing.words)
        } else {
            Check::warn(standing.words)
        }
    });
}

/// Notes that clients sent and that are to be looked at.
type Mailboxes = Vec<(Arc<Watched>, Mailbox)>;
