//! What surrounds events: contexts, documents, and how much of them is taken.

use provchain::epcis::{Limits, Rule, capture};
use serde_json::json;

use super::epcis_fixtures::{document, edit, object_event, parse, transaction_event};

#[test]
fn contexts_that_are_not_understood_are_refused_where_they_are() {
    for (context, pointer) in [
        (json!(null), "/@context"),
        (json!([]), "/@context"),
        (json!([{ "ext": "https://ns.example.com/" }]), "/@context"),
        (json!(["https://example.com/context.jsonld"]), "/@context/0"),
        (json!([7]), "/@context/0"),
    ] {
        let mut body = document(&json!([object_event()]));
        body["@context"] = context;
        let issues = parse(&body).expect_err("no context of GS1");
        assert_eq!(
            (issues[0].rule, issues[0].pointer.as_str()),
            (Rule::Context, pointer)
        );
        assert_eq!(issues[0].event, None);
    }
    for (definitions, pointer) in [
        (json!({ "@vocab": "https://example.com/" }), "/@vocab"),
        (json!({ "@base": "https://example.com/" }), "/@base"),
        (json!({ "@language": "en" }), "/@language"),
        (json!({ "@version": 1.0 }), "/@version"),
        (json!({ "urn": "https://example.com/" }), "/urn"),
        (json!({ "epcList": "https://example.com/" }), "/epcList"),
        (json!({ "cbv": "https://example.com/" }), "/cbv"),
        (json!({ "ext": "https://other.example.com/" }), "/ext"),
        (json!({ "a": "b:c", "b": "a:d" }), "/a"),
        (json!({ "a": "relative" }), "/a"),
        (json!({ "a": null }), "/a"),
        (json!({ "a": "@id" }), "/a"),
        (
            json!({ "ext:a": "https://elsewhere.example.com/a" }),
            "/ext:a",
        ),
        (
            json!({ "a": { "@id": "ext:a", "@container": "@index" } }),
            "/a/@container",
        ),
        (
            json!({ "a": { "@id": "ext:a", "@context": {} } }),
            "/a/@context",
        ),
        (json!({ "a": { "@id": "ext:a", "@type": "@json" } }), "/a"),
    ] {
        let mut body = document(&json!([object_event()]));
        edit(&mut body, "/@context/2", definitions.clone());
        let issues = parse(&body).expect_err(&definitions.to_string());
        assert_eq!(issues[0].rule, Rule::Context, "{definitions}");
        assert_eq!(
            issues[0].pointer,
            format!("/@context/2{pointer}"),
            "{}",
            issues[0]
        );
    }
}

#[test]
fn documents_events_and_lists_of_events_are_taken_and_other_bodies_are_not() {
    let context = document(&json!([]))["@context"].clone();
    let mut single = object_event();
    edit(&mut single, "/@context", context.clone());
    assert_eq!(parse(&single), Ok(1));
    assert_eq!(parse(&json!([single, single])), Ok(2));
    let query = json!({
        "@context": context, "type": "EPCISQueryDocument",
        "epcisBody": { "queryResults": { "queryName": "q", "resultsBody": {
            "eventList": [object_event()]
        } } }
    });
    assert_eq!(parse(&query), Ok(1));
    let mut nameless = query;
    edit(
        &mut nameless,
        "/epcisBody/queryResults/queryName",
        json!(null),
    );
    let issues = parse(&nameless).expect_err("no name");
    assert_eq!(
        (issues[0].rule, issues[0].field.as_str()),
        (Rule::Required, "queryName")
    );
    for (body, pointer, event) in [
        (json!(1), "", None),
        (json!({}), "/@context", Some(0)),
        (object_event(), "/@context", Some(0)),
        (json!([single, object_event()]), "/1/@context", Some(1)),
        (json!([single, 1]), "/1", Some(1)),
    ] {
        let issues = parse(&body).expect_err("not a capture");
        assert_eq!(
            (issues[0].pointer.as_str(), issues[0].event),
            (pointer, event),
            "{body}"
        );
    }
    for (pointer, value, rule) in [
        ("/schemaVersion", json!("1.2"), Rule::Value),
        ("/schemaVersion", json!(null), Rule::Required),
        ("/creationDate", json!("today"), Rule::Time),
        ("/creationDate", json!(null), Rule::Required),
        ("/epcisBody", json!(null), Rule::Required),
        ("/epcisBody/eventList", json!(null), Rule::Required),
        ("/epcisBody/eventList", json!({}), Rule::JsonType),
        ("/epcisBody/comment", json!("x"), Rule::UnknownField),
        ("/epcisHeader", json!(1), Rule::JsonType),
        ("/sender", json!(1), Rule::JsonType),
        ("/id", json!("x"), Rule::Uri),
        ("/comment", json!("x"), Rule::UnknownField),
    ] {
        let mut body = document(&json!([object_event()]));
        edit(&mut body, pointer, value);
        let issues = parse(&body).expect_err(pointer);
        assert_eq!(
            (issues[0].rule, issues[0].pointer.as_str()),
            (rule, pointer)
        );
    }
}

#[test]
fn every_issue_of_a_capture_is_reported_up_to_the_limit() {
    let mut broken = object_event();
    edit(&mut broken, "/action", json!("UPDATE"));
    edit(&mut broken, "/bizStep", json!("shiping"));
    let body = document(&json!([broken, object_event(), broken]));
    let issues = parse(&body).expect_err("four issues");
    let events: Vec<_> = issues.iter().map(|issue| issue.event).collect();
    assert_eq!(events, [Some(0), Some(0), Some(2), Some(2)]);
    let limits = Limits {
        issues_max: 3,
        ..Limits::default()
    };
    let body = serde_json::to_vec(&body).expect("JSON");
    let issues = capture::parse(&body, &limits).expect_err("four issues");
    assert_eq!(issues.len(), 3);
}

#[test]
fn more_events_or_statements_than_the_limits_are_refused() {
    let mut limits = Limits {
        events_max: 2,
        ..Limits::default()
    };
    let body = |count: usize| {
        let events = vec![transaction_event(); count];
        serde_json::to_vec(&document(&json!(events))).expect("JSON")
    };
    assert!(capture::parse(&body(2), &limits).is_ok());
    let issues = capture::parse(&body(3), &limits).expect_err("three events");
    assert_eq!(
        (issues[0].rule, issues[0].field.as_str()),
        (Rule::Limit, "eventList")
    );
    limits.rdf.statements_max = 3;
    let issues = capture::parse(&body(1), &limits).expect_err("too many statements");
    assert_eq!((issues[0].rule, issues[0].event), (Rule::Limit, Some(0)));
}
