//! The HTTP interface: EPCIS 2.0 capture and events, proofs, traces, and the ledger's own state.

mod capture;
mod entries;
mod error;
mod events;
mod format;
mod ledger;
mod proofs;
mod question;
mod recall;
pub mod signer;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Extension, Router};
use consensus::{Cluster, Consistency};
use kit::tokens::Keys;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::error::ApiError;
use self::signer::Signer;
use crate::epcis;
use crate::index::Index;
use crate::machine::Ledger;
use crate::machine::read::{self, Founded};
use crate::settings::Settings;

/// How long work waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// Proofs and traces that are worked on at a time.
const QUERIES_MAX: usize = 4;

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
    pub(crate) command_bytes_max: usize,
    /// Captures that may be worked on at a time.
    captures: Arc<Semaphore>,
    /// Proofs and traces that may be worked on at a time: anybody may ask for them.
    queries: Arc<Semaphore>,
}

/// The right to work. It goes with the work to the thread where that blocks: a client that hangs
/// up ends the request, and not the work.
pub(crate) type Turn = OwnedSemaphorePermit;

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
            captures: Arc::new(Semaphore::new(settings.capture.concurrency_max)),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            command_bytes_max: settings.consensus.command_bytes_max,
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
            .route("/api/v1/recall/{epc}", get(recall::recall))
            .layer(Extension(keys))
            .layer(DefaultBodyLimit::disable())
            .with_state(self.clone())
    }
}

impl Shared {
    /// Waits for a capture's turn.
    pub(crate) async fn capture_turn(&self) -> Result<Turn, ApiError> {
        turn(&self.captures, "captures").await
    }

    /// Waits for the turn of a proof or a trace.
    pub(crate) async fn query_turn(&self) -> Result<Turn, ApiError> {
        turn(&self.queries, "proofs and traces").await
    }

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

async fn turn(turns: &Arc<Semaphore>, of: &str) -> Result<Turn, ApiError> {
    let turn = tokio::time::timeout(TURN_WAIT, Arc::clone(turns).acquire_owned()).await;
    turn.map_err(|_| ApiError::Busy(format!("too many {of} at a time: try again")))?
        .map_err(|error| ApiError::Internal(error.to_string()))
}
