//! Each rule of the standard, broken once: the refusal names the event, the place and the rule.

use provchain::epcis::Rule;
use serde_json::json;

use super::epcis_fixtures::{
    aggregation_event, document, edit, object_event, parse, refuses, transaction_event,
    transformation_event,
};

#[test]
fn wrong_json_types_are_refused() {
    refuses(
        &object_event(),
        Rule::JsonType,
        &[
            ("/eventTime", json!(1)),
            ("/eventTimeZoneOffset", json!(1)),
            ("/action", json!(["ADD"])),
            ("/bizStep", json!({ "id": "shipping" })),
            ("/epcList", json!("urn:epc:id:sgtin:0614141.107346.2017")),
            ("/epcList/0", json!(7)),
            ("/quantityList/0", json!("x")),
            ("/quantityList/0/quantity", json!("3")),
            ("/quantityList/0/uom", json!(3)),
            ("/readPoint", json!("urn:epc:id:sgln:0614141.07346.1234")),
            ("/bizTransactionList", json!({})),
            ("/sourceList/0", json!(null)),
            ("/persistentDisposition", json!([])),
            ("/ilmd", json!([])),
            ("/errorDeclaration", json!("incorrect_data")),
            ("/errorDeclaration/correctiveEventIDs", json!("urn:uuid:x")),
            ("/sensorElementList/0/sensorReport", json!({})),
            ("/sensorElementList/0/sensorReport/0/value", json!("4.5")),
            (
                "/sensorElementList/0/sensorReport/0/booleanValue",
                json!("true"),
            ),
            ("/sensorElementList/0/sensorReport/0/stringValue", json!(4)),
        ],
    );
}

#[test]
fn missing_fields_are_named() {
    refuses(
        &object_event(),
        Rule::Required,
        &[
            ("/type", json!(null)),
            ("/eventTime", json!(null)),
            ("/eventTimeZoneOffset", json!(null)),
            ("/action", json!(null)),
            ("/readPoint/id", json!(null)),
            ("/bizLocation/id", json!(null)),
            ("/quantityList/0/epcClass", json!(null)),
            ("/quantityList/0/quantity", json!(null)),
            ("/bizTransactionList/0/bizTransaction", json!(null)),
            ("/sourceList/0/type", json!(null)),
            ("/sourceList/0/source", json!(null)),
            ("/destinationList/0/destination", json!(null)),
            ("/persistentDisposition", json!({})),
            ("/persistentDisposition/set", json!([])),
            ("/errorDeclaration/declarationTime", json!(null)),
            ("/sensorElementList/0/sensorReport", json!([])),
            ("/sensorElementList/0/sensorReport", json!(null)),
            ("/sensorElementList/0/sensorReport/0/type", json!(null)),
        ],
    );
    for kind in ["AggregationEvent", "AssociationEvent"] {
        let event = aggregation_event(kind);
        refuses(&event, Rule::Required, &[("/parentID", json!(null))]);
        let mut childless = event.clone();
        edit(&mut childless, "/childEPCs", json!([]));
        refuses(
            &childless,
            Rule::Required,
            &[("/childQuantityList -> /childEPCs", json!([]))],
        );
    }
    refuses(
        &transaction_event(),
        Rule::Required,
        &[
            ("/bizTransactionList", json!([])),
            ("/bizTransactionList", json!(null)),
            ("/epcList", json!([])),
        ],
    );
    refuses(
        &transformation_event(),
        Rule::Required,
        &[
            ("/inputEPCList", json!(null)),
            ("/outputQuantityList -> /outputEPCList", json!([])),
        ],
    );
}

#[test]
fn what_an_action_allows_to_leave_out_is_left_out() {
    for (base, edits) in [
        (
            aggregation_event("AggregationEvent"),
            vec![("/action", json!("OBSERVE")), ("/parentID", json!(null))],
        ),
        (
            aggregation_event("AggregationEvent"),
            vec![
                ("/action", json!("DELETE")),
                ("/childEPCs", json!([])),
                ("/childQuantityList", json!(null)),
            ],
        ),
        (
            transaction_event(),
            vec![("/action", json!("DELETE")), ("/epcList", json!(null))],
        ),
        (
            transformation_event(),
            vec![
                ("/inputEPCList", json!(null)),
                (
                    "/transformationID",
                    json!("urn:epc:id:gdti:0614141.12345.400"),
                ),
            ],
        ),
        (
            object_event(),
            vec![("/epcList", json!([])), ("/quantityList", json!(null))],
        ),
    ] {
        let mut event = base;
        for (pointer, value) in edits {
            edit(&mut event, pointer, value);
        }
        assert_eq!(parse(&document(&json!([event]))), Ok(1), "{event}");
    }
}

#[test]
fn fields_of_other_types_of_events_are_refused() {
    let epcs = || json!(["urn:epc:id:sgtin:0614141.107346.2017"]);
    refuses(
        &object_event(),
        Rule::Forbidden,
        &[
            ("/parentID", json!("urn:epc:id:sscc:0614141.1234567890")),
            ("/childEPCs", epcs()),
            ("/inputEPCList", epcs()),
            (
                "/transformationID",
                json!("urn:epc:id:gdti:0614141.12345.400"),
            ),
            ("/quantityList/0/ext:more", json!(1)),
            ("/bizTransactionList/0/id", json!("urn:x:y")),
            ("/sourceList/0/destination", json!("urn:x:y")),
            ("/persistentDisposition/ext:more", json!(1)),
            ("/action -> /ilmd", json!("OBSERVE")),
        ],
    );
    refuses(
        &aggregation_event("AggregationEvent"),
        Rule::Forbidden,
        &[
            ("/epcList", epcs()),
            ("/ilmd", json!({})),
            ("/persistentDisposition", json!({ "set": ["damaged"] })),
        ],
    );
    refuses(
        &transformation_event(),
        Rule::Forbidden,
        &[("/action", json!("ADD")), ("/childEPCs", epcs())],
    );
    let mut own = json!({
        "type": "ext:CustomEvent",
        "eventTime": "2026-01-05T05:00:00Z",
        "eventTimeZoneOffset": "+01:00",
        "epcList": epcs(),
        "ext:what": "happened"
    });
    refuses(&own, Rule::Vocabulary, &[("/bizStep", json!("shiping"))]);
    edit(&mut own, "/type", json!("CustomEvent"));
    let issues = parse(&document(&json!([own]))).expect_err("no such type");
    assert_eq!(
        (issues[0].rule, issues[0].field.as_str()),
        (Rule::Value, "type")
    );
}

#[test]
fn values_outside_of_the_standard_are_refused() {
    refuses(
        &object_event(),
        Rule::Value,
        &[
            ("/action", json!("UPDATE")),
            ("/quantityList/0/quantity", json!(0)),
            ("/quantityList/0/quantity", json!(-1)),
            ("/quantityList/0/uom", json!("kg")),
            (
                "/quantityList/0/uom -> /quantityList/0/quantity",
                json!(null),
            ),
            (
                "/sensorElementList/0/sensorReport/0/hexBinaryValue",
                json!("f0f"),
            ),
            (
                "/sensorElementList/0/sensorReport/0/hexBinaryValue",
                json!(""),
            ),
            ("/sensorElementList/0/sensorReport/0/uom", json!("degrees")),
            (
                "/sensorElementList/0/sensorMetadata/endTime",
                json!("2026-01-05T03:59:59Z"),
            ),
        ],
    );
    refuses(
        &object_event(),
        Rule::Time,
        &[
            ("/eventTime", json!("2026-01-05")),
            ("/eventTime", json!("2026-01-05T05:00:00")),
            ("/recordTime", json!("yesterday")),
            ("/eventTimeZoneOffset", json!("Z")),
            ("/eventTimeZoneOffset", json!("+15:00")),
            (
                "/errorDeclaration/declarationTime",
                json!("2026-02-30T00:00:00Z"),
            ),
            (
                "/sensorElementList/0/sensorMetadata/startTime",
                json!("04:00"),
            ),
            ("/sensorElementList/0/sensorReport/0/time", json!("")),
        ],
    );
    refuses(
        &object_event(),
        Rule::Vocabulary,
        &[
            ("/bizStep", json!("shiping")),
            ("/bizStep", json!("urn:epcglobal:cbv:bizstep:shipping")),
            ("/bizStep", json!("cbv:BizStep-shiping")),
            ("/disposition", json!("shipping")),
            ("/disposition", json!("https://ns.gs1.org/cbv/Disp-active")),
            ("/persistentDisposition/set/0", json!("good")),
            ("/bizTransactionList/0/type", json!("order")),
            ("/sourceList/0/type", json!("owner")),
            (
                "/destinationList/0/type",
                json!("urn:epcglobal:cbv:sdt:owning_party"),
            ),
            ("/errorDeclaration/reason", json!("oops")),
            (
                "/sensorElementList/0/sensorReport/0/type",
                json!("temperature"),
            ),
            (
                "/sensorElementList/0/sensorReport/0/type",
                json!("https://gs1.org/voc/Temperature"),
            ),
            ("/sensorElementList/0/sensorReport/0/component", json!("w")),
            (
                "/sensorElementList/0/sensorReport/0/exception",
                json!("ALARM"),
            ),
        ],
    );
}

#[test]
fn identifiers_that_are_malformed_or_of_the_wrong_level_are_refused() {
    refuses(
        &object_event(),
        Rule::Identifier,
        &[
            ("/epcList/0", json!("urn:epc:id:sgtin:0614141.107346")),
            (
                "/epcList/0",
                json!("urn:epc:class:lgtin:4012345.012345.998877"),
            ),
            (
                "/epcList/0",
                json!("https://id.gs1.org/01/04012345123456/10/998877"),
            ),
            (
                "/epcList/0",
                json!("https://id.gs1.org/01/04012345123457/21/1"),
            ),
            (
                "/quantityList/0/epcClass",
                json!("urn:epc:id:sgtin:0614141.107346.2017"),
            ),
            (
                "/quantityList/0/epcClass",
                json!("https://id.gs1.org/01/04012345123456/21/7"),
            ),
            ("/readPoint/id", json!("urn:epc:id:sgln:0614141.0734.1234")),
            ("/sourceList/0/source", json!("urn:epc:id:sgln:4012345")),
        ],
    );
    refuses(
        &aggregation_event("AssociationEvent"),
        Rule::Identifier,
        &[
            ("/parentID", json!("urn:epc:idpat:sgtin:4012345.098765.*")),
            (
                "/childEPCs/0",
                json!("urn:epc:idpat:sgtin:4012345.098765.*"),
            ),
        ],
    );
    refuses(
        &object_event(),
        Rule::Uri,
        &[
            ("/eventID", json!("374d95fc-9457-4a51-bd6a-0bba133845a8")),
            ("/eventID", json!("urn:uuid:374d95fc")),
            ("/eventID", json!("_:b0")),
            ("/epcList/0", json!("2017")),
            ("/epcList/0", json!("https://example.com/a b")),
            ("/bizLocation/id", json!("")),
            ("/certificationInfo/0", json!("certificate 1")),
            (
                "/sensorElementList/0/sensorReport/0/uriValue",
                json!("//example.org/x"),
            ),
        ],
    );
}

#[test]
fn names_that_nothing_declares_are_refused() {
    refuses(
        &object_event(),
        Rule::UnknownField,
        &[
            ("/colour", json!("red")),
            ("/eventime", json!("2026-01-05T05:00:00Z")),
            ("/undeclared:colour", json!("red")),
            ("/readPoint/name", json!("gate")),
            ("/ilmd/lotNumber", json!("1")),
            ("/errorDeclaration/comment", json!("x")),
            ("/sensorElementList/0/note", json!("x")),
            ("/sensorElementList/0/sensorReport/0/unit", json!("CEL")),
            ("/ext:note/undeclared:x", json!("x")),
        ],
    );
}

#[test]
fn what_json_ld_would_lose_is_refused() {
    refuses(
        &object_event(),
        Rule::JsonLd,
        &[
            ("/ext:note/colour", json!("red")),
            ("/ext:note/@index", json!("red")),
            ("/ext:note/@value", json!("red")),
            ("/ext:note/@reverse", json!({})),
            ("/ext:note/baseURL", json!("https://example.com/")),
            ("/ext:note/id", json!("relative")),
            ("/ext:note/type", json!("Undeclared")),
            ("/ext:note/ext:list/0", json!([1])),
            ("/ext:note/ext:list/0", json!(null)),
            ("/ext:note/ext:list/0 -> /ext:note/ext:list/1", json!(2)),
            ("/epcList/1", json!("urn:epc:id:sgtin:0614141.107346.2017")),
        ],
    );
}
