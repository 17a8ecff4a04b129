//! A recall: everything that a batch, a lot or a pallet affects, with the entry that says so.
//!
//! A [`Dossier`] is the answer to a trace downwards, and lists that follow from it: what is affected,
//! where it was last seen, who had it, and what has reached the end of the chain. The lists are worked
//! out from the events of the answer and nothing else, so that a verifier does it again. [`page`]
//! writes it for people.
//!
//! Where a thing was last seen is the last place where it *or what it was in* was seen: a shop reads
//! the pallet, not the packs on it.

mod last_seen;
mod page;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::last_seen::LastSeen;
pub use self::page::page;
use self::whereabouts::Happening;
pub use self::whereabouts::{Ending, Party, Place};
use crate::epcis::identifier::{Identifier, Level};
use crate::epcis::time::Timestamp;
use crate::trace::{Answer, Filter, Lineage};

/// The value of [`Dossier::format`].
pub const FORMAT: &str = "provchain-recall";

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// What was asked: the trace's own question again, for who reads no further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RecallQuestion")]
pub struct Question {
    /// The identifier, as it was written.
    pub epc: String,
    /// What it compares by.
    pub item: String,
    /// The most steps from it.
    pub depth: u32,
    /// Which events were followed.
    #[serde(skip_serializing_if = "Filter::is_empty", default)]
    pub filter: Filter,
}

/// The counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RecallSummary")]
pub struct Summary {
    /// Batches, lots and mere classes that are affected.
    pub batches: usize,
    /// Single things that are affected.
    pub instances: usize,
    /// Places where any of it was.
    pub places: usize,
    /// Parties that had any of it.
    pub parties: usize,
    /// Items that were sold or dispensed.
    pub sold: usize,
    /// Items that were destroyed or disposed of.
    pub destroyed: usize,
    /// Items of which no event says where they were.
    pub unplaced: usize,
    /// Events that this rests on.
    pub events: usize,
    /// The time of the first of these that tells of an item.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_time: Option<String>,
    /// The time of the last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_time: Option<String>,
    /// Whether a limit cut the answer short: then there is more.
    pub truncated: bool,
}

/// An item that is affected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Affected {
    /// What it compares by.
    pub item: String,
    /// The fewest steps from what is recalled.
    pub depth: u32,
    /// Whether only its class is known: which ones are affected is not.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub class: bool,
    /// Where it was seen last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seen: Option<Seen>,
    /// How it left the chain.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end: Option<Ending>,
}

/// A place and a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Where, if any event says so: the business location, or else the read point.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub place: Option<String>,
    /// When, in UTC.
    pub time: String,
    /// The entry that says so.
    pub entry: u64,
    /// What it was in, if not itself but that was seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub within: Option<String>,
}

/// What is known of a recall, with the proof of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Recall")]
pub struct Dossier {
    /// Always [`FORMAT`].
    pub format: String,
    /// The version: [`VERSION`].
    pub version: u32,
    /// What was asked.
    pub question: Question,
    /// The number of entries of the ledger that took part: all below it.
    pub as_of: u64,
    /// The counts.
    pub summary: Summary,
    /// Batches, lots and classes, in the order in which they were reached.
    pub batches: Vec<Affected>,
    /// Single things, in the order in which they were reached.
    pub instances: Vec<Affected>,
    /// The places, by identifier.
    pub places: Vec<Place>,
    /// The parties, by identifier.
    pub parties: Vec<Party>,
    /// The answer that this follows from.
    pub trace: Answer,
}

impl Dossier {
    /// The dossier that follows from a walk and the `answer` that tells of it.
    #[must_use]
    pub fn new(answer: Answer, lineage: &Lineage) -> Self {
        let events: HashMap<u64, Happening> = answer
            .events
            .iter()
            .map(|row| (row.entry, Happening::of(row)))
            .collect();
        let mut last_seen = LastSeen::of(lineage, &events);
        let told: BTreeSet<u64> = last_seen.entries();
        let mut whereabouts = whereabouts::Whereabouts::default();
        let mut times = BTreeSet::new();
        for row in answer.events.iter().filter(|row| told.contains(&row.entry)) {
            whereabouts.take(row);
            times.insert(events.get(&row.entry).map_or(0, |event| event.time));
        }
        let (mut batches, mut instances) = (Vec::new(), Vec::new());
        let mut here: BTreeMap<String, usize> = BTreeMap::new();
        for (place, reached) in lineage.items.iter().enumerate() {
            let seen = last_seen.of_item(place);
            let end = last_seen.end(place, seen.as_ref());
            let seen = seen.and_then(|last| {
                let event = events.get(&last.entry)?;
                let within = last.within.and_then(|whole| lineage.items.get(whole));
                Some(Seen {
                    place: event.place.clone(),
                    time: shown(event.time),
                    entry: last.entry,
                    within: within.map(|whole| whole.item.clone()),
                })
            });
            if let Some(place) = seen.as_ref().and_then(|seen| seen.place.clone()) {
                *here.entry(place).or_default() += 1;
            }
            let affected = Affected {
                item: reached.item.clone(),
                depth: reached.depth,
                class: reached.class,
                last_seen: seen,
                end,
            };
            if is_batch(&affected) {
                batches.push(affected);
            } else {
                instances.push(affected);
            }
        }
        let (places, parties) = whereabouts.finish(&here);
        let items = || batches.iter().chain(&instances);
        let ended = |how: &str| {
            let ends = items().filter_map(|item| item.end.as_ref());
            ends.filter(|end| end.how == how).count()
        };
        let placed: usize = here.values().sum();
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            question: Question {
                epc: answer.epc.clone(),
                item: answer.item.clone(),
                depth: answer.depth,
                filter: answer.filter.clone(),
            },
            as_of: answer.tree_size,
            summary: Summary {
                batches: batches.len(),
                instances: instances.len(),
                places: places.len(),
                parties: parties.len(),
                sold: ended(whereabouts::SOLD),
                destroyed: ended(whereabouts::DESTROYED),
                unplaced: lineage.items.len() - placed,
                events: answer.events.len(),
                first_time: times.first().map(|time| shown(*time)),
                last_time: times.last().map(|time| shown(*time)),
                truncated: answer.truncated,
            },
            batches,
            instances,
            places,
            parties,
            trace: answer,
        }
    }
}

fn is_batch(affected: &Affected) -> bool {
    let level = Identifier::parse(&affected.item).map(|identifier| identifier.level);
    affected.class || matches!(level, Ok(Level::Lot | Level::Class))
}

/// A time as a dossier tells it.
fn shown(unix_micros: i64) -> String {
    Timestamp { unix_micros }.to_string()
}

#[cfg(test)]
mod tests;
