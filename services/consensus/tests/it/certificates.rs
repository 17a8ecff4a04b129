//! Mutual TLS between nodes: who may speak, and certificates that are replaced under load.

use std::path::Path;
use std::sync::Arc;

use consensus::testing::wire;
use kit::tls::{Tls, TlsSettings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::Code;

use crate::caller::{Caller, over_tls};
use crate::harness::{Field, Node};
use crate::rolling::Writer;

/// An authority that signs certificates of nodes.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// Writes a new certificate for a node, and its key, over those in `folder`.
    fn certify(&self, folder: &Path) {
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "node".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        put(folder, "node.pem", &certificate);
        put(folder, "node.key", &key.serialize_pem());
    }
}

fn put(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    kit::fsync::replace(&folder.join(name), text.as_bytes()).unwrap();
}

/// Writes whom the node of `folder` trusts.
fn trust(folder: &Path, authorities: &[&Authority]) {
    let pem = authorities.iter().map(|authority| authority.pem.as_str());
    put(folder, "ca.pem", &pem.collect::<String>());
}

fn load(folder: &Path) -> Tls {
    let settings = TlsSettings {
        certificate_file: Some(folder.join("node.pem")),
        key_file: Some(folder.join("node.key")),
        client_ca_file: Some(folder.join("ca.pem")),
        required: false,
    };
    Tls::load(&settings).unwrap().unwrap()
}

/// What somebody shows and trusts who has a certificate of the one, and trusts the other.
fn papers(folder: &Path, of: &Authority, trusts: &Authority) -> Arc<ClientConfig> {
    of.certify(folder);
    trust(folder, &[trusts]);
    load(folder).client().unwrap().config().unwrap()
}

/// Who trusts `authority` and has nothing to show.
fn anonymous(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
    roots.add(trusted).unwrap();
    let builder = ClientConfig::builder_with_provider(kit::tls::provider());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A field of three that speak TLS to each other, by wires.
struct Guarded {
    field: Field,
}

impl Guarded {
    fn certified_by(authority: &Authority) -> Self {
        let mut field = Field::laid(3);
        for node in &mut field.nodes {
            let folder = folder(node);
            authority.certify(&folder);
            trust(&folder, &[authority]);
            node.tls = Some(load(&folder));
        }
        field.start_all();
        Self { field }
    }

    /// Changes the files of each node, one after the other, as their watch would find them. What is
    /// connected stays so; the `writer` gets on before the next.
    fn rotate(&self, change: impl Fn(&Path), writer: &Writer) {
        for node in &self.field.nodes {
            change(&folder(node));
            assert!(node.tls.as_ref().unwrap().reload().unwrap());
            // From here on all speak over new connections, some with new files and some with old.
            self.field.wires().tear();
            writer.step("writes with new files on some nodes");
        }
        for node in &self.field.nodes {
            let shown = shown_by(node);
            let written = CertificateDer::from_pem_file(folder(node).join("node.pem")).unwrap();
            assert_eq!(shown, written, "{} shows the new one", node.config.name);
        }
    }
}

/// Where a node has its certificates.
fn folder(node: &Node) -> std::path::PathBuf {
    node.config.data_dir.with_extension("tls")
}

/// The certificate that a node shows to whoever connects now.
fn shown_by(node: &Node) -> CertificateDer<'static> {
    let config = node.tls.as_ref().unwrap().client().unwrap().config();
    let address = node.config.address.clone();
    node.block_on(async move {
        let stream = over_tls(address, config.unwrap()).await.unwrap();
        let (_, connection) = stream.inner().get_ref();
        connection.peer_certificates().unwrap()[0].clone()
    })
}

/// How a node answers a call that is in order, by somebody with these papers.
fn answer(node: &Node, tls: Option<Arc<ClientConfig>>) -> Code {
    let mut caller = Caller::member(7, node);
    caller.tls = tls;
    caller.refused(node, "Status", vec![wire::StatusRequest {}])
}

#[test]
fn whoever_shows_no_certificate_of_the_cluster_is_refused_whatever_else_it_knows() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let guarded = Guarded::certified_by(&ours);
    let node = &guarded.field.nodes[0];
    let stranger = guarded.field.path().join("stranger");
    // All of them know the secret.
    assert_eq!(answer(node, None), Code::Unauthenticated, "in the clear");
    let nothing = answer(node, Some(anonymous(&ours)));
    assert_eq!(nothing, Code::Unauthenticated, "nothing to show");
    let foreign = answer(node, Some(papers(&stranger, &theirs, &ours)));
    assert!(
        [Code::Unavailable, Code::Unknown].contains(&foreign),
        "another authority's certificate ends the connection: {foreign:?}"
    );
    let deceived = answer(node, Some(papers(&stranger, &ours, &theirs)));
    assert_eq!(deceived, Code::Unavailable, "whoever does not trust us");
    let mut certified = Caller::member(7, node);
    certified.tls = Some(papers(&stranger, &ours, &ours));
    assert_eq!(
        certified.refused(node, "Status", vec![wire::StatusRequest {}]),
        Code::Ok
    );
    certified.secret = "not the secret".into();
    assert_eq!(
        certified.refused(node, "Status", vec![wire::StatusRequest {}]),
        Code::Unauthenticated,
        "a certificate is not enough either"
    );
}

#[test]
fn certificates_and_then_the_authority_are_replaced_under_load_and_no_write_is_lost() {
    let (old, new) = (Authority::new(), Authority::new());
    let guarded = Guarded::certified_by(&old);
    let field = &guarded.field;
    let writer = Writer::start(field);
    writer.step("writes before anything is replaced");
    guarded.rotate(|folder| old.certify(folder), &writer);
    guarded.rotate(|folder| trust(folder, &[&old, &new]), &writer);
    guarded.rotate(|folder| new.certify(folder), &writer);
    let stranger = field.path().join("stranger");
    let outdated = papers(&stranger, &old, &new);
    for node in &field.nodes {
        assert_eq!(
            answer(node, Some(Arc::clone(&outdated))),
            Code::Ok,
            "as yet"
        );
    }
    guarded.rotate(|folder| trust(folder, &[&new]), &writer);
    for node in &field.nodes {
        let refused = answer(node, Some(Arc::clone(&outdated)));
        assert!(
            [Code::Unavailable, Code::Unknown].contains(&refused),
            "the old authority's certificate: {refused:?}"
        );
        let current = papers(&stranger, &new, &new);
        assert_eq!(answer(node, Some(current)), Code::Ok);
        assert_eq!(node.cluster().status().halted, None);
    }
    writer.step("writes after all was replaced");
    writer.finish(field, &["expired", "malformed", "halted", "down"]);
}
