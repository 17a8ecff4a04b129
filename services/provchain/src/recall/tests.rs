use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::epcis::identifier::Short;
use crate::epcis::links::Role;
use crate::epcis::{Limits as DocumentLimits, capture};
use crate::sample::{Sample, Truth};
use crate::trace::{
    self, Direction, EventLinks, EventRow, Facts, Limits, Links, Named, Passes, Touch,
};

/// The dossier of `epc` over the events of these documents.
fn dossier(documents: impl Iterator<Item = Value>, epc: &str) -> Dossier {
    let (mut links, mut rows) = taken(documents);
    let item = Identifier::parse(epc).unwrap().key.to_string();
    let (down, passes) = (Direction::Down, Passes::default());
    let Ok(lineage) = trace::walk(&mut links, &item, down, &passes, Limits::default());
    let question = trace::Question {
        epc: epc.to_owned(),
        item,
        direction: down,
        depth: 64,
        filter: Filter::default(),
        tree_size: rows.len() as u64,
    };
    rows.retain(|row| lineage.entries.contains(&row.entry));
    Dossier::new(Answer::new(question, &lineage, rows), &lineage)
}

/// The events of documents, as a walk reads them, and in short.
fn taken(documents: impl Iterator<Item = Value>) -> (EventLinks, Vec<EventRow>) {
    let (mut links, mut rows) = (EventLinks::default(), Vec::new());
    for document in documents {
        let body = serde_json::to_vec(&document).unwrap();
        let document = capture::parse(&body, &DocumentLimits::default())
            .unwrap_or_else(|issues| panic!("{}", issues[0]));
        for event in document.events {
            let row = EventRow::of(rows.len() as u64, &event);
            links.take(&row, &event);
            rows.push(row);
        }
    }
    (links, rows)
}

fn of_sample(events: usize, seed: u64) -> (Truth, Dossier) {
    let mut sample = Sample::new(events, seed);
    let documents: Vec<Value> = sample.documents(100).collect();
    let truth = sample.truth().clone();
    let dossier = dossier(documents.into_iter(), &truth.recalled.urn);
    (truth, dossier)
}

/// Where every item was last seen.
fn last_places(dossier: &Dossier) -> BTreeMap<String, Option<String>> {
    let items = dossier.batches.iter().chain(&dossier.instances);
    let place = |item: &'_ Affected| Some(item.last_seen.as_ref()?.place.as_deref()?.to_owned());
    items.map(|item| (item.item.clone(), place(item))).collect()
}

#[test]
fn what_shops_received_of_the_sample_was_last_seen_in_these_shops() {
    for (events, seed) in [(600, 44), (2000, 7)] {
        let (truth, dossier) = of_sample(events, seed);
        let places = last_places(&dossier);
        let mut shops = 0;
        for (gln, shop) in &truth.retailers {
            let shop_key = format!("https://id.gs1.org/414/{gln}");
            for item in &shop.received {
                assert_eq!(places[item], Some(shop_key.clone()), "{item}");
            }
            let place = dossier.places.iter().find(|place| place.place == shop_key);
            let place = place.unwrap_or_else(|| panic!("no {shop_key}"));
            assert_eq!(place.items_last_seen, shop.received.len());
            shops += 1;
        }
        assert!(shops >= 2, "{shops} shops show little");
        let unknown = places.values().filter(|place| place.is_none()).count();
        assert_eq!(unknown, dossier.summary.unplaced);
        let lots = dossier
            .batches
            .iter()
            .filter(|batch| truth.affected.contains(&batch.item));
        assert!(lots.count() >= 4, "{:?}", dossier.batches);
        let sold = dossier
            .instances
            .iter()
            .filter(|item| item.end.is_some())
            .count();
        assert!(
            sold > 0 && sold == dossier.summary.sold,
            "{sold} of {:?}",
            dossier.summary
        );
    }
}

/// A document with these events, each told by its fields beside the ones that all have.
fn document(events: &[Value]) -> Value {
    let events: Vec<Value> = (0..)
        .zip(events)
        .map(|(hour, fields)| {
            let mut event = json!({
                "eventTime": format!("2026-01-05T{hour:02}:00:00Z"),
                "eventTimeZoneOffset": "+00:00",
            });
            for (name, value) in fields.as_object().unwrap() {
                event[name] = value.clone();
            }
            event
        })
        .collect();
    json!({
        "@context": crate::sample::context(),
        "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": "2026-01-06T00:00:00Z",
        "epcisBody": { "eventList": events },
    })
}

fn packed(action: &str, part: &str, whole: &str, place: &str) -> Value {
    json!({
        "type": "AggregationEvent", "action": action, "parentID": whole, "childEPCs": [part],
        "readPoint": { "id": place },
    })
}

fn seen(item: &str, place: &str, step: &str) -> Value {
    json!({
        "type": "ObjectEvent", "action": "OBSERVE", "bizStep": step, "epcList": [item],
        "readPoint": { "id": place },
    })
}

#[test]
fn a_thing_is_where_what_it_is_in_was_seen_and_not_where_that_went_without_it() {
    let events = [
        packed("ADD", "urn:x:milk", "urn:x:crate", "urn:x:dairy"),
        packed("ADD", "urn:x:crate", "urn:x:truck", "urn:x:dairy"),
        seen("urn:x:truck", "urn:x:depot", "arriving"),
        packed("DELETE", "urn:x:crate", "urn:x:truck", "urn:x:depot"),
        seen("urn:x:truck", "urn:x:harbour", "arriving"),
        seen("urn:x:crate", "urn:x:shop", "receiving"),
    ];
    let whole = dossier([document(&events)].into_iter(), "urn:x:milk");
    let place = |item| last_places(&whole)[item].clone().unwrap();
    assert_eq!(place("urn:x:milk"), "urn:x:shop");
    assert_eq!(place("urn:x:crate"), "urn:x:shop");
    assert_eq!(place("urn:x:truck"), "urn:x:depot");
    let milk = whole.instances[0].last_seen.as_ref().unwrap();
    assert_eq!(milk.within.as_deref(), Some("urn:x:crate"));
    assert_eq!(
        (milk.entry, milk.time.as_str()),
        (5, "2026-01-05T05:00:00.000Z")
    );
    // Before the crate was taken off, the truck says where the milk is.
    let early = dossier([document(&events[..3])].into_iter(), "urn:x:milk");
    assert_eq!(
        last_places(&early)["urn:x:milk"].as_deref(),
        Some("urn:x:depot")
    );
}

#[test]
fn what_left_is_not_where_its_whole_went_on_with_another_part() {
    let events = [
        json!({
            "type": "TransformationEvent",
            "inputEPCList": ["urn:x:lot"], "outputEPCList": ["urn:x:milk", "urn:x:cream"],
        }),
        packed("ADD", "urn:x:milk", "urn:x:truck", "urn:x:dairy"),
        packed("ADD", "urn:x:cream", "urn:x:truck", "urn:x:dairy"),
        packed("DELETE", "urn:x:milk", "urn:x:truck", "urn:x:depot"),
        seen("urn:x:truck", "urn:x:harbour", "arriving"),
    ];
    let dossier = dossier([document(&events)].into_iter(), "urn:x:lot");
    let places = last_places(&dossier);
    let place = |item| places[item].as_deref();
    assert_eq!(place("urn:x:milk"), Some("urn:x:depot"));
    assert_eq!(place("urn:x:cream"), Some("urn:x:harbour"));
    assert_eq!(place("urn:x:truck"), Some("urn:x:harbour"));
}

#[test]
fn every_word_for_an_end_counts_as_a_step_or_as_a_disposition() {
    for (field, word, how) in [
        ("bizStep", "retail_selling", "sold"),
        ("bizStep", "dispensing", "sold"),
        ("bizStep", "destroying", "destroyed"),
        ("disposition", "retail_sold", "sold"),
        ("disposition", "dispensed", "sold"),
        ("disposition", "partially_dispensed", "sold"),
        ("disposition", "destroyed", "destroyed"),
        ("disposition", "disposed", "destroyed"),
    ] {
        let event = json!({
            "type": "ObjectEvent", "action": "OBSERVE", "epcList": ["urn:x:milk"], field: word,
        });
        let dossier = dossier([document(&[event])].into_iter(), "urn:x:milk");
        let end = dossier.instances[0].end.as_ref();
        assert_eq!(end.map(|end| end.how.as_str()), Some(how), "{field} {word}");
    }
}

#[test]
fn what_leaves_the_chain_is_said_with_the_event_that_tells_it() {
    let events = [
        packed("ADD", "urn:x:milk", "urn:x:crate", "urn:x:dairy"),
        seen("urn:x:crate", "urn:x:shop", "retail_selling"),
    ];
    let sold = dossier([document(&events)].into_iter(), "urn:x:milk");
    // What is in the crate was sold with it.
    for item in &sold.instances {
        let end = item.end.as_ref().unwrap();
        assert_eq!((end.how.as_str(), end.entry), ("sold", 1), "{item:?}");
    }
    assert_eq!(sold.summary.sold, 2);
    let destroyed = [
        packed("ADD", "urn:x:milk", "urn:x:crate", "urn:x:dairy"),
        json!({
            "type": "ObjectEvent", "action": "DELETE", "disposition": "destroyed",
            "epcList": ["urn:x:milk"],
        }),
    ];
    let destroyed = dossier([document(&destroyed)].into_iter(), "urn:x:milk");
    assert_eq!(
        (destroyed.summary.destroyed, destroyed.summary.sold),
        (1, 0)
    );
    let last = last_places(&destroyed)["urn:x:milk"].clone();
    assert_eq!(last.as_deref(), Some("urn:x:dairy"), "the last place known");
}

#[test]
fn a_place_and_a_party_are_one_however_they_are_spelled() {
    let transfer = |party: &str, place: &str| {
        json!({
            "type": "ObjectEvent", "action": "OBSERVE", "epcList": ["urn:x:milk"],
            "bizLocation": { "id": place },
            "sourceList": [{ "type": "owning_party", "source": party }],
            "destinationList": [
                { "type": "possessing_party", "destination": party },
                { "type": "location", "destination": place },
            ],
        })
    };
    let events = [
        transfer(
            "urn:epc:id:pgln:4012345.00005",
            "urn:epc:id:sgln:4012345.00005.0",
        ),
        transfer(
            "https://id.gs1.org/417/4012345000054",
            "https://id.gs1.org/414/4012345000054",
        ),
    ];
    let dossier = dossier([document(&events)].into_iter(), "urn:x:milk");
    let [place] = dossier.places.as_slice() else {
        panic!("{:?}", dossier.places)
    };
    assert_eq!(place.place, "https://id.gs1.org/414/4012345000054");
    assert_eq!(
        place.roles.iter().collect::<Vec<_>>(),
        ["bizLocation", "destination"]
    );
    assert_eq!((place.last_entry, place.items_last_seen), (1, 1));
    let [party] = dossier.parties.as_slice() else {
        panic!("{:?}", dossier.parties)
    };
    let roles: Vec<_> = party.roles.iter().collect();
    assert_eq!(
        roles,
        ["destination possessing_party", "source owning_party"]
    );
}

#[test]
fn things_that_are_in_one_another_come_to_an_end() {
    let events = [
        packed("ADD", "urn:x:a", "urn:x:b", "urn:x:here"),
        packed("ADD", "urn:x:b", "urn:x:c", "urn:x:here"),
        packed("ADD", "urn:x:c", "urn:x:a", "urn:x:there"),
    ];
    let dossier = dossier([document(&events)].into_iter(), "urn:x:a");
    assert_eq!(
        last_places(&dossier)["urn:x:a"].as_deref(),
        Some("urn:x:there")
    );
}

#[test]
fn hostile_identifiers_stay_text_on_the_page() {
    let events = [
        packed("ADD", "urn:x:part", "urn:x:whole", "urn:x:place"),
        seen("urn:x:part", "urn:x:shop", "retail_selling"),
    ];
    let dossier = dossier([document(&events)].into_iter(), "urn:x:part");
    // No capture takes these; a page is escaped all the same.
    let mut text = serde_json::to_string(&dossier).unwrap();
    for (name, evil) in [
        ("urn:x:part", "\"'><script>alert(1)</script>]]>&amp;"),
        ("urn:x:whole", "</table></svg>"),
        ("urn:x:place", "<img src=x onerror=alert(1)>"),
        ("readPoint", "<i>"),
    ] {
        let evil = serde_json::to_string(evil).unwrap();
        text = text.replace(name, evil.trim_matches('"'));
    }
    let mut dossier: Dossier = serde_json::from_str(&text).unwrap();
    dossier.question.filter.types = vec!["<b>".to_owned()];
    let html = page(&dossier);
    for part in ["<script", "</table></", "<img", "<b>", "<i>"] {
        assert!(!html.contains(part), "{part} in {html}");
    }
    assert_eq!(html.matches("</svg>").count(), 1);
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;]]&gt;&amp;amp;";
    assert!(html.contains(escaped), "{html}");
}

#[test]
fn the_page_says_what_was_asked_what_was_found_and_what_is_missing() {
    let (_, mut dossier) = of_sample(300, 3);
    let html = page(&dossier);
    let lot = Short::of(&dossier.question.item).to_string();
    for part in [
        format!("<h1>Recall of {lot}</h1>"),
        format!("<dt>Instances</dt><dd>{}</dd>", dossier.instances.len()),
        "<caption>Places</caption>".to_owned(),
        "<th scope=\"col\">Last seen there</th>".to_owned(),
        "<th scope=\"row\">".to_owned(),
        "<svg ".to_owned(),
        "@media print".to_owned(),
    ] {
        assert!(html.contains(&part), "no {part}");
    }
    assert!(!html.contains("class=\"warning\""));
    assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("<link"));
    let rows = html.matches("<th scope=\"row\">").count();
    let listed = dossier.places.len() + dossier.parties.len();
    assert_eq!(
        rows,
        listed + dossier.batches.len() + dossier.instances.len()
    );
    dossier.summary.truncated = true;
    dossier.question.filter.until = Some("2026-01-06T00:00:00Z".to_owned());
    let warned = page(&dossier);
    assert_eq!(warned.matches("class=\"warning\"").count(), 2);
    assert!(warned.contains("until: 2026-01-06T00:00:00Z"));
}

/// Links that count how often they are asked: what a statement of SQL is in a node.
struct Counted {
    links: EventLinks,
    asked: usize,
}

impl Links for Counted {
    type Error = std::convert::Infallible;

    fn touches(&mut self, item: &str) -> Result<Vec<Touch>, Self::Error> {
        self.asked += 1;
        self.links.touches(item)
    }

    fn named(&mut self, entry: u64, role: Role) -> Result<Vec<Named>, Self::Error> {
        self.asked += 1;
        self.links.named(entry, role)
    }

    fn lots_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Self::Error> {
        self.asked += 1;
        self.links.lots_of(item)
    }

    fn instances_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Self::Error> {
        self.asked += 1;
        self.links.instances_of(item)
    }

    fn facts(&mut self, entry: u64) -> Result<Option<Facts>, Self::Error> {
        self.asked += 1;
        self.links.facts(entry)
    }
}

#[test]
fn the_work_grows_with_what_is_affected_and_not_with_the_ledger() {
    let mut counts = Vec::new();
    for events in [1000, 4000] {
        let mut sample = Sample::new(events, 5);
        let (links, rows) = taken(sample.documents(100));
        let recalled = sample.truth().recalled.key.clone();
        let mut counted = Counted { links, asked: 0 };
        let (down, passes) = (Direction::Down, Passes::default());
        let Ok(lineage) = trace::walk(&mut counted, &recalled, down, &passes, Limits::default());
        // One statement more for the row of each event.
        let statements = counted.asked + lineage.entries.len();
        let affected = lineage.items.len() + lineage.entries.len();
        assert!(
            rows.len() == events && affected > 100,
            "{affected} of {events}"
        );
        assert!(statements <= 5 * affected, "{statements} for {affected}");
        counts.push((statements, affected));
    }
    println!("statements, and what is affected: {counts:?}");
}
