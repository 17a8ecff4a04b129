//! The HTTP interface: EPCIS 2.0 capture and events, proofs, traces, and the ledger's own state.

mod capture;
mod entries;
mod error;
mod events;
mod ledger;
mod proofs;
pub mod signer;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Extension, Router};
use consensus::{Cluster, Consistency};
use kit::tokens::Keys;
use tokio::sync::Semaphore;

pub use self::error::ApiError;
use self::signer::Signer;
use crate::epcis;
use crate::index::Index;
use crate::machine::Ledger;
use crate::machine::read::{self, Founded};
use crate::settings::Settings;

/// How long a query waits for the index to come to where the ledger is.
const INDEX_WAIT: Duration = Duration::from_secs(5);

/// What the routes share; cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

/// The parts of a node that requests need.
pub struct Shared {
    pub(crate) cluster: Cluster<Ledger>,
    pub(crate) index: Index,
    pub(crate) signer: Signer,
    pub(crate) limits: epcis::Limits,
    /// Captures that may be worked on at a time.
    pub(crate) captures: Semaphore,
}

impl std::ops::Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Api {
    /// The interface of a node.
    #[must_use]
    pub fn new(
        cluster: Cluster<Ledger>,
        index: Index,
        signer: Signer,
        settings: &Settings,
    ) -> Self {
        let limits = epcis::Limits {
            document_bytes_max: settings.capture.document_bytes_max,
            events_max: settings.capture.events_max,
            ..epcis::Limits::default()
        };
        Self(Arc::new(Shared {
            cluster,
            index,
            signer,
            limits,
            captures: Semaphore::new(settings.capture.concurrency_max),
        }))
    }

    /// The routes, without limits. Every one that changes the ledger asks for a token.
    pub fn router(&self, keys: Keys) -> Router {
        Router::new()
            .route("/capture", post(capture::capture))
            .route("/capture/{id}", get(capture::job))
            .route("/events", post(events::post))
            .route("/events/{id}", get(events::get))
            .route("/checkpoint", get(ledger::checkpoint))
            .route("/api/v1/ledger", get(ledger::ledger))
            .route("/api/v1/cluster", get(ledger::cluster))
            .route("/api/v1/keys", get(ledger::keys))
            .route("/api/v1/blocks", get(ledger::blocks))
            .route("/api/v1/entries/{index}", get(entries::entry))
            .route("/api/v1/entries/{index}/event", get(entries::event))
            .route("/api/v1/proofs/inclusion", get(proofs::inclusion))
            .route("/api/v1/proofs/consistency", get(proofs::consistency))
            .route("/api/v1/proofs/entries", get(proofs::entries))
            .route("/api/v1/trace/{epc}", get(trace::trace))
            .layer(Extension(keys))
            .layer(DefaultBodyLimit::disable())
            .with_state(self.clone())
    }
}

impl Shared {
    /// Reads the ledger as it is now, anywhere in the cluster.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let read = self.cluster.read(Consistency::Linearizable, query).await?;
        Ok(read.value)
    }

    /// The ledger's own row.
    pub(crate) async fn founded(&self) -> Result<Founded, ApiError> {
        self.read(read::founded).await?.ok_or(ApiError::NotFounded)
    }

    /// The number of entries, once this node's index holds them.
    pub(crate) async fn indexed(&self) -> Result<u64, ApiError> {
        let size = self.founded().await?.size;
        self.index.caught_up(size, INDEX_WAIT).await?;
        Ok(size)
    }
}
