//! Traces over some of the events, and as of an earlier size.

use serde_json::Value;

use super::api_trace::{
    expect_difference_found, expect_forgery_found, facts, items, percent_encoded,
};
use super::cluster::Ledger;
use super::cluster_verify::verify;

#[tokio::test]
async fn a_filtered_trace_verifies_and_is_no_answer_to_another_filter() {
    let ledger = Ledger::start(1).await;
    let sample = ledger.capture_sample(300, 63).await;
    let node = ledger.first();
    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let folder = ledger.scratch("filters");
    let (file, keys) = (folder.join("answer.json"), folder.join("keys"));
    std::fs::write(&keys, ledger.get(node, "/api/v1/keys").await.body).expect("written");
    let ask = async |filter: &str| {
        let path = format!("/api/v1/trace/{recalled}?direction=down&proofs=true{filter}");
        let answer = ledger.json(node, &path).await;
        std::fs::write(&file, answer.to_string()).expect("written");
        let (status, report) = verify(&file, Some(&keys));
        assert_eq!(status, 0, "{filter}: {report}");
        answer
    };
    let whole = ask("").await;
    // While the milk is processed, and before it is packed.
    let events = whole["events"].as_array().expect("events");
    let early = events[events.len() / 4]["eventTime"].as_str();
    let early = percent_encoded(early.expect("a time"));
    let mut filtered = Vec::new();
    for filter in [
        format!("&until={early}"),
        "&types=TransformationEvent".to_owned(),
        "&types=TransformationEvent,%20AggregationEvent&bizSteps=commissioning".to_owned(),
        format!("&from=2000-01-01T00:00:00Z&until={early}&bizSteps=commissioning"),
    ] {
        let answer = ask(&filter).await;
        assert!(items(&answer).len() > 1, "{filter} leaves nothing");
        assert!(
            items(&answer).len() < items(&whole).len(),
            "{filter} leaves all"
        );
        assert!(items(&answer).is_subset(&items(&whole)), "{filter}");
        let mut pointers = Vec::new();
        facts(&answer["filter"], "/filter", &mut pointers);
        for pointer in pointers {
            expect_forgery_found(&answer, &pointer, &file, &keys);
        }
        filtered.push(answer);
    }
    // An answer to another question, whether the items would be the same or not.
    for (nth, answer) in filtered.iter().enumerate() {
        for other in filtered.iter().chain([&whole]) {
            if other["filter"] == answer["filter"] {
                continue;
            }
            let mut forged = answer.clone();
            match other.get("filter") {
                Some(filter) => forged["filter"] = filter.clone(),
                None => drop(forged.as_object_mut().expect("an object").remove("filter")),
            }
            expect_difference_found(&forged, "attestation", &file, &keys);
            // With the signature too, it would be the answer to that question if the events are.
            if other["events"] != answer["events"] {
                forged["attestation"] = other["attestation"].clone();
                expect_difference_found(&forged, "attestation", &file, &keys);
            }
        }
        let mut unsigned = answer.clone();
        unsigned
            .as_object_mut()
            .expect("an object")
            .remove("attestation");
        expect_difference_found(&unsigned, "attestation", &file, &keys);
        assert_ne!(
            filtered[(nth + 1) % 4]["attestation"],
            answer["attestation"]
        );
    }
    for depth in [63, 65] {
        let mut forged = whole.clone();
        forged["depth"] = depth.into();
        expect_difference_found(&forged, "attestation", &file, &keys);
    }
}

#[tokio::test]
async fn an_answer_as_of_an_earlier_size_is_the_one_that_was_given_then() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let mut sample = provchain::sample::Sample::new(300, 64);
    let documents: Vec<Value> = sample.documents(100).collect();
    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let folder = ledger.scratch("asof");
    let (file, keys) = (folder.join("answer.json"), folder.join("keys"));
    std::fs::write(&keys, ledger.get(node, "/api/v1/keys").await.body).expect("written");
    let path = format!("/api/v1/trace/{recalled}?direction=down&proofs=true");
    let mut then = Vec::new();
    for document in &documents {
        ledger.capture(node, document).await;
        then.push(ledger.json(node, &path).await);
    }
    assert!(
        items(&then[0]).len() < items(&then[2]).len(),
        "nothing was added"
    );
    for earlier in &then {
        let size = earlier["treeSize"].as_u64().expect("a size");
        let again = ledger.json(node, &format!("{path}&asOf={size}")).await;
        // Signatures of Ed25519 are deterministic: every byte is the same.
        assert_eq!(&again, earlier, "as of {size}");
        std::fs::write(&file, again.to_string()).expect("written");
        let (status, report) = verify(&file, Some(&keys));
        assert_eq!((status, &report["size"]), (0, &size.into()), "{report}");
        let mut forged = again.clone();
        forged["treeSize"] = (size - 1).into();
        expect_difference_found(&forged, "treeSize", &file, &keys);
    }
    // As of the size that an entry made, it took no part yet.
    let entries = then[2]["events"].as_array().expect("events").iter();
    for entry in entries.map(|event| &event["entry"]).skip(1).step_by(5) {
        let before = ledger.json(node, &format!("{path}&asOf={entry}")).await;
        let last = before["events"].as_array().expect("events").last();
        let last = last.expect("an event")["entry"].as_u64();
        assert!(last < entry.as_u64(), "{last:?} as of {entry}");
    }
    ledger
        .get(node, &format!("{path}&asOf=0"))
        .await
        .problem(404);
    ledger
        .get(node, &format!("{path}&asOf=301"))
        .await
        .problem(400);

    let proofs = "/api/v1/proofs/entries?indices=3,99";
    let proof = ledger.json(node, &format!("{proofs}&size=100")).await;
    std::fs::write(&file, proof.to_string()).expect("written");
    let (status, report) = verify(&file, Some(&keys));
    assert_eq!((status, &report["size"]), (0, &100.into()), "{report}");
    ledger
        .get(node, &format!("{proofs}&size=99"))
        .await
        .problem(404);
    ledger
        .get(node, &format!("{proofs}&size=301"))
        .await
        .problem(400);
}
