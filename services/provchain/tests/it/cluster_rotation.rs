//! The keys of nodes hand over, while the ledger is written to and whatever is interrupted.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use devcluster::Node;
use provchain::ledger::checkpoint::SignedCheckpoint;
use provchain::ledger::note::VerifierKey;
use provchain::ledger::succession::{self, Succession};
use provchain::sample::Sample;
use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::{Answer, Ledger, PROVCHAIN, answer, until};
use super::cluster_cosigning::{cosigned_by, published};

async fn rotate(ledger: &Ledger, node: &Node) -> Answer {
    let request = ledger.request(Method::POST, node, "/api/v1/keys/rotate");
    let request = request.bearer_auth(ledger.token_of("admin"));
    answer(request).await.expect("an answer")
}

async fn rotated(ledger: &Ledger, node: &Node) -> Value {
    let answer = rotate(ledger, node).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The key that signs the checkpoints of `node` now: one that the ledger knows and that has not handed
/// over.
async fn signing(ledger: &Ledger, node: &Node) -> VerifierKey {
    let note = ledger.get(node, "/checkpoint?fresh=true").await;
    assert_eq!(note.status, 200, "{}", note.text());
    let signed = SignedCheckpoint::parse(&note.text()).expect("a checkpoint");
    let list = ledger.json(node, "/api/v1/keys?format=json").await;
    let keys = list["keys"].as_array().expect("keys").iter();
    let current = keys.filter(|key| key["retired"].is_null());
    let current: Vec<VerifierKey> = current
        .map(|key| key["key"].as_str().expect("a key").parse().expect("a key"))
        .collect();
    let signers = signed.verify(&current);
    let signers = signers.unwrap_or_else(|error| panic!("{error}: {}\n{list}", note.text()));
    signers.log[0].clone()
}

/// Runs `provchain verify --json`, trusting the keys in one file and following those in another.
fn verify(path: &Path, trusted: &Path, list: Option<&Path>) -> (i32, Value) {
    let mut command = Command::new(PROVCHAIN);
    command.env_clear().arg("verify").arg(path).arg("--json");
    command.arg("--keys-file").arg(trusted);
    if let Some(list) = list {
        command.arg("--keys").arg(list);
    }
    let output = command.output().expect("it runs");
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| String::from_utf8_lossy(&output.stderr).into());
    (output.status.code().expect("a status"), report)
}

#[tokio::test]
async fn keys_hand_over_under_load_and_who_trusts_the_old_ones_verifies_all_of_it() {
    let ledger = Arc::new(Ledger::start(3).await);
    ledger.capture_sample(60, 91).await;
    let first = ledger.first();
    ledger.sealed(first).await;
    let folder = ledger.scratch("trust");
    let (old_keys, list) = (folder.join("old"), folder.join("list"));
    std::fs::write(&old_keys, ledger.get(first, "/api/v1/keys").await.body).expect("written");
    let before = published(&ledger, first).await;

    let done = Arc::new(AtomicBool::new(false));
    let writing = {
        let (ledger, done) = (Arc::clone(&ledger), Arc::clone(&done));
        tokio::spawn(async move {
            let mut seed = 9_100;
            while !done.load(Ordering::SeqCst) || seed < 9_110 {
                let document = Sample::new(5, seed)
                    .documents(5)
                    .next()
                    .expect("a document");
                ledger.capture(ledger.first(), &document).await;
                seed += 1;
            }
        })
    };
    let mut handed = Vec::new();
    for node in ledger.nodes.nodes() {
        let old = signing(&ledger, node).await;
        let told = rotated(&ledger, node).await;
        assert_eq!(told["old"], old.to_string());
        let now = signing(&ledger, node).await;
        assert_eq!(told["new"], now.to_string());
        let link =
            Succession::parse(told["succession"].as_str().expect("a note")).expect("it holds");
        assert_eq!((link.old, link.new), (old, now));
        handed.push(told);
    }
    // Again, by the command, with nothing but the cluster's secret.
    let output = Command::new(PROVCHAIN)
        .env_clear()
        .env("JWT_SECRET", ledger.nodes.secret("jwt").expect("a secret"))
        .args(["rotate-key", "--url", &first.url("api").expect("a port")])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        told.contains(handed[0]["new"].as_str().expect("a key")),
        "{told}"
    );
    assert!(
        told.contains(&signing(&ledger, first).await.to_string()),
        "{told}"
    );
    done.store(true, Ordering::SeqCst);
    writing.await.expect("every capture is taken");
    ledger.sealed(first).await;
    let size = ledger.common_tree().await.size;

    // The list: seven keys, four of them retired, and a chain from each old one.
    std::fs::write(
        &list,
        ledger.get(first, "/api/v1/keys?format=json").await.body,
    )
    .expect("written");
    let keys = ledger.json(first, "/api/v1/keys?format=json").await;
    let keys = keys["keys"].as_array().expect("keys").clone();
    assert_eq!(keys.len(), 7);
    let retired: Vec<&Value> = keys
        .iter()
        .filter(|key| !key["retired"].is_null())
        .collect();
    assert_eq!(retired.len(), 4, "{keys:?}");
    let notes = retired
        .iter()
        .map(|key| key["succession"].as_str().expect("a note"));
    let all = succession::follow(&before.0, notes).expect("they hold");
    assert_eq!(all.len(), 7);
    // Cosignatures are by the keys that belong to the new ones.
    let others = ["node2", "node3"];
    cosigned_by(&ledger, first, size, &others).await;
    let (_, cosigners) = published(&ledger, first).await;
    assert_eq!(cosigners.len(), 7);
    let kept = super::cluster_cosigning::kept(&ledger, first).await;
    assert!(
        kept.note().verify(&before.1).is_err(),
        "no retired key cosigned it"
    );

    // A proof under a new key: by the old keys alone nobody vouches for it, by the chain they do.
    let proof = folder.join("proof.json");
    let entries = ledger
        .get(first, "/api/v1/proofs/entries?indices=1,2,3")
        .await;
    std::fs::write(&proof, entries.body).expect("written");
    let (status, report) = verify(&proof, &old_keys, None);
    assert_ne!(status, 0, "{report}");
    let (status, report) = verify(&proof, &old_keys, Some(&list));
    assert_eq!(
        (status, &report["verdict"]),
        (0, &json!("authentic")),
        "{report}"
    );
    // A list whose notes do not hold is refused, and so is a chain that begins elsewhere.
    let forged = std::fs::read_to_string(&list).expect("a list");
    let forged = forged.replace(
        "provchain/v1 succession\\n",
        "provchain/v1 succession\\n\\n",
    );
    let forged_list = folder.join("forged");
    std::fs::write(&forged_list, forged).expect("written");
    assert_ne!(verify(&proof, &old_keys, Some(&forged_list)).0, 0);

    // Whole folders, with blocks by old and by new keys, hold by the old keys and the notes in them.
    let audit = ledger.request(Method::GET, first, "/api/v1/audit");
    let audit = answer(audit.bearer_auth(ledger.token_of("auditor")))
        .await
        .expect("an answer");
    assert_eq!(
        audit.text().matches("node-key.rotate").count(),
        4,
        "{}",
        audit.text()
    );
    for node in ledger.nodes.nodes() {
        until("the checkpoint is kept", async || {
            let note = std::fs::read_to_string(node.data_dir().join("checkpoint"));
            note.is_ok_and(|note| note.lines().nth(1) == Some(&*size.to_string()))
        })
        .await;
        assert!(node.stop().await.expect("stopped"));
        let (status, report) = verify(&node.data_dir(), &old_keys, None);
        assert_eq!(
            (status, &report["authenticated"]),
            (0, &json!(size)),
            "{report}"
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(node.data_dir().join("node.key"))
                .expect("a key")
                .permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        assert!(!node.data_dir().join("node.key.next").exists());
    }
}

#[tokio::test]
async fn whatever_a_crash_leaves_on_disk_the_node_signs_with_a_key_that_the_ledger_knows() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    ledger.capture_sample(10, 92).await;
    let (own, next) = (
        node.data_dir().join("node.key"),
        node.data_dir().join("node.key.next"),
    );
    let restart = async || {
        node.start().await.expect("started");
        node.wait_ready().await.expect("ready");
    };
    let first = signing(&ledger, node).await;

    // The next key was written, and the ledger never heard of it.
    assert!(node.stop().await.expect("stopped"));
    std::fs::write(&next, hex::encode([0x0e; 32])).expect("written");
    restart().await;
    assert_eq!(signing(&ledger, node).await, first, "the old key signs on");
    let old_file = std::fs::read(&own).expect("a key");
    let told = rotated(&ledger, node).await;
    let prepared = ed25519_dalek::SigningKey::from_bytes(&[0x0e; 32]).verifying_key();
    let second = signing(&ledger, node).await;
    assert_eq!(second.public_key(), &prepared, "what was begun is finished");
    assert_eq!(told["new"], second.to_string());

    // The ledger took the succession in, and the files are still those of before.
    assert!(node.stop().await.expect("stopped"));
    std::fs::copy(&own, &next).expect("copied");
    std::fs::write(&own, &old_file).expect("written");
    restart().await;
    assert_eq!(signing(&ledger, node).await, second);
    until("the files are put in order", async || !next.exists()).await;
    assert_eq!(
        std::fs::read(&own).expect("a key"),
        hex::encode([0x0e; 32]).as_bytes()
    );

    // A key that has handed over came back, and the one that it handed over to did not.
    assert!(node.stop().await.expect("stopped"));
    std::fs::write(&own, &old_file).expect("written");
    node.start().await.expect("started");
    node.wait_healthy().await.expect("healthy");
    until("the health says that nothing can be signed", async || {
        let ready = ledger.get(node, "/readyz").await;
        ready.status == 503 && ready.text().contains("handed over")
    })
    .await;
    assert_eq!(ledger.get(node, "/checkpoint?fresh=true").await.status, 500);
    assert_eq!(
        rotate(&ledger, node).await.status,
        500,
        "it hands over no more"
    );
    assert!(!next.exists());
    // Removed, it makes room for a new one, which the ledger comes to know.
    assert!(node.stop().await.expect("stopped"));
    std::fs::remove_file(&own).expect("removed");
    restart().await;
    until("the new key is known", async || {
        let keys = ledger.get(node, "/api/v1/keys").await;
        keys.text().lines().count() == 3
    })
    .await;
    let third = signing(&ledger, node).await;
    assert!(![first, second].contains(&third));
    ledger.capture_sample(10, 93).await;
    ledger.sealed(node).await;
}

#[tokio::test]
async fn a_node_that_is_killed_while_its_key_hands_over_comes_back_with_one_that_counts() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let mut outcomes = Vec::new();
    for round in 0..8_u64 {
        ledger.capture_sample(5, 9_400 + round).await;
        let before = signing(&ledger, node).await;
        let asking = async {
            let request = ledger.request(Method::POST, node, "/api/v1/keys/rotate");
            let request = request.bearer_auth(ledger.token_of("admin"));
            answer(request)
                .await
                .is_ok_and(|answer| answer.status == 200)
        };
        let killing = async {
            tokio::time::sleep(Duration::from_millis(round * 3)).await;
            node.kill().await.expect("killed");
        };
        let (acknowledged, ()) = tokio::join!(asking, killing);
        node.start().await.expect("started");
        node.wait_ready().await.expect("ready");
        let after = signing(&ledger, node).await;
        if acknowledged {
            assert_ne!(after, before, "what was acknowledged holds");
        }
        outcomes.push((acknowledged, after != before));
        // Whatever it came to, it can be done again.
        rotated(&ledger, node).await;
        assert_ne!(signing(&ledger, node).await, after);
    }
    println!("acknowledged and handed over: {outcomes:?}");
    ledger.sealed(node).await;
}
