//! Answers that are kept: the same as without, for whom they are, and whatever becomes of Redis.

use std::collections::BTreeMap;

use devcluster::{Builder, Node};
use redis::AsyncCommands as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::cluster::{Answer, Ledger, answer, until};
use super::cluster_erasure::{Erasing, driven_by, event};
use super::epcis_fixtures::{document, object_event};
use super::redis_server::RedisServer;

const EPC: &str = "urn%3Aepc%3Aid%3Asgtin%3A0614141.107346.2017";
const MARK: &str = "trade secret";

/// A ledger whose nodes keep answers in Redis only.
async fn with_redis(count: u16, url: &str) -> Ledger {
    Ledger::start_with(count, |nodes| redis_only(nodes, url)).await
}

fn redis_only(nodes: Builder, url: &str) -> Builder {
    nodes
        .env("REDIS_URL", url)
        .env("PROVCHAIN_CACHE__BYTES_MAX", "0")
}

async fn ask(ledger: &Ledger, node: &Node, path: &str, token: Option<&str>) -> Answer {
    let mut request = ledger.request(Method::GET, node, path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    answer(request).await.expect("an answer")
}

/// What an answer says, but for the time at which it was made.
fn said(answer: &Answer) -> (u16, String, Value) {
    let mut body: Value =
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| answer.text().into());
    if body.get("creationDate").is_some() {
        body["creationDate"] = Value::Null;
    }
    (answer.status, answer.kind.clone(), body)
}

/// The counters of the cache: a series, or all of one name.
async fn counter(ledger: &Ledger, node: &Node, name: &str) -> f64 {
    let request = ledger.request_at("metrics", Method::GET, node, "/metrics");
    let exposition = answer(request).await.expect("an answer").text();
    let lines = exposition.lines().filter(|line| line.starts_with(name));
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

const HITS_HERE: &str = "provchain_cache_hits_total{tier=\"process\"}";
const HITS_THERE: &str = "provchain_cache_hits_total{tier=\"redis\"}";
const ERRORS: &str = "provchain_cache_errors_total";
const BYTES: &str = "provchain_cache_bytes";

/// Every kind of answer that is kept.
fn questions() -> Vec<String> {
    [
        format!("/api/v1/trace/{EPC}?direction=down"),
        format!("/api/v1/trace/{EPC}?direction=up&proofs=true"),
        format!("/api/v1/trace/{EPC}?direction=down&format=svg"),
        format!("/api/v1/trace/{EPC}?direction=down&asOf=31"),
        format!("/api/v1/recall/{EPC}"),
        format!("/api/v1/recall/{EPC}?format=html"),
        "/events?EQ_bizStep=commissioning&perPage=2".to_owned(),
        format!("/epcs/{EPC}/events"),
        "/bizSteps?perPage=2".to_owned(),
        "/api/v1/proofs/entries?indices=1,30".to_owned(),
        "/api/v1/proofs/inclusion?entry=3".to_owned(),
        "/api/v1/proofs/consistency?from=3&to=20".to_owned(),
    ]
    .into()
}

async fn filled(ledger: &Ledger) {
    ledger.capture_sample(30, 61).await;
    let mut event = object_event();
    event["ext:note"] = json!(MARK);
    let capture = document(&json!([event]));
    ledger.capture(ledger.first(), &capture).await;
}

/// Asks every question twice, and expects the second answer to be the first one.
async fn asks_twice(ledger: &Ledger, node: &Node) -> BTreeMap<String, (u16, String, Value)> {
    let mut answers = BTreeMap::new();
    for question in questions() {
        let first = ask(ledger, node, &question, None).await;
        assert_eq!(first.status, 200, "{question}: {}", first.text());
        let second = ask(ledger, node, &question, None).await;
        assert_eq!(second.kind, first.kind, "{question}");
        assert_eq!(said(&second), said(&first), "{question}");
        answers.insert(question, said(&first));
    }
    answers
}

#[tokio::test]
async fn an_answer_is_found_again_as_it_was_until_the_ledger_grows() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    filled(&ledger).await;
    let before = counter(&ledger, node, HITS_HERE).await;
    asks_twice(&ledger, node).await;
    let hits = counter(&ledger, node, HITS_HERE).await - before;
    assert_eq!(hits, questions().len() as f64);

    let all = "/events?perPage=1000";
    let count = async || {
        let found = ask(&ledger, node, all, None).await.json();
        let body = &found["epcisBody"]["queryResults"]["resultsBody"]["eventList"];
        body.as_array().expect("events").len()
    };
    for more in 0..5 {
        assert_eq!((count().await, count().await), (31 + more, 31 + more));
        let mut event = object_event();
        event["eventID"] = json!(format!(
            "urn:uuid:374d95fc-9457-4a51-bd6a-00000000000{more}"
        ));
        ledger.capture(node, &document(&json!([event]))).await;
    }
    // A question about the past has its answer still; a refusal is never kept.
    let hits = counter(&ledger, node, HITS_HERE).await;
    let early = format!("/api/v1/trace/{EPC}?direction=down&asOf=31");
    assert_eq!(ask(&ledger, node, &early, None).await.status, 200);
    assert_eq!(counter(&ledger, node, HITS_HERE).await, hits + 1.0);
    for _ in 0..2 {
        let future = format!("/api/v1/trace/{EPC}?direction=down&asOf=37");
        ask(&ledger, node, &future, None).await.problem(400);
    }
    let mut event = object_event();
    event["eventID"] = json!("urn:uuid:374d95fc-9457-4a51-bd6a-0000000000ff");
    ledger.capture(node, &document(&json!([event]))).await;
    let future = format!("/api/v1/trace/{EPC}?direction=down&asOf=37");
    assert_eq!(ask(&ledger, node, &future, None).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_be_kept_is_given_all_the_same() {
    let small = |nodes: Builder| nodes.env("PROVCHAIN_CACHE__ANSWER_BYTES_MAX", "1000");
    let ledger = Ledger::start_with(1, small).await;
    let node = ledger.first();
    filled(&ledger).await;
    let before = counter(&ledger, node, HITS_HERE).await;
    asks_twice(&ledger, node).await;
    let hits = counter(&ledger, node, HITS_HERE).await - before;
    assert!(0.0 < hits && hits < questions().len() as f64, "{hits}");
}

#[tokio::test]
async fn an_erasure_leaves_no_answer_in_memory() {
    let erasing = Erasing::start(1).await;
    let (ledger, node) = (&erasing.ledger, erasing.ledger.first());
    let events = [event(0, &driven_by("Ann"), MARK)];
    erasing.capture(node, &events).await;
    assert!(
        ask(ledger, node, "/events", None)
            .await
            .text()
            .contains(MARK)
    );
    assert!(counter(ledger, node, BYTES).await > 0.0);
    erasing.erase_driver(node, "Ann").await;
    assert_eq!(counter(ledger, node, BYTES).await, 0.0);
}

#[tokio::test]
async fn nobody_is_given_the_answer_of_somebody_who_sees_more_or_less() {
    let redis = RedisServer::start(&[]).await;
    let ledger = with_redis(1, &redis.url()).await;
    let node = ledger.first();
    let farm = ledger.token_for("farm", "farmer");
    let mut event = object_event();
    event["ext:note"] = json!(MARK);
    let request = ledger
        .request(Method::POST, node, "/capture")
        .bearer_auth(&farm);
    let request = request.header("provchain-visibility", "partner");
    let taken = answer(request.json(&document(&json!([event])))).await;
    assert_eq!(taken.expect("an answer").status, 202);

    let shop = ledger.token_for("shop", "retailer");
    let admin = ledger.token_of("admin");
    let partners = async |partners: Value| {
        let path = "/api/v1/parties/farm/partners";
        let request = ledger.request(Method::PUT, node, path).bearer_auth(&farm);
        let set = answer(request.json(&json!({ "partners": partners }))).await;
        assert_eq!(set.expect("an answer").status, 200);
    };
    let proof = "/api/v1/proofs/entries?indices=0".to_owned();
    let ways = ["/events".to_owned(), format!("/api/v1/recall/{EPC}"), proof];
    let sees = async |token: Option<&str>| {
        let mut seen = Vec::new();
        for way in &ways {
            // The second time it may be kept.
            for _ in 0..2 {
                seen.push(ask(&ledger, node, way, token).await.text().contains(MARK));
            }
        }
        assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
        seen[0]
    };
    for round in 0..2 {
        partners(json!([])).await;
        assert!(
            sees(Some(&farm)).await && sees(Some(&admin)).await,
            "{round}"
        );
        assert!(!sees(Some(&shop)).await && !sees(None).await, "{round}");
        partners(json!(["shop"])).await;
        assert!(sees(Some(&shop)).await, "{round}");
        assert!(!sees(None).await, "{round}");
    }
    assert!(counter(&ledger, node, HITS_THERE).await > 10.0);
}

#[tokio::test]
async fn nodes_find_what_others_kept_in_redis_and_whoever_reads_there_learns_nothing() {
    let redis = RedisServer::start(&[]).await;
    let ledger = with_redis(3, &redis.url()).await;
    filled(&ledger).await;
    let [one, two, _] = ledger.nodes.nodes() else {
        panic!("three nodes")
    };
    let question = "/events?EQ_bizStep=commissioning";
    let first = ask(&ledger, one, question, None).await;
    until(
        "the second node finds what the first one kept",
        async || {
            let again = ask(&ledger, one, question, None).await;
            assert_eq!(said(&again), said(&first));
            let other = ask(&ledger, two, question, None).await;
            assert_eq!(said(&other), said(&first));
            counter(&ledger, two, HITS_THERE).await > 0.0
        },
    )
    .await;
    let answers = asks_twice(&ledger, one).await;
    // Each node signs its own.
    let proof = "/api/v1/proofs/entries?indices=1,30";
    let own = ask(&ledger, two, proof, None).await.json()["checkpoint"].clone();
    assert_ne!(own, answers[proof].2["checkpoint"]);

    let mut connection = redis.connection().await;
    let keys: Vec<String> = connection.keys("*").await.expect("keys");
    assert!(keys.len() > 5, "{keys:?}");
    for key in &keys {
        assert!(
            key.starts_with("provchain:") && !key.contains("2017"),
            "{key}"
        );
        let value: Vec<u8> = connection.get(key).await.expect("a value");
        let value = String::from_utf8_lossy(&value).into_owned();
        assert!(!value.contains(MARK) && !value.contains("json"), "{key}");
        let left: i64 = connection.ttl(key).await.expect("a time");
        assert!(left > 0, "{key} stays for ever");
    }
}

#[tokio::test]
async fn what_is_poisoned_in_redis_is_not_believed() {
    let redis = RedisServer::start(&[]).await;
    let ledger = with_redis(1, &redis.url()).await;
    let node = ledger.first();
    filled(&ledger).await;
    let good = asks_twice(&ledger, node).await;
    let mut connection = redis.connection().await;
    let kept = async |connection: &mut redis::aio::MultiplexedConnection| {
        let keys: Vec<String> = connection.keys("*").await.expect("keys");
        keys
    };
    until("all is kept", async || {
        asks_twice(&ledger, node).await;
        kept(&mut redis.connection().await).await.len() == questions().len()
    })
    .await;
    let keys = kept(&mut connection).await;
    let mut values = BTreeMap::new();
    for key in &keys {
        let value: Vec<u8> = connection.get(key).await.expect("a value");
        values.insert(key.clone(), value);
    }
    let huge = vec![1; 8 << 20];
    // The version, as many bytes as a nonce has, no headers, and a body that nobody sealed.
    let plain = [&[1; 1 + 24][..], &[0, 0], b"{}"].concat();
    for poison in [
        "text",
        "plain",
        "another's",
        "changed",
        "cut",
        "list",
        "huge",
    ] {
        let errors = counter(&ledger, node, ERRORS).await;
        for (place, key) in keys.iter().enumerate() {
            let own = &values[key];
            let other = &values[&keys[(place + 1) % keys.len()]];
            let mut changed = own.clone();
            let middle = changed.len() / 2;
            changed[middle] ^= 1;
            let value: &[u8] = match poison {
                "text" => b"{\"status\": 200}",
                "plain" => &plain,
                "another's" => other,
                "changed" => &changed,
                "cut" => &own[..own.len() - 1],
                "huge" => &huge,
                _ => b"",
            };
            let _: () = connection.del(key).await.expect("deleted");
            if poison == "list" {
                let _: () = connection.rpush(key, "x").await.expect("pushed");
            } else {
                let _: () = connection.set(key, value).await.expect("set");
            }
        }
        for (question, expected) in &good {
            let found = ask(&ledger, node, question, None).await;
            assert_eq!(said(&found), *expected, "{poison}: {question}");
        }
        assert!(counter(&ledger, node, ERRORS).await > errors, "{poison}");
    }
}

#[tokio::test]
async fn a_redis_that_stands_still_or_dies_is_left_alone_and_found_again() {
    let mut redis = RedisServer::start(&[]).await;
    let ledger = with_redis(1, &redis.url()).await;
    let node = ledger.first();
    filled(&ledger).await;
    let good = asks_twice(&ledger, node).await;
    let hits_grow = async || {
        let before = counter(&ledger, node, HITS_THERE).await;
        until("what is kept is found", async || {
            asks_twice(&ledger, node).await;
            counter(&ledger, node, HITS_THERE).await > before
        })
        .await;
    };
    hits_grow().await;
    for state in ["stopped", "dead"] {
        if state == "stopped" {
            redis.pause();
        } else {
            redis.kill();
        }
        let errors = counter(&ledger, node, ERRORS).await;
        let mut asked = 0.0;
        for _ in 0..4 {
            for (question, expected) in &good {
                let found = ask(&ledger, node, question, None).await;
                assert_eq!(said(&found), *expected, "{state}: {question}");
                asked += 1.0;
            }
        }
        let errors = counter(&ledger, node, ERRORS).await - errors;
        assert!(errors >= 1.0, "{state}: nothing was noticed");
        assert!(
            errors < asked / 2.0,
            "{state}: {errors} of {asked} waited for it"
        );
        if state == "stopped" {
            redis.resume();
        } else {
            redis.restart().await;
        }
        hits_grow().await;
    }
}

#[tokio::test]
async fn a_full_redis_keeps_nothing_more_and_breaks_nothing() {
    let redis =
        RedisServer::start(&["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"]).await;
    let ledger = with_redis(1, &redis.url()).await;
    let node = ledger.first();
    filled(&ledger).await;
    let mut connection = redis.connection().await;
    for part in 0.. {
        let filled: redis::RedisResult<()> = connection.set(part, vec![7; 1 << 14]).await;
        if filled.is_err() {
            break;
        }
    }
    until("it refuses", async || {
        asks_twice(&ledger, node).await;
        counter(
            &ledger,
            node,
            "provchain_cache_errors_total{reason=\"refused\"}",
        )
        .await
            > 0.0
    })
    .await;
    asks_twice(&ledger, node).await;
}

/// A Redis that is none: it answers whatever is asked with the same bytes, over and over.
async fn liar(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                // Well-behaved until the connection is believed in.
                while let Ok(count @ 1..) = stream.read(&mut asked).await {
                    let asked = String::from_utf8_lossy(&asked[..count]).into_owned();
                    if asked.contains("PING") && stream.write_all(b"+PONG\r\n").await.is_err() {
                        return;
                    }
                    if asked.contains("GETRANGE") {
                        while stream.write_all(bytes).await.is_ok() {}
                        return;
                    }
                }
            });
        }
    });
    format!("redis://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_redis_fills_no_memory_and_changes_no_answer() {
    for lie in [
        &b"$999999999\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"[..],
        b"*2147483647\r\n",
        b"%2147483647\r\n",
        b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        b":7\r\n",
        b"-LOADING\r\n",
        b"no protocol at all",
    ] {
        let liar = liar(lie).await;
        // With patience for as much as comes: what is read is bounded all the same.
        let patient = |nodes| {
            let nodes = redis_only(nodes, &liar);
            nodes.env("PROVCHAIN_CACHE__REDIS_TIMEOUT_MS", "5000")
        };
        let ledger = Ledger::start_with(1, patient).await;
        let node = ledger.first();
        filled(&ledger).await;
        let memory = counter(&ledger, node, "process_resident_memory_bytes").await;
        until("it was asked and found out", async || {
            asks_twice(&ledger, node).await;
            counter(&ledger, node, ERRORS).await > 0.0
        })
        .await;
        let more = counter(&ledger, node, "process_resident_memory_bytes").await - memory;
        let lie = String::from_utf8_lossy(&lie[..lie.len().min(16)]).into_owned();
        assert!(more < 128.0 * 1024.0 * 1024.0, "{lie:?} took {more} bytes");
    }
}
