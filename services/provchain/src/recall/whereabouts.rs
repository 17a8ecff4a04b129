//! Places and parties, and what became of a thing in the end: what events say of these.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shown;
use crate::epcis::identifier::Identifier;
use crate::trace::EventRow;

/// [`Ending::how`] of what went to a customer.
pub(super) const SOLD: &str = "sold";
/// [`Ending::how`] of what exists no more.
pub(super) const DESTROYED: &str = "destroyed";

/// The words of the Core Business Vocabulary (CBV 2.0, sections 7.1 and 7.2) that say of things that
/// they have left the chain: business steps, then dispositions.
const ENDS: [(&str, &str); 8] = [
    ("retail_selling", SOLD),
    ("dispensing", SOLD),
    ("destroying", DESTROYED),
    ("retail_sold", SOLD),
    ("dispensed", SOLD),
    ("partially_dispensed", SOLD),
    ("destroyed", DESTROYED),
    ("disposed", DESTROYED),
];

/// How an item left the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// `sold` (or dispensed), or `destroyed` (or disposed of).
    pub how: String,
    /// When, in UTC.
    pub time: String,
    /// The entry that says so.
    pub entry: u64,
}

/// A place where something affected was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// What it compares by.
    pub place: String,
    /// What it was to the events: `readPoint`, `bizLocation`, `source`, `destination`.
    pub roles: BTreeSet<String>,
    /// When something was there last, in UTC.
    pub last_time: String,
    /// The entry that says so.
    pub last_entry: u64,
    /// How many of the items were seen there last.
    pub items_last_seen: usize,
}

/// A party that something affected came from or went to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Party {
    /// What it compares by.
    pub party: String,
    /// What it was to the events: `source owning_party`, `destination possessing_party`, and so on.
    pub roles: BTreeSet<String>,
    /// When it was named last, in UTC.
    pub last_time: String,
    /// The entry that says so.
    pub last_entry: u64,
}

/// An event, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    pub time: i64,
    /// The business location, or else the read point.
    pub place: Option<String>,
    /// How the things in it left the chain, if they did.
    pub end: Option<&'static str>,
}

impl Happening {
    pub(super) fn of(row: &EventRow) -> Self {
        let words = [row.text("bizStep"), row.text("disposition")];
        let end = |word: &str| ENDS.iter().find(|(known, _)| *known == word);
        Self {
            time: row.facts().time,
            place: id_of(row, "bizLocation").or_else(|| id_of(row, "readPoint")),
            end: words
                .into_iter()
                .flatten()
                .find_map(end)
                .map(|(_, how)| *how),
        }
    }
}

/// What was seen of places and parties: their roles, and the last event that names them.
#[derive(Default)]
pub(super) struct Whereabouts {
    places: BTreeMap<String, Mention>,
    parties: BTreeMap<String, Mention>,
}

struct Mention {
    roles: BTreeSet<String>,
    last: (i64, u64),
}

impl Whereabouts {
    /// Takes in what an event says.
    pub(super) fn take(&mut self, row: &EventRow) {
        let at = (row.facts().time, row.entry);
        for role in ["readPoint", "bizLocation"] {
            if let Some(place) = id_of(row, role) {
                mention(&mut self.places, place, role.to_owned(), at);
            }
        }
        for role in ["source", "destination"] {
            for (kind, id) in ends_of_transfer(row, role) {
                if kind == "location" {
                    mention(&mut self.places, id, role.to_owned(), at);
                } else {
                    mention(&mut self.parties, id, format!("{role} {kind}"), at);
                }
            }
        }
    }

    /// The places, with the number of items that were last seen `here`, and the parties.
    pub(super) fn finish(self, here: &BTreeMap<String, usize>) -> (Vec<Place>, Vec<Party>) {
        let places = self.places.into_iter().map(|(place, mention)| Place {
            items_last_seen: here.get(&place).copied().unwrap_or_default(),
            place,
            roles: mention.roles,
            last_time: shown(mention.last.0),
            last_entry: mention.last.1,
        });
        let parties = self.parties.into_iter().map(|(party, mention)| Party {
            party,
            roles: mention.roles,
            last_time: shown(mention.last.0),
            last_entry: mention.last.1,
        });
        (places.collect(), parties.collect())
    }
}

fn mention(known: &mut BTreeMap<String, Mention>, id: String, role: String, at: (i64, u64)) {
    let mention = known.entry(id).or_insert_with(|| Mention {
        roles: BTreeSet::new(),
        last: at,
    });
    mention.roles.insert(role);
    mention.last = mention.last.max(at);
}

/// The key of the place in a field.
fn id_of(row: &EventRow, field: &str) -> Option<String> {
    let place = row.summary.get(field)?;
    Some(key(place.get("id")?.as_str()?))
}

/// The kind and key of every source or destination.
fn ends_of_transfer<'a>(row: &'a EventRow, role: &str) -> Vec<(&'a str, String)> {
    let list = row.summary.get(format!("{role}List"));
    let list = list.and_then(Value::as_array).into_iter().flatten();
    let end = |end: &'a Value| Some((end.get("type")?.as_str()?, key(end.get(role)?.as_str()?)));
    list.filter_map(end).collect()
}

/// What an identifier compares by, whichever way it is spelled.
fn key(text: &str) -> String {
    Identifier::parse(text).map_or_else(|_| text.to_owned(), |found| found.key.to_string())
}
