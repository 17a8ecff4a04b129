//! The canonical form depends on the facts and on nothing else.

use proptest::prelude::*;
use provchain::epcis::{Event, Limits as EpcisLimits, capture};
use provchain::rdf::{Limits, RdfError, canonical_statements, rdfc10};
use provchain::sample::{self, Sample};
use serde_json::{Map, Number, Value, json};

use super::epcis_fixtures;

/// Events with every field, and those of a sample.
fn events() -> Vec<Value> {
    let mut events: Vec<Value> = Sample::new(120, 11).collect();
    events.push(epcis_fixtures::object_event());
    events.push(epcis_fixtures::transformation_event());
    events
}

fn context() -> Value {
    json!([
        sample::context()[0],
        { "example": "https://ns.example.com/epcis/", "ext": "https://ns.example.com/ext/" }
    ])
}

fn statements(event: &Value) -> Result<Vec<String>, RdfError> {
    canonical_statements(event, &context(), &Limits::default())
}

/// The same value with its keys and the elements of its arrays in another order.
fn shuffled(value: &Value, random: &mut impl FnMut(usize) -> usize) -> Value {
    let mut order = |length: usize| {
        let mut places: Vec<usize> = (0..length).collect();
        for place in (1..length).rev() {
            places.swap(place, random(place + 1));
        }
        places
    };
    match value {
        Value::Object(members) => {
            let entries: Vec<_> = members.iter().collect();
            let places = order(entries.len());
            let moved = places.into_iter().map(|place| {
                let (key, value) = entries[place];
                (key.clone(), shuffled(value, random))
            });
            Value::Object(moved.collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let places = order(items.len());
            Value::Array(
                places
                    .into_iter()
                    .map(|place| shuffled(&items[place], random))
                    .collect(),
            )
        }
        scalar => scalar.clone(),
    }
}

/// Every copy of `value` in which one leaf is another one of its kind.
fn with_one_leaf_changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let changed = members.iter().flat_map(|(key, value)| {
                with_one_leaf_changed(value).into_iter().map(move |value| {
                    let mut members = members.clone();
                    members.insert(key.clone(), value);
                    Value::Object(members)
                })
            });
            changed.collect()
        }
        Value::Array(items) => {
            let changed = items.iter().enumerate().flat_map(|(index, item)| {
                with_one_leaf_changed(item).into_iter().map(move |item| {
                    let mut items = items.clone();
                    items[index] = item;
                    Value::Array(items)
                })
            });
            changed.collect()
        }
        Value::String(text) => vec![
            Value::String(format!("{text}1")),
            json!(format!("urn:x:{text}")),
        ],
        Value::Number(number) => {
            let value = number.as_f64().unwrap_or_default();
            vec![Value::Number(
                Number::from_f64(value + 0.5).expect("a finite number"),
            )]
        }
        Value::Bool(truth) => vec![Value::Bool(!truth)],
        Value::Null => vec![],
    }
}

#[test]
fn every_changed_value_of_an_event_changes_a_statement() {
    let mut changes = 0;
    for event in events() {
        let before = statements(&event).expect("valid");
        for changed in with_one_leaf_changed(&event) {
            // A change that is refused cannot be in a ledger at all.
            if let Ok(after) = statements(&changed) {
                assert_ne!(after, before, "{changed}");
                changes += 1;
            }
        }
    }
    assert!(changes > 3000, "only {changes} changes were tried");
}

#[test]
fn every_removed_member_of_an_event_changes_a_statement() {
    for event in events() {
        let before = statements(&event).expect("valid");
        for key in event.as_object().expect("an object").keys() {
            let mut without = event.clone();
            without
                .as_object_mut()
                .expect("an object")
                .shift_remove(key);
            assert_ne!(statements(&without).expect("valid"), before, "{key}");
        }
    }
}

#[test]
fn a_document_gives_each_event_the_statements_that_it_has_alone() {
    let limits = EpcisLimits::default();
    let events: Vec<Value> = Sample::new(60, 12).collect();
    let document = epcis_fixtures::document(&json!(events)).to_string();
    let mut value: Value = serde_json::from_str(&document).expect("JSON");
    value["@context"] = context();
    let document = capture::parse(value.to_string().as_bytes(), &limits).expect("valid");
    let together = provchain::epcis::canonicalise_document(&document, &limits.rdf).expect("valid");
    for (index, event) in events.iter().enumerate() {
        assert_eq!(together[index].event, index);
        assert_eq!(
            together[index].statements,
            statements(event).expect("valid")
        );
    }
}

#[test]
fn the_record_time_alone_tells_a_repeated_event_from_the_first() {
    let limits = EpcisLimits::default();
    let mut event = epcis_fixtures::object_event();
    // Without an identifier the event is a blank node, whose name depends on all it states.
    event
        .as_object_mut()
        .expect("an object")
        .shift_remove("eventID");
    let parse = |event: &Value| {
        let body = epcis_fixtures::document(&json!([event])).to_string();
        capture::parse(body.as_bytes(), &limits)
            .expect("valid")
            .events
            .remove(0)
    };
    let first = parse(&event);
    event["recordTime"] = json!("2026-02-01T00:00:00Z");
    let again = parse(&event);
    event
        .as_object_mut()
        .expect("an object")
        .shift_remove("recordTime");
    let bare = parse(&event);
    let all = |event: &Event| event.statements(&limits.rdf).expect("valid");
    let identity = |event: &Event| {
        event
            .statements_without_record_time(&limits.rdf)
            .expect("valid")
    };
    assert_ne!(all(&first), all(&again));
    assert_eq!(identity(&first), identity(&again));
    assert_eq!(identity(&first), all(&bare));
}

#[test]
fn graphs_made_to_be_expensive_are_refused_by_counting() {
    // Twelve nodes, each tied to each: nothing tells them apart.
    let clique: String = (0..12)
        .flat_map(|a| (0..12).filter(move |b| *b != a).map(move |b| (a, b)))
        .map(|(a, b)| format!("_:n{a} <urn:tied> _:n{b} .\n"))
        .collect();
    assert_eq!(rdfc10(&clique, &Limits::default()), Err(RdfError::Poison));
    // The same as JSON: equal parts with equal parts.
    let part = json!({ "ext:part": vec![json!({ "ext:size": {} }); 12] });
    let event = json!({ "type": "ObjectEvent", "ext:parts": [part, part] });
    assert_eq!(statements(&event), Err(RdfError::Poison));
    // A long ring leads from node to node to node, however many steps are allowed.
    let ring: String = (0..600)
        .map(|n| format!("_:n{n} <urn:next> _:n{} .\n", (n + 1) % 600))
        .collect();
    let patient = Limits {
        steps_max: u64::MAX,
        ..Limits::default()
    };
    assert_eq!(rdfc10(&ring, &patient), Err(RdfError::Poison));
}

#[test]
fn graphs_named_by_blank_nodes_have_the_form_of_an_independent_implementation() {
    for predicate in 0..8 {
        // Two rings whose nodes look alike until their lengths are known.
        let ring = |name: &str, length: usize| -> String {
            (0..length)
                .map(|n| {
                    let next = (n + 1) % length;
                    format!("_:{name}{n} <urn:p{predicate}> \"x\" _:{name}{next} .\n")
                })
                .collect()
        };
        let nquads = ring("a", 3) + &ring("b", 4);
        let ours = rdfc10(&nquads, &Limits::default());
        assert_eq!(ours, Ok(by_sophia(&nquads)));
    }
}

#[test]
fn equal_readings_are_told_apart_without_trouble() {
    let reading = json!({ "type": "Temperature", "value": 4.0, "uom": "CEL" });
    let event = json!({
        "type": "ObjectEvent",
        "sensorElementList": [{ "sensorReport": vec![reading; 60] }]
    });
    let lines = statements(&event).expect("sixty equal readings are sixty readings");
    assert_eq!(lines.len(), 1 + 1 + 60 * 4);
}

/// A random graph over few nodes, so that many look alike: subject, predicate and object by
/// number; an object above five is a literal.
///
/// There are no named graphs, as there are none in events. RDFC-1.0 hashes a neighbour with its
/// position and predicate, but without the graph and without the node's own position; in the
/// default graph that is everything, with named graphs it leaves ties that are none.
fn graph() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0..6u8, 0..2u8, 0..8u8), 1..14)
}

fn nquads(graph: &[(u8, u8, u8)], name: impl Fn(u8) -> String) -> String {
    let line = |(subject, predicate, object): &(u8, u8, u8)| {
        let object = match object {
            6.. => format!("\"{object}\""),
            node => format!("_:{}", name(*node)),
        };
        format!("_:{} <urn:p{predicate}> {object} .\n", name(*subject))
    };
    graph.iter().map(line).collect()
}

/// The canonical form by an independent implementation.
fn by_sophia(nquads: &str) -> String {
    use sophia_api::quad::Spog;
    use sophia_api::term::{BnodeId, IriRef, SimpleTerm};

    let term = |text: &str| -> SimpleTerm<'static> {
        let owned = |text: &str| text.to_owned().into();
        if let Some(label) = text.strip_prefix("_:") {
            SimpleTerm::BlankNode(BnodeId::new_unchecked(owned(label)))
        } else if let Some(iri) = text.strip_prefix('<') {
            SimpleTerm::Iri(IriRef::new_unchecked(owned(iri.trim_end_matches('>'))))
        } else {
            let string = "http://www.w3.org/2001/XMLSchema#string".to_owned().into();
            SimpleTerm::LiteralDatatype(
                owned(text.trim_matches('"')),
                IriRef::new_unchecked(string),
            )
        }
    };
    let quads: std::collections::HashSet<Spog<SimpleTerm<'static>>> = nquads
        .lines()
        .map(|line| {
            let terms: Vec<&str> = line.split(' ').collect();
            let graph = (terms[3] != ".").then(|| term(terms[3]));
            ([term(terms[0]), term(terms[1]), term(terms[2])], graph)
        })
        .collect();
    let mut canonical = Vec::new();
    sophia_c14n::rdfc10::normalize_with::<sophia_c14n::hash::Sha256, _, _>(
        &quads,
        &mut canonical,
        100.0,
        100,
    )
    .expect("small graphs are canonicalised");
    String::from_utf8(canonical).expect("text")
}

proptest! {
    #![proptest_config(super::suites::property_config())]

    #[test]
    fn order_of_keys_and_of_lists_does_not_matter(
        index in any::<prop::sample::Index>(),
        picks in prop::collection::vec(any::<u16>(), 64),
    ) {
        let events = events();
        let event = index.get(&events);
        let mut picks = picks.into_iter().cycle();
        let mut random =
            |bound: usize| usize::from(picks.next().unwrap_or_default()) % bound;
        prop_assert_eq!(statements(&shuffled(event, &mut random)), statements(event));
    }

    #[test]
    fn names_of_blank_nodes_and_order_of_lines_do_not_matter(
        graph in graph(),
        shift in 0..6u8,
        turn in any::<prop::sample::Index>(),
    ) {
        let limits = Limits { steps_max: 2_000_000, ..Limits::default() };
        let plain = rdfc10(&nquads(&graph, |node| format!("n{node}")), &limits);
        let mut moved = graph.clone();
        moved.rotate_left(turn.index(graph.len()));
        moved.reverse();
        let renamed = nquads(&moved, |node| format!("x{}", (node + shift) % 6));
        prop_assert!(plain.is_ok());
        prop_assert_eq!(rdfc10(&renamed, &limits), plain);
    }

    #[test]
    fn random_graphs_have_the_form_of_an_independent_implementation(mut graph in graph()) {
        // sophia counts a statement in which a node stands twice as two; the recommendation, and
        // the implementation of its editors, as one.
        graph.retain(|(subject, _, object)| subject != object);
        let limits = Limits { steps_max: 2_000_000, ..Limits::default() };
        let nquads = nquads(&graph, |node| format!("n{node}"));
        prop_assert_eq!(rdfc10(&nquads, &limits), Ok(by_sophia(&nquads)));
    }
}
