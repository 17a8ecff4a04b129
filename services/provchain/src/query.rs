//! Which events a client asks for: the parameters of `SimpleEventQuery`, as the REST binding spells
//! them in a query string.
//!
//! Sources: GS1 EPCIS 2.0, section 8.2.7.1 (what the parameters mean) and section 12 (the REST
//! binding); GS1's `openapi.yaml` and `query-schema.json` (how they are spelled). An event is found
//! if every parameter holds of it, each by itself: two parameters about sensors may hold of two
//! reports.
//!
//! # Parameters
//!
//! `<op>` is `EQ`, `GT`, `GE`, `LT` or `LE`. Lists are separated by `|`, and one of their values is
//! enough.
//!
//! | parameter | value |
//! |---|---|
//! | `eventType` | list: a type of the standard, or the URI of another |
//! | `GE_`, `LT_` `eventTime`, `recordTime`, `errorDeclarationTime`, `time`, `startTime`, `endTime` | a date and time with an offset; the last three are a sensor's |
//! | `EQ_action` | list: `ADD`, `OBSERVE`, `DELETE` |
//! | `EQ_bizStep`, `EQ_disposition`, `EQ_persistentDisposition_set`, `EQ_persistentDisposition_unset`, `EQ_errorReason`, `EQ_type` | list: bare words of the CBV, or URIs |
//! | `EQ_readPoint`, `WD_readPoint`, `EQ_bizLocation`, `WD_bizLocation` | list of URIs; descendants are a matter of master data, of which there is none here, so that `WD_` finds what `EQ_` does |
//! | `EQ_transformationID`, `EQ_eventID`, `EQ_correctiveEventID` | list of URIs |
//! | `EQ_bizTransaction_<type>`, `EQ_source_<type>`, `EQ_destination_<type>` | list of URIs; the type is a bare word or a URI |
//! | `MATCH_epc`, `MATCH_parentID`, `MATCH_inputEPC`, `MATCH_outputEPC`, `MATCH_anyEPC` | list of URIs, or patterns `urn:epc:idpat:…`; a class stands for its instances |
//! | `MATCH_epcClass`, `MATCH_inputEPCClass`, `MATCH_outputEPCClass`, `MATCH_anyEPCClass` | the same, of classes and lots |
//! | `<op>_quantity`, `<op>_quantity_<uom>` | a number; for `EQ` a list |
//! | `EXISTS_errorDeclaration`, `EXISTS_sensorElementList` | `true` or nothing; `false` asks for nothing |
//! | `EQ_deviceID`, `EQ_dataProcessingMethod`, `EQ_bizRules`, `EQ_microorganism`, `EQ_chemicalSubstance`, `EQ_uriValue`, `EQ_stringValue`, `EQ_hexBinaryValue`, `EQ_booleanValue` | list, of what a sensor's metadata or report says |
//! | `<op>_value_<uom>`, and with `minValue`, `maxValue`, `meanValue`, `sDev`, `percValue`; `<op>_percRank` | a number in this unit: nothing is converted |
//! | `<op>_<field>`, `EXISTS_<field>`, and with `INNER_`, `ILMD_`, `ERROR_DECLARATION_`, `SENSORELEMENT_`, `SENSORMETADATA_`, `SENSORREPORT_`, `readPoint_`, `bizLocation_` before the field | extension fields: texts, numbers, times, URIs |
//! | `orderBy` | `eventTime` or `recordTime` |
//! | `orderDirection` | `ASC`, or `DESC`, which it is without it |
//! | `eventCountLimit`, `maxEventCount` | a whole number, from 1 |
//! | `perPage`, `nextPageToken` | see [`Paging`] |
//!
//! An extension field is named with a prefix: one of GS1's context, one that the header
//! `GS1-Extensions` declares, or else the prefix that the event itself uses; or by its whole URI.
//!
//! Refused by name as not supported ([`QueryError::Unsupported`]):
//!
//! | parameter | why |
//! |---|---|
//! | `HASATTR_…`, `EQATTR_…`, `EQ_ATTR_…` | attributes are master data, which this ledger does not keep |
//! | `orderBy` an extension field | no order of it is kept |
//! | patterns of schemes other than `sgtin`, `sscc`, `sgln`, `pgln`, `grai`, `giai`, `gdti` | nobody has asked yet |
//!
//! Everything else is unknown, and refused as such.

mod condition;
mod fact;
mod field;
mod named;
mod page;
mod paging;
mod parse;
mod pattern;
mod prefixes;
mod sensor;
mod word;

use crate::epcis::Event;
use crate::epcis::time::Timestamp;

pub(crate) use self::condition::{Clock, Condition, Edge, Part, Place};
pub(crate) use self::fact::{Facts, Fields};
pub(crate) use self::field::Ground;
pub use self::named::{DEFINITION_BYTES_MAX, Definition, QUERY_NAME_BYTES_MAX, check_query_name};
pub use self::page::{PageToken, Position, TokenError};
pub use self::paging::Paging;
pub(crate) use self::pattern::KeyPattern;
pub use self::prefixes::Prefixes;
pub use self::word::Word;

/// Why a query is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A parameter is unknown, or its value cannot be (`QueryParameterException`).
    #[error("{name}: {reason}")]
    Parameter {
        /// The parameter.
        name: String,
        /// A sentence.
        reason: String,
    },
    /// The standard has it, and this ledger does not (`ImplementationException`).
    #[error("{name} is not supported: {reason}")]
    Unsupported {
        /// The parameter.
        name: String,
        /// A sentence.
        reason: String,
    },
}

/// A query for events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventQuery {
    /// What must hold of an event, all of it.
    pub(crate) conditions: Vec<Condition>,
    /// In which order they come.
    pub order: Order,
    /// How many there may be.
    pub cut: Cut,
}

/// The order of events; those of one time come in the order of their entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: OrderBy,
    /// The latest first.
    pub descending: bool,
}

impl Default for Order {
    /// What the standard leaves open: the latest entries first.
    fn default() -> Self {
        Self {
            by: OrderBy::RecordTime,
            descending: true,
        }
    }
}

/// What events are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// When it happened.
    EventTime,
    /// When the ledger took it in.
    RecordTime,
}

/// How many events an answer may have, over all of its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// Any number.
    #[default]
    None,
    /// This many, and no more are looked for (`eventCountLimit`).
    First(u64),
    /// This many, and more are an error (`maxEventCount`).
    AtMost(u64),
}

impl EventQuery {
    /// Whether the query finds `event`, which the ledger took in at `recorded`. The ledger's time
    /// counts: a `recordTime` in the event is another repository's.
    #[must_use]
    pub fn matches(&self, event: &Event, recorded: Timestamp) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(event, recorded))
    }

    /// Whether an index alone cannot tell: its candidates must be held against
    /// [`EventQuery::matches`].
    #[must_use]
    pub fn needs_documents(&self) -> bool {
        !self.conditions.iter().all(Condition::is_indexed)
    }

    /// The `eventID`s that are asked for, if any are; a ledger finds those by their identities.
    #[must_use]
    pub fn event_ids(&self) -> Option<&[String]> {
        self.conditions
            .iter()
            .find_map(|condition| match condition {
                Condition::EventId(ids) => Some(ids.as_slice()),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests;
