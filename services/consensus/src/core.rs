//! What the parts of a running node share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver as _;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::channel::Channels;
use crate::disk::Disk;
use crate::identity::Identity;
use crate::log::LogStore;
use crate::machine::MachineKind;
use crate::peer::auth::Authority;
use crate::peer::client::{Peers, Target};
use crate::peer::intake::Intake;
use crate::propose::{Batches, Budget, Forwarder};
use crate::raft::{Member, Metrics, Raft, Types};
use crate::read::ReadIndex;
use crate::settings::NodeConfig;
use crate::state::StateMachine;

/// How soon what waits for the disk is looked at again.
const NOTE_AGAIN: Duration = Duration::from_millis(50);

/// A running node, without its machine's types.
pub(crate) struct Core {
    pub config: NodeConfig,
    pub machine: MachineKind,
    pub id: u64,
    pub raft: Raft,
    pub log: LogStore,
    pub disk: Arc<Disk>,
    pub state: StateMachine,
    pub peers: Arc<Peers>,
    pub authority: Arc<Authority>,
    pub identity: Mutex<Identity>,
    pub batches: Batches,
    pub forwarder: Forwarder,
    /// For the proposals of this node's clients, which are refused when it is used up.
    pub own_proposals: Budget,
    /// For those that other nodes forward, which wait. Two budgets, so that two nodes that take each
    /// other for the leader never wait for each other.
    pub forwarded_proposals: Arc<Budget>,
    /// For the entries that other leaders send.
    pub intake: Intake,
    pub read_index: ReadIndex,
    /// For what the system's nodes ask one another.
    pub channels: Channels,
    /// Proposals that this node has taken as the leader and not answered yet.
    pub proposing: tokio::sync::watch::Sender<usize>,
    /// What greeting the others showed, by Raft id.
    pub views: Mutex<HashMap<u64, View>>,
    /// One change of the membership at a time.
    pub changes: tokio::sync::Mutex<()>,
    /// One snapshot is received at a time.
    pub receiving: tokio::sync::Mutex<()>,
    /// Why this node has stopped, once it has.
    halted: watch::Sender<Option<String>>,
    /// Set while the node is leaving: it takes no more proposals.
    pub draining: AtomicBool,
    /// Ends the streams of peers, which would go on for ever.
    pub stopped: CancellationToken,
}

/// What is known of another member.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub seen: Instant,
    pub round_trip: Duration,
    pub version_supported: u32,
    /// Whether its disk is nearly full.
    pub disk_low: bool,
}

/// A member that has answered within this time is taken to be up.
const REACHABLE: Duration = Duration::from_secs(5);

impl View {
    pub(crate) fn is_fresh(&self) -> bool {
        self.seen.elapsed() < REACHABLE
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a node, put together once"
    )]
    pub(crate) fn new(
        config: NodeConfig,
        machine: MachineKind,
        identity: Identity,
        raft: Raft,
        log: LogStore,
        disk: Arc<Disk>,
        state: StateMachine,
        peers: Arc<Peers>,
        authority: Arc<Authority>,
    ) -> Self {
        let proposal_bytes_max = config.settings.proposal_bytes_max;
        let log_memory_bytes_max = config.settings.log_memory_bytes_max;
        Self {
            config,
            machine,
            id: identity.id,
            batches: Batches::start(raft.clone()),
            raft,
            log,
            disk,
            state,
            peers,
            authority,
            identity: Mutex::new(identity),
            forwarder: Forwarder::default(),
            own_proposals: Budget::new(proposal_bytes_max),
            forwarded_proposals: Arc::new(Budget::new(proposal_bytes_max)),
            intake: Intake::new(log_memory_bytes_max),
            read_index: ReadIndex::default(),
            channels: Channels::default(),
            proposing: watch::Sender::new(0),
            views: Mutex::default(),
            changes: tokio::sync::Mutex::default(),
            receiving: tokio::sync::Mutex::default(),
            halted: watch::Sender::new(None),
            draining: AtomicBool::new(false),
            stopped: CancellationToken::new(),
        }
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.look(Metrics::clone)
    }

    /// Looks at the metrics without copying them: all members are in there, with their names.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Metrics) -> T) -> T {
        at(&self.raft.metrics().borrow_watched())
    }

    /// Why this node has stopped, if it has.
    pub(crate) fn halted(&self) -> Option<String> {
        if let Some(reason) = self.halted.borrow().clone() {
            return Some(reason);
        }
        self.look(|now| {
            let ended = now.running_state.as_ref().err();
            ended.map(|ended| self.reason(ended))
        })
    }

    fn reason(&self, ended: &openraft::errors::Fatal<Types>) -> String {
        match ended {
            openraft::errors::Fatal::Stopped if self.draining.load(Ordering::Relaxed) => {
                "it was shut down".to_owned()
            }
            ended => ended.to_string(),
        }
    }

    pub(crate) fn watch_halted(&self) -> watch::Receiver<Option<String>> {
        self.halted.subscribe()
    }

    /// Stops serving for good and says why. The process lives on, to be asked.
    pub(crate) fn halt(&self, reason: impl Into<String>) {
        let reason = reason.into();
        let first = self.halted.send_if_modified(|halted| {
            let first = halted.is_none();
            halted.get_or_insert_with(|| reason.clone());
            first
        });
        self.stopped.cancel();
        if first && self.draining.load(Ordering::Relaxed) {
            tracing::info!("this node has stopped");
        } else if first {
            tracing::error!(reason, "this node stops serving");
            metrics::gauge!("consensus_halted").set(1.0);
            let raft = self.raft.clone();
            tokio::spawn(async move { drop(raft.shutdown().await) });
        }
    }

    /// Follows the addresses of the members, and turns the end of openraft's core, by an error or a
    /// panic, into a halt that everyone hears of.
    pub(crate) async fn watch_raft(self: Arc<Self>) {
        let mut metrics = self.raft.metrics();
        let (mut seen, mut noted) = (None, false);
        loop {
            let (memberships, ended) = {
                let now = metrics.borrow_watched();
                let known = *now.membership_config.log_id();
                let committed = *now.committed_membership_config.log_id();
                (
                    (known, committed),
                    now.running_state
                        .as_ref()
                        .err()
                        .map(|ended| self.reason(ended)),
                )
            };
            if let Some(reason) = ended {
                self.halt(reason);
                return;
            }
            if seen.replace(memberships) != Some(memberships) {
                self.peers
                    .set_addresses(self.metrics().membership_config.membership());
                noted = false;
            }
            noted = noted || self.note_membership();
            let changed = metrics.changed();
            let changed = if noted {
                changed.await
            } else {
                // The disk tells nobody here when it is done.
                tokio::time::timeout(NOTE_AGAIN, changed)
                    .await
                    .unwrap_or(Ok(()))
            };
            if changed.is_err() {
                self.halt("the Raft core has panicked, which is a bug");
                return;
            }
        }
    }

    /// Remembers that this node has been taken in, and notices when the membership that holds for sure
    /// is without it since. `false`: to be asked again soon.
    fn note_membership(&self) -> bool {
        let metrics = self.metrics();
        let (known, committed) = (
            metrics.membership_config,
            metrics.committed_membership_config,
        );
        let Some(at) = committed.log_id() else {
            return true;
        };
        if known.log_id() != committed.log_id() {
            return true;
        }
        let listed = committed.membership().get_node(&self.id).is_some();
        let mut identity = lock(&self.identity);
        if listed && !identity.member {
            if !self.log.is_durable(at.index) {
                // A loss of power would take the entry and leave what is remembered: the membership
                // before it would look like a later one, without this node.
                return false;
            }
            identity.member = true;
            let saved = identity.save(&self.config.data_dir);
            drop(identity);
            if let Err(error) = saved {
                self.halt(format!("the identity cannot be saved: {error}"));
            }
        } else if !listed && identity.member {
            drop(identity);
            self.halt_removed("its own log");
        }
        true
    }

    /// Whether the cluster has ever taken this node in.
    pub(crate) fn was_taken_in(&self) -> bool {
        lock(&self.identity).member
    }

    pub(crate) fn halt_removed(&self, source: &str) {
        self.halt(format!(
            "{:?} has been removed from the cluster (so says {source}); to take part again wipe the \
             data directory and let it join",
            self.config.name
        ));
    }

    /// The leader as this node knows it, which may be this node.
    pub(crate) fn known_leader(&self) -> Option<(u64, Member)> {
        self.look(|now| {
            let leader = now.current_leader?;
            let member = now.membership_config.membership().get_node(&leader)?;
            Some((leader, member.clone()))
        })
    }

    /// Whether this node leads, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        self.look(|now| now.current_leader == Some(self.id))
    }

    /// The leader, awaited while one is being elected.
    pub(crate) async fn leader_in_time(&self, limit: Duration) -> Option<(u64, Member)> {
        let wait = self.raft.wait(Some(limit));
        let elected = wait.metrics(|now| now.current_leader.is_some(), "a leader");
        drop(elected.await);
        self.known_leader()
    }

    pub(crate) fn target(id: u64, member: &Member) -> Target {
        Target {
            address: member.address.clone(),
            id,
        }
    }

    /// Whether another member has answered lately.
    pub(crate) fn reachable(&self, id: u64) -> bool {
        lock(&self.views).get(&id).is_some_and(View::is_fresh)
    }

    /// Whether a membership that this node has seen holds it.
    pub(crate) fn is_member(&self) -> bool {
        self.look(|now| {
            let members = now.membership_config.membership();
            members.get_node(&self.id).is_some()
        })
    }

    /// Waits until the state has applied `index`, or the time is over.
    pub(crate) async fn wait_applied(&self, index: u64, limit: Duration) -> bool {
        let mut position = self.state.watch();
        let reached = position.wait_for(|position| {
            position
                .applied
                .is_some_and(|applied| applied.index >= index)
        });
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// Waits until there is another leader or another term than now, or the time is over.
    pub(crate) async fn leader_may_have_changed(&self, limit: Duration) {
        let before = self.look(|now| (now.current_leader, now.current_term));
        let wait = self.raft.wait(Some(limit));
        let changed = wait.metrics(
            |now| (now.current_leader, now.current_term) != before,
            "another leader",
        );
        drop(changed.await);
    }
}
