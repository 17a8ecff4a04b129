#![doc = include_str!("../README.md")]

pub mod backup;
pub mod cli;
pub mod clock;
pub mod fsync;
pub mod health;
pub mod metrics;
pub mod problem;
pub mod rate;
pub mod serve;
pub mod settings;
pub mod shutdown;
pub mod systemd;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
pub mod tokens;

/// The allocator of every program that is made with this crate: glibc's took a seventh of the time of
/// a node's serving thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
