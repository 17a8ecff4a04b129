//! openraft's network on top of [`Peers`].

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use openraft::base::{BoxFuture, BoxStream};
use openraft::entry::RaftEntry as _;
use openraft::errors::{NetworkError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError,
    StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;
use openraft::{AnyError, OptionalSend};
use tonic::{Code, Status};

use super::check;
use super::client::{Lane, Messages, Peers, Target};
use crate::codec;
use crate::core::lock;
use crate::disk::Disk;
use crate::log::LogStore;
use crate::raft::{LogId, Member, Types, Vote};
use crate::state::{SnapshotData, StateMachine};
use crate::wire;

pub(super) type RpcError = openraft::errors::RPCError<Types>;

/// Makes connections for openraft.
#[derive(Clone)]
pub(crate) struct Network {
    pub peers: Arc<Peers>,
    pub state: StateMachine,
    pub log: LogStore,
    pub disk: Arc<Disk>,
}

/// openraft's connection to one peer.
pub(crate) struct Connection {
    pub(super) peers: Arc<Peers>,
    pub(super) state: StateMachine,
    log: LogStore,
    pub(super) disk: Arc<Disk>,
    first_known: Target,
    lane: Lane,
}

impl Network {
    fn connection(&self, id: u64, member: &Member, lane: Lane) -> Connection {
        Connection {
            peers: Arc::clone(&self.peers),
            state: self.state.clone(),
            log: self.log.clone(),
            disk: Arc::clone(&self.disk),
            first_known: Target {
                address: member.address.clone(),
                id,
            },
            lane,
        }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Connection;

    async fn new_client(&mut self, id: u64, member: &Member) -> Connection {
        self.connection(id, member, Lane::Log)
    }

    async fn new_heartbeat_client(&mut self, id: u64, member: &Member) -> Connection {
        self.connection(id, member, Lane::Control)
    }

    async fn new_snapshot_client(&mut self, id: u64, member: &Member) -> Connection {
        self.connection(id, member, Lane::Snapshot)
    }
}

/// What openraft should make of a failed call.
pub(super) fn failed(status: &Status) -> RpcError {
    match status.code() {
        Code::Unavailable
        | Code::FailedPrecondition
        | Code::Unauthenticated
        | Code::ResourceExhausted => RpcError::Unreachable(Unreachable::new(status)),
        _ => RpcError::Network(NetworkError::new(status)),
    }
}

pub(super) fn malformed(error: &std::io::Error) -> RpcError {
    RpcError::Network(NetworkError::new(error))
}

fn append_to_wire(request: &AppendEntriesRequest<Types>) -> wire::AppendRequest {
    wire::AppendRequest {
        vote: Some(codec::vote_to_wire(&request.vote)),
        previous: request.prev_log_id.as_ref().map(codec::log_id_to_wire),
        entries: request.entries.iter().map(codec::encode_entry).collect(),
        commit: request.leader_commit.as_ref().map(codec::log_id_to_wire),
    }
}

/// Whether a request carries what follows in a log that begins at `first_index`, if anything does.
///
/// A member that lags behind the log's beginning is sent the state. But openraft may have just
/// opened a stream from where that member was, and shortens the log when a failure is reported that
/// was older than the stream: it then reads nothing, sends nothing, and never looks up from it.
/// Ending the stream makes it look.
fn carries_what_follows(request: &AppendEntriesRequest<Types>, first_index: u64) -> bool {
    let next = request.prev_log_id.map_or(0, |previous| previous.index + 1);
    !request.entries.is_empty() || next >= first_index
}

fn impossible(reason: &str) -> RpcError {
    malformed(&std::io::Error::other(reason.to_owned()))
}

/// What a leader has sent, to know what can be answered.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<(Option<Vote>, Option<LogId>)>>);

impl Sent {
    fn note(&self, request: &AppendEntriesRequest<Types>) {
        let last = request
            .entries
            .last()
            .map(|entry| entry.log_id())
            .or(request.prev_log_id);
        let mut sent = lock(&self.0);
        *sent = (Some(request.vote), sent.1.max(last));
    }

    fn result(
        &self,
        response: wire::AppendResponse,
    ) -> Result<StreamAppendResult<Types>, RpcError> {
        use wire::append_response::Result as Kind;
        let (vote, last) = *lock(&self.0);
        match response.result {
            Some(Kind::Flushed(flushed)) => {
                let flushed = flushed.log_id.as_ref().map(codec::log_id);
                if flushed > last {
                    return Err(impossible("a follower has flushed what it was not sent"));
                }
                Ok(Ok(flushed))
            }
            Some(Kind::Conflict(id)) => {
                let conflict = codec::log_id(&id);
                if Some(conflict) > last {
                    return Err(impossible(
                        "a follower has a conflict with what it was not sent",
                    ));
                }
                Ok(Err(StreamAppendError::Conflict(conflict)))
            }
            Some(Kind::HigherVote(higher)) => {
                let vote =
                    vote.ok_or_else(|| impossible("a follower answers what it was not sent"))?;
                Ok(Err(StreamAppendError::HigherVote(answered_vote(
                    Some(&higher),
                    &vote,
                )?)))
            }
            None => Err(impossible("an append response says nothing")),
        }
    }
}

/// The vote of a node that was asked by one whose vote is `mine`.
pub(super) fn answered_vote(vote: Option<&wire::Vote>, mine: &Vote) -> Result<Vote, RpcError> {
    let vote = codec::vote(vote).map_err(|error| malformed(&error))?;
    check::term_follows(&vote, mine).map_err(impossible)?;
    Ok(vote)
}

fn vote_response(
    response: &wire::VoteResponse,
    mine: &Vote,
) -> Result<VoteResponse<Types>, RpcError> {
    Ok(VoteResponse {
        vote: answered_vote(response.vote.as_ref(), mine)?,
        vote_granted: response.granted,
        last_log_id: response.last.as_ref().map(codec::log_id),
    })
}

impl Connection {
    /// The peer, where it is now.
    pub(super) fn target(&self) -> Target {
        let moved = self.peers.address(self.first_known.id);
        Target {
            address: moved.unwrap_or_else(|| self.first_known.address.clone()),
            id: self.first_known.id,
        }
    }

    async fn append_stream<S>(
        &self,
        input: S,
    ) -> Result<tonic::Streaming<wire::AppendResponse>, RpcError>
    where
        S: Stream<Item = wire::AppendRequest> + Send + 'static,
    {
        // A stale challenge is renewed by openraft's next try.
        let message = Messages::new(input);
        self.peers
            .call(
                &self.target(),
                self.lane,
                "/trivet.consensus.v1.Peer/Append",
                message,
                |mut client, request| async move { client.append(request).await },
            )
            .await
            .map_err(|status| failed(&status))
    }

    async fn ask_for_vote(
        &self,
        request: VoteRequest<Types>,
        pre_vote: bool,
        option: &RPCOption,
    ) -> Result<VoteResponse<Types>, RpcError> {
        let mine = request.vote;
        let message = wire::VoteRequest {
            vote: Some(codec::vote_to_wire(&request.vote)),
            last: request.last_log_id.as_ref().map(codec::log_id_to_wire),
            leadership_transfer: request.leadership_transfer,
            pre_vote,
        };
        let call = self.peers.call(
            &self.target(),
            Lane::Control,
            "/trivet.consensus.v1.Peer/Vote",
            message,
            |mut client, request| async move { client.vote(request).await },
        );
        let response = within(option.soft_ttl(), call).await?;
        vote_response(&response, &mine)
    }
}

pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, RpcError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result.map_err(|status| failed(&status)),
        Err(elapsed) => Err(RpcError::Unreachable(Unreachable::new(&elapsed))),
    }
}

impl RaftNetworkV2<Types> for Connection {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RpcError> {
        let sent = Sent::default();
        sent.note(&request);
        let request = append_to_wire(&request);
        let exchange = async {
            let mut responses = self
                .append_stream(futures_util::stream::iter([request]))
                .await?;
            let response = responses
                .message()
                .await
                .map_err(|status| failed(&status))?;
            sent.result(response.unwrap_or_default())
        };
        match tokio::time::timeout(option.soft_ttl(), exchange).await {
            Ok(result) => result.map(AppendEntriesResponse::from),
            Err(elapsed) => Err(RpcError::Unreachable(Unreachable::new(&elapsed))),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult<Types>, RpcError>>, RpcError>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            // openraft pauses between its tries where the first request is asked for: a stream to a
            // member that is away would otherwise be opened again and again without a pause.
            let Some(first) = input.next().await else {
                return Ok(futures_util::stream::empty().boxed());
            };
            let input = futures_util::stream::iter([first]).chain(input);
            let sent = Sent::default();
            let noted = sent.clone();
            let log = self.log.clone();
            let input = input.take_while(move |request| {
                let goes_on = carries_what_follows(request, log.first_index());
                std::future::ready(goes_on)
            });
            let open = self.append_stream(input.map(move |request| {
                noted.note(&request);
                append_to_wire(&request)
            }));
            let responses =
                match tokio::time::timeout(option.soft_ttl().max(Duration::from_secs(1)), open)
                    .await
                {
                    Ok(responses) => responses?,
                    Err(elapsed) => return Err(RpcError::Unreachable(Unreachable::new(&elapsed))),
                };
            let results = responses.map(move |response| match response {
                Ok(response) => sent.result(response),
                Err(status) => Err(failed(&status)),
            });
            Ok(Box::pin(results) as BoxStream<'s, _>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RpcError> {
        self.ask_for_vote(request, false, &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RpcError> {
        self.ask_for_vote(request, true, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        _snapshot: SnapshotOf<Types, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let send = self.send_state(vote);
        tokio::select! {
            sent = send => Ok(sent?),
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RpcError> {
        let message = wire::TransferRequest {
            from: Some(codec::vote_to_wire(request.from_leader())),
            to: *request.to_node_id(),
            last: request.last_log_id().map(codec::log_id_to_wire),
        };
        let call = self.peers.call(
            &self.target(),
            Lane::Control,
            "/trivet.consensus.v1.Peer/Transfer",
            message,
            |mut client, request| async move { client.transfer(request).await },
        );
        let response = within(option.soft_ttl(), call).await?;
        if response.accepted {
            Ok(Ok(()))
        } else {
            Err(RpcError::Network(NetworkError::new(&AnyError::error(
                response.reason,
            ))))
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        // A member that is away costs a connection a try, and a copy of the state where it refuses one.
        let growing = [100, 200, 400, 800].map(Duration::from_millis);
        let longest = std::iter::repeat(Duration::from_secs(1));
        Some(Backoff::new(growing.into_iter().chain(longest)))
    }
}

#[cfg(test)]
mod tests {
    use openraft::entry::RaftEntry as _;
    use openraft::vote::RaftLeaderId as _;

    use super::*;
    use crate::raft::Entry;

    fn request(previous: Option<u64>, entries: u64) -> AppendEntriesRequest<Types> {
        let leader = openraft::type_config::alias::LeaderIdOf::<Types>::new(1, 1);
        let id = |index| LogId::new(leader.to_committed(), index);
        let next = previous.map_or(0, |index| index + 1);
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: previous.map(id),
            entries: (next..next + entries)
                .map(|index| Entry::new_blank(id(index)))
                .collect(),
            leader_commit: None,
        }
    }

    #[test]
    fn a_stream_behind_the_beginning_of_the_log_is_ended() {
        assert!(!carries_what_follows(&request(None, 0), 1));
        assert!(!carries_what_follows(&request(Some(8), 0), 10));
        // Nothing new, or what was read before the log was shortened.
        assert!(carries_what_follows(&request(None, 0), 0));
        assert!(carries_what_follows(&request(Some(9), 0), 10));
        assert!(carries_what_follows(&request(Some(8), 2), 10));
    }

    #[test]
    fn a_follower_that_answers_what_it_was_not_sent_is_not_believed() {
        use wire::append_response::Result as Kind;
        let at = |index| wire::LogId {
            term: 1,
            leader: 1,
            index,
        };
        let flushed = |index| {
            Kind::Flushed(wire::Flushed {
                log_id: Some(at(index)),
            })
        };
        let higher = |term| {
            Kind::HigherVote(wire::Vote {
                term,
                node: 2,
                committed: false,
            })
        };
        let sent = Sent::default();
        let believed = |result| sent.result(wire::AppendResponse { result }).is_ok();
        for answer in [flushed(0), Kind::Conflict(at(0)), higher(2)] {
            assert!(!believed(Some(answer)), "before anything was sent");
        }
        sent.note(&request(Some(3), 2));
        for answer in [flushed(5), Kind::Conflict(at(3)), higher(2)] {
            assert!(believed(Some(answer)));
        }
        for answer in [flushed(6), Kind::Conflict(at(6)), higher(1 << 40)] {
            assert!(!believed(Some(answer)), "{answer:?}");
        }
        assert!(!believed(None));
    }
}
