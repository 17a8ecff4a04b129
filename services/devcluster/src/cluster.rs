//! A cluster: the nodes of a system, and what is done to all of them.

mod builder;
mod faults;
mod membership;
pub(crate) mod plan;
mod record;
mod sample;
mod status;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::catalogue::{System, Values};
use crate::error::{Error, Result};
use crate::health::Prober;
use crate::network::Network;
use crate::node::Node;
use crate::process::Lifetime;
pub use builder::Builder;
use plan::Plan;
pub use record::Opened;
pub use sample::Suggestion;
pub use status::{Status, table};

/// How long anything is waited for unless the builder is told otherwise. Generous, because it only
/// bounds failures: what is waited for is asked again every few milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often nodes are asked who leads.
const ASK_INTERVAL: Duration = Duration::from_millis(50);

/// A system running as real processes on this machine.
///
/// The processes of a cluster that was [started](Builder::start) end with the value, or with the
/// process that holds it, however that one ends. Those of one that was
/// [started detached](Builder::start_detached) go on until they are stopped.
#[derive(Debug)]
pub struct Cluster {
    plan: Arc<Plan>,
    nodes: Vec<Node>,
    network: Option<Network>,
    prober: Prober,
    lifetime: Lifetime,
    patience: Duration,
    /// The results of the sample's steps, once it is loaded.
    captured: Option<Values>,
}

impl Cluster {
    /// The name of the system.
    #[must_use]
    pub fn system_name(&self) -> &str {
        &self.plan.name
    }

    /// The system as the catalogue describes it.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.plan.system
    }

    /// The folder with one folder a node.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.plan.dir
    }

    /// The nodes of all roles, in the order in which they were made.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn node(&self, name: &str) -> Result<&Node> {
        self.position(name).map(|at| &self.nodes[at])
    }

    /// A secret that the nodes share, by its name in the catalogue.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&str> {
        self.plan
            .secrets
            .get(name)
            .map(|(_, secret)| secret.as_str())
    }

    /// Starts the nodes that do not run, in order; says how many there were.
    ///
    /// # Errors
    /// A port is taken or a binary cannot be started; the nodes before it keep running.
    pub async fn start_stopped(&self) -> Result<usize> {
        let mut started = 0;
        for node in self.nodes.iter().filter(|node| !node.is_running()) {
            node.start().await?;
            started += 1;
        }
        Ok(started)
    }

    /// Waits until every node is healthy.
    ///
    /// # Errors
    /// A node does not run or ends before, which is found at once, or is not healthy within the
    /// patience.
    pub async fn wait_healthy(&self) -> Result<()> {
        try_join_all(self.nodes.iter().map(Node::wait_healthy))
            .await
            .map(drop)
    }

    /// Waits until every node can take work.
    ///
    /// # Errors
    /// As those of [`wait_healthy`](Self::wait_healthy).
    pub async fn wait_ready(&self) -> Result<()> {
        try_join_all(self.nodes.iter().map(Node::wait_ready))
            .await
            .map(drop)
    }

    /// Waits until one node takes itself for the leader and more than half of the nodes of its role
    /// take it for that too, and returns it. A leader that was cut off is not taken for one.
    ///
    /// # Errors
    /// There is none within the patience; the error holds each node's view.
    pub async fn leader(&self) -> Result<&Node> {
        let begun = Instant::now();
        loop {
            let mut followed: BTreeMap<(String, String), usize> = BTreeMap::new();
            let mut claims = Vec::new();
            let mut views = Vec::new();
            for node in self.nodes.iter().filter(|node| node.is_running()) {
                let Ok(answer) = node.health().await else {
                    views.push(format!("{} does not answer", node.name()));
                    continue;
                };
                let named = answer.health.leader.clone().unwrap_or_default();
                views.push(format!("{} names `{named}`", node.name()));
                *followed.entry((node.role().to_owned(), named)).or_default() += 1;
                if answer.health.is_leader() {
                    claims.push(node);
                }
            }
            let elected = claims.into_iter().find(|node| {
                let all = self
                    .nodes
                    .iter()
                    .filter(|other| other.role() == node.role())
                    .count();
                let key = (node.role().to_owned(), node.name().to_owned());
                followed.get(&key).is_some_and(|votes| votes * 2 > all)
            });
            if let Some(leader) = elected {
                return Ok(leader);
            }
            if begun.elapsed() >= self.patience {
                let system = self.plan.name.clone();
                return Err(Error::NoLeader {
                    system,
                    waited: self.patience,
                    views: views.join(", "),
                });
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }

    /// Stops and starts the nodes one after the other, each time waiting until the node can take
    /// work again.
    ///
    /// # Errors
    /// There is no such node, or one does not come back.
    pub async fn rolling_restart(&self, order: &[&str]) -> Result<()> {
        for name in order {
            let node = self.node(name)?;
            node.restart().await?;
            node.wait_ready().await?;
        }
        Ok(())
    }

    /// Stops all nodes in order: the roles in reverse, a leader after those who follow it, so that
    /// no election is held on the way. Returns the names of those that had to be killed.
    ///
    /// # Errors
    /// A node cannot be signalled.
    pub async fn stop(&self) -> Result<Vec<&str>> {
        let mut order = Vec::new();
        for node in &self.nodes {
            let leads = node.is_running()
                && node
                    .health()
                    .await
                    .is_ok_and(|answer| answer.health.is_leader());
            let rank = self
                .plan
                .system
                .start_order
                .iter()
                .position(|role| role == node.role());
            order.push((rank, leads, node));
        }
        order.sort_by_key(|(rank, leads, node)| {
            (
                std::cmp::Reverse(*rank),
                *leads,
                std::cmp::Reverse(node.plan.ordinal),
            )
        });
        let mut killed = Vec::new();
        for (_, _, node) in order {
            if !node.stop().await? {
                killed.push(node.name());
            }
        }
        Ok(killed)
    }

    /// Kills all nodes at once, as a loss of power would.
    ///
    /// # Errors
    /// A node cannot be signalled.
    pub async fn kill_all(&self) -> Result<()> {
        // All are frozen before the first is killed, so that none sees another one die.
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            node.pause().await?;
        }
        for node in &self.nodes {
            node.kill().await?;
        }
        Ok(())
    }

    fn position(&self, name: &str) -> Result<usize> {
        self.nodes
            .iter()
            .position(|node| node.name() == name)
            .ok_or_else(|| Error::UnknownNode {
                system: self.plan.name.clone(),
                node: name.to_owned(),
                known: self
                    .nodes
                    .iter()
                    .map(Node::name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}
