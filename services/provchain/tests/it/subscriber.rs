//! What the tests of queries and subscriptions have in common: parties that ask and capture.

use provchain::epcis::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::{Answer, Ledger, answer, until};
use super::epcis_fixtures::{document, object_event};
use devcluster::{Builder, Node};

/// A ledger whose subscribers may be on this machine.
pub async fn ledger(nodes: u16) -> Ledger {
    ledger_with(nodes, &[]).await
}

/// The same, with settings.
pub async fn ledger_with(nodes: u16, settings: &[(&str, &str)]) -> Ledger {
    Ledger::start_with(nodes, |nodes| {
        let nodes = allow_receivers_here(nodes);
        let settings = settings.iter();
        settings.fold(nodes, |nodes, (name, value)| nodes.env(name, value))
    })
    .await
}

/// Nodes whose subscribers may be on this machine.
pub fn allow_receivers_here(nodes: Builder) -> Builder {
    nodes
        .env("PROVCHAIN_SUBSCRIPTION_PRIVATE_DESTINATIONS", "true")
        .env("PROVCHAIN_SUBSCRIPTION_PLAIN_HTTP", "true")
}

/// Somebody who acts for a party, at one node.
#[derive(Clone)]
pub struct Party<'a> {
    pub ledger: &'a Ledger,
    pub node: &'a Node,
    pub token: String,
}

/// A party of this name, whose people have this role.
pub fn party<'a>(ledger: &'a Ledger, name: &str, role: &str) -> Party<'a> {
    Party {
        ledger,
        node: ledger.first(),
        token: ledger.token_for(name, role),
    }
}

/// The eventID of the event with this number.
pub fn id(number: u64) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-{number:012}")
}

/// The ids of numbers.
pub fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(id).collect()
}

/// An event with this number and this business step.
pub fn event(number: u64, step: &str) -> Value {
    let mut event = object_event();
    event["eventID"] = json!(id(number));
    event["bizStep"] = json!(step);
    event
}

impl Party<'_> {
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.ledger.request(method, self.node, path);
        let mut request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Makes a query of this name, which must be taken.
    pub async fn define(&self, name: &str, query: Value) {
        let made = self
            .post("/queries", json!({ "name": name, "query": query }))
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
    }

    /// Subscribes to a query, which must be taken; gives the subscription's address.
    pub async fn subscribe(&self, query: &str, subscription: Value) -> String {
        let path = format!("/queries/{query}/subscriptions");
        let made = self.post(&path, subscription).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.json()["subscriptionID"]
            .as_str()
            .expect("an id")
            .to_owned();
        format!("{path}/{id}")
    }

    /// Captures events.
    pub async fn capture(&self, events: &[Value], visibility: &str) {
        let request = self.ledger.request(Method::POST, self.node, "/capture");
        let request = request
            .bearer_auth(&self.token)
            .header("provchain-visibility", visibility)
            .json(&document(&json!(events)));
        let taken = answer(request).await.expect("an answer");
        assert_eq!(taken.status, 202, "{}", taken.text());
    }

    /// Waits until a subscription is shown so.
    pub async fn shown(&self, path: &str, mut so: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        until(&format!("{path} is as expected"), async || {
            last = self.get(path).await.json();
            so(&last)
        })
        .await;
        last
    }
}

/// A time some hours before now, as a client says it.
pub fn long_ago() -> String {
    let hours = i64::try_from(kit::clock::unix_ms()).expect("a time") - 36_000_000;
    let time = Timestamp {
        unix_micros: hours * 1000,
    };
    time.to_string()
}
