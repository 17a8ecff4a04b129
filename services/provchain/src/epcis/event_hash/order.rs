//! The order of fields in a pre-hash string (CBV 2.0, section 8.9.2, canonical property order).

use super::Edition;
use crate::rdf::vocabulary::{self, Vocabulary};

/// Fields in their order, and how each is written.
pub type Order = &'static [(&'static str, Form)];

/// How a field is written.
pub enum Form {
    /// `name=value`, once for each value.
    Value(Kind),
    /// The name, then the fields of an object; once for each object. An empty name leaves the
    /// fields alone.
    Objects(Order),
    /// The name once, then every element as a field of the given name.
    List(&'static str, &'static Form),
    /// The name, then what extensions make of the object.
    Open,
}

/// How a value of the standard is read.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A text, number or truth value.
    Text,
    /// A word of the Core Business Vocabulary, or a URI.
    Word(&'static Vocabulary),
    /// A date and time.
    Time,
}

/// The fields of an event.
pub fn of_event(edition: Edition) -> Order {
    match edition {
        Edition::Cbv20 | Edition::Reference2026 => &CBV_20,
        Edition::Reference2025 => &REFERENCE_2025,
    }
}

/// Whether `order` has a field.
pub fn has(order: Order, name: &str) -> bool {
    order.iter().any(|(known, _)| *known == name)
}

/// Whether a member of an event has no part in its hash: what names or corrects the event, what a
/// repository adds, and what says how to read it. `certificationInfo` is not in the standard's
/// table; the edition that hashes it has it among its fields.
pub fn is_ignored(name: &str) -> bool {
    matches!(
        name,
        "@context" | "type" | "eventID" | "recordTime" | "errorDeclaration" | "certificationInfo"
    )
}

const TEXT: Form = Form::Value(Kind::Text);
const TIME: Form = Form::Value(Kind::Time);

const fn word(list: &'static Vocabulary) -> Form {
    Form::Value(Kind::Word(list))
}

const EPCS: Form = Form::List("epc", &TEXT);
const QUANTITIES: Form = Form::List(
    "quantityElement",
    &Form::Objects(&[("epcClass", TEXT), ("quantity", TEXT), ("uom", TEXT)]),
);
const PLACE: Form = Form::Objects(&[("id", TEXT)]);
const PERSISTENT_DISPOSITION: Form = Form::Objects(&[
    ("set", word(&vocabulary::DISPOSITION)),
    ("unset", word(&vocabulary::DISPOSITION)),
]);
/// The type comes first: so the standard's table has it, against its own rule 13.
const BIZ_TRANSACTIONS: Form = Form::List(
    "",
    &Form::Objects(&[
        ("type", word(&vocabulary::BIZ_TRANSACTION_TYPE)),
        ("bizTransaction", TEXT),
    ]),
);
const SOURCES: Form = Form::List(
    "",
    &Form::Objects(&[
        ("type", word(&vocabulary::SOURCE_DEST_TYPE)),
        ("source", TEXT),
    ]),
);
const DESTINATIONS: Form = Form::List(
    "",
    &Form::Objects(&[
        ("type", word(&vocabulary::SOURCE_DEST_TYPE)),
        ("destination", TEXT),
    ]),
);
const SENSOR_ELEMENTS: Form = Form::List(
    "sensorElement",
    &Form::Objects(&[
        ("sensorMetadata", Form::Objects(&SENSOR_METADATA)),
        ("sensorReport", Form::Objects(&SENSOR_REPORT)),
    ]),
);
const SENSOR_METADATA: [(&str, Form); 8] = [
    ("time", TIME),
    ("startTime", TIME),
    ("endTime", TIME),
    ("deviceID", TEXT),
    ("deviceMetadata", TEXT),
    ("rawData", TEXT),
    ("dataProcessingMethod", TEXT),
    ("bizRules", TEXT),
];
/// `bizRules` is not in the table. It is in the standard's schema of reports, and stands here where
/// it stands in the metadata.
const SENSOR_REPORT: [(&str, Form); 24] = [
    ("type", word(&vocabulary::MEASUREMENT_TYPE)),
    ("exception", word(&vocabulary::ALERT_TYPE)),
    ("deviceID", TEXT),
    ("deviceMetadata", TEXT),
    ("rawData", TEXT),
    ("dataProcessingMethod", TEXT),
    ("bizRules", TEXT),
    ("time", TIME),
    ("microorganism", TEXT),
    ("chemicalSubstance", TEXT),
    ("value", TEXT),
    ("component", word(&vocabulary::COMPONENT)),
    ("stringValue", TEXT),
    ("booleanValue", TEXT),
    ("hexBinaryValue", TEXT),
    ("uriValue", TEXT),
    ("minValue", TEXT),
    ("maxValue", TEXT),
    ("meanValue", TEXT),
    ("sDev", TEXT),
    ("percRank", TEXT),
    ("percValue", TEXT),
    ("uom", TEXT),
    ("coordinateReferenceSystem", TEXT),
];

const CBV_20: [(&str, Form); 23] = [
    ("eventTime", TIME),
    ("eventTimeZoneOffset", TEXT),
    ("epcList", EPCS),
    ("parentID", TEXT),
    ("inputEPCList", EPCS),
    ("childEPCs", EPCS),
    ("quantityList", QUANTITIES),
    ("childQuantityList", QUANTITIES),
    ("inputQuantityList", QUANTITIES),
    ("outputEPCList", EPCS),
    ("outputQuantityList", QUANTITIES),
    ("action", TEXT),
    ("transformationID", TEXT),
    ("bizStep", word(&vocabulary::BIZ_STEP)),
    ("disposition", word(&vocabulary::DISPOSITION)),
    ("persistentDisposition", PERSISTENT_DISPOSITION),
    ("readPoint", PLACE),
    ("bizLocation", PLACE),
    ("bizTransactionList", BIZ_TRANSACTIONS),
    ("sourceList", SOURCES),
    ("destinationList", DESTINATIONS),
    ("sensorElementList", SENSOR_ELEMENTS),
    ("ilmd", Form::Open),
];

const REFERENCE_2025: [(&str, Form); 24] = [
    ("eventTime", TIME),
    ("eventTimeZoneOffset", TEXT),
    ("certificationInfo", TEXT),
    ("parentID", TEXT),
    ("epcList", EPCS),
    ("inputEPCList", EPCS),
    ("childEPCs", EPCS),
    ("quantityList", QUANTITIES),
    ("childQuantityList", QUANTITIES),
    ("inputQuantityList", QUANTITIES),
    ("outputEPCList", EPCS),
    ("outputQuantityList", QUANTITIES),
    ("action", TEXT),
    ("transformationID", TEXT),
    ("bizStep", word(&vocabulary::BIZ_STEP)),
    ("disposition", word(&vocabulary::DISPOSITION)),
    ("persistentDisposition", PERSISTENT_DISPOSITION),
    ("readPoint", PLACE),
    ("bizLocation", PLACE),
    ("sensorElementList", SENSOR_ELEMENTS),
    ("bizTransactionList", BIZ_TRANSACTIONS),
    ("destinationList", DESTINATIONS),
    ("ilmd", Form::Open),
    ("sourceList", SOURCES),
];
