//! Clients that mean no good: each is cut, and the others are served meanwhile. The waits below
//! end with an event (the server closes), not with a time.

use std::time::Duration;

use http::StatusCode;
use kit::serve::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    client::{Asking, get, plain, send},
    server::{Server, limits, start, start_with},
};

/// Reads until the server closes, and returns what came.
async fn until_closed(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is a way of closing too.
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

async fn still_serves(server: &Server) {
    let answer = send(plain(server.address).await, get("/livez"))
        .await
        .expect("an answer");
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut() {
    let server = start().await;
    assert!(until_closed(plain(server.address).await).await.is_empty());
    still_serves(&server).await;
}

#[tokio::test]
async fn a_client_that_sends_its_head_byte_by_byte_is_cut() {
    let server = start().await;
    let (mut read, mut write) = plain(server.address).await.into_split();
    let slowly = tokio::spawn(async move {
        for byte in b"GET /livez HTTP/1.1\r\nx-slow: "
            .iter()
            .chain(std::iter::repeat(&b'a'))
        {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut bytes = Vec::new();
    let _ = read.read_to_end(&mut bytes).await;
    assert!(
        !bytes.starts_with(b"HTTP/1.1 200"),
        "it never got an answer"
    );
    slowly.await.expect("its next write failed");
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_the_http_2_preface_is_cut() {
    let server = start().await;
    let mut stream = plain(server.address).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n").await.expect("sent");
    until_closed(stream).await;
}

#[tokio::test]
async fn an_http_2_client_that_never_asks_is_cut() {
    let server = start().await;
    let mut stream = plain(server.address).await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .expect("sent");
    until_closed(stream).await;
}

#[tokio::test]
async fn a_connection_that_is_kept_without_use_is_closed() {
    let server = start().await;
    let mut stream = plain(server.address).await;
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    assert!(until_closed(stream).await.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request_longer_than_a_head_may_take() {
    let kept = Limits {
        idle_timeout_ms: 600_000,
        ..limits()
    };
    let server = start_with(kept, None, Duration::ZERO).await;
    for preface in [false, true] {
        let stream = plain(server.address).await;
        let mut ask = if preface {
            Asking::http2(stream).await
        } else {
            Asking::http1(stream).await
        };
        assert_eq!(ask.get("/livez").await.status, StatusCode::OK);
        // Two others come and are cut, one after the other: the time of a head has passed twice.
        until_closed(plain(server.address).await).await;
        until_closed(plain(server.address).await).await;
        assert_eq!(
            ask.get("/livez").await.status,
            StatusCode::OK,
            "HTTP/2: {preface}"
        );
    }
}

#[tokio::test]
async fn a_second_head_that_does_not_end_is_cut_too() {
    let kept = Limits {
        idle_timeout_ms: 600_000,
        ..limits()
    };
    let server = start_with(kept, None, Duration::ZERO).await;
    let mut stream = plain(server.address).await;
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    // The whole answer has to be here first, or the next bytes are part of the same exchange.
    let mut rest = Vec::new();
    while !rest.ends_with(b"}") {
        rest.push(stream.read_u8().await.expect("the rest"));
    }
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nx-slow")
        .await
        .expect("sent");
    assert!(until_closed(stream).await.is_empty());
}

#[tokio::test]
async fn a_client_that_stops_sending_its_body_gets_a_408() {
    let server = start().await;
    let mut stream = plain(server.address).await;
    let head = b"POST /order HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{";
    stream.write_all(head).await.expect("sent");
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut() {
    let server = start_with(limits(), None, Duration::from_secs(20)).await;
    let mut stream = plain(server.address).await;
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    // It reads nothing. The server's cut shows as the end of its connections.
    while !metric(
        &server,
        "server_connections_cut_total{reason=\"write_stall\"}",
    )
    .await
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(stream);
}

async fn metric(server: &Server, name: &str) -> bool {
    let answer = send(plain(server.address).await, get("/metrics"))
        .await
        .expect("an answer");
    answer.text().contains(name)
}

#[tokio::test]
async fn more_connections_than_allowed_are_refused_with_503() {
    let few = Limits {
        connections_max: 2,
        header_read_timeout_ms: 60_000,
        idle_timeout_ms: 60_000,
        ..limits()
    };
    let server = start_with(few, None, Duration::ZERO).await;
    let held = [plain(server.address).await, plain(server.address).await];
    let refused = until_closed(plain(server.address).await).await;
    let refused = String::from_utf8(refused).expect("ASCII");
    assert!(
        refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"),
        "{refused}"
    );
    drop(held);
    while send(plain(server.address).await, get("/livez"))
        .await
        .is_err()
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = start().await;
    let mut stream = plain(server.address).await;
    let _ = stream.write_all(b"GET / HTTP/1.1\r\n").await;
    for _ in 0..20 {
        let _ = stream
            .write_all(format!("x: {}\r\n", "a".repeat(10_000)).as_bytes())
            .await;
    }
    let answer = until_closed(stream).await;
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    still_serves(&server).await;
}

#[tokio::test]
async fn noise_is_refused() {
    let server = start().await;
    for noise in [
        &b"\0\0\0\0"[..],
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"\xff\xfe HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = plain(server.address).await;
        stream.write_all(noise).await.expect("sent");
        let answer = until_closed(stream).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{noise:?}");
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn a_quiet_websocket_outlives_every_timeout() {
    let server = start().await;
    let mut stream = plain(server.address).await;
    let upgrade = b"GET /echo HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    // Another connection that is idle from now on is closed: so this one has been idle as long.
    until_closed(plain(server.address).await).await;
    until_closed(plain(server.address).await).await;
    // A masked text frame with the mask 0 (RFC 6455, section 5.2), and its echo.
    stream.write_all(b"\x81\x82\0\0\0\0hi").await.expect("sent");
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await.expect("an echo");
    assert_eq!(&echo, b"\x81\x02hi");
}
