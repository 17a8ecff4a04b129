//! The command line that every service binary has.
//!
//! ```
//! use clap::Parser;
//! use kit::cli::{SettingsArgs, Standard};
//!
//! #[derive(Parser)]
//! struct Cli {
//!     #[command(flatten)]
//!     settings: SettingsArgs,
//!     #[command(subcommand)]
//!     command: Command,
//! }
//!
//! #[derive(clap::Subcommand)]
//! enum Command {
//!     /// Run the service.
//!     Start,
//!     #[command(flatten)]
//!     Standard(Standard),
//! }
//!
//! let cli = Cli::parse_from(["greeter", "--set", "port=8081", "check-config"]);
//! assert!(matches!(cli.command, Command::Standard(Standard::CheckConfig)));
//! ```

mod probe;

pub use probe::{HealthError, HealthReport, probe};

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use crate::settings::{Settings, SettingsError, Sources, effective, example, load};

/// Where settings come from, beside the environment.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// TOML file with settings; `example-config` prints one.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Sets one key, over file and environment; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

impl SettingsArgs {
    /// The sources of this process.
    #[must_use]
    pub fn sources(&self) -> Sources {
        Sources::of_process(self.config.clone(), self.set.clone())
    }

    /// Loads the settings of this process.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load<S: Settings>(&self) -> Result<S, SettingsError> {
        load(&self.sources())
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("expected KEY=VALUE, such as port=8081")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Parses a duration such as `90s`, `15m`, `1h` or `30d`: a `value_parser` for clap.
///
/// # Errors
/// A sentence with an example.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("{text:?} is no duration: write 90s, 15m, 1h or 30d");
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds: u64 = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = count.checked_mul(seconds).filter(|seconds| *seconds > 0);
    seconds
        .map(std::time::Duration::from_secs)
        .ok_or_else(wrong)
}

/// The subcommands that every service binary has.
#[derive(Debug, Clone, Subcommand)]
pub enum Standard {
    /// Checks the settings and prints them as they are in force, secrets redacted.
    CheckConfig,
    /// Prints a settings file with every key, its meaning and its default.
    ExampleConfig,
    /// Asks a running node for its health; exits with 0 when it is healthy.
    Health(HealthArgs),
}

/// Which node to ask.
#[derive(Debug, Clone, Default, Args)]
pub struct HealthArgs {
    /// URL to ask, such as http://127.0.0.1:8080/readyz.
    #[arg(long, conflicts_with = "address")]
    pub url: Option<String>,

    /// Address to ask for /health, such as 127.0.0.1:8080.
    #[arg(long)]
    pub address: Option<String>,

    /// PEM file with the authority of the node's certificate. Without it a certificate is accepted
    /// from this machine only.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Milliseconds to wait for the answer.
    #[arg(long, default_value_t = 3000)]
    pub timeout_ms: u64,
}

impl Standard {
    /// Runs the command and says how the process should end. `health_url` gives the URL of the
    /// node's own health from its settings, such as `http://127.0.0.1:8080/health`, or `https://…`
    /// when its port demands TLS.
    pub async fn run<S: Settings>(
        self,
        args: &SettingsArgs,
        health_url: impl FnOnce(&S) -> String,
    ) -> ExitCode {
        match self {
            Self::CheckConfig => match args.load::<S>() {
                Ok(settings) => succeed(&effective(&settings)),
                Err(error) => fail(&format!("the settings cannot be used:\n{error}")),
            },
            Self::ExampleConfig => succeed(&example::<S>()),
            Self::Health(health) => match health.url(args, health_url) {
                Ok(url) => report(probe(&url, health.ca.as_deref(), health.timeout_ms).await),
                Err(error) => fail(&format!("the settings cannot be used:\n{error}")),
            },
        }
    }
}

impl HealthArgs {
    fn url<S: Settings>(
        &self,
        args: &SettingsArgs,
        of_settings: impl FnOnce(&S) -> String,
    ) -> Result<String, SettingsError> {
        match (&self.url, &self.address) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(address)) => Ok(format!("http://{address}/health")),
            (None, None) => Ok(of_settings(&args.load::<S>()?)),
        }
    }
}

fn report(probed: Result<HealthReport, HealthError>) -> ExitCode {
    match probed {
        Ok(report) if report.healthy => succeed(&report.body),
        Ok(report) => {
            let _ = succeed(&report.body);
            ExitCode::FAILURE
        }
        Err(error) => fail(&error.to_string()),
    }
}

/// Prints what a command was asked for. A reader that has gone, as in `… | head`, is no failure.
fn succeed(text: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    ExitCode::SUCCESS
}

fn fail(text: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
    ExitCode::FAILURE
}
