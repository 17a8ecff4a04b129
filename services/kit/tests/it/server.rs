//! A small real service on port 0.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::ws::{Message, WebSocketUpgrade},
    response::IntoResponse,
    routing::{get, post},
};
use kit::{
    health::{Check, Health},
    metrics::{self, HttpMetricsLayer},
    problem::{Json, Problem, Query},
    serve::{Connection, Limits, ServeError, serve},
    shutdown::Shutdown,
    tls::ServerTls,
};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

pub struct Server {
    pub address: SocketAddr,
    pub shutdown: Shutdown,
    pub health: Health,
    /// Makes the check `pantry` fail.
    pub pantry_is_empty: Arc<AtomicBool>,
    /// Lets `/held` answer.
    pub release: Arc<Notify>,
    /// Told when a request for `/held` has arrived.
    pub arrived: Arc<Notify>,
    pub served: JoinHandle<Result<(), ServeError>>,
}

#[derive(Deserialize)]
struct Order {
    loaves: u32,
}

/// Limits that a test can wait for, except where it asks for others.
pub fn limits() -> Limits {
    Limits {
        header_read_timeout_ms: 300,
        request_timeout_ms: 400,
        idle_timeout_ms: 300,
        write_stall_timeout_ms: 300,
        body_bytes_max: 1000,
        ..Limits::default()
    }
}

pub async fn start() -> Server {
    start_with(limits(), None, Duration::from_secs(20)).await
}

pub async fn start_with(limits: Limits, tls: Option<ServerTls>, grace: Duration) -> Server {
    let exposition = metrics::install();
    let health = Health::new("bakery", "node-1", "0.1.0");
    let pantry_is_empty = Arc::new(AtomicBool::new(false));
    let shutdown = Shutdown::new(grace);
    health.register_shutdown(&shutdown);
    health.register("pantry", {
        let empty = pantry_is_empty.clone();
        move || {
            if empty.load(Ordering::SeqCst) {
                Check::not_ready("no flour")
            } else {
                Check::pass("full")
            }
        }
    });
    let (release, arrived) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let held = {
        let (release, arrived) = (release.clone(), arrived.clone());
        async move || {
            arrived.notify_one();
            release.notified().await;
            "released"
        }
    };
    let limited = Router::new()
        .route(
            "/order",
            post(async |Json(order): Json<Order>| order.loaves.to_string()),
        )
        .route(
            "/plain-order",
            post(async |axum::Json(order): axum::Json<Order>| order.loaves.to_string()),
        )
        .route(
            "/search",
            get(async |Query(order): Query<Order>| order.loaves.to_string()),
        )
        .route("/never", get(std::future::pending::<()>))
        .route(
            "/panic",
            get(async || -> &'static str { panic!("the oven exploded") }),
        )
        .route(
            "/teapot",
            get(async || Problem::new(http::StatusCode::IM_A_TEAPOT)),
        )
        .route(
            "/whoami",
            get(async |connection: Connection| format!("{connection:?}")),
        )
        .route(
            "/peers-only",
            get(async |connection: Connection| connection.peer().map(|peer| peer.names.join(","))),
        )
        .merge(health.router(exposition));
    let router = limits
        .layer(limited)
        .route("/held", get(held.clone()))
        .route(
            "/echo",
            get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo).into_response()),
        )
        .route(
            "/endless",
            get(async || axum::body::Body::from_stream(endless())),
        )
        .layer(HttpMetricsLayer);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let served = tokio::spawn(serve(listener, router, tls, limits, shutdown.clone()));
    Server {
        address,
        shutdown,
        health,
        pantry_is_empty,
        release,
        arrived,
        served,
    }
}

async fn echo(mut socket: axum::extract::ws::WebSocket) {
    while let Some(Ok(message @ Message::Text(_))) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Flour without end.
fn endless() -> impl futures_util::Stream<Item = Result<bytes::Bytes, std::io::Error>> {
    futures_util::stream::repeat_with(|| Ok(bytes::Bytes::from_static(&[b'f'; 64 * 1024])))
}
