//! One request is one trace, in the collector and in the log.

use http::{HeaderMap, StatusCode};
use kit::{
    telemetry::{TelemetrySettings, current_traceparent, extract, inject},
    testing::{CollectedSpan, OtlpSink},
};
use proptest::prelude::*;

use super::{
    client::{get, plain, request, send},
    process::Greeter,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn named<'a>(spans: &'a [CollectedSpan], node: &str, name: &str) -> &'a CollectedSpan {
    let found = spans
        .iter()
        .find(|span| span.node == node && span.name == name);
    found.unwrap_or_else(|| panic!("no span {name} of {node} in {spans:#?}"))
}

#[tokio::test]
async fn one_request_is_one_trace_across_two_processes_over_http_and_grpc() {
    let sink = OtlpSink::start().await.expect("a sink");
    let start = |node: &'static str| {
        let endpoint = sink.endpoint();
        tokio::task::spawn_blocking(move || {
            Greeter::start(|command| {
                command
                    .env("GREETER_NODE", node)
                    .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
            })
        })
    };
    let (mut alice, bob) = (
        start("alice").await.expect("started"),
        start("bob").await.expect("started"),
    );
    let path = format!("/there-and-back/{}/{}", bob.address, alice.address);
    let asked =
        request("GET", &path).header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let asked = asked.body(Default::default()).expect("a request");
    let answer = send(plain(alice.address).await, asked)
        .await
        .expect("an answer");
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::OK, "hello again")
    );

    let spans = sink.wait_for(|spans| spans.len() >= 3).await;
    let there = named(&spans, "alice", "GET /there-and-back/{neighbour}/{own}");
    let back = named(&spans, "bob", "GET /back/{own}");
    let said = named(&spans, "alice", "example.Greeter/Say");
    assert!(
        spans
            .iter()
            .all(|span| span.trace_id == TRACE && span.service == "greeter"),
        "{spans:#?}"
    );
    let parents = [
        &there.parent_span_id,
        &back.parent_span_id,
        &said.parent_span_id,
    ];
    assert_eq!(parents, ["00f067aa0ba902b7", &there.span_id, &back.span_id]);
    assert_eq!(
        there.attributes["http.route"],
        "/there-and-back/{neighbour}/{own}"
    );
    assert_eq!(there.attributes["http.response.status_code"], "200");
    assert_eq!(said.attributes["rpc.system"], "grpc");

    let line = alice.log("asking the neighbour");
    assert_eq!(
        (line["trace_id"].as_str(), line["span_id"].as_str()),
        (Some(TRACE), Some(there.span_id.as_str()))
    );
    assert_eq!(
        (line["service"].as_str(), line["node"].as_str()),
        (Some("greeter"), Some("alice"))
    );
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_process_ends() {
    let sink = OtlpSink::start().await.expect("a sink");
    let endpoint = sink.endpoint();
    let start = || {
        Greeter::start(|command| {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        })
    };
    let mut greeter = tokio::task::spawn_blocking(start).await.expect("started");
    send(plain(greeter.address).await, get("/"))
        .await
        .expect("an answer");
    greeter.signal(rustix::process::Signal::TERM);
    tokio::task::spawn_blocking(move || greeter.wait())
        .await
        .expect("ended");
    assert!(
        sink.spans().iter().any(|span| span.name == "GET /"),
        "{:#?}",
        sink.spans()
    );
}

#[tokio::test]
async fn a_collector_that_does_not_answer_stops_nothing() {
    // It accepts connections, and that is all it does.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("bound"));
    let start = || {
        Greeter::start(|command| {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        })
    };
    let mut greeter = tokio::task::spawn_blocking(start).await.expect("started");
    // More spans than the queue has places for.
    for _ in 0..20 {
        let mut stream = plain(greeter.address).await;
        flood(&mut stream, 500).await;
    }
    greeter.signal(rustix::process::Signal::TERM);
    let code = tokio::task::spawn_blocking(move || greeter.wait())
        .await
        .expect("ended");
    assert_eq!(code, Some(0));
}

/// Sends that many requests and reads that many answers.
async fn flood(stream: &mut tokio::net::TcpStream, requests: usize) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut read, mut write) = stream.split();
    let asked = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(requests - 1)
        + "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut answers = String::new();
    let (sent, read) = tokio::join!(
        write.write_all(asked.as_bytes()),
        read.read_to_string(&mut answers)
    );
    sent.expect("sent");
    read.expect("answered");
    assert_eq!(answers.matches("HTTP/1.1 200").count(), requests);
}

#[test]
fn outside_a_span_nothing_is_sent_along() {
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    assert!(headers.is_empty(), "{headers:?}");
    assert_eq!(current_traceparent(), None);
}

#[test]
fn settings_that_cannot_work_are_found() {
    let settings = TelemetrySettings {
        log_level: "info,=".to_owned(),
        trace_sample_ratio: 2.0,
        otlp_endpoint: Some("jaeger:4317".to_owned()),
        ..TelemetrySettings::default()
    };
    let keys: Vec<String> = settings
        .problems("telemetry")
        .into_iter()
        .map(|problem| problem.key)
        .collect();
    assert_eq!(
        keys,
        [
            "telemetry.log_level",
            "telemetry.trace_sample_ratio",
            "telemetry.otlp_endpoint"
        ]
    );
}

proptest! {
    #[test]
    fn no_header_of_a_client_causes_a_panic(value in "[ -~]{0,80}") {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", value.parse().expect("visible ASCII"));
        let _ = extract(&headers);
        let _ = kit::telemetry::span_from_traceparent(tracing::info_span!("a"), Some(&value));
    }
}
