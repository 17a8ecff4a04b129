//! Greetings: how nodes learn who is where, and notice that they are not where they should be.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::core::{Core, View, lock};
use crate::peer::client::{Lane, Target};
use crate::raft::{Metrics, StoredMembership};
use crate::wire::{Hello, Standing};

const FORMAT: u32 = 1;
/// How often members greet each other.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long one greeting may take.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// The membership that others are told: the committed one. Where none is yet, the first one, or its
/// members could not learn that they are wanted to commit it.
fn told_membership(metrics: &Metrics) -> &StoredMembership {
    if metrics.committed_membership_config.log_id().is_some() {
        &metrics.committed_membership_config
    } else {
        &metrics.membership_config
    }
}

impl Core {
    /// What this node says of itself to the one at `address`.
    pub(crate) fn hello(&self, address: &str) -> Hello {
        let metrics = self.metrics();
        let membership = told_membership(&metrics);
        // At the address of a node that lost its disk are two: the one that was, and the one that has
        // been added in its place and does not vote yet.
        let voters: Vec<u64> = membership.membership().voter_ids().collect();
        let known = membership
            .membership()
            .nodes()
            .filter(|(_, member)| member.address == address)
            .min_by_key(|(id, _)| voters.contains(id));
        let position = self.state.position();
        Hello {
            format: FORMAT,
            system: self.machine.system.to_owned(),
            network: self.config.network.clone(),
            cluster: self.peers.cluster(),
            name: self.config.name.clone(),
            id: self.id,
            address: self.config.address.clone(),
            version_supported: self.machine.version_supported,
            version: position.version,
            term: metrics.current_term,
            leader: metrics.current_leader.unwrap_or(0),
            applied: position.applied.map_or(0, |id| id.index),
            seeds: self.config.peers.clone().unwrap_or_default(),
            expect: self.config.settings.bootstrap_expect,
            standing: Standing::Unspecified.into(),
            membership_index: membership.log_id().map_or(0, |id| id.index),
            known_as: known.map_or(0, |(id, _)| *id),
            receiver_name: known
                .map(|(_, member)| member.name.clone())
                .unwrap_or_default(),
            disk_low: self.disk.is_low(),
            restored_from: position.restored_from,
            confirmed: self.is_confirmed(),
        }
    }

    /// The answer to a greeting: the same, and what the caller is here.
    pub(crate) fn hello_to(&self, caller: &Hello) -> Hello {
        let metrics = self.metrics();
        let membership = told_membership(&metrics).membership().clone();
        let named = membership
            .nodes()
            .find(|(_, member)| member.name == caller.name);
        let standing = if caller.cluster.is_empty() || caller.cluster != self.peers.cluster() {
            match named {
                Some((id, _)) if *id != caller.id => Standing::OtherId,
                _ => Standing::Stranger,
            }
        } else if membership.get_node(&caller.id).is_none() {
            Standing::Removed
        } else if membership.voter_ids().any(|id| id == caller.id) {
            Standing::Voter
        } else {
            Standing::Learner
        };
        Hello {
            standing: standing.into(),
            known_as: named.map_or(0, |(id, _)| *id),
            receiver_name: caller.name.clone(),
            ..self.hello(&caller.address)
        }
    }

    /// Hears a greeting: refuses what does not belong here, and learns from it.
    pub(crate) fn meet(&self, hello: &Hello) -> Result<(), Status> {
        if hello.format != FORMAT {
            return Err(Status::failed_precondition(format!(
                "greetings of format {} are not known here",
                hello.format
            )));
        }
        if hello.system != self.machine.system || hello.network != self.config.network {
            return Err(Status::failed_precondition(format!(
                "this node is of system {:?} in network {:?}, the caller of {:?} in {:?}",
                self.machine.system, self.config.network, hello.system, hello.network
            )));
        }
        self.note_address(hello);
        self.learn(hello);
        Ok(())
    }

    /// What a greeting or its answer says about this node itself.
    fn learn(&self, hello: &Hello) {
        let mine = self.peers.cluster();
        if hello.restored_from.contains(&mine) && !mine.is_empty() && !self.is_confirmed() {
            self.halt(format!(
                "its cluster, {mine}, was restored from a backup as cluster {}, of which {} is a \
                 member; to take part in that one wipe the data directory and let it join (for \
                 example through {})",
                hello.cluster, hello.name, hello.address
            ));
            return;
        }
        let remnant =
            !hello.confirmed && self.state.position().restored_from.contains(&hello.cluster);
        if remnant {
            // What is left of the cluster that a backup was restored of knows this name too.
            return;
        }
        let meant_me = hello.receiver_name == self.config.name;
        if hello.cluster.is_empty() || hello.known_as == 0 || !meant_me {
            return;
        }
        if hello.known_as != self.id {
            // Another cluster, or an older life of this node in the same one, has its name.
            let forms = self.config.peers.as_ref().is_some_and(Vec::is_empty);
            if hello.cluster == mine || (mine.is_empty() && !forms) {
                // It joins, or waits to be added, under its new id: the old one is taken out once the
                // new one has caught up.
                return;
            }
            self.halt(format!(
                "the name {:?} belongs to cluster {} under another data directory (node {:016x}), which \
                 {} is a member of; to take part again set its peers (for example {}), or choose \
                 another name",
                self.config.name, hello.cluster, hello.known_as, hello.name, hello.address
            ));
        } else if mine.is_empty() {
            // It was added by the cluster that greets it.
            self.adopt_cluster(&hello.cluster);
        }
    }

    /// Remembers which cluster this node belongs to, before anything of it is accepted.
    pub(crate) fn adopt_cluster(&self, cluster: &str) {
        let mut identity = lock(&self.identity);
        if identity.cluster.is_some() {
            return;
        }
        identity.cluster = Some(cluster.to_owned());
        match identity.save(&self.config.data_dir) {
            Ok(()) => {
                self.peers.set_cluster(cluster);
                tracing::info!(cluster, "this node now belongs to a cluster");
            }
            Err(error) => {
                identity.cluster = None;
                drop(identity);
                self.halt(format!("the identity cannot be saved: {error}"));
            }
        }
    }

    /// Notes that another member is up, and what its build supports.
    pub(crate) fn saw(&self, hello: &Hello, round_trip: Duration) {
        let view = View {
            seen: Instant::now(),
            round_trip,
            version_supported: hello.version_supported,
            disk_low: hello.disk_low,
        };
        lock(&self.views).insert(hello.id, view);
    }

    /// Greets the node at `address` and takes in what it answers.
    pub(crate) async fn greet(&self, address: &str) -> Result<(Hello, Duration), Status> {
        let target = Target {
            address: address.to_owned(),
            id: 0,
        };
        let begun = Instant::now();
        let call = self.peers.call(
            &target,
            Lane::Control,
            "/trivet.consensus.v1.Peer/Greet",
            self.hello(address),
            |mut client, request| async move { client.greet(request).await },
        );
        let answer = tokio::time::timeout(TIMEOUT, call)
            .await
            .map_err(|_| Status::deadline_exceeded("no answer"))??;
        let round_trip = begun.elapsed();
        if answer.id == self.id {
            return Err(Status::failed_precondition("this node itself"));
        }
        if answer.cluster == self.peers.cluster() && !answer.cluster.is_empty() {
            self.saw(&answer, round_trip);
            metrics::histogram!("consensus_peer_round_trip_seconds", "peer" => answer.name.clone())
                .record(round_trip.as_secs_f64());
        }
        self.learn(&answer);
        Ok((answer, round_trip))
    }
}

/// What this node was before it asked the others: what it has become while they answered says nothing
/// of when they answered, and a node taken in meanwhile would take an old answer for a later one.
struct Asker {
    /// Where in the log the membership is that this node knows.
    membership_index: u64,
    is_member: bool,
    was_taken_in: bool,
}

impl Asker {
    fn before_asking(core: &Core, metrics: &Metrics) -> Self {
        let membership = metrics.membership_config.log_id();
        Self {
            membership_index: membership.map_or(0, |id| id.index),
            is_member: core.is_member(),
            was_taken_in: core.was_taken_in(),
        }
    }

    /// Whether the answer says that the asker was taken out of the cluster. A node that is joining
    /// hears that it is no member too, from members that lag behind.
    fn is_removed_by(&self, answer: &Hello) -> bool {
        let newer = if self.is_member {
            answer.membership_index > self.membership_index
        } else {
            answer.membership_index >= self.membership_index && self.was_taken_in
        };
        newer && answer.standing == i32::from(Standing::Removed)
    }
}

/// Greets every other member, for as long as the node lives.
pub(crate) async fn run(core: Arc<Core>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if core.halted().is_some() {
            return;
        }
        let metrics = core.metrics();
        let asker = Asker::before_asking(&core, &metrics);
        let others: Vec<String> = metrics
            .membership_config
            .membership()
            .nodes()
            .filter(|(id, _)| **id != core.id)
            .map(|(_, member)| member.address.clone())
            .collect();
        let greetings = others.iter().map(|address| core.greet(address));
        for answer in futures_util::future::join_all(greetings).await {
            let Ok((answer, _)) = answer else { continue };
            if answer.cluster == core.peers.cluster() && asker.is_removed_by(&answer) {
                core.halt_removed(&answer.name);
                return;
            }
        }
        // A member that is met no more is forgotten, so that its version counts no more.
        lock(&core.views).retain(|id, _| {
            metrics
                .membership_config
                .membership()
                .get_node(id)
                .is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(standing: Standing, membership_index: u64) -> Hello {
        Hello {
            standing: standing.into(),
            membership_index,
            ..Hello::default()
        }
    }

    #[test]
    fn a_node_is_removed_by_a_later_membership_than_the_one_that_it_is_in() {
        let asker = |is_member, was_taken_in| Asker {
            membership_index: 7,
            is_member,
            was_taken_in,
        };
        let removed_at = |asker: &Asker| {
            (5..10).find(|index| asker.is_removed_by(&answer(Standing::Removed, *index)))
        };
        assert_eq!(removed_at(&asker(true, true)), Some(8), "a member");
        assert_eq!(removed_at(&asker(false, true)), Some(7), "it was one");
        assert_eq!(removed_at(&asker(false, false)), None, "it is joining");
        for standing in [Standing::Voter, Standing::Learner, Standing::OtherId] {
            assert!(!asker(true, true).is_removed_by(&answer(standing, 9)));
        }
    }
}
