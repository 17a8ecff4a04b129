//! Who a peer is, from its verified certificate.

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::{extensions::GeneralName, parse_x509_certificate, prelude::X509Certificate};

/// The names in a certificate that the authorities of peers have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// DNS names, or the common name of a certificate that has none.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, in hex.
    pub fingerprint: String,
}

impl PeerIdentity {
    /// Reads a certificate; `None` when it cannot be parsed.
    #[must_use]
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        let names = match dns_names(&parsed) {
            names if !names.is_empty() => names,
            _ => common_name(&parsed).into_iter().collect(),
        };
        Some(Self {
            names,
            fingerprint: hex::encode(Sha256::digest(certificate)),
        })
    }

    /// True when the certificate carries this name. DNS names have no case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    let dns = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    dns.collect()
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}
