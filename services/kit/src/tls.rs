//! TLS with certificates that are replaced while the service runs.
//!
//! [`Tls`] holds one certificate, used to serve and, between nodes, to present oneself as a client.
//! The files are looked at again and again ([`Tls::watch`]); a new set that parses and fits
//! together takes the place of the old one in one step and serves the next handshake. A set that
//! does not is reported, counted, and ignored. All cryptography is ring's.

mod identity;
mod material;

pub use identity::PeerIdentity;

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, ServerConfig, crypto::CryptoProvider};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::{settings::Invalid, shutdown::Shutdown};
use material::{Files, Material};

/// How often the files are looked at when the service does not say otherwise.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Certificates, and whether connections without TLS are served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with this node's certificate, followed by the intermediate ones. Its DNS names
    /// are how other nodes know this node.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the private key of that certificate.
    pub key_file: Option<PathBuf>,
    /// PEM file with the authorities that sign the certificates of peers. With it, peers are
    /// demanded to present a certificate; other clients need none.
    pub client_ca_file: Option<PathBuf>,
    /// Refuses every connection in the clear, not only those of peers.
    pub required: bool,
}

impl TlsSettings {
    /// What is inconsistent, for [`crate::settings::Settings::validate`]; `section` is the key of
    /// these settings, such as `tls`.
    #[must_use]
    pub fn problems(&self, section: &str) -> Vec<Invalid> {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, reason: &str| {
            problems.push(Invalid::new(format!("{section}.{key}"), reason));
        };
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => refuse("key_file", "is missing, but certificate_file is set"),
            (None, Some(_)) => refuse("certificate_file", "is missing, but key_file is set"),
            (None, None) if self.required => refuse(
                "required",
                "is true, but certificate_file and key_file are missing",
            ),
            (None, None) if self.client_ca_file.is_some() => {
                refuse(
                    "client_ca_file",
                    "has no effect without certificate_file and key_file",
                );
            }
            _ => {}
        }
        problems
    }
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or that is not PEM.
    #[error("cannot read {path} as PEM: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A file without what it is for.
    #[error("{path} contains no {what}")]
    Empty {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// A key of another certificate, an unsupported key, an authority that is no certificate.
    #[error("the certificate, key and authorities do not fit together: {0}")]
    Mismatch(#[from] rustls::Error),
    /// Authorities that cannot verify clients.
    #[error("the authorities in {path} cannot be used: {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A certificate that rustls takes but X.509 parsing does not.
    #[error("{path} is not a valid certificate: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// Settings with one file of two.
    #[error("{0}")]
    Settings(Invalid),
}

/// This node's certificate and the authorities of its peers, replaced when the files change.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    current: Arc<ArcSwap<Material>>,
    required: bool,
}

impl Tls {
    /// Reads the files; `None` when the settings name none.
    ///
    /// # Errors
    /// Files that cannot be read or that do not fit together.
    pub fn load(settings: &TlsSettings) -> Result<Option<Self>, TlsError> {
        if let Some(problem) = settings.problems("tls").into_iter().next() {
            return Err(TlsError::Settings(problem));
        }
        let (Some(certificate), Some(key)) = (&settings.certificate_file, &settings.key_file)
        else {
            return Ok(None);
        };
        let files = Files {
            certificate: certificate.clone(),
            key: key.clone(),
            authorities: settings.client_ca_file.clone(),
        };
        let material = Material::read(&files)?;
        material.warn_if_expired(&files);
        material.state_expiry(&files);
        let current = Arc::new(ArcSwap::from_pointee(material));
        Ok(Some(Self {
            files: Arc::new(files),
            current,
            required: settings.required,
        }))
    }

    /// The view of a listener.
    #[must_use]
    pub fn server(&self) -> ServerTls {
        ServerTls {
            current: self.current.clone(),
            required: self.required,
        }
    }

    /// The view of a client that calls peers; `None` without `client_ca_file`.
    #[must_use]
    pub fn client(&self) -> Option<ClientTls> {
        self.files.authorities.is_some().then(|| ClientTls {
            current: self.current.clone(),
        })
    }

    /// Looks at the files once; true when new certificates are in force now.
    ///
    /// # Errors
    /// The files have changed into something that cannot be used; the old ones stay in force, and
    /// the error comes once, not at every look.
    pub fn reload(&self) -> Result<bool, TlsError> {
        // At every look: what is stated before metrics are installed is lost.
        self.current.load().state_expiry(&self.files);
        let now = self.files.fingerprint();
        if !self.files.changed(&self.current.load(), &now) {
            return Ok(false);
        }
        let read = Material::read(&self.files);
        let result = if read.is_ok() { "ok" } else { "failed" };
        metrics::counter!("tls_reloads_total", "result" => result).increment(1);
        match read {
            Ok(material) => {
                material.warn_if_expired(&self.files);
                material.state_expiry(&self.files);
                self.current.store(Arc::new(material));
                Ok(true)
            }
            Err(error) => {
                self.current.rcu(|old| old.refusing(now.clone()));
                Err(error)
            }
        }
    }

    /// Reloads every `interval` until the shutdown.
    pub fn watch(&self, interval: Duration, shutdown: Shutdown) -> JoinHandle<()> {
        let tls = self.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            loop {
                tokio::select! {
                    () = shutdown.requested() => return,
                    _ = ticks.tick() => {}
                }
                let looking = tls.clone();
                match tokio::task::spawn_blocking(move || looking.reload()).await {
                    Ok(Ok(true)) => tracing::info!("new certificates are in force"),
                    Ok(Ok(false)) => {}
                    Ok(Err(error)) => {
                        tracing::error!(%error, "the new certificates are refused");
                    }
                    Err(error) => tracing::error!(%error, "looking at the certificates failed"),
                }
            }
        })
    }
}

/// What a listener needs; see [`Tls::server`].
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<ArcSwap<Material>>,
    required: bool,
}

impl ServerTls {
    /// The configuration for the next handshake. Clients may present a certificate; one that the
    /// authorities did not sign ends the handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load().server.clone()
    }

    /// True when connections in the clear are refused.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.required
    }
}

/// What a client of peers needs; see [`Tls::client`].
#[derive(Clone)]
pub struct ClientTls {
    current: Arc<ArcSwap<Material>>,
}

impl ClientTls {
    /// The configuration for the next handshake: presents this node's certificate and verifies the
    /// peer's against the authorities, under the server name that the caller expects.
    #[must_use]
    pub fn config(&self) -> Option<Arc<ClientConfig>> {
        self.current.load().client.clone()
    }
}

/// ring, as the provider of every configuration here.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Makes ring the provider of libraries that ask the process for one. Safe to call again.
pub fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
