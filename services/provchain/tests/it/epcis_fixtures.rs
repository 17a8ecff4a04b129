//! Events of every type with every field, and edits of them.

use provchain::epcis::{Issue, Limits, Rule, capture};
use serde_json::{Value, json};

/// A document with an extension prefix and these events.
pub fn document(events: &Value) -> Value {
    json!({
        "@context": [
            "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
            { "ext": "https://ns.example.com/ext/" }
        ],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-01-05T06:00:00Z",
        "epcisBody": { "eventList": events }
    })
}

/// An object event with every field that one can have.
pub fn object_event() -> Value {
    json!({
        "type": "ObjectEvent",
        "eventID": "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8",
        "eventTime": "2026-01-05T05:00:00.000+01:00",
        "recordTime": "2026-01-05T05:00:01Z",
        "eventTimeZoneOffset": "+01:00",
        "certificationInfo": ["https://example.org/certificate/1"],
        "action": "ADD",
        "bizStep": "commissioning",
        "disposition": "active",
        "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
        "quantityList": [
            { "epcClass": "urn:epc:class:lgtin:4012345.012345.998877", "quantity": 3.5, "uom": "KGM" }
        ],
        "readPoint": { "id": "urn:epc:id:sgln:0614141.07346.1234", "ext:gate": "4" },
        "bizLocation": { "id": "https://id.gs1.org/414/4012345000054" },
        "bizTransactionList": [{ "type": "po", "bizTransaction": "http://example.com/po/1" }],
        "sourceList": [{ "type": "location", "source": "urn:epc:id:sgln:4012345.00225.0" }],
        "destinationList": [
            { "type": "owning_party", "destination": "urn:epc:id:pgln:0614141.00777" }
        ],
        "persistentDisposition": { "set": ["conformant"], "unset": ["damaged"] },
        "ilmd": { "cbvmda:lotNumber": "998877", "ext:grade": "A" },
        "errorDeclaration": {
            "declarationTime": "2026-01-06T00:00:00Z",
            "reason": "incorrect_data",
            "correctiveEventIDs": ["urn:uuid:404d95fc-9457-4a51-bd6a-0bba133845a8"]
        },
        "sensorElementList": [{
            "sensorMetadata": {
                "startTime": "2026-01-05T04:00:00Z",
                "endTime": "2026-01-05T04:30:00Z",
                "deviceID": "urn:epc:id:giai:4000001.111"
            },
            "sensorReport": [{
                "type": "Temperature", "value": 4.5, "uom": "CEL", "component": "x",
                "exception": "ALARM_CONDITION", "booleanValue": true, "hexBinaryValue": "f0f0",
                "stringValue": "text", "uriValue": "https://example.org/x",
                "bizRules": "https://example.org/rules", "time": "2026-01-05T04:10:00Z"
            }]
        }],
        "ext:note": { "ext:list": [1, 2, { "ext:deep": true }] }
    })
}

/// An aggregation or association event.
pub fn aggregation_event(kind: &str) -> Value {
    json!({
        "type": kind,
        "eventTime": "2026-01-05T05:00:00Z",
        "eventTimeZoneOffset": "+01:00",
        "action": "ADD",
        "parentID": "urn:epc:id:sscc:0614141.1234567890",
        "childEPCs": ["urn:epc:id:sgtin:0614141.107346.2017"],
        "childQuantityList": [{ "epcClass": "urn:epc:idpat:sgtin:4012345.098765.*", "quantity": 10 }]
    })
}

/// A transaction event.
pub fn transaction_event() -> Value {
    json!({
        "type": "TransactionEvent",
        "eventTime": "2026-01-05T05:00:00Z",
        "eventTimeZoneOffset": "+01:00",
        "action": "ADD",
        "bizTransactionList": [{ "type": "po", "bizTransaction": "http://example.com/po/1" }],
        "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"]
    })
}

/// A transformation event.
pub fn transformation_event() -> Value {
    json!({
        "type": "TransformationEvent",
        "eventTime": "2026-01-05T05:00:00Z",
        "eventTimeZoneOffset": "+01:00",
        "inputEPCList": ["urn:epc:id:sgtin:0614141.107346.2017"],
        "outputQuantityList": [{ "epcClass": "urn:epc:class:lgtin:4012345.012345.998877" }]
    })
}

/// How many events are taken, or what is wrong.
pub fn parse(body: &Value) -> Result<usize, Vec<Issue>> {
    let body = serde_json::to_vec(body).expect("JSON");
    capture::parse(&body, &Limits::default()).map(|document| document.events.len())
}

/// Replaces what is at `pointer`, adds it, or removes it where `value` is null.
pub fn edit(target: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let parent = target
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("nothing at {pointer}"));
    match (parent, value) {
        (Value::Array(items), value) => {
            let index: usize = key.parse().expect("an index");
            if index == items.len() {
                items.push(value);
            } else {
                items[index] = value;
            }
        }
        (Value::Object(members), Value::Null) => {
            members
                .shift_remove(key)
                .unwrap_or_else(|| panic!("nothing at {pointer}"));
        }
        (Value::Object(members), value) => {
            members.insert(key.replace("~1", "/"), value);
        }
        (other, _) => panic!("{other} has no members"),
    }
}

/// Each edit of `base`, which is valid, brings `rule` at the pointer of the edit, or at the one
/// that is given after an arrow.
pub fn refuses(base: &Value, rule: Rule, edits: &[(&str, Value)]) {
    assert_eq!(
        parse(&document(&json!([base]))),
        Ok(1),
        "the base is not valid"
    );
    for (pointer, value) in edits {
        let (pointer, expected) = pointer.split_once(" -> ").unwrap_or((pointer, pointer));
        let mut event = base.clone();
        edit(&mut event, pointer, value.clone());
        let issues = parse(&document(&json!([base, event])))
            .expect_err(&format!("{pointer} = {value} is taken"));
        let issue = &issues[0];
        assert_eq!(issue.event, Some(1), "{issue}");
        assert_eq!(
            issue.pointer,
            format!("/epcisBody/eventList/1{expected}"),
            "{issue}"
        );
        assert_eq!(issue.rule, rule, "{issue}");
        assert!(!issue.message.is_empty());
    }
}
