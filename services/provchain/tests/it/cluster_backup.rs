//! Backups of a ledger: made beside its nodes, proven, and restored on empty machines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use devcluster::Node;
use reqwest::Method;
use serde_json::Value;

use super::cluster::{Ledger, PROVCHAIN, answer, until};
use super::cluster_verify::verify;
use super::epcis_fixtures::{document, object_event};

/// The command with the settings of a node, as they are on its machine.
pub fn on_the_machine_of(ledger: &Ledger, node: &Node) -> Command {
    let mut command = Command::new(PROVCHAIN);
    command
        .env_clear()
        .env("JWT_SECRET", ledger.nodes.secret("jwt").expect("a secret"))
        .env("PROVCHAIN_NETWORK_ID", "development")
        .env("PROVCHAIN_NODE_NAME", node.name())
        .env("PROVCHAIN_DATA_DIR", node.data_dir())
        .env(
            "PROVCHAIN_ADVERTISE",
            node.advertised("api").expect("a port"),
        );
    command
}

/// Runs `provchain backup …` on the machine of a node.
pub fn backup(ledger: &Ledger, node: &Node, arguments: &[&str]) -> Output {
    let mut command = on_the_machine_of(ledger, node);
    command.arg("backup").args(arguments).arg("--json");
    command.output().expect("it runs")
}

/// What it gave, when it must succeed.
pub fn done(ledger: &Ledger, node: &Node, arguments: &[&str]) -> Value {
    let output = backup(ledger, node, arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Why it did not succeed.
pub fn refused(ledger: &Ledger, node: &Node, arguments: &[&str]) -> String {
    let output = backup(ledger, node, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

/// A file with the verifier keys of all nodes.
pub async fn keys(ledger: &Ledger) -> PathBuf {
    let path = ledger.scratch("trust").join("keys");
    let keys = ledger.get(ledger.first(), "/api/v1/keys").await.body;
    std::fs::write(&path, keys).expect("written");
    path
}

/// The content of all files of a folder.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            found.insert(path, bytes);
        }
    }
    found
}

#[tokio::test]
async fn a_ledger_backed_up_under_load_is_restored_on_empty_machines_with_the_same_root() {
    let ledger = Ledger::start(3).await;
    ledger.capture_sample(200, 81).await;
    let (keys, target) = (keys(&ledger).await, ledger.scratch("backups"));
    let before = ledger.tree(ledger.first()).await;
    let busy = AtomicBool::new(true);
    let load = async {
        let mut seed = 1_000;
        while busy.load(Ordering::SeqCst) {
            ledger.capture_sample(50, seed).await;
            seed += 1;
        }
    };
    let making = async {
        let mut command = on_the_machine_of(&ledger, ledger.first());
        command.args(["backup", "now", "--json", "--target", text(&target)]);
        let made = tokio::task::spawn_blocking(move || command.output()).await;
        busy.store(false, Ordering::SeqCst);
        made.expect("not panicked").expect("it runs")
    };
    let (made, ()) = tokio::join!(making, load);
    let complaint = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{complaint}");
    let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let size = made["fields"]["size"].as_u64().expect("a size");
    assert!(size >= before.size, "{made}");
    let after = ledger.common_tree().await;
    assert!(after.size >= size, "{made}");
    let grown = format!("/api/v1/proofs/consistency?from={size}&to={}", after.size);
    let grown = ledger.json(ledger.first(), &grown).await;
    assert_eq!(grown["fromRoot"], made["fields"]["root"]);

    // All machines are lost.
    ledger.nodes.kill_all().await.expect("killed");
    for node in ledger.nodes.nodes() {
        node.wipe().expect("wiped");
    }
    let [first, others @ ..] = ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    let data = first.data_dir();
    // As a mounted volume: there, and empty.
    std::fs::create_dir_all(&data).expect("made");
    let told = done(
        &ledger,
        first,
        &[
            "restore",
            "--target",
            text(&target),
            "--into",
            text(&data),
            "--keys-file",
            text(&keys),
        ],
    );
    assert_eq!(told["name"], made["name"]);
    let (status, report) = verify(&data, Some(&keys));
    assert_eq!((status, &report["size"]), (0, &size.into()), "{report}");
    assert_eq!(report["root"], made["fields"]["root"], "{report}");

    first.start().await.expect("started");
    first.wait_ready().await.expect("ready");
    let tree = ledger.tree(first).await;
    assert_eq!(
        (tree.size, tree.root.as_str()),
        (size, made["fields"]["root"].as_str().unwrap())
    );
    for node in others {
        node.start().await.expect("started");
    }
    ledger.nodes.wait_ready().await.expect("ready");
    assert_eq!(ledger.common_tree().await, tree);
    for index in 0..size {
        let node = &ledger.nodes.nodes()[(index % 3) as usize];
        let path = format!("/api/v1/entries/{index}/event");
        assert_eq!(ledger.get(node, &path).await.status, 200, "{path}");
    }
    ledger.capture_sample(50, 82).await;
    assert_eq!(ledger.common_tree().await.size, size + 50);
}

#[tokio::test]
async fn a_backup_is_proven_where_it_lies_and_holds_no_key_of_a_node() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(100, 83).await;
    let (keys, target) = (keys(&ledger).await, ledger.scratch("backups"));
    let node = ledger.first();
    let made = done(&ledger, node, &["now", "--target", text(&target)]);
    let folder = target.join(made["name"].as_str().expect("a name"));
    let before = content(&folder);
    for path in before.keys() {
        assert!(
            !path.ends_with("node.key") && !path.ends_with("index.db"),
            "{path:?}"
        );
    }
    let (status, report) = verify(&folder, Some(&keys));
    assert_eq!(
        (status, &report["authenticated"]),
        (0, &100.into()),
        "{report}"
    );
    assert_eq!(verify(&folder, None).0, 3);
    assert_eq!(content(&folder), before, "no byte has changed");

    let keys = ["--keys-file", text(&keys)];
    let arguments = [&["verify", "--target", text(&target)][..], &keys].concat();
    assert_eq!(done(&ledger, node, &arguments)["name"], made["name"]);
    let listed = done(&ledger, node, &["list", "--target", text(&target)]);
    assert_eq!(listed.as_array().expect("a list").len(), 1);
    assert_eq!(listed[0]["name"], made["name"]);
    let none = refused(
        &ledger,
        node,
        &["verify", "--target", text(&ledger.scratch("empty"))],
    );
    assert!(none.contains("no backup"), "{none}");
    let nowhere = refused(&ledger, node, &["list"]);
    assert!(nowhere.contains("--target"), "{nowhere}");
    // Where there is no node there is nothing to back up.
    let elsewhere = on_the_machine_of(&ledger, node)
        .env("PROVCHAIN_DATA_DIR", ledger.scratch("nothing"))
        .args(["backup", "now", "--target", text(&target)])
        .output()
        .expect("it runs");
    let complaint = String::from_utf8_lossy(&elsewhere.stderr);
    assert!(
        !elsewhere.status.success() && complaint.contains("node.key"),
        "{complaint}"
    );
}

#[tokio::test]
async fn no_backup_is_made_in_the_name_of_a_key_that_is_retired_or_unknown() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(20, 87).await;
    let (node, target) = (ledger.first(), ledger.scratch("backups"));
    let now = ["now", "--target", text(&target)];
    let file = node.data_dir().join("node.key");
    let retired = std::fs::read_to_string(&file).expect("a key");
    let rotate = ledger.request(Method::POST, node, "/api/v1/keys/rotate");
    let rotated = answer(rotate.bearer_auth(ledger.token_of("admin"))).await;
    assert_eq!(rotated.expect("an answer").status, 200);
    let own = std::fs::read_to_string(&file).expect("a key");
    let unknown = hex::encode([7; 32]);
    for (key, reason) in [(retired, "handed over"), (unknown, "does not know")] {
        std::fs::write(&file, key).expect("written");
        let complaint = refused(&ledger, node, &now);
        assert!(complaint.contains(reason), "{complaint}");
    }
    std::fs::write(&file, own).expect("written");
    done(&ledger, node, &now);
    let listed = done(&ledger, node, &["list", "--target", text(&target)]);
    assert_eq!(listed.as_array().expect("a list").len(), 1, "{listed}");
}

#[tokio::test]
async fn the_node_that_leads_makes_the_backups_and_another_goes_on_when_it_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("backups");
    let place = text(&target).to_owned();
    let ledger = Ledger::start_with(3, |nodes| {
        nodes
            .env("BACKUP_TARGET", &place)
            .env("BACKUP_SCHEDULE", "* * * * * *")
            .env("RETENTION_DAYS", "7")
    })
    .await;
    let names = |by: &str| -> usize {
        let entries = std::fs::read_dir(&target).into_iter().flatten();
        let made = entries.filter(|entry| {
            let path = entry.as_ref().expect("an entry").path();
            path.join("manifest.json").exists() && text(&path).contains(&format!("Z-{by}-"))
        });
        made.count()
    };
    let leader = ledger.nodes.leader().await.expect("a leader");
    until("the leader has made some", async || {
        names(leader.name()) > 1
    })
    .await;
    let health = ledger.request_at("metrics", Method::GET, leader, "/health");
    let health = answer(health).await.expect("an answer").json();
    assert_eq!(
        health["checks"]["provchain-backup"]["status"], "pass",
        "{health}"
    );
    let metrics = ledger.request_at("metrics", Method::GET, leader, "/metrics");
    let metrics = answer(metrics).await.expect("an answer").text();
    for part in [
        "backup_runs_total{service=\"provchain\",result=\"ok\"}",
        "backup_last_success_timestamp_seconds{service=\"provchain\"}",
    ] {
        assert!(metrics.contains(part), "{part} in {metrics}");
    }
    for node in ledger.nodes.nodes() {
        let told = async || {
            let health = ledger.get(node, "/health").await.json();
            let detail = health["checks"]["provchain-backup"]["detail"].to_string();
            detail.contains("another node") == (node.name() != leader.name())
        };
        until("each says whether it makes them", told).await;
    }
    leader.kill().await.expect("killed");
    let next = ledger.nodes.leader().await.expect("a leader");
    assert_ne!(next.name(), leader.name());
    until("the next one goes on", async || names(next.name()) > 1).await;
    done(&ledger, next, &["verify", "--target", &place]);
}

#[tokio::test]
async fn a_target_that_fails_is_a_warning_and_harms_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("backups");
    std::fs::write(&target, "a file, where a folder is to be").expect("written");
    let place = text(&target).to_owned();
    let ledger = Ledger::start_with(1, |nodes| {
        nodes
            .env("BACKUP_TARGET", &place)
            .env("BACKUP_SCHEDULE", "* * * * * *")
    })
    .await;
    let node = ledger.first();
    let check = async || {
        let health = ledger.get(node, "/health").await;
        assert_eq!(health.status, 200);
        health.json()["checks"]["provchain-backup"].clone()
    };
    until("it is told of", async || check().await["status"] == "warn").await;
    let shown = check().await.to_string();
    assert!(!shown.contains(&place), "anyone can read {shown}");
    assert!(
        node.logs().expect("logs").contains(&place),
        "the log says where"
    );
    ledger.capture_sample(50, 84).await;
    assert_eq!(ledger.tree(node).await.size, 50);
    std::fs::remove_file(&target).expect("removed");
    until("it is made when it can be", async || {
        check().await["status"] == "pass"
    })
    .await;
}

#[tokio::test]
async fn a_command_that_is_killed_leaves_no_half_backup_that_counts() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(300, 85).await;
    let (node, target) = (ledger.first(), ledger.scratch("backups"));
    let scratch = node.data_dir().join("backup-command");
    let mut killed = 0;
    for round in 0..8 {
        let mut command = on_the_machine_of(&ledger, node);
        command.args(["backup", "now", "--target", text(&target)]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut making = command.spawn().expect("it runs");
        // In the middle of the copy, of the upload, and wherever this comes to.
        let begun = || std::fs::read_dir(&scratch).is_ok_and(|mut found| found.next().is_some());
        let uploading = || std::fs::read_dir(&target).is_ok_and(|mut found| found.next().is_some());
        while making.try_wait().expect("asked").is_none()
            && !(if round % 2 == 0 { begun() } else { uploading() })
        {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        making.kill().expect("killed");
        killed += u32::from(making.wait().expect("ended").code().is_none());
        let listed = done(&ledger, node, &["list", "--target", text(&target)]);
        for backup in listed.as_array().expect("a list") {
            let name = backup["name"].as_str().expect("a name");
            done(
                &ledger,
                node,
                &["verify", "--name", name, "--target", text(&target)],
            );
        }
        for folder in [&target, &scratch] {
            drop(std::fs::remove_dir_all(folder));
        }
        std::fs::create_dir_all(&target).expect("made");
    }
    assert!(killed > 0, "none was killed in time");
    done(&ledger, node, &["now", "--target", text(&target)]);
    assert_eq!(ledger.tree(node).await.size, 300);
}

/// How many keys of subjects lie in a store.
fn keys_in(store: &Path) -> u64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    #[expect(
        clippy::disallowed_methods,
        reason = "a copy, looked at without the program"
    )]
    let store = rusqlite::Connection::open_with_flags(store, flags).expect("a store");
    store
        .query_row("SELECT count(*) FROM subject_key", [], |row| row.get(0))
        .expect("a count")
}

#[tokio::test]
async fn the_keys_of_subjects_are_backed_up_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let [target, apart] = ["backups", "keys"].map(|name| folder.path().join(name));
    let (place, key_place) = (text(&target).to_owned(), text(&apart).to_owned());
    let ledger = Ledger::start_with(1, |nodes| {
        nodes
            .env("BACKUP_TARGET", &place)
            .env("BACKUP_SCHEDULE", "@yearly")
            .env("KEY_BACKUP_TARGET", &key_place)
            .env("KEY_BACKUP_SCHEDULE", "* * * * * *")
    })
    .await;
    let node = ledger.first();
    let list = |arguments: &[&str]| done(&ledger, node, &[&["list"], arguments].concat());
    until("the first of the ledger", async || {
        list(&["--target", &place])
            .as_array()
            .expect("a list")
            .len()
            == 1
    })
    .await;
    let of_keys = ["--key-store", "--target", key_place.as_str()];
    let personal = serde_json::json!({ "fields": ["https://farm.example/driver"] });
    let request = ledger.request(Method::PUT, node, "/api/v1/personal");
    let request = request.bearer_auth(ledger.token_of("admin"));
    let marked = answer(request.json(&personal)).await.expect("an answer");
    assert_eq!(marked.status, 200, "{}", marked.text());
    let mut event = object_event();
    event["ext:driver"] = "Bob Miller".into();
    let mut capture = document(&serde_json::json!([event]));
    capture["@context"] = serde_json::json!([
        "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
        { "ext": "https://farm.example/" }
    ]);
    ledger.capture(node, &capture).await;
    let mut tries = 0;
    until("the key is backed up", async || {
        if list(&of_keys).as_array().expect("a list").is_empty() {
            return false;
        }
        tries += 1;
        let into = ledger.scratch(&format!("restored-keys-{tries}"));
        let arguments = [&["restore", "--into", text(&into)][..], &of_keys].concat();
        done(&ledger, node, &arguments);
        let files = content(&into);
        assert_eq!(files.len(), 1, "{:?}", files.keys());
        let (store, _) = files.first_key_value().expect("one");
        keys_in(&into.join(store)) == 1
    })
    .await;
    let files = content(&target);
    assert!(
        files.keys().all(|path| !path.ends_with("subjects.db")),
        "{:?}",
        files.keys()
    );
}

#[test]
fn targets_that_are_not_apart_are_refused_with_a_reason() {
    let check = |variables: &[(&str, &str)]| {
        let output = Command::new(PROVCHAIN)
            .env_clear()
            .env("JWT_SECRET", "a secret of more than thirty-two characters")
            .envs(variables.iter().copied())
            .arg("check-config")
            .output()
            .expect("it runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), complaint)
    };
    for (ledger, keys) in [
        ("/backups", "/backups"),
        ("/backups", "file:///backups/keys"),
        ("s3://bucket/ledger", "s3://bucket"),
    ] {
        let (good, complaint) = check(&[("BACKUP_TARGET", ledger), ("KEY_BACKUP_TARGET", keys)]);
        assert!(
            !good && complaint.contains("KEY_BACKUP_TARGET"),
            "{complaint}"
        );
        assert!(complaint.contains("erased"), "{complaint}");
    }
    for (name, value, part) in [
        (
            "BACKUP_TARGET",
            "/var/lib/provchain/backups",
            "apart from data_dir",
        ),
        ("BACKUP_TARGET", "backups", "backup target"),
        ("BACKUP_SCHEDULE", "at dawn", "not a schedule"),
        ("RETENTION_DAYS", "some", "keep_days"),
        ("KEY_BACKUP_SCHEDULE", "at dawn", "key_backup.schedule"),
    ] {
        let (good, complaint) = check(&[(name, value)]);
        assert!(!good && complaint.contains(part), "{name}: {complaint}");
    }
    let good = [
        ("BACKUP_TARGET", "/backups"),
        ("KEY_BACKUP_TARGET", "s3://bucket/keys"),
        ("BACKUP_SCHEDULE", "30 3 * * *"),
        ("RETENTION_DAYS", "7"),
        ("KEY_BACKUP_RETENTION_DAYS", "1"),
    ];
    assert_eq!(check(&good), (true, String::new()));
}
