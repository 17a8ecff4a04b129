#![doc = include_str!("../README.md")]

mod backup;
mod channel;
mod cli;
mod cluster;
mod codec;
mod core;
mod database;
mod disk;
mod formation;
mod greet;
mod host;
mod identity;
mod log;
mod machine;
mod members;
mod peer;
mod propose;
mod raft;
mod read;
mod settings;
mod start;
mod state;
mod status;
mod subscribe;
mod wire;

pub use self::backup::{DatabaseBackup, StateBackup};
pub use self::channel::AskError;
pub use self::cli::backup::{BackupCommand, run as run_backup, scratch as backup_scratch};
pub use self::cli::{ClusterCommand, run as run_command};
pub use self::cluster::{Cluster, Proposed, RequestId, Session};
pub use self::machine::{ApplyError, EntryInfo, Machine};
pub use self::propose::ProposeError;
pub use self::read::{Consistency, Read, ReadError};
pub use self::settings::{NodeConfig, Settings};
pub use self::start::StartError;
pub use self::state::{digest, state_path};
pub use self::status::{MemberStatus, Role, Status};
pub use self::subscribe::{Applied, SubscribeError};

/// The seams to a disk and to a simulated host, a faulty disk, and what peers say to each other.
#[cfg(feature = "testing")]
pub mod testing {
    pub use crate::cli::output as command_output;
    pub use crate::disk::pretend_free;
    pub use crate::host::{Host, Wire, enter as enter_host};
    pub use crate::log::faulty::{FaultyLog, Power};
    pub use crate::log::{Loaded, LogIo, LogRead, Record, SqliteLog};

    /// The messages of `proto/consensus.proto`.
    pub mod wire {
        #![allow(missing_docs)]
        pub use crate::wire::*;
    }
}
