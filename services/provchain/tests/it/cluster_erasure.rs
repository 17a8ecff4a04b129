//! Erasing a subject: what is left of it anywhere, and what still holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use devcluster::{Builder, Node};
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::cluster::{Answer, Ledger, PROVCHAIN, answer, copy, until};
use super::cluster_verify::verify;
use super::epcis_fixtures::document;

pub const DRIVER: &str = "https://ns.example.com/ext/driver";
pub const PARTY: &str = "urn:epc:id:pgln:0614141.00777";

/// A ledger in which a field and a party are personal.
pub struct Erasing {
    pub ledger: Ledger,
    admin: String,
}

/// An event of its own, about somebody; `note` is anything that nobody else says.
pub fn event(number: usize, members: &Value, note: &str) -> Value {
    let mut event = json!({
        "type": "ObjectEvent",
        "eventID": format!("urn:uuid:374d95fc-9457-4a51-bd6a-{number:012x}"),
        "eventTime": "2026-01-05T05:00:00.000+01:00",
        "eventTimeZoneOffset": "+01:00",
        "action": "OBSERVE",
        "epcList": [format!("urn:epc:id:sgtin:0614141.107346.{number}")],
        "ext:note": note,
    });
    for (key, value) in members.as_object().expect("members") {
        event[key] = value.clone();
    }
    event
}

pub fn driven_by(name: &str) -> Value {
    json!({ "ext:driver": name })
}

impl Erasing {
    pub async fn start(count: u16) -> Self {
        Self::start_with(count, |nodes| nodes).await
    }

    pub async fn start_with(count: u16, prepare: impl FnOnce(Builder) -> Builder) -> Self {
        let ledger = Ledger::start_with(count, prepare).await;
        let admin = ledger.token_of("admin");
        let erasing = Self { ledger, admin };
        let personal = json!({ "fields": [DRIVER], "parties": [PARTY] });
        let path = "/api/v1/personal";
        let set = erasing
            .ask(erasing.ledger.first(), Method::PUT, path, Some(personal))
            .await;
        assert_eq!(set.status, 200, "{}", set.text());
        erasing
    }

    /// Asks as an administrator.
    pub async fn ask(
        &self,
        node: &Node,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.ledger.request(method, node, path);
        request = request.bearer_auth(&self.admin);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await.expect("an answer")
    }

    /// Captures events that must be taken; gives their entries.
    pub async fn capture(&self, node: &Node, events: &[Value]) -> Vec<u64> {
        let receipt = self.ledger.capture(node, &document(&json!(events))).await;
        let entries = receipt["entries"].as_array().expect("entries").iter();
        entries
            .map(|entry| entry.as_u64().expect("a number"))
            .collect()
    }

    /// Erases whoever this is; gives what is told of it.
    pub async fn erase(&self, node: &Node, who: Value) -> Value {
        let path = "/api/v1/subjects/erase";
        let erased = self.ask(node, Method::POST, path, Some(who)).await;
        assert_eq!(erased.status, 200, "{}", erased.text());
        erased.json()
    }

    pub async fn erase_driver(&self, node: &Node, name: &str) -> Value {
        self.erase(node, json!({ "field": DRIVER, "value": name }))
            .await
    }

    /// Waits until all members have confirmed an erasure.
    pub async fn complete(&self, node: &Node, erased: &Value) -> Value {
        let subject = erased["subject"].as_str().expect("a pseudonym");
        let path = format!("/api/v1/subjects/{subject}");
        let mut told = Value::Null;
        until("all members have destroyed the keys", async || {
            told = self.ask(node, Method::GET, &path, None).await.json();
            told["complete"] == true
        })
        .await;
        told
    }

    /// Whether every node gives the content of an entry, or how all of them refuse it.
    pub async fn status_of(&self, entry: u64) -> u16 {
        let path = format!("/api/v1/entries/{entry}/event");
        let mut statuses = BTreeMap::new();
        for node in self
            .ledger
            .nodes
            .nodes()
            .iter()
            .filter(|node| node.is_running())
        {
            let status = self.ask(node, Method::GET, &path, None).await.status;
            statuses
                .entry(status)
                .or_insert_with(Vec::new)
                .push(node.name());
        }
        assert_eq!(statuses.len(), 1, "entry {entry}: {statuses:?}");
        *statuses.keys().next().expect("one")
    }

    /// The entries that a query on `node` finds.
    pub async fn found(&self, node: &Node, query: &str) -> usize {
        let answer = self
            .ask(node, Method::GET, &format!("/events?{query}"), None)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let list = &answer.json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"];
        list.as_array().expect("events").len()
    }

    async fn proof(&self, entries: &[u64], name: &str) -> (std::path::PathBuf, Value) {
        let list: Vec<String> = entries.iter().map(ToString::to_string).collect();
        let path = format!("/api/v1/proofs/entries?indices={}", list.join(","));
        let proof = self
            .ask(self.ledger.first(), Method::GET, &path, None)
            .await;
        assert_eq!(proof.status, 200, "{}", proof.text());
        let file = self.ledger.scratch("proofs").join(name);
        std::fs::write(&file, &proof.body).expect("written");
        (file, proof.json())
    }
}

/// The keys in a node's store.
#[expect(clippy::disallowed_methods, reason = "a store, to be looked into")]
pub fn keys_in(folder: &Path) -> Vec<Vec<u8>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let store = Connection::open_with_flags(folder.join("subjects.db"), flags).expect("a store");
    let mut select = store
        .prepare("SELECT key FROM subject_key")
        .expect("a table");
    let keys = select.query_map([], |row| row.get(0)).expect("keys");
    keys.collect::<Result<_, _>>().expect("keys")
}

/// The files below `folder` that hold these bytes.
pub fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if let Ok(content) = std::fs::read(&path) {
            let mut windows = content.windows(bytes.len());
            if windows.any(|window| window == bytes) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

fn verified(file: &Path) -> (Option<i32>, String) {
    let output = Command::new(PROVCHAIN)
        .env_clear()
        .arg("verify")
        .arg(file)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), told)
}

const ANN: &str = "Ann Unforgettable";
const SECRET_NOTE: &str = "prefers the scenic route by night";

#[tokio::test]
async fn nothing_of_an_erased_subject_is_in_any_file_of_any_node_and_every_old_proof_holds() {
    let erasing = Erasing::start(3).await;
    let ledger = &erasing.ledger;
    let [first, second, third] = ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    let both = json!({
        "ext:driver": ANN,
        "destinationList": [{ "type": "owning_party", "destination": PARTY }],
        "ext:route": SECRET_NOTE,
    });
    let entries = erasing
        .capture(
            first,
            &[
                event(0, &driven_by(ANN), SECRET_NOTE),
                event(1, &driven_by("Bob"), "of Bob"),
                event(2, &both, "of both"),
                event(3, &json!({}), "of nobody"),
            ],
        )
        .await;
    let more = erasing
        .capture(second, &[event(4, &driven_by(ANN), "of Ann, again")])
        .await;
    let hers = [entries[0], entries[2], more[0]];
    for node in [first, second, third] {
        assert_eq!(
            erasing.found(node, "EQ_action=OBSERVE").await,
            5,
            "{}",
            node.name()
        );
    }
    ledger.sealed(first).await;
    let all: Vec<u64> = entries.iter().chain(&more).copied().collect();
    let (old_proof, disclosed) = erasing.proof(&all, "old.json").await;
    let before = verified(&old_proof);
    assert_eq!(before.0, Some(3), "{}", before.1);

    // What has to be gone. The control: it is all over the place before.
    let mut gone: Vec<Vec<u8>> = keys_in(&first.data_dir());
    assert_eq!(gone.len(), 3, "Ann's, Bob's and the party's");
    for (proven, entry) in disclosed["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .zip(&all)
    {
        assert_eq!(proven["index"], *entry);
        if hers.contains(entry) {
            use base64::Engine as _;
            let key = proven["disclosed"]["whole"]["key"].as_str().expect("a key");
            gone.push(
                base64::engine::general_purpose::STANDARD
                    .decode(key)
                    .expect("base64"),
            );
        }
    }
    // What the index has of the events beside what lies encrypted: ids, and the party.
    let indexed = [
        "urn:uuid:374d95fc-9457-4a51-bd6a-000000000000",
        "https://id.gs1.org/417/0614141007776",
    ];
    for node in [first, second, third] {
        for text in indexed {
            let holders = holding(&node.dir(), text.as_bytes());
            assert!(
                holders.iter().any(|file| file.contains("index.db")),
                "{holders:?}"
            );
        }
        assert_eq!(
            holding(&node.dir(), &gone[0]).len(),
            1,
            "keys lie in one place"
        );
    }
    let texts = [ANN, SECRET_NOTE, "of both", "of Ann, again"];
    gone.extend(texts.into_iter().chain(indexed).map(Into::into));
    // A backup of the ledger is a copy of its state, without what lies beside.
    let backup = ledger.scratch("backup");
    copy(&third.data_dir().join("state"), &backup.join("state"));
    for bytes in &gone {
        assert_eq!(
            holding(&backup, bytes),
            [""; 0],
            "it was never readable there"
        );
    }

    let erased = erasing.erase_driver(second, ANN).await;
    assert_eq!(erased["entries"], 0, "{erased}");
    assert_eq!(erased["erasures"][0]["entries"], 3, "{erased}");
    let told = erasing.complete(third, &erased).await;
    assert_eq!(
        told["members"].as_array().expect("members").len(),
        3,
        "{told}"
    );
    // Bob's and the party's stay.
    let left = keys_in(&first.data_dir());
    gone.retain(|bytes| !left.contains(bytes));
    assert_eq!(
        gone.len(),
        10,
        "a subject's key, three of entries, six texts"
    );
    for node in [first, second, third] {
        for bytes in &gone {
            let holders = holding(&node.dir(), bytes);
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(holders, [""; 0], "{shown:?} on {}", node.name());
        }
    }

    // The others go on, on every node; hers are told to be erased, and nothing finds them.
    for entry in &all {
        let wanted = if hers.contains(entry) { 410 } else { 200 };
        assert_eq!(erasing.status_of(*entry).await, wanted, "entry {entry}");
    }
    for node in [first, second, third] {
        assert_eq!(
            erasing.found(node, "EQ_action=OBSERVE").await,
            2,
            "{}",
            node.name()
        );
    }
    let leaf = ledger
        .json(first, &format!("/api/v1/entries/{}", hers[0]))
        .await;
    assert_eq!(leaf["erased"], true);
    assert_eq!(
        leaf["statementCount"].as_u64().map(|count| count > 3),
        Some(true)
    );

    // Everything that verified verifies, and what is proven now has the very same leaves.
    assert_eq!(verified(&old_proof), before);
    let (new_proof, closed) = erasing.proof(&all, "new.json").await;
    assert_eq!(verified(&new_proof).0, Some(3));
    let entries_of = |file: &Value| file["entries"].as_array().expect("entries").clone();
    for (old, new) in entries_of(&disclosed).iter().zip(entries_of(&closed)) {
        assert_eq!(old["leaf"], new["leaf"]);
        let erased = hers.contains(&old["index"].as_u64().unwrap());
        assert_eq!(new["disclosed"].get("nothing").is_some(), erased, "{new}");
    }
    let tree = ledger.common_tree().await;
    for node in [first, second, third] {
        assert!(node.stop().await.expect("stopped"));
        let (status, report) = verify(&node.data_dir(), None);
        let told = (
            status,
            &report["erased"],
            &report["locked"],
            &report["opened"],
        );
        assert_eq!(told, (3, &json!(3), &json!(0), &json!(2)), "{report}");
        assert_eq!(report["root"], tree.root, "{report}");
    }
    // The backup holds, and opens nothing: the keys are elsewhere, or nowhere any more.
    let (status, report) = verify(&backup, None);
    let told = (
        status,
        &report["erased"],
        &report["locked"],
        &report["opened"],
    );
    assert_eq!(told, (3, &json!(0), &json!(4), &json!(1)), "{report}");
}

#[tokio::test]
async fn whoever_could_not_see_an_event_does_not_hear_that_it_was_erased() {
    let erasing = Erasing::start(1).await;
    let ledger = &erasing.ledger;
    let node = ledger.first();
    let body = document(&json!([event(0, &driven_by(ANN), "private")]));
    let farm = ledger.token_for("farm", "farmer");
    let request = ledger.request(Method::POST, node, "/capture");
    let request = request
        .bearer_auth(&farm)
        .header("provchain-visibility", "private");
    let taken = answer(request.json(&body)).await.expect("an answer").json();
    let entry = taken["entries"][0].as_u64().expect("an entry");
    let mut told = Vec::new();
    for round in ["before", "after"] {
        for route in ["event", "statements"] {
            let path = format!("/api/v1/entries/{entry}/{route}");
            for (token, sees) in [(Some(&farm), true), (None, false)] {
                let mut request = ledger.request(Method::GET, node, &path);
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                let answered = answer(request).await.expect("an answer");
                let wanted = match (sees, round) {
                    (false, _) => 404,
                    (true, "before") => 200,
                    (true, _) => 410,
                };
                assert_eq!(
                    answered.status,
                    wanted,
                    "{round} {route} {}",
                    answered.text()
                );
                if !sees {
                    told.push(answered.text());
                }
            }
        }
        if round == "before" {
            erasing.erase_driver(node, ANN).await;
        }
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn after_an_erasure_the_same_subject_is_captured_again_and_erased_again() {
    let erasing = Erasing::start(1).await;
    let node = erasing.ledger.first();
    for round in 0..3 {
        let (mine, note) = (event(round, &driven_by(ANN), "again"), driven_by("Bob"));
        let entries = erasing
            .capture(node, &[mine.clone(), event(10 + round, &note, "Bob's")])
            .await;
        assert_eq!(erasing.status_of(entries[0]).await, 200);
        // A repetition is one, until the event is erased.
        assert_eq!(
            erasing.capture(node, std::slice::from_ref(&mine)).await,
            entries[..1]
        );
        let erased = erasing.erase_driver(node, ANN).await;
        assert_eq!(
            erased["erasures"].as_array().map(Vec::len),
            Some(round + 1),
            "{erased}"
        );
        assert_eq!(erased["erasures"][round]["entries"], 1, "{erased}");
        assert_eq!(erasing.status_of(entries[0]).await, 410);
        assert_eq!(erasing.status_of(entries[1]).await, 200);
    }
    // The party is a subject by any way to write its identifier.
    let to = json!({ "destinationList": [{ "type": "owning_party", "destination": PARTY }] });
    let entries = erasing
        .capture(node, &[event(20, &to, "to the party")])
        .await;
    let link = json!({ "party": "https://id.gs1.org/417/0614141007776" });
    erasing.erase(node, link).await;
    assert_eq!(erasing.status_of(entries[0]).await, 410);
}
