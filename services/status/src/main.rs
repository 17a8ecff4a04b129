//! The `status` binary.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    status::cli::run(status::cli::Arguments::parse())
}
