//! Reads: linearizable by read index, or local with a stated age.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use openraft::raft::ReadPolicy;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::core::{Core, lock};
use crate::peer::client::Lane;
use crate::wire;

/// Reads that may wait for the next round.
const QUEUE: usize = 4096;
/// A round that a leader cannot finish within this time is given up: it may be cut off.
const ROUND_TIMEOUT: Duration = Duration::from_secs(1);

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// As if the whole cluster were one node: sees every write that was acknowledged before the
    /// read began. Costs a round between leader and majority, shared by all that wait.
    #[default]
    Linearizable,
    /// What this node has, if it is not older than this.
    Local {
        /// The oldest state that may be read; `None` takes whatever there is.
        age_max: Option<Duration>,
    },
}

/// A value, and how fresh it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// What was read.
    pub value: T,
    /// The state had applied at least this index.
    pub index: u64,
    /// Writes that were acknowledged longer ago than this are seen; zero for a linearizable read,
    /// [`Duration::MAX`] when this node cannot tell.
    pub age: Duration,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No majority confirmed a leader in time.
    #[error("no leader was confirmed within {waited_ms} ms: {reason}")]
    NoLeader {
        /// How long it was tried.
        waited_ms: u64,
        /// What stood in the way.
        reason: String,
    },
    /// A local read was asked for, and what this node has is older than was allowed.
    #[error("this node's state is {}", told(*age))]
    TooOld {
        /// Its age; [`Duration::MAX`] when this node has not caught up since its start.
        age: Duration,
    },
    /// This node has stopped.
    #[error("this node has stopped: {0}")]
    Halted(String),
    /// The query failed.
    #[error("the query failed: {0}")]
    Query(#[from] rusqlite::Error),
}

fn told(age: Duration) -> String {
    if age == Duration::MAX {
        return "of unknown age: it has not caught up since its start".into();
    }
    format!("{} ms old", age.as_millis())
}

type Waiter = oneshot::Sender<Result<u64, String>>;

/// Lets all reads that wait share one round.
#[derive(Default)]
pub(crate) struct ReadIndex {
    queue: OnceLock<mpsc::Sender<Waiter>>,
    freshness: Mutex<Freshness>,
}

/// Since when this node's state may lack acknowledged writes.
///
/// A round that gave index *i* proves that a state which has applied *i* holds everything that was
/// acknowledged before the round began. That a leader was heard proves less: it may have been
/// deposed, or its words may have lain in a buffer while this process slept.
#[derive(Default)]
struct Freshness {
    caught_up: Option<Instant>,
    /// The oldest round whose index has not been applied yet.
    awaited: Option<(Instant, u64)>,
}

impl Freshness {
    fn round(&mut self, begun: Instant, index: u64, applied: u64) {
        self.settle(applied);
        if index <= applied {
            self.caught_up = Some(begun);
        } else {
            self.awaited.get_or_insert((begun, index));
        }
    }

    fn settle(&mut self, applied: u64) {
        if let Some((begun, _)) = self.awaited.take_if(|(_, index)| *index <= applied) {
            self.caught_up = self.caught_up.max(Some(begun));
        }
    }
}

/// Runs the rounds, one after the other: a read that comes during a round takes the next, because
/// a round speaks only for reads that began before it.
pub(crate) fn start(core: &Arc<Core>) {
    let (queue, mut waiters) = mpsc::channel::<Waiter>(QUEUE);
    if core.read_index.queue.set(queue).is_err() {
        return;
    }
    let core = Arc::downgrade(core);
    tokio::spawn(async move {
        let mut group = Vec::new();
        while waiters.recv_many(&mut group, QUEUE).await > 0 {
            let Some(core) = core.upgrade() else { return };
            let begun = Instant::now();
            let round = tokio::time::timeout(ROUND_TIMEOUT, core.read_round()).await;
            let result = round.unwrap_or_else(|_| Err("a majority did not answer".into()));
            if let Ok(index) = result {
                lock(&core.read_index.freshness).round(begun, index, core.applied_index());
            }
            for waiter in group.drain(..) {
                drop(waiter.send(result.clone()));
            }
        }
    });
}

/// Keeps the age of local reads low while nobody asks for linearizable ones.
pub(crate) async fn run_refresh(core: Arc<Core>) {
    let interval = 2 * Duration::from_millis(core.config.settings.heartbeat_ms);
    let mut halted = core.watch_halted();
    while halted.borrow_and_update().is_none() {
        if core.is_member() && core.staleness() > interval {
            // What it gives is noted by the round itself.
            drop(core.next_round().await);
        }
        drop(tokio::time::timeout(interval, halted.changed()).await);
    }
}

impl Core {
    /// How old a local read may be; without bound until this node has caught up for the first time.
    pub(crate) fn staleness(&self) -> Duration {
        let mut freshness = lock(&self.read_index.freshness);
        freshness.settle(self.applied_index());
        freshness.caught_up.map_or(Duration::MAX, |at| at.elapsed())
    }

    fn applied_index(&self) -> u64 {
        self.state.applied_index()
    }

    /// One round: through this node's own Raft if it leads, else by asking the leader.
    async fn read_round(&self) -> Result<u64, String> {
        if self.leads() {
            return self.confirm_leadership().await;
        }
        match self.known_leader() {
            None => Err("there is no leader".into()),
            Some((leader, member)) => {
                let target = Self::target(leader, &member);
                self.peers
                    .call(
                        &target,
                        Lane::Control,
                        "/trivet.consensus.v1.Peer/ReadIndex",
                        wire::ReadIndexRequest {},
                        |mut client, request| async move { client.read_index(request).await },
                    )
                    .await
                    .map(|response| response.index)
                    .map_err(|status| status.message().to_owned())
            }
        }
    }

    async fn confirm_leadership(&self) -> Result<u64, String> {
        let linearizer = self
            .raft
            .get_read_linearizer(ReadPolicy::ReadIndex)
            .await
            .map_err(|error| error.to_string())?;
        Ok(linearizer.read_log_id().index())
    }

    async fn next_round(&self) -> Result<u64, String> {
        let (waiter, answer) = oneshot::channel();
        let queue = self.read_index.queue.get().ok_or("the node is starting")?;
        queue
            .send(waiter)
            .await
            .map_err(|_| "the node is stopping".to_owned())?;
        answer
            .await
            .map_err(|_| "the node is stopping".to_owned())?
    }

    /// The next round, or the reason why there was none before `deadline`: the queue may be full,
    /// and rounds slow.
    async fn round_before(&self, deadline: Instant) -> Result<u64, String> {
        tokio::time::timeout_at(deadline, self.next_round())
            .await
            .unwrap_or_else(|_| Err("too many reads wait".into()))
    }

    /// Answers a follower's question, if this node leads.
    pub(crate) async fn read_index_as_leader(&self) -> Result<u64, String> {
        if !self.leads() {
            return Err("this node does not lead".into());
        }
        self.next_round().await
    }

    /// Waits until the state may be read with `consistency`; gives the index it has applied at
    /// least, and the age.
    pub(crate) async fn settle(
        &self,
        consistency: Consistency,
    ) -> Result<(u64, Duration), ReadError> {
        if let Some(reason) = self.halted() {
            return Err(ReadError::Halted(reason));
        }
        match consistency {
            Consistency::Local { age_max } => {
                let age = self.staleness();
                if age_max.is_some_and(|age_max| age > age_max) {
                    return Err(ReadError::TooOld { age });
                }
                Ok((self.applied_index(), age))
            }
            Consistency::Linearizable => {
                let limit = Duration::from_millis(self.config.settings.propose_timeout_ms);
                let deadline = Instant::now() + limit;
                loop {
                    let reason = match self.round_before(deadline).await {
                        Ok(index) => {
                            if self.wait_applied(index, deadline - Instant::now()).await {
                                return Ok((index, Duration::ZERO));
                            }
                            "this node is behind the leader".to_owned()
                        }
                        Err(reason) => reason,
                    };
                    if let Some(reason) = self.halted() {
                        return Err(ReadError::Halted(reason));
                    }
                    if Instant::now() >= deadline {
                        let waited_ms = self.config.settings.propose_timeout_ms;
                        return Err(ReadError::NoLeader { waited_ms, reason });
                    }
                    let pause = Duration::from_millis(50).min(deadline - Instant::now());
                    self.leader_may_have_changed(pause).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_as_old_as_the_last_round_that_it_has_caught_up_with() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut freshness = Freshness::default();
        freshness.round(at(1), 10, 9);
        assert_eq!(freshness.caught_up, None, "it lacks what was acknowledged");
        freshness.settle(10);
        assert_eq!(freshness.caught_up, Some(at(1)), "when the round began");
        freshness.round(at(2), 12, 11);
        freshness.round(at(3), 14, 11);
        assert_eq!(freshness.caught_up, Some(at(1)));
        freshness.settle(13);
        assert_eq!(freshness.caught_up, Some(at(2)));
        freshness.round(at(4), 14, 14);
        freshness.settle(20);
        assert_eq!(freshness.caught_up, Some(at(4)));
    }
}
