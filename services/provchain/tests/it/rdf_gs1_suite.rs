//! The statements of events equal those of a general JSON-LD processor over GS1's own context.

use std::cell::Cell;
use std::path::Path;

use oxjsonld::{JsonLdParser, JsonLdRemoteDocument};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use provchain::rdf::{Limits, canonical_statements, rdfc10};
use provchain::sample::Sample;
use serde_json::{Value, json};

use super::suites;

/// The canonical statements of `event` by `oxjsonld`, with `gs1` as the text of GS1's context.
pub fn by_general_processor(event: &Value, context: &Value, gs1: &str) -> Result<String, String> {
    let mut document = event.as_object().expect("an event is an object").clone();
    let own = document.shift_remove("@context");
    let contexts: Vec<Value> = [Some(context.clone()), own]
        .into_iter()
        .flatten()
        .filter(|context| !context.is_null())
        .flat_map(|context| match context {
            Value::Array(entries) => entries,
            single => vec![single],
        })
        .collect();
    document.shift_insert(0, "@context".to_owned(), json!(contexts));
    let text = serde_json::to_string(&document).expect("JSON");
    let gs1 = gs1.as_bytes().to_vec();
    let quads = JsonLdParser::new()
        .for_slice(&text)
        .with_load_document_callback(move |url, _| {
            Ok(JsonLdRemoteDocument {
                document: gs1.clone(),
                document_url: url.to_owned(),
            })
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let nquads: String = quads.iter().map(|quad| format!("{quad} .\n")).collect();
    rdfc10(&nquads, &Limits::default()).map_err(|error| error.to_string())
}

/// GS1's own context file, with the one term that it forgets: the schema allows `bizRules` in a
/// sensor report, and without the term JSON-LD drops it.
pub fn gs1_context(folder: &Path) -> String {
    let text = suites::text(&folder.join("epcis-context.jsonld"));
    let mut file: Value = serde_json::from_str(&text).expect("JSON");
    let element = &mut file["@context"]["sensorElementList"]["@context"];
    let forgotten = element["sensorMetadata"]["@context"]["bizRules"].clone();
    assert_eq!(element["sensorReport"]["@context"]["bizRules"], Value::Null);
    element["sensorReport"]["@context"]["bizRules"] = forgotten;
    file.to_string()
}

/// The events of an EPCIS document of any kind.
pub fn events(document: &Value) -> Vec<&Value> {
    let lists = [
        "/epcisBody/eventList",
        "/epcisBody/queryResults/resultsBody/eventList",
    ];
    match lists.iter().find_map(|list| document.pointer(list)) {
        Some(list) => list.as_array().expect("a list of events").iter().collect(),
        None => vec![document],
    }
}

/// Extensions of every kind that contexts here can declare, and some that look like them.
fn extension_contexts() -> Vec<Value> {
    [
        json!({ "ext": "https://ns.example.com/ext/" }),
        json!({ "ext": "https://ns.example.com/ext" }),
        json!({ "ext": { "@id": "https://ns.example.com/ext-", "@prefix": true } }),
        json!({ "@version": 1.1, "@protected": true, "ext": "cbv:", "gs1": "https://gs1.org/voc/" }),
        json!({
            "ext:a": { "@type": "@id" },
            "ext:b": { "@type": "xsd:integer" },
            "ext": "urn:example:ext:",
            "word": { "@id": "ext:word", "@type": "@vocab" },
            "list": { "@id": "ext:list", "@container": "@list" },
            "ids": { "@id": "ext:ids", "@type": "@id", "@container": "@list" },
            "double": { "@id": "rdfs:label", "@type": "xsd:double" },
            "set": { "@id": "ext:set", "@container": ["@set"] },
            "alias": "word"
        }),
    ]
    .into_iter()
    .map(|own| json!([provchain::sample::context()[0], own]))
    .collect()
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec![
            "text",
            "a \"quoted\"\n\u{7f}é",
            "",
            "ext:value",
            "word",
            "set",
            "action",
            "cbv:x",
            "Temperature",
            "urn:epc:id:sgtin:0614141.107346.2017",
            "https://example.org/a?b#c",
            "nope:x",
            "id",
            "2026-01-05T05:00:00Z",
            "shipping",
            "epcis",
            "ObjectEvent",
            "12",
            "_:b0",
            "a b:c",
        ])
        .prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-100_000..100_000i64).prop_map(Value::from),
        (-100_000..100_000i32, 0..6i32)
            .prop_map(|(digits, places)| json!(f64::from(digits) / 10f64.powi(places))),
        Just(json!(1e25)),
        Just(json!(-0.0)),
    ]
}

fn extension() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        let keys = prop::sample::select(vec![
            "ext:a",
            "ext:b",
            "ext:c",
            "word",
            "list",
            "ids",
            "double",
            "set",
            "alias",
            "ext",
            "id",
            "type",
            "eventID",
            "action",
            "quantity",
            "time",
            "value",
            "epcClass",
            "source",
            "sensorReport",
            "sensorElementList",
            "sensorMetadata",
            "bizTransactionList",
            "bizTransaction",
            "sourceList",
            "errorDeclaration",
            "reason",
            "readPoint",
            "bizStep",
            "persistentDisposition",
            "member",
            "creationDate",
            "https://example.org/p",
            "gs1:p",
            "ilmd",
            "epcis",
            "set",
            "unset",
            "stringValue",
            "component",
            "rdfs:label",
        ]);
        prop_oneof![
            3 => prop::collection::vec((keys, inner.clone()), 0..5)
                .prop_map(|members| members.into_iter().collect::<Value>()),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

#[test]
fn random_extensions_have_the_statements_of_a_general_processor() {
    let Some(folder) = suites::folder("GS1_EPCIS_SUITE", "random extensions as RDF") else {
        return;
    };
    let gs1 = gs1_context(&folder);
    let contexts = extension_contexts();
    let mut runner = TestRunner::new(Config {
        cases: 2000,
        ..suites::property_config()
    });
    let taken = Cell::new(0);
    let strategy = (prop::sample::select(contexts), extension());
    runner
        .run(&strategy, |(context, extension)| {
            let event = json!({ "type": "ObjectEvent", "ext:x": extension });
            if let Ok(ours) = canonical_statements(&event, &context, &Limits::default()) {
                taken.set(taken.get() + 1);
                prop_assert_eq!(
                    Ok(ours.concat()),
                    by_general_processor(&event, &context, &gs1)
                );
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    println!(
        "random extensions: {} of 2000 taken, all equal as RDF",
        taken.get()
    );
    assert!(taken.get() > 400, "only {} were taken", taken.get());
}

#[test]
fn every_event_of_a_sample_has_the_statements_of_a_general_processor() {
    let Some(folder) = suites::folder("GS1_EPCIS_SUITE", "sample events as RDF") else {
        return;
    };
    let gs1 = gs1_context(&folder);
    let context = provchain::sample::context();
    for event in Sample::new(150, 21) {
        let ours = canonical_statements(&event, &context, &Limits::default()).expect("valid");
        assert_eq!(
            Ok(ours.concat()),
            by_general_processor(&event, &context, &gs1),
            "{event}"
        );
    }
}
