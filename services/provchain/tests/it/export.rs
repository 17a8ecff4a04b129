//! `provchain export`: what it writes is what the ledger holds, for whom it is, and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use devcluster::Node;
use provchain::rdf::nquads;
use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::{Ledger, PROVCHAIN, answer, copy, until};
use super::epcis_fixtures::{document, object_event};

/// Runs `provchain export`, which must come to an end whatever comes of it.
pub fn export(arguments: &[&str]) -> Output {
    Command::new(PROVCHAIN)
        .env_clear()
        .arg("export")
        .args(arguments)
        .output()
        .expect("it runs")
}

/// What an export that must succeed says.
pub fn exported(arguments: &[&str]) -> String {
    let output = export(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("text")
}

/// What an export that must fail complains of.
pub fn refused(arguments: &[&str]) -> String {
    let output = export(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

/// All files below a folder with what is in them.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("a file");
                found.insert(path.strip_prefix(folder).expect("below it").into(), bytes);
            }
        }
    }
    found
}

/// The documents of an export, without the time at which it was made.
fn documents(folder: &Path) -> Vec<Value> {
    let files = files(folder).into_values();
    let documents = files.map(|bytes| {
        let mut document: Value = serde_json::from_slice(&bytes).expect("JSON");
        document["creationDate"] = Value::Null;
        document
    });
    documents.collect()
}

fn event_count(documents: &[Value]) -> usize {
    let lists = documents.iter().map(|it| &it["epcisBody"]["eventList"]);
    lists
        .map(|list| list.as_array().expect("a list").len())
        .sum()
}

/// A sample, and events whose contexts differ in every way.
async fn mixed(ledger: &Ledger, node: &Node) -> u64 {
    ledger.capture_sample(150, 41).await;
    let mut other = document(&json!([object_event()]));
    other["epcisBody"]["eventList"][0]["@context"] = json!({ "more": "https://more.example/" });
    other["epcisBody"]["eventList"][0]["more:text"] = json!("more");
    ledger.capture(node, &other).await;
    let mut event = object_event();
    event["eventID"] = json!("urn:uuid:0d95fc37-9457-4a51-bd6a-0bba133845a8");
    event["@context"] = json!(["https://gs1.github.io/EPCIS/epcis-context.jsonld", {
        "ext": "https://else.example/"
    }]);
    ledger.capture(node, &event).await;
    ledger.tree(node).await.size
}

/// The events of a ledger, byte for byte.
async fn stored(ledger: &Ledger, node: &Node, size: u64) -> Vec<String> {
    let mut events = Vec::new();
    for entry in 0..size {
        let path = format!("/api/v1/entries/{entry}/event");
        events.push(ledger.get(node, &path).await.text());
    }
    events
}

#[tokio::test]
async fn exported_documents_are_captured_by_another_ledger_as_the_same_events() {
    let ledger = Ledger::start(1).await;
    let (node, scratch) = (ledger.first(), ledger.scratch("exports"));
    let size = mixed(&ledger, node).await;
    let url = node.url("api").expect("a port");
    let out = scratch.join("epcis");
    let told = exported(&["--format", "epcis", "--url", &url, "--out", text(&out)]);
    assert!(
        told.starts_with(&format!("{size} events in 2 documents")),
        "{told}"
    );
    let first = stored(&ledger, node, size).await;

    let again = Ledger::start(1).await;
    let target = again.first().url("api").expect("a port");
    let paths: Vec<PathBuf> = files(&out).into_keys().map(|name| out.join(name)).collect();
    let output = Command::new(PROVCHAIN)
        .env_clear()
        .args(["capture", "--url", &target, "--token", &again.token])
        .args(&paths)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        told.trim(),
        format!("{size} events captured, 0 of them known before"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(stored(&again, again.first(), size).await, first);
}

#[tokio::test]
async fn a_part_of_the_ledger_is_exported_as_it_was_at_a_size() {
    let ledger = Ledger::start(1).await;
    let (node, scratch) = (ledger.first(), ledger.scratch("exports"));
    let size = mixed(&ledger, node).await;
    let url = node.url("api").expect("a port");
    let events = stored(&ledger, node, size).await;
    let range = |name: &str, arguments: &[&str]| {
        let out = scratch.join(name);
        let all = [
            &["--format", "epcis", "--url", &url, "--out", text(&out)],
            arguments,
        ];
        exported(&all.concat());
        documents(&out)
    };
    let part = range("part", &["--from", "10", "--until", "130"]);
    assert_eq!(event_count(&part), 120);
    let mut tenth: Value = serde_json::from_str(&events[10]).expect("JSON");
    let mut found = part[0]["epcisBody"]["eventList"][0].clone();
    for event in [&mut tenth, &mut found] {
        event.as_object_mut().expect("an object").remove("@context");
    }
    assert_eq!(found, tenth);
    assert_eq!(event_count(&range("early", &["--as-of", "20"])), 20);
    assert_eq!(
        event_count(&range("none", &["--from", "7", "--until", "7"])),
        0
    );
    let wrong = |arguments: &[&str]| {
        let out = scratch.join("wrong");
        let complaint = refused(
            &[
                &["--format", "epcis", "--url", &url, "--out", text(&out)],
                arguments,
            ]
            .concat(),
        );
        assert!(!out.exists());
        complaint
    };
    let beyond = (size + 1).to_string();
    for (arguments, part) in [
        (&["--as-of", &beyond][..], "entries"),
        (&["--until", &beyond], "--until"),
        (&["--from", "20", "--until", "19"], "--from"),
        (&["--as-of", "20", "--until", "21"], "20 entries"),
    ] {
        let complaint = wrong(arguments);
        assert!(complaint.contains(part), "{arguments:?}: {complaint}");
    }
}

#[tokio::test]
async fn who_exports_gets_what_the_token_may_read_and_a_count_of_the_rest() {
    const MARK: &str = "trade secret";
    let ledger = Ledger::start(1).await;
    let (node, scratch) = (ledger.first(), ledger.scratch("exports"));
    ledger.capture_sample(30, 42).await;
    let farm = ledger.token_for("farm", "farmer");
    let mut event = object_event();
    event["ext:note"] = json!(MARK);
    let request = ledger.request(Method::POST, node, "/capture");
    let request = request
        .bearer_auth(&farm)
        .header("provchain-visibility", "private");
    let taken = answer(request.json(&document(&json!([event])))).await;
    assert_eq!(taken.expect("an answer").status, 202);

    let admin = ledger.token_of("admin");
    let user = json!({ "name": "scanner", "role": "consumer", "party": "farm" });
    let post = async |path: &str, body: Value| {
        let request = ledger.request(Method::POST, node, path);
        let made = answer(request.bearer_auth(&admin).json(&body))
            .await
            .expect("an answer");
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    };
    post("/api/v1/users", user).await;
    let key = post("/api/v1/api-keys", json!({ "user": "scanner" })).await["key"].clone();
    let key = key.as_str().expect("a key");

    let url = node.url("api").expect("a port");
    let stranger = ledger.token_for("other", "retailer");
    for (name, token, sees) in [
        ("nobody", None, false),
        ("stranger", Some(&*stranger), false),
        ("farm", Some(&*farm), true),
        ("key", Some(key), true),
        ("admin", Some(&*admin), true),
    ] {
        for format in ["epcis", "nquads"] {
            let out = scratch.join(format!("{name}-{format}"));
            let mut arguments = vec!["--format", format, "--url", &url, "--out", text(&out)];
            if let Some(token) = token {
                arguments.extend(["--token", token]);
            }
            let told = exported(&arguments);
            let (events, rest) = if sees { (31, "") } else { (30, ", 1 left out") };
            assert!(
                told.starts_with(&format!("{events} events{rest}")),
                "{name}: {told}"
            );
            let written = if out.is_dir() {
                files(&out).into_values().collect::<Vec<_>>().concat()
            } else {
                std::fs::read(&out).expect("a file")
            };
            let shown = String::from_utf8_lossy(&written).contains(MARK);
            assert_eq!(shown, sees, "{name}: {format}");
        }
    }
    let out = scratch.join("refused");
    let arguments = [
        "--format",
        "epcis",
        "--url",
        &url,
        "--token",
        "x.y.z",
        "--out",
        text(&out),
    ];
    let complaint = refused(&arguments);
    assert!(complaint.contains("401"), "{complaint}");
    assert!(!out.exists());
}

#[tokio::test]
async fn a_folder_is_exported_as_its_node_would_and_not_a_byte_of_it_changes() {
    let ledger = Ledger::start(1).await;
    let (node, scratch) = (ledger.first(), ledger.scratch("exports"));
    let size = mixed(&ledger, node).await;
    let url = node.url("api").expect("a port");
    let admin = ledger.token_of("admin");
    let online = scratch.join("online");
    let from_node = ["--url", &url, "--token", &admin];
    let make = |format: &str, from: &[&str], out: &Path| {
        exported(&[&["--format", format, "--out", text(out)], from].concat())
    };
    make("epcis", &from_node, &online);
    let quads = scratch.join("online.nq");
    make("nquads", &from_node, &quads);
    ledger.sealed(node).await;
    let checkpoint = node.data_dir().join("checkpoint");
    until("the checkpoint is kept", async || {
        let note = std::fs::read_to_string(&checkpoint).unwrap_or_default();
        note.lines().nth(1) == Some(&*size.to_string())
    })
    .await;
    let tiles = scratch.join("online-tiles");
    make("tiles", &from_node, &tiles);

    // Killed, a node leaves a log beside the database; stopped, it does not.
    for state in ["killed", "stopped"] {
        if state == "killed" {
            node.kill().await.expect("killed");
        } else {
            node.start().await.expect("started");
            node.wait_ready().await.expect("ready");
            assert!(node.stop().await.expect("stopped"));
        }
        let folder = scratch.join(format!("{state} folder?"));
        copy(&node.data_dir(), &folder);
        let before = files(&folder);
        let from_folder = ["--folder", text(&folder)];
        let out = scratch.join(format!("{state}-epcis"));
        make("epcis", &from_folder, &out);
        assert_eq!(documents(&out), documents(&online), "{state}");
        let out = scratch.join(format!("{state}.nq"));
        make("nquads", &from_folder, &out);
        assert!(std::fs::read(&out).expect("a file") == std::fs::read(&quads).expect("a file"));
        let out = scratch.join(format!("{state}-tiles"));
        make("tiles", &from_folder, &out);
        assert!(files(&out) == files(&tiles), "{state}");
        let other = (size - 1).to_string();
        let complaint = refused(&[
            "--format",
            "tiles",
            "--folder",
            text(&folder),
            "--as-of",
            &other,
            "--out",
            text(&scratch.join("unsigned")),
        ]);
        assert!(complaint.contains("signed checkpoint over"), "{complaint}");
        assert!(files(&folder) == before, "{state}: the folder changed");
    }

    // What is damaged is named, and nothing is exported of it.
    let damaged = scratch.join("damaged");
    copy(&node.data_dir(), &damaged);
    let state = consensus::state_path(&damaged).expect("a ledger");
    let database = connection(&state);
    let flip = "UPDATE entry SET payload = zeroblob(length(payload)) WHERE idx = 9";
    assert_eq!(database.execute(flip, []), Ok(1));
    drop(database);
    let out = scratch.join("of-damaged");
    let arguments = [
        "--format",
        "epcis",
        "--folder",
        text(&damaged),
        "--out",
        text(&out),
    ];
    let complaint = refused(&arguments);
    assert!(
        complaint.contains("entry 9") && complaint.contains("verify"),
        "{complaint}"
    );
    assert!(!out.exists());

    // And what was erased is left out, and counted.
    let database = connection(&state);
    let erase = "UPDATE entry SET payload = NULL, key = NULL WHERE idx = 9";
    assert_eq!(database.execute(erase, []), Ok(1));
    drop(database);
    let told = exported(&arguments);
    let expected = format!("{} events, 1 left out (erased)", size - 1);
    assert!(told.starts_with(&expected), "{told}");
}

#[expect(clippy::disallowed_methods, reason = "a copy, to be changed")]
fn connection(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).expect("a database")
}

/// The canonical statements of an event, from the lines of its graph.
fn canonical(lines: &[&str], graph: &str, label: &str) -> Vec<String> {
    let lines = lines.iter().map(|line| {
        let own = line
            .strip_suffix(&format!(" {graph} ."))
            .expect("its graph");
        let mut terms: Vec<String> = own.splitn(3, ' ').map(str::to_owned).collect();
        for term in &mut terms {
            if let Some(rest) = term.strip_prefix(label) {
                *term = format!("_:{rest}");
            }
        }
        format!("{} .", terms.join(" "))
    });
    lines.collect()
}

#[tokio::test]
async fn every_event_has_its_canonical_statements_in_a_graph_of_its_own() {
    let (one, other) = tokio::join!(Ledger::start(1), Ledger::start(1));
    let mut merged = String::new();
    let (mut statements, mut blank_nodes) = (0, 0);
    for ledger in [&one, &other] {
        let node = ledger.first();
        // The same events, so that nothing but the ledger tells their blank nodes apart.
        ledger.capture_sample(40, 43).await;
        ledger
            .capture(node, &document(&json!([object_event()])))
            .await;
        let url = node.url("api").expect("a port");
        let out = ledger.scratch("exports").join("events.nq");
        exported(&["--format", "nquads", "--url", &url, "--out", text(&out)]);
        let written = std::fs::read_to_string(&out).expect("a file");
        let groups: Vec<&str> = written.split_inclusive("# entry ").skip(1).collect();
        assert_eq!(groups.len(), 41);
        for (entry, group) in groups.iter().enumerate() {
            let lines: Vec<&str> = group.trim_end_matches("# entry ").lines().collect();
            assert!(
                lines[0].starts_with(&format!("{entry} of provchain/")),
                "{}",
                lines[0]
            );
            let lines = &lines[1..];
            let graph = lines[0].rsplit(' ').nth(1).expect("a graph");
            let label = lines
                .iter()
                .find_map(|line| line.split("c14n").next()?.strip_prefix("_:"));
            let label = format!("_:{}", label.unwrap_or("none"));
            let told = ledger
                .json(node, &format!("/api/v1/entries/{entry}/statements"))
                .await;
            let told: Vec<String> =
                serde_json::from_value(told["statements"].clone()).expect("text");
            assert_eq!(canonical(lines, graph, &label), told, "entry {entry}");
        }
        let (dataset, labels) = nquads::parse(&written).expect("N-Quads");
        statements += dataset.quads().len();
        blank_nodes += labels.len();
        merged.push_str(&written);
    }
    assert!(blank_nodes > 40, "{blank_nodes} blank nodes show little");
    let (dataset, labels) = nquads::parse(&merged).expect("N-Quads");
    assert_eq!(
        (dataset.quads().len(), labels.len()),
        (statements, blank_nodes)
    );
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_is_left_of_an_export_that_fails() {
    let ledger = Ledger::start(1).await;
    let (node, scratch) = (ledger.first(), ledger.scratch("exports"));
    ledger.capture_sample(20, 44).await;
    let url = node.url("api").expect("a port");
    let (file, folder) = (scratch.join("file"), scratch.join("folder"));
    std::fs::write(&file, "mine").expect("written");
    std::fs::create_dir(&folder).expect("made");
    let before = files(&scratch);
    for format in ["epcis", "tiles", "nquads"] {
        for out in [&file, &folder] {
            let complaint = refused(&["--format", format, "--url", &url, "--out", text(out)]);
            assert!(complaint.contains("is there already"), "{complaint}");
        }
        let out = scratch.join("no/such/folder/out");
        let complaint = refused(&["--format", format, "--url", &url, "--out", text(&out)]);
        assert!(complaint.contains("cannot write beside"), "{complaint}");
    }
    for range in [["--from", "1"], ["--until", "10"]] {
        let out = scratch.join("tree");
        let arguments = ["--format", "tiles", "--url", &url, "--out", text(&out)];
        let complaint = refused(&[&arguments[..], &range].concat());
        assert!(complaint.contains("--as-of"), "{complaint}");
    }
    let both = [
        "--format", "epcis", "--url", &url, "--folder", ".", "--out", "x",
    ];
    assert_eq!(export(&both).status.code(), Some(2));
    assert!(files(&scratch) == before);
    assert_eq!(std::fs::read_dir(&scratch).expect("a folder").count(), 2);
}
