//! Checks the rules of the house, and redraws what is drawn from the sources.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tests::house::{House, diagram};

/// The rules of the house.
#[derive(Parser)]
struct Cli {
    /// The repository; this one when left out.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."), hide_default_value = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print every broken rule; fail when there is one.
    Check,
    /// Print the crate diagram.
    Diagram {
        /// Write it into ARCHITECTURE.md instead.
        #[arg(long)]
        write: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let Cli { root, command } = Cli::parse();
    let root = root
        .canonicalize()
        .with_context(|| format!("no folder at {}", root.display()))?;
    let house = House::read(&root)?;
    match command {
        Command::Check => Ok(check(&house)),
        Command::Diagram { write: true } => redraw(&root, &house).map(|()| ExitCode::SUCCESS),
        Command::Diagram { write: false } => {
            print!("{}", diagram::mermaid(&house.crates));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(house: &House) -> ExitCode {
    let violations = house.violations();
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => ExitCode::SUCCESS,
        count => {
            eprintln!("{count} broken rules of the house");
            ExitCode::FAILURE
        }
    }
}

fn redraw(root: &Path, house: &House) -> anyhow::Result<()> {
    let document = house.tree.text(diagram::DOCUMENT).unwrap_or_default();
    let redrawn = diagram::redrawn(document, &house.crates)
        .with_context(|| format!("{} has no markers for the diagram", diagram::DOCUMENT))?;
    if redrawn != document {
        std::fs::write(root.join(diagram::DOCUMENT), redrawn)
            .with_context(|| format!("writing {}", diagram::DOCUMENT))?;
    }
    Ok(())
}
