//! Following what is applied, in order, from any entry that is still in the log.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::Stream;
use openraft::EntryPayload;
use openraft::entry::RaftEntry as _;
use prost::Message;

use crate::core::Core;
use crate::machine::EntryInfo;
use crate::raft::Entry;
use crate::wire::proposal::Kind;

/// A command that has been applied on this node.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied<C> {
    /// The entry's index.
    pub index: u64,
    /// The entry's term.
    pub term: u64,
    /// The command.
    pub command: C,
    /// The request id it was proposed with, as session and number: a retry stands in the log again,
    /// and only the first has an effect.
    pub request: Option<(u64, u64)>,
}

impl<C> Applied<C> {
    /// Where it stands, for code that [`crate::Machine::apply`] shares.
    #[must_use]
    pub fn info(&self, version: u32) -> EntryInfo {
        EntryInfo {
            index: self.index,
            term: self.term,
            version,
        }
    }
}

/// Why a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The entries asked for are no longer in the log: read the state, and follow from its index.
    #[error("the log begins at {first}: read the state, and follow from its index")]
    Compacted {
        /// The first entry that is still there.
        first: u64,
    },
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(String),
    /// This node has stopped.
    #[error("this node has stopped: {0}")]
    Halted(String),
}

struct Follower<C> {
    core: Arc<Core>,
    next: u64,
    ready: VecDeque<Applied<C>>,
    ended: bool,
}

pub(crate) fn subscribe<C: Message + Default + 'static>(
    core: Arc<Core>,
    from: u64,
) -> impl Stream<Item = Result<Applied<C>, SubscribeError>> + Send {
    let follower = Follower {
        core,
        next: from,
        ready: VecDeque::new(),
        ended: false,
    };
    futures_util::stream::unfold(follower, |mut follower| async move {
        if follower.ended {
            return None;
        }
        let item = follower.next().await;
        follower.ended = item.is_err();
        Some((item, follower))
    })
}

impl<C: Message + Default> Follower<C> {
    async fn next(&mut self) -> Result<Applied<C>, SubscribeError> {
        loop {
            if let Some(applied) = self.ready.pop_front() {
                return Ok(applied);
            }
            let applied = self.wait().await?;
            let first = self.core.log.first_index();
            if self.next < first {
                return Err(SubscribeError::Compacted { first });
            }
            let entries = self.core.log.entries(self.next, applied + 1).await;
            // Purged between the look and the read.
            let first = self.core.log.first_index();
            if self.next < first {
                return Err(SubscribeError::Compacted { first });
            }
            let entries = entries.map_err(|error| SubscribeError::Log(error.to_string()))?;
            if entries.is_empty() {
                // A snapshot brought the state past the end of the log.
                let first = applied + 1;
                return Err(SubscribeError::Compacted { first });
            }
            for entry in entries {
                self.next = entry.index() + 1;
                self.ready.extend(decode(entry)?);
            }
        }
    }

    /// Waits until there is something to follow; gives the last applied index.
    async fn wait(&mut self) -> Result<u64, SubscribeError> {
        let mut position = self.core.state.watch();
        let mut halted = self.core.watch_halted();
        let next = self.next;
        let reached = position.wait_for(|position| {
            position
                .applied
                .is_some_and(|applied| applied.index >= next)
        });
        tokio::select! {
            reached = reached => match reached {
                Ok(position) => Ok(position.applied.map_or(0, |applied| applied.index)),
                Err(_) => Err(SubscribeError::Halted("the node is stopping".into())),
            },
            halted = halted.wait_for(Option::is_some) => {
                let reason = halted.ok().and_then(|reason| reason.clone());
                Err(SubscribeError::Halted(reason.unwrap_or_else(|| "the node is stopping".into())))
            }
        }
    }
}

fn decode<C: Message + Default>(entry: Entry) -> Result<Option<Applied<C>>, SubscribeError> {
    let (index, term) = (entry.log_id.index, entry.log_id.leader_id.term);
    let EntryPayload::Normal(proposal) = entry.payload else {
        return Ok(None);
    };
    let Some(Kind::Command(bytes)) = proposal.0.kind else {
        return Ok(None);
    };
    let command =
        C::decode(bytes).map_err(|error| SubscribeError::Log(format!("entry {index}: {error}")))?;
    Ok(Some(Applied {
        index,
        term,
        command,
        request: proposal
            .0
            .request
            .map(|request| (request.session, request.number)),
    }))
}
