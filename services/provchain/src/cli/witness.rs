//! `provchain witness`: a service of its own, beside no node.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kit::cli::{SettingsArgs, Standard};
use kit::shutdown::Shutdown;
use tokio::net::TcpListener;

use crate::server::witness;
use crate::settings::WitnessSettings;

/// What to do; without a word the witness runs.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the witness
    Run,
    /// Print the verifier key of the witness; the key is made if there is none
    Key,
    #[command(flatten)]
    Standard(Standard),
}

impl Arguments {
    pub(super) fn run(self, arguments: &SettingsArgs) -> anyhow::Result<ExitCode> {
        if let Some(Command::Standard(standard)) = self.command {
            let asked = standard.run(arguments, WitnessSettings::health_url);
            return Ok(super::runtime(1)?.block_on(asked));
        }
        let settings: WitnessSettings = arguments.load().context("the settings cannot be used")?;
        if let Some(Command::Key) = self.command {
            let key = witness::load_or_create_key(&settings.data_dir, &settings.name)?;
            println!("{}", key.verifier());
            return Ok(ExitCode::SUCCESS);
        }
        let runtime = super::runtime(0)?;
        runtime.block_on(async {
            let telemetry = &settings.telemetry;
            let _telemetry = kit::telemetry::init(telemetry, "provchain-witness", &settings.name)?;
            let shutdown = Shutdown::on_signals(Duration::from_secs(20))?;
            let address = SocketAddr::new(settings.host, settings.port);
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}"))?;
            witness::run(settings, listener, shutdown).await
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
