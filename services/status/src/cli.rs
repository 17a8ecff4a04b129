//! The command line.

mod incident;
mod targets;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use kit::cli::{SettingsArgs, Standard};
use kit::shutdown::Shutdown;
use tokio::net::TcpListener;

use crate::server;
use crate::settings::Settings;

/// Watches every cluster, and answers for the front door: health now, uptime and incidents.
#[derive(Debug, Parser)]
#[command(name = "status", version, propagate_version = true)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve,
    /// List what is to be watched, out of a catalogue
    Targets(targets::Arguments),
    /// Look at incidents and write notes about them
    Incident {
        #[command(subcommand)]
        command: incident::Command,
    },
    #[command(flatten)]
    Standard(Standard),
}

/// Runs the command; its exit status says whether all is well.
pub fn run(arguments: Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("status: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match arguments.command {
            Command::Serve => serve(&arguments.settings).await.map(|()| ExitCode::SUCCESS),
            Command::Targets(targets) => targets.run().map(|()| ExitCode::SUCCESS),
            Command::Incident { command } => command
                .run(&arguments.settings)
                .await
                .map(|()| ExitCode::SUCCESS),
            Command::Standard(standard) => Ok(standard
                .run(&arguments.settings, Settings::health_url)
                .await),
        }
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("status: {error:#}");
        ExitCode::FAILURE
    })
}

async fn serve(arguments: &SettingsArgs) -> anyhow::Result<()> {
    let settings: Settings = arguments.load().context("the settings cannot be used")?;
    let _telemetry = kit::telemetry::init(&settings.telemetry, "status", &settings.node_name)?;
    let shutdown = Shutdown::on_signals(Duration::from_secs(10))?;
    let listener = TcpListener::bind(&settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    server::run(settings, listener, shutdown).await
}
