//! Proposals of many callers, given to the Raft core together.
//!
//! A batch costs a message, a write to each log, a sync, a transaction and a wake-up, however many
//! proposals are in it. So only a few batches are under way at a time, and what comes meanwhile makes
//! up the next one: a proposal that comes alone goes at once, and the more come, the more go together.

use std::sync::Arc;

use futures_util::StreamExt as _;
use openraft::errors::ClientWriteError;
use openraft::raft::WriteResult;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Held, Try, command_bytes};
use crate::raft::{Proposal, Raft, Types};
use crate::wire;

/// Batches under way: one on its way to the disks while another is applied.
const UNDER_WAY_MAX: usize = 2;
/// Proposals of one batch.
const PROPOSALS_MAX: usize = 1024;
/// Bytes of commands of one batch, but for a single command that is larger.
const BYTES_MAX: usize = 4 << 20;
/// Proposals that may wait for the next batch.
const QUEUE: usize = 1024;

/// A proposal, and whose it is.
struct Waiting {
    proposal: wire::Proposal,
    proposer: Proposer,
}

/// Who waits for an outcome, and what the proposal takes meanwhile, whether anyone still waits or
/// not: without a majority proposals pile up behind proposers that have given up.
struct Proposer {
    answer: oneshot::Sender<Try>,
    held: Held,
}

impl Proposer {
    fn tell(self, tried: Try) {
        // First: whoever has its answer has room for its next proposal.
        drop(self.held);
        drop(self.answer.send(tried));
    }
}

/// Where proposals wait for the next batch.
pub(crate) struct Batches(mpsc::Sender<Waiting>);

impl Batches {
    /// Starts to take proposals for `raft`; ends with the last owner of the queue.
    pub(crate) fn start(raft: Raft) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(run(raft, waiting));
        Self(queue)
    }

    /// Has a proposal written by this node, if it leads, and applied.
    pub(super) async fn write(&self, proposal: wire::Proposal, held: Held) -> Try {
        let (answer, answered) = oneshot::channel();
        let proposer = Proposer { answer, held };
        if self.0.send(Waiting { proposal, proposer }).await.is_err() {
            return Try::Refused("this node is stopping".into());
        }
        answered
            .await
            .unwrap_or_else(|_| Try::Unknown("this node is stopping".into()))
    }
}

async fn run(raft: Raft, mut queue: mpsc::Receiver<Waiting>) {
    let slots = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(first) => first,
            None => match queue.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (mut proposals, mut proposers, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut waiting = Some(first);
        while let Some(Waiting { proposal, proposer }) = waiting {
            // Those that gave up while they waited here are told nothing and have no effect.
            if !proposer.answer.is_closed() {
                bytes += command_bytes(&proposal);
                if bytes > BYTES_MAX && !proposals.is_empty() {
                    next = Some(Waiting { proposal, proposer });
                    break;
                }
                proposals.push(Proposal(proposal));
                proposers.push(proposer);
            }
            waiting = (proposals.len() < PROPOSALS_MAX)
                .then(|| queue.try_recv().ok())
                .flatten();
        }
        if proposals.is_empty() {
            continue;
        }
        let raft = raft.clone();
        tokio::spawn(async move {
            write(&raft, proposals, proposers).await;
            drop(slot);
        });
    }
}

/// Writes a batch; everyone gets an answer, or finds that there will be none.
async fn write(raft: &Raft, proposals: Vec<Proposal>, proposers: Vec<Proposer>) {
    let mut results = match raft.client_write_many(proposals).await {
        // A core that stops ends it early: everyone who is left is told so.
        Ok(results) => results.fuse(),
        Err(fatal) => {
            for proposer in proposers {
                proposer.tell(Try::Unknown(fatal.to_string()));
            }
            return;
        }
    };
    for proposer in proposers {
        let tried = match results.next().await {
            Some(Ok(result)) => result_of(result),
            Some(Err(fatal)) => Try::Unknown(fatal.to_string()),
            None => Try::Unknown("the core has stopped".into()),
        };
        proposer.tell(tried);
    }
}

fn result_of(result: WriteResult<Types>) -> Try {
    match result {
        Ok(response) => {
            metrics::counter!("consensus_proposals_total", "outcome" => "applied").increment(1);
            Try::Done(response.log_id.index, response.response)
        }
        Err(ClientWriteError::ForwardToLeader(_)) => Try::Refused("this node does not lead".into()),
        Err(error) => Try::Unknown(error.to_string()),
    }
}
