//! A service built with the kit, as small as it gets with everything switched on: settings,
//! telemetry, TLS, health, HTTP and gRPC on one port, systemd. The kit's tests run it as a process.
//!
//! `cargo run -p kit --example greeter -- --set listen=127.0.0.1:8080 start`

use std::{process::ExitCode, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use clap::{Parser, Subcommand};
use http::uri::PathAndQuery;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use kit::{
    cli::{SettingsArgs, Standard},
    health::Health,
    metrics::{self, HttpMetricsLayer},
    problem::Problem,
    serve::{Limits, serve},
    settings::{Invalid, Names, Settings},
    shutdown::Shutdown,
    systemd,
    telemetry::{self, PropagateLayer, TelemetrySettings, TraceLayer},
    tls::{self, Tls, TlsSettings},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;
use tower::{Layer, ServiceExt, service_fn};

const SAY: &str = "/example.Greeter/Say";

/// A service that greets, and that has a neighbour.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Greeter {
    /// Address to listen on.
    listen: String,
    /// Name of this node.
    node: String,
    /// Milliseconds that requests under way have at shutdown.
    shutdown_grace_ms: u64,
    /// What a client may take from the listener.
    limits: Limits,
    /// Certificates.
    tls: TlsSettings,
    /// Logs and traces.
    telemetry: TelemetrySettings,
}

impl Default for Greeter {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            node: "node-1".to_owned(),
            shutdown_grace_ms: 10_000,
            limits: Limits::default(),
            tls: TlsSettings::default(),
            telemetry: TelemetrySettings::default(),
        }
    }
}

impl Settings for Greeter {
    const SERVICE: &'static str = "greeter";
    const ENV: &'static [Names] = &[kit::telemetry::ENV];

    fn validate(&self) -> Result<(), Vec<Invalid>> {
        let problems = [
            self.tls.problems("tls"),
            self.telemetry.problems("telemetry"),
        ]
        .concat();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service.
    Start,
    #[command(flatten)]
    Standard(Standard),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Standard(command) = cli.command {
        let url = |settings: &Greeter| format!("http://{}/health", settings.listen);
        return command.run(&cli.settings, url).await;
    }
    match start(&cli.settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: &SettingsArgs) -> Result<(), Box<dyn std::error::Error>> {
    let settings: Greeter = arguments.load()?;
    let _telemetry = telemetry::init(&settings.telemetry, Greeter::SERVICE, &settings.node)?;
    let shutdown = Shutdown::on_signals(Duration::from_millis(settings.shutdown_grace_ms))?;
    let listener = TcpListener::bind(&settings.listen).await?;
    run(settings, listener, shutdown).await
}

async fn run(
    settings: Greeter,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), Box<dyn std::error::Error>> {
    let tls = Tls::load(&settings.tls)?;
    let health = Health::new(Greeter::SERVICE, &settings.node, env!("CARGO_PKG_VERSION"));
    health.register_shutdown(&shutdown);
    if let Some(tls) = &tls {
        tls.watch(tls::POLL_INTERVAL, shutdown.clone());
    }
    let routes = Router::new()
        .route("/", get(async || "hello"))
        .route(
            "/slow",
            get(async || tokio::time::sleep(Duration::from_secs(600)).await),
        )
        .route("/there-and-back/{neighbour}/{own}", get(there))
        .route("/back/{own}", get(back))
        .merge(health.router(metrics::install()));
    let router = settings
        .limits
        .layer(routes)
        .route(SAY, post(say))
        .layer(HttpMetricsLayer)
        .layer(TraceLayer);
    systemd::ready(&format!("serving on {}", listener.local_addr()?));
    systemd::watch(shutdown.clone(), || true);
    Ok(serve(
        listener,
        router,
        tls.map(|tls| tls.server()),
        settings.limits,
        shutdown,
    )
    .await?)
}

/// Asks the neighbour over HTTP, which asks back.
async fn there(
    axum::extract::Path((neighbour, own)): axum::extract::Path<(String, String)>,
) -> Result<Response, Problem> {
    tracing::info!("asking the neighbour");
    let client = PropagateLayer.layer(Client::builder(TokioExecutor::new()).build_http());
    let request = Request::get(format!("http://{neighbour}/back/{own}")).body(Body::empty());
    let response = client.oneshot(request.map_err(Problem::internal)?).await;
    Ok(response.map_err(Problem::internal)?.map(Body::new))
}

/// Asks back over gRPC.
async fn back(axum::extract::Path(own): axum::extract::Path<String>) -> Result<String, Problem> {
    let channel = Endpoint::try_from(format!("http://{own}"))
        .map_err(Problem::internal)?
        .connect_lazy();
    let mut client = tonic::client::Grpc::new(PropagateLayer.layer(channel));
    client.ready().await.map_err(Problem::internal)?;
    let codec = ProstCodec::<String, String>::default();
    let path = PathAndQuery::from_static(SAY);
    let said = client
        .unary(tonic::Request::new("again".to_owned()), path, codec)
        .await
        .map_err(Problem::from)?;
    Ok(said.into_inner())
}

/// The gRPC method, on the same port.
async fn say(State(()): State<()>, request: Request) -> Response {
    let greet = service_fn(async |request: tonic::Request<String>| {
        Ok::<_, tonic::Status>(tonic::Response::new(format!(
            "hello {}",
            request.into_inner()
        )))
    });
    let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
    grpc.unary(greet, request).await.map(Body::new)
}
