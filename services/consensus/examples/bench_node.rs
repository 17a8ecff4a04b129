//! A key-value store on this core, as a process: what `make bench` puts beside etcd.
//!
//! It serves puts and linearizable gets of single keys in etcd's own interface
//! (`etcd_kv.proto`), so that one driver sends both stores the same bytes.
//!
//! ```text
//! bench_node --name n1 --listen 127.0.0.1:7001 --data n1-data --peers ""
//! bench_node --name n2 --listen 127.0.0.1:7002 --data n2-data --peers 127.0.0.1:7001
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use consensus::{
    ApplyError, Cluster, Consistency, EntryInfo, Machine, NodeConfig, ProposeError, ReadError,
    Settings,
};
use kit::health::Health;
use kit::settings::Secret;
use kit::shutdown::Shutdown;
use kit::telemetry::{LogFormat, TelemetrySettings};
use rusqlite::{OptionalExtension as _, Transaction, params};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use etcdserverpb::kv_server::{Kv, KvServer};
use etcdserverpb::maintenance_server::{Maintenance, MaintenanceServer};
use etcdserverpb::{
    KeyValue, PutRequest, PutResponse, RangeRequest, RangeResponse, ResponseHeader, StatusRequest,
    StatusResponse,
};

#[allow(
    missing_docs,
    reason = "generated; the interface is described in etcd_kv.proto"
)]
mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// One node of the store.
#[derive(Parser)]
struct Arguments {
    /// The node's name
    #[arg(long)]
    name: String,
    /// Where clients and peers reach it
    #[arg(long)]
    listen: SocketAddr,
    /// The folder of its data
    #[arg(long)]
    data: PathBuf,
    /// `host:port` of nodes to join through, separated by commas; empty forms the cluster
    #[arg(long)]
    peers: String,
    /// Threads that serve
    #[arg(long, env = "BENCH_THREADS", default_value_t = 1)]
    threads: usize,
    /// Settings of the core that are not the default, as JSON
    #[arg(long, env = "BENCH_SETTINGS", default_value = "{}", value_parser = settings)]
    settings: Settings,
}

fn settings(json: &str) -> Result<Settings, serde_json::Error> {
    serde_json::from_str(json)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    kit::tls::install_provider();
    let mut builder = if arguments.threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if arguments.threads > 1 {
        builder.worker_threads(arguments.threads);
    }
    builder.enable_all().build()?.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let telemetry = TelemetrySettings {
        log_format: LogFormat::Pretty,
        log_level: "warn".into(),
        ..TelemetrySettings::default()
    };
    let _telemetry = kit::telemetry::init(&telemetry, Store::SYSTEM, &arguments.name)?;
    let shutdown = Shutdown::on_signals(Duration::from_secs(5))?;
    let exposition = kit::metrics::install();
    let listener = TcpListener::bind(arguments.listen).await?;
    let peers = arguments.peers.split(',').filter(|peer| !peer.is_empty());
    let config = NodeConfig {
        name: arguments.name.clone(),
        address: arguments.listen.to_string(),
        peers: Some(peers.map(str::to_owned).collect()),
        data_dir: arguments.data,
        network: "bench".into(),
        // Peers authenticate each other as they always do; the store is reached on loopback only.
        secret: Secret::new("the benchmark's nodes know each other by this"),
        tls: None,
        settings: arguments.settings,
    };
    let (cluster, peer_routes) = Cluster::start(config, Store).await?;
    let health = Health::new(Store::SYSTEM, &arguments.name, env!("CARGO_PKG_VERSION"));
    cluster.register_health(&health);
    let node = Node(cluster.clone());
    let clients = Routes::new(KvServer::new(node.clone()))
        .add_service(MaintenanceServer::new(node))
        .prepare()
        .into_axum_router();
    let router = peer_routes.merge(clients).merge(health.router(exposition));
    let limits = kit::serve::Limits::default();
    let serving = kit::serve::serve(listener, router, None, limits, shutdown.clone());
    // Peers are still served while leadership moves.
    let leaving = async {
        shutdown.requested().await;
        cluster.shutdown().await;
    };
    tokio::join!(serving, leaving).0?;
    Ok(())
}

/// Keys and values.
struct Store;

/// Sets a key.
#[derive(Clone, PartialEq, prost::Message)]
struct Put {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// A put always succeeds.
#[derive(Clone, PartialEq, prost::Message)]
struct Done {}

impl Machine for Store {
    type Command = Put;
    type Reply = Done;

    const SYSTEM: &'static str = "bench";
    const MIGRATIONS: &'static [&'static str] =
        &["CREATE TABLE store (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID"];

    fn apply(
        &mut self,
        state: &Transaction<'_>,
        _entry: EntryInfo,
        put: Put,
    ) -> Result<Done, ApplyError> {
        state
            .prepare_cached("INSERT OR REPLACE INTO store (key, value) VALUES (?1, ?2)")?
            .execute(params![&put.key[..], &put.value[..]])?;
        Ok(Done {})
    }
}

/// The interface over the machine.
#[derive(Clone)]
struct Node(Cluster<Store>);

#[tonic::async_trait]
impl Kv for Node {
    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let PutRequest { key, value } = request.into_inner();
        let proposed = self
            .0
            .propose(&Put { key, value })
            .await
            .map_err(not_proposed)?;
        Ok(Response::new(PutResponse {
            header: Some(revision(proposed.index)),
        }))
    }

    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        let key = request.into_inner().key;
        let wanted = key.clone();
        let read = self.0.read(Consistency::Linearizable, move |state| {
            state
                .prepare_cached("SELECT value FROM store WHERE key = ?1")?
                .query_row([&wanted[..]], |row| row.get::<_, Vec<u8>>(0))
                .optional()
        });
        let read = read.await.map_err(not_read)?;
        let found = read.value.map(|value| KeyValue {
            key,
            value: value.into(),
        });
        Ok(Response::new(RangeResponse {
            header: Some(revision(read.index)),
            count: i64::from(found.is_some()),
            kvs: found.into_iter().collect(),
        }))
    }
}

#[tonic::async_trait]
impl Maintenance for Node {
    /// Knows of itself only whether it leads, which is all that the driver asks every node for.
    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let status = self.0.status();
        let me = u64::from_str_radix(&status.id, 16)
            .map_err(|error| Status::internal(error.to_string()))?;
        let leads = self.0.leads() && self.0.unready().is_none();
        Ok(Response::new(StatusResponse {
            header: Some(ResponseHeader {
                member_id: me,
                raft_term: status.term,
                ..revision(status.applied_index)
            }),
            version: env!("CARGO_PKG_VERSION").into(),
            leader: if leads { me } else { 0 },
        }))
    }
}

#[expect(clippy::cast_possible_wrap, reason = "an index stays far below 2^63")]
fn revision(index: u64) -> ResponseHeader {
    ResponseHeader {
        revision: index as i64,
        ..ResponseHeader::default()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn not_proposed(error: ProposeError) -> Status {
    Status::unavailable(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn not_read(error: ReadError) -> Status {
    Status::unavailable(error.to_string())
}
