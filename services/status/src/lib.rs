#![doc = include_str!("../README.md")]

pub mod api;
pub mod cli;
pub mod report;
pub mod rule;
pub mod server;
pub mod settings;
pub mod store;
pub mod targets;
pub mod watch;
