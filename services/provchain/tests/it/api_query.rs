//! Queries over HTTP find what a walk over the captured events finds, on every node, page by page.

use std::collections::BTreeSet;

use provchain::epcis::identifier::Identifier;
use provchain::epcis::{Limits, capture};
use provchain::sample::Sample;
use reqwest::{Method, Response};
use serde_json::Value;

use super::api_trace::percent_encoded;
use super::cluster::Ledger;

const EVENTS: usize = 600;
const SEED: u64 = 45;

/// What a page is asked for, and what came.
struct Page {
    status: u16,
    next: Option<String>,
    body: Value,
}

async fn ask(ledger: &Ledger, node: usize, path: &str) -> Page {
    let node = &ledger.nodes.nodes()[node % ledger.nodes.nodes().len()];
    let request = ledger.request(Method::GET, node, path);
    let response = request.bearer_auth(&ledger.token).send().await;
    let response = response.expect("an answer");
    let link = header(&response, "link");
    let next = link.map(|link| {
        let (address, relation) = link.split_once('>').expect("an address");
        assert_eq!(relation, "; rel=\"next\"");
        address.trim_start_matches('<').to_owned()
    });
    Page {
        status: response.status().as_u16(),
        next,
        body: response.json().await.expect("JSON"),
    }
}

fn header(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().expect("text").to_owned())
}

fn events(body: &Value) -> &[Value] {
    let events = &body["epcisBody"]["queryResults"]["resultsBody"]["eventList"];
    events
        .as_array()
        .unwrap_or_else(|| panic!("no events in {body}"))
}

/// All events of an answer, each page from another node.
async fn walk(ledger: &Ledger, path: &str) -> Vec<Value> {
    let (mut found, mut next, mut node) = (Vec::new(), Some(path.to_owned()), 0);
    while let Some(path) = next {
        let page = ask(ledger, node, &path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        found.extend_from_slice(events(&page.body));
        next = page.next;
        node += 1;
        assert!(node < 200, "{path} does not end");
    }
    found
}

fn ids(events: &[Value]) -> Vec<&str> {
    let ids = events
        .iter()
        .map(|event| event["eventID"].as_str().expect("an id"));
    ids.collect()
}

fn key(uri: &Value) -> Option<String> {
    Some(Identifier::parse(uri.as_str()?).ok()?.key.to_string())
}

fn keys(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(key)
        .collect()
}

fn reports(event: &Value) -> impl Iterator<Item = &Value> {
    let elements = event["sensorElementList"].as_array().into_iter().flatten();
    elements.flat_map(|element| element["sensorReport"].as_array().into_iter().flatten())
}

type Holds = Box<dyn Fn(&Value) -> bool>;

/// Queries, and what they say of an event.
fn questions(sample: &[Value], recalled: &str) -> Vec<(String, Holds)> {
    let recalled_key = key(&Value::from(recalled)).expect("a key");
    let shipped = sample
        .iter()
        .find(|event| event["bizStep"] == "shipping")
        .expect("one")
        .clone();
    let place = key(&shipped["readPoint"]["id"]).expect("a place");
    let sender = key(&shipped["sourceList"][0]["source"]).expect("a party");
    let advice = shipped["bizTransactionList"][0]["bizTransaction"]
        .as_str()
        .expect("an advice")
        .to_owned();
    let lot = sample
        .iter()
        .find_map(|event| event["ilmd"]["cbvmda:lotNumber"].as_str());
    let lot = lot.expect("a lot").to_owned();
    let packs = sample
        .iter()
        .find(|event| event["outputEPCList"].is_array())
        .expect("packs");
    let pack = key(&packs["outputEPCList"][0]).expect("a pack");
    let class = pack.split("/21/").next().expect("a class").to_owned();
    let (from, to) = (
        sample[150]["eventTime"].clone(),
        sample[320]["eventTime"].clone(),
    );
    let span = format!(
        "GE_eventTime={}&LT_eventTime={}",
        from.as_str().unwrap(),
        to.as_str().unwrap()
    );
    let mut questions: Vec<(String, Holds)> = Vec::new();
    let mut ask = |question: String, holds: Holds| questions.push((question, holds));
    ask(
        "EQ_bizStep=shipping|receiving".into(),
        Box::new(|event| event["bizStep"] == "shipping" || event["bizStep"] == "receiving"),
    );
    ask(
        "eventType=TransformationEvent".into(),
        Box::new(|event| event["type"] == "TransformationEvent"),
    );
    ask(
        "EQ_action=DELETE&EQ_disposition=retail_sold".into(),
        Box::new(|event| event["action"] == "DELETE" && event["disposition"] == "retail_sold"),
    );
    ask(
        format!("MATCH_anyEPCClass={}", percent_encoded(recalled)),
        Box::new(move |event| {
            ["quantityList", "inputQuantityList", "outputQuantityList"]
                .iter()
                .any(|list| {
                    let elements = event[list].as_array().into_iter().flatten();
                    elements
                        .filter_map(|element| key(&element["epcClass"]))
                        .any(|key| key == recalled_key)
                })
        }),
    );
    ask(
        format!("EQ_readPoint={place}"),
        Box::new(move |event| key(&event["readPoint"]["id"]).as_ref() == Some(&place)),
    );
    ask(
        format!("EQ_source_possessing_party={sender}"),
        Box::new(move |event| {
            let sources = event["sourceList"].as_array().into_iter().flatten();
            let mut sources = sources.filter(|source| source["type"] == "possessing_party");
            sources.any(|source| key(&source["source"]).as_ref() == Some(&sender))
        }),
    );
    ask(
        format!("EQ_bizTransaction_desadv={advice}"),
        Box::new(move |event| event["bizTransactionList"][0]["bizTransaction"] == advice.as_str()),
    );
    ask(
        "GE_value_CEL=8".into(),
        Box::new(|event| {
            reports(event)
                .any(|report| report["uom"] == "CEL" && report["value"].as_f64() >= Some(8.0))
        }),
    );
    ask(
        "EQ_example:coldChainBroken=true".into(),
        Box::new(|event| event["example:coldChainBroken"] == true),
    );
    ask(
        "EXISTS_sensorElementList=true&EQ_type=RelativeHumidity".into(),
        Box::new(|event| reports(event).any(|report| report["type"] == "RelativeHumidity")),
    );
    ask(
        format!("EQ_ILMD_cbvmda:lotNumber={lot}"),
        Box::new(move |event| event["ilmd"]["cbvmda:lotNumber"] == lot.as_str()),
    );
    ask(
        format!("MATCH_anyEPC={class}"),
        Box::new(move |event| {
            let lists = ["epcList", "childEPCs", "outputEPCList"];
            lists
                .iter()
                .flat_map(|list| keys(&event[list]))
                .any(|key| key.starts_with(&class))
        }),
    );
    ask(
        span,
        Box::new(move |event| {
            let time = event["eventTime"].as_str().unwrap();
            from.as_str().unwrap() <= time && time < to.as_str().unwrap()
        }),
    );
    questions
}

#[tokio::test]
async fn queries_find_what_a_walk_over_the_captured_events_finds() {
    let ledger = Ledger::start(3).await;
    let truth = ledger.capture_sample(EVENTS, SEED).await;
    let sample: Vec<Value> = Sample::new(EVENTS, SEED).collect();
    for (question, holds) in questions(&sample, &truth.truth().recalled.urn) {
        let wanted: Vec<&Value> = sample.iter().filter(|event| holds(event)).collect();
        assert!(
            !wanted.is_empty() && wanted.len() < EVENTS,
            "{question} shows nothing"
        );
        let wanted: BTreeSet<&str> = wanted
            .iter()
            .map(|event| event["eventID"].as_str().unwrap())
            .collect();
        let path = format!("/events?{question}&perPage=17&orderBy=eventTime&orderDirection=ASC");
        let found = walk(&ledger, &path).await;
        let once: BTreeSet<&str> = ids(&found).into_iter().collect();
        assert_eq!((found.len(), &once), (wanted.len(), &wanted), "{question}");
        // The sample's times are all in UTC: their texts are in their order.
        let times = found
            .iter()
            .map(|event| event["eventTime"].as_str().unwrap());
        assert!(times.is_sorted(), "{question}");
    }

    // An answer can be captured: all of it is known.
    let everything = walk(&ledger, "/events?perPage=200").await;
    assert_eq!(everything.len(), EVENTS);
    let page = ask(&ledger, 0, "/events?perPage=200").await.body;
    let body = serde_json::to_vec(&page).expect("JSON");
    let read = capture::parse(&body, &Limits::default()).expect("a query document");
    assert_eq!(read.events.len(), 200);
    let receipt = ledger.capture(ledger.first(), &page).await;
    assert_eq!(receipt["repeated"], 200, "{receipt}");

    limits(&ledger).await;
    resources(&ledger, &sample).await;
    refusals(&ledger).await;
}

async fn limits(ledger: &Ledger) {
    let latest = walk(
        ledger,
        "/events?orderBy=eventTime&eventCountLimit=40&perPage=15",
    )
    .await;
    let all = walk(ledger, "/events?orderBy=eventTime").await;
    assert_eq!(ids(&latest), ids(&all[..40]));
    let shipped = walk(ledger, "/events?EQ_bizStep=shipping").await.len();
    for question in [
        "EQ_bizStep=shipping",
        "EQ_bizStep=shipping&EXISTS_example:none=false",
    ] {
        let path = format!("/events?{question}&maxEventCount={shipped}");
        assert_eq!(walk(ledger, &path).await.len(), shipped);
        let path = format!("/events?{question}&maxEventCount={}", shipped - 1);
        let refused = ask(ledger, 0, &path).await;
        assert_eq!(
            (refused.status, &refused.body["type"]),
            (413, &"epcisException:QueryTooLargeException".into())
        );
    }
    let damp = walk(ledger, "/events?EQ_type=RelativeHumidity").await.len();
    let refused = ask(
        ledger,
        0,
        &format!(
            "/events?EQ_type=RelativeHumidity&maxEventCount={}",
            damp - 1
        ),
    )
    .await;
    assert_eq!(refused.status, 413);
    let one = ids(&all)[7];
    let found = walk(
        ledger,
        &format!("/events?EQ_eventID={one}|urn:uuid:nothing"),
    )
    .await;
    assert_eq!(ids(&found), [one]);
}

async fn resources(ledger: &Ledger, sample: &[Value]) {
    let places = sample
        .iter()
        .filter_map(|event| key(&event["readPoint"]["id"]));
    let places: BTreeSet<String> = places.collect();
    let (mut listed, mut next) = (Vec::new(), Some("/readPoints?perPage=5".to_owned()));
    while let Some(path) = next {
        let page = ask(ledger, listed.len(), &path).await;
        let members = page.body["member"].as_array().expect("members").iter();
        listed.extend(members.map(|member| member.as_str().unwrap().to_owned()));
        next = page.next;
    }
    assert_eq!(listed, places.into_iter().collect::<Vec<_>>());
    let place = percent_encoded(&listed[0]);
    let parts = ask(ledger, 1, &format!("/readPoints/{place}")).await;
    assert_eq!(
        (parts.status, &parts.body["member"]),
        (200, &serde_json::json!(["events"]))
    );
    let events = walk(
        ledger,
        &format!("/readPoints/{place}/events?EQ_action=OBSERVE&perPage=9"),
    )
    .await;
    let same = walk(
        ledger,
        &format!("/events?EQ_readPoint={place}&EQ_action=OBSERVE"),
    )
    .await;
    assert!(!same.is_empty());
    assert_eq!(ids(&events), ids(&same));

    for (path, member) in [
        ("/eventTypes", "AssociationEvent"),
        ("/bizSteps?perPage=100", "packing"),
        ("/dispositions?perPage=100", "retail_sold"),
    ] {
        let page = ask(ledger, 0, path).await;
        let members = page.body["member"].as_array().expect("members");
        assert!(members.contains(&member.into()), "{path}");
        let name = path.split('?').next().unwrap();
        assert_eq!(
            ask(ledger, 0, &format!("{name}/{member}")).await.status,
            200
        );
        assert!(
            !walk(ledger, &format!("{name}/{member}/events"))
                .await
                .is_empty()
        );
    }
    let epcs = ask(ledger, 0, "/epcs?perPage=1000").await.body["member"].clone();
    let pallet = &epcs[0];
    let found = walk(
        ledger,
        &format!("/epcs/{}/events", percent_encoded(pallet.as_str().unwrap())),
    )
    .await;
    assert!(!found.is_empty(), "{pallet}");
    for path in [
        "/epcs/urn%3Aepc%3Aid%3Asgtin%3A0614141.107346.2017",
        "/bizSteps/shiping",
        "/readPoints/x/events",
    ] {
        let missing = ask(ledger, 0, path).await;
        assert_eq!(
            (missing.status, &missing.body["type"]),
            (404, &"epcisException:NoSuchNameException".into())
        );
    }
    for (path, allow) in [
        ("/events", "OPTIONS, GET, POST"),
        ("/bizSteps/packing", "OPTIONS, GET"),
    ] {
        let request = ledger.request(Method::OPTIONS, ledger.first(), path);
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 204);
        assert_eq!(header(&response, "allow").as_deref(), Some(allow));
        for name in ["gs1-epcis-version", "gs1-epcis-min", "gs1-cbv-max"] {
            assert_eq!(header(&response, name).as_deref(), Some("2.0.0"), "{name}");
        }
    }
}

async fn refusals(ledger: &Ledger) {
    let page = ask(ledger, 0, "/events?EQ_bizStep=packing&perPage=3").await;
    let token = page.next.expect("another page");
    let token = token.split("nextPageToken=").nth(1).expect("a token");
    for (path, status, kind) in [
        ("/events?EQ_bizstep=packing", 400, "QueryParameterException"),
        (
            "/events?HASATTR_example:x=y",
            501,
            "ImplementationException",
        ),
        ("/events?perPage=0", 400, "QueryParameterException"),
        ("/epcs?EQ_action=ADD", 400, "QueryParameterException"),
        (
            format!("/events?EQ_bizStep=shipping&nextPageToken={token}").as_str(),
            400,
            "QueryParameterException",
        ),
        (
            format!("/epcs?nextPageToken={token}").as_str(),
            400,
            "QueryParameterException",
        ),
    ] {
        let refused = ask(ledger, 0, path).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.body);
        assert_eq!(
            refused.body["type"],
            format!("epcisException:{kind}"),
            "{path}"
        );
        assert!(refused.body["parameter"].is_string(), "{path}");
    }
    let request = ledger.request(Method::GET, ledger.first(), "/events");
    let response = request.header("accept", "application/xml").send().await;
    assert_eq!(response.expect("an answer").status(), 406);
}
