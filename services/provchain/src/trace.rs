//! Where a thing came from and what became of it: a walk over the links of events.
//!
//! The meaning of the links is that of [`crate::epcis::links`]. The walk carries a window of time:
//! what a pallet does after a case has left it says nothing about the case.
//!
//! - Down: from an input to every output of its transformation, from a part to its whole for as
//!   long as it is in it, from a lot to the instances of which it is known.
//! - Up: the other way, so that what a walk down from there would not find is not found: never
//!   behind the event that led here, and from a whole only to parts that were still in it then.
//! - Business transactions are reported with every item that they name. They are followed where
//!   the walk begins at one: through a shared order everything would come from everything.
//! - Items of which only the class is known are reported and not followed, for the same reason.
//! - A [`Filter`] narrows the walk to the events that pass it; any other leads nowhere. It never
//!   widens it: an event that takes a part out of its whole ends the stay, whether it passes or not.

mod answer;
mod attestation;
pub mod draw;
mod event_links;
mod filter;
mod row;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::answer::Answer;
pub use self::attestation::{Question, attestation};
pub use self::event_links::EventLinks;
pub use self::filter::{Facts, Filter, Passes};
pub use self::row::EventRow;
pub use self::walk::walk;
use crate::epcis::links::{Action, Role};

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To what it came from.
    Up,
    /// To what became of it.
    Down,
}

impl Direction {
    /// The word for it, in questions and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// How far to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps from the start.
    pub depth_max: u32,
    /// Items in the answer.
    pub items_max: usize,
    /// Events in the answer.
    pub events_max: usize,
    /// Links looked at: an item with a long life is looked at once for every time that it held
    /// something, so that a small answer can be much work.
    pub links_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 64,
            items_max: 10_000,
            events_max: 50_000,
            links_max: 2_000_000,
        }
    }
}

/// One identifier in one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The event's entry in the ledger.
    pub entry: u64,
    /// What the identifier is to the event.
    pub role: Role,
    /// The event's action.
    pub action: Option<Action>,
    /// The event's time, in microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}

/// An item as an event names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What it compares by.
    pub item: String,
    /// Whether only its class is known.
    pub class: bool,
}

/// Where links are read from.
pub trait Links {
    /// What reading can fail with.
    type Error;

    /// Every event that names `item`, in the order of event time.
    fn touches(&mut self, item: &str) -> Result<Vec<Touch>, Self::Error>;
    /// The identifiers with `role` in the event of `entry`.
    fn named(&mut self, entry: u64, role: Role) -> Result<Vec<Named>, Self::Error>;
    /// The lots that `item` is known to be of, each with every entry that says so; in this order.
    fn lots_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Self::Error>;
    /// The instances known to be of the lot `item`, each with every entry that says so; in this
    /// order.
    fn instances_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Self::Error>;
    /// What a filter asks of the event of `entry`.
    fn facts(&mut self, entry: u64) -> Result<Option<Facts>, Self::Error>;
}

/// Why one item leads to another.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Input and output of a transformation.
    Transformation,
    /// Part and whole of an aggregation or association.
    Aggregation,
    /// A business transaction and an item in it.
    Transaction,
    /// A lot and an instance of it.
    Lot,
}

/// A step of the walk. It goes the way that the goods went: from what was before to what became of
/// it, whichever way was walked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What was before.
    pub from: String,
    /// What became of it.
    pub to: String,
    /// Why.
    pub via: Via,
    /// The entry that says so.
    pub entry: u64,
}

/// An item that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// What it compares by.
    pub item: String,
    /// The fewest steps from the start.
    pub depth: u32,
    /// Whether only its class is known: it was not followed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub class: bool,
}

/// The answer of a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The items, in the order in which they were reached; the first is the start.
    pub items: Vec<Reached>,
    /// The steps between them.
    pub steps: BTreeSet<Step>,
    /// The entries of all events that the items took part in, within their windows; and of those
    /// that say of which lot an instance is, or until when a part was in its whole, which need not
    /// pass the filter. Whoever has these events and no other walks the same way: that is how an
    /// answer is verified.
    pub entries: BTreeSet<u64>,
    /// The business transactions that the events among these were part of that pass the filter.
    pub transactions: BTreeSet<String>,
    /// The events that the items took part in, within their windows.
    pub sightings: BTreeSet<Sighting>,
    /// How long the items were in others: of a walk down only.
    pub stays: BTreeMap<Stay, i64>,
    /// Whether a limit cut the walk short.
    pub truncated: bool,
}

/// An event that an item took part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// The place of the item in [`Lineage::items`].
    pub item: usize,
    /// The event's time, in microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
    /// The event's entry.
    pub entry: u64,
    /// What the item is to it.
    pub role: Role,
}

/// A part in its whole. In [`Lineage::stays`] stands until when, in microseconds since
/// 1970-01-01T00:00:00Z; that end belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stay {
    /// The place of the part in [`Lineage::items`].
    pub part: usize,
    /// Since when, in microseconds.
    pub since: i64,
    /// The place of the whole in [`Lineage::items`].
    pub whole: usize,
}

#[cfg(test)]
mod tests;
