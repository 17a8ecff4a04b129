//! What the parameters mean, on events that show it.

mod refusals;

use serde_json::{Value, json};

use super::*;
use crate::epcis::{Limits, capture};
use crate::sample;

const RECORDED: &str = "2026-01-05T12:00:00Z";

fn event(members: Value) -> Event {
    let mut event = json!({
        "@context": sample::context(),
        "eventTime": "2026-01-05T10:00:00.000+01:00",
        "eventTimeZoneOffset": "+01:00",
    });
    let Value::Object(members) = members else {
        panic!("an event is an object")
    };
    event.as_object_mut().unwrap().extend(members);
    let body = serde_json::to_vec(&event).unwrap();
    let mut document = capture::parse(&body, &Limits::default()).unwrap();
    document.events.pop().unwrap()
}

fn object() -> Event {
    event(json!({
        "type": "ObjectEvent",
        "eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
        "action": "ADD",
        "bizStep": "commissioning",
        "disposition": "example:fresh",
        "persistentDisposition": { "set": ["conformant"], "unset": ["unknown"] },
        "epcList": ["urn:epc:id:sgtin:0614141.712345.2017"],
        "quantityList": [
            { "epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 12.5, "uom": "KGM" },
            { "epcClass": "urn:epc:idpat:sgtin:4012345.066666.*", "quantity": 3 }
        ],
        "readPoint": { "id": "urn:epc:id:sgln:4012345.00005.0", "example:dock": "north" },
        "bizLocation": { "id": "https://id.gs1.org/414/4012345000061" },
        "bizTransactionList": [{ "type": "po", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000054:1" }],
        "sourceList": [{ "type": "location", "source": "urn:epc:id:sgln:4012345.00005.0" }],
        "destinationList": [{ "type": "example:kitchen", "destination": "urn:epc:id:pgln:4012345.00005" }],
        "ilmd": { "example:grade": 7, "example:origin": { "example:farm": "urn:epc:id:pgln:4012345.00005" } },
        "sensorElementList": [{
            "sensorMetadata": {
                "time": "2026-01-05T09:00:00Z", "startTime": "2026-01-05T08:00:00Z",
                "deviceID": "urn:epc:id:giai:4000001.111", "example:firmware": "1.2"
            },
            "sensorReport": [
                { "type": "Temperature", "value": 4.5, "uom": "CEL", "percRank": 50 },
                { "type": "RelativeHumidity", "meanValue": 60, "uom": "P1", "booleanValue": true,
                  "stringValue": "damp", "hexBinaryValue": "F00F", "example:seal": true }
            ]
        }],
        "errorDeclaration": {
            "declarationTime": "2026-01-06T00:00:00Z", "reason": "incorrect_data",
            "correctiveEventIDs": ["urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"],
            "example:by": "Jo"
        },
        "example:checked": "2026-01-05T09:30:00Z",
        "example:shift": { "example:crew": ["a", "b"], "example:hours": 8 }
    }))
}

fn transformation() -> Event {
    event(json!({
        "type": "TransformationEvent",
        "bizStep": "https://ref.gs1.org/cbv/BizStep-commissioning",
        "transformationID": "urn:epc:id:gdti:4012345.00002.1",
        "inputEPCList": ["urn:epc:id:sscc:4012345.0000000001"],
        "inputQuantityList": [{ "epcClass": "urn:epc:class:lgtin:4012345.011111.4444", "quantity": 10, "uom": "KGM" }],
        "outputEPCList": ["https://id.gs1.org/01/04012345777895/21/25"],
        "outputQuantityList": [{ "epcClass": "https://id.gs1.org/01/04012345111118/10/5555", "quantity": 9, "uom": "KGM" }]
    }))
}

fn aggregation() -> Event {
    event(json!({
        "type": "AggregationEvent", "action": "OBSERVE",
        "parentID": "urn:epc:id:sscc:4012345.0000000002",
        "childEPCs": ["urn:epc:id:sgtin:0614141.712345.1"],
        "childQuantityList": [{ "epcClass": "urn:epc:idpat:sgtin:0614141.112345.*", "quantity": 2 }]
    }))
}

fn parse(name: &str, value: &str) -> Result<EventQuery, QueryError> {
    EventQuery::parse([(name, value)], &Prefixes::default())
}

fn finds(event: &Event, name: &str, value: &str) -> bool {
    let query = parse(name, value).unwrap_or_else(|error| panic!("{error}"));
    query.matches(event, Timestamp::parse(RECORDED).unwrap())
}

/// Each line: a parameter, a value with which it finds the event, and one with which it does not.
fn expect(event: &Event, lines: &[(&str, &str, &str)]) {
    for (name, found, missed) in lines {
        assert!(finds(event, name, found), "{name}={found}");
        assert!(!finds(event, name, missed), "{name}={missed}");
    }
}

#[test]
fn what_when_where_and_why_are_found() {
    expect(
        &object(),
        &[
            (
                "eventType",
                "AggregationEvent|ObjectEvent",
                "AggregationEvent",
            ),
            (
                "GE_eventTime",
                "2026-01-05T09:00:00Z",
                "2026-01-05T09:00:00.001Z",
            ),
            (
                "LT_eventTime",
                "2026-01-05T10:00:00.001+01:00",
                "2026-01-05T09:00:00Z",
            ),
            ("GE_recordTime", RECORDED, "2026-01-05T12:00:00.001Z"),
            ("LT_recordTime", "2026-01-05T12:00:00.001Z", RECORDED),
            ("EQ_action", "ADD|DELETE", "OBSERVE"),
            ("EQ_bizStep", "shipping|commissioning", "shipping"),
            (
                "EQ_bizStep",
                "urn:epcglobal:cbv:bizstep:commissioning",
                "urn:epcglobal:cbv:bizstep:packing",
            ),
            (
                "EQ_bizStep",
                "cbv:BizStep-commissioning",
                "cbv:BizStep-packing",
            ),
            (
                "EQ_disposition",
                "https://ns.example.com/epcis/fresh",
                "active",
            ),
            ("EQ_persistentDisposition_set", "conformant", "unknown"),
            ("EQ_persistentDisposition_unset", "unknown", "conformant"),
            (
                "EQ_readPoint",
                "https://id.gs1.org/414/4012345000054",
                "urn:epc:id:sgln:4012345.00006.0",
            ),
            (
                "WD_readPoint",
                "urn:epc:id:sgln:4012345.00005.0",
                "urn:epc:id:sgln:4012345.00006.0",
            ),
            (
                "EQ_bizLocation",
                "urn:epc:id:sgln:4012345.00006.0",
                "urn:epc:id:sgln:4012345.00005.0",
            ),
            (
                "WD_bizLocation",
                "urn:epc:id:sgln:4012345.00006.0",
                "urn:epc:id:sgln:4012345.00005.0",
            ),
            (
                "EQ_eventID",
                "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
                "urn:uuid:1",
            ),
            (
                "EQ_bizTransaction_po",
                "urn:epcglobal:cbv:bt:4012345000054:1",
                "urn:epcglobal:cbv:bt:4012345000054:2",
            ),
            (
                "EQ_source_location",
                "https://id.gs1.org/414/4012345000054",
                "https://id.gs1.org/417/4012345000054",
            ),
            (
                "EQ_destination_https://ns.example.com/epcis/kitchen",
                "https://id.gs1.org/417/4012345000054",
                "urn:x:1",
            ),
        ],
    );
    assert!(!finds(
        &object(),
        "EQ_bizTransaction_inv",
        "urn:epcglobal:cbv:bt:4012345000054:1"
    ));
    assert!(!finds(
        &object(),
        "EQ_destination_location",
        "https://id.gs1.org/417/4012345000054"
    ));
    assert!(finds(&transformation(), "EQ_bizStep", "commissioning"));
    assert!(!finds(&transformation(), "EQ_action", "ADD|OBSERVE|DELETE"));
    expect(
        &transformation(),
        &[(
            "EQ_transformationID",
            "https://id.gs1.org/253/40123450000231",
            "urn:epc:id:gdti:4012345.00002.2",
        )],
    );
}

#[test]
fn identifiers_are_found_in_the_fields_that_are_asked_for() {
    let item = "https://id.gs1.org/01/70614141123451/21/2017";
    let lot = "https://id.gs1.org/01/04012345123456/10/998877";
    expect(
        &object(),
        &[
            ("MATCH_epc", item, lot),
            (
                "MATCH_epc",
                "urn:epc:idpat:sgtin:0614141.712345.*",
                "urn:epc:idpat:sgtin:0614141.712346.*",
            ),
            ("MATCH_anyEPC", item, lot),
            ("MATCH_epcClass", lot, item),
            (
                "MATCH_anyEPCClass",
                "urn:epc:idpat:sgtin:4012345.066666.*",
                "urn:epc:idpat:sgtin:4012345.012345.*",
            ),
        ],
    );
    for other in ["MATCH_parentID", "MATCH_inputEPC", "MATCH_outputEPC"] {
        assert!(!finds(&object(), other, item), "{other}");
    }
    for other in ["MATCH_inputEPCClass", "MATCH_outputEPCClass"] {
        assert!(!finds(&object(), other, lot), "{other}");
    }
    let (input, output) = (
        "urn:epc:id:sscc:4012345.0000000001",
        "https://id.gs1.org/01/04012345777895/21/25",
    );
    let (lot_in, lot_out) = (
        "https://id.gs1.org/01/04012345111118/10/4444",
        "urn:epc:class:lgtin:4012345.011111.5555",
    );
    expect(
        &transformation(),
        &[
            ("MATCH_inputEPC", input, output),
            ("MATCH_outputEPC", output, input),
            ("MATCH_anyEPC", input, lot_in),
            ("MATCH_anyEPC", output, lot_out),
            ("MATCH_inputEPCClass", lot_in, lot_out),
            ("MATCH_outputEPCClass", lot_out, lot_in),
            ("MATCH_anyEPCClass", lot_in, input),
            ("MATCH_anyEPCClass", lot_out, output),
        ],
    );
    assert!(!finds(&transformation(), "MATCH_epc", input));
    assert!(!finds(&transformation(), "MATCH_epcClass", lot_in));
    let (parent, child) = (
        "urn:epc:id:sscc:4012345.0000000002",
        "urn:epc:id:sgtin:0614141.712345.1",
    );
    expect(
        &aggregation(),
        &[
            ("MATCH_parentID", parent, child),
            ("MATCH_epc", child, parent),
            ("MATCH_anyEPC", parent, "urn:epc:id:sgtin:0614141.712345.2"),
            (
                "MATCH_epcClass",
                "urn:epc:idpat:sgtin:0614141.112345.*",
                "urn:epc:idpat:sgtin:0614141.112346.*",
            ),
        ],
    );
}

#[test]
fn quantities_sensors_and_declarations_of_errors_are_found() {
    expect(
        &object(),
        &[
            ("EQ_quantity", "1|3", "4"),
            ("GT_quantity", "12.4", "12.5"),
            ("GE_quantity", "12.5", "12.6"),
            ("LT_quantity", "3.5", "3"),
            ("LE_quantity", "3", "2.9"),
            ("EQ_quantity_KGM", "12.5", "3"),
            ("GE_time", "2026-01-05T09:00:00Z", "2026-01-05T09:00:01Z"),
            (
                "LT_startTime",
                "2026-01-05T08:00:01Z",
                "2026-01-05T08:00:00Z",
            ),
            ("EQ_type", "Temperature", "Pressure"),
            ("EQ_type", "gs1:Temperature", "gs1:Pressure"),
            (
                "EQ_deviceID",
                "https://id.gs1.org/8004/4000001111",
                "urn:epc:id:giai:4000001.112",
            ),
            ("EQ_value_CEL", "4|4.5", "4"),
            ("GE_value_CEL", "4.5", "4.6"),
            ("GT_percRank", "49", "50"),
            ("LE_meanValue_P1", "60", "59"),
            ("EQ_booleanValue", "true", "false"),
            ("EQ_stringValue", "dry|damp", "dry"),
            ("EQ_hexBinaryValue", "f00f", "f00e"),
            (
                "GE_errorDeclarationTime",
                "2026-01-06T00:00:00Z",
                "2026-01-06T00:00:01Z",
            ),
            (
                "LT_errorDeclaration_Time",
                "2026-01-06T00:00:01Z",
                "2026-01-06T00:00:00Z",
            ),
            ("EQ_errorReason", "incorrect_data", "did_not_occur"),
            (
                "EQ_correctiveEventID",
                "urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8",
                "urn:uuid:1",
            ),
        ],
    );
    // A value in another unit is another value.
    assert!(!finds(&object(), "GE_value_FAH", "4"));
    assert!(!finds(&object(), "GE_endTime", "2000-01-01T00:00:00Z"));
    for name in ["EXISTS_errorDeclaration", "EXISTS_sensorElementList"] {
        for value in ["", "true"] {
            assert!(finds(&object(), name, value), "{name}");
            assert!(!finds(&aggregation(), name, value), "{name}");
        }
        assert!(finds(&aggregation(), name, "false"), "{name}");
    }
}

#[test]
fn extension_fields_are_found_by_what_their_prefix_means() {
    expect(
        &object(),
        &[
            (
                "EQ_example:checked",
                "2026-01-05T10:30:00+01:00",
                "2026-01-05T10:30:01+01:00",
            ),
            (
                "GE_example:checked",
                "2026-01-05T09:30:00Z",
                "2026-01-05T09:30:01Z",
            ),
            (
                "LT_https://ns.example.com/epcis/checked",
                "2026-01-05T09:30:01Z",
                "2026-01-05T09:30:00Z",
            ),
            ("EQ_INNER_example:crew", "c|b", "c"),
            ("GT_INNER_example:hours", "7", "8"),
            ("EQ_ILMD_example:grade", "7.0", "8"),
            ("LE_ILMD_example:grade", "7", "6"),
            (
                "EQ_INNER_ILMD_example:farm",
                "https://id.gs1.org/417/4012345000054",
                "urn:x:1",
            ),
            ("EQ_ERROR_DECLARATION_example:by", "Jo", "Al"),
            ("EQ_SENSORMETADATA_example:firmware", "1.2", "1.3"),
            ("EQ_SENSORREPORT_example:seal", "true", "false"),
            ("EQ_readPoint_example:dock", "north", "south"),
        ],
    );
    for (name, found) in [
        ("EXISTS_example:shift", true),
        ("EXISTS_example:crew", false),
        ("EXISTS_INNER_example:crew", true),
        ("EXISTS_INNER_example:shift", false),
        ("EXISTS_ILMD_example:grade", true),
        ("EXISTS_example:grade", false),
        ("EXISTS_INNER_ILMD_example:farm", true),
        ("EXISTS_INNER_ILMD_example:grade", false),
        ("EXISTS_other:shift", false),
    ] {
        assert_eq!(finds(&object(), name, ""), found, "{name}");
    }
    // A prefix that the client declares is what it says, and not what the event calls so.
    for (header, found) in [
        (
            "ext = https://ns.example.com/epcis/, example=https://other.example/",
            true,
        ),
        ("ext=https://other.example/", false),
    ] {
        let prefixes = Prefixes::of_header(header).unwrap();
        let query = EventQuery::parse([("EXISTS_ext:shift", "")], &prefixes).unwrap();
        assert_eq!(
            query.matches(&object(), Timestamp::parse(RECORDED).unwrap()),
            found
        );
    }
    let prefixes = Prefixes::of_header("example=https://other.example/").unwrap();
    let query = EventQuery::parse([("EXISTS_example:shift", "")], &prefixes).unwrap();
    assert!(!query.matches(&object(), Timestamp::parse(RECORDED).unwrap()));
}

#[test]
fn what_is_ordered_begins_with_the_latest_unless_it_is_asked_for_otherwise() {
    for (direction, descending) in [(None, true), (Some("DESC"), true), (Some("ASC"), false)] {
        let direction = direction.map(|direction| ("orderDirection", direction));
        let ordered = [("orderBy", "recordTime")].into_iter().chain(direction);
        let order = EventQuery::parse(ordered, &Prefixes::default())
            .unwrap()
            .order;
        let by = OrderBy::RecordTime;
        assert_eq!(order, Order { by, descending });
    }
}

#[test]
fn every_parameter_of_a_query_must_hold() {
    let at = Timestamp::parse(RECORDED).unwrap();
    for (step, found) in [("commissioning", true), ("packing", false)] {
        let query = [("EQ_action", "ADD"), ("EQ_bizStep", step)];
        let query = EventQuery::parse(query, &Prefixes::default()).unwrap();
        assert_eq!(query.matches(&object(), at), found, "{step}");
    }
    let everything: [(&str, &str); 0] = [];
    let query = EventQuery::parse(everything, &Prefixes::default()).unwrap();
    assert!(query.matches(&object(), at) && query.matches(&aggregation(), at));
}
