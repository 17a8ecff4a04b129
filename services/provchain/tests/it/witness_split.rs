//! A real ledger that is given a second history: its own node, its own key, an older copy of its
//! folder.

use super::cluster::{Ledger, copy};
use super::witness_fixture::Witness;

/// The keys that a ledger publishes, and its origin.
async fn keys(ledger: &Ledger) -> (String, Vec<String>) {
    let text = ledger.get(ledger.first(), "/api/v1/keys").await.text();
    let keys: Vec<String> = text.lines().map(str::to_owned).collect();
    let origin = ledger.json(ledger.first(), "/api/v1/ledger").await["origin"].clone();
    (origin.as_str().expect("an origin").to_owned(), keys)
}

#[tokio::test]
async fn a_forged_second_history_of_a_real_ledger_is_exposed_by_a_witness() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    ledger.capture_sample(300, 71).await;
    let (origin, keys) = keys(&ledger).await;
    assert!(node.stop().await.expect("stopped"));
    let older = ledger.scratch("older");
    copy(&node.data_dir(), &older);
    node.start().await.expect("started");
    node.wait_ready().await.expect("ready");

    let witness = Witness::start(&origin, &node.url("api").expect("a port"), &keys).await;
    witness.cosigned(300).await;
    ledger.capture_sample(60, 72).await;
    let cosigned = witness.cosigned(360).await;
    let first = ledger.tree(node).await;
    assert_eq!(cosigned.checkpoint().root.to_base64(), first.root);

    // The same node with the same key, back from the older copy: other things happened from there on.
    assert!(node.stop().await.expect("stopped"));
    std::fs::remove_dir_all(node.data_dir()).expect("removed");
    copy(&older, &node.data_dir());
    node.start().await.expect("started");
    node.wait_ready().await.expect("ready");
    witness.says(&origin, "300 entries after 360").await;
    ledger.capture_sample(100, 73).await;
    let second = ledger.tree(node).await;
    assert_eq!(second.size, 400);

    let mut proof = None;
    super::cluster::until("the second history is exposed", async || {
        let evidence = witness.evidence().await;
        proof = evidence.into_iter().find(|one| one["proof"] == true);
        proof.is_some()
    })
    .await;
    let proof = proof.expect("a proof");
    let (status, report) = witness
        .verify(proof["id"].as_str().expect("an id"), &keys)
        .await;
    assert_eq!(
        (status, &report["verdict"]),
        (0, &"authentic".into()),
        "{report}"
    );
    assert_eq!(
        (&report["first"]["size"], &report["second"]["size"]),
        (&360.into(), &400.into())
    );
    assert_eq!(report["first"]["root"], first.root, "{report}");
    assert_eq!(report["second"]["root"], second.root, "{report}");
    // Nobody gets a cosignature for the second one.
    assert_eq!(witness.ledger().await["size"], 360);
    let output = std::process::Command::new(super::cluster::PROVCHAIN)
        .env_clear()
        .arg("verify")
        .arg(
            witness
                .data_dir()
                .join(format!("evidence/{}.json", proof["id"].as_str().unwrap())),
        )
        .args(["--key", &keys[0]])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("two histories"), "{told}");
}
