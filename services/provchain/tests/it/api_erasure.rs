//! Who may say what is personal and erase subjects, and what is refused.

use std::ops::Range;

use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::{Ledger, answer};
use super::cluster_erasure::{DRIVER, Erasing, PARTY, driven_by, event};

const PERSONAL: &str = "/api/v1/personal";
const ERASE: &str = "/api/v1/subjects/erase";

async fn status(ledger: &Ledger, role: &str, method: Method, path: &str, body: &Value) -> u16 {
    let request = ledger.request(method, ledger.first(), path);
    let request = request.bearer_auth(ledger.token_of(role)).json(body);
    answer(request).await.expect("an answer").status
}

#[tokio::test]
async fn administrators_say_and_erase_auditors_look_and_all_others_do_neither() {
    let erasing = Erasing::start(1).await;
    let ledger = &erasing.ledger;
    let entries = erasing
        .capture(ledger.first(), &[event(0, &driven_by("Ann"), "Ann's")])
        .await;
    let who = json!({ "field": DRIVER, "value": "Ann" });
    let nothing = json!({ "fields": [], "parties": [] });
    let any = format!("/api/v1/subjects/{}", "0".repeat(64));
    for role in [
        "farmer",
        "processor",
        "transporter",
        "retailer",
        "consumer",
        "auditor",
    ] {
        let looks = role == "auditor";
        assert_eq!(
            status(ledger, role, Method::PUT, PERSONAL, &nothing).await,
            403
        );
        assert_eq!(status(ledger, role, Method::POST, ERASE, &who).await, 403);
        let got = status(ledger, role, Method::GET, PERSONAL, &Value::Null).await;
        assert_eq!(got, if looks { 200 } else { 403 }, "{role}");
        let got = status(ledger, role, Method::GET, &any, &Value::Null).await;
        assert_eq!(got, if looks { 404 } else { 403 }, "{role}");
    }
    assert_eq!(erasing.status_of(entries[0]).await, 200);
    let told = erasing
        .ask(ledger.first(), Method::GET, PERSONAL, None)
        .await;
    assert_eq!(told.json()["fields"], json!([DRIVER]));

    // What was done stands in the log of the administrators, without a word of whom.
    erasing.erase(ledger.first(), who).await;
    let audit = erasing
        .ask(ledger.first(), Method::GET, "/api/v1/audit", None)
        .await;
    let (lines, text) = (audit.json()["audit"].clone(), audit.text());
    assert_eq!(lines[0]["action"], "subject.erase", "{text}");
    assert_eq!(lines[0]["detail"], "1 entries", "{text}");
    assert_eq!(lines[1]["action"], "personal.set", "{text}");
    assert!(
        !text.contains("Ann") && !text.contains(PARTY) && !text.contains("00777"),
        "{text}"
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let erasing = Erasing::start(1).await;
    let node = erasing.ledger.first();
    let entries = erasing
        .capture(node, &[event(0, &driven_by("Ann"), "Ann's")])
        .await;
    let before = erasing.ask(node, Method::GET, PERSONAL, None).await.json();
    for (method, path, body, wanted) in [
        (
            Method::PUT,
            PERSONAL,
            json!({ "fields": ["two words"] }),
            400,
        ),
        (Method::PUT, PERSONAL, json!({ "fields": ["@type"] }), 400),
        (
            Method::PUT,
            PERSONAL,
            json!({ "fields": ["x".repeat(10_000)] }),
            400,
        ),
        (
            Method::PUT,
            PERSONAL,
            json!({ "fields": vec!["a"; 300] }),
            400,
        ),
        (Method::PUT, PERSONAL, json!({ "parties": ["Ann"] }), 400),
        (Method::PUT, PERSONAL, json!({ "parties": [""] }), 400),
        (
            Method::PUT,
            PERSONAL,
            json!({ "parties": [format!("urn:{}", "x".repeat(5000))] }),
            400,
        ),
        (Method::PUT, PERSONAL, json!({ "parties": [7] }), 422),
        (Method::PUT, PERSONAL, json!({ "people": [] }), 422),
        (Method::POST, ERASE, json!({}), 400),
        (Method::POST, ERASE, json!({ "field": DRIVER }), 400),
        (Method::POST, ERASE, json!({ "value": "Ann" }), 400),
        (
            Method::POST,
            ERASE,
            json!({ "field": DRIVER, "value": ["Ann"] }),
            400,
        ),
        (
            Method::POST,
            ERASE,
            json!({ "field": DRIVER, "value": "x".repeat(5000) }),
            400,
        ),
        (
            Method::POST,
            ERASE,
            json!({ "party": PARTY, "field": DRIVER, "value": "Ann" }),
            400,
        ),
        (
            Method::POST,
            ERASE,
            json!({ "party": PARTY, "value": "Ann" }),
            400,
        ),
        (Method::POST, ERASE, json!({ "party": "nobody" }), 400),
        (Method::POST, ERASE, json!({ "subject": "0" }), 422),
        // Nobody is known by that name: it says so.
        (
            Method::POST,
            ERASE,
            json!({ "field": DRIVER, "value": "Zoe" }),
            404,
        ),
        (
            Method::POST,
            ERASE,
            json!({ "field": "driver", "value": "Ann" }),
            404,
        ),
        (Method::POST, ERASE, json!({ "party": PARTY }), 404),
        (Method::GET, "/api/v1/subjects/0", Value::Null, 400),
        (Method::GET, "/api/v1/subjects/zz", Value::Null, 400),
    ] {
        let answer = erasing.ask(node, method, path, Some(body.clone())).await;
        let problem = answer.json();
        assert_eq!(answer.status, wanted, "{path} {body:.100}: {problem}");
        answer.problem(wanted);
    }
    assert_eq!(
        erasing.ask(node, Method::GET, PERSONAL, None).await.json(),
        before
    );
    assert_eq!(erasing.status_of(entries[0]).await, 200);
    let audit = erasing
        .ask(node, Method::GET, "/api/v1/audit", None)
        .await
        .json();
    assert_eq!(audit["audit"].as_array().map(Vec::len), Some(1), "{audit}");

    // Parties go back as they were shown; standard names and GS1's prefixes are names of fields.
    let personal =
        json!({ "fields": ["bizStep", "cbvmda:lotNumber"], "parties": before["parties"] });
    let set = erasing
        .ask(node, Method::PUT, PERSONAL, Some(personal))
        .await;
    assert_eq!(set.status, 200, "{}", set.text());
    let set = set.json();
    assert_eq!(set["parties"], before["parties"]);
    assert_eq!(
        set["fields"],
        json!(["bizStep", "urn:epcglobal:cbv:mda:lotNumber"])
    );
}

#[tokio::test]
async fn an_event_about_too_many_is_refused_and_the_largest_one_is_taken() {
    let erasing = Erasing::start(1).await;
    let node = erasing.ledger.first();
    let named = |numbers: Range<usize>| -> Value {
        let names: Vec<String> = numbers.map(|number| format!("driver {number}")).collect();
        json!({ "ext:driver": names })
    };
    let crew = |count: usize| named(0..count);
    let entries = erasing
        .capture(node, &[event(0, &crew(64), "a crew")])
        .await;
    assert_eq!(erasing.status_of(entries[0]).await, 200);
    let body = super::epcis_fixtures::document(&json!([event(1, &crew(65), "more")]));
    let problem = erasing.ledger.refused(node, &body, 400).await;
    assert!(problem.to_string().contains("65 subjects"), "{problem}");
    // So are too many events at a time, each of whose subjects might need a key.
    let crews = (0..313).map(|place| event(place + 1, &named(place * 64..(place + 1) * 64), "all"));
    let body = super::epcis_fixtures::document(&crews.collect::<Vec<_>>().into());
    let problem = erasing.ledger.refused(node, &body, 400).await;
    assert!(problem.to_string().contains("20032 subjects"), "{problem}");
    // Whoever of the crew is erased, the event is.
    erasing.erase_driver(node, "driver 63").await;
    assert_eq!(erasing.status_of(entries[0]).await, 410);
}

#[tokio::test]
async fn listeners_traces_and_resources_go_on_without_what_was_erased() {
    let erasing = Erasing::start(1).await;
    let node = erasing.ledger.first();
    let place = json!({
        "ext:driver": "Ann",
        "readPoint": { "id": "urn:epc:id:sgln:4012345.00225.7" },
    });
    let entries = erasing
        .capture(
            node,
            &[
                event(0, &place, "Ann's"),
                event(1, &driven_by("Bob"), "Bob's"),
            ],
        )
        .await;
    let trace = async |number: usize| {
        let path = format!("/api/v1/trace/urn:epc:id:sgtin:0614141.107346.{number}?direction=up");
        erasing.ask(node, Method::GET, &path, None).await.status
    };
    let points = async || {
        erasing
            .ask(node, Method::GET, "/readPoints", None)
            .await
            .text()
    };
    assert_eq!([trace(0).await, trace(1).await], [200, 200]);
    assert!(points().await.contains("00225"));
    erasing.erase_driver(node, "Ann").await;
    assert_eq!([trace(0).await, trace(1).await], [404, 200]);
    let left = points().await;
    assert!(!left.contains("00225"), "{left}");

    // A stream from the beginning passes over what is gone.
    let url = node.url("api").expect("a port");
    let stream = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let mut stream = stream
        .get(format!("{url}/api/v1/live?fromEntry=0&blocks=false"))
        .send()
        .await
        .expect("a stream");
    let mut text = String::new();
    while !text.contains("Bob's") {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(60), stream.chunk()).await;
        let chunk = chunk.expect("in time").expect("a chunk").expect("no end");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(!text.contains("Ann's"), "{text}");
    assert!(
        text.contains(&format!("\"entry\":{}", entries[1])),
        "{text}"
    );
}
