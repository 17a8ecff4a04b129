//! Clusters of real nodes in one process, each on a runtime of its own that can be torn down like
//! a process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "it/backups.rs"]
mod backups;
#[path = "it/caller.rs"]
mod caller;
#[path = "it/certificates.rs"]
mod certificates;
#[path = "it/channel.rs"]
mod channel;
#[path = "it/commands.rs"]
mod commands;
#[path = "it/disk.rs"]
mod disk;
#[path = "it/formation.rs"]
mod formation;
#[path = "it/formats.rs"]
mod formats;
#[path = "it/harness.rs"]
mod harness;
#[path = "it/histories.rs"]
mod histories;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/membership.rs"]
mod membership;
#[path = "it/memory.rs"]
mod memory;
#[path = "it/mixed.rs"]
mod mixed;
#[path = "it/node.rs"]
mod node;
#[path = "it/power.rs"]
mod power;
#[path = "it/power_cuts.rs"]
mod power_cuts;
#[path = "it/reads.rs"]
mod reads;
#[path = "it/register.rs"]
mod register;
#[path = "it/replication.rs"]
mod replication;
#[path = "it/rolling.rs"]
mod rolling;
#[path = "it/sessions.rs"]
mod sessions;
#[path = "it/simulation.rs"]
mod simulation;
#[path = "it/snapshots.rs"]
mod snapshots;
#[path = "it/storage.rs"]
mod storage;
#[path = "it/strangers.rs"]
mod strangers;
#[path = "it/subscription.rs"]
mod subscription;
#[path = "it/transfers.rs"]
mod transfers;
#[path = "it/versions.rs"]
mod versions;
#[path = "it/wiped.rs"]
mod wiped;
#[path = "it/wires.rs"]
mod wires;
