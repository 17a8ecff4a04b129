//! `devcluster`: the systems of this repository, running on this machine.

mod clean;
mod down;
mod logs;
mod progress;
mod session;
mod status;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs the systems of this repository as real processes on this machine.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build and start systems, wait until they are ready, and load their sample data.
    Up(up::Args),
    /// Show what runs.
    Status(status::Args),
    /// Show what the nodes write.
    Logs(logs::Args),
    /// Stop what runs, in good order; the data stays.
    Down(down::Args),
    /// Stop what runs and remove all its data.
    Clean,
    /// Print the JSON Schema of infra/catalogue.json.
    Schema,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Never with a backtrace: this is for people who type `make up`.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => up::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Logs(args) => logs::run(args).await,
        Command::Down(args) => down::run(args).await,
        Command::Clean => clean::run().await,
        Command::Schema => {
            println!("{:#}", devcluster::Catalogue::schema());
            Ok(())
        }
    }
}
