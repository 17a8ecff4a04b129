//! Whatever the bytes, the reader of XML answers; and what is written as XML is read as it was.

use proptest::prelude::*;
use provchain::epcis::{Limits, canonicalise_document, capture, xml};
use provchain::sample::Sample;
use serde_json::{Map, Value, json};

use super::epcis_fixtures::{
    aggregation_event, document, object_event, transaction_event, transformation_event,
};
use super::epcis_xml_writer::{Version, write};

/// Whether the answer to `body` is in order: events, or issues that say something.
fn answers(body: &[u8]) -> bool {
    match capture::parse_xml(body, &Limits::default()) {
        Ok(_) => true,
        Err(issues) => !issues.is_empty() && issues.iter().all(|issue| !issue.message.is_empty()),
    }
}

fn sample(seed: u64, events: usize) -> Vec<Value> {
    let mut sample = Sample::new(events, seed);
    let mut documents: Vec<Value> = sample.documents(50).collect();
    for document in &mut documents {
        // A boolean: in XML it is a text.
        for event in document["epcisBody"]["eventList"]
            .as_array_mut()
            .expect("events")
        {
            let event = event.as_object_mut().expect("an event");
            event.shift_remove("example:coldChainBroken");
        }
    }
    documents
}

fn version() -> impl Strategy<Value = Version> {
    prop::sample::select(vec![Version::Old, Version::New])
}

/// What an extension may be: texts, objects of extensions, and arrays of at least two of them.
fn extension() -> impl Strategy<Value = Value> {
    let text = "[ -~\n\u{e9}\u{1f600}]{0,12}".prop_map(|text| json!(text.trim()));
    text.prop_recursive(4, 24, 4, |inner| {
        let keys = prop::sample::select(vec!["ext:a", "ext:b-c", "other:d", "cbvmda:e", "gs1:f"]);
        let members = prop::collection::vec((keys, inner.clone()), 1..4).prop_map(|members| {
            let members = members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value));
            Value::Object(members.collect())
        });
        let item = inner.prop_filter("arrays do not nest", |value| !value.is_array());
        prop_oneof![2 => members, 1 => prop::collection::vec(item, 2..4).prop_map(Value::from)]
    })
}

/// An event of some type with some of the fields that it can have.
fn event() -> impl Strategy<Value = Value> {
    let mut object = object_event();
    object["certificationInfo"] = json!("https://example.org/certificate/1");
    let bases = vec![
        object,
        aggregation_event("AggregationEvent"),
        aggregation_event("AssociationEvent"),
        transaction_event(),
        transformation_event(),
    ];
    let kept = prop::collection::vec(any::<bool>(), 32);
    (
        prop::sample::select(bases),
        kept,
        extension(),
        extension(),
        extension(),
    )
        .prop_map(|(base, kept, one, two, three)| {
            let mut event = Map::new();
            for ((key, value), kept) in base.as_object().expect("an event").iter().zip(kept) {
                if kept || key == "type" {
                    event.insert(key.clone(), value.clone());
                }
            }
            event.insert("ext:note".to_owned(), one);
            for (place, value) in [("readPoint", two), ("ilmd", three)] {
                if let Some(place) = event.get_mut(place) {
                    place["other:more"] = value;
                }
            }
            event.into()
        })
}

#[test]
fn samples_written_as_xml_are_captured_with_equal_statements() {
    let limits = Limits::default();
    for version in [Version::Old, Version::New] {
        for document in (0..4).flat_map(|seed| sample(seed, 100)) {
            let json = serde_json::to_vec(&document).expect("JSON");
            let json = capture::parse(&json, &limits).expect("a valid sample");
            let written = write(&document, version);
            let xml = capture::parse_xml(written.as_bytes(), &limits)
                .unwrap_or_else(|issues| panic!("{}\n{written}", issues[0]));
            assert_eq!(
                canonicalise_document(&xml, &limits.rdf),
                canonicalise_document(&json, &limits.rdf)
            );
        }
    }
}

proptest! {
    #![proptest_config(super::suites::property_config())]

    #[test]
    fn events_written_as_xml_are_read_as_they_were(event in event(), version in version()) {
        let mut document = document(&json!([event]));
        document["@context"][1]["other"] = json!("urn:example:other:");
        let written = write(&document, version);
        let read = xml::to_json(written.as_bytes(), &Limits::default());
        let mut read = read.unwrap_or_else(|issues| panic!("{}\n{written}", issues[0]));
        prop_assert_eq!(&read["epcisBody"]["eventList"][0], &event, "{}", written);
        for (prefix, base) in read["@context"][1].take().as_object().into_iter().flatten() {
            prop_assert_eq!(base, &document["@context"][1][prefix]);
        }
    }

    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(answers(&body));
    }

    #[test]
    fn anything_that_looks_like_xml_is_answered(
        body in r#"(<|</|/>|>|<!|<!--|-->|<\?|\?>|<!\[CDATA\[|\]\]>|&|;|#|x|=|'|"|:|xmlns|a|b|urn:e| |\n|1){0,40}"#
    ) {
        prop_assert!(answers(body.as_bytes()));
    }

    #[test]
    fn damaged_documents_are_answered(
        seed in 0..20u64,
        version in version(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = write(&sample(seed, 4)[0], version).into_bytes();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        prop_assert!(answers(&body));
    }

    #[test]
    fn truncated_and_spliced_documents_are_answered(
        seed in 0..20u64,
        version in version(),
        cut in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
    ) {
        let body = write(&sample(seed, 4)[0], version).into_bytes();
        let (cut, from) = (cut.index(body.len()), from.index(body.len()));
        prop_assert!(answers(&body[..cut]));
        prop_assert!(answers(&[&body[..cut], &body[from..]].concat()));
    }

    /// Tags of one document in another place: well-formed, and never valid.
    #[test]
    fn elements_out_of_place_are_answered(
        seed in 0..20u64,
        version in version(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let body = write(&sample(seed, 4)[0], version);
        let lines: Vec<&str> = body.lines().collect();
        let mut moved = lines.clone();
        moved.swap(from.index(lines.len()), to.index(lines.len()));
        prop_assert!(answers(moved.join("\n").as_bytes()));
    }
}
