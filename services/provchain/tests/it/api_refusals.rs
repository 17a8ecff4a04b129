//! Wrong input gets the right status and a problem document, and changes nothing.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use kit::settings::Secret;
use kit::tokens::{Claims, Keys};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::cluster::{Answer, Ledger, answer};
use super::epcis_fixtures::{document, object_event};

/// gRPC's status for a caller that is not known.
const UNAUTHENTICATED: &str = "16";

/// A ledger with something in it, which must stay as it is.
async fn ledger() -> Ledger {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(20, 21).await;
    ledger
}

async fn post(ledger: &Ledger, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = ledger.request(Method::POST, ledger.first(), path);
    let request = request
        .bearer_auth(&ledger.token)
        .header("content-type", kind);
    answer(request.body(body)).await.expect("an answer")
}

#[tokio::test]
async fn documents_that_are_wrong_are_refused_and_change_nothing() {
    let ledger = ledger().await;
    let tree = ledger.tree(ledger.first()).await;
    let ld = "application/ld+json";

    let part = json!({ "ext:part": vec![json!({ "ext:size": {} }); 12] });
    let mut poison = object_event();
    poison["ext:parts"] = json!([part, part]);
    let mut wrong = object_event();
    wrong["action"] = json!("MAYBE");
    let two = json!([object_event(), object_event()]);
    for (body, part) in [
        ("{ \"type\": ".to_owned(), "JSON"),
        ("{} {}".to_owned(), "JSON"),
        (String::new(), "JSON"),
        ("[1]".to_owned(), ""),
        (json!({ "type": "EPCISDocument" }).to_string(), ""),
        (document(&json!([wrong])).to_string(), "/action"),
        (document(&json!([poison])).to_string(), "so alike"),
    ] {
        for path in ["/capture", "/events"] {
            let problem = post(&ledger, path, ld, body.clone()).await.problem(400);
            let issue = &problem["issues"][0];
            assert!(issue["message"].is_string(), "{problem}");
            assert!(problem.to_string().contains(part), "{body}: {problem}");
        }
    }
    post(&ledger, "/events", ld, document(&two).to_string())
        .await
        .problem(413);
    for path in ["/capture", "/events"] {
        for kind in ["text/csv", "application/yaml; charset=utf-8", "image/png"] {
            let body = document(&json!([object_event()])).to_string();
            post(&ledger, path, kind, body).await.problem(415);
        }
    }
    for (name, value, status) in [
        ("gs1-capture-error-behaviour", "forget", 400),
        ("gs1-epcis-version", "1.2", 406),
        ("gs1-cbv-version", "1.2", 406),
    ] {
        let request = ledger.request(Method::POST, ledger.first(), "/capture");
        let request = request.bearer_auth(&ledger.token).header(name, value);
        let request = request.json(&document(&json!([object_event()])));
        answer(request).await.expect("an answer").problem(status);
    }
    assert_eq!(ledger.tree(ledger.first()).await, tree);
}

/// Small bodies that grow in a node: terms that are defined by terms, a context that is stored with
/// every event, a prefix that is written out in every statement, contexts of events' own.
#[tokio::test]
async fn documents_that_would_grow_beyond_bounds_are_refused_and_end_no_node() {
    let ledger = ledger().await;
    let pid = ledger.first().pid();
    let tree = ledger.tree(ledger.first()).await;
    let context = |own: Value| {
        let mut contexts = document(&json!([]))["@context"].clone();
        contexts.as_array_mut().expect("contexts").push(own);
        contexts
    };

    let mut chain = serde_json::Map::new();
    for link in 0..20_000 {
        chain.insert(format!("t{link}"), format!("t{}:x", link + 1).into());
    }
    chain.insert("t20000".into(), "https://ns.example.com/".into());
    let mut chained = document(&json!([object_event()]));
    chained["@context"] = context(chain.into());

    let long = format!("https://ns.example.com/{}/", "x".repeat(60_000));
    let events: Vec<Value> = (0..1_000)
        .map(|number| {
            let mut event = object_event();
            event["eventID"] = json!(format!("urn:uuid:00000000-0000-4000-8000-{number:012}"));
            event
        })
        .collect();
    let mut stored_often = document(&json!(events));
    stored_often["@context"] = context(json!({ "own": long }));

    let mut written_often = object_event();
    let parts: Vec<Value> = (0..1_000).map(|part| json!({ "own:part": part })).collect();
    written_often["own:parts"] = parts.into();
    let mut written_often = document(&json!([written_often]));
    written_often["@context"] = context(json!({ "own": long }));

    let own = events.iter().enumerate().map(|(number, event)| {
        let mut event = event.clone();
        event["@context"] = json!({ (format!("a{number}")): "own:a", "b": "own:b" });
        event
    });
    let mut own_contexts = document(&own.collect());
    let short = format!("https://ns.example.com/{}/", "x".repeat(20_000));
    own_contexts["@context"] = context(json!({ "own": short }));

    for (body, status, part) in [
        (chained, 400, "chain of other terms"),
        (stored_often, 413, "each with its context"),
        (written_often, 400, "identifiers written out"),
        (own_contexts, 400, "too large together"),
    ] {
        let ld = "application/ld+json";
        let answer = post(&ledger, "/capture", ld, body.to_string()).await;
        assert!(answer.text().contains(part), "{part}: {}", answer.text());
        answer.problem(status);
    }
    assert_eq!(ledger.tree(ledger.first()).await, tree);
    assert_eq!(ledger.first().pid(), pid);
    assert!(ledger.first().is_running());
}

#[tokio::test]
async fn a_body_of_a_hundred_megabytes_is_refused_whether_or_not_it_says_its_length() {
    const PIECE: usize = 1 << 20;
    let ledger = ledger().await;
    let node = ledger.first();
    let tree = ledger.tree(node).await;
    let send = async |body: reqwest::Body| {
        let request = ledger.request(Method::POST, node, "/capture");
        answer(request.bearer_auth(&ledger.token).body(body)).await
    };
    // A client that writes on is cut off; one that listens hears why.
    let pieces = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; PIECE]));
    let bodies = [
        reqwest::Body::from(vec![b' '; 100 * PIECE]),
        reqwest::Body::wrap_stream(pieces.take(100)),
    ];
    for body in bodies {
        if let Ok(answer) = send(body).await {
            answer.problem(413);
        }
    }
    let address = node.address("api").expect("a port");
    let begun = async |length: String| {
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        let head = format!(
            "POST /capture HTTP/1.1\r\nhost: ledger\r\nauthorization: Bearer {}\r\n\
             {length}\r\nconnection: close\r\n\r\n",
            ledger.token
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream
    };
    // Announced and not sent, it is refused at once.
    let announced = begun(format!("content-length: {}", 100 * PIECE)).await;
    // Sent on and on, as soon as there is too much of it.
    let mut endless = begun("transfer-encoding: chunked".to_owned()).await;
    let piece = format!("{PIECE:x}\r\n{}\r\n", " ".repeat(PIECE));
    for _ in 0..9 {
        endless.write_all(piece.as_bytes()).await.expect("sent");
    }
    for mut stream in [announced, endless] {
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.expect("an answer");
        assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
        assert!(heard.contains("application/problem+json"), "{heard}");
    }
    assert_eq!(ledger.tree(node).await, tree);
}

#[tokio::test]
async fn only_a_valid_token_of_a_writing_role_writes() {
    let ledger = ledger().await;
    let node = ledger.first();
    let tree = ledger.tree(node).await;
    let body = document(&json!([object_event()]));
    let keys = |secret: &str| Keys::new(&Secret::new(secret)).expect("long enough");
    let ours = keys(ledger.nodes.secret("jwt").expect("a secret"));
    let past = Claims {
        exp: kit::clock::unix_ms() / 1000 - 3600,
        ..ours.verify(&ledger.token).expect("valid")
    };
    let expired = ours.sign(&past).expect("signed");
    let hour = Duration::from_secs(3600);
    let forged = keys(&"x".repeat(32))
        .issue("test", "admin", hour)
        .expect("signed");
    let (head, rest) = ledger.token.split_once('.').expect("three parts");
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{rest}");
    let cut = format!("{head}.{}", rest.split_once('.').expect("three parts").0);
    for path in ["/capture", "/events"] {
        for authorization in [
            None,
            Some("Basic dXNlcjpwYXNz".to_owned()),
            Some("Bearer ".to_owned()),
            Some("Bearer not.a.token".to_owned()),
            Some(format!("Bearer {cut}")),
            Some(format!("Bearer {none}")),
            Some(format!("Bearer {expired}")),
            Some(format!("Bearer {forged}")),
        ] {
            let mut request = ledger.request(Method::POST, node, path).json(&body);
            if let Some(authorization) = &authorization {
                request = request.header("authorization", authorization);
            }
            let refused = answer(request).await.expect("an answer");
            refused.problem(401);
            let challenge = refused.challenge.expect("a challenge");
            assert!(
                challenge.starts_with("Bearer"),
                "{authorization:?}: {challenge}"
            );
        }
        for role in ["consumer", "auditor", "unheard-of"] {
            let request = ledger.request(Method::POST, node, path).json(&body);
            let request = request.bearer_auth(ledger.token_of(role));
            let problem = answer(request).await.expect("an answer").problem(403);
            assert!(problem["detail"].to_string().contains(role), "{problem}");
        }
    }
    assert_eq!(ledger.tree(node).await, tree);
}

#[tokio::test]
async fn a_peer_call_without_the_secret_of_the_cluster_is_refused() {
    let ledger = ledger().await;
    let node = ledger.first();
    let before = ledger.tree(node).await;
    for authorization in [
        None,
        Some(format!("Bearer {}", ledger.token)),
        Some("MAC x".to_owned()),
    ] {
        for call in [
            "Append", "Vote", "Snapshot", "Propose", "Join", "Manage", "Status",
        ] {
            let path = format!("/trivet.consensus.v1.Peer/{call}");
            let call = |kind: &str| {
                let mut request = ledger.request(Method::POST, node, &path);
                if let Some(authorization) = &authorization {
                    request = request.header("authorization", authorization);
                }
                answer(request.header("content-type", kind).body(vec![0; 5]))
            };
            call("application/json")
                .await
                .expect("an answer")
                .problem(401);
            // gRPC says it in a header of its own.
            let refused = call("application/grpc").await.expect("an answer");
            assert_eq!(
                refused.grpc_status.as_deref(),
                Some(UNAUTHENTICATED),
                "{refused:?}"
            );
        }
    }
    assert_eq!(ledger.tree(node).await, before);
}

#[tokio::test]
async fn questions_that_cannot_be_answered_say_why() {
    let ledger = ledger().await;
    let node = ledger.first();
    let tree = ledger.tree(node).await;
    let many = (0..=10_000)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join(",");
    let many = format!("/api/v1/proofs/entries?indices={many}");
    let capture = ledger.request(Method::GET, node, "/capture/unknown");
    let capture = answer(capture.bearer_auth(&ledger.token))
        .await
        .expect("an answer");
    assert!(
        capture.problem(404)["detail"]
            .to_string()
            .contains("unknown")
    );
    for (path, status, part) in [
        ("/api/v1/nothing", 404, "/api/v1/nothing"),
        ("/api/v1/entries/99999", 404, "99999"),
        ("/api/v1/entries/99999/event", 404, "99999"),
        ("/api/v1/entries/-1", 400, ""),
        ("/api/v1/entries/one", 400, ""),
        ("/events/urn:uuid:unknown", 404, "urn:uuid:unknown"),
        (
            "/api/v1/trace/urn%3Aepc%3Aid%3Asgtin%3A0614141.107346.404?direction=up",
            404,
            "404",
        ),
        (
            "/api/v1/trace/urn%3Aepc%3Aid%3Asgtin%3A06?direction=up",
            400,
            "cannot be traced",
        ),
        ("/api/v1/trace/carrots?direction=up", 404, "carrots"),
        (
            "/api/v1/trace/urn%3Aepc%3Aid%3Asgtin%3A0614141.107346.404",
            400,
            "direction",
        ),
        (
            "/api/v1/trace/urn%3Aepc%3Aid%3Asgtin%3A0614141.107346.404?direction=left",
            400,
            "left",
        ),
        ("/api/v1/trace/x?direction=up&colour=red", 400, "colour"),
        ("/api/v1/trace/x?direction=up&proofs=maybe", 400, ""),
        ("/api/v1/trace/x?direction=up&depth=-1", 400, ""),
        ("/api/v1/proofs/inclusion", 400, "entry"),
        ("/api/v1/proofs/inclusion?entry=20", 404, "20"),
        ("/api/v1/proofs/inclusion?entry=1&size=1", 404, "1"),
        ("/api/v1/proofs/inclusion?entry=1&size=21", 400, "21"),
        ("/api/v1/proofs/consistency?from=0", 400, "from"),
        ("/api/v1/proofs/consistency?from=3&to=2", 400, "from"),
        ("/api/v1/proofs/consistency?from=1&to=21", 400, "21"),
        ("/api/v1/proofs/entries?indices=", 400, "indices"),
        ("/api/v1/proofs/entries?indices=1,x", 400, "indices"),
        ("/api/v1/proofs/entries?indices=1,20", 404, "20"),
        (&many, 400, "10000"),
        ("/api/v1/blocks?limit=0", 400, "limit"),
        ("/api/v1/blocks?limit=1001", 400, "limit"),
        ("/api/v1/blocks?page=1", 400, "page"),
    ] {
        let problem = ledger.get(node, path).await.problem(status);
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(part), "{path}: {problem}");
    }
    for (method, path) in [
        (Method::PUT, "/capture"),
        (Method::DELETE, "/capture"),
        (Method::PUT, "/events"),
        (Method::DELETE, "/api/v1/entries/1"),
        (Method::POST, "/checkpoint"),
        (Method::PATCH, "/api/v1/ledger"),
    ] {
        let request = ledger
            .request(method.clone(), node, path)
            .bearer_auth(&ledger.token);
        let refused = answer(request).await.expect("an answer");
        let problem: Value = refused.problem(405);
        assert!(
            problem["detail"].to_string().contains(method.as_str()),
            "{problem}"
        );
    }
    assert_eq!(ledger.tree(node).await, tree);
}
