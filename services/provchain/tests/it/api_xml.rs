//! Documents in XML are captured like those in JSON.

use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::{Answer, Ledger, answer};
use super::epcis_xml::events;

async fn post(ledger: &Ledger, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = ledger.request(Method::POST, ledger.first(), path);
    let request = request
        .bearer_auth(&ledger.token)
        .header("content-type", kind)
        .header("gs1-epcis-version", "1.2");
    answer(request.body(body)).await.expect("an answer")
}

fn event(serial: u32) -> String {
    format!(
        "<ObjectEvent>
          <eventTime>2026-01-05T06:00:00Z</eventTime>
          <eventTimeZoneOffset>+00:00</eventTimeZoneOffset>
          <baseExtension><eventID>urn:uuid:00000000-0000-4000-8000-{serial:012}</eventID></baseExtension>
          <epcList><epc>urn:epc:id:sgtin:0614141.107346.{serial}</epc></epcList>
          <action>OBSERVE</action>
          <bizStep>urn:epcglobal:cbv:bizstep:shipping</bizStep>
          <farm:weight unit=\"KGM\">3.5</farm:weight>
        </ObjectEvent>"
    )
}

fn document(inside: &str) -> String {
    events("1.2", "xmlns:farm=\"https://ns.example.com/farm\"", inside)
}

#[tokio::test]
async fn documents_in_xml_are_captured_and_their_events_come_back_as_json() {
    let ledger = Ledger::start(1).await;
    let both = document(&(event(1) + &event(2)));
    let taken = post(&ledger, "/capture", "application/xml; charset=utf-8", both).await;
    assert_eq!(taken.status, 202, "{}", taken.text());
    let entries = taken.json()["entries"].clone();
    assert_eq!(entries, json!([0, 1]));

    let again = post(&ledger, "/events", "text/xml", document(&event(2))).await;
    assert_eq!(again.status, 201, "{}", again.text());
    assert_eq!(again.json()["entry"], 1);

    let id = "urn:uuid:00000000-0000-4000-8000-000000000002";
    let mut returned = ledger.json(ledger.first(), &format!("/events/{id}")).await;
    assert_eq!(
        returned["@context"].take(),
        json!([
            "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
            { "farm": "https://ns.example.com/farm/" }
        ])
    );
    assert_eq!(
        returned,
        json!({
            "@context": null,
            "type": "ObjectEvent",
            "eventTime": "2026-01-05T06:00:00Z",
            "eventTimeZoneOffset": "+00:00",
            "eventID": id,
            "epcList": ["urn:epc:id:sgtin:0614141.107346.2"],
            "action": "OBSERVE",
            "bizStep": "shipping",
            "farm:weight": {
                "farm:unit": "KGM",
                "http://www.w3.org/1999/02/22-rdf-syntax-ns#value": "3.5"
            }
        })
    );

    // The same event in JSON is the same event.
    let mut sent = returned;
    sent["@context"] = json!([
        "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
        { "f": "https://ns.example.com/farm/" }
    ]);
    let weight = sent["farm:weight"].take();
    let members = sent.as_object_mut().expect("an event");
    members.shift_remove("farm:weight");
    members.insert(
        "f:weight".to_owned(),
        json!({
            "f:unit": weight["farm:unit"],
            "http://www.w3.org/1999/02/22-rdf-syntax-ns#value": "3.5"
        }),
    );
    let receipt = ledger.capture(ledger.first(), &sent).await;
    assert_eq!(
        (&receipt["entries"], &receipt["repeated"]),
        (&json!([1]), &json!(1))
    );
}

/// The issues of a body that must be refused.
async fn issues(ledger: &Ledger, body: impl Into<reqwest::Body>) -> Value {
    let answer = post(ledger, "/capture", "application/xml", body).await;
    let mut problem = answer.problem(400);
    problem["issues"].take()
}

#[tokio::test]
async fn documents_in_xml_that_are_wrong_are_refused_and_change_nothing() {
    let ledger = Ledger::start(1).await;
    let tree = ledger.tree(ledger.first()).await;
    let pid = ledger.first().pid();

    let document_type = document(&event(1)).replace("?>\n", "?>\n<!DOCTYPE project>\n");
    let laughs: String = (1..=9)
        .map(|level| {
            let below = format!("&l{};", level - 1).repeat(10);
            format!("<!ENTITY l{level} \"{below}\">")
        })
        .collect();
    let laughs = document(&event(1))
        .replace(
            "?>\n",
            &format!("?>\n<!DOCTYPE x [<!ENTITY l0 \"lol\">{laughs}]>\n"),
        )
        .replace("OBSERVE", "&l9;");
    let latin = document(&event(1)).replace("UTF-8", "ISO-8859-1");
    for (body, part) in [
        (document_type.into_bytes(), "DOCTYPE"),
        (laughs.into_bytes(), "DOCTYPE"),
        (latin.into_bytes(), "only UTF-8"),
        (vec![0xff, 0xfe, b'<', 0, b'a', 0], "only UTF-8"),
        (b"{}".to_vec(), "text outside"),
        (Vec::new(), "no element"),
    ] {
        let issues = issues(&ledger, body).await;
        assert_eq!(issues[0]["rule"], "xml", "{issues}");
        assert!(issues.to_string().contains(part), "{issues}");
    }

    let wrong = document(&(event(1) + &event(2).replace("OBSERVE", "MAYBE")));
    let issues = issues(&ledger, wrong).await;
    assert_eq!(issues[0]["event"], 1);
    assert_eq!(issues[0]["field"], "action");
    let message = issues[0]["message"].as_str().expect("a message");
    assert!(message.starts_with("line 17: \"MAYBE\""), "{message}");

    assert_eq!(ledger.tree(ledger.first()).await, tree);
    assert_eq!(ledger.first().pid(), pid);
}
