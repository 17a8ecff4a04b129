//! Event hash ids (CBV 2.0, section 8.9.2): known answers, what they depend on, and what a capture
//! makes of wrong ones.

use proptest::prelude::*;
use provchain::epcis::event_hash::{
    Edition, EventHashError, event_hash, event_hash_of, pre_hash, pre_hash_of,
};
use provchain::epcis::identifier::{Identifier, Level};
use provchain::epcis::{Document, Limits, Rule, capture};
use serde_json::{Map, Value, json};

use super::epcis_fixtures::{
    aggregation_event, document, edit, object_event, transaction_event, transformation_event,
};

fn captured(body: &Value, limits: &Limits) -> Option<Document> {
    capture::parse(&serde_json::to_vec(body).expect("JSON"), limits).ok()
}

/// The hash ids of one event, by each edition; nothing if the event is not valid.
fn hashes(event: &Value) -> Option<[String; 3]> {
    let document = captured(&document(&json!([event])), &Limits::default())?;
    Some(Edition::ALL.map(|edition| event_hash_of(&document.events[0], edition).expect("short")))
}

fn every_kind() -> [Value; 5] {
    [
        object_event(),
        aggregation_event("AggregationEvent"),
        aggregation_event("AssociationEvent"),
        transaction_event(),
        transformation_event(),
    ]
}

#[test]
fn an_event_with_every_field_has_the_pre_hash_string_of_the_standards_table() {
    let document =
        captured(&document(&json!([object_event()])), &Limits::default()).expect("a valid event");
    let event = &document.events[0];
    // What every edition begins with, but for the certificate.
    let when = "eventType=ObjectEvent\
                eventTime=2026-01-05T04:00:00.000Z\
                eventTimeZoneOffset=+01:00";
    let what = "epcListepc=https://id.gs1.org/01/10614141073464/21/2017\
                quantityListquantityElement\
                epcClass=https://id.gs1.org/01/04012345123456/10/998877quantity=3.5uom=KGM\
                action=ADD\
                bizStep=https://ref.gs1.org/cbv/BizStep-commissioning\
                disposition=https://ref.gs1.org/cbv/Disp-active\
                persistentDisposition\
                set=https://ref.gs1.org/cbv/Disp-conformant\
                unset=https://ref.gs1.org/cbv/Disp-damaged\
                readPointid=https://id.gs1.org/414/0614141073467/254/1234";
    let gate = "{https://ns.example.com/ext/}gate=4";
    let place = "bizLocationid=https://id.gs1.org/414/4012345000054";
    let transactions = "bizTransactionList\
                        type=https://ref.gs1.org/cbv/BTT-po\
                        bizTransaction=http://example.com/po/1";
    let sources = "sourceList\
                   type=https://ref.gs1.org/cbv/SDT-location\
                   source=https://id.gs1.org/414/4012345002256";
    let destinations = "destinationList\
                        type=https://ref.gs1.org/cbv/SDT-owning_party\
                        destination=https://id.gs1.org/417/0614141007776";
    let sensors = "sensorElementsensorMetadata\
                   startTime=2026-01-05T04:00:00.000Z\
                   endTime=2026-01-05T04:30:00.000Z\
                   deviceID=https://id.gs1.org/8004/4000001111\
                   sensorReport\
                   type=https://gs1.org/voc/Temperature\
                   exception=https://gs1.org/voc/ALARM_CONDITION\
                   bizRules=https://example.org/rules\
                   time=2026-01-05T04:10:00.000Z\
                   value=4.5\
                   component=https://ref.gs1.org/cbv/Comp-x\
                   stringValue=textbooleanValue=truehexBinaryValue=f0f0\
                   uriValue=https://example.org/xuom=CEL";
    let ilmd = "ilmd{https://ns.example.com/ext/}grade=A{urn:epcglobal:cbv:mda:}lotNumber=998877";
    let note = "{https://ns.example.com/ext/}note\
                {https://ns.example.com/ext/}list=1\
                {https://ns.example.com/ext/}list=2\
                {https://ns.example.com/ext/}list{https://ns.example.com/ext/}deep=true";
    let standard = [
        when,
        what,
        place,
        transactions,
        sources,
        destinations,
        sensors,
        ilmd,
        "readPoint",
        gate,
        note,
    ]
    .concat();
    assert_eq!(pre_hash(event).as_ref(), Ok(&standard));
    assert_eq!(
        pre_hash_of(event, Edition::Reference2026),
        Ok(standard.replace("https://gs1.org/voc/", "https://ref.gs1.org/voc/"))
    );
    let certificate = "certificationInfo=https://example.org/certificate/1";
    let reference = [
        when,
        certificate,
        what,
        gate,
        place,
        "sensorElementList",
        sensors,
        transactions,
        destinations,
        ilmd,
        sources,
        note,
    ]
    .concat();
    assert_eq!(pre_hash_of(event, Edition::Reference2025), Ok(reference));
}

/// The hashes are those of `sha256sum` over the strings, and of the reference implementation.
#[test]
fn small_events_have_their_known_hashes() {
    for (event, text, hash) in SMALL {
        let event: Value = serde_json::from_str(event).expect("JSON");
        let document =
            captured(&document(&json!([event])), &Limits::default()).expect("a valid event");
        let event = &document.events[0];
        assert_eq!(pre_hash(event).as_deref(), Ok(text));
        let id = format!("ni:///sha-256;{hash}?ver=CBV2.0");
        assert_eq!(event_hash(event), Ok(id));
    }
}

const SMALL: [(&str, &str, &str); 3] = [
    (
        r#"{
            "type": "AggregationEvent", "action": "DELETE",
            "eventTime": "2026-03-01T00:30:00.0015+01:00", "eventTimeZoneOffset": "+01:00",
            "parentID": "urn:epc:id:sscc:0614141.1234567890"
        }"#,
        "eventType=AggregationEventeventTime=2026-02-28T23:30:00.002ZeventTimeZoneOffset=+01:00\
         parentID=https://id.gs1.org/00/106141412345678908action=DELETE",
        "bae55b8157725691d29a7c171c697a026cc7b13de2bd9f70a007e13b8d44874b",
    ),
    (
        r#"{
            "type": "TransformationEvent",
            "eventTime": "2026-03-01T12:00:00Z", "eventTimeZoneOffset": "-06:00",
            "inputQuantityList": [
                { "epcClass": "urn:epc:class:lgtin:4012345.011111.4444", "quantity": 10.50, "uom": "KGM" },
                { "epcClass": "https://example.com/01/614141777778?linkType=all", "quantity": 30 }
            ],
            "outputEPCList": ["urn:epc:id:sgtin:4012345.077889.27", "urn:epc:id:sgtin:4012345.077889.103"],
            "bizStep": "https://example.com/step/smoking",
            "ext:b": "ext:x", "ext:a": [2.0, " 10 "]
        }"#,
        "eventType=TransformationEventeventTime=2026-03-01T12:00:00.000ZeventTimeZoneOffset=-06:00\
         inputQuantityList\
         quantityElementepcClass=https://id.gs1.org/01/00614141777778quantity=30\
         quantityElementepcClass=https://id.gs1.org/01/04012345111118/10/4444quantity=10.5uom=KGM\
         outputEPCList\
         epc=https://id.gs1.org/01/04012345778892/21/103\
         epc=https://id.gs1.org/01/04012345778892/21/27\
         bizStep=https://example.com/step/smoking\
         {https://ns.example.com/ext/}a=10{https://ns.example.com/ext/}a=2\
         {https://ns.example.com/ext/}b=https://ns.example.com/ext/x",
        "e891b890ecb4d9a4e283057ab52ef8b77f42bde7ebd0227755cfb87d539089fd",
    ),
    (
        r#"{
            "type": "ObjectEvent", "action": "OBSERVE",
            "eventTime": "2026-03-01T12:00:00Z", "eventTimeZoneOffset": "+00:00",
            "epcList": [],
            "readPoint": { "id": "geo:47.5,11.1" },
            "rdfs:comment": "not a fact",
            "sensorElementList": [
                {
                    "sensorMetadata": { "deviceID": "urn:epc:id:giai:4000001.111", "ext:slot": 3 },
                    "sensorReport": [
                        { "type": "Temperature", "value": 26.0, "uom": "CEL", "ext:raw": "1A" },
                        { "type": "https://example.com/odour", "value": 0.050 }
                    ],
                    "ext:box": { "ext:lid": "open" }
                }
            ]
        }"#,
        "eventType=ObjectEventeventTime=2026-03-01T12:00:00.000ZeventTimeZoneOffset=+00:00\
         action=OBSERVEreadPointid=geo:47.5,11.1\
         sensorElementsensorMetadatadeviceID=https://id.gs1.org/8004/4000001111\
         sensorReporttype=https://example.com/odourvalue=0.05\
         sensorReporttype=https://gs1.org/voc/Temperaturevalue=26uom=CEL\
         sensorElementsensorMetadata{https://ns.example.com/ext/}slot=3\
         sensorReport{https://ns.example.com/ext/}raw=1A\
         {https://ns.example.com/ext/}box{https://ns.example.com/ext/}lid=open",
        "e0943fbf8cfe01cff6a4e71beeaae92719bc52b57a50eb3db781a4e3bfadc2f6",
    ),
];

#[test]
fn a_name_is_hashed_by_its_namespace_however_it_is_written() {
    let with = |context: Value, key: &str| {
        let mut body = document(&json!([aggregation_event("AggregationEvent")]));
        edit(&mut body, "/@context/1", context);
        let event = &mut body["epcisBody"]["eventList"][0];
        event[key] = json!("x");
        let document = captured(&body, &Limits::default()).expect("a valid event");
        pre_hash(&document.events[0]).expect("short")
    };
    let expected = with(json!({ "ext": "https://ns.example.com/ext/" }), "ext:note");
    assert!(expected.ends_with("{https://ns.example.com/ext/}note=x"));
    for (context, key) in [
        (
            json!({ "other": "https://ns.example.com/ext/" }),
            "other:note",
        ),
        (json!({}), "https://ns.example.com/ext/note"),
    ] {
        assert_eq!(with(context, key), expected);
    }
    // XML namespaces need no delimiter at their end, and what JSON-LD makes of such a prefix is no
    // name in XML.
    let bare = with(json!({ "ext": "https://ns.example.com/ext" }), "ext:note");
    assert!(bare.ends_with("{https://ns.example.com/ext}note=x"));
}

#[test]
fn what_names_or_corrects_an_event_is_not_hashed() {
    let event = object_event();
    let expected = hashes(&event).expect("a valid event");
    for (field, value) in [
        (
            "eventID",
            json!("urn:uuid:00000000-9457-4a51-bd6a-0bba133845a8"),
        ),
        ("recordTime", json!("2027-01-01T00:00:00Z")),
        ("rdfs:comment", json!("seen by Jo")),
    ] {
        let mut changed = event.clone();
        changed[field] = value;
        assert_eq!(hashes(&changed).as_ref(), Some(&expected), "{field}");
    }
    for field in ["eventID", "recordTime", "errorDeclaration"] {
        let mut without = event.clone();
        edit(&mut without, &format!("/{field}"), Value::Null);
        assert_eq!(hashes(&without).as_ref(), Some(&expected), "{field}");
    }
}

#[test]
fn an_identifier_is_hashed_as_its_canonical_digital_link() {
    fn link(value: &mut Value) {
        match value {
            Value::String(text) => {
                let found = Identifier::parse(text).expect("an identifier or another text");
                if found.level != Level::Other {
                    *text = found.key.to_string();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(link),
            Value::Object(members) => members.values_mut().for_each(link),
            _ => {}
        }
    }
    for event in every_kind() {
        let mut links = event.clone();
        link(&mut links);
        assert_ne!(links, event);
        assert_eq!(hashes(&links), hashes(&event));
    }
}

/// Values that some field or other takes in place of its own.
fn replacements() -> Vec<Value> {
    let texts = [
        "2026-01-05T04:20:00Z",
        "+02:00",
        "OBSERVE",
        "ADD",
        "shipping",
        "recalled",
        "po",
        "inv",
        "location",
        "possessing_party",
        "Speed",
        "ERROR_CONDITION",
        "y",
        "KGM",
        "CEL",
        "aabb",
        "another text",
        "https://example.org/other",
        "urn:epc:id:sgtin:0614141.107346.9999",
        "urn:epc:class:lgtin:4012345.012345.999",
        "AggregationEvent",
        "AssociationEvent",
        "https://example.com/OwnEvent",
    ];
    let mut values: Vec<Value> = texts.map(Value::from).to_vec();
    values.extend([json!(7), json!(11.25), json!(false)]);
    values
}

/// Pointers to everything in `value`, objects and lists included.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut go_on = |key: &str, value: &Value| {
        let here = format!("{at}/{}", key.replace('/', "~1"));
        places(value, &here, found);
        found.push(here);
    };
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                go_on(&index.to_string(), item);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                go_on(key, member);
            }
        }
        _ => {}
    }
}

#[test]
fn every_other_fact_changes_the_hash() {
    for event in every_kind() {
        let before = hashes(&event).expect("a valid event");
        let mut found = Vec::new();
        places(&event, "", &mut found);
        let facts = found.iter().filter(|place| {
            !["/eventID", "/recordTime", "/errorDeclaration"]
                .iter()
                .any(|ignored| place.starts_with(ignored))
        });
        for place in facts {
            // Only one edition has it in its table.
            let first = if place.starts_with("/certificationInfo") {
                2
            } else {
                0
            };
            let mut changes = 0;
            let mut check = |changed: &Value| {
                let Some(after) = hashes(changed) else { return };
                changes += 1;
                for edition in first..3 {
                    assert_ne!(after[edition], before[edition], "{place} in {changed}");
                }
            };
            let value = event.pointer(place).expect("it is there");
            if value.is_object() || value.is_array() {
                continue;
            }
            for replacement in replacements() {
                if replacement != *value {
                    let mut changed = event.clone();
                    *changed.pointer_mut(place).expect("it is there") = replacement;
                    check(&changed);
                }
            }
            let (parent, key) = place.rsplit_once('/').expect("a pointer has a slash");
            let mut without = event.clone();
            match without.pointer_mut(parent).expect("it is there") {
                Value::Array(items) => {
                    items.remove(key.parse::<usize>().expect("an index"));
                }
                Value::Object(members) => {
                    members.shift_remove(key);
                }
                _ => {}
            }
            check(&without);
            // Only what an ADD may have stands in the event with every field.
            assert!(
                changes > 0 || place == "/action",
                "nothing else may stand at {place}"
            );
        }
    }
}

/// `value` with the members of its objects and the elements of its arrays in another order.
fn shuffled(value: &Value, seed: &mut u64) -> Value {
    let mut next = |bound: usize| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(*seed >> 33).expect("31 bits") % bound
    };
    match value {
        Value::Array(items) => {
            let mut items = items.clone();
            for index in (1..items.len()).rev() {
                items.swap(index, next(index + 1));
            }
            Value::Array(items.iter().map(|item| shuffled(item, seed)).collect())
        }
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.clone().into_iter().collect();
            for index in (1..members.len()).rev() {
                members.swap(index, next(index + 1));
            }
            let members = members.into_iter();
            let shuffled = members.map(|(key, value)| (key, shuffled(&value, seed)));
            Value::Object(shuffled.collect::<Map<String, Value>>())
        }
        scalar => scalar.clone(),
    }
}

proptest! {
    #![proptest_config(super::suites::property_config())]

    #[test]
    fn no_order_changes_the_hash(kind in 0..5usize, more in 0..6u64, mut seed in any::<u64>()) {
        let mut event = every_kind()[kind].clone();
        let epcs: Vec<String> = (0..more).map(|serial| format!("urn:epc:id:sgtin:0614141.107346.{serial}")).collect();
        let list = match kind { 1 | 2 => "childEPCs", 4 => "outputEPCList", _ => "epcList" };
        event[list] = json!([&epcs[..], &["https://example.com/01/10614141073464/21/x".to_owned()]].concat());
        event["ext:list"] = json!([3, "b", { "ext:x": 1, "ext:y": [2, 1] }, { "ext:x": 2 }]);
        event["sensorElementList"] = json!([
            { "sensorReport": [{ "type": "Speed", "ext:n": 1 }, { "type": "Temperature" }] },
            { "sensorReport": [{ "type": "Temperature", "ext:n": 2 }], "ext:n": 3 }
        ]);
        let expected = hashes(&event);
        prop_assert!(expected.is_some());
        prop_assert_eq!(hashes(&shuffled(&event, &mut seed)), expected);
    }

    #[test]
    fn the_millisecond_and_the_offset_of_a_time_do_not_depend_on_its_spelling(
        millis in 0..1000u32, hours in -14..=14i32, zeros in 0..4usize,
    ) {
        let mut event = transaction_event();
        let day = 10 + (12 + hours).div_euclid(24);
        let hour = (12 + hours).rem_euclid(24);
        event["eventTime"] = json!(format!(
            "2026-01-{day:02}T{hour:02}:00:00.{millis:03}{}{}{:02}:00",
            "0".repeat(zeros), if hours < 0 { '-' } else { '+' }, hours.abs()
        ));
        let document = captured(&document(&json!([event])), &Limits::default());
        let text = document.and_then(|document| pre_hash(&document.events[0]).ok());
        let expected = format!("eventTime=2026-01-10T12:00:00.{millis:03}Z");
        prop_assert!(text.is_some_and(|text| text.contains(&expected)));
    }
}

#[test]
fn an_event_hash_id_of_another_event_is_refused_where_ids_are_checked() {
    let checked = Limits {
        event_hashes_checked: true,
        ..Limits::default()
    };
    let refused = |id: &str| {
        let mut event = object_event();
        event["eventID"] = json!(id);
        let body = document(&json!([transaction_event(), event]));
        let body = serde_json::to_vec(&body).expect("JSON");
        assert!(capture::parse(&body, &Limits::default()).is_ok(), "{id}");
        capture::parse(&body, &checked).err()
    };
    let right = hashes(&object_event()).expect("a valid event");
    for id in &right {
        assert_eq!(refused(id), None);
        assert_eq!(refused(&id.replace("?ver=CBV2.0", "?ver=CBV2.1")), None);
    }
    assert_eq!(refused("ni:///sha-512;00?ver=CBV2.0"), None);
    let zeros = "0".repeat(64);
    for digits in [&*zeros, "f00d", ""] {
        let issues = refused(&format!("ni:///sha-256;{digits}?ver=CBV2.0")).expect("refused");
        assert_eq!(issues.len(), 1);
        assert_eq!(issues[0].rule, Rule::EventHash);
        assert_eq!(issues[0].event, Some(1));
        assert_eq!(issues[0].pointer, "/epcisBody/eventList/1/eventID");
        assert!(issues[0].message.contains(&right[0]), "{}", issues[0]);
    }
}

#[test]
fn a_short_event_does_not_become_an_endless_string() {
    let namespace = format!("https://ns.example.com/{}/", "n".repeat(60_000));
    let mut event = transaction_event();
    for member in 0..300 {
        event[format!("long:m{member}")] = json!(1);
    }
    let mut body = document(&json!([event]));
    edit(&mut body, "/@context/2", json!({ "long": namespace }));
    let mut limits = Limits::default();
    assert!(captured(&body, &limits).is_none(), "it is taken");
    limits.rdf.bytes_max = 64 << 20;
    let document = captured(&body, &limits).expect("within raised limits");
    let refusal = event_hash(&document.events[0]).expect_err("too long");
    assert!(matches!(refusal, EventHashError::TooLong(_)), "{refusal}");
}
