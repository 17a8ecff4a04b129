//! Connections to peers: one for the log, one for what must not wait behind it, one for snapshots.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use http::Uri;
use hyper_util::rt::TokioIo;
use kit::tls::ClientTls;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use super::MESSAGE_BYTES_MAX;
use super::auth::{self, Authority, Ends};
use crate::core::lock;
use crate::raft::Membership;
use crate::wire::peer_client::PeerClient;

/// A peer that does not take a connection within this time is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection on which nothing comes back for so long is dead: a peer that was cut off is noticed
/// even while a stream waits for it.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// Challenges that one call answers before it is given up: a second one where the peer began a new
/// round between the first and its answer.
const CHALLENGES_MAX: u32 = 3;

/// What shares a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Appending entries, forwarded proposals.
    Log,
    /// Heartbeats, votes, reads, greetings: small, and not to wait behind a batch.
    Control,
    /// Snapshots.
    Snapshot,
}

/// Calls peers; shared by everything in a node that does.
pub(crate) struct Peers {
    authority: Arc<Authority>,
    id: u64,
    /// The cluster this node belongs to; empty until it does.
    cluster: RwLock<String>,
    source: Option<IpAddr>,
    tls: Option<ClientTls>,
    channels: Mutex<HashMap<(String, Lane), Channel>>,
    challenges: Mutex<HashMap<String, String>>,
    /// Where each member is by now: openraft holds on to the address that it first knew, and the log
    /// cannot know a new one before a majority is reached.
    addresses: Mutex<HashMap<u64, String>>,
}

/// Whom a call is for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub address: String,
    /// 0: whoever is there.
    pub id: u64,
}

impl Peers {
    pub(crate) fn new(
        authority: Arc<Authority>,
        id: u64,
        source: Option<IpAddr>,
        tls: Option<ClientTls>,
    ) -> Self {
        Self {
            authority,
            id,
            cluster: RwLock::default(),
            source,
            tls,
            channels: Mutex::default(),
            challenges: Mutex::default(),
            addresses: Mutex::default(),
        }
    }

    pub(crate) fn cluster(&self) -> String {
        self.cluster
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_cluster(&self, cluster: &str) {
        cluster.clone_into(&mut self.cluster.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes in where the members are.
    pub(crate) fn set_addresses(&self, membership: &Membership) {
        let addresses = membership
            .nodes()
            .map(|(id, member)| (*id, member.address.clone()));
        *lock(&self.addresses) = addresses.collect();
    }

    /// Takes in where a member says that it is, until the membership says it.
    pub(crate) fn set_address(&self, id: u64, address: &str) {
        lock(&self.addresses).insert(id, address.to_owned());
    }

    /// Where the node with this Raft id is, as far as is known.
    pub(crate) fn address(&self, id: u64) -> Option<String> {
        lock(&self.addresses).get(&id).cloned()
    }

    fn channel(&self, address: &str, lane: Lane) -> Result<Channel, Status> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&(address.to_owned(), lane)) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Status::invalid_argument(format!("the address {address}: {error}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE / 2)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(8 << 20);
        let channel = self.open_lazily(&endpoint);
        channels.insert((address.to_owned(), lane), channel.clone());
        Ok(channel)
    }

    fn open_lazily(&self, endpoint: &Endpoint) -> Channel {
        #[cfg(feature = "testing")]
        if let Some(host) = crate::host::current() {
            return endpoint.connect_with_connector_lazy(tower::service_fn(move |uri: Uri| {
                let wire = host.connect(uri.authority().map_or("", |authority| authority.as_str()));
                async move { wire.await.map(TokioIo::new) }
            }));
        }
        let (source, tls) = (self.source, self.tls.clone());
        let connector = tower::service_fn(move |uri: Uri| connect(uri, source, tls.clone()));
        endpoint.connect_with_connector_lazy(connector)
    }

    /// Makes one call, and again if the peer asks for an answer to another challenge: it does not
    /// know this process yet, has restarted, or has begun a new round of challenges meanwhile.
    ///
    /// `path` is the gRPC route that `call` uses: the MAC covers it.
    pub(crate) fn call<Req, Res, Call, Fut>(
        self: &Arc<Self>,
        target: &Target,
        lane: Lane,
        path: &'static str,
        message: Req,
        call: Call,
    ) -> BoxFuture<'static, Result<Res, Status>>
    where
        Req: Clone + Send + 'static,
        Res: Send + 'static,
        Call: Fn(PeerClient<Channel>, Request<Req>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Response<Res>, Status>> + Send + 'static,
    {
        let (peers, target) = (Arc::clone(self), target.clone());
        Box::pin(async move {
            let channel = peers.channel(&target.address, lane)?;
            let client = PeerClient::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX);
            let (mut tries, mut message) = (0, message);
            loop {
                let again = message.clone();
                let mut request = Request::new(message);
                let answered = peers.sign(&target, path, &mut request);
                let result = call(client.clone(), request).await;
                tries += 1;
                match result {
                    Err(status)
                        if tries < CHALLENGES_MAX
                            && peers.learn_challenge(&target, &answered, &status) =>
                    {
                        message = again;
                    }
                    result => return result.map(Response::into_inner),
                }
            }
        })
    }

    /// Signs a call; gives the challenge that it answers.
    fn sign<T>(&self, target: &Target, path: &str, request: &mut Request<T>) -> String {
        let ends = Ends {
            from: self.id,
            to: target.id,
            cluster: self.cluster(),
        };
        let challenges = self
            .challenges
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let challenge = challenges.get(&target.address).cloned().unwrap_or_default();
        drop(challenges);
        let mut headers = http::HeaderMap::new();
        self.authority.sign(path, &ends, &challenge, &mut headers);
        kit::telemetry::inject(&mut headers);
        *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
        challenge
    }

    /// Remembers the challenge that a refusal carries; whether it is another than was answered.
    fn learn_challenge(&self, target: &Target, answered: &str, status: &Status) -> bool {
        let Some(challenge) = status.metadata().get(auth::CHALLENGE) else {
            return false;
        };
        let Ok(challenge) = challenge.to_str() else {
            return false;
        };
        let mut challenges = self
            .challenges
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        challenges.insert(target.address.clone(), challenge.to_owned());
        challenge != answered
    }
}

/// A stream as the message of a call. It can be sent once: its clone, for a second try, is empty.
pub(crate) struct Messages<T>(Option<BoxStream<'static, T>>);

impl<T> Messages<T> {
    pub(crate) fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self(Some(stream.boxed()))
    }
}

impl<T> Clone for Messages<T> {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl<T> Stream for Messages<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        match &mut self.0 {
            Some(stream) => stream.poll_next_unpin(context),
            None => Poll::Ready(None),
        }
    }
}

type Connection = TokioIo<Either<TcpStream, TlsStream<TcpStream>>>;

async fn connect(
    uri: Uri,
    source: Option<IpAddr>,
    tls: Option<ClientTls>,
) -> std::io::Result<Connection> {
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let port = uri.port_u16().unwrap_or(80);
    // Read at each connection, so that a rotated certificate is used from then on.
    let config =
        match tls {
            Some(tls) => Some(tls.config().ok_or_else(|| {
                std::io::Error::other("the certificates for peers cannot be read")
            })?),
            None => None,
        };
    let mut last = std::io::Error::other(format!("{host} has no address"));
    for address in tokio::net::lookup_host((host.as_str(), port)).await? {
        match open(address, source).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                let Some(config) = &config else {
                    return Ok(TokioIo::new(Either::Left(stream)));
                };
                let name = ServerName::try_from(host.clone()).map_err(std::io::Error::other)?;
                let stream = TlsConnector::from(Arc::clone(config))
                    .connect(name, stream)
                    .await?;
                return Ok(TokioIo::new(Either::Right(stream)));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn open(address: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(source) = source.filter(|source| source.is_ipv4() == address.is_ipv4()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(address).await
}
