//! The OpenAPI document: it is made of the table of routes, and what nodes answer is what it says.
//!
//! Every route has its example here.

use std::collections::BTreeSet;

use provchain::api::{Who, openapi, routes};
use reqwest::Method;
use serde_json::json;

use super::documented::{Asker, Example, GET, POST};
use super::documented_people::{keys, people, subjects};
use super::epcis_fixtures::{document, object_event};

#[tokio::test]
async fn the_document_that_is_served_has_every_route_and_no_other() {
    let asker = Asker::start().await;
    assert_eq!(asker.documented.0, openapi::document());
    let routes = routes::all().into_iter().map(|route| {
        let path = route.path.replace("{*", "{");
        (path, route.method.as_str().to_ascii_lowercase())
    });
    let paths = asker.documented.0["paths"].as_object().expect("paths");
    let documented = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").keys();
        methods.map(move |method| (path.clone(), method.clone()))
    });
    let routes: BTreeSet<_> = routes.collect();
    assert_eq!(documented.collect::<BTreeSet<_>>(), routes);
}

#[tokio::test]
async fn whom_a_route_turns_away_is_documented_with_every_route() {
    let mut asker = Asker::start().await;
    let consumer = asker.ledger.token_of("consumer");
    for route in routes::all() {
        let path = route
            .path
            .replace("{index}", "0")
            .replace(['{', '}', '*'], "");
        let example =
            |status| Example::new(route.method.clone(), route.path, path.as_str(), status);
        asker.ask(example(401).by("x.y.z")).await;
        if let Who::Roles(roles) = route.who {
            asker.ask(example(401)).await;
            if !roles.iter().any(|role| role.as_str() == "consumer") {
                asker.ask(example(403).by(&consumer)).await;
            }
        }
    }
}

const EPC: &str = "urn:epc:id:sgtin:0614141.107346.2017";

/// Percent-encodes everything.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn every_route_answers_an_example_with_what_is_documented() {
    let mut asker = Asker::start().await;
    asker.ledger.capture_sample(60, 51).await;
    let admin = asker.ledger.token_of("admin");
    let farm = asker.ledger.token_for("farm", "farmer");
    epcis(&mut asker, &farm).await;
    collections(&mut asker).await;
    asker.ledger.sealed(asker.ledger.first()).await;
    ledger(&mut asker).await;
    queries(&mut asker, &farm).await;
    keys(&mut asker, &admin).await;
    subjects(&mut asker, &admin, &farm).await;
    people(&mut asker, &admin, &farm).await;
    for route in routes::all() {
        let route = (route.method.to_string(), route.path.to_owned());
        assert!(
            asker.asked.contains(&route),
            "there is no example of {route:?}"
        );
    }
}

async fn epcis(asker: &mut Asker, farm: &str) {
    let capture = document(&json!([object_event()]));
    let example = || Example::new(POST, "/capture", "/capture", 202).by(farm);
    let receipt = asker.ask(example().with(capture.clone())).await;
    let id = receipt["captureID"].as_str().expect("an id").to_owned();
    let mut other = object_event();
    other["disposition"] = json!("in_transit");
    let conflict = document(&json!([other]));
    let refused = example().gives(409);
    let problem = asker.ask(refused.with(conflict)).await;
    assert!(problem["conflicts"][0]["entry"].is_u64(), "{problem}");
    let wrong = document(&json!([{ "type": "ObjectEvent" }]));
    let refused = example().gives(400);
    let problem = asker.ask(refused.with(wrong)).await;
    assert!(problem["issues"][0]["pointer"].is_string(), "{problem}");

    for (name, value) in [
        ("Provchain-Visibility", "public"),
        ("GS1-Capture-Error-Behaviour", "proceed"),
    ] {
        let said = example().says(name, value).with(capture.clone());
        asker.ask(said).await;
    }
    asker
        .ask(Example::new(GET, "/capture", "/capture?perPage=5", 200).by(farm))
        .await;
    asker
        .ask(Example::new(GET, "/capture", "/capture?perPage=0", 400).by(farm))
        .await;
    let job = format!("/capture/{id}");
    asker
        .ask(Example::new(GET, "/capture/{id}", job, 200).by(farm))
        .await;
    asker
        .ask(Example::new(GET, "/capture/{id}", "/capture/none", 404).by(farm))
        .await;
    for path in ["/capture", "/events"] {
        asker
            .ask(Example::new(Method::OPTIONS, path, path, 204))
            .await;
    }
    let mut event = object_event();
    event["@context"] = capture["@context"].clone();
    asker
        .ask(
            Example::new(POST, "/events", "/events", 201)
                .by(farm)
                .with(event),
        )
        .await;
    let id = encoded(object_event()["eventID"].as_str().expect("an id"));
    let path = format!("/events/{id}");
    asker
        .ask(Example::new(GET, "/events/{id}", path, 200))
        .await;
    asker
        .ask(Example::new(GET, "/events/{id}", "/events/none", 404))
        .await;
    for (query, status) in [
        ("EQ_bizStep=commissioning&perPage=3", 200),
        ("perPage=3&orderBy=eventTime", 200),
        ("EQ_noSuchParameter=1", 400),
        ("nextPageToken=none", 400),
    ] {
        let path = format!("/events?{query}");
        asker.ask(Example::new(GET, "/events", path, status)).await;
    }
    let linked = Example::new(GET, "/events", "/events", 200).wants("application/ld+json");
    asker.ask(linked).await;
    for (name, value) in [
        ("GS1-Extensions", "ext=https://farm.example/"),
        ("GS1-EPC-Format", "Never_Translates"),
    ] {
        let said = Example::new(GET, "/events", "/events", 200).says(name, value);
        asker.ask(said).await;
    }
    asker
        .ask(Example::new(GET, "/events", "/events", 406).wants("application/xml"))
        .await;
}

async fn collections(asker: &mut Asker) {
    for (name, value) in [
        ("eventTypes", "ObjectEvent".to_owned()),
        ("epcs", encoded(EPC)),
        ("bizSteps", "commissioning".to_owned()),
        (
            "bizLocations",
            encoded("https://id.gs1.org/414/4012345000054"),
        ),
        ("readPoints", encoded("urn:epc:id:sgln:0614141.07346.1234")),
        ("dispositions", "active".to_owned()),
    ] {
        let routes = [
            (format!("/{name}"), format!("/{name}")),
            (format!("/{name}/{{value}}"), format!("/{name}/{value}")),
            (
                format!("/{name}/{{value}}/events"),
                format!("/{name}/{value}/events"),
            ),
        ];
        for (route, path) in routes {
            asker
                .ask(Example::new(GET, &route, path.clone(), 200))
                .await;
            let linked = Example::new(GET, &route, path.clone(), 200);
            asker.ask(linked.wants("application/ld+json")).await;
            asker
                .ask(Example::new(Method::OPTIONS, &route, path, 204))
                .await;
        }
        let below = format!("/{name}/{{value}}");
        asker
            .ask(Example::new(GET, &below, format!("/{name}/none"), 404))
            .await;
    }
}

async fn ledger(asker: &mut Asker) {
    let entries = "/api/v1/entries/{index}";
    let (events, statements) = (format!("{entries}/event"), format!("{entries}/statements"));
    let trace = format!("/api/v1/trace/{}", encoded(EPC));
    let recall = format!("/api/v1/recall/{}", encoded(EPC));
    let (traces, recalls) = ("/api/v1/trace/{epc}", "/api/v1/recall/{epc}");
    for (route, path, status) in [
        ("/", "/".to_owned(), 200),
        ("/pages/{*path}", "/pages/pages.css".to_owned(), 200),
        ("/pages/{*path}", "/pages/main.js".to_owned(), 200),
        ("/pages/{*path}", "/pages/mark.svg".to_owned(), 200),
        ("/pages/{*path}", "/pages/none".to_owned(), 404),
        ("/openapi.json", "/openapi.json".to_owned(), 200),
        ("/checkpoint", "/checkpoint".to_owned(), 200),
        ("/checkpoint", "/checkpoint?fresh=true".to_owned(), 200),
        ("/tile/{*path}", "/tile/0/000.p/7".to_owned(), 200),
        ("/tile/{*path}", "/tile/9/000".to_owned(), 404),
        ("/api/v1/live", "/api/v1/live?fromEntry=0".to_owned(), 200),
        ("/api/v1/live", "/api/v1/live?fromHeight=x".to_owned(), 400),
        ("/api/v1/ledger", "/api/v1/ledger".to_owned(), 200),
        ("/api/v1/cluster", "/api/v1/cluster".to_owned(), 200),
        ("/api/v1/keys", "/api/v1/keys".to_owned(), 200),
        ("/api/v1/keys", "/api/v1/keys?format=json".to_owned(), 200),
        (
            "/api/v1/blocks",
            "/api/v1/blocks?from=0&limit=2".to_owned(),
            200,
        ),
        ("/api/v1/blocks", "/api/v1/blocks?limit=0".to_owned(), 400),
        (entries, "/api/v1/entries/7".to_owned(), 200),
        (entries, "/api/v1/entries/70000".to_owned(), 404),
        (entries, "/api/v1/entries/x".to_owned(), 400),
        (&events, "/api/v1/entries/7/event".to_owned(), 200),
        (&statements, "/api/v1/entries/7/statements".to_owned(), 200),
        (
            "/api/v1/proofs/inclusion",
            "/api/v1/proofs/inclusion?entry=3&size=40".to_owned(),
            200,
        ),
        (
            "/api/v1/proofs/inclusion",
            "/api/v1/proofs/inclusion?entry=3&size=2".to_owned(),
            404,
        ),
        (
            "/api/v1/proofs/consistency",
            "/api/v1/proofs/consistency?from=20".to_owned(),
            200,
        ),
        (
            "/api/v1/proofs/consistency",
            "/api/v1/proofs/consistency?from=0".to_owned(),
            400,
        ),
        (
            "/api/v1/proofs/entries",
            "/api/v1/proofs/entries?indices=3,4".to_owned(),
            200,
        ),
        (
            "/api/v1/proofs/entries",
            "/api/v1/proofs/entries?indices=3&closed=true".to_owned(),
            200,
        ),
        (
            "/api/v1/proofs/entries",
            "/api/v1/proofs/entries?indices=3&statements=0,2&submitter=true".to_owned(),
            200,
        ),
        (
            traces,
            format!("{trace}?direction=up&proofs=true&types=ObjectEvent"),
            200,
        ),
        (traces, format!("{trace}?direction=down"), 200),
        (traces, format!("{trace}?direction=up&format=svg"), 200),
        (traces, format!("{trace}?direction=up&format=dot"), 200),
        (traces, trace.clone(), 400),
        (traces, format!("{trace}1?direction=up"), 404),
        (recalls, recall.clone(), 200),
        (recalls, format!("{recall}?proofs=false"), 200),
        (recalls, format!("{recall}?format=html"), 200),
    ] {
        asker.ask(Example::new(GET, route, path, status)).await;
    }
}

async fn queries(asker: &mut Asker, farm: &str) {
    let (all, one) = ("/queries", "/queries/{name}");
    let (events, subscriptions) = ("/queries/{name}/events", "/queries/{name}/subscriptions");
    let subscription = "/queries/{name}/subscriptions/{id}";
    let query = json!({ "name": "shipped", "query": { "EQ_bizStep": ["shipping"] } });
    for status in [201, 409] {
        let made = Example::new(POST, all, all, status).by(farm);
        asker.ask(made.with(query.clone())).await;
    }
    let wrong = json!({ "name": "wrong", "query": { "EQ_noSuchParameter": 1 } });
    let refused = Example::new(POST, all, all, 400).by(farm);
    asker.ask(refused.with(wrong)).await;
    let ask = |route, path: &str, status| Example::new(GET, route, path, status).by(farm);
    asker.ask(ask(all, all, 200)).await;
    let linked = ask(all, all, 200).wants("application/ld+json");
    asker.ask(linked).await;
    asker.ask(ask(one, "/queries/shipped", 200)).await;
    asker.ask(ask(one, "/queries/none", 404)).await;
    asker
        .ask(ask(events, "/queries/shipped/events?perPage=2", 200))
        .await;
    let path = "/queries/shipped/subscriptions";
    let subscribe = |dest: &str, status| {
        let body = json!({ "dest": dest, "signatureToken": "secret", "stream": true });
        let made = Example::new(POST, subscriptions, path, status);
        made.by(farm).with(body)
    };
    // Nobody is there; that it fails is shown in time.
    let made = asker
        .ask(subscribe("https://receiver.example/events", 201))
        .await;
    asker.ask(subscribe("https://127.0.0.1/", 400)).await;
    asker.ask(ask(subscriptions, path, 200)).await;
    let linked = ask(subscriptions, path, 200).wants("application/ld+json");
    asker.ask(linked).await;
    let id = made["subscriptionID"].as_str().expect("an id");
    let own = format!("{path}/{id}");
    asker.ask(ask(subscription, &own, 200)).await;
    let none = format!("{path}/none");
    asker.ask(ask(subscription, &none, 404)).await;
    for (route, path) in [
        (all, all),
        (one, "/queries/shipped"),
        (events, "/queries/shipped/events"),
        (subscriptions, path),
        (subscription, &own),
    ] {
        let discovery = Example::new(Method::OPTIONS, route, path, 204);
        asker.ask(discovery).await;
    }
    for (route, path) in [(subscription, own.as_str()), (one, "/queries/shipped")] {
        for status in [204, 404] {
            let gone = Example::new(Method::DELETE, route, path, status);
            asker.ask(gone.by(farm)).await;
        }
    }
    let discovery = Example::new(Method::OPTIONS, "/", "/", 204);
    asker.ask(discovery).await;
    let page = Example::new(GET, "/", "/", 200).wants("text/html");
    asker.ask(page).await;
}
