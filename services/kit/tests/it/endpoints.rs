//! A minimal service, walked endpoint by endpoint.

use std::{sync::atomic::Ordering, time::Duration};

use http::{Method, StatusCode, header};
use kit::serve::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    client::{Asking, body, get, plain, request, send, send_http2},
    server::{limits, start, start_with},
};

#[tokio::test]
async fn health_sums_up_the_checks() {
    let server = start().await;
    let answer = send(plain(server.address).await, get("/health"))
        .await
        .expect("an answer");
    let health = answer.json();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(health["status"], "pass");
    assert_eq!(
        (&health["service"], &health["node"]),
        (&"bakery".into(), &"node-1".into())
    );
    assert_eq!(health["version"], "0.1.0");
    assert!(health["uptime_seconds"].is_u64());
    assert_eq!(health["checks"]["pantry"]["detail"], "full");
}

#[tokio::test]
async fn a_check_that_concerns_readiness_makes_the_node_unready_but_not_unhealthy() {
    let server = start().await;
    server.pantry_is_empty.store(true, Ordering::SeqCst);
    let ready = send(plain(server.address).await, get("/readyz"))
        .await
        .expect("an answer");
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json()["checks"]["pantry"]["detail"], "no flour");
    let health = send(plain(server.address).await, get("/health"))
        .await
        .expect("an answer");
    assert_eq!(
        (health.status, health.json()["status"].as_str()),
        (StatusCode::OK, Some("warn"))
    );
    server.pantry_is_empty.store(false, Ordering::SeqCst);
    let ready = send(plain(server.address).await, get("/readyz"))
        .await
        .expect("an answer");
    assert_eq!(ready.status, StatusCode::OK);
}

#[tokio::test]
async fn a_check_that_fails_or_panics_makes_the_node_unhealthy_and_leaves_it_alive() {
    let server = start().await;
    server.health.register("oven", || panic!("no oven"));
    for path in ["/health", "/readyz"] {
        let answer = send(plain(server.address).await, get(path))
            .await
            .expect("an answer");
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.json()["checks"]["oven"]["status"], "fail");
    }
    let live = send(plain(server.address).await, get("/livez"))
        .await
        .expect("an answer");
    assert_eq!(live.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_describe_the_process() {
    let server = start().await;
    send(plain(server.address).await, get("/teapot?secret=1"))
        .await
        .expect("an answer");
    send(plain(server.address).await, get("/no/such/route"))
        .await
        .expect("an answer");
    let answer = send(plain(server.address).await, get("/metrics"))
        .await
        .expect("an answer");
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let lines = [
        "http_requests_total{method=\"GET\",route=\"/teapot\",status=\"418\"}",
        "http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}",
        "http_request_duration_seconds_bucket{method=\"GET\",route=\"/teapot\",status=\"418\",le=\"0.005\"}",
        "http_requests_in_flight ",
        "build_info{service=\"bakery\",node=\"node-1\",version=\"0.1.0\"} 1",
        "# TYPE process_cpu_seconds_total counter",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_start_time_seconds ",
    ];
    for line in lines {
        assert!(
            answer.text().contains(line),
            "{line} is missing in\n{}",
            answer.text()
        );
    }
    assert!(
        !answer.text().contains("such"),
        "what a client writes never becomes a label"
    );
}

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let server = start().await;
    let json = |path: &str, text: &'static str| {
        request("POST", path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body(text))
            .expect("a request")
    };
    let untyped = request("POST", "/order")
        .body(body("{}"))
        .expect("a request");
    let cases = [
        (get("/nowhere"), 404),
        (get("/order"), 405),
        (json("/order", "{"), 400),
        (json("/order", "{\"loaves\":\"two\"}"), 422),
        (json("/plain-order", "{\"loaves\":-1}"), 422),
        (untyped, 415),
        (get("/search?loaves=x"), 400),
        (get("/never"), 408),
        (get("/panic"), 500),
        (get("/teapot"), 418),
        (get("/peers-only"), 403),
    ];
    for (request, status) in cases {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = send(plain(server.address).await, request)
            .await
            .expect("an answer");
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
        let problem = answer.problem();
        assert!(problem["title"].is_string(), "{what}");
        assert!(
            !problem.to_string().contains("exploded"),
            "the cause of a panic stays inside"
        );
    }
}

#[tokio::test]
async fn an_unsupported_method_is_told_which_are_supported() {
    let server = start().await;
    let answer = send(plain(server.address).await, get("/order"))
        .await
        .expect("an answer");
    assert_eq!(answer.headers[header::ALLOW], Method::POST.as_str());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_or_without_a_length() {
    let server = start().await;
    let long = request("POST", "/order")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body(vec![b' '; 1001]))
        .expect("a request");
    let answer = send(plain(server.address).await, long)
        .await
        .expect("an answer");
    assert_eq!(
        (answer.status, answer.problem()["status"].as_u64()),
        (StatusCode::PAYLOAD_TOO_LARGE, Some(413))
    );

    let mut stream = plain(server.address).await;
    let head = "POST /order HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    for _ in 0..11 {
        stream
            .write_all(format!("64\r\n{}\r\n", " ".repeat(100)).as_bytes())
            .await
            .expect("sent");
    }
    stream.write_all(b"0\r\n\r\n").await.expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    assert!(
        text.starts_with("HTTP/1.1 413") && text.contains("application/problem+json"),
        "{text}"
    );
}

#[tokio::test]
async fn a_client_that_sends_far_too_much_still_gets_its_answer() {
    const LENGTH: usize = 100_000_000;
    let server = start().await;
    let mut stream = plain(server.address).await;
    let head = format!(
        "POST /order HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {LENGTH}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // As simple clients do: first everything is sent, then the answer is read.
    stream
        .write_all(&vec![b' '; LENGTH])
        .await
        .expect("no broken pipe");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("the body is longer than 1000 bytes"),
        "{answer}"
    );
}

#[tokio::test]
async fn one_port_speaks_http_1_and_http_2() {
    let server = start().await;
    let first = send(plain(server.address).await, get("/whoami"))
        .await
        .expect("an answer");
    let second = send_http2(plain(server.address).await, get("/whoami"))
        .await
        .expect("an answer");
    for answer in [first, second] {
        assert!(
            answer.text().contains("tls: false, peer_certificate: None"),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn requests_under_way_finish_while_no_new_ones_are_accepted() {
    let server = start().await;
    let held = tokio::spawn(send(plain(server.address).await, get("/held")));
    server.arrived.notified().await;
    let idle = plain(server.address).await;
    send(idle, get("/livez")).await.expect("an answer");
    server.shutdown.request("a test");
    let refused = async {
        while tokio::net::TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    refused.await;
    assert!(!server.served.is_finished(), "a request is still under way");
    server.release.notify_one();
    let answer = held.await.expect("not panicked").expect("an answer");
    assert_eq!(answer.text(), "released");
    server.served.await.expect("not panicked").expect("drained");
}

#[tokio::test]
async fn a_kept_connection_is_closed_at_shutdown_rather_than_waited_for() {
    let kept = Limits {
        idle_timeout_ms: 600_000,
        ..limits()
    };
    for http2 in [false, true] {
        let server = start_with(kept, None, Duration::from_secs(600)).await;
        let stream = plain(server.address).await;
        let mut asking = if http2 {
            Asking::http2(stream).await
        } else {
            Asking::http1(stream).await
        };
        assert_eq!(asking.get("/livez").await.status, StatusCode::OK);
        server.shutdown.request("a test");
        server.served.await.expect("not panicked").expect("drained");
    }
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let server = start_with(limits(), None, Duration::from_millis(50)).await;
    let held = tokio::spawn(send(plain(server.address).await, get("/held")));
    server.arrived.notified().await;
    server.shutdown.request("a test");
    server.served.await.expect("not panicked").expect("ended");
    assert!(
        held.await.expect("not panicked").is_err(),
        "the connection has been closed"
    );
}

#[tokio::test]
async fn the_request_timeout_does_not_touch_routes_outside_the_layer() {
    let server = start().await;
    let held = tokio::spawn(send(plain(server.address).await, get("/held")));
    server.arrived.notified().await;
    let timed_out = send(plain(server.address).await, get("/never"))
        .await
        .expect("an answer");
    assert_eq!(timed_out.status, StatusCode::REQUEST_TIMEOUT);
    let again = send(plain(server.address).await, get("/never"))
        .await
        .expect("an answer");
    assert_eq!(again.status, StatusCode::REQUEST_TIMEOUT);
    assert!(
        !held.is_finished(),
        "more than the request timeout has passed"
    );
    server.release.notify_one();
    assert_eq!(
        held.await.expect("not panicked").expect("an answer").text(),
        "released"
    );
}
