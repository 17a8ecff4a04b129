//! `make bench`: the consensus core beside etcd and as it grows, and provchain.
//! `docs/benchmarks.md` says how.
//!
//! Prints progress and tables, writes `<out>/PART.json` for each part, and in a release build puts
//! the tables into the document. Asserts no time.

mod consensus;
mod failover;
mod growth;
mod load;
mod machine;
mod provchain;
mod store;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use devcluster::Workspace;
use serde::Serialize;
use tests::bench::document::{self, DOCUMENT};

use machine::Machine;

/// Measures the consensus core beside etcd and as it grows, and provchain.
#[derive(Clone, Debug, Parser, Serialize)]
struct Arguments {
    /// What to measure; everything when left out
    #[arg(long, env = "BENCH_ONLY")]
    only: Option<Part>,
    /// Seconds of each measurement of the consensus core, after a fourth of that to warm up
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 4.0)]
    seconds: f64,
    /// Rounds over all measurements of the consensus core
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 5)]
    rounds: usize,
    /// Leaders killed of each store
    #[arg(long, env = "BENCH_KILLS", default_value_t = 20)]
    kills: usize,
    /// Keys that are written and read
    #[arg(long, env = "BENCH_KEYS", default_value_t = 100_000)]
    keys: u32,
    /// Threads of each node of our store; one by default, because the three share one machine
    #[arg(long, env = "BENCH_THREADS", default_value_t = 1)]
    threads: usize,
    /// How large the database gets when growth is measured, in MiB of values
    #[arg(long, env = "BENCH_DATABASE_MIB", default_value_t = 5120)]
    database_mib: u64,
    /// Events captured by provchain
    #[arg(long, env = "BENCH_EVENTS", default_value_t = 200_000)]
    events: usize,
    /// The executable of the example bench_node
    #[arg(long)]
    #[serde(skip)]
    node: PathBuf,
    /// The executable of etcd
    #[arg(long)]
    #[serde(skip)]
    etcd: PathBuf,
    /// The executable of provchain
    #[arg(long)]
    #[serde(skip)]
    provchain: PathBuf,
    /// The folder for results; data lies there while the benchmark runs
    #[arg(long)]
    #[serde(skip)]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Part {
    Consensus,
    Growth,
    Provchain,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Growth => "growth",
            Self::Provchain => "provchain",
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // The kit's features give reqwest a TLS that has to be told what to compute with.
    kit::tls::install_provider();
    let workspace = Workspace::find(env!("CARGO_MANIFEST_DIR"))?;
    for part in [Part::Consensus, Part::Growth, Part::Provchain] {
        if arguments.only.is_none_or(|only| only == part) {
            measure(part, &arguments, &workspace)
                .await
                .with_context(|| format!("measuring {}", part.name()))?;
        }
    }
    Ok(())
}

async fn measure(part: Part, arguments: &Arguments, workspace: &Workspace) -> anyhow::Result<()> {
    let data = arguments.out.join("data");
    remove(&data)?;
    std::fs::create_dir_all(&data).with_context(|| format!("making {}", data.display()))?;
    let machine = Machine::describe(workspace.root(), &data).await?;
    let (tables, results) = match part {
        Part::Consensus => {
            let measured = Box::pin(consensus::measure(arguments, &data)).await?;
            (measured.tables(), serde_json::to_value(&measured)?)
        }
        Part::Growth => {
            let measured = Box::pin(growth::measure(arguments, &data)).await?;
            (measured.tables(), serde_json::to_value(&measured)?)
        }
        Part::Provchain => {
            let measured = Box::pin(provchain::measure(arguments, workspace, &data)).await?;
            (measured.tables(), serde_json::to_value(&measured)?)
        }
    };
    remove(&data)?;
    let text = format!("{}\n\n{tables}", machine.sentence());
    println!("\n## {}\n\n{text}", part.name());
    let results = serde_json::json!({
        "machine": machine,
        "settings": arguments,
        "results": results,
    });
    let file = arguments.out.join(format!("{}.json", part.name()));
    std::fs::write(&file, serde_json::to_vec_pretty(&results)?)
        .with_context(|| format!("writing {}", file.display()))?;
    eprintln!("{} holds every single measurement", file.display());
    record(part, &text, workspace.root())
}

/// Puts the tables into the document, unless our binaries are those of the dev profile.
fn record(part: Part, text: &str, root: &Path) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("{DOCUMENT} stays as it is: this is not a release build");
        return Ok(());
    }
    let path = root.join(DOCUMENT);
    let old = std::fs::read_to_string(&path).with_context(|| format!("reading {DOCUMENT}"))?;
    let new = document::with_part(&old, part.name(), text)
        .with_context(|| format!("{DOCUMENT} has no part {}", part.name()))?;
    std::fs::write(&path, new).with_context(|| format!("writing {DOCUMENT}"))
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", dir.display()))
        }
        _ => Ok(()),
    }
}
