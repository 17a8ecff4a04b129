use serde_json::{Value, json};

use super::*;
use crate::epcis::{Limits, capture};

fn event(members: &Value) -> Event {
    let mut event = json!({
        "@context": [
            "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
            {
                "ext": "https://example.com/ext/",
                "ours": "https://example.com/ext/",
                "hauler": { "@id": "https://example.com/ext/driver" }
            },
        ],
        "type": "ObjectEvent", "action": "OBSERVE",
        "eventTime": "2026-04-03T20:33:31Z", "eventTimeZoneOffset": "+02:00",
        "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
    });
    for (key, value) in members.as_object().unwrap() {
        event[key] = value.clone();
    }
    let bytes = serde_json::to_vec(&event).unwrap();
    let mut document = capture::parse(&bytes, &Limits::default()).unwrap();
    document.events.pop().unwrap()
}

fn secret() -> LedgerSecret {
    LedgerSecret::from_random([7; 32])
}

fn of_field(name: &str, value: &str) -> Pseudonym {
    secret().pseudonym(&Subject::Field { name, value })
}

fn of_party(identifier: &str) -> Pseudonym {
    secret().pseudonym(&Subject::Party(&comparable(identifier)))
}

fn personal(fields: &[&str], parties: &[&str]) -> Personal {
    Personal {
        version: 1,
        fields: fields
            .iter()
            .map(|name| field_name(name).unwrap())
            .collect(),
        parties: parties.iter().map(|party| of_party(party)).collect(),
    }
}

const DRIVER: &str = "https://example.com/ext/driver";

#[test]
fn a_personal_field_is_found_at_any_depth_and_under_every_way_to_write_its_name() {
    let rules = personal(&[DRIVER], &[]);
    let expected = BTreeSet::from([of_field(DRIVER, "Ann")]);
    for members in [
        json!({ "ext:driver": "Ann" }),
        json!({ "ours:driver": "Ann" }),
        json!({ "https://example.com/ext/driver": "Ann" }),
        json!({ "ext:trip": { "ext:crew": [{ "ext:driver": "Ann" }] } }),
        json!({ "readPoint": { "id": "urn:epc:id:sgln:0614141.07346.1234", "ext:driver": ["Ann"] } }),
        json!({ "ext:driver": { "ext:name": "Ann" } }),
    ] {
        let found = rules.subjects_of(&event(&members), &secret());
        assert_eq!(found, expected, "{members}");
    }
    let none = event(&json!({ "ext:note": "Ann" }));
    assert_eq!(rules.subjects_of(&none, &secret()), BTreeSet::new());
}

#[test]
fn every_scalar_of_a_personal_field_is_a_subject_of_its_own() {
    let rules = personal(&[DRIVER, "disposition"], &[]);
    let members = json!({
        "ext:driver": ["Ann", 7, true, { "ext:name": "Bob", "ext:driver": "Cid" }],
        "disposition": "in_transit",
    });
    let mut expected: BTreeSet<_> = ["Ann", "7", "true", "Bob", "Cid"]
        .map(|value| of_field(DRIVER, value))
        .into();
    expected.insert(of_field("disposition", "in_transit"));
    assert_eq!(rules.subjects_of(&event(&members), &secret()), expected);
}

#[test]
fn a_personal_party_is_found_however_its_identifier_is_written() {
    let link = "https://id.gs1.org/417/0614141000005";
    let urn = "urn:epc:id:pgln:0614141.00000";
    assert_eq!(of_party(link), of_party(urn));
    let rules = personal(&[], &[urn]);
    for party in [link, urn] {
        let lists = json!({
            "sourceList": [{ "type": "owning_party", "source": party }],
            "destinationList": [
                { "type": "owning_party", "destination": "urn:epc:id:pgln:0614141.00001" }
            ],
        });
        let found = rules.subjects_of(&event(&lists), &secret());
        assert_eq!(found, BTreeSet::from([of_party(urn)]), "{party}");
    }
}

#[test]
fn pseudonyms_depend_on_the_kind_the_field_the_value_and_the_secret() {
    let other = LedgerSecret::from_random([8; 32]);
    let field = Subject::Field {
        name: "a",
        value: "b",
    };
    let all = BTreeSet::from([
        of_field("a", "b"),
        of_field("ab", ""),
        of_field("", "ab"),
        of_party("ab"),
        other.pseudonym(&field),
    ]);
    assert_eq!(all.len(), 5);
}

#[test]
fn names_of_fields_are_those_of_the_standard_or_full() {
    assert_eq!(field_name("bizStep").unwrap(), "bizStep");
    assert_eq!(field_name(DRIVER).unwrap(), DRIVER);
    assert_eq!(
        field_name("cbvmda:lotNumber").unwrap(),
        "urn:epcglobal:cbv:mda:lotNumber"
    );
    for wrong in ["", "two words", "a\nb", "ünt", "@type", &"x".repeat(600)] {
        assert!(field_name(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_name_of_a_key_is_read_in_one_way_only() {
    let id = KeyId {
        subject: Digest([0xab; 32]),
        generation: 10,
        id: [0xcd; 16],
    };
    let text = id.to_string();
    assert_eq!(text.parse(), Ok(id));
    for wrong in [
        text.to_uppercase(),
        text.replace(".10.", ".010."),
        text.replace(".10.", ".+10."),
        text.replace(".10.", ".18446744073709551615."),
        text.replace(".10.", "."),
        format!("{text}.1"),
        text[1..].to_owned(),
        String::new(),
    ] {
        assert_eq!(wrong.parse::<KeyId>(), Err(NoKeyId), "{wrong}");
    }
}
