//! Certificates for tests, written as the files that a service reads.

use std::path::{Path, PathBuf};

use kit::tls::TlsSettings;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::CertificateDer;

/// An authority that signs certificates of nodes.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `name` and its key, as PEM.
    pub fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned(), "localhost".to_owned()])
            .expect("DNS names");
        (
            params.signed_by(&key, &self.issuer).expect("signed").pem(),
            key.serialize_pem(),
        )
    }

    /// Writes a certificate for `name` into `folder`, over the one that is there.
    pub fn install(&self, folder: &Path, name: &str) -> TlsSettings {
        let (certificate, key) = self.sign(name);
        TlsSettings {
            certificate_file: Some(write(folder, "node.pem", &certificate)),
            key_file: Some(write(folder, "node.key", &key)),
            client_ca_file: Some(write(folder, "ca.pem", &self.pem)),
            required: false,
        }
    }

    pub fn der(&self) -> CertificateDer<'static> {
        use rustls_pki_types::pem::PemObject as _;
        CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM")
    }
}

pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    kit::fsync::replace(&path, text.as_bytes()).expect("written");
    path
}
