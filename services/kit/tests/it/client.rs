//! A client that does what a test says and nothing more.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The problem document, after checking that it is one and says the response's status.
    pub fn problem(&self) -> Value {
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        problem
    }
}

pub fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
}

pub fn get(path: &str) -> Request<Full<Bytes>> {
    request("GET", path)
        .body(Full::default())
        .expect("a request")
}

/// Sends one request over HTTP/1.1.
pub async fn send<I>(stream: I, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = read(sender.send_request(request).await?).await;
    drop(sender);
    let _ = driver.await;
    answer
}

/// Sends one request over HTTP/2 with prior knowledge.
pub async fn send_http2<I>(stream: I, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await?;
    tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().expect("a path").clone();
    parts.uri = format!("http://localhost{path}").parse().expect("a URI");
    read(
        sender
            .send_request(Request::from_parts(parts, body))
            .await?,
    )
    .await
}

/// A connection that is kept for several requests.
pub enum Asking {
    Http1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    Http2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Asking {
    pub async fn http1(stream: TcpStream) -> Self {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.expect("a handshake");
        tokio::spawn(connection);
        Self::Http1(sender)
    }

    /// Pings all the time, as clients do that want to know whether the server is still there.
    pub async fn http2(stream: TcpStream) -> Self {
        let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_millis(20))
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.expect("a handshake");
        tokio::spawn(connection);
        Self::Http2(sender)
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let request =
            Request::get(format!("http://localhost{path}")).header(header::HOST, "localhost");
        let request = request.body(Full::default()).expect("a request");
        let response = match self {
            Self::Http1(sender) => {
                sender.ready().await.expect("open");
                sender.send_request(request).await
            }
            Self::Http2(sender) => sender.send_request(request).await,
        };
        read(response.expect("an answer")).await.expect("whole")
    }
}

async fn read(response: http::Response<hyper::body::Incoming>) -> Result<Answer, hyper::Error> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

pub async fn plain(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("connected")
}

/// A TLS configuration that trusts `authority` and presents nothing.
pub fn trusting(authority: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority).expect("an authority");
    let builder = ClientConfig::builder_with_provider(kit::tls::provider());
    let builder = builder
        .with_safe_default_protocol_versions()
        .expect("versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

pub async fn tls(
    address: SocketAddr,
    config: Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(config)
        .connect(name, plain(address).await)
        .await
}

pub fn body(text: impl Into<Bytes>) -> Full<Bytes> {
    Full::new(text.into())
}
