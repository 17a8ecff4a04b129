//! The command line.

mod admin;
mod backup;
mod capture;
mod export;
mod folder;
mod hash;
mod rotate_key;
mod token;
mod verify;
mod wal;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use consensus::ClusterCommand;
use kit::cli::{SettingsArgs, Standard};
use kit::shutdown::Shutdown;

use crate::server::{self, Listeners};
use crate::settings::Settings;

/// A verifiable provenance ledger: supply-chain events in, proofs and traces out.
#[derive(Debug, Parser)]
#[command(name = "provchain", version, propagate_version = true)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node
    Serve,
    /// Capture EPCIS documents
    Capture(capture::Arguments),
    /// Write the ledger as EPCIS documents, N-Quads, or the files of its tree
    Export(export::Arguments),
    /// Check a ledger folder or a proof file, offline
    Verify(verify::Arguments),
    /// Print the event hash ids (CBV 2.0) of EPCIS documents, offline
    Hash(hash::Arguments),
    /// Write a realistic supply chain to try the ledger with
    Sample {
        /// How many events
        #[arg(long, default_value_t = 10_000)]
        events: usize,
        /// The same seed gives the same events
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Events in one document
        #[arg(long, default_value_t = 100)]
        batch: usize,
        /// The folder to write to
        #[arg(long, default_value = "sample")]
        out: PathBuf,
    },
    /// Sign a token with `JWT_SECRET`
    Token(token::Arguments),
    /// Make the first administrator
    Admin(admin::Arguments),
    /// Give a node a new key to sign with
    RotateKey(rotate_key::Arguments),
    /// Watch ledgers of other networks, and cosign what they show everybody
    Witness(witness::Arguments),
    /// Make, list, check and restore backups
    Backup(backup::Arguments),
    /// Look at the cluster and change who is in it
    Cluster {
        /// `host:port` of the node to ask; by default the one of the settings
        #[arg(long, global = true)]
        address: Option<String>,
        #[command(subcommand)]
        command: ClusterCommand,
    },
    #[command(flatten)]
    Standard(Standard),
}

/// Runs the command; its exit status says whether all is well.
pub fn run(arguments: Arguments) -> ExitCode {
    kit::tls::install_provider();
    let outcome = match arguments.command {
        Command::Serve => serve(&arguments.settings).map(|()| ExitCode::SUCCESS),
        Command::Sample {
            events,
            seed,
            batch,
            out,
        } => sample(&out, events, seed, batch).map(|()| ExitCode::SUCCESS),
        Command::Token(token) => token.run(&arguments.settings).map(|()| ExitCode::SUCCESS),
        Command::Admin(admin) => {
            block_on(admin.run(&arguments.settings)).map(|()| ExitCode::SUCCESS)
        }
        Command::RotateKey(rotate) => {
            block_on(rotate.run(&arguments.settings)).map(|()| ExitCode::SUCCESS)
        }
        Command::Witness(witness) => witness.run(&arguments.settings),
        Command::Backup(backup) => {
            block_on(backup.run(&arguments.settings)).map(|()| ExitCode::SUCCESS)
        }
        Command::Verify(verify) => verify.run(),
        Command::Hash(hash) => hash.run().map(|()| ExitCode::SUCCESS),
        Command::Export(export) => block_on(export.run()).map(|()| ExitCode::SUCCESS),
        Command::Capture(capture) => block_on(capture.run()).map(|()| ExitCode::SUCCESS),
        Command::Cluster { address, command } => {
            block_on(cluster(&arguments.settings, address, command)).map(|()| ExitCode::SUCCESS)
        }
        Command::Standard(standard) => runtime(1).map(|runtime| {
            runtime.block_on(standard.run(&arguments.settings, Settings::health_url))
        }),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("provchain: {error:#}");
        ExitCode::FAILURE
    })
}

fn runtime(threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime(1)?.block_on(work)
}

fn serve(arguments: &SettingsArgs) -> anyhow::Result<()> {
    let settings: Settings = arguments.load().context("the settings cannot be used")?;
    let runtime = runtime(settings.threads)?;
    let served = runtime.block_on(async {
        let _telemetry =
            kit::telemetry::init(&settings.telemetry, "provchain", &settings.node_name)?;
        let shutdown = Shutdown::on_signals(Duration::from_secs(20))?;
        let listeners = Listeners::bind(&settings).await?;
        server::run(settings, listeners, shutdown).await
    });
    // Work for requests that nobody waits for any more may still block a thread.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

fn sample(out: &std::path::Path, events: usize, seed: u64, batch: usize) -> anyhow::Result<()> {
    let summary = crate::sample::write(out, events, seed, batch.max(1))
        .with_context(|| format!("cannot write to {}", out.display()))?;
    println!(
        "{} events in {} files in {}; the recalled batch reached {} retailers (see truth.json)",
        summary.events,
        summary.files,
        out.display(),
        summary.retailers
    );
    Ok(())
}

async fn cluster(
    arguments: &SettingsArgs,
    address: Option<String>,
    command: ClusterCommand,
) -> anyhow::Result<()> {
    let settings: Settings = arguments.load().context("the settings cannot be used")?;
    let tls = kit::tls::Tls::load(&settings.tls)?;
    let config = settings.node_config(tls.as_ref().and_then(kit::tls::Tls::client));
    let address = address.unwrap_or_else(|| config.address.clone());
    consensus::run_command(&config, "provchain", &address, command)
        .await
        .map_err(anyhow::Error::msg)
}
