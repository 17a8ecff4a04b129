//! Which fields an event has, by its type (EPCIS 2.0, section 7.4).

use serde::Serialize;
use serde_json::{Map, Value};

use super::check::Checker;
use super::fields;
use super::issue::Rule;
use crate::rdf::pointer::At;

/// The types of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum EventType {
    /// Something happened to things.
    Object,
    /// Things were put into or taken out of a whole.
    Aggregation,
    /// Things became part of a business transaction.
    Transaction,
    /// Inputs were consumed and outputs made of them.
    Transformation,
    /// Things were attached to or taken off a whole, which may be a place.
    Association,
    /// A type of someone's own, as it was written. It may have any of the standard's fields; what
    /// they mean together is not known.
    Extension(String),
}

impl EventType {
    /// The name in the standard, or as it was written.
    pub fn name(&self) -> &str {
        match self {
            Self::Object => "ObjectEvent",
            Self::Aggregation => "AggregationEvent",
            Self::Transaction => "TransactionEvent",
            Self::Transformation => "TransformationEvent",
            Self::Association => "AssociationEvent",
            Self::Extension(name) => name,
        }
    }

    /// The type of this name; nothing if no event can have it.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ObjectEvent" => Self::Object,
            "AggregationEvent" => Self::Aggregation,
            "TransactionEvent" => Self::Transaction,
            "TransformationEvent" => Self::Transformation,
            "AssociationEvent" => Self::Association,
            other if other.contains(':') => Self::Extension(other.to_owned()),
            _ => return None,
        })
    }

    /// Whether the standard gives this type the field.
    fn has(&self, field: &str) -> bool {
        use EventType::{Aggregation, Association, Extension, Object, Transaction, Transformation};

        match field {
            "eventID"
            | "eventTime"
            | "recordTime"
            | "eventTimeZoneOffset"
            | "certificationInfo"
            | "errorDeclaration" => true,
            _ if matches!(self, Extension(_)) => true,
            "bizStep" | "disposition" | "readPoint" | "bizLocation" | "bizTransactionList"
            | "sourceList" | "destinationList" | "sensorElementList" => true,
            "action" => *self != Transformation,
            "epcList" | "quantityList" => matches!(self, Object | Transaction),
            "persistentDisposition" | "ilmd" => matches!(self, Object | Transformation),
            "parentID" => matches!(self, Aggregation | Transaction | Association),
            "childEPCs" | "childQuantityList" => matches!(self, Aggregation | Association),
            "inputEPCList" | "inputQuantityList" | "outputEPCList" | "outputQuantityList"
            | "transformationID" => *self == Transformation,
            _ => false,
        }
    }
}

impl From<EventType> for String {
    fn from(kind: EventType) -> Self {
        kind.name().to_owned()
    }
}

/// Checks one event, at `at`; returns its type if that is understood.
pub(super) fn check(
    checker: &mut Checker<'_>,
    event: &Map<String, Value>,
    at: &At<'_>,
) -> Option<EventType> {
    let Some(name) = event.get("type") else {
        checker.required(event, "type", at);
        return None;
    };
    let name = checker.string(name, &at.key("type"))?;
    let Some(kind) = EventType::parse(name) else {
        let message = format!(
            "{name:?} is not a type of event; the standard's are ObjectEvent, AggregationEvent, \
             TransactionEvent, TransformationEvent and AssociationEvent, and one of your own \
             needs a prefix"
        );
        checker.issue(Rule::Value, &at.key("type"), message);
        return None;
    };
    if matches!(kind, EventType::Extension(_)) {
        checker.uri(&event["type"], &at.key("type"));
    }
    for (field, value) in event {
        let here = at.key(field);
        match fields::check_of(field) {
            _ if field == "type" || field == "@context" => {}
            Some(check) if kind.has(field) => check(checker, value, &here),
            Some(_) => {
                let message = format!("{field} does not belong in a {}", kind.name());
                checker.issue(Rule::Forbidden, &here, message);
            }
            None => checker.extension(field, value, &here),
        }
    }
    checker.required(event, "eventTime", at);
    checker.required(event, "eventTimeZoneOffset", at);
    requirements(checker, &kind, event, at);
    Some(kind)
}

/// What must be there, and what excludes what, by type and action.
fn requirements(
    checker: &mut Checker<'_>,
    kind: &EventType,
    event: &Map<String, Value>,
    at: &At<'_>,
) {
    let filled = |field: &str| {
        event
            .get(field)
            .and_then(Value::as_array)
            .is_some_and(|items| !items.is_empty())
    };
    let action = event.get("action").and_then(Value::as_str);
    if kind.has("action") && !matches!(kind, EventType::Extension(_)) {
        checker.required(event, "action", at);
    }
    match kind {
        EventType::Object => {
            let senses = filled("sensorElementList") && event.contains_key("readPoint");
            if !filled("epcList") && !filled("quantityList") && !senses {
                let message = "an ObjectEvent names its objects in epcList or quantityList, or \
                               has a readPoint and a sensorElementList";
                checker.issue(Rule::Required, &at.key("epcList"), message);
            }
            if event.contains_key("ilmd") && matches!(action, Some("OBSERVE" | "DELETE")) {
                let message = "ilmd describes what begins to exist: only with the action ADD";
                checker.issue(Rule::Forbidden, &at.key("ilmd"), message);
            }
        }
        EventType::Aggregation | EventType::Association => {
            let optional = *kind == EventType::Aggregation && action == Some("OBSERVE");
            if !optional {
                checker.required(event, "parentID", at);
            }
            if !filled("childEPCs") && !filled("childQuantityList") && action != Some("DELETE") {
                let message = "the children are named in childEPCs or childQuantityList; only the \
                               action DELETE may leave them out, for all of them";
                checker.issue(Rule::Required, &at.key("childEPCs"), message);
            }
        }
        EventType::Transaction => {
            if !filled("bizTransactionList") {
                let message = "a TransactionEvent names at least one business transaction";
                checker.issue(Rule::Required, &at.key("bizTransactionList"), message);
            }
            let objects = filled("epcList") || filled("quantityList");
            if !objects && !event.contains_key("parentID") && action != Some("DELETE") {
                let message = "the objects are named in epcList, quantityList or parentID; only \
                               the action DELETE may leave them out, for all of them";
                checker.issue(Rule::Required, &at.key("epcList"), message);
            }
        }
        EventType::Transformation => {
            let inputs = filled("inputEPCList") || filled("inputQuantityList");
            let outputs = filled("outputEPCList") || filled("outputQuantityList");
            let continued = event.contains_key("transformationID");
            let missing = match (inputs, outputs) {
                (false, false) => Some("inputEPCList"),
                (false, true) if !continued => Some("inputEPCList"),
                (true, false) if !continued => Some("outputEPCList"),
                _ => None,
            };
            if let Some(field) = missing {
                let message = "a TransformationEvent has inputs and outputs; one of them may be \
                               left to other events with the same transformationID";
                checker.issue(Rule::Required, &at.key(field), message);
            }
        }
        EventType::Extension(_) => {}
    }
}
