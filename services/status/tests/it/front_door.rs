//! The load balancer and its web servers, as real processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use devcluster::Signal;

use crate::harness::{Load, client, folder, front_door, until_asked};

/// Neither history nor what writes it: only files through the balancer.
const FILES_ONLY: &[(&str, u16)] = &[("database", 0), ("status", 0)];
const NO_STATUS: &str = "server 127.0.0.1:1 max_fails=0;";

#[tokio::test]
async fn no_get_fails_while_a_web_server_is_killed_hung_or_stopped() {
    let dir = folder();
    let cluster = front_door(dir.path(), FILES_ONLY)
        .env("UPSTREAM_STATUS", NO_STATUS)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let balancer = cluster.node("balancer").expect("a balancer");
    let balancer = balancer.url("http").expect("a port");
    let load = Load::start(&balancer, 4);
    load.more(100).await;

    let web1 = cluster.node("web1").expect("a web server");
    web1.kill().await.expect("killed");
    load.more(400).await;
    web1.start().await.expect("started again");
    until_asked(&balancer, "web1").await;

    let web2 = cluster.node("web2").expect("a web server");
    web2.pause().await.expect("hung");
    load.more(400).await;
    web2.resume().await.expect("goes on");
    until_asked(&balancer, "web2").await;

    let web3 = cluster.node("web3").expect("a web server");
    assert!(web3.stop().await.expect("stopped"), "by itself");
    load.more(400).await;
    web3.start().await.expect("started again");
    until_asked(&balancer, "web3").await;

    let (servers, failures) = load.end().await;
    assert!(
        failures.is_empty(),
        "{} failed: {failures:#?}",
        failures.len()
    );
    for server in ["web1", "web2", "web3"] {
        assert!(servers[server] > 100, "all take their part: {servers:?}");
    }
}

#[tokio::test]
async fn a_request_that_may_have_had_an_effect_is_not_sent_twice() {
    let counted = Arc::<AtomicUsize>::default();
    let mut upstream = String::new();
    for _ in 0..3 {
        let counted = counted.clone();
        let busy = Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { StatusCode::SERVICE_UNAVAILABLE }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        upstream += &format!("server {address} max_fails=0; ");
        tokio::spawn(async move { axum::serve(listener, busy).await });
    }
    let dir = folder();
    let cluster = front_door(dir.path(), &[("web", 0), ("database", 0), ("status", 0)])
        .env("UPSTREAM_STATUS", NO_STATUS)
        .env("UPSTREAM_WEB", &upstream)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let url = cluster.nodes()[0].url("http").expect("a port");
    let client = client();

    let answer = client.post(&url).body("once").send().await;
    assert_eq!(answer.expect("an answer").status(), 503);
    assert_eq!(counted.load(Ordering::SeqCst), 1, "a POST is sent once");
    let answer = client.get(&url).send().await;
    assert_eq!(answer.expect("an answer").status(), 503);
    assert_eq!(
        counted.load(Ordering::SeqCst),
        1 + 3,
        "a GET is sent to all"
    );
}

#[tokio::test]
async fn more_web_servers_are_taken_in_by_a_reload_that_drops_no_request() {
    let dir = folder();
    let mut cluster = front_door(dir.path(), FILES_ONLY)
        .env("UPSTREAM_STATUS", NO_STATUS)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let balancer = cluster.node("balancer").expect("a balancer");
    let config = balancer.data_dir().join("balancer.conf");
    let load = Load::start(&balancer.url("http").expect("a port"), 4);
    load.more(100).await;

    for _ in 0..2 {
        let new = cluster.add_node("web").await.expect("started");
        new.wait_ready().await.expect("ready");
        let address = new.address("http").expect("a port");
        let text = std::fs::read_to_string(&config).expect("readable");
        let with_new = text.replacen(
            "zone web 256k;",
            &format!("zone web 256k; server {address} max_fails=2 fail_timeout=5s;"),
            1,
        );
        assert_ne!(text, with_new);
        std::fs::write(&config, with_new).expect("written");
        let balancer = cluster.node("balancer").expect("a balancer");
        balancer.send(Signal::HUP).expect("told");
        load.more(200).await;
    }
    let balancer = cluster.node("balancer").expect("a balancer");
    let url = balancer.url("http").expect("a port");
    until_asked(&url, "web4").await;
    until_asked(&url, "web5").await;
    let (_, failures) = load.end().await;
    assert!(
        failures.is_empty(),
        "{} failed: {failures:#?}",
        failures.len()
    );
}

#[tokio::test]
async fn the_balancer_speaks_tls_when_it_is_given_a_certificate() {
    let dir = folder();
    let tls = dir.path().join("tls");
    std::fs::create_dir(&tls).expect("a folder");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(tls.join("tls.crt"), made.cert.pem()).expect("written");
    std::fs::write(tls.join("tls.key"), made.signing_key.serialize_pem()).expect("written");
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a free port").port();
    let example = include_str!("../../../../infra/web/nginx/tls.conf");
    let config = example
        .replace("/etc/nginx/tls", &tls.display().to_string())
        .replace("listen 8443", &format!("listen 127.0.0.1:{port}"));
    std::fs::write(tls.join("tls.conf"), config).expect("written");
    let cluster = front_door(dir.path(), FILES_ONLY)
        .env("UPSTREAM_STATUS", NO_STATUS)
        .env("TLS_DIR", &tls.display().to_string())
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let url = format!("https://127.0.0.1:{port}/health");
    let answer = kit::cli::probe(&url, Some(&tls.join("tls.crt")), 10_000).await;
    let answer = answer.expect("an answer over TLS");
    assert!(
        answer.healthy && answer.body.contains("balancer"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn without_the_status_service_the_page_is_served_and_the_api_says_what_is_missing() {
    let dir = folder();
    let cluster = front_door(dir.path(), FILES_ONLY)
        .env("UPSTREAM_STATUS", NO_STATUS)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let balancer = cluster.node("balancer").expect("a balancer");
    let url = balancer.url("http").expect("a port");
    let client = client();
    let get = async |path: &str| {
        let answer = client.get(format!("{url}{path}")).send().await;
        answer.expect("an answer")
    };

    let page = get("/").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str();
    assert!(policy.expect("text").contains("default-src 'none'"));
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    for path in ["/api/status", "/upstreams"] {
        let answer = get(path).await;
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert!(
        get("/nginx_status")
            .await
            .text()
            .await
            .expect("text")
            .contains("Active connections")
    );
    assert_eq!(get("/.hidden").await.status(), 404);
    assert_eq!(get("/../catalogue.json").await.status(), 404);
    // What all have alike may come from the cache.
    get("/page.css").await;
    assert_eq!(get("/page.css").await.headers()["x-cache"], "HIT");
}
