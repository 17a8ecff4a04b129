#![doc = include_str!("../README.md")]

pub mod catalogue;
mod cluster;
mod error;
mod health;
pub mod log;
mod network;
mod node;
mod ports;
mod process;
mod program;
mod secret;
mod workspace;

pub use catalogue::Catalogue;
pub use cluster::{Builder, Cluster, Opened, Status, Suggestion, table};
pub use error::{Error, Result};
pub use health::{Answer, Health};
pub use network::{Conditions, Flow, Link, Network};
pub use node::Node;
pub use ports::PortPlan;
pub use process::{Identity, Process, Signal, orphans};
pub use workspace::Workspace;
