//! The peer routes of a node.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::extract::{Request as HttpRequest, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response as HttpResponse};
use futures_util::{Stream, StreamExt as _};
use openraft::raft::{AppendEntriesRequest, StreamAppendError, TransferLeaderRequest, VoteRequest};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::MESSAGE_BYTES_MAX;
use super::auth::{self, Ends, Refused};
use super::check::Receiver;
use super::snapshot;
use crate::codec;
use crate::core::{Core, lock};
use crate::raft::{Entry, Types};
use crate::wire;
use crate::wire::peer_server::{Peer, PeerServer};

/// Forwarded proposals of one peer that may be under way.
const FORWARDED_MAX: usize = 4096;

/// The gRPC service of a node.
struct Service {
    core: Arc<Core>,
}

/// The routes, with everything that guards them.
pub(crate) fn router(core: &Arc<Core>) -> axum::Router {
    let service = PeerServer::new(Service {
        core: Arc::clone(core),
    })
    .max_decoding_message_size(MESSAGE_BYTES_MAX)
    .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let guard = axum::middleware::from_fn_with_state(Arc::clone(core), guard);
    kit::serve::with_grpc(axum::Router::new(), service).layer(guard)
}

/// Lets a call through that carries the cluster's MAC and, where certificates are configured, comes
/// from a peer that showed one.
async fn guard(
    State(core): State<Arc<Core>>,
    mut request: HttpRequest,
    next: Next,
) -> HttpResponse {
    let grpc = request
        .headers()
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let path = request.uri().path().to_owned();
    let certified = core.config.tls.is_none()
        || request
            .extensions()
            .get::<kit::serve::Connection>()
            .is_some_and(|connection| connection.peer_certificate.is_some());
    let checked = if certified {
        core.authority
            .check(&path, request.headers())
            .map_err(|refused| {
                metrics::counter!("consensus_peer_calls_refused_total").increment(1);
                let mut status = Status::unauthenticated(refused.to_string());
                if refused == Refused::Challenge
                    && let Ok(challenge) = core.authority.challenge().parse()
                {
                    status.metadata_mut().insert(auth::CHALLENGE, challenge);
                }
                status
            })
    } else {
        metrics::counter!("consensus_peer_calls_refused_total").increment(1);
        Err(Status::unauthenticated(
            "peers must show a certificate of this cluster",
        ))
    };
    match checked {
        Ok(ends) => {
            request.extensions_mut().insert(ends);
            next.run(request).await
        }
        Err(status) if grpc => status.into_http::<axum::body::Body>().into_response(),
        Err(status) => kit::problem::Problem::new(http::StatusCode::UNAUTHORIZED)
            .with_detail(status.message())
            .into_response(),
    }
}

impl Service {
    /// Refuses a call that means another node or comes from another cluster; gives the caller's
    /// Raft id.
    fn member<T>(&self, request: &Request<T>) -> Result<u64, Status> {
        let ends = self.addressed(request)?;
        let cluster = self.core.peers.cluster();
        if ends.to == 0 {
            return Err(Status::failed_precondition(
                "the call does not say which node it means",
            ));
        }
        if ends.cluster != cluster || cluster.is_empty() {
            return Err(Status::failed_precondition(format!(
                "this node belongs to cluster {cluster:?}, not to {:?}",
                ends.cluster
            )));
        }
        self.serving()?;
        Ok(ends.from)
    }

    /// Refuses a call that means another node. One that knows only an address means whoever is there.
    fn addressed<'a, T>(&self, request: &'a Request<T>) -> Result<&'a Ends, Status> {
        let ends = request
            .extensions()
            .get::<Ends>()
            .ok_or_else(|| Status::internal("the call was not checked"))?;
        if ends.to != 0 && ends.to != self.core.id {
            return Err(Status::failed_precondition(format!(
                "this is node {:016x}, not {:016x}: its data directory is not the one that the caller knew",
                self.core.id, ends.to
            )));
        }
        Ok(ends)
    }

    /// Refuses an operator's or a joining node's call that comes by way of another cluster.
    fn own_cluster(&self, ends: &Ends) -> Result<(), Status> {
        let cluster = self.core.peers.cluster();
        if !ends.cluster.is_empty() && ends.cluster != cluster {
            return Err(Status::failed_precondition(format!(
                "this node belongs to cluster {cluster:?}, not to {:?}",
                ends.cluster
            )));
        }
        self.serving()
    }

    fn serving(&self) -> Result<(), Status> {
        match self.core.halted() {
            Some(reason) => Err(Status::unavailable(format!(
                "this node has stopped: {reason}"
            ))),
            None => Ok(()),
        }
    }
}

pub(super) fn impossible(reason: &str) -> Status {
    metrics::counter!("consensus_peer_messages_refused_total").increment(1);
    Status::invalid_argument(reason)
}

pub(super) fn invalid(error: &std::io::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

fn append_request(message: wire::AppendRequest) -> std::io::Result<AppendEntriesRequest<Types>> {
    Ok(AppendEntriesRequest {
        vote: codec::vote(message.vote.as_ref())?,
        prev_log_id: message.previous.as_ref().map(codec::log_id),
        entries: message
            .entries
            .into_iter()
            .map(codec::decode_entry)
            .collect::<std::io::Result<_>>()?,
        leader_commit: message.commit.as_ref().map(codec::log_id),
    })
}

/// Whether an entry is what there may be no room for. What leaders write for their own sake is small,
/// and nothing could be read without it.
fn is_command(entry: &Entry) -> bool {
    matches!(entry.payload, openraft::EntryPayload::Normal(_))
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Peer for Service {
    type AppendStream = Responses<wire::AppendResponse>;

    async fn append(
        &self,
        request: Request<Streaming<wire::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let from = self.member(&request)?;
        let core = Arc::clone(&self.core);
        let (taking, answering) = core.intake.stream();
        // A message that cannot be read, or cannot be, ends the stream: what came before it is
        // answered, and then why.
        let refusal = Arc::new(Mutex::new(None));
        let refused = Arc::clone(&refusal);
        // The core reads on in a task of its own: what it reads from has to end with the node.
        let stopped = self.core.stopped.clone().cancelled_owned();
        let input = request
            .into_inner()
            .take_until(stopped)
            .map(move |message| {
                let request = append_request(message?).map_err(|error| invalid(&error))?;
                Receiver::of(&core)
                    .append(from, &request)
                    .map_err(impossible)?;
                if core.disk.is_full() && request.entries.iter().any(is_command) {
                    return Err(Status::resource_exhausted(format!(
                        "the disk of {} is full",
                        core.config.name
                    )));
                }
                Ok(request)
            });
        let input = input.scan((), move |(), message| {
            let request = message.map_err(|status: Status| {
                tracing::debug!(%status, "an append stream ended");
                *lock(&refused) = Some(status);
            });
            std::future::ready(request.ok())
        });
        let input = input.then(move |request| {
            let taking = taking.clone();
            async move {
                taking.take(&request).await;
                request
            }
        });
        let output = self.core.raft.stream_append(input).map(move |result| {
            use wire::append_response::Result as Kind;
            answering.answered();
            let result = match result {
                Ok(Ok(flushed)) => Kind::Flushed(wire::Flushed {
                    log_id: flushed.as_ref().map(codec::log_id_to_wire),
                }),
                Ok(Err(StreamAppendError::Conflict(id))) => {
                    Kind::Conflict(codec::log_id_to_wire(&id))
                }
                Ok(Err(StreamAppendError::HigherVote(vote))) => {
                    Kind::HigherVote(codec::vote_to_wire(&vote))
                }
                Err(fatal) => return Err(Status::unavailable(fatal.to_string())),
            };
            Ok(wire::AppendResponse {
                result: Some(result),
            })
        });
        let why = futures_util::stream::once(async move { lock(&refusal).take() })
            .filter_map(|status| std::future::ready(status.map(Err)));
        Ok(Response::new(Box::pin(output.chain(why))))
    }

    async fn vote(
        &self,
        request: Request<wire::VoteRequest>,
    ) -> Result<Response<wire::VoteResponse>, Status> {
        let from = self.member(&request)?;
        let message = request.into_inner();
        let mut vote = VoteRequest::new(
            codec::vote(message.vote.as_ref()).map_err(|error| invalid(&error))?,
            message.last.as_ref().map(codec::log_id),
        );
        Receiver::of(&self.core)
            .candidacy(from, &vote.vote)
            .map_err(impossible)?;
        vote.leadership_transfer = message.leadership_transfer;
        let response = if message.pre_vote {
            self.core.raft.pre_vote(vote).await
        } else {
            self.core.raft.vote(vote).await
        };
        let response = response.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(wire::VoteResponse {
            vote: Some(codec::vote_to_wire(&response.vote)),
            granted: response.vote_granted,
            last: response.last_log_id.as_ref().map(codec::log_id_to_wire),
        }))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<wire::SnapshotPart>>,
    ) -> Result<Response<wire::SnapshotResponse>, Status> {
        let from = self.member(&request)?;
        let response = snapshot::receive(&self.core, from, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn transfer(
        &self,
        request: Request<wire::TransferRequest>,
    ) -> Result<Response<wire::TransferResponse>, Status> {
        let caller = self.member(&request)?;
        let message = request.into_inner();
        let from = codec::vote(message.from.as_ref()).map_err(|error| invalid(&error))?;
        Receiver::of(&self.core)
            .leadership(caller, &from)
            .map_err(impossible)?;
        let last = message.last.as_ref().map(codec::log_id);
        let request = TransferLeaderRequest::new(from, message.to, last);
        let handled = self.core.raft.handle_transfer_leader(request).await;
        let result = handled.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(wire::TransferResponse {
            accepted: result.is_ok(),
            reason: result
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default(),
        }))
    }

    type ProposeStream = Responses<wire::ProposeResponse>;

    async fn propose(
        &self,
        request: Request<Streaming<wire::ProposeRequest>>,
    ) -> Result<Response<Self::ProposeStream>, Status> {
        self.member(&request)?;
        let stopped = self.core.stopped.clone().cancelled_owned();
        let mut input = Box::pin(request.into_inner().take_until(stopped));
        let (responses, output) = mpsc::channel(FORWARDED_MAX);
        let core = Arc::clone(&self.core);
        tokio::spawn(async move {
            let permits = Arc::new(Semaphore::new(FORWARDED_MAX));
            while let Some(message) = input.next().await {
                let message = match message {
                    Ok(message) => message,
                    Err(status) => {
                        drop(responses.send(Err(status)).await);
                        return;
                    }
                };
                // Until there is room for it nothing more is read, and the peer holds the rest.
                let held = core
                    .forwarded_proposals
                    .take(message.proposal.as_ref())
                    .await;
                let permit = Arc::clone(&permits).acquire_owned().await;
                let (Some(held), Ok(permit)) = (held, permit) else {
                    return;
                };
                let (core, responses) = (Arc::clone(&core), responses.clone());
                tokio::spawn(async move {
                    let result = core.propose_for_peer(message.proposal, held).await;
                    let response = wire::ProposeResponse {
                        id: message.id,
                        result: Some(result),
                    };
                    // The peer may be gone; its proposal stands.
                    drop(responses.send(Ok(response)).await);
                    drop(permit);
                });
            }
        });
        let stopped = self.core.stopped.clone().cancelled_owned();
        Ok(Response::new(Box::pin(
            ReceiverStream::new(output).take_until(stopped),
        )))
    }

    async fn read_index(
        &self,
        request: Request<wire::ReadIndexRequest>,
    ) -> Result<Response<wire::ReadIndexResponse>, Status> {
        self.member(&request)?;
        let index = self
            .core
            .read_index_as_leader()
            .await
            .map_err(Status::unavailable)?;
        Ok(Response::new(wire::ReadIndexResponse { index }))
    }

    async fn greet(&self, request: Request<wire::Hello>) -> Result<Response<wire::Hello>, Status> {
        self.addressed(&request)?;
        let hello = request.into_inner();
        self.core.meet(&hello)?;
        Ok(Response::new(self.core.hello_to(&hello)))
    }

    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinResponse>, Status> {
        self.own_cluster(self.addressed(&request)?)?;
        let who = request
            .into_inner()
            .who
            .ok_or_else(|| Status::invalid_argument("a joining node says who it is"))?;
        let cluster = self.core.admit(who).await?;
        Ok(Response::new(wire::JoinResponse { cluster }))
    }

    async fn manage(
        &self,
        request: Request<wire::ManageRequest>,
    ) -> Result<Response<wire::ManageResponse>, Status> {
        self.own_cluster(self.addressed(&request)?)?;
        let message = self.core.manage(request.into_inner()).await?;
        Ok(Response::new(wire::ManageResponse { message }))
    }

    async fn ask(
        &self,
        request: Request<wire::AskRequest>,
    ) -> Result<Response<wire::AskResponse>, Status> {
        let from = self.member(&request)?;
        let answer = self.core.answer(from, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn status(
        &self,
        request: Request<wire::StatusRequest>,
    ) -> Result<Response<wire::StatusResponse>, Status> {
        self.addressed(&request)?;
        let json = serde_json::to_string(&self.core.status())
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(wire::StatusResponse { json }))
    }
}
