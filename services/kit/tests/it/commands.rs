//! The command line of a service, signals, and systemd.

use std::{
    os::unix::net::UnixDatagram,
    process::{Command, Output},
};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    certificates::Authority,
    client::{get, plain, send},
    process::{Greeter, greeter},
};

fn output(configure: impl FnOnce(&mut Command)) -> Output {
    let mut command = greeter();
    configure(&mut command);
    command.output().expect("ran")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn check_config_prints_what_is_in_force() {
    let checked = output(|command| {
        command.env("LOG_LEVEL", "debug").args([
            "--set",
            "limits.connections_max=7",
            "check-config",
        ]);
    });
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let table: toml::Table = toml::from_str(text(&checked.stdout)).expect("TOML");
    assert_eq!(table["limits"]["connections_max"].as_integer(), Some(7));
    assert_eq!(table["telemetry"]["log_level"].as_str(), Some("debug"));
}

#[test]
fn check_config_fails_with_every_reason() {
    let checked = output(|command| {
        command
            .env("GREETER_LISTN", "x")
            .env("GREETER_TLS__REQUIRED", "maybe")
            .arg("check-config");
    });
    assert_eq!(checked.status.code(), Some(1));
    let said = text(&checked.stderr);
    assert!(
        said.contains("did you mean GREETER_LISTEN?") && said.contains("tls.required"),
        "{said}"
    );
    assert!(checked.stdout.is_empty());
}

#[test]
fn example_config_is_a_file_that_check_config_accepts() {
    let example = output(|command| {
        command.arg("example-config");
    });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("greeter.toml");
    std::fs::write(&path, &example.stdout).expect("written");
    let checked = output(|command| {
        command.arg("check-config").arg("--config").arg(&path);
    });
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}

#[test]
fn health_tells_a_healthy_node_from_an_absent_one() {
    let running = Greeter::start(|_| ());
    let ask = |arguments: [String; 2]| {
        output(|command| {
            command.arg("health").args(arguments);
        })
    };
    let healthy = ask(["--address".to_owned(), running.address.to_string()]);
    assert!(healthy.status.success(), "{}", text(&healthy.stderr));
    let health: Value = serde_json::from_slice(&healthy.stdout).expect("JSON");
    assert_eq!(
        (&health["status"], &health["service"]),
        (&"pass".into(), &"greeter".into())
    );
    let missing = ask([
        "--url".to_owned(),
        format!("http://{}/nowhere", running.address),
    ]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stdout).contains("404"));
    let url = format!("http://{}/health", running.address);
    drop(running);
    let absent = ask(["--url".to_owned(), url]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(
        text(&absent.stderr).contains("cannot ask"),
        "{}",
        text(&absent.stderr)
    );
}

#[test]
fn health_speaks_tls_to_this_machine_and_verifies_where_it_can() {
    let (authority, foreign, folder) = (
        Authority::new(),
        Authority::new(),
        tempfile::tempdir().expect("a folder"),
    );
    let files = authority.install(folder.path(), "node-1");
    let foreign = super::certificates::write(folder.path(), "foreign.pem", &foreign.pem);
    let running = Greeter::start(|command| {
        command
            .env(
                "GREETER_TLS__CERTIFICATE_FILE",
                files.certificate_file.as_ref().expect("a file"),
            )
            .env(
                "GREETER_TLS__KEY_FILE",
                files.key_file.as_ref().expect("a file"),
            )
            .env("GREETER_TLS__REQUIRED", "true");
    });
    let port = running.address.port();
    let ask = |url: String, ca: Option<&std::path::Path>| {
        let asked = output(|command| {
            command.args(["health", "--url", &url]);
            if let Some(ca) = ca {
                command.arg("--ca").arg(ca);
            }
        });
        asked.status.success()
    };
    assert!(ask(format!("https://127.0.0.1:{port}/health"), None));
    assert!(ask(
        format!("https://localhost:{port}/health"),
        files.client_ca_file.as_deref()
    ));
    assert!(
        !ask(format!("https://localhost:{port}/health"), Some(&foreign)),
        "another authority"
    );
    assert!(
        !ask(
            format!("https://127.0.0.1:{port}/health"),
            files.client_ca_file.as_deref()
        ),
        "another name"
    );
    assert!(
        !ask(format!("http://127.0.0.1:{port}/health"), None),
        "in the clear"
    );
}

#[tokio::test]
async fn a_signal_drains_and_a_second_one_ends_at_once() {
    let start = || {
        Greeter::start(|command| {
            command.env("GREETER_SHUTDOWN_GRACE_MS", "600000");
        })
    };
    let mut greeter = tokio::task::spawn_blocking(start).await.expect("started");
    let slow = tokio::spawn(send(plain(greeter.address).await, get("/slow")));
    let metrics = async || {
        send(plain(greeter.address).await, get("/metrics"))
            .await
            .expect("an answer")
    };
    while !metrics().await.text().contains("http_requests_in_flight 2") {
        tokio::task::yield_now().await;
    }
    let ended = tokio::task::spawn_blocking(move || {
        greeter.signal(Signal::TERM);
        assert_eq!(greeter.log("shutting down")["reason"], "SIGTERM");
        greeter.signal(Signal::INT);
        greeter.wait()
    });
    assert_eq!(ended.await.expect("ended"), Some(130));
    assert!(slow.await.expect("not panicked").is_err());
}

#[test]
fn systemd_hears_of_the_start_the_watchdog_and_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    let mut greeter = Greeter::start(|command| {
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "20000");
    });
    let next = |expected: &str| loop {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).expect("a datagram");
        let said = text(&buffer[..length]).to_owned();
        if said.contains(expected) {
            return said;
        }
    };
    assert!(next("READY=1").contains(&format!("STATUS=serving on {}", greeter.address)));
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    greeter.signal(Signal::TERM);
    assert!(next("STOPPING=1").contains("STATUS=stopping: SIGTERM"));
    assert_eq!(greeter.wait(), Some(0));
}
