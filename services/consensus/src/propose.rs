//! Proposals: from any node to the leader, into the log, and back with their outcome.

mod batch;
mod budget;
mod forward;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use self::batch::Batches;
pub(crate) use self::budget::{Budget, Held};
pub(crate) use self::forward::Forwarder;
use crate::codec;
use crate::core::Core;
use crate::raft::Outcome;
use crate::wire::{self, propose_response};

/// How long a leader that leaves waits for the proposals that it has taken.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest trace context, in bytes; one of today's version has 55.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// Why a proposal has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// It was not applied: no leader was found in time.
    #[error("no leader was found within {waited_ms} ms: is a majority of the nodes up?")]
    NoLeader {
        /// How long it was looked for.
        waited_ms: u64,
    },
    /// It may or may not be applied, now or later. A proposal with a request id can be tried again.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// The session of its request id is gone: whether an earlier try had its effect is not known.
    #[error("the session of the request has expired: open a new one")]
    Expired,
    /// It was not applied: it is too large.
    #[error("a command of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// The command's size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It was not applied: the leader's disk, or those of too many members, are nearly full.
    #[error("writes are refused: {0}")]
    NoRoom(String),
    /// It was not applied: as much as may be is under way on this node. It can be tried again.
    #[error("{bytes_max} bytes of proposals are under way on this node: try again")]
    Busy {
        /// What may be under way, in bytes.
        bytes_max: usize,
    },
    /// It was not applied: this node has stopped.
    #[error("this node has stopped: {0}")]
    Halted(String),
    /// The reply cannot be read: the nodes run builds that do not fit.
    #[error("the reply cannot be read: {0}")]
    Malformed(String),
}

/// What one try gave.
enum Try {
    Done(u64, Outcome),
    /// It certainly has no effect.
    Refused(String),
    Unknown(String),
    /// It has no effect, and no other try would have one: the limit, in bytes.
    TooLarge(usize),
    /// It has no effect, and no other try would have one before there is room on a disk.
    NoRoom(String),
}

/// Counts a proposal as under way for as long as it lives.
struct UnderWay<'a>(&'a watch::Sender<usize>);

impl<'a> UnderWay<'a> {
    fn count(proposing: &'a watch::Sender<usize>) -> Self {
        proposing.send_modify(|count| *count += 1);
        Self(proposing)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The size of the command; what else a proposal may hold is small.
pub(crate) fn command_bytes(proposal: &wire::Proposal) -> usize {
    match &proposal.kind {
        Some(wire::proposal::Kind::Command(bytes)) => bytes.len(),
        _ => 0,
    }
}

impl Core {
    /// Proposes until there is an outcome or the time is over. With `retry`, an unknown outcome is
    /// tried again: the proposal has one effect however often it is applied.
    pub(crate) async fn propose(
        &self,
        proposal: wire::Proposal,
        retry: bool,
    ) -> Result<(u64, Outcome), ProposeError> {
        let bytes = command_bytes(&proposal);
        let too_large = |bytes_max| ProposeError::TooLarge { bytes, bytes_max };
        if bytes > self.config.settings.command_bytes_max {
            return Err(too_large(self.config.settings.command_bytes_max));
        }
        let Some(held) = self.own_proposals.try_take(&proposal) else {
            metrics::counter!("consensus_proposals_total", "outcome" => "busy").increment(1);
            let bytes_max = self.config.settings.proposal_bytes_max;
            return Err(ProposeError::Busy { bytes_max });
        };
        let limit = Duration::from_millis(self.config.settings.propose_timeout_ms);
        let deadline = Instant::now() + limit;
        let mut unknown = None;
        loop {
            if let Some(reason) = self.halted() {
                return Err(unknown.map_or(ProposeError::Halted(reason), ProposeError::Unknown));
            }
            let tried = tokio::time::timeout_at(deadline, self.try_once(&proposal, &held)).await;
            match tried {
                Ok(Try::Done(_, Outcome::Expired)) => return Err(ProposeError::Expired),
                Ok(Try::Done(index, outcome)) => {
                    // The proposer sees its own write, wherever it was applied first.
                    self.wait_applied(index, deadline - Instant::now()).await;
                    return Ok((index, outcome));
                }
                Ok(Try::Refused(reason)) => {
                    tracing::debug!(reason, "a proposal was refused and is tried again");
                }
                Ok(Try::TooLarge(bytes_max)) => return Err(too_large(bytes_max)),
                Ok(Try::NoRoom(reason)) => {
                    metrics::counter!("consensus_proposals_total", "outcome" => "no_room")
                        .increment(1);
                    return Err(unknown.map_or(ProposeError::NoRoom(reason), ProposeError::Unknown));
                }
                Ok(Try::Unknown(reason)) if retry => unknown = Some(reason),
                Ok(Try::Unknown(reason)) => {
                    metrics::counter!("consensus_proposals_total", "outcome" => "unknown")
                        .increment(1);
                    return Err(ProposeError::Unknown(reason));
                }
                Err(_) => {
                    metrics::counter!("consensus_proposals_total", "outcome" => "timeout")
                        .increment(1);
                    return Err(ProposeError::Unknown(format!(
                        "no answer within {} ms",
                        limit.as_millis()
                    )));
                }
            }
            if Instant::now() >= deadline {
                metrics::counter!("consensus_proposals_total", "outcome" => "no_leader")
                    .increment(1);
                let waited_ms = self.config.settings.propose_timeout_ms;
                return Err(
                    unknown.map_or(ProposeError::NoLeader { waited_ms }, ProposeError::Unknown)
                );
            }
            let pause = Duration::from_millis(50).min(deadline - Instant::now());
            self.leader_may_have_changed(pause).await;
        }
    }

    async fn try_once(&self, proposal: &wire::Proposal, held: &Held) -> Try {
        let (proposal, held) = (proposal.clone(), Arc::clone(held));
        if self.leads() {
            return self.propose_here(proposal, held).await;
        }
        match self.known_leader() {
            Some((leader, member)) => {
                self.forwarder
                    .forward(self, leader, &member, proposal, held)
                    .await
            }
            None => Try::Refused("there is no leader".into()),
        }
    }

    async fn propose_here(&self, proposal: wire::Proposal, held: Held) -> Try {
        // Counted before the look: whoever drains sees either the count or a refusal.
        let _under_way = UnderWay::count(&self.proposing);
        if self.draining.load(Ordering::SeqCst) {
            return Try::Refused("the leader is leaving".into());
        }
        let command = matches!(proposal.kind, Some(wire::proposal::Kind::Command(_)));
        if command && self.state.version() == 0 {
            // Without its first migration the machine has no tables.
            return Try::Refused("the cluster is still being formed".into());
        }
        // A version is raised all the same: it is small, and may be what makes room.
        let raises = matches!(proposal.kind, Some(wire::proposal::Kind::RaiseVersion(_)));
        if !raises && let Some(reason) = self.disk.refusal() {
            return Try::NoRoom(reason.to_string());
        }
        self.batches.write(proposal, held).await
    }

    /// Takes no more proposals, and waits until the ones that were taken are answered.
    pub(crate) async fn finish_proposals(&self) {
        self.draining.store(true, Ordering::SeqCst);
        let mut proposing = self.proposing.subscribe();
        let finished = proposing.wait_for(|count| *count == 0);
        if tokio::time::timeout(FINISH_TIMEOUT, finished)
            .await
            .is_err()
        {
            tracing::warn!("some proposals were not answered in time; their outcome is unknown");
        }
    }

    /// What is wrong with a forwarded proposal. An entry that cannot be applied would stop every
    /// node, so nothing is taken from a peer unseen.
    fn refusal(&self, proposal: &wire::Proposal) -> Option<Try> {
        let bytes_max = self.config.settings.command_bytes_max;
        match &proposal.kind {
            Some(wire::proposal::Kind::Command(bytes)) if bytes.len() > bytes_max => {
                Some(Try::TooLarge(bytes_max))
            }
            Some(wire::proposal::Kind::Command(bytes)) if !(self.machine.decodes)(bytes) => Some(
                Try::Refused("the command cannot be decoded by the leader's build".into()),
            ),
            Some(wire::proposal::Kind::Command(_) | wire::proposal::Kind::OpenSession(_)) => None,
            Some(wire::proposal::Kind::RaiseVersion(_)) => {
                Some(Try::Refused("only a leader proposes this, and here".into()))
            }
            None => Some(Try::Refused(
                "the leader's build does not know this kind of proposal".into(),
            )),
        }
    }

    /// Answers a proposal that a peer forwarded: it is tried here or not at all.
    pub(crate) async fn propose_for_peer(
        &self,
        proposal: Option<wire::Proposal>,
        held: Held,
    ) -> propose_response::Result {
        let Some(mut proposal) = proposal else {
            return propose_response::Result::Refused("there is no proposal".into());
        };
        if proposal.traceparent.len() > TRACEPARENT_BYTES_MAX {
            proposal.traceparent.clear();
        }
        let tried = match self.refusal(&proposal) {
            Some(refused) => refused,
            None => self.propose_here(proposal, held).await,
        };
        match tried {
            Try::Done(index, outcome) => propose_response::Result::Applied(wire::Applied {
                index,
                outcome: Some(codec::outcome_to_wire(outcome)),
            }),
            Try::Refused(reason) => propose_response::Result::Refused(reason),
            Try::Unknown(reason) => propose_response::Result::Unknown(reason),
            Try::NoRoom(reason) => propose_response::Result::NoRoom(reason),
            Try::TooLarge(bytes_max) => propose_response::Result::TooLarge(bytes_max as u64),
        }
    }
}
