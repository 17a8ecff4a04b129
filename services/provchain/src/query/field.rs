//! Extension fields: those that the standard does not have.

use serde_json::{Map, Value};

use super::condition::{Op, key_of};
use super::prefixes::FieldName;
use super::sensor;
use crate::epcis::Event;
use crate::epcis::time::Timestamp;

/// What an extension field must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldTest {
    /// Where it stands.
    pub ground: Ground,
    /// Somewhere inside of another extension field, and not at the top.
    pub inner: bool,
    /// Its name.
    pub name: FieldName,
    /// What it must be.
    pub test: ValueTest,
}

/// Where an extension field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    Event,
    Ilmd,
    ErrorDeclaration,
    SensorElement,
    SensorMetadata,
    SensorReport,
    ReadPoint,
    BizLocation,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ValueTest {
    /// Anything.
    Exists,
    /// One of these.
    Equals(Vec<Wanted>),
    /// A number or a time that stands so to this one.
    Compares(Op, Wanted),
}

/// A value in a query, as all that it may mean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    text: String,
    number: Option<f64>,
    time: Option<Timestamp>,
    /// What it compares by if it is an identifier.
    key: Option<String>,
}

impl Wanted {
    /// A value as it stands in the query, and the IRI that it stands for there.
    pub(super) fn new(text: &str, iri: &str) -> Self {
        Self {
            text: text.to_owned(),
            number: text.parse().ok().filter(|number: &f64| number.is_finite()),
            time: Timestamp::parse(text),
            key: iri.contains(':').then(|| key_of(iri)).flatten(),
        }
    }

    /// Whether it can be compared by size.
    pub(super) fn has_size(&self) -> bool {
        self.number.is_some() || self.time.is_some()
    }

    fn is(&self, event: &Event, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                *text == self.text
                    || (self.time.is_some() && self.time == Timestamp::parse(text))
                    || (self.key.is_some() && self.key == key_of(&event.iri(text)))
            }
            Value::Number(number) => self.number.is_some() && self.number == number.as_f64(),
            Value::Bool(flag) => self.text == if *flag { "true" } else { "false" },
            _ => false,
        }
    }

    fn compares(&self, op: Op, value: &Value) -> bool {
        match value {
            Value::String(text) => match (Timestamp::parse(text), self.time) {
                (Some(time), Some(than)) => op.holds(&time, &than),
                _ => false,
            },
            Value::Number(number) => match (number.as_f64(), self.number) {
                (Some(number), Some(than)) => op.holds(&number, &than),
                _ => false,
            },
            _ => false,
        }
    }
}

impl ValueTest {
    fn holds(&self, event: &Event, value: &Value) -> bool {
        match (self, value) {
            (Self::Exists, _) => true,
            (_, Value::Array(items)) => items.iter().any(|item| self.holds(event, item)),
            (Self::Equals(wanted), value) => wanted.iter().any(|one| one.is(event, value)),
            (Self::Compares(op, than), value) => than.compares(*op, value),
        }
    }
}

impl FieldTest {
    /// Whether it holds of `event`.
    pub(super) fn holds(&self, event: &Event) -> bool {
        let object = |name: &str| event.value.get(name).and_then(Value::as_object);
        match self.ground {
            Ground::Event => event
                .value
                .as_object()
                .is_some_and(|it| self.within(event, it)),
            Ground::Ilmd => object("ilmd").is_some_and(|it| self.within(event, it)),
            Ground::ErrorDeclaration => {
                object("errorDeclaration").is_some_and(|it| self.within(event, it))
            }
            Ground::ReadPoint => object("readPoint").is_some_and(|it| self.within(event, it)),
            Ground::BizLocation => object("bizLocation").is_some_and(|it| self.within(event, it)),
            Ground::SensorElement => sensor::elements(event).any(|it| self.within(event, it)),
            Ground::SensorMetadata => sensor::elements(event)
                .flat_map(sensor::metadata)
                .any(|it| self.within(event, it)),
            Ground::SensorReport => sensor::elements(event)
                .flat_map(sensor::reports)
                .any(|it| self.within(event, it)),
        }
    }

    fn within(&self, event: &Event, members: &Map<String, Value>) -> bool {
        if self.inner {
            members
                .iter()
                .filter(|(name, _)| name.contains(':'))
                .any(|(_, value)| self.inside(event, value))
        } else {
            self.among(event, members)
        }
    }

    /// Whether it holds of a member of `members`.
    fn among(&self, event: &Event, members: &Map<String, Value>) -> bool {
        members
            .iter()
            .any(|(name, value)| self.is_named(event, name) && self.test.holds(event, value))
    }

    /// Whether it holds of anything in `value`, which nests no deeper than a capture may.
    fn inside(&self, event: &Event, value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| self.inside(event, item)),
            Value::Object(members) => {
                self.among(event, members)
                    || members.values().any(|value| self.inside(event, value))
            }
            _ => false,
        }
    }

    fn is_named(&self, event: &Event, name: &str) -> bool {
        match &self.name {
            FieldName::Iri(iri) => event.iri(name) == iri.as_str(),
            FieldName::Written(written) => name == written,
        }
    }
}
