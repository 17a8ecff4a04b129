//! A running node: consensus, index, API, and what goes on beside requests.

pub mod backups;
mod cosigning;
mod delivering;
mod destroying;
mod feeding;
mod founding;
mod indexing;
mod sealing;
pub mod witness;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use consensus::Cluster;
use kit::health::{Check, Health};
use kit::metrics::HttpMetricsLayer;
use kit::shutdown::Shutdown;
use kit::telemetry::TraceLayer;
use kit::tls::Tls;
use kit::tokens::Keys;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::api::kept::Kept;
use crate::api::live::feed::Feed;
use crate::api::signer::Signer;
use crate::api::{Api, Signing, evidence};
use crate::index::Index;
use crate::keys::{Keeper, SubjectStore};
use crate::machine::keys::RetiredKeys;
use crate::machine::{Ledger, Revision, SharedDirectory, SharedPersonal};
use crate::settings::Settings;

/// How often certificates are looked at.
const TLS_WATCH: Duration = Duration::from_secs(10);

/// The sockets of a node.
pub struct Listeners {
    /// The API and the other nodes.
    pub api: TcpListener,
    /// Metrics and health.
    pub metrics: TcpListener,
}

impl Listeners {
    /// Binds the ports of the settings.
    ///
    /// # Errors
    /// What the system says, with the address.
    pub async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let bind = async |port: u16| {
            let address = std::net::SocketAddr::new(settings.host, port);
            TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}"))
        };
        Ok(Self {
            api: bind(settings.port).await?,
            metrics: bind(settings.metrics_port).await?,
        })
    }
}

/// Runs a node until the shutdown is over.
///
/// # Errors
/// What kept it from starting: settings, disk, certificates.
pub async fn run(
    settings: Settings,
    listeners: Listeners,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let exposition = kit::metrics::install();
    let keys = Keys::new(&settings.jwt_secret)?;
    let tls = Tls::load(&settings.tls)?;
    let watching = tls
        .as_ref()
        .map(|tls| tls.watch(TLS_WATCH, shutdown.clone()));
    std::fs::create_dir_all(&settings.data_dir)
        .with_context(|| format!("cannot make {}", settings.data_dir.display()))?;
    let retired = RetiredKeys::default();
    let signer = Signer::load_or_create(&settings.data_dir.join("node.key"), retired.clone())
        .context("cannot read the node's key")?;
    let evidence = evidence::Kept::open(settings.data_dir.join("evidence"))
        .context("cannot read the evidence")?;
    let memory = cosigning::Memory::open(settings.data_dir.join("cosigned"))
        .context("cannot read what this node cosigned")?;
    let kept = Kept::open(settings.data_dir.join("checkpoint"));
    let index = Index::open(&settings.data_dir.join("index.db"))?;
    let config = settings.node_config(tls.as_ref().and_then(Tls::client));
    let directory = SharedDirectory::default();
    let revision = Revision::default();
    let personal = SharedPersonal::default();
    let machine = Ledger::with_directory(directory.clone())
        .with_retired(retired)
        .with_personal(personal.clone())
        .telling(revision.clone());
    let store = SubjectStore::open(&settings.data_dir.join("subjects.db"))?;
    let (cluster, peer_routes) = Cluster::start(config, machine).await?;
    let keeper = Keeper::new(&cluster, store.clone(), index.cleaned());

    let health = Health::new("provchain", &settings.node_name, env!("CARGO_PKG_VERSION"));
    health.register_shutdown(&shutdown);
    cluster.register_health(&health);
    evidence.register(&health);
    let signing = signer.clone();
    health.register("key", move || match signing.public_key() {
        Ok(_) => Check::pass("signs"),
        Err(error) => Check::not_ready(error.to_string()),
    });
    let feed = Feed::new(Arc::new(store));
    let api = Api::new(
        cluster.clone(),
        index.clone(),
        Signing {
            signer: signer.clone(),
            kept: kept.clone(),
            evidence: evidence.clone(),
        },
        (directory.clone(), revision, keys),
        (keeper.clone(), personal),
        feed.clone(),
        &settings,
    );
    let layered = |router: axum::Router| router.layer(HttpMetricsLayer).layer(TraceLayer);
    let limits = kit::serve::Limits {
        body_bytes_max: settings.capture.document_bytes_max as u64,
        ..settings.limits
    };
    // The peers' streams have limits of their own.
    let asked = api.router().merge(health.router(exposition.clone()));
    let public = layered(limits.layer(asked).merge(peer_routes));
    let operations = settings.limits.layer(health.router(exposition));

    let answerer = cosigning::Answerer {
        cluster: cluster.clone(),
        signer: signer.clone(),
        memory,
        evidence: evidence.clone(),
    };
    cluster.answer(cosigning::CHANNEL, move |_, question| {
        let answerer = answerer.clone();
        async move { answerer.answer(question).await }
    });
    let asker = cosigning::Asker {
        cluster: cluster.clone(),
        kept: kept.clone(),
        evidence,
    };
    let (renewed, renewals) = watch::channel(());
    let backups = tokio::spawn(backups::run(
        cluster.clone(),
        signer.clone(),
        settings.clone(),
        health.clone(),
        shutdown.clone(),
    ));
    let tasks = [
        tokio::spawn(asker.run(renewals)),
        tokio::spawn(founding::run(
            cluster.clone(),
            signer.clone(),
            directory,
            settings.admin_password.clone(),
        )),
        tokio::spawn(sealing::run(
            cluster.clone(),
            signer,
            kept,
            renewed,
            Duration::from_millis(settings.block_interval_ms),
        )),
        tokio::spawn(indexing::run(cluster.clone(), index, keeper.clone())),
        tokio::spawn(feeding::run(cluster.clone(), keeper.clone(), feed.clone())),
        tokio::spawn(destroying::run(
            cluster.clone(),
            keeper.clone(),
            destroying::Told {
                feed: feed.clone(),
                cache: api.cache.clone(),
            },
        )),
        tokio::spawn(async move { keeper.exchange().await }),
        tokio::spawn(delivering::run(api)),
    ];
    let server_tls = tls.as_ref().map(Tls::server);
    let serving = kit::serve::serve(
        listeners.api,
        public,
        server_tls,
        settings.limits,
        shutdown.clone(),
    );
    // Metrics outlive the API by the time that handing leadership over takes.
    let operations_shutdown = Shutdown::new(Duration::from_secs(1));
    let watched = tokio::spawn(kit::serve::serve(
        listeners.metrics,
        operations,
        None,
        settings.limits,
        operations_shutdown.clone(),
    ));
    let leaving = {
        let (cluster, shutdown) = (cluster.clone(), shutdown.clone());
        tokio::spawn(async move {
            shutdown.requested().await;
            // Streams would last for ever.
            feed.close();
            // Peers are still served while leadership moves: `serve` lets their streams go on.
            cluster.shutdown().await;
        })
    };
    kit::systemd::ready("serving");
    serving.await?;
    leaving.await?;
    for task in tasks {
        task.abort();
    }
    backups.abort();
    operations_shutdown.request("the node has stopped");
    watched.await??;
    if let Some(watching) = watching {
        watching.abort();
    }
    Ok(())
}
