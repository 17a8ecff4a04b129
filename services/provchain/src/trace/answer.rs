//! The answer to a question, as it is sent and kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Direction, EventRow, Filter, Lineage, Question, Reached, Step};

/// What a walk found, and what was asked. A member that is not checked is not accepted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Trace")]
pub struct Answer {
    /// What was asked for.
    pub epc: String,
    /// What it compares by.
    pub item: String,
    /// Which way was walked.
    pub direction: Direction,
    /// The most steps that the walk took from the item.
    pub depth: u32,
    /// Which events were followed.
    #[serde(skip_serializing_if = "Filter::is_empty", default)]
    pub filter: Filter,
    /// The number of entries of the ledger that took part: all below it.
    pub tree_size: u64,
    /// The items, in the order in which they were reached; the first is the start.
    pub items: Vec<Reached>,
    /// The steps between them.
    pub steps: Vec<Step>,
    /// The events that the answer rests on.
    pub events: Vec<EventRow>,
    /// The business transactions that these were part of.
    pub transactions: Vec<String>,
    /// Whether a limit cut the answer short.
    pub truncated: bool,
    /// The node's signature under the question and the entries: its [`attestation`](super::attestation()).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attestation: Option<String>,
    /// The proof file of the entries; its own reader says what is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<crate::ledger::proof::ProofFile>")]
    pub proof: Option<Box<RawValue>>,
}

impl Answer {
    /// The answer to `question`, without proofs.
    #[must_use]
    pub fn new(question: Question, lineage: &Lineage, events: Vec<EventRow>) -> Self {
        Self {
            epc: question.epc,
            item: question.item,
            direction: question.direction,
            depth: question.depth,
            filter: question.filter,
            tree_size: question.tree_size,
            items: lineage.items.clone(),
            steps: lineage.steps.iter().cloned().collect(),
            events,
            transactions: lineage.transactions.iter().cloned().collect(),
            truncated: lineage.truncated,
            attestation: None,
            proof: None,
        }
    }

    /// What was asked.
    #[must_use]
    pub fn question(&self) -> Question {
        Question {
            epc: self.epc.clone(),
            item: self.item.clone(),
            direction: self.direction,
            depth: self.depth,
            filter: self.filter.clone(),
            tree_size: self.tree_size,
        }
    }
}
