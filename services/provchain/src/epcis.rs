#![doc = include_str!("epcis/README.md")]

pub mod capture;
mod check;
mod document;
mod event;
pub mod event_hash;
mod fields;
pub mod identifier;
mod issue;
mod json;
mod limits;
pub mod links;
pub mod time;
pub mod xml;

pub use document::{Document, Event, EventStatements, canonicalise_document};
pub use event::EventType;
pub use issue::{Issue, Rule};
pub use limits::Limits;
pub use links::LinkSet;
