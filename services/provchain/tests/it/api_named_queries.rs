//! Queries that have a name: made, read, asked and removed by their party, and by nobody else.

use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::Ledger;
use super::subscriber::{Party, event, id, party};

fn events(body: &Value) -> Vec<String> {
    let events = &body["epcisBody"]["queryResults"]["resultsBody"]["eventList"];
    let events = events.as_array().unwrap_or_else(|| panic!("{body}")).iter();
    let id = |event: &Value| event["eventID"].as_str().expect("an id").to_owned();
    events.map(id).collect()
}

async fn header(party: &Party<'_>, path: &str, name: &str) -> Option<String> {
    let request = party.ledger.request(Method::GET, party.node, path);
    let response = request
        .bearer_auth(&party.token)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
    let value = response.headers().get(name)?;
    Some(value.to_str().expect("text").to_owned())
}

fn address(link: &str) -> String {
    let (address, _) = link.split_once('>').expect("an address");
    address.trim_start_matches('<').to_owned()
}

#[tokio::test]
async fn a_query_has_a_name_until_it_is_removed() {
    let ledger = Ledger::start(3).await;
    let farm = party(&ledger, "farm", "farmer");
    let query = json!({ "EQ_bizStep": ["shipping", "receiving"], "eventType": ["ObjectEvent"] });
    let request = ledger.request(Method::POST, farm.node, "/queries");
    let body = json!({ "name": "myQuery", "query": query });
    let made = request.bearer_auth(&farm.token).json(&body).send().await;
    let made = made.expect("an answer");
    assert_eq!(made.status(), 201);
    assert_eq!(made.headers()["location"], "/queries/myQuery");
    assert_eq!(made.headers()["gs1-epcis-version"], "2.0.0");

    let taken = farm.post("/queries", body).await.problem(409);
    assert_eq!(
        taken["type"],
        "epcisException:ResourceAlreadyExistsException"
    );
    // Every node knows it at once.
    for node in ledger.nodes.nodes() {
        let there = Party {
            node,
            ..farm.clone()
        };
        let shown = there.get("/queries/myQuery").await.json();
        assert_eq!(shown["name"], "myQuery");
        assert_eq!(shown["query"], query);
        let listed = there.get("/queries").await.json();
        assert_eq!(listed, json!([shown]));
    }
    let steps = ["shipping", "packing", "receiving", "shipping"];
    let captured = (1..).zip(steps).map(|(number, step)| event(number, step));
    farm.capture(&captured.collect::<Vec<_>>(), "public").await;
    let found = farm.get("/queries/myQuery/events").await;
    assert_eq!(found.status, 200, "{}", found.text());
    let document = found.json();
    assert_eq!(
        document["epcisBody"]["queryResults"]["queryName"],
        "myQuery"
    );
    assert_eq!(events(&document), [id(4), id(3), id(1)]);
    // The same as is found without the name.
    let asked = farm
        .get("/events?EQ_bizStep=shipping|receiving&eventType=ObjectEvent")
        .await;
    assert_eq!(events(&asked.json()), events(&document));

    // Page by page, and no token of one query for another of the same name.
    let first = "/queries/myQuery/events?perPage=1";
    let link = header(&farm, first, "link").await.expect("another page");
    let second = address(&link);
    assert_eq!(events(&farm.get(&second).await.json()), [id(3)]);
    assert_eq!(farm.delete("/queries/myQuery").await.status, 204);
    farm.get(&second).await.problem(404);
    farm.define("myQuery", json!({ "EQ_bizStep": ["packing"] }))
        .await;
    farm.get(&second).await.problem(400);
    let found = farm.get("/queries/myQuery/events").await.json();
    assert_eq!(events(&found), [id(2)]);
    assert_eq!(farm.delete("/queries/myQuery").await.status, 204);
    for path in ["/queries/myQuery", "/queries/myQuery/events"] {
        let gone = farm.get(path).await.problem(404);
        assert_eq!(gone["type"], "epcisException:NoSuchNameException");
    }
    farm.delete("/queries/myQuery").await.problem(404);
    assert_eq!(farm.get("/queries").await.json(), json!([]));
    for (path, allow) in [
        ("/queries", "OPTIONS, GET, POST"),
        ("/queries/any", "OPTIONS, GET, DELETE"),
        ("/queries/any/events", "OPTIONS, GET"),
        ("/queries/any/subscriptions", "OPTIONS, GET, POST"),
        ("/queries/any/subscriptions/1", "OPTIONS, GET, DELETE"),
    ] {
        let options = ledger
            .request(Method::OPTIONS, farm.node, path)
            .send()
            .await;
        let options = options.expect("an answer");
        assert_eq!(options.status(), 204, "{path}");
        assert_eq!(options.headers()["allow"], allow, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_query_is_refused_and_changes_nothing() {
    let ledger = Ledger::start(1).await;
    let farm = party(&ledger, "farm", "farmer");
    for (status, kind, body) in [
        (400, "about:blank", json!({ "name": "a/b", "query": {} })),
        (400, "about:blank", json!({ "name": "", "query": {} })),
        (
            400,
            "about:blank",
            json!({ "name": "x".repeat(129), "query": {} }),
        ),
        (
            400,
            "epcisException:QueryParameterException",
            json!({ "name": "a", "query": { "EQ_bizStep": ["shiping"] } }),
        ),
        (
            400,
            "epcisException:QueryParameterException",
            json!({ "name": "a", "query": { "EQ_unknown": 1 } }),
        ),
        (
            400,
            "epcisException:QueryParameterException",
            json!({ "name": "a", "query": { "EQ_a:b": "x".repeat(20_000) } }),
        ),
        (
            501,
            "epcisException:ImplementationException",
            json!({ "name": "a", "query": { "HASATTR_bizLocation": ["x"] } }),
        ),
    ] {
        let problem = farm.post("/queries", body.clone()).await.problem(status);
        assert_eq!(problem["type"], kind, "{body}");
    }
    for body in [
        json!({}),
        json!({ "name": "a" }),
        json!({ "name": "a", "query": [] }),
    ] {
        let refused = farm.post("/queries", body).await;
        assert!([400, 422].contains(&refused.status), "{}", refused.text());
    }
    for path in ["/queries?EQ_action=ADD", "/queries?perPage=0"] {
        farm.get(path).await.problem(400);
    }
    assert_eq!(farm.get("/queries").await.json(), json!([]));
    farm.define("a", json!({})).await;
    farm.get("/queries/a/events?EQ_action=ADD")
        .await
        .problem(400);
    farm.get("/queries/a/events?stream=true").await.problem(400);
    // A party has so many, and no more.
    for number in 1..100 {
        farm.define(&format!("q{number:02}"), json!({})).await;
    }
    farm.post("/queries", json!({ "name": "more", "query": {} }))
        .await
        .problem(409);
    let (mut names, mut next) = (Vec::new(), Some("/queries?perPage=7".to_owned()));
    while let Some(path) = next {
        let page = farm.get(&path).await.json();
        let page = page.as_array().expect("a list");
        assert!(page.len() <= 7);
        names.extend(
            page.iter()
                .map(|query| query["name"].as_str().expect("a name").to_owned()),
        );
        next = header(&farm, &path, "link")
            .await
            .map(|link| address(&link));
    }
    let mut expected: Vec<_> = (1..100).map(|number| format!("q{number:02}")).collect();
    expected.insert(0, "a".to_owned());
    assert_eq!(names, expected);
    assert_eq!(farm.delete("/queries/q50").await.status, 204);
    farm.define("more", json!({})).await;
}

#[tokio::test]
async fn a_query_is_its_partys_and_those_who_oversee_say_whose() {
    let ledger = Ledger::start(1).await;
    let farm = party(&ledger, "farm", "farmer");
    let shop = party(&ledger, "shop", "consumer");
    farm.define("secret", json!({ "EQ_bizStep": ["shipping"] }))
        .await;
    farm.capture(&[event(1, "shipping")], "private").await;
    farm.capture(&[event(2, "shipping")], "public").await;
    let [mine, theirs] = ["/queries/secret", "/queries/secret?party=farm"];
    for path in [
        mine,
        theirs,
        "/queries/secret/events",
        "/queries/secret/events?party=farm",
    ] {
        shop.get(path).await.problem(404);
    }
    for path in [mine, theirs] {
        shop.delete(path).await.problem(404);
    }
    assert_eq!(shop.get("/queries?party=farm").await.json(), json!([]));
    assert_eq!(shop.get("/queries").await.json(), json!([]));
    // The name is free for everybody else.
    shop.define("secret", json!({})).await;
    let found = shop.get("/queries/secret/events").await.json();
    assert_eq!(events(&found), [id(2)]);
    let found = farm.get("/queries/secret/events").await.json();
    assert_eq!(events(&found), [id(2), id(1)]);

    let auditor = party(&ledger, "office", "auditor");
    auditor.get(mine).await.problem(404);
    let shown = auditor.get(theirs).await.json();
    assert_eq!(shown["party"], "farm");
    let found = auditor
        .get("/queries/secret/events?party=farm")
        .await
        .json();
    assert_eq!(events(&found), [id(2), id(1)]);
    let all = auditor.get("/queries").await.json();
    assert_eq!(all.as_array().expect("a list").len(), 2);
    assert_eq!(
        auditor.get("/queries?party=farm").await.json(),
        json!([shown])
    );
    auditor.delete(theirs).await.problem(404);
    assert_eq!(farm.get(mine).await.status, 200);
    let admin = party(&ledger, "office", "admin");
    assert_eq!(admin.delete(theirs).await.status, 204);
    farm.get(mine).await.problem(404);
    // What was made and removed is in the log, and by whom.
    let log = admin.get("/api/v1/audit").await.json();
    let line = |line: &Value| {
        let part = |name: &str| line[name].as_str().expect("a text").to_owned();
        (part("actor"), part("action"), part("target"))
    };
    let lines: Vec<_> = log["audit"]
        .as_array()
        .expect("lines")
        .iter()
        .map(line)
        .collect();
    for (actor, action, target) in [
        ("office", "query.remove", "farm/secret"),
        ("farm", "query.create", "farm/secret"),
    ] {
        let expected = (actor.to_owned(), action.to_owned(), target.to_owned());
        assert!(lines.contains(&expected), "{expected:?} in {lines:?}");
    }
}
