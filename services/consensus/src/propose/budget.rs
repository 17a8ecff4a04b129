//! What proposals that are under way may take of a node's memory, in bytes.
//!
//! A proposal is counted from where it comes in until the core has let go of it: applied, or cut
//! from the log. Whether its proposer still waits makes no difference. Without a majority entries
//! pile up behind proposers that have given up, and are all applied once there is one again.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::command_bytes;
use crate::wire;

/// What a proposal takes beside its command, roughly: small ones are bounded too.
const PROPOSAL_BYTES: usize = 1 << 10;

/// What a proposal takes; it is free when the last of those who hold it has let go.
pub(crate) type Held = Arc<OwnedSemaphorePermit>;

/// What is left for proposals of one kind.
pub(crate) struct Budget {
    bytes_max: u32,
    left: Arc<Semaphore>,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX);
        let left = Arc::new(Semaphore::new(bytes_max as usize));
        Self { bytes_max, left }
    }

    fn bytes(&self, proposal: Option<&wire::Proposal>) -> u32 {
        let command = proposal.map_or(0, command_bytes);
        // What is larger than all there is comes through alone.
        let bytes = u32::try_from(command + PROPOSAL_BYTES).unwrap_or(u32::MAX);
        bytes.min(self.bytes_max)
    }

    /// Takes what `proposal` needs, if it is there.
    pub(crate) fn try_take(&self, proposal: &wire::Proposal) -> Option<Held> {
        let bytes = self.bytes(Some(proposal));
        let taken = Arc::clone(&self.left).try_acquire_many_owned(bytes);
        taken.ok().map(Arc::new)
    }

    /// Takes what `proposal` needs once it is there.
    pub(crate) async fn take(&self, proposal: Option<&wire::Proposal>) -> Option<Held> {
        let bytes = self.bytes(proposal);
        let taken = Arc::clone(&self.left).acquire_many_owned(bytes).await;
        taken.ok().map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::wire::proposal::Kind;

    fn command(bytes: usize) -> wire::Proposal {
        wire::Proposal {
            kind: Some(Kind::Command(vec![0; bytes].into())),
            ..wire::Proposal::default()
        }
    }

    #[test]
    fn proposals_are_counted_in_bytes_until_the_last_holder_lets_go() {
        let budget = Budget::new(10 << 10);
        let first = budget.try_take(&command(6 << 10)).unwrap();
        assert!(budget.try_take(&command(6 << 10)).is_none());
        let small = budget.try_take(&command(100)).unwrap();
        let second = Arc::clone(&first);
        drop(first);
        assert!(
            budget.try_take(&command(6 << 10)).is_none(),
            "the core has it still, though the proposer has gone"
        );
        drop(second);
        assert!(budget.try_take(&command(6 << 10)).is_some());
        drop(small);
    }

    #[test]
    fn what_others_forward_waits_until_there_is_room() {
        let budget = Budget::new(10 << 10);
        let large = command(6 << 10);
        let take = || budget.take(Some(&large)).now_or_never().flatten();
        let first = take().unwrap();
        assert!(take().is_none());
        drop(first);
        assert!(take().is_some());
    }

    #[test]
    fn many_empty_proposals_are_bounded_too_and_a_large_one_comes_through_alone() {
        let budget = Budget::new(10 << 10);
        let held: Vec<_> = (0..10).map(|_| budget.try_take(&command(0))).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(budget.try_take(&command(0)).is_none());
        drop(held);
        assert!(budget.try_take(&command(1 << 20)).is_some());
    }
}
