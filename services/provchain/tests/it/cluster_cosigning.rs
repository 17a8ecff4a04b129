//! Nodes cosign each other's checkpoints, and keep what contradicts them.

use std::collections::BTreeSet;

use devcluster::{Builder, Node, PortPlan};
use provchain::ledger::checkpoint::SignedCheckpoint;
use provchain::ledger::note::VerifierKey;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::{Ledger, answer, until};
use super::witness_fixture::verify;

/// The keys of a ledger as `format=json` gives them: those that sign and those that cosign.
pub async fn published(ledger: &Ledger, node: &Node) -> (Vec<VerifierKey>, Vec<VerifierKey>) {
    let list = ledger.json(node, "/api/v1/keys?format=json").await;
    let all = |member: &str| {
        let keys = list["keys"].as_array().expect("keys").iter();
        keys.filter_map(|key| key[member].as_str())
            .map(|key| key.parse().expect("a key"))
            .collect()
    };
    (all("key"), all("cosigner"))
}

/// The checkpoint that a node keeps.
pub async fn kept(ledger: &Ledger, node: &Node) -> SignedCheckpoint {
    let answer = ledger.get(node, "/checkpoint").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    SignedCheckpoint::parse(&answer.text()).expect("a checkpoint")
}

/// Waits until the checkpoint that `node` keeps over `size` entries carries cosignatures by the nodes
/// of these names.
pub async fn cosigned_by(ledger: &Ledger, node: &Node, size: u64, names: &[&str]) {
    let wanted: BTreeSet<&str> = names.iter().copied().collect();
    until(
        &format!("{} has cosignatures by {names:?}", node.name()),
        async || {
            let (log, cosigners) = published(ledger, node).await;
            let signed = kept(ledger, node).await;
            if signed.checkpoint().size != size {
                return false;
            }
            let known = [log, cosigners].concat();
            let signers = signed.verify(&known).expect("every signature verifies");
            let by = signers.witnesses.iter().map(|key| {
                let name = key.name().rsplit('/').next();
                name.expect("a name")
            });
            by.collect::<BTreeSet<&str>>() == wanted
        },
    )
    .await;
}

fn others<'l>(ledger: &'l Ledger, node: &Node) -> Vec<&'l str> {
    let names = ledger.nodes.nodes().iter().map(Node::name);
    names.filter(|name| *name != node.name()).collect()
}

#[tokio::test]
async fn the_others_cosign_with_keys_that_are_published_and_a_restart_keeps_what_they_signed() {
    let ledger = Ledger::start(3).await;
    ledger.capture_sample(100, 81).await;
    for node in ledger.nodes.nodes() {
        cosigned_by(&ledger, node, 100, &others(&ledger, node)).await;
    }
    let node = ledger.first();
    let list = ledger.json(node, "/api/v1/keys?format=json").await;
    for key in list["keys"].as_array().expect("keys") {
        assert_eq!(
            (&key["retired"], &key["successor"]),
            (&Value::Null, &Value::Null),
            "{key}"
        );
        assert_ne!(
            key["key"], key["cosigner"],
            "one key for each type of signature"
        );
    }
    let fresh = ledger.get(node, "/checkpoint?fresh=true").await.text();
    let fresh = SignedCheckpoint::parse(&fresh).expect("a checkpoint");
    assert_eq!(fresh.note().signatures().len(), 1, "nobody has seen it yet");

    let before = kept(&ledger, node).await;
    ledger.nodes.kill_all().await.expect("killed");
    // Alone, it has no majority and nobody to ask.
    node.start().await.expect("started");
    node.wait_healthy().await.expect("healthy");
    assert_eq!(kept(&ledger, node).await, before);
    let file = std::fs::read_to_string(node.data_dir().join("checkpoint"));
    assert_eq!(file.expect("a file"), before.to_string());
}

#[tokio::test]
async fn cosigning_goes_on_while_a_node_is_down_and_it_cosigns_when_it_is_back() {
    let ledger = Ledger::start(3).await;
    ledger.capture_sample(50, 82).await;
    let [first, second, third] = ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    cosigned_by(&ledger, first, 50, &[second.name(), third.name()]).await;
    third.kill().await.expect("killed");
    ledger.nodes.leader().await.expect("a leader");
    let document = provchain::sample::Sample::new(50, 83)
        .documents(50)
        .next()
        .expect("a document");
    until("it is captured", async || {
        let taken = ledger.try_capture(first, &document).await;
        taken.is_ok_and(|taken| taken.status == 202)
    })
    .await;
    cosigned_by(&ledger, first, 100, &[second.name()]).await;
    cosigned_by(&ledger, second, 100, &[first.name()]).await;
    third.start().await.expect("started");
    third.wait_ready().await.expect("ready");
    cosigned_by(&ledger, first, 100, &[second.name(), third.name()]).await;
}

/// A certificate for all nodes of a cluster on 127.0.0.1, and who signed it.
fn certified(nodes: Builder, folder: &std::path::Path) -> Builder {
    let mut authority = CertificateParams::new(vec![]).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().expect("a key");
    let ca = authority.self_signed(&authority_key).expect("signed").pem();
    let issuer = Issuer::new(authority, authority_key);
    let names = ["127.0.0.1", "node1", "node2", "node3"].map(str::to_owned);
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(names.to_vec()).expect("parameters");
    let certificate = certificate.signed_by(&key, &issuer).expect("signed").pem();
    let mut nodes = nodes;
    for (name, setting, pem) in [
        ("ca.pem", "CLIENT_CA_FILE", ca),
        ("node.pem", "CERTIFICATE_FILE", certificate),
        ("node.key", "KEY_FILE", key.serialize_pem()),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, pem).expect("written");
        let variable = format!("PROVCHAIN_TLS__{setting}");
        nodes = nodes.env(&variable, path.to_str().expect("a path"));
    }
    nodes
}

#[tokio::test]
async fn nodes_that_speak_tls_to_each_other_cosign_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    // The certificate names the one address that all of them have.
    let base = rand::random_range(11_000..31_000);
    let ledger = Ledger::start_with(3, |nodes| {
        certified(nodes.ports(PortPlan::Base(base)), folder.path())
    })
    .await;
    ledger.capture_sample(30, 84).await;
    for node in ledger.nodes.nodes() {
        cosigned_by(&ledger, node, 30, &others(&ledger, node)).await;
    }
}

async fn evidence(ledger: &Ledger, node: &Node) -> Vec<Value> {
    let request = ledger.request(Method::GET, node, "/api/v1/evidence");
    let request = request.bearer_auth(ledger.token_of("auditor"));
    let list = answer(request).await.expect("an answer").json();
    list["evidence"].as_array().expect("evidence").clone()
}

#[tokio::test]
async fn a_node_with_another_history_gets_no_cosignature_and_both_keep_what_they_signed() {
    let ledger = Ledger::start(3).await;
    ledger.capture_sample(70, 85).await;
    let [first, _, third] = ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    for node in ledger.nodes.nodes() {
        cosigned_by(&ledger, node, 70, &others(&ledger, node)).await;
        assert_eq!(evidence(&ledger, node).await, Vec::<Value>::new());
    }
    let keys = ledger.get(first, "/api/v1/keys").await.text();
    let keys: Vec<String> = keys.lines().map(str::to_owned).collect();
    ledger.nodes.stop().await.expect("stopped");
    // The last entry of one node becomes another one, as a disk or an operator can make it.
    let state = consensus::state_path(&third.data_dir()).expect("a state");
    #[expect(clippy::disallowed_methods, reason = "a folder that no node runs on")]
    let state = rusqlite::Connection::open(state).expect("a database");
    let sql = "UPDATE tile SET hashes = CAST(substr(hashes, 1, length(hashes) - 32) || zeroblob(32) AS BLOB) WHERE level = 0";
    assert_eq!(state.execute(sql, []), Ok(1));
    drop(state);
    for node in ledger.nodes.nodes() {
        // Signed and cosigned anew.
        std::fs::remove_file(node.data_dir().join("checkpoint")).expect("removed");
        node.start().await.expect("started");
    }
    ledger.nodes.wait_ready().await.expect("ready");
    for node in ledger.nodes.nodes() {
        until(&format!("{} keeps evidence", node.name()), async || {
            !evidence(&ledger, node).await.is_empty()
        })
        .await;
        let found = evidence(&ledger, node).await[0].clone();
        assert_eq!(
            (&found["kind"], &found["proof"]),
            (&json!("same-size"), &json!(true))
        );
        let file = ledger
            .scratch("evidence")
            .join(format!("{}.json", node.name()));
        std::fs::write(&file, found["evidence"].to_string()).expect("written");
        let (status, report) = verify(&file, &keys);
        assert_eq!(
            (status, &report["verdict"]),
            (0, &json!("authentic")),
            "{report}"
        );
        let health = ledger.json(node, "/health").await;
        assert_eq!(health["checks"]["evidence"]["status"], "warn", "{health}");
        let kept = std::fs::read_dir(node.data_dir().join("evidence")).expect("a folder");
        assert_ne!(kept.count(), 0, "{}", node.name());
    }
    // The two that agree still cosign one another.
    cosigned_by(&ledger, first, 70, &["node2"]).await;
    for role in ["farmer", "consumer"] {
        let request = ledger.request(Method::GET, first, "/api/v1/evidence");
        let refused = answer(request.bearer_auth(ledger.token_of(role))).await;
        refused.expect("an answer").problem(403);
    }
}
