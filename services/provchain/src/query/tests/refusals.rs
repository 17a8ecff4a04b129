//! What is no query, and what is too much of one.

use proptest::prelude::*;

use super::parse;
use crate::query::{EventQuery, Prefixes, QueryError};

#[test]
fn a_query_that_cannot_be_answered_says_which_parameter_and_why() {
    for (name, value) in [
        ("EQ_bizstep", "shipping"),
        ("shipping", ""),
        ("EQ_", ""),
        ("EQ_field", "1"),
        ("GT_value", "1"),
        ("GT_value_celsius", "1"),
        ("EQ_example:", "1"),
        ("EQ_:field", "1"),
        ("eventType", "ObjectEvents"),
        ("eventType", ""),
        ("GE_eventTime", "2026-01-05"),
        ("GE_eventTime", "2026-01-05T10:00:00 01:00"),
        ("EQ_action", "ADD|"),
        ("EQ_action", "add"),
        ("EQ_bizStep", "shiping"),
        ("EQ_bizTransaction_nosuch", "urn:x:1"),
        ("EQ_readPoint", "urn:epc:id:sgln:4012345.5.0"),
        ("MATCH_epc", "urn:epc:idpat:sgtin:0614141.*.1"),
        ("EQ_quantity", "many"),
        ("GT_quantity", "1|2"),
        ("GT_quantity", "inf"),
        ("GT_example:field", "much"),
        ("EXISTS_errorDeclaration", "1"),
        ("EXISTS_example:field", "yes"),
        ("EQ_booleanValue", "1"),
        ("orderBy", "quantity"),
        ("orderDirection", "asc"),
        ("eventCountLimit", "0"),
        ("maxEventCount", "-1"),
        // Without orderBy there are no first ones.
        ("eventCountLimit", "1"),
    ] {
        match parse(name, value) {
            Err(QueryError::Parameter { name: told, .. }) => assert_eq!(told, name),
            other => panic!("{name}={value}: {other:?}"),
        }
    }
    for (name, value) in [
        ("HASATTR_example:field", "x"),
        ("EQATTR_example:field_x", "x"),
        ("EQ_ATTR_field_x", "x"),
        ("orderBy", "example:field"),
        ("MATCH_epc", "urn:epc:idpat:cpi:0614141.*.*"),
    ] {
        match parse(name, value) {
            Err(QueryError::Unsupported { name: told, .. }) => assert_eq!(told, name),
            other => panic!("{name}={value}: {other:?}"),
        }
    }
    for twice in [
        [("EQ_action", "ADD"), ("EQ_action", "DELETE")],
        [("maxEventCount", "1"), ("eventCountLimit", "1")],
    ] {
        assert!(
            EventQuery::parse(twice, &Prefixes::default()).is_err(),
            "{twice:?}"
        );
    }
    for header in ["example", "http=https://x.example/", "a=relative"] {
        assert!(Prefixes::of_header(header).is_err(), "{header}");
    }
}

#[test]
fn a_query_that_is_too_large_is_refused() {
    let many: Vec<_> = (0..65)
        .map(|n| (format!("EXISTS_example:f{n}"), ""))
        .collect();
    assert!(
        EventQuery::parse(
            many.iter().take(64).map(|(n, v)| (n, v)),
            &Prefixes::default()
        )
        .is_ok()
    );
    assert!(EventQuery::parse(many, &Prefixes::default()).is_err());
    let values = |count: usize| vec!["urn:x:1"; count].join("|");
    assert!(parse("MATCH_epc", &values(1000)).is_ok());
    assert!(parse("MATCH_epc", &values(1001)).is_err());
    assert!(parse("EQ_stringValue", &"x".repeat(2048)).is_ok());
    assert!(parse("EQ_stringValue", &"x".repeat(2049)).is_err());
    assert!(parse(&format!("EXISTS_example:{}", "x".repeat(2048)), "").is_err());
}

proptest! {
    #[test]
    fn any_parameters_are_answered(
        pairs in prop::collection::vec(
            ("(EQ_|GE_|LT_|MATCH_|EXISTS_|INNER_|ILMD_|value|quantity|epc|urn:epc:idpat:|[a-zA-Z_:.*|0-9]){0,5}", "(\\PC|urn:epc:|idpat:|sgtin:|[0-9.*|]){0,12}"),
            0..4,
        ),
    ) {
        if let Err(error) = EventQuery::parse(pairs, &Prefixes::default()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_header_of_prefixes_is_answered(header in "[a-z=:/, .@\\PC]{0,60}") {
        let _ = Prefixes::of_header(&header);
    }
}
