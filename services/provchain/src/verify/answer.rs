//! Checking an answer to a trace against the entries that are proven with it.
//!
//! A proof shows what was recorded, not that the answer around it says the same. So everything that
//! the answer says of those entries is worked out from them again, as the node did from its index.
//! What is left to believe is that no other event belongs to it: the proof of an absence is none of
//! the ledger's.

mod links;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use self::links::EventLinks;
use crate::documents;
use crate::epcis;
use crate::epcis::identifier::Identifier;
use crate::ledger::proof::{Disclosed, ProofFile, ProvenEntry};
use crate::trace::{self, Direction, EventRow, Limits, Reached, Step};

/// An answer to a trace, nothing of it believed. A member that is not checked is not accepted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    epc: String,
    item: String,
    direction: Direction,
    depth: u32,
    tree_size: u64,
    items: Vec<Reached>,
    steps: Vec<Step>,
    events: Vec<Value>,
    transactions: Vec<String>,
    truncated: bool,
    /// The proof file; its own reader says what is wrong with it.
    pub proof: Box<RawValue>,
}

impl Answer {
    /// What the answer says otherwise than the entries of its proof, which has to hold; nothing if
    /// they say the same.
    #[must_use]
    pub fn differences(&self, proof: &ProofFile, tree_size: u64) -> Vec<String> {
        let mut differences = Vec::new();
        let asked = Identifier::parse(&self.epc);
        if !asked.is_ok_and(|asked| asked.key.as_str() == self.item) {
            let (epc, item) = (&self.epc, &self.item);
            differences.push(format!("item: {epc} is not compared by {item}"));
        }
        if self.tree_size > tree_size {
            let said = self.tree_size;
            differences.push(format!(
                "treeSize: it is {said}, and the proof is of a tree of {tree_size}"
            ));
        }
        match self.recompute(proof) {
            Ok(found) => self.compare(&found, proof, &mut differences),
            Err(reason) => differences.push(reason),
        }
        differences
    }

    fn recompute(&self, proof: &ProofFile) -> Result<Found, String> {
        let limits = Limits {
            depth_max: self.depth,
            ..Limits::default()
        };
        if self.truncated && proof.entries.len() >= limits.events_max {
            return Err(format!(
                "truncated: a walk that ended at {} events cannot be done again without the others; ask for fewer steps",
                limits.events_max
            ));
        }
        let mut links = EventLinks::default();
        let mut rows = Vec::new();
        for entry in &proof.entries {
            let event = event(entry)?;
            links.take(entry.index, &event);
            rows.push(EventRow::of(entry.index, &event));
        }
        let Ok(lineage) = trace::walk(&mut links, &self.item, self.direction, limits);
        rows.retain(|row| lineage.entries.contains(&row.entry));
        Ok(Found { lineage, rows })
    }

    fn compare(&self, found: &Found, proof: &ProofFile, differences: &mut Vec<String>) {
        let lineage = &found.lineage;
        let steps: Vec<&Step> = lineage.steps.iter().collect();
        let transactions: Vec<&String> = lineage.transactions.iter().collect();
        differences.extend(
            [
                difference("items", &self.items, &lineage.items),
                difference("steps", &self.steps, &steps),
                difference("events", &self.events, &found.rows),
                difference("transactions", &self.transactions, &transactions),
            ]
            .into_iter()
            .flatten(),
        );
        if self.truncated != lineage.truncated {
            differences.push(format!(
                "truncated: it is {}, not {}",
                lineage.truncated, self.truncated
            ));
        }
        let beside = proof.entries.iter().map(|entry| entry.index);
        let beside = beside.filter(|index| !lineage.entries.contains(index));
        differences.extend(
            beside.map(|index| format!("proof: entry {index} is none that the answer rests on")),
        );
    }
}

/// What the proven entries give.
struct Found {
    lineage: trace::Lineage,
    rows: Vec<EventRow>,
}

fn event(entry: &ProvenEntry) -> Result<epcis::Event, String> {
    let index = entry.index;
    let Disclosed::Whole { document, .. } = &entry.disclosed else {
        return Err(format!(
            "proof: entry {index} is not disclosed, so that nothing can be said of its event"
        ));
    };
    // The limits that the index has.
    documents::read(document.as_bytes(), &epcis::Limits::stored())
        .map_err(|reason| format!("proof: entry {index}: {reason}"))
}

/// The first place where two lists are not the same.
fn difference<A: Serialize, B: Serialize>(what: &str, said: &[A], found: &[B]) -> Option<String> {
    let said: Vec<Value> = said.iter().map(value).collect();
    let found: Vec<Value> = found.iter().map(value).collect();
    let longer = said.len().max(found.len());
    let place = (0..longer).find(|place| said.get(*place) != found.get(*place))?;
    let shown = |list: &[Value]| list.get(place).map_or("nothing".into(), Value::to_string);
    Some(format!(
        "{what}: number {place} is {} in the answer, and {} by the entries",
        shown(&said),
        shown(&found)
    ))
}

fn value(item: &impl Serialize) -> Value {
    serde_json::to_value(item).unwrap_or_default()
}
