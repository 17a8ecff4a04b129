//! GS1's own examples (the repository gs1/EPCIS) are taken, and come back as they went in.

use std::path::Path;

use provchain::epcis::{Limits, Rule, canonicalise_document, capture};
use reqwest::Method;
use serde_json::Value;

use super::cluster::{Ledger, answer};
use super::rdf_gs1_suite::{by_general_processor, events, gs1_context};
use super::suites;

/// Examples that are not valid: what they break, and where.
const INVALID: [(&str, Rule, &str); 2] = [
    (
        "AssociationEvent-h.jsonld",
        Rule::DuplicateKey,
        "/epcisBody/eventList/0/eventID",
    ),
    // It declares a term of GS1's own context otherwise, which JSON-LD forbids.
    (
        "transformation_event_all_possible_fields.jsonld",
        Rule::Context,
        "/@context/4/cbvmda",
    ),
];

/// All examples, by name: the text, and the document.
fn examples(folder: &Path) -> Vec<(String, String, Value)> {
    let paths = [
        suites::files(&folder.join("JSON"), &["jsonld"]),
        suites::files(&folder.join("JSON-Schema/test"), &["json"]),
    ];
    let mut examples = Vec::new();
    for path in paths.concat() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A schema is no example.
        if !name.starts_with("sch") {
            let text = suites::text(&path);
            let document = serde_json::from_str(&text).expect("JSON");
            examples.push((name.into_owned(), text, document));
        }
    }
    examples
}

fn is_invalid(name: &str) -> bool {
    INVALID.iter().any(|(invalid, _, _)| *invalid == name)
}

#[test]
fn every_valid_gs1_example_is_taken_and_comes_back_equal() {
    let Some(folder) = suites::folder("GS1_EPCIS_SUITE", "GS1 EPCIS examples as documents") else {
        return;
    };
    let gs1 = gs1_context(&folder);
    let limits = Limits::default();
    let (mut documents, mut count, mut refused) = (0, 0, 0);
    for (name, text, original) in examples(&folder) {
        if let Some((_, rule, pointer)) = INVALID.iter().find(|(invalid, _, _)| *invalid == name) {
            let issues = capture::parse(text.as_bytes(), &limits).expect_err(&name);
            assert_eq!(
                (issues[0].rule, issues[0].pointer.as_str()),
                (*rule, *pointer)
            );
            refused += 1;
            continue;
        }
        let document = capture::parse(text.as_bytes(), &limits)
            .unwrap_or_else(|issues| panic!("{name}: {}", issues[0]));
        let originals = events(&original);
        assert_eq!(document.events.len(), originals.len(), "{name}");
        let statements = canonicalise_document(&document, &limits.rdf)
            .unwrap_or_else(|issue| panic!("{name}: {issue}"));
        for ((event, original_event), statements) in
            document.events.iter().zip(originals).zip(statements)
        {
            let returned = event.self_contained(&document.context);
            let before = by_general_processor(original_event, &original["@context"], &gs1);
            let after = by_general_processor(&returned, &Value::Null, &gs1);
            assert_eq!(after, before, "{name}");
            assert_eq!(Ok(statements.statements.concat()), before, "{name}");
            count += 1;
        }
        documents += 1;
    }
    println!(
        "GS1 EPCIS: {documents} of {documents} valid examples taken ({count} events equal as \
         JSON-LD), {refused} invalid ones refused"
    );
    assert!(documents >= 48, "the suite is incomplete");
}

#[tokio::test]
async fn every_valid_gs1_example_is_captured_by_a_node_and_comes_back_equal() {
    let Some(folder) = suites::folder("GS1_EPCIS_SUITE", "GS1 EPCIS examples through a node")
    else {
        return;
    };
    let gs1 = gs1_context(&folder);
    let mut waiting = examples(&folder);
    waiting.retain(|(name, _, _)| !is_invalid(name));
    let (documents, mut count, mut ledgers) = (waiting.len(), 0, 0);
    // Some examples tell different events under one eventID: a ledger takes the first of them.
    while !waiting.is_empty() {
        ledgers += 1;
        let before = waiting.len();
        let ledger = Ledger::start(1).await;
        let node = ledger.first();
        let mut conflicting = Vec::new();
        for (name, text, original) in waiting {
            let request = ledger
                .request(Method::POST, node, "/capture")
                .bearer_auth(&ledger.token)
                .header("content-type", "application/ld+json")
                .body(text.clone());
            let taken = answer(request).await.expect("an answer");
            if taken.status == 409 {
                conflicting.push((name, text, original));
                continue;
            }
            assert_eq!(taken.status, 202, "{name}: {}", taken.text());
            let taken = taken.json();
            let entries = taken["entries"].as_array().expect("entries");
            let originals = events(&original);
            assert_eq!(entries.len(), originals.len(), "{name}");
            for (entry, original_event) in entries.iter().zip(originals) {
                let path = format!("/api/v1/entries/{entry}/event");
                let returned = ledger.json(node, &path).await;
                assert_eq!(
                    by_general_processor(&returned, &Value::Null, &gs1),
                    by_general_processor(original_event, &original["@context"], &gs1),
                    "{name}"
                );
                count += 1;
            }
        }
        assert!(conflicting.len() < before, "a new ledger refused them all");
        waiting = conflicting;
    }
    println!(
        "GS1 EPCIS through a node: {documents} of {documents} documents captured, {count} events \
         returned equal as JSON-LD, in {ledgers} ledgers"
    );
}
