//! `devcluster up`.

use anyhow::Context;
use devcluster::{Cluster, Error, Opened, PortPlan, Workspace};

use crate::progress;
use crate::session;

/// What frames the commands to try, so that a script can find them: each is a line that begins with
/// two spaces and a dollar sign.
const COMMANDS_BEGIN: &str = "--- try ---";
const COMMANDS_END: &str = "-----------";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The system; all systems by default.
    #[arg(long)]
    system: Option<String>,
    /// How many nodes of a system's first role.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    nodes: Option<u16>,
    /// Leave the sample data out.
    #[arg(long)]
    no_sample: bool,
    /// The first port, when the catalogue's is taken; for one system.
    #[arg(long, requires = "system")]
    port_base: Option<u16>,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let workspace = session::workspace()?;
    let _lock = workspace.lock()?;
    let systems: Vec<String> = match &args.system {
        Some(name) => vec![name.clone()],
        None => workspace.catalogue().systems.keys().cloned().collect(),
    };
    for name in systems {
        system_up(&workspace, &name, &args).await?;
    }
    Ok(())
}

async fn system_up(workspace: &Workspace, name: &str, args: &Args) -> anyhow::Result<()> {
    let dir = workspace.dev_dir().join(name);
    let mut cluster = match Cluster::open(session::builder(workspace, name), &dir)? {
        None => start(workspace, name, args).await?,
        Some(found) => {
            same_size(&found.cluster, args)?;
            if found
                .cluster
                .nodes()
                .iter()
                .all(devcluster::Node::is_running)
            {
                println!("{name} is already running.");
                found.cluster
            } else {
                start_again(workspace, name, &found.vanished, args).await?
            }
        }
    };
    progress::during(
        &format!("waiting until {name} is ready"),
        cluster.wait_ready(),
    )
    .await
    .map_err(|error| see_more(error, name))?;
    if !args.no_sample && !cluster.has_sample() && !cluster.system().development.sample.is_empty() {
        let load = cluster.load_sample(|step| eprintln!("sample data: {step} …"));
        progress::during("loading the sample data", load).await?;
        cluster.save()?;
    }
    println!("{name} is up.");
    print(&cluster)
}

/// Starts a system for the first time.
async fn start(workspace: &Workspace, name: &str, args: &Args) -> anyhow::Result<Cluster> {
    let system = workspace.catalogue().system(name)?;
    let nodes = args
        .nodes
        .unwrap_or(system.roles[&system.start_order[0]].replicas);
    let base = args.port_base.unwrap_or(system.development.port_base);
    let builder = with_binaries(workspace, session::builder(workspace, name), name).await?;
    eprintln!("starting {name} …");
    Ok(builder
        .nodes(nodes)
        .ports(PortPlan::Base(base))
        .start_detached()
        .await?)
}

/// Starts the nodes that do not run, with the data that they have.
async fn start_again(
    workspace: &Workspace,
    name: &str,
    vanished: &[String],
    args: &Args,
) -> anyhow::Result<Cluster> {
    if args.port_base.is_some() {
        anyhow::bail!("{name} keeps its ports; `make clean` removes it with its data");
    }
    for node in vanished {
        eprintln!("{node} ended without being asked to; see `make logs SYSTEM={name} NODE={node}`");
    }
    // What was built before may be older than the sources, or lie elsewhere.
    let builder = with_binaries(workspace, session::builder(workspace, name), name).await?;
    let found = Cluster::open(builder, &workspace.dev_dir().join(name))?;
    let Opened { cluster, .. } = found.context("the record was there a moment ago")?;
    eprintln!("starting {name} again, with the data that it has …");
    let started = cluster.start_stopped().await;
    cluster.save()?;
    started?;
    Ok(cluster)
}

async fn with_binaries(
    workspace: &Workspace,
    mut builder: devcluster::Builder,
    name: &str,
) -> devcluster::Result<devcluster::Builder> {
    eprintln!("building {name} …");
    for (binary, path) in workspace
        .binaries(workspace.catalogue().system(name)?)
        .await?
    {
        builder = builder.binary_named(&binary, path);
    }
    Ok(builder)
}

/// A recorded cluster keeps its size: its data belongs to its members.
fn same_size(cluster: &Cluster, args: &Args) -> anyhow::Result<()> {
    let first = &cluster.system().start_order[0];
    let there = cluster
        .nodes()
        .iter()
        .filter(|node| node.role() == first)
        .count();
    match args.nodes {
        Some(asked) if usize::from(asked) != there => anyhow::bail!(
            "{} has {there} nodes, not {asked}; `make clean` removes it with its data",
            cluster.system_name()
        ),
        _ => Ok(()),
    }
}

fn see_more(error: Error, system: &str) -> anyhow::Error {
    match &error {
        Error::Died { node, .. } | Error::NotYet { node, .. } => {
            anyhow::anyhow!("{error}\nsee more with `make logs SYSTEM={system} NODE={node}`")
        }
        _ => error.into(),
    }
}

fn print(cluster: &Cluster) -> anyhow::Result<()> {
    for node in cluster.nodes() {
        let ports = &cluster.system().roles[node.role()].ports;
        let urls: Result<Vec<_>, Error> = ports
            .keys()
            .map(|port| Ok(format!("{port} {}", node.url(port)?)))
            .collect();
        println!("  {:<12} {}", node.name(), urls?.join("  "));
    }
    println!("  logs and data in {}", cluster.dir().display());
    println!("{COMMANDS_BEGIN}");
    for suggestion in cluster.suggestions()? {
        println!("# {}", suggestion.summary);
        println!("  $ {}", suggestion.command);
    }
    println!("{COMMANDS_END}");
    Ok(())
}
