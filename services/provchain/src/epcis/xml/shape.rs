//! What the standard's elements hold, and what becomes of it in JSON (EPCIS 2.0, sections 9.1, 9.2
//! and 9.5).
//!
//! The tables say how something is written, not what is allowed: that is checked in JSON.

use crate::rdf::vocabulary::{self, Vocabulary};

/// The parts of an element that becomes an object.
pub struct Shape {
    /// What its attributes are.
    pub attributes: fn(&str) -> Option<Scalar>,
    /// What its elements are.
    pub elements: fn(&str) -> Option<Content>,
    /// The member that its text becomes, if it may have any.
    pub text: Option<&'static str>,
}

/// What the elements of one name become.
#[derive(Clone, Copy)]
pub enum Content {
    /// A value; there may be one such element.
    One(Item),
    /// An array; each such element is an item of it.
    Repeated(Item),
    /// An array; its items are the elements within, which have this name.
    List(&'static str, Item),
    /// The array of events.
    Events,
    /// Nothing here; it is looked at elsewhere.
    Elsewhere,
}

/// What one element becomes.
#[derive(Clone, Copy)]
pub enum Item {
    /// Its text.
    Scalar(Scalar),
    /// An object.
    Object(&'static Shape),
    /// An attribute in master data: a text, or an object of someone else's.
    Attribute,
}

/// What a text becomes.
#[derive(Clone, Copy)]
pub enum Scalar {
    Text,
    Number,
    Boolean,
    /// A bare word of the vocabulary, or someone else's URI.
    Word(&'static Vocabulary),
}

/// What an element is called in JSON.
pub fn json_name(local: &str) -> &str {
    match local {
        "EPCISHeader" => "epcisHeader",
        "EPCISBody" => "epcisBody",
        "EPCISMasterData" => "epcisMasterData",
        "EventList" => "eventList",
        "QueryResults" => "queryResults",
        "VocabularyList" => "vocabularyList",
        "VocabularyElementList" => "vocabularyElementList",
        "attribute" => "attributes",
        other => other,
    }
}

const TEXT: Item = Item::Scalar(Scalar::Text);
const DISPOSITION: Item = Item::Scalar(Scalar::Word(&vocabulary::DISPOSITION));

fn object(shape: &'static Shape) -> Content {
    Content::One(Item::Object(shape))
}

fn word(vocabulary: &'static Vocabulary) -> Content {
    Content::One(Item::Scalar(Scalar::Word(vocabulary)))
}

fn nothing<T>(_: &str) -> Option<T> {
    None
}

/// An `EPCISDocument`.
pub static DOCUMENT: Shape = Shape {
    attributes: envelope,
    elements: |name| {
        Some(match name {
            "EPCISHeader" => object(&HEADER),
            "EPCISBody" => object(&BODY),
            _ => return None,
        })
    },
    text: None,
};

/// An `EPCISQueryDocument`. JSON has no place for its header.
pub static QUERY_DOCUMENT: Shape = Shape {
    attributes: envelope,
    elements: |name| {
        Some(match name {
            "EPCISHeader" => Content::Elsewhere,
            "EPCISBody" => object(&QUERY_BODY),
            _ => return None,
        })
    },
    text: None,
};

fn envelope(name: &str) -> Option<Scalar> {
    matches!(name, "schemaVersion" | "creationDate").then_some(Scalar::Text)
}

static HEADER: Shape = Shape {
    attributes: nothing,
    elements: |name| (name == "EPCISMasterData").then(|| object(&MASTER_DATA)),
    text: None,
};

static MASTER_DATA: Shape = Shape {
    attributes: nothing,
    elements: |name| (name == "VocabularyList").then(vocabularies),
    text: None,
};

fn vocabularies() -> Content {
    Content::List("Vocabulary", Item::Object(&VOCABULARY))
}

static VOCABULARY: Shape = Shape {
    attributes: |name| (name == "type").then_some(Scalar::Text),
    elements: |name| {
        let elements = Content::List("VocabularyElement", Item::Object(&VOCABULARY_ELEMENT));
        (name == "VocabularyElementList").then_some(elements)
    },
    text: None,
};

static VOCABULARY_ELEMENT: Shape = Shape {
    attributes: |name| (name == "id").then_some(Scalar::Text),
    elements: |name| {
        Some(match name {
            "attribute" => Content::Repeated(Item::Attribute),
            "children" => Content::List("id", TEXT),
            _ => return None,
        })
    },
    text: None,
};

static BODY: Shape = Shape {
    attributes: nothing,
    elements: |name| (name == "EventList").then_some(Content::Events),
    text: None,
};

static QUERY_BODY: Shape = Shape {
    attributes: nothing,
    elements: |name| (name == "QueryResults").then(|| object(&QUERY_RESULTS)),
    text: None,
};

static QUERY_RESULTS: Shape = Shape {
    attributes: nothing,
    elements: |name| {
        Some(match name {
            "queryName" | "subscriptionID" => Content::One(TEXT),
            "resultsBody" => object(&RESULTS_BODY),
            _ => return None,
        })
    },
    text: None,
};

static RESULTS_BODY: Shape = Shape {
    attributes: nothing,
    elements: |name| {
        Some(match name {
            "EventList" => Content::Events,
            "VocabularyList" => vocabularies(),
            _ => return None,
        })
    },
    text: None,
};

/// An event of any type.
pub static EVENT: Shape = Shape {
    attributes: nothing,
    elements: event_field,
    text: None,
};

fn event_field(name: &str) -> Option<Content> {
    Some(match name {
        "eventTime"
        | "recordTime"
        | "eventTimeZoneOffset"
        | "eventID"
        | "certificationInfo"
        | "action"
        | "parentID"
        | "transformationID" => Content::One(TEXT),
        "bizStep" => word(&vocabulary::BIZ_STEP),
        "disposition" => Content::One(DISPOSITION),
        "errorDeclaration" => object(&ERROR_DECLARATION),
        "persistentDisposition" => object(&PERSISTENT_DISPOSITION),
        "readPoint" | "bizLocation" => object(&PLACE),
        "epcList" | "childEPCs" | "inputEPCList" | "outputEPCList" => Content::List("epc", TEXT),
        "quantityList" | "childQuantityList" | "inputQuantityList" | "outputQuantityList" => {
            Content::List("quantityElement", Item::Object(&QUANTITY_ELEMENT))
        }
        "bizTransactionList" => Content::List("bizTransaction", Item::Object(&BIZ_TRANSACTION)),
        "sourceList" => Content::List("source", Item::Object(&SOURCE)),
        "destinationList" => Content::List("destination", Item::Object(&DESTINATION)),
        "sensorElementList" => Content::List("sensorElement", Item::Object(&SENSOR_ELEMENT)),
        "ilmd" => object(&ILMD),
        _ => return None,
    })
}

static ERROR_DECLARATION: Shape = Shape {
    attributes: nothing,
    elements: |name| {
        Some(match name {
            "declarationTime" => Content::One(TEXT),
            "reason" => word(&vocabulary::ERROR_REASON),
            "correctiveEventIDs" => Content::List("correctiveEventID", TEXT),
            _ => return None,
        })
    },
    text: None,
};

static PERSISTENT_DISPOSITION: Shape = Shape {
    attributes: nothing,
    elements: |name| matches!(name, "set" | "unset").then_some(Content::Repeated(DISPOSITION)),
    text: None,
};

static PLACE: Shape = Shape {
    attributes: nothing,
    elements: |name| (name == "id").then_some(Content::One(TEXT)),
    text: None,
};

static ILMD: Shape = Shape {
    attributes: nothing,
    elements: nothing,
    text: None,
};

/// A `QuantityEvent`, which has a class and how many of it as fields of its own.
pub static QUANTITY_EVENT: Shape = Shape {
    attributes: nothing,
    elements: |name| match name {
        "epcClass" | "quantity" => (QUANTITY_ELEMENT.elements)(name),
        "eventTime"
        | "recordTime"
        | "eventTimeZoneOffset"
        | "eventID"
        | "errorDeclaration"
        | "bizStep"
        | "disposition"
        | "readPoint"
        | "bizLocation"
        | "bizTransactionList" => event_field(name),
        _ => None,
    },
    text: None,
};

/// A class and how much of it.
static QUANTITY_ELEMENT: Shape = Shape {
    attributes: nothing,
    elements: |name| {
        Some(match name {
            "epcClass" | "uom" => Content::One(TEXT),
            "quantity" => Content::One(Item::Scalar(Scalar::Number)),
            _ => return None,
        })
    },
    text: None,
};

static BIZ_TRANSACTION: Shape = Shape {
    attributes: |name| (name == "type").then_some(Scalar::Word(&vocabulary::BIZ_TRANSACTION_TYPE)),
    elements: nothing,
    text: Some("bizTransaction"),
};

static SOURCE: Shape = Shape {
    attributes: party,
    elements: nothing,
    text: Some("source"),
};

static DESTINATION: Shape = Shape {
    attributes: party,
    elements: nothing,
    text: Some("destination"),
};

fn party(name: &str) -> Option<Scalar> {
    (name == "type").then_some(Scalar::Word(&vocabulary::SOURCE_DEST_TYPE))
}

static SENSOR_ELEMENT: Shape = Shape {
    attributes: nothing,
    elements: |name| {
        Some(match name {
            "sensorMetadata" => object(&SENSOR_METADATA),
            "sensorReport" => Content::Repeated(Item::Object(&SENSOR_REPORT)),
            _ => return None,
        })
    },
    text: None,
};

static SENSOR_METADATA: Shape = Shape {
    attributes: |name| {
        let known = matches!(name, "startTime" | "endTime") || is_metadata(name);
        known.then_some(Scalar::Text)
    },
    elements: nothing,
    text: None,
};

static SENSOR_REPORT: Shape = Shape {
    attributes: |name| {
        Some(match name {
            "type" => Scalar::Word(&vocabulary::MEASUREMENT_TYPE),
            "exception" => Scalar::Word(&vocabulary::ALERT_TYPE),
            "component" => Scalar::Word(&vocabulary::COMPONENT),
            "microorganism"
            | "chemicalSubstance"
            | "coordinateReferenceSystem"
            | "uriValue"
            | "stringValue"
            | "hexBinaryValue"
            | "uom" => Scalar::Text,
            "value" | "minValue" | "maxValue" | "meanValue" | "sDev" | "percRank" | "percValue" => {
                Scalar::Number
            }
            "booleanValue" => Scalar::Boolean,
            name if is_metadata(name) => Scalar::Text,
            _ => return None,
        })
    },
    elements: nothing,
    text: None,
};

/// What both a sensor's metadata and its reports have.
fn is_metadata(name: &str) -> bool {
    matches!(
        name,
        "time" | "deviceID" | "deviceMetadata" | "rawData" | "dataProcessingMethod" | "bizRules"
    )
}
