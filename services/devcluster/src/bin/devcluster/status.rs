//! `devcluster status`.

use std::io::{IsTerminal, stdout};

use devcluster::table;

use crate::session;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The system; all systems by default.
    #[arg(long)]
    system: Option<String>,
    /// Print an array of {system, node, pid, ports: {name: number}, leader, healthy}.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let workspace = session::workspace()?;
    let mut rows = Vec::new();
    for opened in session::recorded(&workspace, args.system.as_deref())? {
        rows.extend(opened.cluster.status().await);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else if rows.is_empty() {
        println!("Nothing is there yet; `make up` starts it.");
    } else {
        let coloured = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print!("{}", table(&rows, coloured));
    }
    Ok(())
}
