//! Proposals on their way to the leader: one stream, with the answers in whatever order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{Held, Try};
use crate::codec;
use crate::core::{Core, lock};
use crate::peer::client::{Lane, Messages, Peers, Target};
use crate::raft::Member;
use crate::wire::{self, propose_response};

/// Proposals that may wait for the connection to the leader; their bytes are counted.
const QUEUE: usize = 1024;

/// The connection over which proposals go to the leader.
#[derive(Default)]
pub(crate) struct Forwarder {
    link: Mutex<Option<Arc<Link>>>,
    next_id: AtomicU64,
}

/// What proposers hold of a connection: with the last of them the queue ends, and the connection
/// once everything that was sent is answered.
struct Link {
    leader: u64,
    queue: mpsc::Sender<(wire::ProposeRequest, Held)>,
    waiting: Arc<Waiting>,
}

/// Who waits for which answer; nobody can any more once it is closed.
struct Waiting(Mutex<Option<HashMap<u64, oneshot::Sender<Try>>>>);

impl Waiting {
    /// Whether the connection is open and the answer will be told.
    fn add(&self, id: u64, answer: oneshot::Sender<Try>) -> bool {
        match lock(&self.0).as_mut() {
            Some(waiting) => {
                waiting.insert(id, answer);
                true
            }
            None => false,
        }
    }

    fn tell(&self, id: u64, tried: Try) {
        let answer = lock(&self.0)
            .as_mut()
            .and_then(|waiting| waiting.remove(&id));
        if let Some(answer) = answer {
            drop(answer.send(tried));
        }
    }

    /// Tells everyone who still waits, and whoever comes later that it is too late.
    fn close(&self, tried: impl Fn() -> Try) {
        let waiting = lock(&self.0).take();
        for (_, answer) in waiting.into_iter().flatten() {
            drop(answer.send(tried()));
        }
    }
}

impl Forwarder {
    pub(super) async fn forward(
        &self,
        core: &Core,
        leader: u64,
        member: &Member,
        proposal: wire::Proposal,
        held: Held,
    ) -> Try {
        let link = self.link(core, leader, member);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        if !link.waiting.add(id, answer) {
            return Try::Refused("the connection to the leader has ended".into());
        }
        let request = wire::ProposeRequest {
            id,
            proposal: Some(proposal),
        };
        if link.queue.send((request, held)).await.is_err() {
            // It never left this node.
            return Try::Refused("the connection to the leader has ended".into());
        }
        answered
            .await
            .unwrap_or_else(|_| Try::Unknown("the connection to the leader has ended".into()))
    }

    /// The open connection to `leader`, or a new one.
    fn link(&self, core: &Core, leader: u64, member: &Member) -> Arc<Link> {
        let mut current = lock(&self.link);
        if let Some(link) = current.as_ref()
            && link.leader == leader
            && !link.queue.is_closed()
        {
            return Arc::clone(link);
        }
        let (queue, requests) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::new()))));
        let target = Core::target(leader, member);
        let (peers, answers) = (Arc::clone(&core.peers), Arc::clone(&waiting));
        tokio::spawn(async move {
            match run(&peers, &target, &answers, requests).await {
                Ended::Unopened(reason) => answers.close(|| Try::Refused(reason.clone())),
                // Something was sent, and its outcome will never be told.
                Ended::Broken(reason) => answers.close(|| Try::Unknown(reason.clone())),
            }
        });
        let link = Arc::new(Link {
            leader,
            queue,
            waiting,
        });
        *current = Some(Arc::clone(&link));
        link
    }
}

/// How a connection ended, and why.
enum Ended {
    /// Before anything was sent.
    Unopened(String),
    Broken(String),
}

/// Sends what is queued and hands the answers out, until the stream ends.
async fn run(
    peers: &Arc<Peers>,
    target: &Target,
    waiting: &Waiting,
    mut requests: mpsc::Receiver<(wire::ProposeRequest, Held)>,
) -> Ended {
    // A call that can be repeated comes first: the stream cannot be, and must not be spent on a
    // stale challenge.
    let greeted = peers
        .call(
            target,
            Lane::Control,
            "/trivet.consensus.v1.Peer/Status",
            wire::StatusRequest {},
            |mut client, request| async move { client.status(request).await },
        )
        .await;
    if let Err(status) = greeted {
        requests.close();
        return Ended::Unopened(status.message().to_owned());
    }
    let message = Messages::new(ReceiverStream::new(requests).map(|(request, _)| request));
    let opened = peers
        .call(
            target,
            Lane::Log,
            "/trivet.consensus.v1.Peer/Propose",
            message,
            |mut client, request| async move { client.propose(request).await },
        )
        .await;
    let mut responses = match opened {
        Ok(responses) => responses,
        Err(status) => return Ended::Broken(status.message().to_owned()),
    };
    loop {
        match responses.message().await {
            Ok(Some(response)) => waiting.tell(response.id, result_of(response.result)),
            Ok(None) => return Ended::Broken("the leader ended the connection".into()),
            Err(status) => return Ended::Broken(status.message().to_owned()),
        }
    }
}

fn result_of(result: Option<propose_response::Result>) -> Try {
    match result {
        Some(propose_response::Result::Applied(applied)) => match codec::outcome(applied.outcome) {
            Ok(outcome) => Try::Done(applied.index, outcome),
            Err(error) => Try::Unknown(error.to_string()),
        },
        Some(propose_response::Result::Refused(reason)) => Try::Refused(reason),
        Some(propose_response::Result::Unknown(reason)) => Try::Unknown(reason),
        Some(propose_response::Result::NoRoom(reason)) => Try::NoRoom(reason),
        Some(propose_response::Result::TooLarge(bytes_max)) => {
            Try::TooLarge(usize::try_from(bytes_max).unwrap_or(usize::MAX))
        }
        None => Try::Unknown("the leader's answer cannot be read".into()),
    }
}
