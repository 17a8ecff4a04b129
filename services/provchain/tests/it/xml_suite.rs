//! Published examples in XML are taken, and say what their twins in JSON say.
//!
//! Twins differ here and there, for nobody checks them against each other: each difference is named
//! with its reason, and must be there.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use provchain::epcis::{Document, Event, Issue, Limits, capture, xml};
use provchain::rdf::canonical_statements;
use serde_json::Value;

use super::suites;
use super::xml_twins::{
    Difference, GS1_DIFFERENCES, GS1_REFUSED, GS1_TWINS, HASH_DIFFERENCES, HASH_EQUAL,
    HASH_REFUSED, Refused, SENSOR_DATA, SENSOR_DATA_REFUSED,
};

/// What became of a suite's examples.
#[derive(Default)]
struct Count {
    examples: usize,
    taken: usize,
    events: usize,
    refused: usize,
    with_document_type: usize,
}

/// All examples in XML below `folders`, by their paths.
fn convert(
    suite: &Path,
    folders: &[&str],
    refused: &[Refused],
) -> (HashMap<String, Document>, Count) {
    let mut count = Count::default();
    let mut documents = HashMap::new();
    for folder in folders {
        for path in suites::files(&suite.join(folder), &["xml"]) {
            let name = path
                .strip_prefix(suite)
                .expect("a path below")
                .display()
                .to_string();
            let text = suites::text(&path);
            count.examples += 1;
            let mut parsed = parse(&text);
            // What GS1's examples declare is empty, and refused all the same.
            if text.contains(DOCUMENT_TYPE) {
                let issue = &parsed.expect_err(&name)[0];
                assert!(issue.message.contains("DOCTYPE"), "{name}: {issue}");
                parsed = parse(&text.replace(DOCUMENT_TYPE, ""));
                count.with_document_type += 1;
            }
            match refused.iter().find(|wrong| wrong.0 == name) {
                Some((_, rule, part, why)) => {
                    let issue = &parsed.expect_err(why)[0];
                    assert_eq!(issue.rule, *rule, "{name}: {issue}");
                    assert!(issue.message.contains(part), "{name}: {issue}");
                    count.refused += 1;
                }
                None => match parsed {
                    Ok(document) => {
                        count.taken += 1;
                        count.events += document.events.len();
                        documents.insert(name, document);
                    }
                    Err(issues) => panic!("{name}: {}", issues[0]),
                },
            }
        }
    }
    (documents, count)
}

const DOCUMENT_TYPE: &str = "<!DOCTYPE project>";

fn parse(text: &str) -> Result<Document, Vec<Issue>> {
    capture::parse_xml(text.as_bytes(), &Limits::default())
}

/// The statements of an event without some of its members.
fn statements(document: &Document, event: &Event, without: &[&str]) -> Vec<String> {
    let mut value = event.self_contained(&document.context);
    let members = value.as_object_mut().expect("an event");
    for member in without {
        members.shift_remove(*member);
    }
    canonical_statements(&value, &Value::Null, &Limits::default().rdf).expect("statements")
}

/// The members in which two events differ, each looked at alone.
fn differing(ours: (&Document, &Event), theirs: (&Document, &Event)) -> BTreeSet<String> {
    let members = |event: &Event| event.value.as_object().expect("an event").clone();
    let names: BTreeSet<String> = [members(ours.1), members(theirs.1)]
        .into_iter()
        .flat_map(|members| members.into_iter().map(|(name, _)| name))
        .collect();
    let alone = |(document, event): (&Document, &Event), name: &str| {
        let others: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|other| *other != name && *other != "type")
            .collect();
        statements(document, event, &others)
    };
    let differs = |name: &&String| alone(ours, name) != alone(theirs, name);
    names.iter().filter(differs).cloned().collect()
}

/// Compares the events of `name` with those of its twins; how many are equal but for an `eventID`
/// that only the twin has, and how many but for other differences that are named.
fn compare(
    name: &str,
    document: &Document,
    twins: &[Document],
    differences: &[Difference],
) -> (usize, usize) {
    let theirs: Vec<(&Document, &Event)> = twins
        .iter()
        .flat_map(|twin| twin.events.iter().map(move |event| (twin, event)))
        .collect();
    assert!(
        !theirs.is_empty() && theirs.len() <= document.events.len(),
        "{name}"
    );
    let (mut equal, mut unequal) = (0, 0);
    let mut wrong = Vec::new();
    for (index, (event, their)) in document.events.iter().zip(theirs).enumerate() {
        let named: BTreeSet<String> = differences
            .iter()
            .filter(|(example, events, _, _)| *example == name && events.contains(&index))
            .flat_map(|(_, _, members, _)| members.iter().map(ToString::to_string))
            .collect();
        let found = differing((document, event), their);
        if found != named {
            wrong.push(format!("{name}, event {index}: {found:?}, not {named:?}"));
            continue;
        }
        let without: Vec<&str> = named.iter().map(String::as_str).collect();
        assert_eq!(
            statements(document, event, &without),
            statements(their.0, their.1, &without),
            "{name}, event {index}"
        );
        if named.iter().all(|member| member == "eventID") {
            equal += 1;
        } else {
            unequal += 1;
        }
    }
    assert!(wrong.is_empty(), "these differ:\n{}", wrong.join("\n"));
    (equal, unequal)
}

/// The events of [`SENSOR_DATA`] that are not refused.
fn sensor_data(suite: &Path) -> Document {
    let text = suites::text(&suite.join(SENSOR_DATA));
    let mut value = xml::to_json(text.as_bytes(), &Limits::default()).expect("converted");
    let list = &mut value["epcisBody"]["eventList"];
    let mut index = 0;
    list.as_array_mut().expect("events").retain(|_| {
        index += 1;
        !SENSOR_DATA_REFUSED.contains(&(index - 1))
    });
    let body = serde_json::to_vec(&value).expect("JSON");
    capture::parse(&body, &Limits::default()).expect("valid events")
}

#[test]
fn every_gs1_example_in_xml_is_converted_and_equals_its_twin() {
    let Some(suite) = suites::folder("GS1_EPCIS_SUITE", "GS1 EPCIS examples in XML") else {
        return;
    };
    let (mut documents, count) = convert(&suite, &["XML", "XSL/1.2/XML"], GS1_REFUSED);
    documents.insert(SENSOR_DATA.to_owned(), sensor_data(&suite));
    let (mut equal, mut differing) = (0, 0);
    for (name, twins) in GS1_TWINS {
        let twins: Vec<Document> = twins
            .iter()
            .map(|twin| {
                let text = suites::text(&suite.join(format!("JSON/{twin}.jsonld")));
                capture::parse(text.as_bytes(), &Limits::default())
                    .unwrap_or_else(|issues| panic!("{twin}: {}", issues[0]))
            })
            .collect();
        let compared = compare(name, &documents[*name], &twins, GS1_DIFFERENCES);
        equal += compared.0;
        differing += compared.1;
    }
    let Count {
        examples,
        taken,
        events,
        refused,
        with_document_type,
    } = count;
    println!(
        "GS1 EPCIS in XML: {taken} of {examples} examples taken ({events} events; \
         {with_document_type} without their document type), {refused} refused; {equal} events equal \
         to their twin in JSON but for its eventID, {differing} but for other named differences"
    );
    assert!(examples >= 40, "the suite is incomplete");
}

#[test]
fn every_event_hash_example_in_xml_is_converted_and_equals_its_twin() {
    let Some(suite) = suites::folder("EVENT_HASH_SUITE", "event hash examples in XML") else {
        return;
    };
    let folders = ["tests/examples", "tests/expected_equal"];
    let (documents, count) = convert(&suite, &folders, HASH_REFUSED);
    let (mut equal, mut differing) = (0, 0);
    for (name, document) in &documents {
        let twin = suite.join(name).with_extension("jsonld");
        if twin.exists() {
            let text = suites::text(&twin);
            let twin = capture::parse(text.as_bytes(), &Limits::default())
                .unwrap_or_else(|issues| panic!("{name}: {}", issues[0]));
            assert_eq!(twin.events.len(), document.events.len(), "{name}");
            let compared = compare(name, document, &[twin], HASH_DIFFERENCES);
            equal += compared.0;
            differing += compared.1;
        }
    }
    for name in HASH_EQUAL {
        let document = &documents[&format!("tests/expected_equal/{name}")];
        for event in &document.events[1..] {
            assert_eq!(
                statements(document, event, &[]),
                statements(document, &document.events[0], &[]),
                "{name}"
            );
        }
    }
    let Count {
        examples,
        taken,
        events,
        refused,
        ..
    } = count;
    println!(
        "event hashes in XML: {taken} of {examples} examples taken ({events} events), {refused} \
         refused; {equal} events equal to their twin in JSON, {differing} but for named differences"
    );
    assert!(examples >= 25, "the suite is incomplete");
}
