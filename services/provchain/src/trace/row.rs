//! An event in a lineage, told in short.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Facts;
use crate::epcis::Event;
use crate::epcis::time::Timestamp;

/// An event as a lineage shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TraceEvent")]
pub struct EventRow {
    /// Its entry in the ledger.
    pub entry: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its `eventID`.
    #[serde(rename = "eventID", skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// The fields by which a person recognises it.
    #[serde(flatten)]
    pub summary: Value,
}

impl EventRow {
    /// The row of the event in `entry`. Its document says all of it: a verifier has no index.
    #[must_use]
    pub fn of(entry: u64, event: &Event) -> Self {
        Self {
            entry,
            kind: event.kind.name().to_owned(),
            id: event.id.clone(),
            summary: summary(event),
        }
    }
}

impl EventRow {
    /// A field of the summary that is a text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.summary.get(field)?.as_str()
    }

    /// What a filter asks of the event.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let time = self.text("eventTime").and_then(Timestamp::parse);
        Facts {
            kind: self.kind.clone(),
            time: time.map_or(0, |time| time.unix_micros),
            biz_step: self.text("bizStep").map(str::to_owned),
        }
    }
}

/// The fields by which a person recognises an event.
fn summary(event: &Event) -> Value {
    const FIELDS: [&str; 9] = [
        "eventTime",
        "action",
        "bizStep",
        "disposition",
        "readPoint",
        "bizLocation",
        "sourceList",
        "destinationList",
        "bizTransactionList",
    ];
    let fields = FIELDS
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), event.value.get(field)?.clone())));
    Value::Object(fields.collect())
}
