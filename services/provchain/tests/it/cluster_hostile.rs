//! A member that knows the cluster's secret and means no good, asked to cosign and asking for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use consensus::{Cluster, NodeConfig, Settings};
use ed25519_dalek::SigningKey;
use kit::settings::Secret;
use kit::shutdown::Shutdown;
use provchain::ledger::Digest;
use provchain::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use provchain::ledger::cosigner;
use provchain::ledger::note::{SignatureType, SignerKey};
use provchain::machine::command::keys::change::Change;
use provchain::machine::command::keys::{ChangeKeys, PutCosigner};
use provchain::machine::command::{Command, RegisterNode, change};
use serde_json::Value;

use super::cluster::{Ledger, until};
use super::cluster_cosigning::{cosigned_by, kept, published};

const NAME: &str = "mallory";

/// How it answers.
#[derive(Clone, Debug)]
enum Manner {
    Never,
    Says(Vec<u8>),
    Cosigns(String),
}

/// The member, in this process.
struct Mallory {
    cluster: Cluster<provchain::machine::Ledger>,
    manner: Arc<Mutex<Manner>>,
    _folder: tempfile::TempDir,
}

fn own_key() -> SigningKey {
    SigningKey::from_bytes(&[0x6d; 32])
}

impl Mallory {
    async fn joins(ledger: &Ledger) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = NodeConfig {
            name: NAME.into(),
            address: listener.local_addr().unwrap().to_string(),
            peers: Some(vec![ledger.first().advertised("api").unwrap()]),
            data_dir: folder.path().join("data"),
            network: "development".into(),
            secret: Secret::new(ledger.nodes.secret("jwt").unwrap()),
            tls: None,
            settings: Settings::default(),
        };
        let machine = provchain::machine::Ledger::default();
        let (cluster, routes) = Cluster::start(config, machine).await.unwrap();
        let shutdown = Shutdown::new(Duration::from_secs(1));
        let limits = kit::serve::Limits::default();
        tokio::spawn(kit::serve::serve(listener, routes, None, limits, shutdown));
        assert!(cluster.ready(Duration::from_secs(60)).await, "it joins");
        let manner = Arc::new(Mutex::new(Manner::Never));
        let answers = Arc::clone(&manner);
        cluster.answer("cosign", move |_, _| {
            let manner = answers.lock().unwrap().clone();
            async move {
                match manner {
                    Manner::Never => std::future::pending().await,
                    Manner::Says(bytes) => Ok(Bytes::from(bytes)),
                    // A protobuf message whose first field is this line.
                    Manner::Cosigns(line) => {
                        let length = u8::try_from(line.len() & 0x7f | 0x80).unwrap();
                        let rest = u8::try_from(line.len() >> 7).unwrap();
                        Ok(Bytes::from(
                            [&[0x0a, length, rest][..], line.as_bytes()].concat(),
                        ))
                    }
                }
            }
        });
        let mallory = Self {
            cluster,
            manner,
            _folder: folder,
        };
        let node = own_key().verifying_key().to_bytes().to_vec();
        let cosigner = cosigner::derive(&own_key())
            .verifying_key()
            .to_bytes()
            .to_vec();
        mallory
            .propose(change::Change::RegisterNode(RegisterNode {
                name: NAME.into(),
                public_key: node.clone(),
                time_ms: 1,
            }))
            .await;
        let change = Some(Change::PutCosigner(PutCosigner { node, cosigner }));
        mallory
            .propose(change::Change::Keys(ChangeKeys {
                change,
                ..ChangeKeys::default()
            }))
            .await;
        mallory
    }

    async fn propose(&self, change: change::Change) {
        let command = Command::of(change);
        self.cluster.propose_idempotent(&command).await.unwrap();
    }

    fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    async fn asks(&self, node: &str, note: &str) -> Result<Bytes, String> {
        let asked = self
            .cluster
            .ask(node, "cosign", note.to_owned().into())
            .await;
        asked.map_err(|error| error.to_string())
    }
}

async fn failures(ledger: &Ledger) -> u64 {
    let metrics = ledger.get(ledger.first(), "/metrics").await.text();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("provchain_cosignatures_asked_total{outcome=\"failed\"}"));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    count.unwrap_or(0)
}

#[tokio::test]
async fn a_member_that_answers_with_noise_or_never_delays_nothing_and_signs_nothing() {
    let ledger = Ledger::start(2).await;
    let [first, second] = ledger.nodes.nodes() else {
        panic!("two nodes")
    };
    let mallory = Mallory::joins(&ledger).await;
    let (_, cosigners) = published(&ledger, first).await;
    let origin = kept_origin(&ledger).await;
    assert_eq!(cosigners.len(), 3);
    let wrong = cosigner::signer(&origin, NAME, &own_key()).unwrap();
    let stranger = cosigner::signer(&origin, NAME, &SigningKey::from_bytes(&[9; 32])).unwrap();
    let impostor = cosigner::signer(&origin, second.name(), &own_key()).unwrap();
    let log = SignerKey::new(&origin, SignatureType::Ed25519, own_key()).unwrap();
    let mut size = 0;
    for manner in [
        Manner::Never,
        Manner::Says(Vec::new()),
        Manner::Says(vec![0xff; 900 << 10]),
        Manner::Says(b"no message".to_vec()),
        Manner::Cosigns(wrong.sign("another text\n", 1).to_string()),
        Manner::Cosigns(stranger.sign("another text\n", 1).to_string()),
        Manner::Cosigns(impostor.sign("another text\n", 1).to_string()),
        Manner::Cosigns(log.sign("another text\n", 1).to_string()),
    ] {
        println!("{manner:?}");
        let failed = failures(&ledger).await;
        mallory.behaves(manner);
        ledger.capture_sample(10, 900 + size).await;
        size += 10;
        cosigned_by(&ledger, first, size, &[second.name()]).await;
        cosigned_by(&ledger, second, size, &[first.name()]).await;
        until("it was asked in vain", async || {
            failures(&ledger).await > failed
        })
        .await;
        let lines = kept(&ledger, first).await.note().signatures().len();
        assert_eq!(lines, 2, "its own signature, and one cosignature");
    }
    assert_eq!(evidence_files(first), 0, "noise convicts nobody");
}

async fn kept_origin(ledger: &Ledger) -> String {
    let told = ledger.json(ledger.first(), "/api/v1/ledger").await;
    told["origin"].as_str().expect("an origin").to_owned()
}

fn evidence_files(node: &devcluster::Node) -> usize {
    let folder = std::fs::read_dir(node.data_dir().join("evidence"));
    folder.expect("a folder").count()
}

#[tokio::test]
async fn a_node_cosigns_nothing_but_its_own_history_and_never_goes_back() {
    let ledger = Ledger::start(2).await;
    let [first, second] = ledger.nodes.nodes() else {
        panic!("two nodes")
    };
    let mallory = Mallory::joins(&ledger).await;
    mallory.behaves(Manner::Says(Vec::new()));
    ledger.capture_sample(20, 910).await;
    cosigned_by(&ledger, first, 20, &[second.name()]).await;
    cosigned_by(&ledger, second, 20, &[first.name()]).await;
    let tree = ledger.tree(first).await;
    let origin = kept_origin(&ledger).await;
    let root = Digest::from_base64(&tree.root).unwrap();
    let signed = |seed: &SigningKey, size: u64, root: Digest| {
        let key = SignerKey::new(&origin, SignatureType::Ed25519, seed.clone()).unwrap();
        let checkpoint = Checkpoint::new(&origin, size, root).unwrap();
        checkpoint.sign(&key).unwrap().to_string()
    };
    let (own, stranger) = (own_key(), SigningKey::from_bytes(&[9; 32]));
    let to = first.name();
    // What it has itself, and nothing by keys that the ledger does not know.
    let answer = mallory.asks(to, &signed(&own, 20, root)).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains(to), "{answer:?}");
    for question in [
        String::new(),
        "no note".into(),
        "x".repeat(1 << 20),
        signed(&stranger, 20, root),
        signed(&stranger, 20, Digest([1; 32])),
        signed(&own, 20, root).replacen(&origin, "ledger.example/other", 1),
    ] {
        let refused = mallory.asks(to, &question).await;
        assert!(refused.is_err(), "{question:.40}: {refused:?}");
    }
    let proof = ledger
        .json(first, "/api/v1/proofs/consistency?from=10&to=20")
        .await;
    let ten: Digest = serde_json::from_value(proof["fromRoot"].clone()).unwrap();
    let older = mallory.asks(to, &signed(&own, 10, ten)).await.unwrap();
    assert_eq!(
        older[..],
        [0x18, 20],
        "it has cosigned a tree of 20, and goes not back"
    );
    let ahead = mallory.asks(to, &signed(&own, 1000, root)).await.unwrap();
    assert_eq!(ahead[..], [0x10, 20], "it has no more than 20");
    assert_eq!(evidence_files(first), 0);

    // A second history, signed by a key of the ledger: the answer is the node's own checkpoint.
    let forged = signed(&own, 20, Digest([1; 32]));
    let answer = mallory.asks(to, &forged).await.unwrap();
    let note = String::from_utf8_lossy(&answer[3..]).into_owned();
    let theirs = SignedCheckpoint::parse(&note).unwrap();
    assert_eq!(
        (theirs.checkpoint().size, theirs.checkpoint().root),
        (20, root)
    );
    assert_eq!(evidence_files(first), 1);
    mallory.asks(to, &forged).await.unwrap();
    assert_eq!(evidence_files(first), 1, "once");
    let health = ledger.json(first, "/health").await;
    assert_ne!(
        health["checks"]["evidence"]["detail"],
        Value::from("none"),
        "{health}"
    );
    let ready = ledger.get(first, "/readyz").await;
    assert_eq!(
        ready.status,
        200,
        "it serves all the same: {}",
        ready.text()
    );
}
