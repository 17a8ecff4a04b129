//! The sample is valid, and a walk over its events' links finds what its truth says.

use std::collections::{BTreeMap, BTreeSet};

use provchain::epcis::identifier::ItemKey;
use provchain::epcis::links::Role;
use provchain::epcis::{Event, Limits, LinkSet, capture};
use provchain::sample::{self, Sample, Truth};

fn key(text: &str) -> ItemKey {
    serde_json::from_value(text.into()).expect("a key is a text")
}

/// The events of a sample as the ledger would take them.
fn captured(sample: &mut Sample) -> Vec<Event> {
    let mut events = Vec::new();
    for document in sample.documents(100) {
        let body = serde_json::to_vec(&document).expect("JSON");
        let document = capture::parse(&body, &Limits::default())
            .unwrap_or_else(|issues| panic!("{}", issues[0]));
        events.extend(document.events);
    }
    events
}

/// What each key went into, over all events, and parts of transformations joined.
fn downstream(links: &[LinkSet]) -> BTreeMap<&ItemKey, BTreeSet<&ItemKey>> {
    let mut edges: BTreeMap<&ItemKey, BTreeSet<&ItemKey>> = BTreeMap::new();
    let mut parts: BTreeMap<&ItemKey, (Vec<&ItemKey>, Vec<&ItemKey>)> = BTreeMap::new();
    for set in links {
        for link in &set.links {
            edges
                .entry(&link.key)
                .or_default()
                .extend(set.downstream(&link.key));
        }
        for transformation in set.keys(Role::Transformation) {
            let (inputs, outputs) = parts.entry(transformation).or_default();
            inputs.extend(set.keys(Role::Input));
            outputs.extend(set.keys(Role::Output));
        }
    }
    for (inputs, outputs) in parts.into_values() {
        for input in inputs {
            edges.entry(input).or_default().extend(&outputs);
        }
    }
    edges
}

/// Everything that `start` went into, with the number of steps to it.
fn reach<'a>(
    edges: &BTreeMap<&'a ItemKey, BTreeSet<&'a ItemKey>>,
    start: &'a ItemKey,
) -> BTreeMap<&'a ItemKey, usize> {
    let mut found = BTreeMap::from([(start, 0)]);
    let mut front = vec![start];
    for hops in 1.. {
        let next: BTreeSet<_> = front
            .iter()
            .filter_map(|key| edges.get(key))
            .flatten()
            .collect();
        front = next
            .into_iter()
            .filter(|key| !found.contains_key(*key))
            .copied()
            .collect();
        if front.is_empty() {
            break;
        }
        found.extend(front.iter().map(|key| (*key, hops)));
    }
    found
}

/// What the location keys of shops begin with.
const SHOPS: &str = "https://id.gs1.org/414/9524";

/// An item and everything that was ever packed into it.
fn contents<'a>(links: &'a [LinkSet], item: &'a ItemKey) -> Vec<&'a ItemKey> {
    let mut all = vec![item];
    for set in links {
        if set.keys(Role::Parent).any(|parent| parent == item) {
            all.extend(set.upstream(item).flat_map(|child| contents(links, child)));
        }
    }
    all
}

#[test]
fn a_walk_over_the_links_finds_everything_that_the_recalled_batch_went_into() {
    for (events, seed) in [(500, 1), (3000, 2)] {
        let mut sample = Sample::new(events, seed);
        let events = captured(&mut sample);
        let truth = sample.truth();
        let links: Vec<LinkSet> = events.iter().map(LinkSet::of).collect();
        let edges = downstream(&links);
        let recalled = key(&truth.recalled.key);
        let reached = reach(&edges, &recalled);
        let affected: BTreeSet<String> = reached.keys().map(ToString::to_string).collect();
        assert_eq!(affected, truth.affected, "seed {seed}");

        let mut retailers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (event, set) in events.iter().zip(&links) {
            let place = set.keys(Role::BizLocation).next();
            let Some(shop) = place.and_then(|place| place.as_str().strip_prefix(SHOPS)) else {
                continue;
            };
            if event.value["bizStep"] == "receiving" {
                let came = set
                    .keys(Role::Object)
                    .flat_map(|pallet| contents(&links, pallet));
                let affected = came.filter(|key| reached.contains_key(key));
                let mut affected = affected.map(ToString::to_string).peekable();
                if affected.peek().is_some() {
                    let gln = format!("9524{shop}");
                    retailers.entry(gln).or_default().extend(affected);
                }
            }
        }
        let received = truth.retailers.iter();
        let received = received.map(|(gln, shop)| (gln.clone(), shop.received.clone()));
        assert_eq!(retailers, received.collect(), "seed {seed}");
        let shops = retailers.len();
        assert!(
            shops >= 2,
            "a recall that reaches {shops} shops shows little"
        );
    }
}

#[test]
fn a_chain_of_ten_steps_exists() {
    let mut sample = Sample::new(500, 3);
    let events = captured(&mut sample);
    let longest = sample.truth().longest.clone();
    assert!(longest.hops >= 10, "{longest:?}");
    let links: Vec<LinkSet> = events.iter().map(LinkSet::of).collect();
    let from = key(&longest.from);
    let reached = reach(&downstream(&links), &from)
        .into_iter()
        .find(|(key, _)| key.as_str() == longest.to);
    assert!(reached.is_some_and(|(_, hops)| hops >= 10), "{reached:?}");
}

#[test]
fn every_type_of_event_and_both_spellings_occur() {
    let events: Vec<_> = Sample::new(500, 4).collect();
    for kind in [
        "ObjectEvent",
        "AggregationEvent",
        "TransformationEvent",
        "TransactionEvent",
        "AssociationEvent",
    ] {
        assert!(
            events.iter().any(|event| event["type"] == kind),
            "no {kind}"
        );
    }
    let text = serde_json::to_string(&events).expect("JSON");
    for part in [
        "urn:epc:id:sgtin:",
        "urn:epc:class:lgtin:",
        "https://id.gs1.org/01/",
        "\"sensorReport\"",
        "\"transformationID\"",
        "cbvmda:itemExpirationDate",
    ] {
        assert!(text.contains(part), "no {part}");
    }
    assert!(
        events
            .iter()
            .is_sorted_by_key(|event| event["eventTime"].to_string())
    );
    assert_eq!(events[499]["disposition"], "recalled");
}

#[test]
fn the_same_seed_gives_the_same_sample_and_another_seed_another() {
    let sample = |seed| Sample::new(300, seed).collect::<Vec<_>>();
    assert_eq!(sample(5), sample(5));
    assert_ne!(sample(5), sample(6));
}

#[test]
fn files_hold_all_events_and_the_truth() {
    let folder = tempfile::tempdir().expect("a folder");
    let summary = sample::write(folder.path(), 230, 8, 100).expect("written");
    assert_eq!((summary.files, summary.events), (3, 230));
    let mut count = 0;
    for file in 1..=3 {
        let path = folder.path().join(format!("events-{file:05}.json"));
        let body = std::fs::read(path).expect("the file is there");
        let document = capture::parse(&body, &Limits::default()).expect("a valid document");
        count += document.events.len();
    }
    assert_eq!(count, 230);
    let truth = std::fs::read(folder.path().join("truth.json")).expect("the truth is there");
    let truth: Truth = serde_json::from_slice(&truth).expect("the truth is JSON");
    let mut sample = Sample::new(230, 8);
    assert_eq!(sample.by_ref().count(), 230);
    assert_eq!(&truth, sample.truth());
}
