//! One spelling for each value of a pre-hash string.

use std::borrow::Cow;

use serde_json::Value;

use super::order::Kind;
use crate::epcis::identifier::{Identifier, Level};
use crate::epcis::time::Timestamp;
use crate::rdf::context::Context;

/// Most zeros that a number with an exponent is written out with.
const ZEROS_MAX: i64 = 400;

/// The CBV's words as URNs, and as the Web URIs that they are expanded to (rule 14).
const CBV_URNS: [(&str, &str); 5] = [
    (
        "urn:epcglobal:cbv:bizstep:",
        "https://ref.gs1.org/cbv/BizStep-",
    ),
    ("urn:epcglobal:cbv:disp:", "https://ref.gs1.org/cbv/Disp-"),
    ("urn:epcglobal:cbv:btt:", "https://ref.gs1.org/cbv/BTT-"),
    ("urn:epcglobal:cbv:sdt:", "https://ref.gs1.org/cbv/SDT-"),
    ("urn:epcglobal:cbv:er:", "https://ref.gs1.org/cbv/ER-"),
];

/// The names that Digital Links could have in place of application identifiers until release 1.2.
const SHORT_NAMES: [(&str, &str); 17] = [
    ("gtin", "01"),
    ("itip", "8006"),
    ("cpid", "8010"),
    ("gln", "414"),
    ("party", "417"),
    ("gsrnp", "8017"),
    ("gsrn", "8018"),
    ("gcn", "255"),
    ("sscc", "00"),
    ("gdti", "253"),
    ("ginc", "401"),
    ("gsin", "402"),
    ("grai", "8003"),
    ("giai", "8004"),
    ("cpv", "22"),
    ("lot", "10"),
    ("ser", "21"),
];

/// The value of one of the standard's fields.
pub fn standard(value: &Value, kind: Kind, context: &Context) -> String {
    let text = text(value);
    let text = text.trim();
    match kind {
        Kind::Word(list) if list.contains(text) => [list.namespace, text].concat(),
        Kind::Word(_) | Kind::Text => free(text, context),
        Kind::Time => match Timestamp::parse(text) {
            Some(time) => to_millisecond(time).to_string(),
            None => text.to_owned(),
        },
    }
}

/// Any other value. One that begins with a declared prefix is a compact URI (rule 15).
pub fn free(text: &str, context: &Context) -> String {
    let text = text.trim();
    let compact = text.split_once(':').and_then(|(prefix, rest)| {
        let namespace = context.declared(prefix)?;
        (!rest.starts_with("//")).then(|| [namespace, rest].concat())
    });
    match compact {
        Some(uri) => canonical(&uri),
        None => canonical(text),
    }
}

/// A scalar as text; empty for what is none.
pub fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => Cow::Borrowed(""),
    }
}

/// One spelling for what can be spelled in several ways, whatever field it stands in: XML has no
/// types, so that a text that looks like a number, or an identifier, is one.
fn canonical(text: &str) -> String {
    for (urn, web) in CBV_URNS {
        if let Some(word) = text.strip_prefix(urn) {
            return [web, word].concat();
        }
    }
    number(text)
        .or_else(|| identifier(text))
        .unwrap_or_else(|| text.to_owned())
}

/// The next millisecond from its middle on (rule 9).
fn to_millisecond(time: Timestamp) -> Timestamp {
    Timestamp {
        unix_micros: (time.unix_micros + 500).div_euclid(1000) * 1000,
    }
}

/// A decimal number without exponent, sign of zero, and zeros at its ends. What would become longer
/// than any measured value is left as it is.
fn number(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    if !(-ZEROS_MAX..=ZEROS_MAX).contains(&exponent) {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // How many of the digits stand before the point.
    let point = i64::try_from(whole.len()).ok()? + exponent;
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => {
            let zeros = "0".repeat(point - digits.len());
            ([digits.as_str(), &zeros].concat(), String::new())
        }
        Ok(point) => (digits[..point].to_owned(), digits[point..].to_owned()),
        Err(_) => {
            let zeros = "0".repeat(usize::try_from(-point).ok()?);
            (String::new(), [zeros.as_str(), &digits].concat())
        }
    };
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    Some(match (whole, fraction) {
        ("", "") => "0".to_owned(),
        (whole, "") => [sign, whole].concat(),
        ("", fraction) => [sign, "0.", fraction].concat(),
        (whole, fraction) => [sign, whole, ".", fraction].concat(),
    })
}

/// The constrained canonical Digital Link of a GS1 identifier (rules 16 and 17); `None` if it is
/// none.
fn identifier(uri: &str) -> Option<String> {
    let identifier = Identifier::parse(&without_short_names(uri)).ok()?;
    if identifier.level == Level::Other {
        return None;
    }
    let key = identifier.key.as_str();
    // The consumer product variant is not one of the keys that rule 17 leaves.
    let key = match (identifier.level, key.split_once("/22/")) {
        (Level::Class, Some((product, _))) if key.starts_with("https://id.gs1.org/01/") => product,
        _ => key,
    };
    // Characters that EPC URNs have as they are, and that Digital Links need not escape either.
    Some(
        key.replace("%27", "'")
            .replace("%3B", ";")
            .replace("%3D", "="),
    )
}

fn without_short_names(uri: &str) -> Cow<'_, str> {
    let is_short = |segment: &str| SHORT_NAMES.iter().find(|(name, _)| *name == segment);
    let is_link = uri.starts_with("https://") || uri.starts_with("http://");
    if !is_link || !uri.split('/').skip(3).any(|part| is_short(part).is_some()) {
        return Cow::Borrowed(uri);
    }
    let mut spelled = String::with_capacity(uri.len());
    for (index, part) in uri.split('/').enumerate() {
        if index > 0 {
            spelled.push('/');
        }
        let short = is_short(part).filter(|_| index >= 3);
        spelled.push_str(short.map_or(part, |(_, ai)| ai));
    }
    Cow::Owned(spelled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{canonical, to_millisecond};
    use crate::epcis::time::Timestamp;

    #[test]
    fn numbers_have_one_spelling() {
        for (text, expected) in [
            ("1.0", "1"),
            ("26", "26"),
            ("+0.50", "0.5"),
            ("-0.0", "0"),
            ("0012.3400", "12.34"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("-12.5E-3", "-0.0125"),
            ("1e21", "1000000000000000000000"),
            ("340123450000000003.0", "340123450000000003"),
            ("1e401", "1e401"),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
        for text in [
            "", ".", "-", "e5", "1e", "1.2.3", "0x10", "1_000", "+01:00", "٣", "NaN", "inf",
        ] {
            assert_eq!(canonical(text), text);
        }
    }

    #[test]
    fn times_are_rounded_from_the_middle_of_a_millisecond() {
        for (text, expected) in [
            ("2023-02-02T11:04:03Z", "2023-02-02T11:04:03.000Z"),
            ("2023-02-02T11:04:03.1414999Z", "2023-02-02T11:04:03.141Z"),
            ("2023-02-02T11:04:03.1425+01:00", "2023-02-02T10:04:03.143Z"),
            ("2023-12-31T23:59:59.9995Z", "2024-01-01T00:00:00.000Z"),
            ("1969-12-31T23:59:59.9995Z", "1970-01-01T00:00:00.000Z"),
        ] {
            let time = Timestamp::parse(text).expect(text);
            assert_eq!(to_millisecond(time).to_string(), expected, "{text}");
        }
    }

    /// Made with the normaliser of the reference implementation (`dl_normaliser`, release 1.9.3).
    #[test]
    fn identifiers_are_constrained_canonical_digital_links() {
        for (uri, expected) in [
            (
                "urn:epc:id:sgtin:0614141.812345.6789%2F%26%25%22!%3F()",
                "01/80614141123458/21/6789%2F%26%25%22%21%3F%28%29",
            ),
            (
                "urn:epc:id:sgtin:4012345.011111.a'b;c=d+e,f:g*h",
                "01/04012345111118/21/a'b;c=d%2Be%2Cf%3Ag%2Ah",
            ),
            (
                "urn:epc:id:upui:1234567.098765.51qIgY)%3C%26Jp3*j7'SDB",
                "01/01234567987651/235/51qIgY%29%3C%26Jp3%2Aj7'SDB",
            ),
            (
                "urn:epc:id:sgtin:415056789012.0.987654",
                "01/04150567890128/21/987654",
            ),
            (
                "urn:epc:id:sscc:4012345.3111111111",
                "00/340123451111111111",
            ),
            ("urn:epc:id:sgln:4012345.00005.0", "414/4012345000054"),
            (
                "urn:epc:id:sgln:4012345.00005.122",
                "414/4012345000054/254/122",
            ),
            (
                "urn:epc:id:grai:4012345.00022.334455",
                "8003/04012345000221334455",
            ),
            ("urn:epc:id:giai:4012345.ABC345", "8004/4012345ABC345"),
            (
                "urn:epc:id:gsrn:4012345.0000006765",
                "8018/401234500000067657",
            ),
            (
                "urn:epc:id:gsrnp:4012345.0000000007",
                "8017/401234500000000074",
            ),
            ("urn:epc:id:gdti:987659999999..9", "253/98765999999929"),
            (
                "urn:epc:id:cpi:0614141.11111111111111-A%23%2F.1234",
                "8010/061414111111111111111-A%23%2F/8011/1234",
            ),
            ("urn:epc:id:sgcn:4012345.99999.44", "255/401234599999044"),
            (
                "urn:epc:id:ginc:0614141.xyz47%2F11",
                "401/0614141xyz47%2F11",
            ),
            ("urn:epc:id:gsin:4012345.222333444", "402/40123452223334442"),
            (
                "urn:epc:id:itip:4012345.011111.01.02.987",
                "8006/040123451111180102/21/987",
            ),
            ("urn:epc:id:pgln:999999999999.", "417/9999999999994"),
            (
                "urn:epc:class:lgtin:4012345.012345.Lot987",
                "01/04012345123456/10/Lot987",
            ),
            ("urn:epc:idpat:sgtin:4012345.066666.*", "01/04012345666663"),
            ("urn:epc:idpat:grai:4012345.66666.*", "8003/04012345666663"),
            ("urn:epc:idpat:gdti:4012345.55555.*", "253/4012345555554"),
            ("urn:epc:idpat:sgcn:4012345.99999.*", "255/4012345999990"),
            ("urn:epc:idpat:cpi:4012345.ABC.*", "8010/4012345ABC"),
            (
                "urn:epc:idpat:itip:4012345.012345.01.02.*",
                "8006/040123451234560102",
            ),
            ("urn:epc:idpat:upui:4012345.012345.*", "01/04012345123456"),
            (
                "https://id.gs1.org/gtin/09780345418913",
                "01/09780345418913",
            ),
            (
                "https://example.com/gtin/09780345418913/ser/765tz?abc=211121",
                "01/09780345418913/21/765tz",
            ),
            (
                "https://example.com/some/01/09780345418913/22/2A",
                "01/09780345418913",
            ),
            (
                "https://example.com/01/9780345418913/22/2A/10/L/21/S",
                "01/09780345418913/21/S",
            ),
        ] {
            assert_eq!(
                canonical(uri),
                format!("https://id.gs1.org/{expected}"),
                "{uri}"
            );
        }
        for uri in [
            "urn:epc:id:gid:1.2.3",
            "urn:epcglobal:cbv:bt:4012345000009:ASN1099",
            "urn:epc:idpat:sgtin:4012345.*.*",
            "https://example.com/order/gtin/12",
            "geo:50.947573340894124,6.922120147375441",
        ] {
            assert_eq!(canonical(uri), uri);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_canonical_value_is_its_own(text in r"[ +\-.0-9eE/:a-z%']{0,24}|[+\-]?[0-9]{0,4}(\.[0-9]{0,4})?(e[+\-]?[0-9]{1,2})?|https://x\.example/(gtin|01)/[0-9]{14}(/22/[a-z]{1,3})?") {
            let once = canonical(&text);
            prop_assert_eq!(canonical(&once), once);
        }

        #[test]
        fn the_spelling_of_a_number_does_not_matter(number in any::<i32>(), places in 0..6usize) {
            let text = format!("{number:+}.{}e0", "0".repeat(places));
            prop_assert_eq!(canonical(&text), number.to_string());
        }
    }
}
