//! The handle that a system holds.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use kit::health::{Check, Health};
use prost::Message as _;
use serde_json::Value;
use tokio::sync::watch;

use crate::channel::AskError;
use crate::core::Core;
use crate::identity::Identity;
use crate::log::{LogIo, LogStore};
use crate::machine::Machine;
use crate::propose::ProposeError;
use crate::raft::Outcome;
use crate::read::{Consistency, Read, ReadError};
use crate::settings::NodeConfig;
use crate::start::StartError;
use crate::state::StateMachine;
use crate::status::Status;
use crate::subscribe::{self, Applied, SubscribeError};
use crate::wire::proposal::Kind;
use crate::{start, wire};

/// A client's session for request ids; see [`Cluster::open_session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Session(pub u64);

/// Names a proposal within a session, so that a retry has one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// The session.
    pub session: Session,
    /// The client's number for it: grows with each new request, stays with a retry.
    pub number: u64,
    /// All requests below this number have been answered: their replies are forgotten.
    pub settled_below: u64,
}

/// What a proposal gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed<R> {
    /// The entry's index; this node has applied it, unless it was too far behind to do so in time.
    pub index: u64,
    /// The machine's reply.
    pub reply: R,
}

/// A replicated state machine, as one of its nodes sees it; cheap to clone.
pub struct Cluster<M> {
    core: Arc<Core>,
    machine: PhantomData<fn() -> M>,
}

impl<M> Clone for Cluster<M> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            machine: PhantomData,
        }
    }
}

impl<M: Machine> Cluster<M> {
    /// Starts a node. The router holds the peer routes: serve it at the address that the node gives
    /// to others, or it can neither form a cluster nor join one.
    ///
    /// Returns when disk and core are in order. Forming, joining and catching up go on behind it;
    /// [`Cluster::unready`] tells when they are done.
    pub async fn start(config: NodeConfig, machine: M) -> Result<(Self, axum::Router), StartError> {
        let (identity, log) = start::open_log(&config, M::SYSTEM)?;
        Self::start_on(config, machine, identity, Box::new(log)).await
    }

    /// Starts a node whose log lies on `wrap(log)`: how tests put a faulty disk under it.
    #[cfg(feature = "testing")]
    pub async fn start_with_log(
        config: NodeConfig,
        machine: M,
        wrap: impl FnOnce(Box<dyn LogIo>) -> Box<dyn LogIo>,
    ) -> Result<(Self, axum::Router), StartError> {
        let (identity, log) = start::open_log(&config, M::SYSTEM)?;
        Self::start_on(config, machine, identity, wrap(Box::new(log))).await
    }

    /// Starts a node whose log lies on `log`, whatever log its data directory holds.
    #[cfg(feature = "testing")]
    pub async fn start_on_log(
        config: NodeConfig,
        machine: M,
        log: Box<dyn LogIo>,
    ) -> Result<(Self, axum::Router), StartError> {
        let identity = start::identify(&config, M::SYSTEM)?;
        Self::start_on(config, machine, identity, log).await
    }

    async fn start_on(
        config: NodeConfig,
        machine: M,
        identity: Identity,
        log: Box<dyn LogIo>,
    ) -> Result<(Self, axum::Router), StartError> {
        let log = LogStore::open(log, config.settings.log_memory_bytes_max)?;
        let state = StateMachine::open(&config.data_dir.join("state"), machine)?;
        let (core, router) = start::run(config, identity, log, state).await?;
        let cluster = Self {
            core,
            machine: PhantomData,
        };
        Ok((cluster, router))
    }

    /// Proposes a command; returns once a majority has it on disk and this node has applied it.
    ///
    /// When the outcome cannot be known ([`ProposeError::Unknown`]) it is not tried again: see
    /// [`Cluster::propose_idempotent`] and [`Cluster::propose_once`].
    pub async fn propose(&self, command: &M::Command) -> Result<Proposed<M::Reply>, ProposeError> {
        self.submit(command, None, false).await
    }

    /// Proposes a command whose effect is the same however often it is applied, and tries again
    /// until an outcome is known or the time is over.
    pub async fn propose_idempotent(
        &self,
        command: &M::Command,
    ) -> Result<Proposed<M::Reply>, ProposeError> {
        self.submit(command, None, true).await
    }

    /// Proposes a command under a request id: however often and wherever it is tried, it has one
    /// effect, and every try gets the same reply.
    pub async fn propose_once(
        &self,
        request: RequestId,
        command: &M::Command,
    ) -> Result<Proposed<M::Reply>, ProposeError> {
        let request = wire::RequestId {
            session: request.session.0,
            number: request.number,
            settled_below: request.settled_below,
        };
        self.submit(command, Some(request), true).await
    }

    async fn submit(
        &self,
        command: &M::Command,
        request: Option<wire::RequestId>,
        retry: bool,
    ) -> Result<Proposed<M::Reply>, ProposeError> {
        let proposal = wire::Proposal {
            kind: Some(Kind::Command(Bytes::from(command.encode_to_vec()))),
            request,
            traceparent: kit::telemetry::current_traceparent().unwrap_or_default(),
        };
        let (index, outcome) = self.core.propose(proposal, retry).await?;
        let Outcome::Reply(bytes) = outcome else {
            return Err(ProposeError::Malformed(
                "it is no reply to a command".into(),
            ));
        };
        let reply =
            M::Reply::decode(bytes).map_err(|error| ProposeError::Malformed(error.to_string()))?;
        Ok(Proposed { index, reply })
    }

    /// Opens a session for request ids. It lives until 4,096 others have been used more recently.
    pub async fn open_session(&self) -> Result<Session, ProposeError> {
        let proposal = wire::Proposal {
            kind: Some(Kind::OpenSession(true)),
            ..wire::Proposal::default()
        };
        // A session that nobody hears of costs a row and is forgotten in time.
        match self.core.propose(proposal, true).await? {
            (_, Outcome::Session(id)) => Ok(Session(id)),
            _ => Err(ProposeError::Malformed("no session was opened".into())),
        }
    }

    /// Reads the state in one transaction.
    pub async fn read<T: Send + 'static>(
        &self,
        consistency: Consistency,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Read<T>, ReadError> {
        let (index, age) = self.core.settle(consistency).await?;
        let value = self.core.state.read(query).await?;
        Ok(Read { value, index, age })
    }

    /// The commands that this node applies, in order, from the entry `from` on.
    pub fn subscribe(
        &self,
        from: u64,
    ) -> impl Stream<Item = Result<Applied<M::Command>, SubscribeError>> + Send + use<M> {
        subscribe::subscribe(Arc::clone(&self.core), from)
    }

    /// The names of the other members.
    #[must_use]
    pub fn others(&self) -> Vec<String> {
        self.core.others()
    }

    /// Asks the member of this name on `channel`, beside the log: nothing of it is replicated.
    ///
    /// The call is authenticated like all that peers say, and as secret as they: use it for secrets
    /// where certificates are configured, or the network is trusted. Question and answer have at most
    /// 1 MiB, the answer 5 s.
    pub async fn ask(
        &self,
        member: &str,
        channel: &str,
        question: Bytes,
    ) -> Result<Bytes, AskError> {
        self.core.ask(member, channel, question).await
    }

    /// Answers what other members ask on `channel` from now on: `answer` is given the asking member's
    /// name and its question, and gives the answer or the reason for refusing it.
    pub fn answer<F, A>(&self, channel: &'static str, answer: F)
    where
        F: Fn(String, Bytes) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Bytes, String>> + Send + 'static,
    {
        let answer =
            move |member, question| -> BoxFuture<'static, _> { Box::pin(answer(member, question)) };
        self.core.channels.open(channel, Arc::new(answer));
    }

    /// Where this node and its cluster stand.
    #[must_use]
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// Why this node should not be sent work, if it should not.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        self.core.unready()
    }

    /// Tells of this node in the health of its service: a check, its role and its leader.
    pub fn register_health(&self, health: &Health) {
        let checked = self.clone();
        health.register("consensus", move || {
            let status = checked.status();
            if let Some(reason) = status.halted {
                return Check::fail(reason);
            }
            match checked.unready() {
                Some(reason) => Check::not_ready(reason),
                None => {
                    Check::pass(format!("{:?} in term {}", status.role, status.term).to_lowercase())
                }
            }
        });
        let keeper = self.clone();
        health.register("disk", move || match keeper.core.disk.refusal() {
            Some(reason) => Check::warn(format!(
                "writes are refused: {reason} ({})",
                keeper.core.disk.state()
            )),
            None if keeper.core.disk.is_low() => Check::warn(keeper.core.disk.state()),
            None => Check::pass(keeper.core.disk.state()),
        });
        let described = self.clone();
        health.describe(move || {
            let status = described.status();
            let mut facts = serde_json::Map::new();
            facts.insert(
                "role".into(),
                serde_json::to_value(status.role).unwrap_or_default(),
            );
            facts.insert(
                "leader".into(),
                status.leader.map_or(Value::Null, Value::String),
            );
            facts
        });
    }

    /// This node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.config.name
    }

    /// The cluster's id; empty while this node has none.
    #[must_use]
    pub fn id(&self) -> String {
        self.core.peers.cluster()
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.core.leads()
    }

    /// Follows what stops this node: `Some` once it has, with the reason.
    #[must_use]
    pub fn halted(&self) -> watch::Receiver<Option<String>> {
        self.core.watch_halted()
    }

    /// Follows the index of the last entry that this node has applied.
    #[must_use]
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.core.state.watch_applied()
    }

    /// Waits until this node can be sent work.
    pub async fn ready(&self, limit: Duration) -> bool {
        let ready = async {
            while self.unready().is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(limit, ready).await.is_ok()
    }

    /// Moves what is in the state's write-ahead log into its database, synced.
    pub async fn checkpoint(&self) -> std::io::Result<()> {
        self.core.state.checkpoint().await
    }

    /// Copies the state into `path`, as of one moment; gives the index it has applied.
    pub async fn copy_state(&self, path: &std::path::Path) -> std::io::Result<u64> {
        let copy = self.core.state.materialise().await?;
        tokio::fs::copy(&copy.file.path, path).await?;
        Ok(copy.last.index)
    }

    /// Hands leadership over if this node has it, and stops. What was acknowledged stays.
    pub async fn shutdown(&self) {
        self.core.finish_proposals().await;
        if self.leads()
            && self
                .core
                .metrics()
                .membership_config
                .membership()
                .voter_ids()
                .count()
                > 1
        {
            match self.core.transfer("").await {
                Ok(message) => tracing::info!(message, "handed leadership over"),
                Err(status) => {
                    tracing::warn!(reason = status.message(), "leadership was not handed over");
                }
            }
        }
        if let Err(error) = self.core.raft.shutdown().await {
            tracing::warn!(%error, "the core did not stop cleanly");
        }
        self.core.stopped.cancel();
        if self.core.state.position().applied.is_some()
            && let Err(error) = self.core.state.empty_wal().await
        {
            tracing::warn!(%error, "the state was not checkpointed; the next start replays the log");
        }
    }
}
