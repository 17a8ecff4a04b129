//! An export believes nothing that does not hold: a node that lies is told of, one that is busy is
//! waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use tokio::net::TcpListener;

use super::cluster::Ledger;
use super::export::{export, exported, files, text};

/// What a node between makes of an answer, told the path and the how manieth it is.
type Forge = fn(&str, usize, Vec<u8>) -> (u16, Vec<u8>);

/// Stands before a node, and answers in its place. Gives its URL.
async fn before(url: String, forge: Forge) -> String {
    between(move |_| url.clone(), forge).await
}

/// Stands before several nodes, and asks the one that is chosen by the path.
async fn between<C>(choose: C, forge: Forge) -> String
where
    C: Fn(&str) -> String + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let count = Arc::new(AtomicUsize::new(0));
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let router = Router::new().fallback(move |request: Request| {
        let (client, choose, count) = (client.clone(), choose.clone(), Arc::clone(&count));
        async move {
            let path = request.uri().to_string();
            let url = choose(&path);
            let answer = client
                .get(format!("{url}{path}"))
                .send()
                .await
                .expect("an answer");
            let status = answer.status().as_u16();
            let body = answer.bytes().await.expect("a body").to_vec();
            let place = count.fetch_add(1, Ordering::SeqCst);
            let (forged, body) = forge(&path, place, body);
            let status = if forged == 200 { status } else { forged };
            let response = Response::builder()
                .status(status)
                .header("retry-after", "0");
            response.body(Body::from(body)).expect("a response")
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn edited(body: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(body).expect("text");
    text.replacen(from, to, 1).into_bytes()
}

/// Runs an export while the node between serves.
async fn output(arguments: &[&str]) -> std::process::Output {
    let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        export(&arguments)
    };
    tokio::task::spawn_blocking(run).await.expect("it runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_forges_is_not_exported() {
    let ledger = Ledger::start(1).await;
    let scratch = ledger.scratch("exports");
    ledger.capture_sample(300, 47).await;
    let url = ledger.first().url("api").expect("a port");
    let forgeries: [(&str, &str, Forge); 4] = [
        ("epcis", "entry", |path, _, body| {
            // In a document only: the proof is of another.
            let forge = path.contains("proofs") && !path.contains("closed");
            (
                200,
                if forge {
                    edited(body, "OBSERVE", "DELETE")
                } else {
                    body
                },
            )
        }),
        ("epcis", "in place of 100", |path, _, body| {
            let mut file: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            if path.contains("indices=100,") {
                file["entries"].as_array_mut().expect("entries").remove(0);
                return (200, serde_json::to_vec(&file).expect("JSON"));
            }
            (200, body)
        }),
        ("tiles", "another tree", |path, _, mut body| {
            if path.starts_with("/tile/entries/000") {
                body[40] ^= 1;
            }
            (200, body)
        }),
        ("nquads", "429", |path, _, body| {
            (if path.contains("proofs") { 429 } else { 200 }, body)
        }),
    ];
    for (format, part, forge) in forgeries {
        let url = before(url.clone(), forge).await;
        let out = scratch.join("out");
        let output = output(&["--format", format, "--url", &url, "--out", text(&out)]).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{format}");
        assert!(complaint.contains(part), "no {part:?} in {complaint}");
        let left: Vec<_> = files(&scratch).into_keys().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_two_trees_make_no_export() {
    let (one, other) = tokio::join!(Ledger::start(1), Ledger::start(1));
    one.capture_sample(150, 49).await;
    other.capture_sample(150, 50).await;
    let urls = [&one, &other].map(|ledger| ledger.first().url("api").expect("a port"));
    // Each page holds, under a checkpoint over as many entries.
    let choose = move |path: &str| urls[usize::from(path.contains("indices=100,"))].clone();
    let url = between(choose, |_, _, body| (200, body)).await;
    let out = one.scratch("exports").join("out");
    let output = output(&["--format", "nquads", "--url", &url, "--out", text(&out)]).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("signed two trees"), "{complaint}");
    assert!(!out.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_busy_is_given_time() {
    let ledger = Ledger::start(1).await;
    let scratch = ledger.scratch("exports");
    ledger.capture_sample(150, 48).await;
    let url = ledger.first().url("api").expect("a port");
    let busy = before(url.clone(), |_, place, body| {
        let status = [429, 200, 503][place % 3];
        (status, body)
    });
    let busy = busy.await;
    let (slowly, at_once) = (scratch.join("slowly.nq"), scratch.join("at-once.nq"));
    let arguments = ["--format", "nquads", "--url", &busy, "--out", text(&slowly)];
    let output = output(&arguments).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    exported(&["--format", "nquads", "--url", &url, "--out", text(&at_once)]);
    assert!(std::fs::read(slowly).expect("a file") == std::fs::read(at_once).expect("a file"));
}
