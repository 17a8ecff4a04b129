//! A recall through a real node: it finds what the sample says, and its dossier proves it elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::api_trace::{expect_forgery_found, facts, percent_encoded};
use super::cluster::Ledger;
use super::cluster_verify::verify;

/// One pointer of each kind: those that differ only in places of lists are of one.
fn one_of_each(pointers: Vec<String>) -> Vec<String> {
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pointer in pointers {
        let part = |part: &str| match part.parse::<usize>() {
            Ok(_) => "*".to_owned(),
            Err(_) => part.to_owned(),
        };
        let kind: Vec<String> = pointer.split('/').map(part).collect();
        kinds.entry(kind.join("/")).or_default().push(pointer);
    }
    let middle = |of_kind: Vec<String>| of_kind[of_kind.len() / 2].clone();
    kinds.into_values().map(middle).collect()
}

#[tokio::test]
async fn a_dossier_lists_what_shops_received_and_any_change_of_it_is_found() {
    let ledger = Ledger::start(1).await;
    let sample = ledger.capture_sample(200, 61).await;
    let (node, truth) = (ledger.first(), sample.truth());
    let path = format!("/api/v1/recall/{}", percent_encoded(&truth.recalled.urn));
    let dossier = ledger.json(node, &path).await;
    let bare = ledger.get(node, &format!("{path}?proofs=false")).await;
    let mut last: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for list in ["batches", "instances"] {
        for item in dossier[list].as_array().expect("a list") {
            let place = item["lastSeen"]["place"].as_str().unwrap_or_default();
            let item = item["item"].as_str().expect("a key").to_owned();
            last.entry(place.to_owned()).or_default().insert(item);
        }
    }
    for (gln, shop) in &truth.retailers {
        let here = &last[&format!("https://id.gs1.org/414/{gln}")];
        assert_eq!(here, &shop.received, "{gln}");
    }
    assert!(!truth.retailers.is_empty());

    let elsewhere = ledger.scratch("elsewhere");
    let (file, keys) = (elsewhere.join("dossier.json"), elsewhere.join("keys"));
    std::fs::write(&file, dossier.to_string()).expect("written");
    std::fs::write(&keys, ledger.get(node, "/api/v1/keys").await.body).expect("written");
    let (status, report) = verify(&file, Some(&keys));
    assert_eq!(status, 0, "{report}");
    let (status, report) = verify(&file, None);
    assert_eq!((status, &report["verdict"]), (3, &"unauthenticated".into()));

    let mut pointers = Vec::new();
    facts(&dossier, "", &mut pointers);
    let pointers = one_of_each(pointers);
    assert!(pointers.len() > 60, "{pointers:?}");
    for pointer in &pointers {
        expect_forgery_found(&dossier, pointer, &file, &keys);
    }
    // Nor may a list be shorter or longer, or a member be left out or added.
    for list in ["batches", "instances", "places", "parties"] {
        let (mut less, mut more) = (dossier.clone(), dossier.clone());
        less[list].as_array_mut().expect("a list").pop();
        let again = dossier[list][0].clone();
        more[list].as_array_mut().expect("a list").push(again);
        for forged in [less, more] {
            std::fs::write(&file, forged.to_string()).expect("written");
            assert_eq!(verify(&file, Some(&keys)).0, 1, "{list}");
        }
    }
    for member in dossier.as_object().expect("an object").keys() {
        let mut without = dossier.clone();
        without.as_object_mut().expect("an object").remove(member);
        std::fs::write(&file, without.to_string()).expect("written");
        assert_eq!(verify(&file, Some(&keys)).0, 1, "without {member}");
    }
    let mut beside = dossier.clone();
    beside["note"] = "all is well".into();
    std::fs::write(&file, beside.to_string()).expect("written");
    assert_eq!(verify(&file, Some(&keys)).0, 1);

    std::fs::write(&file, &bare.body).expect("written");
    let (status, told) = verify(&file, Some(&keys));
    assert_eq!(status, 1);
    assert!(told.to_string().contains("proofs=true"), "{told}");
}

#[tokio::test]
async fn traces_and_recalls_come_in_the_form_that_is_asked_for() {
    let ledger = Ledger::start(1).await;
    let sample = ledger.capture_sample(200, 62).await;
    let node = ledger.first();
    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let trace = format!("/api/v1/trace/{recalled}?direction=down");
    let recall = format!("/api/v1/recall/{recalled}");
    for (path, kind, start) in [
        (format!("{trace}&format=svg"), "image/svg+xml", "<svg "),
        (
            format!("{trace}&format=dot"),
            "text/vnd.graphviz; charset=utf-8",
            "digraph ",
        ),
        (format!("{trace}&format=json"), "application/json", "{"),
        (trace.clone(), "application/json", "{"),
        (
            format!("{recall}?format=html"),
            "text/html; charset=utf-8",
            "<!DOCTYPE html>",
        ),
        (recall.clone(), "application/json", "{"),
    ] {
        let answer = ledger.get(node, &path).await;
        assert_eq!((answer.status, &*answer.kind), (200, kind), "{path}");
        assert!(answer.text().starts_with(start), "{path}");
    }
    let request = ledger.request(reqwest::Method::GET, node, &trace);
    let answer = super::cluster::answer(request.header("accept", "image/svg+xml")).await;
    assert_eq!(answer.expect("an answer").kind, "image/svg+xml");
    for (path, part) in [
        (format!("{trace}&format=html"), "text/html"),
        (format!("{trace}&format=svg&proofs=true"), "proofs"),
        (format!("{recall}?format=svg"), "image/svg+xml"),
        (format!("{recall}?format=html&proofs=true"), "proofs"),
        (format!("{recall}?direction=up"), "direction"),
        (format!("{trace}&asOf=201"), "asOf"),
        (format!("{trace}&types=Object"), "types"),
        (format!("{recall}?bizSteps=shiping"), "bizSteps"),
        (format!("{recall}?from=today"), "from"),
    ] {
        let problem = ledger.get(node, &path).await.problem(400);
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(part), "{path}: {problem}");
    }
    let missing: Value = ledger
        .get(node, "/api/v1/recall/carrots")
        .await
        .problem(404);
    assert!(
        missing["detail"].to_string().contains("carrots"),
        "{missing}"
    );
}
