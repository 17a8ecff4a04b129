//! `devcluster logs`.

use std::time::Duration;

use devcluster::log::{Follower, tail};
use devcluster::{Cluster, Node};

use crate::session;

/// How often logs are looked at while they are followed.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The system; all systems by default.
    #[arg(long)]
    system: Option<String>,
    /// The node; all nodes by default.
    #[arg(long)]
    node: Option<String>,
    /// How many lines of each node.
    #[arg(long, default_value_t = 50)]
    lines: usize,
    /// Go on with what is written from now on, until interrupted.
    #[arg(long, short)]
    follow: bool,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let workspace = session::workspace()?;
    let opened = session::recorded(&workspace, args.system.as_deref())?;
    let clusters: Vec<&Cluster> = opened.iter().map(|opened| &opened.cluster).collect();
    let nodes: Vec<(&Cluster, &Node)> = clusters
        .iter()
        .flat_map(|cluster| cluster.nodes().iter().map(|node| (*cluster, node)))
        .filter(|(_, node)| {
            args.node
                .as_deref()
                .is_none_or(|wanted| wanted == node.name())
        })
        .collect();
    if let (true, Some(wanted)) = (nodes.is_empty(), &args.node) {
        anyhow::bail!("there is no node `{wanted}`; `make status` shows those there are");
    }
    // One node alone needs no name before each line, and its lines stay as they are: JSON, say.
    let alone = nodes.len() == 1;
    let mut followers = Vec::new();
    for (cluster, node) in &nodes {
        let prefix = match alone {
            true => String::new(),
            false => format!("{}/{} | ", cluster.system_name(), node.name()),
        };
        let path = node.log_path();
        followers.push((prefix.clone(), Follower::at_end(&path)));
        for line in tail(&path, args.lines)?.lines() {
            println!("{prefix}{line}");
        }
    }
    if !args.follow {
        return Ok(());
    }
    loop {
        for (prefix, follower) in &mut followers {
            for line in follower.lines()? {
                println!("{prefix}{line}");
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
