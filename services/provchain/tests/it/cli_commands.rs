//! The commands of the binary, as a person types them.

use std::process::{Command, Output};
use std::time::Duration;

use kit::settings::Secret;
use kit::tokens::Keys;
use serde_json::json;

use super::cluster::{Ledger, PROVCHAIN};
use super::epcis_fixtures::{document, transaction_event};

const SECRET: &str = "a secret of more than thirty-two characters";

/// Runs the binary with nothing but these variables.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROVCHAIN);
    command.env_clear().envs(environment.iter().copied());
    command.args(arguments).output().expect("it runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_token_needs_the_secret_alone_and_a_known_role() {
    let keys = Keys::new(&Secret::new(SECRET)).expect("long enough");
    let other_settings_are_wrong = [
        ("JWT_SECRET", SECRET),
        ("PROVCHAIN_PORT", "no number"),
        ("PROVCHAIN_CONFIG", "/there/is/no/such/file"),
    ];
    for (ttl, seconds) in [("90s", 90), ("15m", 900), ("1h", 3_600), ("30d", 2_592_000)] {
        let arguments = [
            "token",
            "--subject",
            "anna",
            "--role",
            "farmer",
            "--ttl",
            ttl,
        ];
        let output = run(&arguments, &other_settings_are_wrong);
        assert!(output.status.success(), "{}", err(&output));
        let claims = keys.verify(&out(&output)).expect("a valid token");
        assert_eq!((&*claims.sub, &*claims.role), ("anna", "farmer"));
        assert_eq!(claims.exp - claims.iat, seconds);
    }
    let secret = [("JWT_SECRET", SECRET)];
    for (role, ttl, part) in [
        ("king", "1h", "farmer"),
        ("farmer", "soon", "30d"),
        ("farmer", "0s", "30d"),
    ] {
        let output = run(
            &["token", "--subject", "x", "--role", role, "--ttl", ttl],
            &secret,
        );
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(part), "{}", err(&output));
    }
    for environment in [&[][..], &[("JWT_SECRET", "too short")]] {
        let output = run(&["token", "--subject", "x", "--role", "admin"], environment);
        assert_eq!(
            (output.status.code(), out(&output)),
            (Some(1), String::new())
        );
        assert!(err(&output).contains("32"), "{}", err(&output));
    }
}

#[test]
fn settings_are_shown_without_secrets_and_the_example_is_one_that_loads() {
    let output = run(&["check-config"], &[("JWT_SECRET", SECRET)]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains("network_id"), "{}", out(&output));
    assert!(!out(&output).contains(SECRET), "{}", out(&output));
    for (name, value, part) in [
        ("PROVCHAIN_PORT", "no number", "port"),
        ("PROVCHAIN_NETWORK_ID", "two words", "network_id"),
        ("JWT_SECRET", "short", "jwt_secret"),
    ] {
        let output = run(&["check-config"], &[("JWT_SECRET", SECRET), (name, value)]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(part), "{}", err(&output));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("provchain.toml");
    std::fs::write(&path, out(&run(&["example-config"], &[]))).expect("written");
    let path = path.to_str().expect("a path");
    let output = run(
        &["--config", path, "check-config"],
        &[("JWT_SECRET", SECRET)],
    );
    assert!(output.status.success(), "{}", err(&output));
}

#[tokio::test]
async fn a_sample_is_captured_and_what_fails_names_the_file_and_the_problem() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let url = node.url("api").expect("a port");
    let folder = ledger.scratch("sample");
    let text = |path: std::path::PathBuf| path.to_str().expect("a path").to_owned();
    let out_folder = text(folder.clone());
    let output = run(
        &[
            "sample",
            "--events",
            "50",
            "--seed",
            "7",
            "--batch",
            "25",
            "--out",
            &out_folder,
        ],
        &[],
    );
    assert!(output.status.success(), "{}", err(&output));
    assert!(folder.join("truth.json").is_file());
    let files = ["events-00001.json", "events-00002.json"].map(|name| text(folder.join(name)));

    let capture = |token: &str, files: &[&str]| {
        let arguments = [&["capture", "--url", &url, "--token", token], files].concat();
        run(&arguments, &[])
    };
    let both = [&*files[0], &*files[1]];
    let output = capture(&ledger.token, &both);
    assert_eq!(
        out(&output),
        "50 events captured, 0 of them known before",
        "{}",
        err(&output)
    );
    let output = capture(&ledger.token, &both);
    assert_eq!(
        out(&output),
        "50 events captured, 50 of them known before",
        "{}",
        err(&output)
    );

    let broken = text(folder.join("broken.json"));
    std::fs::write(&broken, "{ \"type\": \"Nothing\" }").expect("written");
    for (token, file, parts) in [
        (&*ledger.token, &*broken, ["broken.json", "400"]),
        (
            &*ledger.token_of("auditor"),
            &*files[0],
            ["events-00001.json", "auditor"],
        ),
        ("no-token", &*files[0], ["events-00001.json", "401"]),
        (
            &*ledger.token,
            "missing.json",
            ["missing.json", "cannot read"],
        ),
    ] {
        let output = capture(token, &[file]);
        assert_eq!(output.status.code(), Some(1));
        for part in parts {
            assert!(err(&output).contains(part), "no {part} in {}", err(&output));
        }
    }

    // The node's health, from the outside and once it is gone.
    let health = format!("{url}/health");
    assert!(run(&["health", "--url", &health], &[]).status.success());
    node.kill().await.expect("killed");
    assert_eq!(
        run(&["health", "--url", &health], &[]).status.code(),
        Some(1)
    );
    assert!(
        !capture_is_patient(&url, &ledger, &files[0], node)
            .await
            .is_empty()
    );
}

/// A capture that begins while the node is down ends well once it is back.
async fn capture_is_patient(
    url: &str,
    ledger: &Ledger,
    file: &str,
    node: &devcluster::Node,
) -> String {
    let arguments = ["capture", "--url", url, "--token", &ledger.token, file];
    let begun = Command::new(PROVCHAIN)
        .env_clear()
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.start().await.expect("started");
    let output = begun.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", err(&output));
    out(&output)
}

#[test]
fn event_hash_ids_are_printed_without_any_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, body: serde_json::Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, body.to_string()).expect("written");
        path.to_str().expect("a path").to_owned()
    };
    let mut named = transaction_event();
    named["eventID"] = "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8".into();
    let good = file("good.json", document(&json!([transaction_event(), named])));
    let pre_hash = "eventType=TransactionEvent\
                    eventTime=2026-01-05T05:00:00.000ZeventTimeZoneOffset=+01:00\
                    epcListepc=https://id.gs1.org/01/10614141073464/21/2017action=ADD\
                    bizTransactionListtype=https://ref.gs1.org/cbv/BTT-po\
                    bizTransaction=http://example.com/po/1";
    let hash =
        "ni:///sha-256;26cf2fed7aed2dffc858dbbafe2ee46f30ee40652ecd45dc2899828b855649e6?ver=CBV2.0";
    let output = run(&["hash", &good], &[]);
    let named = "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8";
    assert_eq!(
        out(&output),
        format!("{good} 0 - {hash}\n{good} 1 {named} {hash}"),
        "{}",
        err(&output)
    );
    let output = run(&["hash", "--prehash", &good], &[]);
    assert_eq!(out(&output), format!("{pre_hash}\n{pre_hash}"));
    for edition in ["cbv2.0", "reference-2026", "reference-2025"] {
        let output = run(
            &["hash", "--json", "--prehash", "--edition", edition, &good],
            &[],
        );
        let lines = out(&output);
        let last = lines.lines().last().expect("two lines");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(last).expect("JSON"),
            json!({ "file": good, "event": 1, "eventID": named, "hash": hash, "preHash": pre_hash }),
        );
    }
    let bad = file("bad.json", document(&json!([{ "type": "ObjectEvent" }])));
    for (file, part) in [
        (&*bad, "eventTime is missing"),
        ("none.json", "cannot read"),
    ] {
        let output = run(&["hash", &good, file], &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(part), "{}", err(&output));
        assert!(err(&output).contains(file), "{}", err(&output));
    }
}
