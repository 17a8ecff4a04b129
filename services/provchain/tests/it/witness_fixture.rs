//! A witness as a process, and a ledger in memory that shows it whatever a test wants.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{StatusCode, header};
use provchain::ledger::Digest;
use provchain::ledger::checkpoint::SignedCheckpoint;
use provchain::ledger::merkle::{Leaves, TilePath, prove_consistency, root_of};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cluster::{Answer, PROVCHAIN, answer, until};
use super::ledger_evidence::{checkpoint, leaves};
use super::ledger_fixture::{ORIGIN, trusted};

/// How a ledger behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Honest,
    /// Its checkpoint never ends.
    Endless,
    /// Its checkpoint never comes.
    Silent,
    /// Its checkpoint is these bytes.
    Says(Vec<u8>),
    /// It sends the witness elsewhere.
    Redirects(String),
    /// Its tiles have this many bytes.
    TileBytes(usize),
    /// It has no tiles.
    WithoutTiles,
}

/// What a ledger in memory shows.
#[derive(Clone)]
pub struct Stage {
    pub leaves: Vec<Digest>,
    pub manner: Manner,
    pub note: Option<String>,
    pub keys: Value,
}

/// A ledger in memory, served over loopback. Fewer than 256 leaves: one tile.
#[derive(Clone)]
pub struct MemoryLog {
    pub url: String,
    stage: Arc<Mutex<Stage>>,
}

impl MemoryLog {
    pub async fn serve(size: u64) -> Self {
        let stage = Arc::new(Mutex::new(Stage {
            leaves: leaves(size, u64::MAX),
            manner: Manner::Honest,
            note: None,
            keys: json!({ "keys": [] }),
        }));
        let router = Router::new()
            .route("/checkpoint", get(show_checkpoint))
            .route("/tile/{*path}", get(show_tile))
            .route("/api/v1/keys", get(show_keys))
            .with_state(Arc::clone(&stage));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, stage }
    }

    /// Changes what it shows.
    pub fn change(&self, change: impl FnOnce(&mut Stage)) {
        change(&mut self.stage.lock().unwrap());
    }

    /// Shows the first `size` leaves of the history that goes its own way from `fork` on.
    pub fn show(&self, size: u64, fork: u64) {
        self.change(|stage| stage.leaves = leaves(size, fork));
    }
}

async fn show_checkpoint(State(stage): State<Arc<Mutex<Stage>>>) -> Response {
    let stage = stage.lock().unwrap().clone();
    match stage.manner {
        Manner::Endless => {
            let chunk = || Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[b'x'; 4096]));
            let chunks = futures_util::stream::repeat_with(chunk);
            Body::from_stream(chunks).into_response()
        }
        Manner::Silent => {
            let first = futures_util::stream::once(async {
                Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"ledger"))
            });
            let never = futures_util::stream::pending();
            Body::from_stream(futures_util::StreamExt::chain(first, never)).into_response()
        }
        Manner::Says(bytes) => bytes.into_response(),
        Manner::Redirects(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        _ => stage
            .note
            .unwrap_or_else(|| checkpoint(&stage.leaves).to_string())
            .into_response(),
    }
}

async fn show_tile(
    State(stage): State<Arc<Mutex<Stage>>>,
    UrlPath(path): UrlPath<String>,
) -> Response {
    let stage = stage.lock().unwrap().clone();
    let path = TilePath::parse(&path).unwrap();
    match stage.manner {
        Manner::WithoutTiles => StatusCode::NOT_FOUND.into_response(),
        Manner::TileBytes(bytes) => vec![0; bytes].into_response(),
        _ if path.level == Some(0) && path.width <= stage.leaves.len() => {
            let hashes = stage.leaves[..path.width].iter();
            hashes
                .flat_map(|hash| hash.0)
                .collect::<Vec<u8>>()
                .into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn show_keys(State(stage): State<Arc<Mutex<Stage>>>) -> String {
    stage.lock().unwrap().keys.to_string()
}

/// A witness that runs; it ends with the value.
pub struct Witness {
    folder: TempDir,
    url: String,
    process: Option<Child>,
    client: reqwest::Client,
}

impl Witness {
    /// Starts a witness of the ledger in memory.
    pub async fn of(log: &MemoryLog) -> Self {
        let keys: Vec<String> = trusted().iter().map(ToString::to_string).collect();
        Self::start(ORIGIN, &log.url, &keys).await
    }

    /// Starts a witness of one ledger.
    pub async fn start(origin: &str, url: &str, keys: &[String]) -> Self {
        kit::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        // An address of its own: nobody else takes a port of it.
        let [b, c, d] = rand::random::<[u8; 3]>();
        let host = format!("127.{}.{c}.{}", b.max(1), d.clamp(1, 254));
        let port = {
            let listener = std::net::TcpListener::bind((host.as_str(), 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let data_dir = folder.path().join("data");
        let settings = format!(
            "name = \"witness.example/w1\"\nhost = \"{host}\"\nport = {port}\ndata_dir = {data_dir:?}\n\
             interval_seconds = 1\ntimeout_ms = 1000\n[rate]\nper_second = 1000.0\nburst = 1000\n\
             [[ledgers]]\norigin = \"{origin}\"\nurl = \"{url}\"\nkeys = {keys:?}\n"
        );
        std::fs::write(folder.path().join("witness.toml"), settings).unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30));
        let mut witness = Self {
            folder,
            url: format!("http://{host}:{port}"),
            process: None,
            client: client.build().unwrap(),
        };
        witness.run().await;
        witness
    }

    /// The command line of this witness.
    pub fn command(&self) -> Command {
        let mut command = Command::new(PROVCHAIN);
        command.env_clear().arg("witness").arg("--config");
        command.arg(self.folder.path().join("witness.toml"));
        command
    }

    /// Runs it, with what it has on disk.
    pub async fn run(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let process = self
            .command()
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        until("the witness lives", async || {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "{}", self.told());
            let request = self.client.get(format!("{}/livez", self.url));
            answer(request)
                .await
                .is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// What it wrote.
    pub fn told(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.url));
        answer(request).await.expect("an answer")
    }

    pub async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Sends a body to `/add-checkpoint`.
    pub async fn add(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.post(format!("{}/add-checkpoint", self.url));
        answer(request.body(body)).await.expect("an answer")
    }

    /// Asks it to cosign the first `size` of these leaves, with a proof from `old` on.
    pub async fn ask(&self, old: u64, leaves: &[Digest]) -> Answer {
        self.add(body(old, leaves)).await
    }

    /// The only ledger that it watches, as `/ledgers` shows it.
    pub async fn ledger(&self) -> Value {
        self.json("/ledgers").await["ledgers"][0].clone()
    }

    /// Waits until it has cosigned `size` entries.
    pub async fn cosigned(&self, size: u64) -> SignedCheckpoint {
        until(&format!("{size} entries are cosigned"), async || {
            self.ledger().await["size"] == size
        })
        .await;
        let path = self.ledger().await["checkpoint"]
            .as_str()
            .unwrap()
            .to_owned();
        SignedCheckpoint::parse(&self.get(&path).await.text()).unwrap()
    }

    /// Waits until the health says this of the ledger.
    pub async fn says(&self, origin: &str, part: &str) {
        until(&format!("the health says {part}"), async || {
            let health = self.json("/health").await;
            let detail = health["checks"][origin]["detail"]
                .as_str()
                .unwrap_or_default();
            detail.contains(part)
        })
        .await;
    }

    /// All evidence, once there is some.
    pub async fn evidence(&self) -> Vec<Value> {
        let mut all = Vec::new();
        until("there is evidence", async || {
            let list = self.json("/evidence").await;
            all = list["evidence"].as_array().unwrap().clone();
            !all.is_empty()
        })
        .await;
        all
    }

    /// What `provchain verify` says of a file of evidence with these keys: its exit status and report.
    pub async fn verify(&self, id: &str, keys: &[String]) -> (i32, Value) {
        let file = self.get(&format!("/evidence/{id}")).await;
        assert_eq!(file.status, 200, "{}", file.text());
        let path = self.folder.path().join("evidence.json");
        std::fs::write(&path, file.body).unwrap();
        verify(&path, keys)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// Runs `provchain verify --json` on a file.
pub fn verify(path: &Path, keys: &[String]) -> (i32, Value) {
    let mut command = Command::new(PROVCHAIN);
    command.env_clear().arg("verify").arg(path).arg("--json");
    for key in keys {
        command.arg("--key").arg(key);
    }
    let output = command.output().expect("it runs");
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| String::from_utf8_lossy(&output.stderr).into());
    (output.status.code().unwrap(), report)
}

/// The body that asks to cosign these leaves, with a proof from `old` on.
pub fn body(old: u64, leaves: &[Digest]) -> String {
    let size = leaves.len() as u64;
    let path = match old {
        0 => Vec::new(),
        _ => prove_consistency(&mut Leaves(leaves), old, size).unwrap(),
    };
    let lines: String = path.iter().map(|hash| hash.to_base64() + "\n").collect();
    format!("old {old}\n{lines}\n{}", checkpoint(leaves))
}

/// The root of these leaves, as JSON has it.
pub fn root(leaves: &[Digest]) -> Value {
    root_of(leaves).to_base64().into()
}
