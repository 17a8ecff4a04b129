//! TLS: one port with and without, peers told from clients, certificates replaced under traffic.

use std::{path::Path, sync::Arc, time::Duration};

use kit::tls::{PeerIdentity, Tls, TlsError, TlsSettings};
use rustls_pki_types::CertificateDer;

use super::{
    certificates::{Authority, write},
    client::{get, plain, send, send_http2, tls, trusting},
    server::{Server, limits, start_with},
};

fn load(settings: &TlsSettings) -> Tls {
    Tls::load(settings).expect("certificates").expect("present")
}

async fn serve(tls: &Tls) -> Server {
    let patient = kit::serve::Limits {
        header_read_timeout_ms: 60_000,
        ..limits()
    };
    start_with(patient, Some(tls.server()), Duration::ZERO).await
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn one_port_speaks_tls_and_plain_http_1_and_http_2() {
    let (authority, folder) = (Authority::new(), folder());
    let server = serve(&load(&authority.install(folder.path(), "node-1"))).await;
    let config = trusting(authority.der());
    let in_the_clear = send(plain(server.address).await, get("/whoami"))
        .await
        .expect("an answer");
    assert!(in_the_clear.text().contains("tls: false"));
    let stream = tls(server.address, config.clone(), "node-1")
        .await
        .expect("a handshake");
    let over_tls = send(stream, get("/whoami")).await.expect("an answer");
    assert!(
        over_tls
            .text()
            .contains("tls: true, peer_certificate: None"),
        "{}",
        over_tls.text()
    );
    let mut config = (*config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tls(server.address, Arc::new(config), "node-1")
        .await
        .expect("a handshake");
    let http2 = send_http2(stream, get("/whoami")).await.expect("an answer");
    assert!(http2.text().contains("tls: true"));
}

#[tokio::test]
async fn a_peer_is_known_by_its_certificate_and_others_are_refused_where_one_is_needed() {
    let (authority, ours, theirs) = (Authority::new(), folder(), folder());
    let server = serve(&load(&authority.install(ours.path(), "node-1"))).await;
    let peer = load(&authority.install(theirs.path(), "node-2"));
    let config = peer
        .client()
        .expect("an authority")
        .config()
        .expect("a configuration");
    let stream = tls(server.address, config, "node-1")
        .await
        .expect("a handshake");
    let answer = send_http2(stream, get("/peers-only"))
        .await
        .expect("an answer");
    assert_eq!(answer.text(), "node-2,localhost");
    let stream = tls(server.address, trusting(authority.der()), "node-1")
        .await
        .expect("a handshake");
    let without = send(stream, get("/peers-only")).await.expect("an answer");
    assert_eq!(without.problem()["status"], 403);
}

#[tokio::test]
async fn a_certificate_of_a_foreign_authority_ends_the_handshake_on_either_side() {
    let (authority, foreign, ours, theirs) =
        (Authority::new(), Authority::new(), folder(), folder());
    let server = serve(&load(&authority.install(ours.path(), "node-1"))).await;
    // A stranger that trusts us, but whom we do not trust.
    let mut settings = foreign.install(theirs.path(), "node-2");
    settings.client_ca_file = Some(write(theirs.path(), "ca.pem", &authority.pem));
    let config = load(&settings)
        .client()
        .expect("an authority")
        .config()
        .expect("a configuration");
    let refused = match tls(server.address, config, "node-1").await {
        // With TLS 1.3 the client learns of the refusal with its first read.
        Ok(stream) => send_http2(stream, get("/whoami")).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    // We do not trust a server of another authority, nor one of another name.
    assert!(
        tls(server.address, trusting(foreign.der()), "node-1")
            .await
            .is_err()
    );
    assert!(
        tls(server.address, trusting(authority.der()), "node-3")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn where_tls_is_required_a_request_in_the_clear_is_refused() {
    let (authority, folder) = (Authority::new(), folder());
    let settings = TlsSettings {
        required: true,
        ..authority.install(folder.path(), "node-1")
    };
    let server = serve(&load(&settings)).await;
    let refused = send(plain(server.address).await, get("/whoami"))
        .await
        .expect("an answer");
    assert_eq!(refused.problem()["status"], 426);
    let stream = tls(server.address, trusting(authority.der()), "node-1")
        .await
        .expect("a handshake");
    assert_eq!(
        send(stream, get("/livez")).await.expect("an answer").status,
        200
    );
}

/// The fingerprint of the certificate that the server presents now.
async fn presented(server: &Server, authority: &Authority) -> String {
    let stream = tls(server.address, trusting(authority.der()), "node-1")
        .await
        .expect("a handshake");
    let certificate: &CertificateDer<'_> =
        &stream.get_ref().1.peer_certificates().expect("presented")[0];
    PeerIdentity::from_certificate(certificate)
        .expect("valid")
        .fingerprint
}

fn install(authority: &Authority, folder: &Path) {
    authority.install(folder, "node-1");
}

#[tokio::test]
async fn certificates_are_replaced_under_live_traffic() {
    let (authority, folder) = (Authority::new(), folder());
    let own = load(&authority.install(folder.path(), "node-1"));
    let server = serve(&own).await;
    own.watch(Duration::from_millis(10), server.shutdown.clone());
    let before = presented(&server, &authority).await;
    let (address, config) = (server.address, trusting(authority.der()));
    let traffic = tokio::spawn(async move {
        for _ in 0..200 {
            let stream = tls(address, config.clone(), "node-1")
                .await
                .expect("every handshake succeeds");
            assert_eq!(
                send(stream, get("/livez")).await.expect("an answer").status,
                200
            );
        }
    });
    // A connection from before the change goes on.
    let old = tls(server.address, trusting(authority.der()), "node-1")
        .await
        .expect("a handshake");
    install(&authority, folder.path());
    while presented(&server, &authority).await == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        send(old, get("/livez")).await.expect("an answer").status,
        200
    );
    traffic.await.expect("no request failed");
}

#[tokio::test]
async fn a_broken_pair_never_takes_the_place_of_a_good_one() {
    let (authority, folder) = (Authority::new(), folder());
    let own = load(&authority.install(folder.path(), "node-1"));
    let server = serve(&own).await;
    let before = presented(&server, &authority).await;
    assert!(!own.reload().expect("nothing has changed"));
    // The certificate of a new pair without its key, as between two copies.
    let (certificate, key) = authority.sign("node-1");
    write(folder.path(), "node.pem", &certificate);
    assert!(matches!(own.reload(), Err(TlsError::Mismatch(_))));
    assert!(!own.reload().expect("told once, not again"));
    write(folder.path(), "node.key", "not a key");
    assert!(matches!(
        own.reload(),
        Err(TlsError::Empty {
            what: "private key",
            ..
        })
    ));
    std::fs::remove_file(folder.path().join("node.key")).expect("removed");
    assert!(own.reload().is_err());
    assert_eq!(presented(&server, &authority).await, before);
    write(folder.path(), "node.key", &key);
    assert!(own.reload().expect("the pair is whole"));
    assert_ne!(presented(&server, &authority).await, before);
}

#[tokio::test]
async fn the_expiry_is_a_metric() {
    let (authority, folder) = (Authority::new(), folder());
    let settings = authority.install(folder.path(), "node-1");
    let own = load(&settings);
    let server = serve(&own).await;
    // Loaded before metrics were installed, perhaps: the next look states it.
    own.reload().expect("nothing has changed");
    let answer = send(plain(server.address).await, get("/metrics"))
        .await
        .expect("an answer");
    let file = settings
        .certificate_file
        .expect("a file")
        .display()
        .to_string();
    let line = format!("tls_certificate_expiry_seconds{{file=\"{file}\"}} ");
    let value = answer
        .text()
        .lines()
        .find_map(|text| text.strip_prefix(&line))
        .expect("the metric");
    assert!(value.parse::<f64>().expect("a number") > 1e9);
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (authority, folder) = (Authority::new(), folder());
    let tls = load(&authority.install(folder.path(), "node-1")).server();
    let server = start_with(limits(), Some(tls), Duration::ZERO).await;
    let mut stream = plain(server.address).await;
    stream
        .write_all(b"\x16\x03\x01\x02\x00")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
}

#[test]
fn half_a_pair_is_refused() {
    let settings = TlsSettings {
        certificate_file: Some("node.pem".into()),
        ..TlsSettings::default()
    };
    let error = Tls::load(&settings).err().expect("no key").to_string();
    assert_eq!(
        error,
        "tls.key_file: is missing, but certificate_file is set"
    );
}
