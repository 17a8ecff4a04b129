//! Nodes that come and go while the others run.

use super::Cluster;
use super::plan::{NodePlan, Plan, ordinal};
use crate::error::{Error, Result};
use crate::node::{Node, remove_dir};

impl Cluster {
    /// Starts one more node of a role. It is told of all nodes that there are.
    ///
    /// # Errors
    /// There is no such role, no room for its ports, or it cannot be started.
    pub async fn add_node(&mut self, role: &str) -> Result<&Node> {
        let of_role = self.nodes.iter().filter(|node| node.role() == role);
        let index = of_role.map(|node| node.plan.index).max().unwrap_or(0) + 1;
        let plan = self
            .plan
            .node(role, index, self.next_ordinal(role)?, None)?;
        self.start_told_of_all(plan, None).await
    }

    /// Puts a new machine in the place of a node: the old one is killed and its folder removed, the
    /// new one starts empty and is told of all others. Under the same name it also has the same
    /// addresses; under a new name it has new ones.
    ///
    /// What the cluster has to be told about the change is the caller's part.
    ///
    /// # Errors
    /// There is no such node, the new name is taken, or the new node cannot be started.
    pub async fn replace(&mut self, name: &str, new_name: Option<&str>) -> Result<&Node> {
        let old = self.position(name)?;
        let old_plan = self.nodes[old].plan.clone();
        let plan = match new_name.filter(|new| *new != name) {
            None => old_plan,
            Some(new) if self.position(new).is_ok() => {
                let system = self.plan.name.clone();
                return Err(Error::DuplicateNode {
                    system,
                    node: new.to_owned(),
                });
            }
            Some(new) => {
                let ordinal = self.next_ordinal(new)?;
                self.plan
                    .node(&old_plan.role, old_plan.index, ordinal, Some(new))?
            }
        };
        self.nodes[old].kill().await?;
        remove_dir(&self.nodes[old].dir())?;
        self.nodes.remove(old);
        if let Some(network) = &mut self.network
            && plan.name != name
        {
            network.remove(name);
        }
        self.start_told_of_all(plan, Some(old)).await
    }

    /// Adds and starts a node, at a given place among the others or at their end.
    async fn start_told_of_all(&mut self, plan: NodePlan, at: Option<usize>) -> Result<&Node> {
        let others = self
            .nodes
            .iter()
            .map(|node| &node.plan)
            .filter(|other| other.name != plan.name);
        let peers = Plan::peers(self.plan.role(&plan.role)?, others.clone());
        let all = Plan::addresses(others.chain([&plan]));
        self.add(NodePlan {
            peers,
            others: all,
            ..plan
        })?;
        let last = self.nodes.len() - 1;
        let at = at.unwrap_or(last);
        self.nodes[at..].rotate_right(1);
        self.nodes[at].start().await?;
        Ok(&self.nodes[at])
    }

    fn next_ordinal(&self, node: &str) -> Result<u8> {
        let highest = self
            .nodes
            .iter()
            .map(|node| usize::from(node.plan.ordinal))
            .max();
        ordinal(highest.map_or(0, |highest| highest + 1), node)
    }
}
