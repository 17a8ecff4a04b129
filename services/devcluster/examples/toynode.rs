//! The smallest system that devcluster can run: what its own tests start.
//!
//! It keeps one file, follows the node that was told of nobody, and calls others when asked to. It
//! is configured as every system is, by the variables of its catalogue entry.

use std::collections::HashMap;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long a health answer waits for another node.
const PEER_TIMEOUT: Duration = Duration::from_millis(500);

struct Toy {
    name: String,
    peers: Vec<String>,
    starts: usize,
    secret_length: usize,
    ready: bool,
    client: reqwest::Client,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    kit::tls::install_provider();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("toynode: {problem}");
            ExitCode::from(3)
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let name = setting("TOY_NAME")?;
    println!("{name} starts");
    if let Ok(problem) = setting("TOY_FAIL") {
        return Err(problem.into());
    }
    if let Ok(milliseconds) = setting("TOY_SLOW_MS") {
        tokio::time::sleep(Duration::from_millis(milliseconds.parse()?)).await;
    }
    let source: Option<IpAddr> = setting("TOY_SOURCE")
        .ok()
        .map(|ip| ip.parse())
        .transpose()?;
    let toy = Toy {
        peers: setting("TOY_PEERS")?
            .split(',')
            .filter(|peer| !peer.is_empty())
            .map(str::to_owned)
            .collect(),
        starts: count_start(&PathBuf::from(setting("TOY_DATA_DIR")?).join("starts"))?,
        secret_length: setting("TOY_SECRET")?.len(),
        ready: setting("TOY_UNREADY").is_err(),
        client: reqwest::Client::builder()
            .no_proxy()
            .local_address(source)
            .pool_max_idle_per_host(0)
            .build()?,
        name,
    };
    let host: IpAddr = setting("TOY_HOST")?.parse()?;
    let metrics = listen(host, &setting("TOY_METRICS_PORT")?).await?;
    let api = listen(host, &setting("TOY_PORT")?).await?;
    tokio::spawn(
        axum::serve(
            metrics,
            Router::new().route("/metrics", get(|| async { "toy 1\n" })),
        )
        .into_future(),
    );
    let app = Router::new()
        .route("/health", get(health))
        .route("/readyz", get(readyz))
        .route("/whoami", get(whoami))
        .route("/call", get(call))
        .with_state(Arc::new(toy))
        .into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(api, app)
        .with_graceful_shutdown(asked_to_stop())
        .await?;
    println!("stopped in good order");
    Ok(())
}

fn setting(name: &str) -> Result<String, String> {
    env::var_os(name)
        .and_then(|value| value.into_string().ok())
        .ok_or_else(|| format!("{name} is not set"))
}

async fn listen(host: IpAddr, port: &str) -> Result<TcpListener, Box<dyn std::error::Error>> {
    Ok(TcpListener::bind((host, port.parse()?)).await?)
}

/// Appends a line to a file and says how many there are.
fn count_start(file: &PathBuf) -> std::io::Result<usize> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?
        .write_all(b"started\n")?;
    Ok(fs::read_to_string(file)?.lines().count())
}

async fn asked_to_stop() {
    let mut terminations = signal(SignalKind::terminate()).expect("signals can be handled");
    while terminations.recv().await.is_some() {
        if setting("TOY_STUBBORN").is_err() {
            return;
        }
        println!("does not want to stop");
    }
}

async fn health(State(toy): State<Arc<Toy>>) -> Json<Value> {
    let leads = toy.peers.is_empty();
    let leader = match toy.peers.first() {
        None => Some(toy.name.clone()),
        Some(first) => toy
            .ask(first, "health", Some(PEER_TIMEOUT))
            .await
            .ok()
            .and_then(|health| health["leader"].as_str().map(str::to_owned)),
    };
    Json(json!({
        "status": "pass", "service": "toy", "node": toy.name, "version": "1.0.0", "uptime_seconds": 1.5,
        "role": if leads { "leader" } else { "follower" }, "leader": leader,
        "checks": {"starts": toy.starts, "peers": toy.peers, "secret_length": toy.secret_length},
    }))
}

async fn readyz(State(toy): State<Arc<Toy>>) -> StatusCode {
    if toy.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// Says who answers, and from where it was called.
async fn whoami(
    State(toy): State<Arc<Toy>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
) -> Json<Value> {
    Json(json!({"node": toy.name, "caller": caller.ip()}))
}

/// Calls another node and hands on its answer; waits for it as long as it takes.
async fn call(
    State(toy): State<Arc<Toy>>,
    Query(query): Query<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    match toy.ask(&query["to"], "whoami", None).await {
        Ok(answer) => (StatusCode::OK, Json(answer)),
        Err(error) => (
            StatusCode::BAD_GATEWAY,
            Json(json!({"error": format!("{error:?}")})),
        ),
    }
}

impl Toy {
    async fn ask(
        &self,
        address: &str,
        path: &str,
        timeout: Option<Duration>,
    ) -> reqwest::Result<Value> {
        let mut request = self.client.get(format!("http://{address}/{path}"));
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        request.send().await?.json().await
    }
}
