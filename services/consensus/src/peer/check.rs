//! What a peer that follows the protocol can say.
//!
//! openraft trusts its peers: some of what a faulty one could send makes it panic, or makes the log
//! fail. All that is refused here, before openraft sees it. A peer that knows the secret can still
//! lie within the protocol; nothing here defends against that.

use openraft::entry::RaftEntry as _;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::AppendEntriesRequest;

use crate::core::Core;
use crate::raft::{LogId, StoredMembership, Types, Vote};

/// Terms grow by one with every election: no node misses this many.
const TERM_JUMP_MAX: u64 = 1 << 32;
/// SQLite counts rows to 2^63; the rest is room for what is computed from an index.
const INDEX_MAX: u64 = 1 << 62;

/// What this node knows when a message comes in.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub id: u64,
    pub vote: Vote,
    pub committed: Option<LogId>,
}

type Checked = Result<(), &'static str>;

impl Receiver {
    pub(crate) fn of(core: &Core) -> Self {
        use openraft::async_runtime::WatchReceiver as _;
        let metrics = core.raft.metrics();
        let metrics = metrics.borrow_watched();
        Self {
            id: core.id,
            vote: metrics.vote,
            committed: metrics.local_committed,
        }
    }

    /// A request of the leader `from` to append entries.
    pub(crate) fn append(&self, from: u64, request: &AppendEntriesRequest<Types>) -> Checked {
        self.leadership(from, &request.vote)?;
        let leader = request.vote.leader_id;
        let mut before = request.prev_log_id;
        for id in before.iter().chain(&request.leader_commit) {
            within(id, leader)?;
        }
        for entry in &request.entries {
            let id = entry.log_id();
            if id.index != before.map_or(0, |before| before.index + 1) {
                return Err("the entries do not follow each other");
            }
            if before.is_some_and(|before| id.leader_id < before.leader_id) {
                return Err("an entry is of an earlier leadership than the one before it");
            }
            within(&id, leader)?;
            before = Some(id);
        }
        // What a leader of the past says is answered with the newer vote, and has no effect.
        if request.vote < self.vote {
            return Ok(());
        }
        let ids = request.entries.iter().map(|entry| entry.log_id());
        request
            .prev_log_id
            .into_iter()
            .chain(ids)
            .try_for_each(|id| self.fits(id))
    }

    /// A request of the candidate `from` for a vote.
    pub(crate) fn candidacy(&self, from: u64, vote: &Vote) -> Checked {
        if vote.committed {
            return Err("a candidate cannot have won yet");
        }
        self.sender(from, vote)
    }

    /// What the leader `from` sends under its own vote.
    pub(crate) fn leadership(&self, from: u64, vote: &Vote) -> Checked {
        if !vote.committed {
            return Err("only a leader may send this");
        }
        self.sender(from, vote)
    }

    fn sender(&self, from: u64, vote: &Vote) -> Checked {
        if vote.leader_id.node_id != from || from == self.id {
            return Err("the vote is not the sender's");
        }
        term_follows(vote, &self.vote)
    }

    /// A snapshot that the leader `from` offers.
    pub(crate) fn snapshot(
        &self,
        from: u64,
        vote: &Vote,
        last: LogId,
        members: &StoredMembership,
    ) -> Checked {
        self.leadership(from, vote)?;
        if last.leader_id > vote.leader_id {
            return Err("the snapshot is newer than its sender");
        }
        within(&last, vote.leader_id)?;
        if members.log_id().is_none_or(|id| id > last) {
            return Err("the snapshot's membership is newer than the snapshot");
        }
        if members.membership().voter_ids().next().is_none() {
            return Err("the snapshot's membership has no voters");
        }
        if *vote < self.vote {
            return Ok(());
        }
        self.fits(last)
    }

    /// Whether `id` can be in one log with what this node knows to be committed.
    fn fits(&self, id: LogId) -> Checked {
        let Some(committed) = self.committed else {
            return Ok(());
        };
        let fits = if id.index <= committed.index {
            id.leader_id <= committed.leader_id
        } else {
            id.leader_id >= committed.leader_id
        };
        if fits {
            Ok(())
        } else {
            Err("an entry contradicts what is committed here")
        }
    }
}

/// Whether a node whose vote is `known` can meet the term of `vote`.
pub(crate) fn term_follows(vote: &Vote, known: &Vote) -> Checked {
    if vote.leader_id.term > known.leader_id.term.saturating_add(TERM_JUMP_MAX) {
        return Err("the term is far beyond any that can have been reached");
    }
    Ok(())
}

fn within(id: &LogId, leader: LeaderId<u64, u64>) -> Checked {
    if id.index > INDEX_MAX {
        return Err("an index is beyond any that can have been reached");
    }
    if id.leader_id > leader {
        return Err("an entry is of a later leadership than its sender's");
    }
    Ok(())
}
