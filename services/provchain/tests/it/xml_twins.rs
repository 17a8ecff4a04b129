//! What is known of published examples in XML: which are refused, which say what examples in JSON
//! say, and where they differ from them.

use provchain::epcis::Rule;

/// An example that is refused: its path, the rule, a part of what is said, and why it should be.
pub type Refused = (&'static str, Rule, &'static str, &'static str);
/// Where twins differ: the example, the events in it, from zero, the members, and why.
pub type Difference = (
    &'static str,
    &'static [usize],
    &'static [&'static str],
    &'static str,
);

pub const NO_EVENTS: &str = "there are no events in it";
pub const GS1_REFUSED: &[Refused] = &[
    (
        "XML/CBV/CBV-11.4-2020-06-16a.xml",
        Rule::Value,
        "EPCISMasterDataDocument",
        NO_EVENTS,
    ),
    (
        "XML/Mimasu/Example-masterData.xml",
        Rule::Value,
        "EPCISMasterDataDocument",
        NO_EVENTS,
    ),
    (
        "XML/CaptureJob/Example-CaptureJobRunning.xml",
        Rule::Value,
        "EPCISCaptureJob",
        NO_EVENTS,
    ),
    (
        "XML/CaptureJob/Example-CaptureJobSuccess.xml",
        Rule::Value,
        "EPCISCaptureJob",
        NO_EVENTS,
    ),
    (
        "XML/CaptureJob/Example-CaptureJobWithErrorFile.xml",
        Rule::Value,
        "EPCISCaptureJob",
        NO_EVENTS,
    ),
    (
        "XML/CaptureJob/Example-CaptureJobWithErrors.xml",
        Rule::Value,
        "EPCISCaptureJob",
        NO_EVENTS,
    ),
    (
        "XML/Example-PersistentDisposition.xml",
        Rule::Forbidden,
        "persistentDisposition does not belong in a AggregationEvent",
        "the JSON schema gives it to object and transformation events only, and the twin has those",
    ),
    (
        "XML/WithExtension/TransactionEvent.xml",
        Rule::Vocabulary,
        "EffectiveDoseRate",
        "a measurement type of a draft",
    ),
    (
        SENSOR_DATA,
        Rule::Vocabulary,
        "Molar_concentration",
        "measurement types of a draft, and reports without one; the other events are compared",
    ),
    (
        "XSL/1.2/XML/AssociationEvent.xml",
        Rule::UnknownField,
        "element sensorMetaData",
        "it is called sensorMetadata",
    ),
    (
        "XSL/1.2/XML/ObjectEvent.xml",
        Rule::UnknownField,
        "element myField",
        "an element of no namespace that no version of the standard has",
    ),
];

/// An example of many events, some of which are refused.
pub const SENSOR_DATA: &str = "XML/WithSensorData/SensorDataExamples.xml";
pub const SENSOR_DATA_REFUSED: [usize; 3] = [7, 8, 10];

/// Examples in JSON that hold, one after the other, what an example in XML holds.
pub const GS1_TWINS: &[(&str, &[&str])] = &[
    (
        "XML/AssociationEvent/AssociationEventExamples.xml",
        &[
            "AssociationEvent/AssociationEvent-a",
            "AssociationEvent/AssociationEvent-b",
            "AssociationEvent/AssociationEvent-c",
            "AssociationEvent/AssociationEvent-d",
            "AssociationEvent/AssociationEvent-e",
            "AssociationEvent/AssociationEvent-f",
            "AssociationEvent/AssociationEvent-g",
        ],
    ),
    (
        "XML/Mimasu/Example-associatonEvent-sensor.xml",
        &[
            "AssociationEvent/AssociationEvent-a",
            "AssociationEvent/AssociationEvent-b",
            "AssociationEvent/AssociationEvent-c",
            "AssociationEvent/AssociationEvent-d",
            "AssociationEvent/AssociationEvent-e",
            "AssociationEvent/AssociationEvent-f",
            "AssociationEvent/AssociationEvent-g",
        ],
    ),
    (
        "XML/Example-TransactionEvent-2020_07_03y.xml",
        &["Example-TransactionEvents-2020_07_03y"],
    ),
    (
        "XML/Example_9.6.1-ObjectEvent-2020_06_18a.xml",
        &["Example_9.6.1-ObjectEvent"],
    ),
    ("XML/Mimasu/Example1.xml", &["Example_9.6.1-ObjectEvent"]),
    ("XML/Mimasu/Example2.xml", &["Example_9.6.2-ObjectEvent"]),
    (
        "XML/Mimasu/Example3.xml",
        &["Example_9.6.3-AggregationEvent"],
    ),
    (
        "XML/Mimasu/Example4.xml",
        &["Example_9.6.4-TransformationEvent"],
    ),
    (
        "XML/WithErrorDeclaration/ErrorDeclarationAndCorrectiveEvent.xml",
        &["WithErrorDeclaration/ErrorDeclarationAndCorrectiveEvent"],
    ),
    (
        "XML/WithFullCombinationOfFields/aggregation_event_all_possible_fields.xml",
        &["WithFullCombinationOfFields/aggregation_event_all_possible_fields"],
    ),
    (
        "XML/WithFullCombinationOfFields/association_event_all_possible_fields.xml",
        &["WithFullCombinationOfFields/association_event_all_possible_fields"],
    ),
    (
        "XML/WithFullCombinationOfFields/object_event_all_possible_fields.xml",
        &["WithFullCombinationOfFields/object_event_all_possible_fields"],
    ),
    (
        "XML/WithFullCombinationOfFields/transaction_event_all_possible_fields.xml",
        &["WithFullCombinationOfFields/transaction_event_all_possible_fields"],
    ),
    (
        SENSOR_DATA,
        &[
            "WithSensorData/SensorDataExample1",
            "WithSensorData/SensorDataExample2",
            "WithSensorData/SensorDataExample3",
            "WithSensorData/SensorDataExample4",
            "WithSensorData/SensorDataExample5",
            "WithSensorData/SensorDataExample6",
            "WithSensorData/SensorDataExample7",
            "WithSensorData/SensorDataExample10",
            "WithSensorData/SensorDataExample12",
            "WithSensorData/SensorDataExample14",
            "WithSensorData/SensorDataExample15",
        ],
    ),
    (
        "XSL/1.2/XML/AggregationEvent.xml",
        &["Example_9.6.3-AggregationEvent"],
    ),
    (
        "XSL/1.2/XML/TransformationEvent.xml",
        &["Example_9.6.4-TransformationEvent"],
    ),
];

pub const ADDED: &str = "only the twin has this";
pub const SPELLING: &str = "the same moment, spelled otherwise";
pub const NESTING: &str =
    "the twin nests objects once more, spells times otherwise, and names another component";

pub const GS1_DIFFERENCES: &[Difference] = &[
    (
        "XML/AssociationEvent/AssociationEventExamples.xml",
        &[0, 1, 2, 3, 4, 5, 6],
        &["eventID"],
        ADDED,
    ),
    (
        "XML/AssociationEvent/AssociationEventExamples.xml",
        &[6],
        &["errorDeclaration"],
        "another corrective event",
    ),
    (
        "XML/Mimasu/Example-associatonEvent-sensor.xml",
        &[0, 1, 2, 3, 4, 5, 6],
        &["eventID"],
        ADDED,
    ),
    (
        "XML/Mimasu/Example-associatonEvent-sensor.xml",
        &[5],
        &["childQuantityList"],
        ADDED,
    ),
    (
        "XML/Mimasu/Example-associatonEvent-sensor.xml",
        &[6],
        &["errorDeclaration"],
        "another corrective event",
    ),
    (
        "XML/Example-TransactionEvent-2020_07_03y.xml",
        &[0, 1],
        &["eventTime"],
        SPELLING,
    ),
    (
        "XML/Example-TransactionEvent-2020_07_03y.xml",
        &[1],
        &["rail:trainAxleCount", "rail:vehicle"],
        "the twin's context gives these datatypes, and it leaves an empty one out",
    ),
    (
        "XML/Example_9.6.1-ObjectEvent-2020_06_18a.xml",
        &[0, 1],
        &["eventID"],
        ADDED,
    ),
    (
        "XML/Example_9.6.1-ObjectEvent-2020_06_18a.xml",
        &[0],
        &["eventTime"],
        SPELLING,
    ),
    ("XML/Mimasu/Example1.xml", &[0, 1], &["eventID"], ADDED),
    ("XML/Mimasu/Example1.xml", &[0], &["eventTime"], SPELLING),
    ("XML/Mimasu/Example2.xml", &[0], &["eventID"], ADDED),
    ("XML/Mimasu/Example3.xml", &[0], &["eventID"], ADDED),
    ("XML/Mimasu/Example4.xml", &[0], &["eventID"], ADDED),
    (
        "XSL/1.2/XML/AggregationEvent.xml",
        &[0],
        &["eventID"],
        ADDED,
    ),
    (
        "XSL/1.2/XML/TransformationEvent.xml",
        &[0],
        &["eventID"],
        ADDED,
    ),
    (
        "XML/WithErrorDeclaration/ErrorDeclarationAndCorrectiveEvent.xml",
        &[0, 1],
        &["inputQuantityList", "readPoint"],
        "a quantity that is not known in XML, and another place",
    ),
    (
        "XML/WithFullCombinationOfFields/aggregation_event_all_possible_fields.xml",
        &[0],
        &["eventID", "certificationInfo", "errorDeclaration"],
        ADDED,
    ),
    (
        "XML/WithFullCombinationOfFields/aggregation_event_all_possible_fields.xml",
        &[0],
        &["sensorElementList", "ext1:object", "ext1:array"],
        NESTING,
    ),
    (
        "XML/WithFullCombinationOfFields/association_event_all_possible_fields.xml",
        &[0],
        &["eventID", "certificationInfo", "errorDeclaration"],
        ADDED,
    ),
    (
        "XML/WithFullCombinationOfFields/association_event_all_possible_fields.xml",
        &[0],
        &["sensorElementList", "ext1:object", "ext1:array"],
        NESTING,
    ),
    (
        "XML/WithFullCombinationOfFields/association_event_all_possible_fields.xml",
        &[0],
        &["eventTime"],
        SPELLING,
    ),
    (
        "XML/WithFullCombinationOfFields/transaction_event_all_possible_fields.xml",
        &[0],
        &["eventID", "certificationInfo", "errorDeclaration"],
        ADDED,
    ),
    (
        "XML/WithFullCombinationOfFields/transaction_event_all_possible_fields.xml",
        &[0],
        &["sensorElementList", "ext1:object", "ext1:array"],
        NESTING,
    ),
    (
        "XML/WithFullCombinationOfFields/transaction_event_all_possible_fields.xml",
        &[0],
        &["eventTime"],
        SPELLING,
    ),
    (
        "XML/WithFullCombinationOfFields/object_event_all_possible_fields.xml",
        &[0],
        &[
            "eventID",
            "certificationInfo",
            "errorDeclaration",
            "ilmd",
            "ext1:float",
            "ext1:time",
            "ext1:array",
            "ext1:boolean",
            "ext1:object",
            "ext1:default",
            "ext1:int",
            "ext1:string",
        ],
        ADDED,
    ),
    (
        "XML/WithFullCombinationOfFields/object_event_all_possible_fields.xml",
        &[0],
        &["action"],
        "another action, which the twin's ilmd needs",
    ),
    (
        "XML/WithFullCombinationOfFields/object_event_all_possible_fields.xml",
        &[0],
        &["eventTime"],
        SPELLING,
    ),
    (
        "XML/WithFullCombinationOfFields/object_event_all_possible_fields.xml",
        &[0],
        &["sensorElementList"],
        NESTING,
    ),
    (SENSOR_DATA, &[0, 1, 2, 3, 4, 5, 6, 7], &["eventID"], ADDED),
    (SENSOR_DATA, &[3], &["sensorElementList"], "other raw data"),
    (SENSOR_DATA, &[5], &["epcList", "quantityList"], ADDED),
    (
        SENSOR_DATA,
        &[5],
        &["sensorElementList"],
        "another namespace, and one element as a list of two",
    ),
    (
        SENSOR_DATA,
        &[6],
        &["sensorElementList"],
        "another namespace, and capital hexadecimal digits",
    ),
    (
        SENSOR_DATA,
        &[7],
        &["sensorElementList"],
        "a component of no vocabulary, and a feature that only the twin has",
    ),
    (SENSOR_DATA, &[7, 8, 9, 10], &["eventTime"], SPELLING),
    (
        SENSOR_DATA,
        &[8],
        &[
            "bizLocation",
            "errorDeclaration",
            "example2:furtherData",
            "example4:otherThings",
            "example:internalData",
            "ilmd",
            "readPoint",
            "sensorElementList",
        ],
        "the twin's prefixes do not end in a delimiter: in JSON-LD its names are in no namespace",
    ),
    (
        SENSOR_DATA,
        &[9, 10],
        &["bizStep"],
        "the word is spelled Bizstep-, which is not the standard's",
    ),
    (SENSOR_DATA, &[10], &["sensorElementList"], SPELLING),
];

pub const HASH_REFUSED: &[Refused] = &[
    (
        "tests/examples/SensorDataExamples.xml",
        Rule::Vocabulary,
        "MT-Temperature",
        "measurement types of a draft",
    ),
    (
        "tests/examples/epcisXmlQueryDocHavingEventWithIgnoreFields.xml",
        Rule::UnknownField,
        "element queryName",
        "it has neither an EPCISBody nor QueryResults",
    ),
    (
        "tests/expected_equal/numberPrecision.xml",
        Rule::Identifier,
        "https://id.gs1.org/giai/",
        "no GS1 Digital Link, and measurement types of a draft",
    ),
];

pub const HASH_DIFFERENCES: &[Difference] = &[
    (
        "tests/examples/ReferenceEventHashAlgorithm2.xml",
        &[0],
        &["eventTime"],
        SPELLING,
    ),
    (
        "tests/examples/ReferenceEventHashAlgorithm3.xml",
        &[0],
        &["eventTime"],
        SPELLING,
    ),
    (
        "tests/examples/epcisDocWithSensorComponent.xml",
        &[0],
        &["eventTime"],
        SPELLING,
    ),
    (
        "tests/examples/epcisQueryDocument.xml",
        &[0],
        &["eventTime"],
        SPELLING,
    ),
    (
        "tests/examples/persistentDisposition.xml",
        &[0, 1],
        &["eventTime"],
        SPELLING,
    ),
];

/// Examples in which every event says the same.
pub const HASH_EQUAL: [&str; 5] = [
    "differentRepresentationsOfAggregationEvent.xml",
    "differentRepresentationsOfObjectEvent.xml",
    "differentRepresentationsOfTransactionEvent.xml",
    "differentRepresentationsOfTransformationEvent.xml",
    "ignoreEmptyEpcList.xml",
];
