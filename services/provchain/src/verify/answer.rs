//! Checking an answer to a trace against the entries that are proven with it.
//!
//! A proof shows what was recorded, not that the answer around it says the same. So everything that
//! the answer says of those entries is worked out from them again, as the node did from its index.
//! What is left to believe is that no other event belongs to it: the proof of an absence is none of
//! the ledger's. The node's signature under question and entries is what it can be held to.

use serde::Serialize;
use serde_json::Value;

use crate::documents;
use crate::epcis;
use crate::epcis::identifier::Identifier;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::declaration::Doubt;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{Disclosed, ProofFile, ProvenEntry};
use crate::trace::{self, Answer, EventLinks, EventRow, Limits, Lineage, Step};

/// What the entries of a proof give, asked the same.
#[derive(Debug)]
pub struct Recomputed {
    /// The walk.
    pub lineage: Lineage,
    /// The events that it rests on.
    pub rows: Vec<EventRow>,
}

/// Works an answer out again from the entries of its `proof`, which has to hold under `checkpoint`.
///
/// # Errors
/// What the answer says otherwise than these entries.
pub fn check(
    answer: &Answer,
    proof: &ProofFile,
    checkpoint: &Checkpoint,
    trusted: &[VerifierKey],
) -> Result<Recomputed, Vec<String>> {
    let mut differences = Vec::new();
    let asked = Identifier::parse(&answer.epc);
    if !asked.is_ok_and(|asked| asked.key.as_str() == answer.item) {
        let (epc, item) = (&answer.epc, &answer.item);
        differences.push(format!("item: {epc} is not compared by {item}"));
    }
    if answer.tree_size != checkpoint.size {
        let (said, size) = (answer.tree_size, checkpoint.size);
        differences.push(format!(
            "treeSize: it is {said}, and the proof is of a tree of {size}"
        ));
    }
    let entries = proof.entries.iter().map(|entry| entry.index);
    let attestation = trace::attestation(&checkpoint.origin, &answer.question(), entries);
    // With no trusted keys the signature is not looked at: then anyone could have made it.
    let checked = match (&answer.attestation, trusted) {
        (None, _) => Err("there is none".to_owned()),
        (Some(note), []) => attestation.read(note).map(drop).map_err(doubt),
        (Some(note), keys) => attestation.check(note, keys).map_err(doubt),
    };
    if let Err(reason) = checked {
        differences.push(format!("attestation: {reason}"));
    }
    match recompute(answer, proof) {
        Ok(found) => {
            compare(answer, &found, proof, &mut differences);
            if differences.is_empty() {
                return Ok(found);
            }
        }
        Err(reason) => differences.push(reason),
    }
    Err(differences)
}

fn doubt(doubt: Doubt) -> String {
    match doubt {
        Doubt::Other => "it is of another question, or of an answer with other entries".to_owned(),
        Doubt::Note(error) => error.to_string(),
    }
}

fn recompute(answer: &Answer, proof: &ProofFile) -> Result<Recomputed, String> {
    let limits = Limits {
        depth_max: answer.depth,
        ..Limits::default()
    };
    if answer.truncated && proof.entries.len() >= limits.events_max {
        return Err(format!(
            "truncated: a walk that ended at {} events cannot be done again without the others; ask for fewer steps",
            limits.events_max
        ));
    }
    let filter = answer
        .filter
        .read()
        .map_err(|reason| format!("filter: {reason}"))?;
    let mut links = EventLinks::default();
    let mut rows = Vec::new();
    for entry in &proof.entries {
        let event = event(entry)?;
        let row = EventRow::of(entry.index, &event);
        links.take(&row, &event);
        rows.push(row);
    }
    let Ok(lineage) = trace::walk(&mut links, &answer.item, answer.direction, &filter, limits);
    rows.retain(|row| lineage.entries.contains(&row.entry));
    Ok(Recomputed { lineage, rows })
}

fn compare(answer: &Answer, found: &Recomputed, proof: &ProofFile, differences: &mut Vec<String>) {
    let lineage = &found.lineage;
    let steps: Vec<&Step> = lineage.steps.iter().collect();
    let transactions: Vec<&String> = lineage.transactions.iter().collect();
    differences.extend(
        [
            difference("items", &answer.items, &lineage.items),
            difference("steps", &answer.steps, &steps),
            difference("events", &answer.events, &found.rows),
            difference("transactions", &answer.transactions, &transactions),
        ]
        .into_iter()
        .flatten(),
    );
    if answer.truncated != lineage.truncated {
        differences.push(format!(
            "truncated: it is {}, not {}",
            lineage.truncated, answer.truncated
        ));
    }
    let beside = proof.entries.iter().map(|entry| entry.index);
    let beside = beside.filter(|index| !lineage.entries.contains(index));
    differences.extend(
        beside.map(|index| format!("proof: entry {index} is none that the answer rests on")),
    );
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
pub(super) fn difference<A: Serialize, B: Serialize>(
    what: &str,
    said: &[A],
    found: &[B],
) -> Option<String> {
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
