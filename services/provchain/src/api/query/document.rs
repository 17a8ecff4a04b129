//! The events of a page as an `EPCISQueryDocument`.

use serde_json::{Map, Value, json};

use crate::epcis::time::Timestamp;
use crate::rdf::terms::CONTEXT_URLS;

/// An event that a query found.
pub struct Found {
    /// As it was captured, with its context.
    pub event: Map<String, Value>,
    /// When the ledger took it in.
    pub recorded: Timestamp,
}

/// The document. Each event means what it meant when it was captured: the context that all of them
/// have is the document's, and otherwise each keeps its own. Their `recordTime` is the ledger's
/// (EPCIS 2.0, section 7.4.1: ignored in a capture, present in an answer). `query` is the name of what
/// found them, `subscription` the id of what they are sent for.
pub(crate) fn of(
    mut found: Vec<Found>,
    created_ms: u64,
    query: &str,
    subscription: Option<&str>,
) -> Value {
    let shared = match found.split_first() {
        Some((first, rest)) => {
            let context = first.event.get("@context");
            let same = rest.iter().all(|one| one.event.get("@context") == context);
            context.filter(|_| same).cloned()
        }
        None => None,
    };
    for one in &mut found {
        if shared.is_some() {
            one.event.shift_remove("@context");
        }
        let recorded = one.recorded.to_string();
        one.event.insert("recordTime".to_owned(), recorded.into());
    }
    let events = found.into_iter().map(|one| Value::Object(one.event));
    let mut results = Map::new();
    results.insert("queryName".to_owned(), query.into());
    if let Some(subscription) = subscription {
        results.insert("subscriptionID".to_owned(), subscription.into());
    }
    let events = json!({ "eventList": events.collect::<Vec<_>>() });
    results.insert("resultsBody".to_owned(), events);
    json!({
        "@context": shared.unwrap_or_else(|| json!([CONTEXT_URLS[0]])),
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": kit::clock::rfc3339(created_ms),
        "epcisBody": { "queryResults": results },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epcis::{Limits, canonicalise_document, capture};
    use crate::rdf;

    fn found(prefix: &str, namespace: &str) -> Found {
        let mut event = json!({
            "@context": [CONTEXT_URLS[0], {}],
            "type": "ObjectEvent", "action": "OBSERVE",
            "eventTime": "2026-04-03T20:33:31Z", "eventTimeZoneOffset": "+02:00",
            "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
            "recordTime": "2001-01-01T00:00:00Z",
        });
        event["@context"][1][prefix] = namespace.into();
        event[format!("{prefix}:field")] = 1.into();
        let Value::Object(event) = event else {
            panic!("an object")
        };
        Found {
            event,
            recorded: Timestamp {
                unix_micros: 1_700_000_000_000_000,
            },
        }
    }

    /// What the events of a document state, without the times of recording.
    fn statements(document: &Value) -> Vec<String> {
        let body = serde_json::to_vec(document).unwrap();
        let document = capture::parse(&body, &Limits::default()).unwrap();
        let events = canonicalise_document(&document, &rdf::Limits::default()).unwrap();
        let lines = events.into_iter().flat_map(|event| event.statements);
        lines.filter(|line| !line.contains("recordTime")).collect()
    }

    #[test]
    fn events_mean_in_the_answer_what_they_meant_when_they_were_captured() {
        let one = || found("a", "https://one.example/");
        for (others, contexts) in [
            (vec![one(), one()], 0),
            // The same prefix means another thing.
            (vec![one(), found("a", "https://two.example/")], 2),
            (vec![one(), found("b", "https://one.example/")], 2),
            (vec![], 0),
        ] {
            let alone = others
                .iter()
                .flat_map(|one| statements(&Value::Object(one.event.clone())));
            let alone: Vec<String> = alone.collect();
            let document = of(others, 0, "SimpleEventQuery", None);
            assert_eq!(statements(&document), alone, "{document}");
            let events = &document["epcisBody"]["queryResults"]["resultsBody"]["eventList"];
            let events = events.as_array().unwrap();
            let own = events.iter().filter(|event| event["@context"].is_array());
            assert_eq!(own.count(), contexts);
            for event in events {
                assert_eq!(event["recordTime"], "2023-11-14T22:13:20.000Z");
            }
        }
    }
}
