//! Asks a node for its health, so that a container needs no curl.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Uri, header, uri::Scheme};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::tls::provider;

/// A summary of health is short.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What a node said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// True for 2xx.
    pub healthy: bool,
    /// The answer's body, JSON from a node of ours.
    pub body: String,
}

/// Why a node could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Not a URL with http or https and a host.
    #[error("{0:?} is not an http or https URL")]
    Url(String),
    /// Nobody listens, or not a node.
    #[error("cannot ask {url}: {reason}")]
    Ask {
        /// The URL.
        url: String,
        /// What failed.
        reason: String,
    },
    /// Too slow.
    #[error("{url} did not answer within {timeout_ms} ms")]
    Timeout {
        /// The URL.
        url: String,
        /// The time that it had.
        timeout_ms: u64,
    },
    /// An authority's file that cannot be used.
    #[error("cannot use the authority in {path}: {reason}")]
    Authority {
        /// The file.
        path: String,
        /// What was wrong.
        reason: String,
    },
    /// A certificate of another machine cannot be taken on trust.
    #[error("{0} is not this machine: give its authority with --ca")]
    Untrusted(String),
}

/// Asks `url`. Over TLS the node's certificate is verified against the authority in the file `ca`;
/// without it, any certificate is accepted from this machine's loopback and none from elsewhere:
/// a node's certificate carries its own name, not `127.0.0.1`, and no secret is sent.
///
/// # Errors
/// When there is no answer at all; an unhealthy node is an answer.
pub async fn probe(
    url: &str,
    ca: Option<&Path>,
    timeout_ms: u64,
) -> Result<HealthReport, HealthError> {
    let asked = tokio::time::timeout(Duration::from_millis(timeout_ms), ask(url, ca)).await;
    asked.unwrap_or_else(|_| {
        Err(HealthError::Timeout {
            url: url.to_owned(),
            timeout_ms,
        })
    })
}

async fn ask(url: &str, ca: Option<&Path>) -> Result<HealthReport, HealthError> {
    let uri: Uri = url.parse().map_err(|_| HealthError::Url(url.to_owned()))?;
    let host = uri.host().ok_or_else(|| HealthError::Url(url.to_owned()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |reason: String| HealthError::Ask {
        url: url.to_owned(),
        reason,
    };
    let tls = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        _ => return Err(HealthError::Url(url.to_owned())),
    };
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| failed(error.to_string()))?;
    if !tls {
        return exchange(stream, &uri).await.map_err(failed);
    }
    let is_local = stream
        .peer_addr()
        .is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let config = client_config(host, ca, is_local)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| failed(error.to_string()))?;
    exchange(stream, &uri).await.map_err(failed)
}

async fn exchange<I>(stream: I, uri: &Uri) -> Result<HealthReport, String>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(text)?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri
        .authority()
        .map_or("localhost", |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close");
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(text)?;
    let healthy = response.status().is_success();
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok(HealthReport {
        healthy,
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    })
}

fn client_config(
    host: &str,
    ca: Option<&Path>,
    is_local: bool,
) -> Result<Arc<ClientConfig>, HealthError> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.expect("ring supports the default versions of TLS");
    let config = match ca {
        Some(path) => builder
            .with_root_certificates(roots(path)?)
            .with_no_client_auth(),
        None if is_local => {
            let anyone = Arc::new(Anyone(provider()));
            builder
                .dangerous()
                .with_custom_certificate_verifier(anyone)
                .with_no_client_auth()
        }
        None => return Err(HealthError::Untrusted(host.to_owned())),
    };
    Ok(Arc::new(config))
}

fn roots(path: &Path) -> Result<RootCertStore, HealthError> {
    let refused = |reason: String| HealthError::Authority {
        path: path.display().to_string(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(path).map_err(|error| refused(error.to_string()))?
    {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refused(error.to_string()))?;
    }
    Ok(roots)
}

/// Accepts whoever holds the key of the certificate that they present, under any name.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
