//! The same event is in the ledger once, however often and under whatever name it comes.

use serde_json::{Value, json};

use super::cluster::Ledger;
use super::epcis_fixtures::document;

fn event(id: Option<&str>, serial: u32) -> Value {
    let mut event = json!({
        "type": "ObjectEvent",
        "eventTime": "2026-01-05T06:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [format!("urn:epc:id:sgtin:0614141.107346.{serial}")],
    });
    if let Some(id) = id {
        event["eventID"] = json!(id);
    }
    event
}

#[tokio::test]
async fn a_document_that_comes_twice_adds_nothing_and_says_so() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let twice = document(&json!([
        event(Some("urn:uuid:00000000-0000-4000-8000-000000000001"), 1),
        event(None, 2),
    ]));
    let first = ledger.capture(node, &twice).await;
    assert_eq!(first["entries"], json!([0, 1]));
    assert_eq!(first["repeated"], 0);
    let tree = ledger.tree(node).await;

    let second = ledger.capture(node, &twice).await;
    assert_eq!(second["entries"], first["entries"]);
    assert_eq!(second["repeated"], 2);
    assert_eq!(ledger.tree(node).await, tree);
}

#[tokio::test]
async fn an_event_without_an_id_is_known_by_its_content_but_not_by_its_record_time() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let told = event(None, 1);
    ledger
        .capture(node, &document(&json!([told.clone()])))
        .await;

    let mut recorded = told.clone();
    recorded["recordTime"] = json!("2026-01-05T07:00:00Z");
    let receipt = ledger.capture(node, &document(&json!([recorded]))).await;
    assert_eq!(
        (&receipt["entries"], &receipt["repeated"]),
        (&json!([0]), &json!(1))
    );

    let mut later = told;
    later["eventTime"] = json!("2026-01-05T06:00:01Z");
    let receipt = ledger.capture(node, &document(&json!([later]))).await;
    assert_eq!(
        (&receipt["entries"], &receipt["repeated"]),
        (&json!([1]), &json!(0))
    );
}

#[tokio::test]
async fn an_event_id_with_other_content_is_a_conflict_that_names_the_event_and_changes_nothing() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let id = "urn:uuid:00000000-0000-4000-8000-000000000007";
    ledger
        .capture(
            node,
            &document(&json!([event(None, 1), event(Some(id), 2)])),
        )
        .await;
    let tree = ledger.tree(node).await;

    let conflicting = document(&json!([event(None, 3), event(Some(id), 4), event(None, 5)]));
    let problem = ledger.refused(node, &conflicting, 409).await;
    assert_eq!(
        problem["conflicts"],
        json!([{ "event": 1, "eventID": id, "entry": 1 }]),
        "{problem}"
    );
    assert_eq!(ledger.tree(node).await, tree);

    // What stood beside the conflict was not taken: it is new now.
    let rest = document(&json!([event(None, 3), event(None, 5)]));
    assert_eq!(ledger.capture(node, &rest).await["repeated"], 0);
}

#[tokio::test]
async fn an_event_that_stands_twice_in_one_capture_is_named_and_nothing_is_taken() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let tree = ledger.tree(node).await;
    let id = "urn:uuid:00000000-0000-4000-8000-000000000009";
    for pair in [
        json!([event(None, 1), event(None, 1)]),
        json!([event(Some(id), 1), event(Some(id), 1)]),
        json!([event(Some(id), 1), event(Some(id), 2)]),
    ] {
        let problem = ledger.refused(node, &document(&pair), 409).await;
        assert_eq!(problem["conflicts"][0]["event"], 1, "{problem}");
        assert_eq!(problem["conflicts"][0]["entry"], Value::Null, "{problem}");
        assert_eq!(ledger.tree(node).await, tree);
    }
}
