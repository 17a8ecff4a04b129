//! What sensors say: `sensorElementList`.

use serde_json::{Map, Value};

use super::condition::{NumberTest, key, list};
use super::word::spelled;
use crate::epcis::Event;
use crate::rdf::vocabulary::MEASUREMENT_TYPE;

/// What an attribute of a sensor's metadata or report must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SensorTest {
    /// The type of what was measured is one of these.
    Type(Vec<String>),
    /// An identifier is one of these keys.
    Key(&'static str, Vec<String>),
    /// A text is one of these.
    Text(&'static str, Vec<String>),
    /// `hexBinaryValue` is one of these, in small letters.
    Hex(Vec<String>),
    /// `booleanValue` is this.
    Flag(bool),
    /// A number is so, in a report with this unit.
    Number(&'static str, Option<String>, NumberTest),
}

impl SensorTest {
    /// Whether it holds of any metadata or report in `event`.
    pub(super) fn holds(&self, event: &Event) -> bool {
        parts(event).any(|part| {
            let text = |name: &str| part.get(name).and_then(Value::as_str);
            match self {
                Self::Type(types) => text("type").is_some_and(|kind| {
                    types.contains(&spelled(&MEASUREMENT_TYPE, kind, |text| event.iri(text)))
                }),
                Self::Key(name, keys) => part
                    .get(*name)
                    .and_then(|value| key(event, value))
                    .is_some_and(|key| keys.contains(&key)),
                Self::Text(name, texts) => {
                    text(name).is_some_and(|text| texts.iter().any(|one| one == text))
                }
                Self::Hex(texts) => text("hexBinaryValue")
                    .is_some_and(|text| texts.contains(&text.to_ascii_lowercase())),
                Self::Flag(flag) => part.get("booleanValue") == Some(&Value::Bool(*flag)),
                Self::Number(name, uom, test) => {
                    let unit = uom.as_ref().is_none_or(|uom| text("uom") == Some(uom));
                    unit && part.get(*name).is_some_and(|value| test.holds(value))
                }
            }
        })
    }
}

/// The metadata and the reports of all sensors of an event.
pub(super) fn parts(event: &Event) -> impl Iterator<Item = &Map<String, Value>> {
    elements(event).flat_map(|element| metadata(element).chain(reports(element)))
}

/// The elements of the list.
pub(super) fn elements(event: &Event) -> impl Iterator<Item = &Map<String, Value>> {
    list(&event.value["sensorElementList"])
        .iter()
        .filter_map(Value::as_object)
}

/// What an element says of its reports together.
pub(super) fn metadata(element: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    element
        .get("sensorMetadata")
        .and_then(Value::as_object)
        .into_iter()
}

/// What an element reports.
pub(super) fn reports(element: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    element
        .get("sensorReport")
        .map_or(&[][..], list)
        .iter()
        .filter_map(Value::as_object)
}
