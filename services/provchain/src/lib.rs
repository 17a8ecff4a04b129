#![doc = include_str!("../README.md")]

pub mod access;
pub mod api;
pub mod cli;
pub mod documents;
pub mod epcis;
pub mod index;
pub mod ledger;
pub mod machine;
pub mod query;
pub mod rdf;
pub mod recall;
pub mod sample;
pub mod server;
pub mod settings;
pub mod trace;
pub mod verify;
