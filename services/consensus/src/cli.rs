//! `cluster status|add|remove|transfer|snapshot`, and `backup …`: the same in every binary that stands
//! on this core.

pub mod backup;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;

use crate::peer::auth::Authority;
use crate::peer::client::{Lane, Peers, Target};
use crate::settings::NodeConfig;
use crate::status::Status;
use crate::wire::manage_request::Action;
use crate::wire::{Add, ManageRequest, StatusRequest};

/// How long a command waits for its answer: adding and removing wait for a commit.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Looks at the cluster and changes who is in it.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ClusterCommand {
    /// Show the members, who leads, and how far each has come
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add the node that waits at an address (one that was started without a list of peers)
    Add {
        /// `host:port` of the node
        address: String,
    },
    /// Remove a member: it stops serving, and its vote counts no more
    Remove {
        /// The member's name
        name: String,
    },
    /// Hand leadership to a member, or to the one that is furthest ahead
    Transfer {
        /// The member's name
        name: Option<String>,
    },
    /// Checkpoint the node's state and shorten its log
    Snapshot,
}

/// Runs a command against the node at `address`, with the secret and certificates of `config`, and
/// prints what it gave.
///
/// # Errors
/// What the node refused, or why it did not answer: a sentence for people.
pub async fn run(
    config: &NodeConfig,
    system: &str,
    address: &str,
    command: ClusterCommand,
) -> Result<(), String> {
    let color = std::io::stdout().is_terminal();
    print!("{}", output(config, system, address, command, color).await?);
    Ok(())
}

/// What [`run`] prints.
pub async fn output(
    config: &NodeConfig,
    system: &str,
    address: &str,
    command: ClusterCommand,
    color: bool,
) -> Result<String, String> {
    let authority = Arc::new(Authority::new(&config.secret, system, &config.network));
    let peers = Arc::new(Peers::new(
        authority,
        0,
        config.settings.source_address,
        config.tls.clone(),
    ));
    let target = Target {
        address: address.to_owned(),
        id: 0,
    };
    let action = match command {
        ClusterCommand::Status { json } => {
            let call = peers.call(
                &target,
                Lane::Control,
                "/trivet.consensus.v1.Peer/Status",
                StatusRequest {},
                |mut client, request| async move { client.status(request).await },
            );
            let response = answer(address, call).await?;
            if json {
                return Ok(format!("{}\n", response.json));
            }
            let status: Status =
                serde_json::from_str(&response.json).map_err(|error| error.to_string())?;
            return Ok(table(&status, color));
        }
        ClusterCommand::Add { address } => Action::Add(Add { address }),
        ClusterCommand::Remove { name } => Action::Remove(name),
        ClusterCommand::Transfer { name } => Action::Transfer(name.unwrap_or_default()),
        ClusterCommand::Snapshot => Action::Snapshot(true),
    };
    let call = peers.call(
        &target,
        Lane::Control,
        "/trivet.consensus.v1.Peer/Manage",
        ManageRequest {
            action: Some(action),
        },
        |mut client, request| async move { client.manage(request).await },
    );
    Ok(format!("{}\n", answer(address, call).await?.message))
}

async fn answer<T>(
    address: &str,
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<T, String> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => Err(format!("{address}: {}", status.message())),
        Err(_) => Err(format!(
            "{address} did not answer within {} s",
            TIMEOUT.as_secs()
        )),
    }
}

fn table(status: &Status, color: bool) -> String {
    let mut text = format!(
        "cluster {} · network {} · version {} · term {} · applied {}\n\n{:<16} {:<9} {:<22} {:>8} {:>9}\n",
        if status.cluster.is_empty() {
            "(none)"
        } else {
            &status.cluster
        },
        status.network,
        status.version,
        status.term,
        status.applied_index,
        "NAME",
        "ROLE",
        "ADDRESS",
        "LAG",
        "RTT ms",
    );
    for member in &status.members {
        let leads = status.leader.as_ref() == Some(&member.name);
        let role = match (member.reachable, leads, member.voter) {
            (false, _, _) => "away",
            (true, true, _) => "leader",
            (true, false, true) => "follower",
            (true, false, false) => "learner",
        };
        let lag = member.lag.map_or("-".into(), |lag| lag.to_string());
        let round_trip = member
            .round_trip_ms
            .map_or("-".into(), |ms| format!("{ms:.1}"));
        let line = format!(
            "{:<16} {role:<9} {:<22} {lag:>8} {round_trip:>9}",
            member.name, member.address
        );
        let paint = match role {
            "leader" => Some("32"),
            "away" => Some("31"),
            _ => None,
        };
        match paint.filter(|_| color) {
            Some(code) => text.push_str(&format!("\x1b[{code}m{line}\x1b[0m\n")),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    if status.changing {
        text.push_str("\nThe members are changing: until that is done, keep the old ones up.\n");
    }
    if let Some(reason) = &status.halted {
        text.push_str(&format!(
            "\n{} has stopped serving: {reason}\n",
            status.name
        ));
    }
    text
}
