//! The service as a process: what it sees, what it records, and what it lets nobody do.

use std::process::Stdio;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{client, folder, front_door, good_and_bad, start_again, until_told};

const TOKEN: &str = "a token of more than thirty-two characters";

/// A file of targets with one node that listens and one that nobody has started.
pub fn targets(good: &str, bad: &str) -> String {
    let node = |name: &str, at: &str| json!({ "name": name, "place": "here", "ask": format!("tcp://{at}") });
    let systems = json!([{
        "name": "toy", "summary": "two nodes", "pages": "/toy/",
        "nodes": [node("n1", good), node("n2", bad)],
    }]);
    json!({ "version": 1, "systems": systems }).to_string()
}

#[tokio::test]
async fn an_incident_is_opened_noted_and_closed_and_survives_the_loss_of_the_database() {
    let dir = folder();
    let (good_at, bad_at) = good_and_bad().await;
    let file = dir.path().join("targets.json");
    std::fs::write(&file, targets(&good_at, &bad_at)).expect("written");
    let cluster = front_door(dir.path(), &[("web", 2)])
        .env("STATUS_TARGETS_FILE", &file.display().to_string())
        .env("STATUS_INTERVAL_MS", "200")
        .env("STATUS_FAILURES_MAX", "2")
        .env("STATUS_OPERATOR_TOKEN", TOKEN)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let url = cluster
        .node("balancer")
        .expect("there")
        .url("http")
        .expect("a port");
    let api = format!("{url}/api/status");
    let status = cluster
        .node("status")
        .expect("there")
        .url("http")
        .expect("a port");

    let id = until_told("an incident is open", &api, |told| {
        told["incidents"][0]["id"].as_i64()
    })
    .await;
    let told = until_told("both were asked", &api, |told| {
        (told["systems"][0]["health"] == "degraded").then(|| told.clone())
    })
    .await;
    assert_eq!(told["incidents"][0]["node"], "n2");
    assert_eq!(told["systems"][0]["nodes"][0]["up"], true);
    assert_eq!(told["systems"][0]["pages"], "/toy/");

    // Notes: by whoever holds the token, and by nobody else; what is wrong changes nothing.
    let client = client();
    let notes = format!("{url}/api/incidents/{id}/notes");
    let post = async |url: &str, token: &str, body: String| {
        let request = client
            .post(url)
            .bearer_auth(token)
            .header("content-type", "application/json");
        request.body(body).send().await.expect("an answer").status()
    };
    let good_note = json!({ "author": "ops", "text": "<b>the disk</b> is full" }).to_string();
    assert_eq!(
        post(&notes, "wrong", good_note.clone()).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        client
            .post(&notes)
            .send()
            .await
            .expect("an answer")
            .status(),
        StatusCode::UNAUTHORIZED
    );
    for body in [
        "",
        "{",
        "[]",
        r#"{"author":"a"}"#,
        r#"{"author":"a","text":1}"#,
        r#"{"author":"a","text":"b","at":0}"#,
    ] {
        let refused = post(&notes, TOKEN, body.to_owned()).await;
        assert!(refused.is_client_error(), "{body}: {refused}");
    }
    let long = json!({ "author": "a", "text": "x".repeat(20_000) }).to_string();
    assert_eq!(
        post(&notes, TOKEN, long).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    for (of, expected) in [
        ("9999999", StatusCode::NOT_FOUND),
        ("1%20or%201=1", StatusCode::BAD_REQUEST),
        ("99999999999999999999", StatusCode::BAD_REQUEST),
    ] {
        let elsewhere = format!("{url}/api/incidents/{of}/notes");
        assert_eq!(
            post(&elsewhere, TOKEN, good_note.clone()).await,
            expected,
            "{of}"
        );
    }
    assert_eq!(post(&notes, TOKEN, good_note).await, StatusCode::CREATED);

    // And by the command line, past the service.
    let database = cluster.node("database").expect("there");
    let address = database.address("postgres").expect("a port");
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_status"))
        .args([
            "incident",
            "note",
            &id.to_string(),
            "a second look",
            "--author",
            "night shift",
        ])
        .env(
            "DATABASE_URL",
            format!("postgres://cluster_user@{address}/clusterdb"),
        )
        .env(
            "DATABASE_PASSWORD_FILE",
            cluster.dir().join("secrets/database"),
        )
        .stdin(Stdio::null())
        .output()
        .await
        .expect("it runs");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let written = until_told("both notes are told", &api, |told| {
        let notes = told["incidents"][0]["notes"].as_array()?;
        (notes.len() == 2).then(|| notes.clone())
    })
    .await;
    assert_eq!(written[0]["text"], "<b>the disk</b> is full");
    assert_eq!(written[1]["author"], "night shift");

    // Without the database: health now, and why there is nothing else; then all is there again.
    database.kill().await.expect("killed");
    let told = until_told("history is missing", &api, |told| {
        (told["history"]["state"] == "missing").then(|| told.clone())
    })
    .await;
    assert!(
        told["history"]["reason"]
            .as_str()
            .expect("a reason")
            .contains("database"),
        "{told}"
    );
    assert_eq!(told["systems"][0]["nodes"][0]["up"], true);
    assert!(told["incidents"].is_null() && told["systems"][0]["days"].is_null());
    let ready = client
        .get(format!("{status}/readyz"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(ready.status(), 200, "it can take work");
    let metrics = client
        .get(format!("{status}/metrics"))
        .send()
        .await
        .expect("an answer");
    let metrics = metrics.text().await.expect("text");
    for line in [
        r#"status_node_up{system="toy",node="n1"} 1"#,
        r#"status_node_up{system="toy",node="n2"} 0"#,
        r"status_history_available 0",
        r#"status_probes_total{system="toy",node="n2",result="down"}"#,
        r#"status_probe_seconds_bucket{system="toy""#,
        r"status_web_server_up{server=",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    start_again(database).await;
    let is_there =
        |told: &Value| (told["history"]["state"] == "available").then(|| told["incidents"].clone());
    let incidents = until_told("history is back", &api, is_there).await;
    assert_eq!(incidents[0]["id"], id, "the same incident goes on");

    // The node is started: the incident is over.
    let _good_now = TcpListener::bind(&bad_at).await.expect("its port");
    until_told("the incident is over", &api, |told| {
        told["incidents"][0]["closed_at"].as_str().map(drop)
    })
    .await;
    let told = until_told("all is well", &api, |told| {
        (told["systems"][0]["health"] == "up").then(|| told.clone())
    })
    .await;
    assert!(told["systems"][0]["uptime"].as_f64().expect("a share") < 1.0);
    let upstreams = until_told(
        "the web servers are listed",
        &format!("{url}/upstreams"),
        |told| told["servers"].as_array().cloned(),
    )
    .await;
    assert_eq!(upstreams.len(), 2);
    assert!(
        upstreams.iter().all(|server| server["up"] == true),
        "{upstreams:?}"
    );

    // A file that cannot be used leaves in force what was read before, and that is told.
    std::fs::write(&file, "{").expect("written");
    let health = until_told("that is told", &format!("{status}/health"), |told| {
        (told["checks"]["targets"]["status"] == "warn").then(|| told.clone())
    })
    .await;
    assert_eq!(health["status"], "warn");
    until_told("nodes are still asked", &api, |told| {
        told["systems"][0]["nodes"][1]["up"].as_bool()
    })
    .await;
}
