//! What a peer's entries may take of a node's memory before they are on its disk, in bytes.
//!
//! openraft takes 64 messages of a stream before the first of them is answered: with a slow disk
//! that is as many batches of the largest commands. Here the stream waits, and with it the leader,
//! which goes on with the others. Heartbeats and votes have no entries, and wait for nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use openraft::raft::AppendEntriesRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::core::lock;
use crate::propose::command_bytes;
use crate::raft::Types;

/// What an entry takes beside its command, roughly.
const ENTRY_BYTES: usize = 256;

/// The room that a node has for entries.
pub(crate) struct Intake {
    bytes_max: u32,
    room: Arc<Semaphore>,
}

/// What the messages of one stream take, in their order.
type Unanswered = Arc<Mutex<VecDeque<Option<OwnedSemaphorePermit>>>>;

/// The end of a stream at which messages come in.
#[derive(Clone)]
pub(crate) struct Taking {
    bytes_max: u32,
    room: Arc<Semaphore>,
    unanswered: Unanswered,
}

/// The end of a stream at which they are answered. When it breaks off the room is given back at
/// once: what it brought is known to the next one, and not sent again.
pub(crate) struct Answering(Unanswered);

impl Intake {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX).max(1);
        let room = Arc::new(Semaphore::new(bytes_max as usize));
        Self { bytes_max, room }
    }

    pub(crate) fn stream(&self) -> (Taking, Answering) {
        let unanswered = Unanswered::default();
        let taking = Taking {
            bytes_max: self.bytes_max,
            room: Arc::clone(&self.room),
            unanswered: Arc::clone(&unanswered),
        };
        (taking, Answering(unanswered))
    }
}

fn bytes(request: &AppendEntriesRequest<Types>) -> u32 {
    let sizes = request.entries.iter().map(|entry| match &entry.payload {
        openraft::EntryPayload::Normal(proposal) => command_bytes(&proposal.0) + ENTRY_BYTES,
        _ => ENTRY_BYTES,
    });
    u32::try_from(sizes.sum::<usize>()).unwrap_or(u32::MAX)
}

impl Taking {
    /// Waits until there is room for what `request` carries.
    pub(crate) async fn take(&self, request: &AppendEntriesRequest<Types>) {
        // A message that is larger than all there is comes through alone.
        let bytes = bytes(request).min(self.bytes_max);
        let taken = match bytes {
            0 => None,
            bytes => Arc::clone(&self.room).acquire_many_owned(bytes).await.ok(),
        };
        lock(&self.unanswered).push_back(taken);
    }
}

impl Answering {
    /// The oldest message that was not answered is: its entries are on disk, or never will be.
    pub(crate) fn answered(&self) {
        lock(&self.0).pop_front();
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        lock(&self.0).clear();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::codec;
    use crate::raft::{Entry, Proposal, Vote};
    use crate::wire;

    fn request(entries: usize, bytes: usize) -> AppendEntriesRequest<Types> {
        let command = wire::proposal::Kind::Command(vec![0; bytes].into());
        let proposal = wire::Proposal {
            kind: Some(command),
            ..wire::Proposal::default()
        };
        let entry = Entry {
            log_id: codec::log_id(&wire::LogId::default()),
            payload: openraft::EntryPayload::Normal(Proposal(proposal)),
        };
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: None,
            entries: vec![entry; entries],
            leader_commit: None,
        }
    }

    #[test]
    fn entries_wait_for_room_and_what_has_none_does_not() {
        let intake = Intake::new(64 << 20);
        let (taking, answering) = intake.stream();
        let half = request(1, 32 << 20);
        let once = || taking.take(&half).now_or_never();
        assert_eq!(once(), Some(()));
        assert_eq!(once(), None, "not both, with what entries take beside");
        assert_eq!(taking.take(&request(0, 0)).now_or_never(), Some(()));
        answering.answered();
        assert_eq!(once(), Some(()));
        answering.answered();
        answering.answered();
        assert_eq!(taking.take(&request(3, 64 << 20)).now_or_never(), Some(()));
    }

    #[test]
    fn a_stream_that_breaks_off_gives_its_room_back() {
        let intake = Intake::new(64 << 20);
        let (taking, answering) = intake.stream();
        let all = request(1, 64 << 20);
        assert_eq!(taking.take(&all).now_or_never(), Some(()));
        let (next, _) = intake.stream();
        assert_eq!(next.take(&all).now_or_never(), None);
        drop(answering);
        assert_eq!(next.take(&all).now_or_never(), Some(()));
    }
}
