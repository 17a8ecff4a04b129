//! One listener for HTTP/1.1, HTTP/2 and gRPC, in the clear and over TLS.
//!
//! The first byte of a connection tells TLS from plain, and the first bytes after it HTTP/2 from
//! HTTP/1.1, so that an API, its peers and a health check share one port. [`serve`] cuts what can
//! be judged without knowing the request: too many connections, a client that sends its request
//! too slowly, does not read its answer, or stays idle. What depends on the route — how long a
//! request may take, how large its body may be — is [`Limits::layer`], which the caller puts on
//! ordinary routes and leaves off streams and WebSockets.

mod activity;
mod connection;
mod drained;
mod guarded;
mod layer;
mod limits;
mod range;

pub use connection::Connection;
pub use limits::Limits;
pub use range::AddressRange;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tonic::server::NamedService;
use tower::Service;

use crate::{shutdown::Shutdown, tls::ServerTls};
use connection::Acceptor;

/// How long to wait after `accept` failed, which it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The answer beyond `connections_max`. It fits into the socket's buffer, so that writing it
/// cannot be held up by the client.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\ncontent-length: 108\r\n\
    retry-after: 1\r\nconnection: close\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":\"too many connections; try again\"}";

/// Why serving ended other than by a shutdown.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is not usable.
    #[error("the listener cannot be used: {0}")]
    Listener(#[from] io::Error),
}

/// Serves `router` until the shutdown, then lets the requests under way finish until the
/// shutdown's deadline and closes what is left. From the request on no connection is accepted.
///
/// A handler that panics answers with a 500 problem. Every request carries an
/// `Extension<`[`Connection`]`>`.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<ServerTls>,
    limits: Limits,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = tls.is_some(), "listening");
    let permits = Arc::new(Semaphore::new(limits.connections_max as usize));
    let acceptor = Arc::new(Acceptor::new(
        layer::catch_panics(router),
        tls,
        limits,
        shutdown.clone(),
    ));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) => if let Some(permit) = admit(&permits, &stream) {
                    let acceptor = acceptor.clone();
                    connections.spawn(async move { acceptor.handle(stream, remote, permit).await });
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    metrics::counter!("server_accept_errors_total").increment(1);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drain(&permits, limits.connections_max, &shutdown).await;
    connections.shutdown().await;
    Ok(())
}

/// A place for one more connection, or a quick refusal.
fn admit(permits: &Arc<Semaphore>, stream: &TcpStream) -> Option<OwnedSemaphorePermit> {
    let permit = permits.clone().try_acquire_owned().ok();
    if permit.is_none() {
        metrics::counter!("server_connections_refused_total").increment(1);
        let _ = stream.try_write(BUSY);
    }
    permit
}

/// Waits until every connection has gone, WebSockets included: each holds its permit in the
/// stream itself.
async fn drain(permits: &Semaphore, connections_max: u32, shutdown: &Shutdown) {
    tokio::select! {
        _ = permits.acquire_many(connections_max) => tracing::info!("all connections have ended"),
        () = shutdown.deadline_passed() => {
            let left = connections_max as usize - permits.available_permits();
            tracing::warn!(connections = left, "the grace is over: cutting the connections that are left");
        }
    }
}

/// Adds a gRPC service to a router, at the paths that its name gives.
pub fn with_grpc<S, B>(router: Router, service: S) -> Router
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let path = format!("/{}/{{*method}}", S::NAME);
    router.route_service(&path, service)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_refusal_states_its_own_length() {
        let text = std::str::from_utf8(super::BUSY).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{} bytes",
            body.len()
        );
        serde_json::from_str::<serde_json::Value>(body).expect("JSON");
    }
}
