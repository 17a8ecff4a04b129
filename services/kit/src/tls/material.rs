//! Files, and the configurations made from them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::parse_x509_certificate;

use super::{TlsError, provider};

/// HTTP/2 first: peers speak gRPC.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

pub(super) struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authorities: Option<PathBuf>,
}

/// Enough to see that a file is another one than before: time, length and inode.
pub(super) type Fingerprint = Vec<Option<(SystemTime, u64, u64)>>;

impl Files {
    pub fn fingerprint(&self) -> Fingerprint {
        let paths = [
            Some(&self.certificate),
            Some(&self.key),
            self.authorities.as_ref(),
        ];
        paths.into_iter().flatten().map(|path| look(path)).collect()
    }

    pub fn changed(&self, material: &Material, now: &Fingerprint) -> bool {
        material.seen != *now
    }
}

fn look(path: &Path) -> Option<(SystemTime, u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some((metadata.modified().ok()?, metadata.len(), inode))
}

#[derive(Clone)]
pub(super) struct Material {
    pub server: Arc<ServerConfig>,
    pub client: Option<Arc<ClientConfig>>,
    /// The end of the certificate's validity, in seconds since the Unix epoch.
    expiry: i64,
    /// The files as they were last looked at, used or refused.
    seen: Fingerprint,
}

impl Material {
    pub fn read(files: &Files) -> Result<Self, TlsError> {
        // Before reading: a change in between is then seen at the next look.
        let seen = files.fingerprint();
        let certificates = certificates(&files.certificate)?;
        let expiry = expiry(&files.certificate, &certificates[0])?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| pem_error(&files.key, "private key", &error))?;
        let identity = Arc::new(SingleCertAndKey::from(CertifiedKey::from_der(
            certificates,
            key,
            &provider(),
        )?));
        let roots = files.authorities.as_deref().map(authorities).transpose()?;
        let server = server(identity.clone(), roots.clone(), files)?;
        let client = roots.map(|roots| client(identity, roots)).transpose()?;
        Ok(Self {
            server: Arc::new(server),
            client: client.map(Arc::new),
            expiry,
            seen,
        })
    }

    /// The same material, remembering that files which look like `seen` have been refused.
    pub fn refusing(&self, seen: Fingerprint) -> Self {
        Self {
            seen,
            ..self.clone()
        }
    }

    /// States the end of the certificate's validity as a metric.
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 fit a double for a long time"
    )]
    pub fn state_expiry(&self, files: &Files) {
        let file = files.certificate.display().to_string();
        metrics::gauge!("tls_certificate_expiry_seconds", "file" => file).set(self.expiry as f64);
    }

    /// Reports a certificate that nobody will accept.
    pub fn warn_if_expired(&self, files: &Files) {
        if self.expiry <= crate::clock::now().as_second() {
            tracing::error!(file = %files.certificate.display(), "the certificate has expired");
        }
    }
}

fn server(
    identity: Arc<SingleCertAndKey>,
    roots: Option<Arc<RootCertStore>>,
    files: &Files,
) -> Result<ServerConfig, TlsError> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match (roots, &files.authorities) {
        (Some(roots), Some(path)) => {
            // One port serves peers and everyone else, so a certificate is asked for, and demanded
            // only by the routes of peers.
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .allow_unauthenticated()
                .build();
            let refused = |reason: rustls::server::VerifierBuilderError| TlsError::Authorities {
                path: path.clone(),
                reason: reason.to_string(),
            };
            builder.with_client_cert_verifier(verifier.map_err(refused)?)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(identity);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(config)
}

fn client(
    identity: Arc<SingleCertAndKey>,
    roots: Arc<RootCertStore>,
) -> Result<ClientConfig, TlsError> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut config = builder
        .with_root_certificates(roots)
        .with_client_cert_resolver(identity);
    config.alpn_protocols = vec![PROTOCOLS[0].to_vec()];
    Ok(config)
}

/// At least one certificate.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| pem_error(path, "certificate", &error))?;
    if certificates.is_empty() {
        return Err(TlsError::Empty {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(certificates)
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(Arc::new(roots))
}

fn expiry(path: &Path, certificate: &CertificateDer<'_>) -> Result<i64, TlsError> {
    let parsed = parse_x509_certificate(certificate);
    let (_, parsed) = parsed.map_err(|error| TlsError::Certificate {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(parsed.validity().not_after.timestamp())
}

fn pem_error(path: &Path, what: &'static str, error: &rustls_pki_types::pem::Error) -> TlsError {
    match error {
        rustls_pki_types::pem::Error::NoItemsFound => TlsError::Empty {
            path: path.to_owned(),
            what,
        },
        error => TlsError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    }
}
