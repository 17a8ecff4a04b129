//! Named registers on this core, as a process: what the histories of `tests/it/histories.rs` are
//! recorded on.
//!
//! It is configured by the variables of `tests/register.json`, as every system is by those of its
//! catalogue entry, and can be told to do wrong: what must be caught is tried out with the same
//! binary.

use std::env;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get as answer, post};
use axum::{Json, Router};
use consensus::testing::{FaultyLog, LogIo, Power};
use consensus::{
    ApplyError, Cluster, Consistency, EntryInfo, Machine, NodeConfig, ProposeError, ReadError,
    RequestId, Session, Settings, Status,
};
use kit::health::Health;
use kit::settings::Secret;
use kit::shutdown::Shutdown;
use kit::telemetry::{LogFormat, TelemetrySettings};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    kit::tls::install_provider();
    let name = setting("REGISTER_NAME")?;
    let telemetry = TelemetrySettings {
        log_format: LogFormat::Pretty,
        log_level: setting("REGISTER_LOG_LEVEL").unwrap_or_else(|_| "warn".into()),
        ..TelemetrySettings::default()
    };
    let _telemetry = kit::telemetry::init(&telemetry, Registers::SYSTEM, &name)?;
    let shutdown = Shutdown::on_signals(Duration::from_secs(5))?;
    let host: IpAddr = setting("REGISTER_HOST")?.parse()?;
    let listener = listen(host, "REGISTER_PORT").await?;
    let metrics = listen(host, "REGISTER_METRICS_PORT").await?;
    let peers = setting("REGISTER_PEERS")?;
    let config = NodeConfig {
        name: name.clone(),
        address: setting("REGISTER_ADVERTISE")?,
        peers: Some(
            peers
                .split(',')
                .filter(|peer| !peer.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        data_dir: setting("REGISTER_DATA_DIR")?.into(),
        network: "histories".into(),
        secret: Secret::new(setting("REGISTER_SECRET")?),
        tls: None,
        settings: Settings {
            source_address: setting("REGISTER_SOURCE")
                .ok()
                .map(|address| address.parse())
                .transpose()?,
            ..serde_json::from_str(&setting("REGISTER_SETTINGS")?)?
        },
    };
    let data_dir = config.data_dir.clone();
    let power = Power::on();
    let (switch, valve) = (power.clone(), power.clone());
    let disk = |log: Box<dyn LogIo>| -> Box<dyn LogIo> { Box::new(FaultyLog::new(log, power)) };
    let (cluster, peer_routes) = Cluster::start_with_log(config, Registers, disk).await?;
    let health = Health::new(Registers::SYSTEM, &name, env!("CARGO_PKG_VERSION"));
    cluster.register_health(&health);
    let health = health.router(kit::metrics::install());
    let clients = Router::new()
        .route("/session", post(session))
        .route("/operation", post(operation))
        .route("/status", answer(status))
        .route("/clock", post(clock))
        .route(
            "/disk",
            post(async move |bytes| disk_room(&data_dir, bytes)),
        )
        .route("/lie", post(async move || switch.lie()))
        .route(
            "/stall",
            post(async move |Json(stalls): Json<bool>| valve.stall(stalls)),
        )
        .with_state(cluster.clone());
    let router = peer_routes.merge(clients).merge(health.clone());
    let limits = kit::serve::Limits::default();
    tokio::spawn(kit::serve::serve(
        metrics,
        health,
        None,
        limits,
        shutdown.clone(),
    ));
    let serving = kit::serve::serve(listener, router, None, limits, shutdown.clone());
    // Peers are still served while leadership moves.
    let leaving = async {
        shutdown.requested().await;
        cluster.shutdown().await;
    };
    tokio::join!(serving, leaving).0?;
    Ok(())
}

fn setting(name: &str) -> Result<String, String> {
    env::var_os(name)
        .and_then(|value| value.into_string().ok())
        .ok_or_else(|| format!("{name} is not set"))
}

async fn listen(host: IpAddr, port: &str) -> Result<TcpListener, Box<dyn Error>> {
    let address = SocketAddr::new(host, setting(port)?.parse()?);
    Ok(TcpListener::bind(address).await?)
}

/// Registers that are set, added to, and compared and set.
struct Registers;

#[derive(Clone, PartialEq, prost::Message)]
struct Command {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    value: i64,
    #[prost(bool, tag = "3")]
    add: bool,
    /// What the register must hold to be set.
    #[prost(int64, optional, tag = "4")]
    expected: Option<i64>,
    /// Makes the command bigger.
    #[prost(bytes = "vec", tag = "5")]
    ballast: Vec<u8>,
}

/// What the register holds now, and whether that is by this command.
#[derive(Clone, PartialEq, prost::Message)]
struct Reply {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(bool, tag = "2")]
    done: bool,
}

impl Machine for Registers {
    type Command = Command;
    type Reply = Reply;

    const SYSTEM: &'static str = "register";
    const MIGRATIONS: &'static [&'static str] =
        &["CREATE TABLE register (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT"];

    fn apply(
        &mut self,
        state: &Transaction<'_>,
        _entry: EntryInfo,
        command: Command,
    ) -> Result<Reply, ApplyError> {
        let before = held(state, &command.name)?;
        if command.expected.is_some() && command.expected != before {
            return Ok(Reply {
                value: before,
                done: false,
            });
        }
        let base = if command.add { before.unwrap_or(0) } else { 0 };
        let value = base.wrapping_add(command.value);
        state
            .prepare_cached("INSERT OR REPLACE INTO register (name, value) VALUES (?1, ?2)")?
            .execute(params![command.name, value])?;
        Ok(Reply {
            value: Some(value),
            done: true,
        })
    }
}

fn held(state: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    state
        .prepare_cached("SELECT value FROM register WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// What a client asks for.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
struct Asked {
    name: String,
    action: Action,
    /// A session and a number in it, so that a retry has one effect.
    request: Option<(u64, u64)>,
    /// By how many bytes a command is to be bigger than it has to be.
    #[serde(default)]
    ballast: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Get,
    /// Without asking anybody: what no client should do that wants the newest.
    GetUnchecked,
    Set(i64),
    Add(i64),
    CompareAndSet(i64, i64),
}

#[derive(Serialize)]
struct Answer {
    value: Option<i64>,
    done: bool,
    /// The entry of a command, and what a read has seen at least.
    index: u64,
}

/// 503 says that nothing happened, 504 that it is not known, 410 that the session is gone.
type Refused = (StatusCode, String);

async fn operation(
    State(cluster): State<Cluster<Registers>>,
    Json(asked): Json<Asked>,
) -> Result<Json<Answer>, Refused> {
    let Asked {
        name,
        action,
        request,
        ballast,
    } = asked;
    let (value, add, expected) = match action {
        Action::Get => return get(&cluster, Consistency::Linearizable, name).await,
        Action::GetUnchecked => {
            return get(&cluster, Consistency::Local { age_max: None }, name).await;
        }
        Action::Set(value) => (value, false, None),
        Action::Add(value) => (value, true, None),
        Action::CompareAndSet(expected, value) => (value, false, Some(expected)),
    };
    let command = Command {
        name,
        value,
        add,
        expected,
        ballast: vec![7; ballast],
    };
    let proposed = match request {
        Some((session, number)) => {
            let request = RequestId {
                session: Session(session),
                number,
                // A client has one request at a time.
                settled_below: number,
            };
            cluster.propose_once(request, &command).await
        }
        None => cluster.propose(&command).await,
    };
    let proposed = proposed.map_err(not_proposed)?;
    let (index, Reply { value, done }) = (proposed.index, proposed.reply);
    Ok(Json(Answer { value, done, index }))
}

async fn get(
    cluster: &Cluster<Registers>,
    consistency: Consistency,
    name: String,
) -> Result<Json<Answer>, Refused> {
    let read = cluster.read(consistency, move |state| held(state, &name));
    let read = read
        .await
        .map_err(|error: ReadError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(Json(Answer {
        value: read.value,
        done: true,
        index: read.index,
    }))
}

async fn status(State(cluster): State<Cluster<Registers>>) -> Json<Status> {
    Json(cluster.status())
}

async fn session(State(cluster): State<Cluster<Registers>>) -> Result<Json<Value>, Refused> {
    let session = cluster.open_session().await.map_err(not_proposed)?;
    Ok(Json(json!(session.0)))
}

/// Lets the disk seem to have so many bytes free; null ends it.
fn disk_room(data_dir: &Path, Json(bytes): Json<Option<u64>>) -> StatusCode {
    consensus::testing::pretend_free(data_dir, bytes);
    StatusCode::NO_CONTENT
}

/// Moves this process's wall clock by so many milliseconds.
async fn clock(Json(ms): Json<i64>) -> StatusCode {
    kit::testing::jump_clock(ms);
    StatusCode::NO_CONTENT
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn not_proposed(error: ProposeError) -> Refused {
    let status = match &error {
        ProposeError::Unknown(_) | ProposeError::Malformed(_) => StatusCode::GATEWAY_TIMEOUT,
        ProposeError::Expired => StatusCode::GONE,
        ProposeError::NoRoom(_) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string())
}
