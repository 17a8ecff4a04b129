//! An event in a lineage, told in short.

use serde::Serialize;
use serde_json::Value;

use crate::epcis::Event;

/// An event as a lineage shows it.
#[derive(Clone, Debug, Serialize)]
pub struct EventRow {
    /// Its entry in the ledger.
    pub entry: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its `eventID`.
    #[serde(rename = "eventID", skip_serializing_if = "Option::is_none")]
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
