//! How a node starts. Nothing here depends on the machine, so that openraft, the peer routes and
//! the duties of a node are compiled once, in this crate, and not in every crate that has a machine.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::core::Core;
use crate::disk::{self, Disk};
use crate::identity::Identity;
use crate::log::{LogStore, SqliteLog};
use crate::peer::auth::Authority;
use crate::peer::client::Peers;
use crate::peer::network::Network;
use crate::peer::server;
use crate::raft::Raft;
use crate::settings::NodeConfig;
use crate::state::StateMachine;
use crate::{formation, greet, members, read, status};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A value of the settings cannot be.
    #[error("the setting consensus.{key} {reason}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The data directory cannot be used.
    #[error("the data directory: {0}")]
    Data(#[from] std::io::Error),
    /// The core refused what it found.
    #[error("the core did not start: {0}")]
    Core(String),
}

/// Reads or makes who this node is.
pub(crate) fn identify(config: &NodeConfig, system: &str) -> Result<Identity, StartError> {
    if let Some((key, reason)) = config.settings.problems().into_iter().next() {
        return Err(StartError::Setting { key, reason });
    }
    Ok(Identity::load_or_create(&config.data_dir, system)?)
}

/// Reads or makes who this node is, and opens its log.
pub(crate) fn open_log(
    config: &NodeConfig,
    system: &str,
) -> Result<(Identity, SqliteLog), StartError> {
    let identity = identify(config, system)?;
    let path = config.data_dir.join("log.db");
    let owner = identity.log_owner();
    let log = if identity.cluster.is_some() {
        SqliteLog::open_existing(&path, &owner)?
    } else {
        SqliteLog::open(&path, &owner)?
    };
    Ok((identity, log))
}

/// Runs a node on its log and its state; gives the peer routes.
///
/// Boxed, because the body of an `async fn` is compiled by whoever awaits it.
pub(crate) fn run(
    config: NodeConfig,
    identity: Identity,
    log: LogStore,
    state: StateMachine,
) -> BoxFuture<'static, Result<(Arc<Core>, axum::Router), StartError>> {
    Box::pin(async move {
        let machine = state.machine();
        let settings = config.settings.clone();
        let applied = state.position().applied;
        // Nothing is applied that was not voted for before: what the disk said it had, it has lost. The
        // core would panic over it; and whom this node voted for since, nobody knows any more.
        let voted = log.vote().map(|vote| vote.leader_id);
        if let Some(applied) = applied
            && voted.is_none_or(|leader| leader < applied.leader_id)
        {
            return Err(StartError::Data(std::io::Error::other(format!(
                "{} has gone back to before its vote: {} holds what term {} wrote, and the newest vote is \
                 of term {}; put back what was here, or wipe the data directory and let the node join \
                 again",
                config.data_dir.join("log.db").display(),
                config.data_dir.join("state").display(),
                applied.leader_id.term,
                voted.map_or(0, |leader| leader.term),
            ))));
        }
        let next = applied.map_or(0, |applied| applied.index + 1);
        if next < log.first_index() {
            return Err(StartError::Data(std::io::Error::other(format!(
                "{} ends before entry {next} and the log begins at {}: put back what was here, or wipe \
                 the data directory and let the node join again",
                config.data_dir.join("state").display(),
                log.first_index()
            ))));
        }
        let authority = Arc::new(Authority::new(
            &config.secret,
            machine.system,
            &config.network,
        ));
        let peers = Arc::new(Peers::new(
            Arc::clone(&authority),
            identity.id,
            settings.source_address,
            config.tls.clone(),
        ));
        if let Some(cluster) = &identity.cluster {
            peers.set_cluster(cluster);
        }
        let disk = Arc::new(Disk::new(&config.data_dir, settings.disk_headroom_bytes));
        let network = Network {
            peers: Arc::clone(&peers),
            state: state.clone(),
            log: log.clone(),
            disk: Arc::clone(&disk),
        };
        let raft_config =
            crate::raft::config(machine.system, &settings).map_err(StartError::Core)?;
        let raft = Raft::new(
            identity.id,
            raft_config,
            network,
            log.clone(),
            state.clone(),
        )
        .await
        .map_err(|error| StartError::Core(error.to_string()))?;
        // It answers once it has told what it found: until then it seems to have no members, and
        // whoever asked would take this node for one that never had a cluster. An error is met again
        // by whoever watches it.
        drop(raft.with_raft_state(|_| ()).await);
        let core = Arc::new(Core::new(
            config, machine, identity, raft, log, disk, state, peers, authority,
        ));
        read::start(&core);
        tokio::spawn(Arc::clone(&core).watch_raft());
        tokio::spawn(read::run_refresh(Arc::clone(&core)));
        tokio::spawn(formation::run(Arc::clone(&core)));
        tokio::spawn(greet::run(Arc::clone(&core)));
        tokio::spawn(members::run(Arc::clone(&core)));
        tokio::spawn(status::run_upkeep(Arc::clone(&core)));
        tokio::spawn(status::run_flush(Arc::clone(&core)));
        tokio::spawn(disk::run(Arc::clone(&core)));
        let router = server::router(&core);
        Ok((core, router))
    })
}
