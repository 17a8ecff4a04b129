//! The HTTP interface: EPCIS 2.0 capture and events, proofs, traces, and the ledger's own state.

mod auth;
pub mod cache;
mod caller;
mod capture;
mod entries;
mod error;
mod even;
mod events;
pub mod evidence;
mod format;
pub mod kept;
mod keys;
mod ledger;
pub mod live;
mod negotiate;
pub mod openapi;
mod pages;
mod people;
mod proofs;
pub mod queries;
mod query;
mod question;
mod recall;
mod resources;
pub mod routes;
pub mod signer;
mod subjects;
mod tiles;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use consensus::{Cluster, Consistency};
use kit::rate::{RateLimit, RateSettings};
use kit::tokens::Keys;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::cache::Cache;
use self::caller::TokenKeys;
pub use self::caller::Who;
pub use self::error::ApiError;
use self::live::feed::Feed;
use self::queries::look::LOOKS_MAX;
use self::signer::Signer;
use crate::access::Visibility;
use crate::epcis;
use crate::index::Index;
use crate::keys::Keeper;
use crate::machine::read::{self, Founded};
use crate::machine::{self, Ledger, Revision, SharedDirectory, SharedPersonal};
use crate::settings::{SessionSettings, Settings, SubscriptionSettings};

/// How long work waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// Proofs and traces that are worked on at a time.
const QUERIES_MAX: usize = 4;

/// Passwords that are hashed at a time: each takes a processor for some 20 ms, and 19 MiB.
const HASHING_MAX: usize = 2;

/// Tries to log in: of one name from one address, and of one address; after a burst, one in five
/// seconds.
const LOGINS: RateSettings = RateSettings {
    per_second: 0.2,
    burst: 20,
    keys_max: 65_536,
};

/// Listeners of a node; each holds one of its connections.
const LISTENERS_MAX: usize = 3_072;

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
    /// The newest checkpoint, with the cosignatures of the others.
    pub(crate) kept: kept::Kept,
    /// Evidence against this ledger.
    pub(crate) evidence: evidence::Kept,
    /// Held by whoever makes the node's key hand over.
    pub(crate) rotating: Arc<tokio::sync::Mutex<()>>,
    pub(crate) limits: epcis::Limits,
    pub(crate) command_bytes_max: usize,
    /// Who is who, as this node has it.
    pub(crate) directory: SharedDirectory,
    /// The keys of subjects.
    pub(crate) keeper: Keeper,
    /// What is personal, as this node has it.
    pub(crate) personal: SharedPersonal,
    pub(crate) tokens: TokenKeys,
    pub(crate) sessions: SessionSettings,
    /// Who may read what is captured without a word about that.
    pub(crate) visibility_default: Visibility,
    /// What listeners are told.
    pub(crate) feed: Feed,
    /// Answers that are kept.
    pub(crate) cache: Cache,
    listeners: Arc<Semaphore>,
    trusted_proxies: Vec<kit::serve::AddressRange>,
    rate: RateLimit,
    logins: RateLimit,
    hashing: Arc<Semaphore>,
    /// Captures that may be worked on at a time.
    captures: Arc<Semaphore>,
    /// Proofs and traces that may be worked on at a time: anybody may ask for them.
    queries: Arc<Semaphore>,
    /// Looks for what subscribers get that may be taken at a time.
    looks: Arc<Semaphore>,
    /// What subscriptions may do.
    pub(crate) subscriptions: SubscriptionSettings,
    /// When queries and subscriptions change.
    pub(crate) revision: Revision,
}

/// What a node signs with, and what it keeps of signatures.
pub struct Signing {
    /// Its key.
    pub signer: Signer,
    /// The newest checkpoint.
    pub kept: kept::Kept,
    /// Evidence of split histories.
    pub evidence: evidence::Kept,
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
        signing: Signing,
        (directory, revision, keys): (SharedDirectory, Revision, Keys),
        (keeper, personal): (Keeper, SharedPersonal),
        feed: Feed,
        settings: &Settings,
    ) -> Self {
        let limits = epcis::Limits {
            document_bytes_max: settings.capture.document_bytes_max,
            events_max: settings.capture.events_max,
            event_hashes_checked: settings.capture.event_hashes_checked,
            ..epcis::Limits::default()
        };
        Self(Arc::new(Shared {
            cluster,
            index,
            signer: signing.signer,
            kept: signing.kept,
            evidence: signing.evidence,
            rotating: Arc::default(),
            limits,
            captures: Arc::new(Semaphore::new(settings.capture.concurrency_max)),
            queries: Arc::new(Semaphore::new(QUERIES_MAX)),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            subscriptions: settings.subscriptions.clone(),
            revision,
            command_bytes_max: settings.consensus.command_bytes_max,
            directory,
            keeper,
            personal,
            tokens: TokenKeys::new(keys, &settings.network_id),
            sessions: settings.session,
            visibility_default: settings.capture.visibility_default,
            feed,
            cache: Cache::new(&settings.cache, settings.peer_secret().expose().as_bytes()),
            listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
            trusted_proxies: settings.trusted_proxies.clone(),
            rate: RateLimit::new(settings.rate),
            logins: RateLimit::new(LOGINS),
            hashing: Arc::new(Semaphore::new(HASHING_MAX)),
        }))
    }

    /// The routes, without limits of size and time.
    pub fn router(&self) -> Router {
        routes::router(self)
            .layer(from_fn_with_state(self.clone(), caller::identify))
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

    /// Refuses what the nodes of the build before would not understand.
    pub(crate) fn require_version(&self, version: u32) -> Result<(), ApiError> {
        if self.cluster.status().version >= version {
            return Ok(());
        }
        let message = "the cluster is being upgraded: try again when all nodes are";
        Err(ApiError::Busy(message.into()))
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

    /// The ledger's own row, once this node's index holds all entries, and nothing that was erased.
    pub(crate) async fn indexed(&self) -> Result<Founded, ApiError> {
        let now = self.read(|state| {
            let erasures = machine::subjects::erasures_done(state)?;
            Ok(read::founded(state)?.map(|founded| (founded, erasures)))
        });
        let (founded, erasures) = now.await?.ok_or(ApiError::NotFounded)?;
        let caught_up = self.index.caught_up(founded.size, erasures, INDEX_WAIT);
        caught_up.await?;
        Ok(founded)
    }
}

async fn turn(turns: &Arc<Semaphore>, of: &str) -> Result<Turn, ApiError> {
    let turn = tokio::time::timeout(TURN_WAIT, Arc::clone(turns).acquire_owned()).await;
    turn.map_err(|_| ApiError::Busy(format!("too many {of} at a time: try again")))?
        .map_err(|error| ApiError::Internal(error.to_string()))
}
