//! One connection, from its first byte to its end.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::FromRequestParts, response::IntoResponse};
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{
    AddressRange, Limits,
    activity::{Activity, Counted, Watched},
    guarded::Guarded,
};
use crate::{
    problem::Problem,
    shutdown::Shutdown,
    tls::{PeerIdentity, ServerTls},
};

/// The first byte of a TLS handshake record (RFC 8446, section 5.1). No HTTP method begins so.
const TLS_HANDSHAKE: u8 = 0x16;

/// HTTP/2 pings, so that a client that has vanished is noticed while a stream stays quiet.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// All headers of a request together; hyper's buffer for HTTP/1.1, a setting of HTTP/2.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// How long an idle connection has to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where a request came from; an extension of every request, and an extractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The address of the other end: the client, or a proxy.
    pub remote: SocketAddr,
    /// True over TLS.
    pub tls: bool,
    /// The verified certificate of a peer, if one was presented.
    pub peer_certificate: Option<PeerIdentity>,
}

impl Connection {
    /// The address of the client itself: that of the other end, unless that is one of these proxies,
    /// which say last in `X-Forwarded-For` whom they speak for. What a client writes there itself
    /// stands before, and is not believed.
    #[must_use]
    pub fn client(&self, headers: &http::HeaderMap, proxies: &[AddressRange]) -> IpAddr {
        let remote = self.remote.ip().to_canonical();
        if !proxies.iter().any(|proxy| proxy.contains(remote)) {
            return remote;
        }
        let mut named = headers.get_all("x-forwarded-for").iter().rev();
        let last = named.next().and_then(|value| value.to_str().ok());
        last.and_then(|list| list.rsplit(',').next()?.trim().parse().ok())
            .unwrap_or(remote)
    }

    /// The peer's identity, for routes that only peers may call.
    ///
    /// # Errors
    /// 403 without a verified certificate.
    pub fn peer(&self) -> Result<&PeerIdentity, Problem> {
        let problem = || {
            Problem::new(StatusCode::FORBIDDEN)
                .with_detail("this route demands a peer's certificate")
        };
        self.peer_certificate.as_ref().ok_or_else(problem)
    }
}

impl<S: Sync> FromRequestParts<S> for Connection {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let connection = parts.extensions.get::<Self>().cloned();
        connection.ok_or_else(|| Problem::internal("the request did not come through kit::serve"))
    }
}

/// What all connections of a listener share.
pub(super) struct Acceptor {
    router: Router,
    tls: Option<ServerTls>,
    limits: Limits,
    shutdown: Shutdown,
    http: Builder<TokioExecutor>,
}

impl Acceptor {
    pub fn new(router: Router, tls: Option<ServerTls>, limits: Limits, shutdown: Shutdown) -> Self {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            // hyper's timer would also cut a connection that is kept for the next request, which
            // has a time of its own; `Activity` tells the two apart.
            .header_read_timeout(None)
            .max_buf_size(HEADER_BYTES_MAX);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(limits.http2_streams_max)
            .max_header_list_size(HEADER_BYTES_MAX as u32);
        Self {
            router,
            tls,
            limits,
            shutdown,
            http,
        }
    }

    pub async fn handle(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let _ = stream.set_nodelay(true);
        let patience = self.limits.header_read_timeout();
        let mut first = [0];
        let is_tls = tokio::select! {
            () = self.shutdown.requested() => return,
            peeked = timeout(patience, stream.peek(&mut first)) => match peeked {
                Ok(Ok(1)) => first[0] == TLS_HANDSHAKE,
                Ok(_) => return,
                Err(_) => return cut("silent"),
            },
        };
        let stream = Guarded::new(stream, permit, self.limits.write_stall_timeout());
        match (&self.tls, is_tls) {
            (Some(tls), true) => self.https(tls, stream, remote).await,
            (None, true) => tracing::debug!(%remote, "TLS on a port without certificates"),
            (_, false) => {
                let connection = Connection {
                    remote,
                    tls: false,
                    peer_certificate: None,
                };
                self.http(stream, connection).await;
            }
        }
    }

    async fn https(&self, tls: &ServerTls, stream: Guarded, remote: SocketAddr) {
        let handshake = TlsAcceptor::from(tls.config()).accept(stream);
        match timeout(self.limits.header_read_timeout(), handshake).await {
            Ok(Ok(stream)) => {
                let presented = stream
                    .get_ref()
                    .1
                    .peer_certificates()
                    .and_then(<[_]>::first);
                let peer_certificate = presented.and_then(PeerIdentity::from_certificate);
                let connection = Connection {
                    remote,
                    tls: true,
                    peer_certificate,
                };
                self.http(stream, connection).await;
            }
            Ok(Err(error)) => {
                metrics::counter!("tls_handshake_failures_total").increment(1);
                tracing::debug!(%remote, %error, "the TLS handshake failed");
            }
            Err(_) => cut("handshake"),
        }
    }

    async fn http<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: I,
        connection: Connection,
    ) {
        let activity = Arc::new(Activity::new(self.limits));
        let refuse = !connection.tls && self.tls.as_ref().is_some_and(ServerTls::is_required);
        let service = hyper::service::service_fn(|request: Request<Incoming>| {
            let in_flight = activity.begin();
            let (router, connection) = (self.router.clone(), connection.clone());
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(connection);
                let response = if refuse {
                    Ok(upgrade_required())
                } else {
                    router.oneshot(request).await
                };
                response.map(|response| response.map(|body| Counted::new(body, in_flight)))
            }
        });
        let mut served = pin!(self.http.serve_connection_with_upgrades(
            TokioIo::new(Watched::new(stream, activity.clone())),
            service
        ));
        let mut end = pin!(End::Open.wait(&activity));
        let mut draining = false;
        loop {
            tokio::select! {
                result = served.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(remote = %connection.remote, error, "the connection broke off");
                    }
                    return;
                }
                () = self.shutdown.requested(), if !draining => {
                    draining = true;
                    served.as_mut().graceful_shutdown();
                }
                next = end.as_mut() => match next {
                    End::Cut => return,
                    next => {
                        served.as_mut().graceful_shutdown();
                        end.set(next.wait(&activity));
                    }
                }
            }
        }
    }
}

/// How a connection without requests comes to its end: asked to close, then cut.
enum End {
    Open,
    Asked,
    Cut,
}

impl End {
    async fn wait(self, activity: &Activity) -> Self {
        match self {
            Self::Open => {
                activity.idle().await;
                cut("idle");
                Self::Asked
            }
            Self::Asked | Self::Cut => {
                tokio::time::sleep(GOODBYE).await;
                activity.nothing_in_flight().await;
                Self::Cut
            }
        }
    }
}

fn cut(reason: &'static str) {
    metrics::counter!("server_connections_cut_total", "reason" => reason).increment(1);
}

fn upgrade_required() -> Response<Body> {
    let problem =
        Problem::new(StatusCode::UPGRADE_REQUIRED).with_detail("this port speaks TLS only");
    let upgrade = HeaderValue::from_static("TLS/1.3, HTTP/1.1");
    problem
        .with_header(header::UPGRADE, upgrade)
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_of_ours_says_whom_it_speaks_for() {
        let connection = |remote: &str| Connection {
            remote: SocketAddr::new(remote.parse().expect("an address"), 1),
            tls: false,
            peer_certificate: None,
        };
        let proxies = ["10.0.0.1/32".parse().expect("an address")];
        let mut headers = http::HeaderMap::new();
        let forwarded = "203.0.113.9, 198.51.100.7";
        headers.insert("x-forwarded-for", HeaderValue::from_static(forwarded));
        for (remote, client) in [
            ("10.0.0.1", "198.51.100.7"),
            ("::ffff:10.0.0.1", "198.51.100.7"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            let found = connection(remote).client(&headers, &proxies);
            assert_eq!(found.to_string(), client);
        }
        headers.insert("x-forwarded-for", HeaderValue::from_static("unknown"));
        let found = connection("10.0.0.1").client(&headers, &proxies);
        assert_eq!(found.to_string(), "10.0.0.1");
    }
}
