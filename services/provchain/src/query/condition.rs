//! One parameter's condition, and whether it holds of an event.

use serde_json::Value;

use super::fact;
use super::field::FieldTest;
use super::pattern::KeyPattern;
use super::sensor::{self, SensorTest};
use super::word::{Word, spelled};
use crate::epcis::Event;
use crate::epcis::identifier::Identifier;
use crate::epcis::links::{Action, Role};
use crate::epcis::time::Timestamp;
use crate::rdf::vocabulary::{BIZ_TRANSACTION_TYPE, ERROR_REASON, SOURCE_DEST_TYPE, Vocabulary};

/// What must hold of an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// A time is on this side of another.
    Time(Clock, Edge, Timestamp),
    /// The action is one of these.
    Action(Vec<Action>),
    /// A word is one of these.
    Word(Word, Vec<String>),
    /// An identifier is one of these keys.
    Place(Place, Vec<String>),
    /// An identifier in one of these fields is like one of these.
    Match(fact::Fields, Vec<KeyPattern>),
    /// The `eventID` is one of these.
    EventId(Vec<String>),
    /// There is such a part.
    Exists(Part),
    /// The reason of the error declaration is one of these.
    ErrorReason(Vec<String>),
    /// One of the corrective events is one of these.
    CorrectiveEventId(Vec<String>),
    /// A transaction, source or destination of this type is one of these keys.
    Party(Party, String, Vec<String>),
    /// A quantity is so; of this unit, where one is given.
    Quantity(Option<String>, NumberTest),
    /// A sensor says so.
    Sensor(SensorTest),
    /// An extension field is so.
    Field(FieldTest),
}

/// A time that events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// `eventTime`.
    Event,
    /// When the ledger took it in.
    Record,
    /// `declarationTime` of the error declaration.
    Declaration,
    /// A time that a sensor's metadata or report has.
    Sensor(&'static str),
}

/// A side of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Then or later.
    From,
    /// Earlier.
    Before,
}

/// A field with one identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    ReadPoint,
    BizLocation,
    Transformation,
}

/// A list of identifiers with types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Transaction,
    Source,
    Destination,
}

/// A part that few events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    ErrorDeclaration,
    Sensors,
    Ilmd,
    /// A field that is none of the standard's.
    Extension,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Gt,
    Ge,
    Lt,
    Le,
}

/// What a number must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NumberTest {
    pub op: Op,
    /// One of these is enough.
    pub than: Vec<f64>,
}

impl Edge {
    fn holds(self, time: Timestamp, than: Timestamp) -> bool {
        match self {
            Self::From => time >= than,
            Self::Before => time < than,
        }
    }
}

impl Place {
    /// The role under which an index has the field.
    pub const fn role(self) -> Role {
        match self {
            Self::ReadPoint => Role::ReadPoint,
            Self::BizLocation => Role::BizLocation,
            Self::Transformation => Role::Transformation,
        }
    }

    fn of(self, event: &Event) -> &Value {
        match self {
            Self::ReadPoint => &event.value["readPoint"]["id"],
            Self::BizLocation => &event.value["bizLocation"]["id"],
            Self::Transformation => &event.value["transformationID"],
        }
    }
}

impl Party {
    /// The role under which an index has the field.
    pub const fn role(self) -> Role {
        match self {
            Self::Transaction => Role::Transaction,
            Self::Source => Role::Source,
            Self::Destination => Role::Destination,
        }
    }

    /// The list in an event, and where in its elements the identifier stands.
    const fn field(self) -> (&'static str, &'static str) {
        match self {
            Self::Transaction => ("bizTransactionList", "bizTransaction"),
            Self::Source => ("sourceList", "source"),
            Self::Destination => ("destinationList", "destination"),
        }
    }

    /// The words of its types.
    pub const fn types(self) -> &'static Vocabulary {
        match self {
            Self::Transaction => &BIZ_TRANSACTION_TYPE,
            Self::Source | Self::Destination => &SOURCE_DEST_TYPE,
        }
    }
}

impl Part {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [
        Self::ErrorDeclaration,
        Self::Sensors,
        Self::Ilmd,
        Self::Extension,
    ];

    /// What an index calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorDeclaration => "errorDeclaration",
            Self::Sensors => "sensorElementList",
            Self::Ilmd => "ilmd",
            Self::Extension => "extension",
        }
    }

    /// Whether `event` has it.
    pub(super) fn is_in(self, event: &Event) -> bool {
        match self {
            Self::Extension => event
                .value
                .as_object()
                .is_some_and(|members| members.keys().any(|key| key.contains(':'))),
            // A list that is empty states nothing.
            Self::Sensors => sensor::parts(event).next().is_some(),
            Self::ErrorDeclaration | Self::Ilmd => event.value.get(self.name()).is_some(),
        }
    }
}

impl Op {
    /// Whether `left` stands so to `right`; times and numbers.
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Eq => left == right,
            Self::Gt => left > right,
            Self::Ge => left >= right,
            Self::Lt => left < right,
            Self::Le => left <= right,
        }
    }
}

impl NumberTest {
    pub fn holds(&self, value: &Value) -> bool {
        value
            .as_f64()
            .is_some_and(|number| self.than.iter().any(|than| self.op.holds(&number, than)))
    }
}

impl Condition {
    /// Whether it holds of `event`, which the ledger took in at `recorded`.
    pub(super) fn holds(&self, event: &Event, recorded: Timestamp) -> bool {
        let declaration = &event.value["errorDeclaration"];
        match self {
            Self::Time(clock, edge, than) => match clock {
                Clock::Event => edge.holds(event.time, *than),
                Clock::Record => edge.holds(recorded, *than),
                Clock::Declaration => time(&declaration["declarationTime"])
                    .is_some_and(|time| edge.holds(time, *than)),
                Clock::Sensor(field) => sensor::parts(event)
                    .filter_map(|part| time(part.get(*field)?))
                    .any(|time| edge.holds(time, *than)),
            },
            Self::Action(actions) => action(event).is_some_and(|action| actions.contains(&action)),
            Self::Word(word, words) => word.of(event).iter().any(|word| words.contains(word)),
            Self::Place(place, keys) => {
                key(event, place.of(event)).is_some_and(|key| keys.contains(&key))
            }
            Self::Match(fields, patterns) => fields
                .identifiers(event)
                .any(|key| patterns.iter().any(|pattern| pattern.matches(key.as_str()))),
            Self::EventId(ids) => event.id.as_ref().is_some_and(|id| ids.contains(id)),
            Self::Exists(part) => part.is_in(event),
            Self::ErrorReason(reasons) => declaration["reason"].as_str().is_some_and(|reason| {
                reasons.contains(&spelled(&ERROR_REASON, reason, |text| event.iri(text)))
            }),
            Self::CorrectiveEventId(ids) => list(&declaration["correctiveEventIDs"])
                .iter()
                .filter_map(|id| key(event, id))
                .any(|id| ids.contains(&id)),
            Self::Party(party, kind, keys) => {
                let (field, inner) = party.field();
                list(&event.value[field]).iter().any(|element| {
                    let is_kind = element["type"].as_str().is_some_and(|text| {
                        spelled(party.types(), text, |text| event.iri(text)) == *kind
                    });
                    is_kind && key(event, &element[inner]).is_some_and(|key| keys.contains(&key))
                })
            }
            Self::Quantity(uom, test) => fact::QUANTITY_LISTS
                .iter()
                .flat_map(|field| list(&event.value[field]))
                .filter(|element| {
                    uom.as_ref()
                        .is_none_or(|uom| element["uom"].as_str() == Some(uom))
                })
                .any(|element| test.holds(&element["quantity"])),
            Self::Sensor(test) => test.holds(event),
            Self::Field(test) => test.holds(event),
        }
    }

    /// Whether an index answers it exactly.
    pub(super) fn is_indexed(&self) -> bool {
        match self {
            Self::Time(clock, ..) => matches!(clock, Clock::Event | Clock::Record),
            Self::Action(_)
            | Self::Word(..)
            | Self::Place(..)
            | Self::Match(..)
            | Self::EventId(_)
            | Self::Exists(_) => true,
            Self::ErrorReason(_)
            | Self::CorrectiveEventId(_)
            | Self::Party(..)
            | Self::Quantity(..)
            | Self::Sensor(_)
            | Self::Field(_) => false,
        }
    }
}

fn action(event: &Event) -> Option<Action> {
    match event.value["action"].as_str()? {
        "OBSERVE" => Some(Action::Observe),
        "ADD" => Some(Action::Add),
        "DELETE" => Some(Action::Delete),
        _ => None,
    }
}

/// The elements of a list; none if `value` is no list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The time that `value` is.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    Timestamp::parse(value.as_str()?)
}

/// What the identifier in `value` compares by.
pub(super) fn key(event: &Event, value: &Value) -> Option<String> {
    key_of(&event.iri(value.as_str()?))
}

/// What an identifier compares by; `None` if it is malformed.
pub(super) fn key_of(uri: &str) -> Option<String> {
    Some(Identifier::parse(uri).ok()?.key.to_string())
}
