//! `devcluster down`.

use devcluster::{Cluster, Node};

use crate::{progress, session};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The system; all systems by default.
    #[arg(long)]
    system: Option<String>,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let workspace = session::workspace()?;
    let _lock = session::lock_if_there(&workspace)?;
    let recorded = session::recorded(&workspace, args.system.as_deref())?;
    let mut any = false;
    for opened in recorded {
        any |= stop(&opened.cluster).await?;
    }
    if !any {
        println!("Nothing is running.");
    }
    Ok(())
}

/// Stops a cluster and says so; returns whether anything ran.
pub async fn stop(cluster: &Cluster) -> anyhow::Result<bool> {
    let name = cluster.system_name();
    let running = cluster.nodes().iter().any(Node::is_running);
    let killed = progress::during(&format!("stopping {name}"), cluster.stop()).await?;
    cluster.save()?;
    for node in killed {
        eprintln!("{node} did not stop in time and was killed");
    }
    if running {
        println!(
            "{name} is stopped; its data stays in {}.",
            cluster.dir().display()
        );
    }
    Ok(running)
}
