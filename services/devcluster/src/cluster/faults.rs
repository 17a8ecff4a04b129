//! Faults of the network between the nodes.

use super::Cluster;
use crate::error::{Error, Result};
use crate::network::{Flow, Link, Network};

impl Cluster {
    /// The proxies between the nodes.
    ///
    /// # Errors
    /// The cluster was started without.
    pub fn network(&self) -> Result<&Network> {
        self.network.as_ref().ok_or_else(|| Error::NoProxies {
            system: self.plan.name.clone(),
        })
    }

    /// The connections that `from` opens to `to`, to set any condition on them.
    ///
    /// # Errors
    /// There are no proxies, or no such nodes.
    pub fn link(&self, from: &str, to: &str) -> Result<Link> {
        self.node(from)?;
        self.node(to)?;
        Ok(self.network()?.link(from, to))
    }

    /// `from` cannot call `to` any more, while `to` can still call `from`: its connections stall.
    ///
    /// # Errors
    /// There are no proxies, or no such nodes.
    pub fn partition_one_way(&self, from: &str, to: &str) -> Result<()> {
        self.link(from, to)?.set_flow(Flow::Stall);
        Ok(())
    }

    /// Two nodes cannot call each other any more: their connections stall.
    ///
    /// # Errors
    /// There are no proxies, or no such nodes.
    pub fn partition(&self, one: &str, other: &str) -> Result<()> {
        self.partition_one_way(one, other)?;
        self.partition_one_way(other, one)
    }

    /// No node can call this one, and it can call none: its connections stall. It can still be
    /// asked past the proxies.
    ///
    /// # Errors
    /// There are no proxies, or no such node.
    pub fn isolate(&self, name: &str) -> Result<()> {
        self.node(name)?;
        self.network()?;
        for other in self.nodes.iter().filter(|other| other.name() != name) {
            self.partition(name, other.name())?;
        }
        Ok(())
    }

    /// Ends all faults of the network; what was held back is delivered.
    ///
    /// # Errors
    /// There are no proxies.
    pub fn heal(&self) -> Result<()> {
        self.network()?.heal();
        Ok(())
    }
}
