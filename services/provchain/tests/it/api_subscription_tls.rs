//! Subscriptions whose receivers speak TLS, as all do outside of tests.

use std::path::Path;

use kit::tls::{Tls, TlsSettings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;

use super::subscriber::{event, id, ids, ledger_with, party};
use super::webhook::Receiver;

/// An authority that signs the certificates of receivers on this machine.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            pem: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// What a receiver under this name serves with.
    fn sign(&self, name: &str, folder: &Path) -> Tls {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let settings = TlsSettings {
            certificate_file: Some(folder.join(format!("{name}.pem"))),
            key_file: Some(folder.join(format!("{name}.key"))),
            ..TlsSettings::default()
        };
        let write = |path: &Option<std::path::PathBuf>, text: String| {
            std::fs::write(path.as_ref().unwrap(), text).unwrap();
        };
        write(&settings.certificate_file, certificate.pem());
        write(&settings.key_file, key.serialize_pem());
        Tls::load(&settings).unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_receivers_certificate_must_be_its_own_and_signed_by_a_known_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (known, stranger) = (Authority::new(), Authority::new());
    let authorities = folder.path().join("authorities.pem");
    std::fs::write(&authorities, &known.pem).unwrap();
    let file = authorities.to_str().unwrap();
    let ledger = ledger_with(
        1,
        &[
            ("PROVCHAIN_SUBSCRIPTION_AUTHORITIES_FILE", file),
            ("PROVCHAIN_SUBSCRIPTION_PLAIN_HTTP", "false"),
        ],
    )
    .await;
    let good = Receiver::over_tls(&known.sign("localhost", folder.path())).await;
    let misnamed = Receiver::over_tls(&known.sign("elsewhere.example", folder.path())).await;
    let strange = Receiver::over_tls(&stranger.sign("localhost", folder.path())).await;
    let farm = party(&ledger, "farm", "farmer");
    farm.define("all", json!({})).await;
    let asked = |receiver: &Receiver| {
        let port = receiver.address.port();
        json!({ "dest": format!("https://localhost:{port}/callback"), "stream": true })
    };
    farm.subscribe("all", asked(&good)).await;
    let misnamed_path = farm.subscribe("all", asked(&misnamed)).await;
    let strange_path = farm.subscribe("all", asked(&strange)).await;
    farm.capture(&[event(1, "shipping")], "private").await;
    assert_eq!(good.until_id(&id(1)).await, ids([1]));
    for path in [misnamed_path, strange_path] {
        let shown = farm
            .shown(&path, |shown| shown["failures"].as_u64() > Some(0))
            .await;
        let told = shown["lastError"].as_str().expect("a reason");
        assert!(told.contains("certificate"), "{told}");
    }
    assert_eq!((misnamed.calls(), strange.calls()), (0, 0));
    // In the clear nothing goes out here.
    let plain = json!({ "dest": good.url(), "stream": true });
    farm.post("/queries/all/subscriptions", plain)
        .await
        .problem(400);
}
