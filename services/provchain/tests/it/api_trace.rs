//! Traces through a real node find what the sample says, and prove it.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provchain::epcis::identifier::Identifier;
use provchain::ledger::checkpoint::SignedCheckpoint;
use provchain::ledger::proof::ProofFile;
use provchain::rdf::{Limits, canonical_statements};
use provchain::trace::Answer;
use provchain::verify::check_answer;
use serde_json::Value;

use super::cluster::Ledger;
use super::cluster_verify::verify;

/// What the GLNs of shops begin with.
const SHOPS: &str = "9524";

pub fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

pub fn items(answer: &Value) -> BTreeSet<String> {
    let items = answer["items"].as_array().expect("items").iter();
    items
        .map(|item| item["item"].as_str().expect("a key").to_owned())
        .collect()
}

#[tokio::test]
async fn the_recalled_batch_is_traced_to_exactly_its_retailers_with_proofs_that_hold_elsewhere() {
    let ledger = Ledger::start(3).await;
    let sample = ledger.capture_sample(10_000, 41).await;
    let truth = sample.truth();
    let [first, other, ..] = ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    let path = format!(
        "/api/v1/trace/{}?direction=down",
        percent_encoded(&truth.recalled.urn)
    );
    let answer = ledger.json(other, &path).await;
    assert_eq!(answer["truncated"], false);
    assert_eq!(answer["item"], truth.recalled.key);

    // A lot that only an instance's own identifier tells is no item of the truth.
    let of_lots: BTreeSet<&str> = answer["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter(|step| step["via"] == "lot")
        .filter_map(|step| step["from"].as_str())
        .collect();
    let reached = items(&answer);
    let missed: Vec<_> = truth.affected.difference(&reached).collect();
    let more: Vec<_> = reached
        .difference(&truth.affected)
        .filter(|item| !of_lots.contains(item.as_str()))
        .collect();
    assert!(
        missed.is_empty() && more.is_empty(),
        "missed {missed:?}, more {more:?}"
    );

    // The shops among the places that received something are exactly the retailers of the truth.
    let mut shops = BTreeSet::new();
    for event in answer["events"].as_array().expect("events") {
        let place = event["bizLocation"]["id"].as_str().unwrap_or_default();
        if event["bizStep"] == "receiving"
            && let Ok(place) = Identifier::parse(place)
            && let Some(gln) = place.key.as_str().strip_prefix("https://id.gs1.org/414/")
            && gln.starts_with(SHOPS)
        {
            shops.insert(gln.to_owned());
        }
    }
    assert!(shops.len() >= 2, "{shops:?} show little");
    assert_eq!(shops, truth.retailers.keys().cloned().collect());

    // The proofs verify in another folder, with nothing but the keys.
    let proven = ledger.get(first, &format!("{path}&proofs=true")).await;
    assert_eq!(proven.status, 200, "{}", proven.text());
    let elsewhere = ledger.scratch("elsewhere");
    let (file, keys) = (elsewhere.join("proof.json"), elsewhere.join("keys"));
    std::fs::write(&file, &proven.body).expect("written");
    std::fs::write(&keys, ledger.get(other, "/api/v1/keys").await.body).expect("written");
    let (status, report) = verify(&file, Some(&keys));
    let count = answer["events"].as_array().expect("events").len();
    assert_eq!(
        (status, report["good"].as_array().map(Vec::len)),
        (0, Some(count)),
        "{report}"
    );
    let (status, report) = verify(&file, None);
    assert_eq!(
        (status, &report["verdict"]),
        (3, &Value::from("unauthenticated"))
    );

    // And do not when one of its facts is another one.
    let proven = proven.json();
    let mut pointers = Vec::new();
    facts(&proven["proof"], "/proof", &mut pointers);
    assert!(pointers.len() > 1_000, "{} facts", pointers.len());
    for pointer in pointers.iter().step_by(pointers.len() / 50) {
        expect_forgery_found(&proven, pointer, &file, &keys);
    }
    // Nor when the answer says of them what they do not say.
    for member in [
        "epc",
        "item",
        "direction",
        "truncated",
        "items",
        "steps",
        "events",
        "transactions",
    ] {
        let mut pointers = Vec::new();
        facts(&proven[member], &format!("/{member}"), &mut pointers);
        assert!(!pointers.is_empty(), "no {member}");
        for pointer in pointers.iter().step_by(pointers.len().div_ceil(6)) {
            expect_forgery_found(&proven, pointer, &file, &keys);
        }
        if let Some(list) = proven[member].as_array() {
            let (mut less, mut more) = (proven.clone(), proven.clone());
            less[member].as_array_mut().expect("a list").pop();
            more[member]
                .as_array_mut()
                .expect("a list")
                .push(list[0].clone());
            for forged in [less, more] {
                expect_difference_found(&forged, member, &file, &keys);
            }
        }
    }
    let mut up = proven.clone();
    up["direction"] = "up".into();
    expect_difference_found(&up, "items", &file, &keys);
    let mut short = proven.clone();
    short["depth"] = 1.into();
    expect_difference_found(&short, "items", &file, &keys);
    let mut larger = proven.clone();
    larger["treeSize"] = 10_001.into();
    expect_difference_found(&larger, "treeSize", &file, &keys);
    // An event is left out everywhere, and its proof as well.
    let mut without = proven.clone();
    let left_out = without["events"].as_array_mut().expect("events").pop();
    let left_out = &left_out.expect("an event")["entry"];
    let proofs = without["proof"]["entries"].as_array_mut().expect("proofs");
    proofs.retain(|proof| proof["index"] != *left_out);
    let steps = without["steps"].as_array_mut().expect("steps");
    let all = steps.len();
    steps.retain(|step| step["entry"] != *left_out);
    if steps.len() < all {
        expect_difference_found(&without, "items", &file, &keys);
    }
    let mut nothing = proven.clone();
    nothing["proof"]["entries"] = Value::Array(Vec::new());
    expect_difference_found(&nothing, "there are none", &file, &keys);
    std::fs::write(&file, ledger.get(first, &path).await.body).expect("written");
    let (status, told) = verify(&file, Some(&keys));
    assert_eq!(status, 1);
    assert!(told.to_string().contains("proofs=true"), "{told}");
}

/// `provchain verify` refutes an answer, and names the member that differs.
pub fn expect_difference_found(forged: &Value, part: &str, path: &Path, keys: &Path) {
    std::fs::write(path, forged.to_string()).expect("written");
    let (status, report) = verify(path, Some(keys));
    assert_eq!(
        (status, &report["verdict"]),
        (1, &Value::from("refuted")),
        "{part}: {report}"
    );
    let faults = report["faults"].to_string();
    assert!(faults.contains(part), "no {part} in {faults}");
}

#[tokio::test]
async fn every_answer_with_proofs_is_the_one_that_its_entries_give() {
    let ledger = Ledger::start(1).await;
    let sample = ledger.capture_sample(600, 44).await;
    let node = ledger.first();
    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let whole = ledger
        .json(node, &format!("/api/v1/trace/{recalled}?direction=down"))
        .await;
    let (mut traced, mut lots, mut cut) = (0, 0, 0);
    for item in items(&whole).iter().step_by(3) {
        for question in [
            "direction=down",
            "direction=up",
            "direction=down&depth=1",
            "direction=up&depth=2",
        ] {
            let path = format!(
                "/api/v1/trace/{}?{question}&proofs=true",
                percent_encoded(item)
            );
            let text = ledger.get(node, &path).await.text();
            let answer: Answer = serde_json::from_str(&text).expect("an answer");
            let proof = answer.proof.as_ref().expect("a proof").get();
            let proof = ProofFile::from_json(proof.as_bytes()).expect("a proof");
            let signed = SignedCheckpoint::parse(&proof.checkpoint).expect("a checkpoint");
            let checked = check_answer(&answer, &proof, signed.checkpoint(), &[]);
            assert_eq!(checked.err(), None, "{path}");
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            let steps = answer["steps"].as_array().expect("steps").iter();
            lots += steps.filter(|step| step["via"] == "lot").count();
            cut += usize::from(answer["truncated"] == true);
            traced += 1;
        }
    }
    assert!(
        traced > 20 && lots > 5 && cut > 5,
        "{traced} traces with {lots} lots, {cut} of them cut short, show little"
    );
}

/// Every value in the file that is no object or list, by its pointer.
pub fn facts(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                facts(value, &format!("{pointer}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                facts(value, &format!("{pointer}/{index}"), found);
            }
        }
        _ => found.push(pointer.to_owned()),
    }
}

/// Another value of the same kind: one character or bit is another one.
fn changed(value: &Value) -> Value {
    match value {
        Value::Number(number) => (number.as_u64().expect("whole") + 1).into(),
        Value::Bool(flag) => (!flag).into(),
        Value::String(text) => match STANDARD.decode(text) {
            Ok(mut bytes) if !bytes.is_empty() => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                STANDARD.encode(bytes).into()
            }
            _ => {
                let middle = text.len() / 2;
                let other = if text.as_bytes()[middle] == b'7' {
                    "8"
                } else {
                    "7"
                };
                format!("{}{other}{}", &text[..middle], &text[middle + 1..]).into()
            }
        },
        other => panic!("{other} is no fact"),
    }
}

/// Changes one fact of a proof, and looks whether `provchain verify` finds that.
pub fn expect_forgery_found(proof: &Value, pointer: &str, path: &Path, keys: &Path) {
    let mut forged = proof.clone();
    let fact = forged.pointer_mut(pointer).expect("a fact");
    *fact = changed(fact);
    std::fs::write(path, forged.to_string()).expect("written");
    let (status, report) = verify(path, Some(keys));
    assert_eq!(status, 1, "{pointer}: {report}");
}

#[tokio::test]
async fn changing_any_fact_in_a_proof_file_is_found() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(40, 42).await;
    let node = ledger.first();
    let scratch = ledger.scratch("proofs");
    let (path, keys) = (scratch.join("proof.json"), scratch.join("keys"));
    std::fs::write(&keys, ledger.get(node, "/api/v1/keys").await.body).expect("written");
    for question in ["indices=0,17,39", "indices=0,17,39&closed=true"] {
        let proof = ledger
            .json(node, &format!("/api/v1/proofs/entries?{question}"))
            .await;
        std::fs::write(&path, proof.to_string()).expect("written");
        let (status, report) = verify(&path, Some(&keys));
        assert_eq!(status, 0, "{report}");
        let mut pointers = Vec::new();
        facts(&proof, "", &mut pointers);
        assert!(pointers.len() > 10, "{proof}");
        for pointer in &pointers {
            expect_forgery_found(&proof, pointer, &path, &keys);
        }
    }
}

#[tokio::test]
async fn events_come_back_as_they_were_captured_by_id_and_by_entry() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let mut sample = provchain::sample::Sample::new(60, 43);
    let documents: Vec<Value> = sample.documents(20).collect();
    let limits = Limits::default();
    for document in &documents {
        let entries = ledger.capture(node, document).await["entries"].clone();
        let events = document["epcisBody"]["eventList"]
            .as_array()
            .expect("events");
        for (event, entry) in events.iter().zip(entries.as_array().expect("entries")) {
            let sent = canonical_statements(event, &document["@context"], &limits).expect("valid");
            let id = percent_encoded(event["eventID"].as_str().expect("an id"));
            for path in [
                format!("/events/{id}"),
                format!("/api/v1/entries/{entry}/event"),
            ] {
                let found = ledger.json(node, &path).await;
                let found = canonical_statements(&found, &Value::Null, &limits).expect("valid");
                assert_eq!(found, sent, "{path}");
            }
        }
    }
}
