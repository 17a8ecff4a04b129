//! The EPCIS 2.0 JSON-LD context as a table.
//!
//! Source: GS1 EPCIS 2.0, `epcis-context.jsonld` (the terms, their IRIs, types and containers are
//! facts of the standard; the table is ours, and a test compares what it yields with a general
//! JSON-LD processor that reads GS1's own file). All terms of that context are protected and
//! every container in it is a set, which has no meaning in RDF. One term is added: see `bizRules`.

use super::vocabulary::{self, Vocabulary};

/// Where the context is published; all of these name the same context here.
pub const CONTEXT_URLS: [&str; 3] = [
    "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
    "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
    "https://gs1.github.io/EPCIS/epcis-context.jsonld",
];

/// Namespace of the EPCIS terms.
pub const EPCIS: &str = "https://ref.gs1.org/epcis/";
/// Namespace of the XML Schema datatypes.
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// Namespace of RDF Schema.
pub const RDFS: &str = "http://www.w3.org/2000/01/rdf-schema#";
const OWL: &str = "http://www.w3.org/2002/07/owl#";
const DCTERMS: &str = "http://purl.org/dc/terms/";

pub(super) const XSD_BOOLEAN: &str = "http://www.w3.org/2001/XMLSchema#boolean";
pub(super) const XSD_DOUBLE: &str = "http://www.w3.org/2001/XMLSchema#double";
pub(super) const XSD_INTEGER: &str = "http://www.w3.org/2001/XMLSchema#integer";
pub(super) const XSD_STRING: &str = "http://www.w3.org/2001/XMLSchema#string";
const XSD_DATE_TIME: &str = "http://www.w3.org/2001/XMLSchema#dateTime";
const XSD_DATE_TIME_STAMP: &str = "http://www.w3.org/2001/XMLSchema#dateTimeStamp";
const XSD_DECIMAL: &str = "http://www.w3.org/2001/XMLSchema#decimal";
const XSD_HEX_BINARY: &str = "http://www.w3.org/2001/XMLSchema#hexBinary";

/// What a term stands for in the active context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning<'a> {
    /// `@id`: the value names the node.
    Id,
    /// `@type`: the value is the node's class.
    Type,
    /// `@base`, which has no place in a node.
    Base,
    /// An IRI, and how values under it are read.
    Property(Property<'a>),
}

/// An IRI in two parts, and how a value under it is read.
#[derive(Clone, Copy, Debug)]
pub struct Property<'a> {
    /// The first part of the IRI.
    pub namespace: &'a str,
    /// The second part of the IRI.
    pub name: &'a str,
    /// How strings and numbers are read.
    pub coercion: Coercion<'a>,
    /// Whether an array is an ordered list.
    pub list: bool,
    /// The terms that exist only below this one.
    pub scope: Option<Scope>,
}

impl PartialEq for Property<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iri().eq(other.iri())
            && self.coercion == other.coercion
            && self.list == other.list
            && self.scope == other.scope
    }
}

impl<'a> Property<'a> {
    /// A term without coercion.
    pub fn plain(namespace: &'a str, name: &'a str) -> Self {
        Self {
            namespace,
            name,
            coercion: Coercion::Plain,
            list: false,
            scope: None,
        }
    }

    /// The characters of the IRI.
    pub fn iri(&self) -> impl Iterator<Item = char> + use<'a> {
        self.namespace.chars().chain(self.name.chars())
    }
}

/// How a scalar is read (the type mapping of JSON-LD).
#[derive(Clone, Copy, Debug)]
pub enum Coercion<'a> {
    /// As what it is in JSON.
    Plain,
    /// A string is an IRI (`@id`).
    Id,
    /// A string is a word, a term or an IRI (`@vocab`); the words come from the list, if any.
    Vocab(Option<&'static Vocabulary>),
    /// A literal of this datatype.
    Datatype(&'a str),
}

impl PartialEq for Coercion<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain, Self::Plain) | (Self::Id, Self::Id) => true,
            (Self::Vocab(None), Self::Vocab(None)) => true,
            (Self::Vocab(Some(a)), Self::Vocab(Some(b))) => std::ptr::eq(*a, *b),
            (Self::Datatype(a), Self::Datatype(b)) => a == b,
            _ => false,
        }
    }
}

/// The context's own contexts: each adds terms below one property, to any depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Below `sourceList`.
    SourceList,
    /// Below `destinationList`.
    DestinationList,
    /// Below `bizTransactionList`.
    BizTransactionList,
    /// Below `persistentDisposition`.
    PersistentDisposition,
    /// Below `sensorElementList`.
    SensorElementList,
    /// Below `sensorMetadata`.
    SensorMetadata,
    /// Below `sensorReport`.
    SensorReport,
    /// Below `errorDeclaration`.
    ErrorDeclaration,
}

/// The namespace of a prefix that the context declares.
pub fn prefix(name: &str) -> Option<&'static str> {
    Some(match name {
        "epcis" => EPCIS,
        "cbv" => "https://ref.gs1.org/cbv/",
        "cbvmda" => "urn:epcglobal:cbv:mda:",
        "gs1" => "https://gs1.org/voc/",
        "rdfs" => RDFS,
        "owl" => OWL,
        "xsd" => XSD,
        "dcterms" => DCTERMS,
        _ => return None,
    })
}

/// The meaning of a term at the top of the context.
pub fn root(term: &str) -> Option<Meaning<'_>> {
    use Coercion::{Datatype, Id, Plain, Vocab};

    let (coercion, scope) = match term {
        "id" | "eventID" => return Some(Meaning::Id),
        "type" => return Some(Meaning::Type),
        "baseURL" => return Some(Meaning::Base),
        "eventTime" | "recordTime" => (Datatype(XSD_DATE_TIME_STAMP), None),
        "bizStep" => (Vocab(Some(&vocabulary::BIZ_STEP)), None),
        "disposition" => (Vocab(Some(&vocabulary::DISPOSITION)), None),
        "bizLocation" | "readPoint" | "transformationID" | "certificationInfo" | "epcList"
        | "epcClass" | "parentID" | "childEPCs" | "inputEPCList" | "outputEPCList" | "children" => {
            (Id, None)
        }
        "sourceList" => (Plain, Some(Scope::SourceList)),
        "destinationList" => (Plain, Some(Scope::DestinationList)),
        "bizTransactionList" => (Plain, Some(Scope::BizTransactionList)),
        "persistentDisposition" => (Plain, Some(Scope::PersistentDisposition)),
        "sensorElementList" => (Plain, Some(Scope::SensorElementList)),
        "errorDeclaration" => (Plain, Some(Scope::ErrorDeclaration)),
        "quantity" => (Datatype(XSD_DECIMAL), None),
        "sender" | "receiver" => (Datatype(XSD_STRING), None),
        "eventTimeZoneOffset"
        | "action"
        | "uom"
        | "quantityList"
        | "childQuantityList"
        | "inputQuantityList"
        | "outputQuantityList"
        | "instanceIdentifier"
        | "ilmd"
        | "epcisHeader"
        | "masterData"
        | "vocabularyList"
        | "epcisBody"
        | "queryResults"
        | "subscriptionID"
        | "queryName"
        | "resultsBody"
        | "eventList"
        | "EPCISDocument"
        | "EPCISQueryDocument"
        | "ObjectEvent"
        | "AggregationEvent"
        | "TransformationEvent"
        | "AssociationEvent"
        | "TransactionEvent"
        | "Collection" => (Plain, None),
        "member" => return Some(elsewhere(RDFS, "member", Id)),
        "creationDate" => return Some(elsewhere(DCTERMS, "created", Datatype(XSD_DATE_TIME))),
        "schemaVersion" => return Some(elsewhere(OWL, "versionInfo", Plain)),
        _ => return Some(elsewhere(prefix(term)?, "", Plain)),
    };
    Some(epcis(term, coercion, scope))
}

/// The meaning that a term has only within a scope.
pub fn scoped(scope: Scope, term: &str) -> Option<Meaning<'_>> {
    use Coercion::{Datatype, Id, Plain, Vocab};

    let (name, coercion, below) = match (scope, term) {
        (Scope::SourceList, "source") | (Scope::DestinationList, "destination") => {
            ("sourceOrDestination", Id, None)
        }
        (Scope::SourceList | Scope::DestinationList, "type") => (
            "sourceOrDestinationType",
            Vocab(Some(&vocabulary::SOURCE_DEST_TYPE)),
            None,
        ),
        (Scope::BizTransactionList, "bizTransaction") => return Some(Meaning::Id),
        (Scope::BizTransactionList, "type") => (
            "bizTransactionType",
            Vocab(Some(&vocabulary::BIZ_TRANSACTION_TYPE)),
            None,
        ),
        (Scope::PersistentDisposition, "set" | "unset") => {
            (term, Vocab(Some(&vocabulary::DISPOSITION)), None)
        }
        (Scope::SensorElementList, "type") => return Some(Meaning::Type),
        // GS1's context forgets `bizRules` in a sensor report, where the schema has it and JSON-LD
        // would drop it; it means here what it means in the sensor metadata.
        (
            Scope::SensorElementList,
            "deviceID" | "deviceMetadata" | "rawData" | "dataProcessingMethod",
        )
        | (Scope::SensorMetadata | Scope::SensorReport, "bizRules")
        | (
            Scope::SensorReport,
            "coordinateReferenceSystem" | "microorganism" | "chemicalSubstance" | "uriValue",
        ) => (term, Id, None),
        (Scope::SensorElementList | Scope::SensorReport, "time")
        | (Scope::SensorMetadata, "startTime" | "endTime")
        | (Scope::ErrorDeclaration, "declarationTime") => {
            (term, Datatype(XSD_DATE_TIME_STAMP), None)
        }
        (Scope::SensorElementList, "sensorMetadata") => (term, Plain, Some(Scope::SensorMetadata)),
        (Scope::SensorElementList, "sensorReport") => (term, Plain, Some(Scope::SensorReport)),
        (Scope::SensorReport, "type") => (
            "measurementType",
            Vocab(Some(&vocabulary::MEASUREMENT_TYPE)),
            None,
        ),
        (Scope::SensorReport, "exception") => (term, Vocab(Some(&vocabulary::ALERT_TYPE)), None),
        (Scope::SensorReport, "component") => (term, Vocab(Some(&vocabulary::COMPONENT)), None),
        (
            Scope::SensorReport,
            "value" | "minValue" | "maxValue" | "meanValue" | "sDev" | "percRank" | "percValue",
        ) => (term, Datatype(XSD_DOUBLE), None),
        (Scope::SensorReport, "stringValue") => (term, Plain, None),
        (Scope::SensorReport, "booleanValue") => (term, Datatype(XSD_BOOLEAN), None),
        (Scope::SensorReport, "hexBinaryValue") => (term, Datatype(XSD_HEX_BINARY), None),
        (Scope::ErrorDeclaration, "reason") => (term, Vocab(Some(&vocabulary::ERROR_REASON)), None),
        (Scope::ErrorDeclaration, "correctiveEventIDs") => (term, Id, None),
        _ => return None,
    };
    Some(epcis(name, coercion, below))
}

fn epcis<'a>(name: &'a str, coercion: Coercion<'a>, scope: Option<Scope>) -> Meaning<'a> {
    Meaning::Property(Property {
        scope,
        coercion,
        ..Property::plain(EPCIS, name)
    })
}

fn elsewhere<'a>(namespace: &'a str, name: &'a str, coercion: Coercion<'a>) -> Meaning<'a> {
    Meaning::Property(Property {
        coercion,
        ..Property::plain(namespace, name)
    })
}
