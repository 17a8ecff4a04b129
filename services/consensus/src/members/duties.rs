//! What a leader does without being asked: changes that were left half done, learners that have
//! caught up, versions that all members support.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::Change;
use crate::core::{Core, lock};
use crate::wire;

/// A learner that misses no more than this is taken in as a voter.
const LAG_MAX: u64 = 1000;
/// How often a leader looks whether something is left to do.
const INTERVAL: Duration = Duration::from_millis(200);

/// Looks after the cluster for as long as this node lives, whenever it leads.
pub(crate) async fn run(core: Arc<Core>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if core.halted().is_some() {
            return;
        }
        if core.leads()
            && let Err(status) = duties(&core).await
        {
            tracing::debug!(status = status.message(), "a leader's duty is tried again");
        }
    }
}

async fn duties(core: &Core) -> Result<(), Status> {
    let turn = core.changes.lock().await;
    let metrics = core.metrics();
    let stored = &metrics.membership_config;
    // Nothing is built on a membership that is not committed.
    if stored.log_id() != metrics.committed_membership_config.log_id() {
        return Ok(());
    }
    let membership = stored.membership();
    if membership.get_joint_config().len() > 1 {
        // A leader that died in the middle of a change left both configurations in force.
        tracing::info!("finishes a change of membership");
        return core
            .change(&turn, Change::AddVoterIds(BTreeSet::new()), false)
            .await;
    }
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let replication = metrics.replication.clone().unwrap_or_default();
    let last = metrics.last_log_index.unwrap_or(0);
    for learner in membership.learner_ids() {
        let matched = replication
            .get(&learner)
            .cloned()
            .flatten()
            .map(|id| id.index);
        if matched.is_none_or(|matched| matched + LAG_MAX < last) {
            continue;
        }
        let name = membership
            .get_node(&learner)
            .map(|member| member.name.clone());
        let replaced: BTreeSet<u64> = membership
            .nodes()
            .filter(|(id, member)| **id != learner && Some(&member.name) == name.as_ref())
            .map(|(id, _)| *id)
            .collect();
        let goal: BTreeSet<u64> = voters
            .difference(&replaced)
            .copied()
            .chain([learner])
            .collect();
        tracing::info!(
            ?name,
            replaces = replaced.len(),
            "a learner becomes a voter"
        );
        return core
            .change(&turn, Change::ReplaceAllVoters(goal), false)
            .await;
    }
    drop(turn);
    raise_version(core, membership).await
}

/// Raises the machine's version once every member supports the next one. One that is away may come
/// back with another build: it is waited for, or removed.
async fn raise_version(core: &Core, membership: &crate::raft::Membership) -> Result<(), Status> {
    let version = core.state.version();
    let supported = {
        let views = lock(&core.views);
        let supported = |id: &u64| match views.get(id) {
            _ if *id == core.id => core.machine.version_supported,
            Some(view) if view.is_fresh() => view.version_supported,
            _ => version,
        };
        membership
            .nodes()
            .map(|(id, _)| supported(id))
            .min()
            .unwrap_or(version)
    };
    if supported <= version {
        return Ok(());
    }
    tracing::info!(
        from = version,
        to = supported,
        "raises the machine's version"
    );
    let proposal = wire::Proposal {
        kind: Some(wire::proposal::Kind::RaiseVersion(supported)),
        ..wire::Proposal::default()
    };
    core.propose(proposal, true)
        .await
        .map(drop)
        .map_err(|error| Status::unavailable(error.to_string()))
}
