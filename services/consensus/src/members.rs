//! Changing who is in the cluster. Only the leader does, and one change at a time.

mod duties;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use tonic::Status;

pub(crate) use self::duties::run;
use crate::core::Core;
use crate::peer::client::Lane;
use crate::raft::Member;
use crate::wire::manage_request::Action;
use crate::wire::{Hello, JoinRequest, ManageRequest};

/// How long an operator's command waits for a leader to be elected.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a change of leadership may take.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a majority may take to confirm a change.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries of a change that a leader could not take yet.
const CHANGE_PAUSE: Duration = Duration::from_millis(50);

type Change = ChangeMembers<u64, Member>;
/// The right to change the membership.
type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

impl Core {
    /// Changes the membership; whoever decides on a change holds `turn` from the look to the change.
    async fn change(&self, _turn: &Turn<'_>, change: Change, retain: bool) -> Result<(), Status> {
        let change = async {
            loop {
                match self.raft.change_membership(change.clone(), retain).await {
                    // A new leader takes nothing before a majority has answered it.
                    Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))
                        if self.leads() =>
                    {
                        tokio::time::sleep(CHANGE_PAUSE).await;
                    }
                    // The change before, of this leader or of the one before it, is not confirmed yet.
                    Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                        ChangeMembershipError::InProgress(_),
                    ))) => {
                        tokio::time::sleep(CHANGE_PAUSE).await;
                    }
                    changed => return changed,
                }
            }
        };
        match tokio::time::timeout(CHANGE_TIMEOUT, change).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Err(Status::unavailable(
                    "leadership moved meanwhile: the status shows whether the change was made; if \
                     not, ask again",
                ))
            }
            Ok(Err(error)) => Err(Status::unavailable(error.to_string())),
            Err(_) => Err(Status::deadline_exceeded(
                "the change is not confirmed by a majority: is one up?",
            )),
        }
    }

    /// Lets a node in as a learner; the leader's duties make it a voter. Gives the cluster's id.
    pub(crate) async fn admit(&self, who: Hello) -> Result<String, Status> {
        if who.system != self.machine.system || who.network != self.config.network {
            return Err(Status::failed_precondition(format!(
                "this cluster is of system {:?} in network {:?}",
                self.machine.system, self.config.network
            )));
        }
        let cluster = self.peers.cluster();
        if cluster.is_empty() {
            return Err(Status::unavailable("this node has no cluster itself"));
        }
        if !who.cluster.is_empty() && who.cluster != cluster {
            return Err(Status::failed_precondition(format!(
                "{:?} belongs to cluster {}, this is {cluster}",
                who.name, who.cluster
            )));
        }
        self.note_address(&who);
        if !self.leads() {
            return self.admit_at_leader(who).await;
        }
        let turn = self.changes.lock().await;
        let version = self.state.version();
        if who.version_supported < version {
            return Err(Status::failed_precondition(format!(
                "the cluster is at version {version} and {:?} supports {}: run a newer build on it",
                who.name, who.version_supported
            )));
        }
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let member = Member {
            name: who.name.clone(),
            address: who.address.clone(),
        };
        if let Some(known) = membership.get_node(&who.id) {
            if *known == member {
                return Ok(cluster);
            }
            tracing::info!(name = who.name, address = who.address, "a member has moved");
            self.change(
                &turn,
                Change::SetNodes(BTreeMap::from([(who.id, member)])),
                true,
            )
            .await?;
            return Ok(cluster);
        }
        let holder = membership.nodes().find(|(_, known)| known.name == who.name);
        if let Some((old, known)) = holder {
            // A node that lost its disk comes back under its name with a new id. Nobody else may
            // take the name while its holder lives.
            if let Ok((answer, _)) = self.greet(&known.address).await
                && answer.id == *old
            {
                return Err(Status::already_exists(format!(
                    "the name {:?} belongs to a member that is alive at {}",
                    who.name, known.address
                )));
            }
        }
        tracing::info!(name = who.name, address = who.address, "a node joins");
        self.change(
            &turn,
            Change::AddNodes(BTreeMap::from([(who.id, member)])),
            true,
        )
        .await?;
        Ok(cluster)
    }

    /// Follows a member to where it says that it is: it may be the one without which there is no
    /// majority that could write that down.
    pub(crate) fn note_address(&self, who: &Hello) {
        let member = self.look(|now| {
            let members = now.membership_config.membership();
            members.get_node(&who.id).is_some()
        });
        if member && who.cluster == self.peers.cluster() {
            self.peers.set_address(who.id, &who.address);
        }
    }

    async fn admit_at_leader(&self, who: Hello) -> Result<String, Status> {
        let (leader, member) = self
            .known_leader()
            .filter(|(leader, _)| *leader != self.id)
            .ok_or_else(|| Status::unavailable("there is no leader"))?;
        let response = self
            .peers
            .call(
                &Self::target(leader, &member),
                Lane::Control,
                "/trivet.consensus.v1.Peer/Join",
                JoinRequest { who: Some(who) },
                |mut client, request| async move { client.join(request).await },
            )
            .await?;
        Ok(response.cluster)
    }

    /// Does what an operator asks, here or at the leader; gives a sentence for them.
    pub(crate) async fn manage(&self, request: ManageRequest) -> Result<String, Status> {
        let action = request
            .action
            .clone()
            .ok_or_else(|| Status::invalid_argument("no action was asked for"))?;
        if let Action::Snapshot(_) = action {
            self.raft
                .trigger()
                .snapshot()
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
            return Ok(format!(
                "{} takes a snapshot and shortens its log",
                self.config.name
            ));
        }
        let (leader, member) = self.leader_in_time(ELECTION_TIMEOUT).await.ok_or_else(|| {
            Status::unavailable("there is no leader: is a majority of the nodes up?")
        })?;
        if leader != self.id {
            let response = self
                .peers
                .call(
                    &Self::target(leader, &member),
                    Lane::Control,
                    "/trivet.consensus.v1.Peer/Manage",
                    request,
                    |mut client, request| async move { client.manage(request).await },
                )
                .await?;
            return Ok(response.message);
        }
        match action {
            Action::Add(add) => self.add(&add.address).await,
            Action::Remove(name) => Box::pin(self.remove(&name, request)).await,
            Action::Transfer(name) => self.transfer(&name).await,
            Action::Snapshot(_) => Err(Status::internal("handled above")),
        }
    }

    /// Adds the node that waits at `address`.
    async fn add(&self, address: &str) -> Result<String, Status> {
        let (hello, _) = self.greet(address).await.map_err(|status| {
            Status::unavailable(format!("{address} does not answer: {}", status.message()))
        })?;
        let name = hello.name.clone();
        // It is known under the address that it gives itself.
        self.admit(hello).await?;
        Ok(format!(
            "{name} was added; it becomes a voter once it has caught up"
        ))
    }

    async fn remove(&self, name: &str, request: ManageRequest) -> Result<String, Status> {
        let turn = self.changes.lock().await;
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let id = find(membership, name)?;
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        if voters.contains(&id) && voters.len() == 1 {
            return Err(Status::failed_precondition(format!(
                "{name:?} is the only voter: a cluster keeps at least one"
            )));
        }
        if id == self.id {
            drop(turn);
            self.transfer("").await?;
            return self.manage(request).await;
        }
        if voters.contains(&id) {
            self.change(&turn, Change::RemoveVoters(BTreeSet::from([id])), false)
                .await?;
        } else {
            self.change(&turn, Change::RemoveNodes(BTreeSet::from([id])), false)
                .await?;
        }
        Ok(format!(
            "{name} was removed; it has stopped serving if it is up"
        ))
    }

    /// Hands leadership to the voter `name`, or to the one that is furthest ahead.
    pub(crate) async fn transfer(&self, name: &str) -> Result<String, Status> {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let to = if name.is_empty() {
            let replication = metrics.replication.clone().unwrap_or_default();
            membership
                .voter_ids()
                .filter(|id| *id != self.id)
                .max_by_key(|id| {
                    let matched = replication
                        .get(id)
                        .cloned()
                        .flatten()
                        .map(|matched| matched.index);
                    (self.reachable(*id), matched)
                })
                .ok_or_else(|| Status::failed_precondition("there is no other voter"))?
        } else {
            find(membership, name)?
        };
        if to == self.id {
            return Ok(format!("{} leads already", self.config.name));
        }
        if !membership.voter_ids().any(|id| id == to) {
            return Err(Status::failed_precondition(format!("{name:?} is no voter")));
        }
        let member = membership.get_node(&to).cloned().unwrap_or_default();
        let name = member.name;
        // From here on this node takes no writes: not for a successor that is not there.
        self.greet(&member.address).await.map_err(|status| {
            Status::unavailable(format!("{name} does not answer: {}", status.message()))
        })?;
        self.raft
            .trigger()
            .transfer_leader(to)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let changed = self
            .raft
            .wait(Some(TRANSFER_TIMEOUT))
            .metrics(
                |now| now.current_leader.is_some_and(|leader| leader != self.id),
                "another leader",
            )
            .await;
        match changed {
            Ok(now) if now.current_leader == Some(to) => Ok(format!("{name} leads now")),
            Ok(_) => Ok(format!("leadership has moved, but not to {name}")),
            Err(_) => {
                // openraft takes no writes from the moment that it hands over, and does not change
                // its mind: a new term of its own makes this node, or another, serve again.
                drop(self.raft.trigger().elect(false).await);
                Err(Status::deadline_exceeded(format!(
                    "{name} did not take over in time"
                )))
            }
        }
    }
}

/// The member of this name. While a node that lost its disk is being replaced there are two: whoever
/// names it means the one that votes, not the one that is catching up to take its place.
fn find(membership: &crate::raft::Membership, name: &str) -> Result<u64, Status> {
    let voters: Vec<u64> = membership.voter_ids().collect();
    membership
        .nodes()
        .filter(|(_, member)| member.name == name)
        .map(|(id, _)| *id)
        .max_by_key(|id| voters.contains(id))
        .ok_or_else(|| {
            let names: Vec<&str> = membership
                .nodes()
                .map(|(_, member)| member.name.as_str())
                .collect();
            Status::not_found(format!(
                "{name:?} is no member; members are {}",
                names.join(", ")
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_the_voter_and_not_the_node_that_is_to_replace_it() {
        let member = |name: &str| Member {
            name: name.into(),
            address: String::new(),
        };
        for (voter, joining) in [(1, 2), (2, 1)] {
            let members = [
                (voter, member("n1")),
                (joining, member("n1")),
                (3, member("n2")),
            ];
            let membership = crate::raft::Membership::new(
                vec![BTreeSet::from([voter, 3])],
                BTreeMap::from(members),
            )
            .unwrap();
            assert_eq!(find(&membership, "n1").unwrap(), voter);
            assert!(find(&membership, "n3").is_err());
        }
    }
}
