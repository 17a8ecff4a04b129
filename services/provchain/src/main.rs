//! The `provchain` binary.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    provchain::cli::run(provchain::cli::Arguments::parse())
}
