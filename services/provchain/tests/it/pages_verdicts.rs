//! What the verify page says of a file, in words, and how files come to it.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::api_trace::percent_encoded;
use super::cluster::{Ledger, answer};
use super::cluster_erasure::{Erasing, driven_by, event};
use super::pages::browser;
use super::pages_browser::Browser;

/// Chooses a file and keys on the page, and gives the verdict in its words.
async fn verdict(browser: &mut Browser, file: &Path, keys: &str) -> String {
    browser.open("#/verify").await;
    let document = browser.send("DOM.getDocument", json!({})).await;
    let asked = json!({ "nodeId": document["root"]["nodeId"], "selector": "input[type=file]" });
    let input = browser.send("DOM.querySelector", asked).await["nodeId"].clone();
    let chosen = json!({ "nodeId": input, "files": [file] });
    browser.send("DOM.setFileInputFiles", chosen).await;
    browser.until_read("KiB").await;
    browser.fill("Verifier keys that you trust", keys).await;
    browser.click("Check").await;
    browser.until("document.getElementById('verdict')").await;
    browser
        .text("document.getElementById('verdict').innerText")
        .await
}

#[tokio::test]
async fn the_verify_page_says_in_words_what_a_file_is_worth() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let sample = ledger.capture_sample(200, 84).await;
    let keys = ledger.get(node, "/api/v1/keys").await.text();
    let folder = ledger.scratch("files");
    let written = |name: &str, value: &Value| {
        let path = folder.join(name);
        std::fs::write(&path, value.to_string()).expect("written");
        path
    };
    let proof = ledger
        .json(node, "/api/v1/proofs/entries?indices=2,5")
        .await;
    let good = written("proof.json", &proof);
    let mut browser = browser(&ledger).await;
    assert_eq!(verdict(&mut browser, &good, &keys).await, "Authentic");
    let seen = browser.read().await;
    assert!(
        seen.contains("2 of 2 entries hold") && seen.contains("Not done here"),
        "{seen}"
    );
    let focused = "document.activeElement.id";
    assert_eq!(browser.text(focused).await, "verdict");
    browser.picture("verify-authentic").await;
    let alone = verdict(&mut browser, &good, "").await;
    assert!(alone.contains("nobody vouches"), "{alone}");
    browser.picture("verify-unauthenticated").await;

    let mut forged = proof.clone();
    let document = forged["entries"][0]["disclosed"]["whole"]["document"]
        .as_str()
        .expect("a text");
    forged["entries"][0]["disclosed"]["whole"]["document"] =
        document.replacen("2026", "2025", 1).into();
    let forged = written("forged.json", &forged);
    for keys in [&*keys, ""] {
        assert_eq!(verdict(&mut browser, &forged, keys).await, "Refuted");
    }
    let seen = browser.read().await;
    assert!(
        seen.contains("entry 2: document: it is not the one that was recorded"),
        "{seen}"
    );
    assert!(seen.contains("1 of 2 entries hold"), "{seen}");
    browser.picture("verify-refuted").await;
    // A key of somebody else's.
    let stranger = "ledger.example/demo+ffed5b2a+ASFS+NGbeR0kRTJC4V8uq2y3z/p7al7TAJeWDgaYgdsS";
    assert_eq!(verdict(&mut browser, &good, stranger).await, "Refuted");

    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let dossier = ledger
        .json(node, &format!("/api/v1/recall/{recalled}"))
        .await;
    let file = written("dossier.json", &dossier);
    let told = verdict(&mut browser, &file, &keys).await;
    assert!(
        told.contains("lists around them were not checked here"),
        "{told}"
    );
    browser.picture("verify-dossier").await;
    for (member, value) in [
        ("epc", json!("urn:epc:id:sscc:0614141.1234567890")),
        ("treeSize", json!(199)),
        ("depth", json!(3)),
    ] {
        let mut forged = dossier.clone();
        forged["trace"][member] = value;
        let forged = written("forged-dossier.json", &forged);
        assert_eq!(
            verdict(&mut browser, &forged, &keys).await,
            "Refuted",
            "{member}"
        );
    }
    // A browser that cannot check signatures, as over plain HTTP from elsewhere, finds nothing authentic.
    browser.open("#/verify?entry=3").await;
    browser
        .run("Object.defineProperty(crypto, 'subtle', { value: undefined })")
        .await;
    browser.fill("Verifier keys that you trust", &keys).await;
    browser.click("Check").await;
    browser
        .until_read("cannot check Ed25519 signatures here")
        .await;
    let told = browser
        .text("document.getElementById('verdict').innerText")
        .await;
    assert!(told.contains("nobody vouches"), "{told}");
    // What is no proof at all, and keys that are none.
    let nothing = written("nothing.json", &json!({ "format": "letter" }));
    assert_eq!(verdict(&mut browser, &nothing, "").await, "Refuted");
    browser.open("#/verify?entry=3").await;
    browser.fill("Verifier keys that you trust", "no key").await;
    browser.click("Check").await;
    browser.until_read("is no verifier key").await;
    browser.click("Take the keys that this node names").await;
    browser
        .until_read("a node that lies would name its own")
        .await;
    browser.click("Check").await;
    browser
        .until("document.getElementById('verdict')?.innerText === 'Authentic'")
        .await;
    browser.expect_no_complaint().await;
}

#[tokio::test]
async fn a_page_gives_the_proof_of_some_statements_and_hands_a_dossier_on() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let sample = ledger.capture_sample(120, 85).await;
    let mut browser = browser(&ledger).await;
    let folder = ledger.scratch("downloads");
    let allow = json!({ "behavior": "allow", "downloadPath": folder });
    browser.send("Browser.setDownloadBehavior", allow).await;
    browser.open("#/entries/4").await;
    browser.click("Disclose only some statements").await;
    browser
        .until("document.querySelectorAll('.statements input').length > 3")
        .await;
    browser
        .run("document.querySelectorAll('.statements input')[2].click()")
        .await;
    browser.click("Download the proof of these").await;
    browser.until_read("and nothing of them").await;
    let file = folder.join("entry-4-parts.json");
    super::cluster::until("the file is there", async || file.is_file()).await;
    let proof: Value = serde_json::from_slice(&std::fs::read(&file).expect("read")).expect("JSON");
    let statements = &proof["entries"][0]["disclosed"]["parts"]["statements"];
    assert_eq!(statements.as_array().map(Vec::len), Some(1), "{proof}");
    assert_eq!(statements[0]["index"], 2);

    let recalled = percent_encoded(&sample.truth().recalled.urn);
    browser.go(&format!("#/recall?epc={recalled}")).await;
    browser.until_read("found and proven in").await;
    browser.click("Check it in this browser").await;
    browser.until_read("as it was just shown").await;
    browser.click("Take the keys that this node names").await;
    browser.until_read("a node that lies").await;
    browser.click("Check").await;
    browser
        .until_read("lists around them were not checked here")
        .await;
    let request = ledger.request(Method::GET, node, &format!("/api/v1/recall/{recalled}"));
    let dossier = answer(request).await.expect("an answer").json();
    let entries = dossier["trace"]["proof"]["entries"]
        .as_array()
        .expect("entries")
        .len();
    browser
        .until_read(&format!("{entries} of {entries} entries hold"))
        .await;
    browser.expect_no_complaint().await;
}

#[tokio::test]
async fn of_an_erased_event_the_page_shows_that_it_was_there() {
    let erasing = Erasing::start(1).await;
    let node = erasing.ledger.first();
    let told = event(0, &driven_by("Ann"), "Ann's secret");
    let entries = erasing.capture(node, &[told]).await;
    let address = format!("#/entries/{}", entries[0]);
    let mut browser = browser(&erasing.ledger).await;
    browser.open(&address).await;
    browser.click("The whole event as JSON").await;
    browser.until_read("Ann's secret").await;
    erasing.erase_driver(node, "Ann").await;
    browser.open(&address).await;
    browser
        .until_read("The content of this entry was erased")
        .await;
    let seen = browser.read().await;
    assert!(
        !seen.contains("Ann") && seen.contains("Leaf hash"),
        "{seen}"
    );
    browser.go(&format!("#/verify?entry={}", entries[0])).await;
    browser.click("Take the keys that this node names").await;
    browser.until_read("a node that lies").await;
    browser.click("Check").await;
    browser
        .until("document.getElementById('verdict')?.innerText === 'Authentic'")
        .await;
    browser.until_read("existence only").await;
    browser.expect_no_complaint().await;
}
