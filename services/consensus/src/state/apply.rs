//! The thread that changes the state.

use std::io::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::entry::RaftEntry as _;
use openraft::storage::EntryResponder;
use prost::Message as _;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::sessions::Known;
use super::{Incoming, Position, Readers, Shared, meta, sessions};
use crate::database::{self, Checkpoint, Role};
use crate::machine::{ApplyError, EntryInfo, Machine, MachineKind};
use crate::raft::{LogId, Outcome, StoredMembership, Types};
use crate::wire;

pub(super) enum Job {
    Apply {
        entries: Vec<EntryResponder<Types>>,
        done: oneshot::Sender<Result<()>>,
    },
    Install {
        incoming: Incoming,
        announced: Option<LogId>,
        done: oneshot::Sender<Result<()>>,
    },
    /// Moves what is left in the write-ahead log, so that the next transaction begins it anew.
    FinishCheckpoint { done: oneshot::Sender<Result<()>> },
}

pub(super) struct Applier<M> {
    state: Connection,
    machine: M,
    position: Position,
}

impl<M: Machine> Applier<M> {
    pub(super) fn open(path: &Path, mut machine: M) -> Result<Self> {
        Self::open_at(path, &mut machine)
            .map(|(state, position)| Self {
                state,
                machine,
                position,
            })
            .map_err(|error| meta::named("the state", path, &error))
    }

    fn open_at(path: &Path, machine: &mut M) -> Result<(Connection, Position)> {
        let state = database::open(path, Role::State).map_err(Error::other)?;
        meta::prepare(&state, M::SYSTEM)?;
        let position = MachineKind::of::<M>()?.check(&state)?;
        // What was replayed from the write-ahead log becomes durable before anyone builds on it.
        database::checkpoint_all(&state).map_err(Error::other)?;
        machine.load(&state).map_err(Error::other)?;
        Ok((state, position))
    }

    pub(super) fn position(&self) -> Result<Position> {
        Ok(self.position.clone())
    }

    pub(super) fn perform(&mut self, shared: &Shared, job: Job) {
        match job {
            Job::Apply { entries, done } => {
                let result = self.apply(shared, entries);
                if let Err(error) = &result {
                    tracing::error!(%error, "the state cannot be changed; this node stops");
                    metrics::counter!("consensus_apply_errors_total").increment(1);
                }
                drop(done.send(result));
            }
            Job::Install {
                incoming,
                announced,
                done,
            } => {
                let result = self.install(shared, &incoming.path, announced);
                if let Err(error) = &result {
                    tracing::error!(%error, "the snapshot cannot be installed; this node stops");
                }
                drop(done.send(result));
            }
            Job::FinishCheckpoint { done } => {
                let finished = database::checkpoint(&self.state, Checkpoint::Passive);
                let result = finished.map(drop).map_err(database::checkpoint_error);
                drop(done.send(result));
            }
        }
    }

    fn apply(&mut self, shared: &Shared, entries: Vec<EntryResponder<Types>>) -> Result<()> {
        let begun = Instant::now();
        let count = entries.len();
        let mut position = self.position.clone();
        let mut replies = Vec::with_capacity(count);
        let transaction = self
            .state
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::other)?;
        let mut applied = Ok(());
        for (entry, responder) in entries {
            let id = entry.log_id();
            match apply_entry(
                &mut self.machine,
                &transaction,
                &mut position,
                id,
                entry.payload,
            ) {
                Ok(outcome) => replies.extend(responder.map(|responder| (responder, outcome))),
                Err(error) => {
                    applied = Err(Error::other(format!("entry {}: {error}", id.index)));
                    break;
                }
            }
            position.applied = Some(id);
        }
        let committed = applied.and_then(|()| {
            if let Some(id) = &position.applied {
                meta::put_applied(&transaction, id).map_err(Error::other)?;
            }
            transaction.commit().map_err(Error::other)
        });
        if let Err(error) = committed {
            self.machine.load(&self.state).map_err(Error::other)?;
            return Err(error);
        }
        self.position = position;
        shared.publish(&self.position);
        shared
            .wal
            .note(database::checkpoint(&self.state, Checkpoint::Noop).map_err(Error::other)?);
        for (responder, outcome) in replies {
            responder.send(outcome);
        }
        metrics::histogram!("consensus_apply_seconds").record(begun.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a count for a graph")]
        metrics::histogram!("consensus_apply_entries").record(count as f64);
        Ok(())
    }

    /// Puts the state in `path`, which has been inspected, in the place of this one.
    fn install(&mut self, shared: &Shared, path: &Path, announced: Option<LogId>) -> Result<()> {
        let current = shared.files.adopt(path)?;
        let (state, position) = Self::open_at(&current, &mut self.machine)
            .map_err(|error| meta::named("the installed state", &current, &error))?;
        if position.applied != announced {
            return Err(Error::other(format!(
                "the snapshot holds {:?} where {announced:?} was announced",
                position.applied
            )));
        }
        self.state = state;
        self.position = position;
        shared.readers.store(Arc::new(Readers::new(current)));
        *shared
            .durable
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = self
            .position
            .applied
            .map(|id| (id, self.position.membership.clone()));
        shared.publish(&self.position);
        shared.files.remove_superseded();
        metrics::counter!("consensus_snapshots_installed_total").increment(1);
        Ok(())
    }
}

fn apply_entry<M: Machine>(
    machine: &mut M,
    state: &Transaction<'_>,
    position: &mut Position,
    id: LogId,
    payload: EntryPayload<crate::raft::Proposal, u64, crate::raft::Member>,
) -> std::result::Result<Outcome, ApplyError> {
    match payload {
        EntryPayload::Blank => Ok(Outcome::None),
        EntryPayload::Membership(membership) => {
            position.membership = StoredMembership::new(Some(id), membership);
            meta::put_membership(state, &position.membership)?;
            Ok(Outcome::None)
        }
        EntryPayload::Normal(proposal) => {
            let proposal = proposal.0;
            // Only an entry whose request is traced pays for a span.
            let traced = (!proposal.traceparent.is_empty()).then(|| {
                let span = tracing::info_span!("apply", index = id.index);
                kit::telemetry::span_from_traceparent(span, Some(&proposal.traceparent))
            });
            let _entered = traced.as_ref().map(tracing::Span::enter);
            let Some(request) = &proposal.request else {
                return apply_proposal(machine, state, position, id, proposal.kind);
            };
            match sessions::look_up(state, request, id.index)? {
                Known::Before(outcome) => Ok(outcome),
                Known::Expired => Ok(Outcome::Expired),
                Known::New => {
                    let outcome = apply_proposal(machine, state, position, id, proposal.kind)?;
                    sessions::remember(state, request, &outcome)?;
                    Ok(outcome)
                }
            }
        }
    }
}

fn apply_proposal<M: Machine>(
    machine: &mut M,
    state: &Transaction<'_>,
    position: &mut Position,
    id: LogId,
    kind: Option<wire::proposal::Kind>,
) -> std::result::Result<Outcome, ApplyError> {
    match kind {
        Some(wire::proposal::Kind::Command(bytes)) => {
            let command = M::Command::decode(bytes).map_err(|error| {
                ApplyError::Diverged(format!("a command cannot be decoded: {error}"))
            })?;
            let entry = EntryInfo {
                index: id.index,
                term: id.leader_id.term,
                version: position.version,
            };
            let reply = machine.apply(state, entry, command)?;
            Ok(Outcome::Reply(Bytes::from(reply.encode_to_vec())))
        }
        Some(wire::proposal::Kind::OpenSession(_)) => Ok(sessions::open(state, id.index)?),
        Some(wire::proposal::Kind::RaiseVersion(to)) => {
            raise::<M>(state, position, to)?;
            machine.load(state)?;
            Ok(Outcome::Version(position.version))
        }
        None => Err(ApplyError::Diverged(
            "a proposal is of a kind that this build does not know".into(),
        )),
    }
}

/// Runs the migrations up to version `to`.
fn raise<M: Machine>(
    state: &Transaction<'_>,
    position: &mut Position,
    to: u32,
) -> std::result::Result<(), ApplyError> {
    if to as usize > M::MIGRATIONS.len() {
        return Err(ApplyError::Diverged(format!(
            "the cluster has moved to version {to} and this build of {} supports {}: \
             run a newer build on this node",
            M::SYSTEM,
            M::MIGRATIONS.len()
        )));
    }
    while position.version < to {
        state.execute_batch(M::MIGRATIONS[position.version as usize])?;
        position.version += 1;
    }
    meta::put_version(state, position.version)?;
    Ok(())
}
