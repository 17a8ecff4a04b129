//! GS1's own examples (the repository gs1/EPCIS) are taken, and come back as they went in.

use provchain::epcis::{Limits, Rule, canonicalise_document, capture};
use serde_json::Value;

use super::rdf_equality::{by_general_processor, events, gs1_context};
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

#[test]
fn every_valid_gs1_example_is_taken_and_comes_back_equal() {
    let Some(folder) = suites::folder("GS1_EPCIS_SUITE", "GS1 EPCIS examples as captures") else {
        return;
    };
    let gs1 = gs1_context(&folder);
    let limits = Limits::default();
    let (mut documents, mut count, mut refused) = (0, 0, 0);
    let paths = [
        suites::files(&folder.join("JSON"), &["jsonld"]),
        suites::files(&folder.join("JSON-Schema/test"), &["json"]),
    ];
    for path in paths.concat() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("sch") {
            continue; // A schema, not an example.
        }
        let text = suites::text(&path);
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
        let original: Value = serde_json::from_str(&text).expect("JSON");
        let originals = events(&original);
        assert_eq!(document.events.len(), originals.len(), "{name}");
        let statements = canonicalise_document(&document, &limits.rdf)
            .unwrap_or_else(|issue| panic!("{name}: {issue}"));
        for ((event, original_event), statements) in
            document.events.iter().zip(originals).zip(statements)
        {
            let returned = event.self_contained(&document.context);
            let context = match &document.context {
                Value::Null => &Value::Null,
                _ => &original["@context"],
            };
            let before = by_general_processor(original_event, context, &gs1).expect(&name);
            let after = by_general_processor(&returned, &Value::Null, &gs1).expect(&name);
            assert_eq!(after, before, "{name}");
            assert_eq!(statements.statements.concat(), before, "{name}");
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
