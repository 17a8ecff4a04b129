//! GS1 identifiers in their two spellings, brought to one key.
//!
//! `urn:epc:id:sgtin:0614141.107346.2017` and `https://example.com/01/10614141073464/21/2017`
//! name the same thing. An [`ItemKey`] is the canonical GS1 Digital Link URI, because the other
//! direction would need to know how long each company's prefix is; a URI that is no GS1
//! identifier is its own key. Sources: GS1 EPC Tag Data Standard 2.0, sections 6 and 7 (EPC URIs
//! and their GS1 element strings); GS1 Digital Link: URI Syntax 1.3, sections 4 and 5.

mod digital_link;
mod epc_urn;
mod short;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::short::Short;

/// The one spelling of an identifier by which items compare.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemKey(String);

impl ItemKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of lot `lot` of the trade item that this key is an instance of.
    pub fn lot(&self, lot: &str) -> Option<ItemKey> {
        let gtin = self
            .0
            .strip_prefix("https://id.gs1.org/01/")?
            .split('/')
            .next()?;
        is_text(lot, 1..=20).then(|| key(&[("01", gtin), ("10", lot)]))
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much an identifier names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// One thing: a serial number, a shipping container code, a location, a document.
    Instance,
    /// Everything of one batch or lot.
    Lot,
    /// Everything of one kind.
    Class,
    /// Not a GS1 identifier; it may name anything.
    Other,
}

/// An identifier, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// What it compares by.
    pub key: ItemKey,
    /// How much it names.
    pub level: Level,
    /// The lot that the identifier itself puts this instance into (Digital Link with both a
    /// lot and a serial number).
    pub lot: Option<ItemKey>,
}

/// Why an identifier is not well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdentifierError(&'static str);

impl Identifier {
    /// Reads a URI as an identifier.
    ///
    /// ```
    /// use provchain::epcis::identifier::{Identifier, Level};
    ///
    /// let urn = Identifier::parse("urn:epc:class:lgtin:4012345.012345.998877").unwrap();
    /// let link = Identifier::parse("https://id.gs1.org/01/04012345123456/10/998877").unwrap();
    /// assert_eq!(urn, link);
    /// assert_eq!(urn.level, Level::Lot);
    /// ```
    ///
    /// # Errors
    /// An EPC URN that its scheme does not allow, and a Digital Link at `id.gs1.org` with a wrong
    /// length, character or check digit. Web addresses elsewhere that are no Digital Link, and
    /// all other URIs, are keys as they are.
    pub fn parse(uri: &str) -> Result<Self, IdentifierError> {
        if let Some(epc) = uri.strip_prefix("urn:epc:") {
            return epc_urn::parse(epc).map(|found| found.unwrap_or_else(|| Self::other(uri)));
        }
        let address = uri
            .strip_prefix("https://")
            .or_else(|| uri.strip_prefix("http://"));
        match address {
            Some(address) => {
                let found = digital_link::parse(address)?;
                Ok(found.unwrap_or_else(|| Self::other(uri)))
            }
            None => Ok(Self::other(uri)),
        }
    }

    fn other(uri: &str) -> Self {
        Self {
            key: ItemKey(uri.to_owned()),
            level: Level::Other,
            lot: None,
        }
    }

    /// The identifier with the key `/ai/value…`; values are given raw.
    fn new(level: Level, pairs: &[(&str, &str)]) -> Self {
        Self {
            key: key(pairs),
            level,
            lot: None,
        }
    }
}

fn key(pairs: &[(&str, &str)]) -> ItemKey {
    let mut key = String::from("https://id.gs1.org");
    for (ai, value) in pairs {
        key.push('/');
        key.push_str(ai);
        key.push('/');
        percent_encode_into(&mut key, value);
    }
    ItemKey(key)
}

/// Escapes all but the unreserved characters of RFC 3986, as a canonical Digital Link does.
fn percent_encode_into(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&hex::encode_upper([byte]));
        }
    }
}

/// Resolves percent escapes; `None` if one is broken or the result is not ASCII.
fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let digits = after.get(..2)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)?;
        if digits.starts_with('+') {
            return None;
        }
        decoded.push(char::from(byte));
        rest = &after[2..];
    }
    decoded.push_str(rest);
    decoded.is_ascii().then_some(decoded)
}

/// Whether `text` has `lengths` characters of the GS1 AI encodable character set 82.
fn is_text(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!\"%&'()*+,-./:;<=>?_".contains(&byte))
}

/// As [`is_text`], with the `#` that component and part identifiers may have (character set 39).
fn is_component(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    is_text(&text.replace('#', "-"), lengths)
}

fn is_digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The check digit that completes `digits` (GS1 General Specifications, section 7.9).
pub fn check_digit(digits: &str) -> char {
    let sum: u32 = digits
        .bytes()
        .rev()
        .zip([3, 1].into_iter().cycle())
        .map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight)
        .sum();
    char::from(b'0' + u8::try_from((10 - sum % 10) % 10).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Identifier, Level, check_digit};

    fn key(uri: &str) -> String {
        let identifier = Identifier::parse(uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
        identifier.key.to_string()
    }

    #[test]
    fn the_check_digit_is_that_of_the_general_specifications() {
        assert_eq!(check_digit("629104150021"), '3');
        assert_eq!(check_digit("0401234598765"), '2');
    }

    #[test]
    fn both_spellings_of_an_identifier_have_one_key() {
        for (urn, link) in [
            (
                "urn:epc:id:sgtin:0614141.712345.2017",
                "https://id.gs1.org/01/70614141123451/21/2017",
            ),
            (
                "urn:epc:id:sgtin:0614141.712345.a%2Fb%25.c",
                "http://example.com/some/path/01/70614141123451/10/LOT1/21/a%2fb%25.c?17=261231",
            ),
            (
                "urn:epc:id:sscc:0614141.1234567890",
                "https://example.org/00/106141412345678908",
            ),
            (
                "urn:epc:id:sgln:4012345.00005.0",
                "https://id.example.com/414/4012345000054",
            ),
            (
                "urn:epc:id:sgln:4012345.00005.a-1",
                "https://x.example/414/4012345000054/254/a-1",
            ),
            (
                "urn:epc:id:pgln:4012345.00005",
                "https://id.gs1.org/417/4012345000054",
            ),
            (
                "urn:epc:id:giai:4000001.111",
                "https://id.gs1.org/8004/4000001111",
            ),
            (
                "urn:epc:id:grai:4012345.55555.987",
                "https://id.gs1.org/8003/04012345555554987",
            ),
            (
                "urn:epc:id:gdti:0614141.12345.400",
                "https://id.gs1.org/253/0614141123452400",
            ),
            (
                "urn:epc:id:cpi:0614141.5PQ7%2FZ%2343.12345",
                "https://id.gs1.org/8010/06141415PQ7%2FZ%2343/8011/12345",
            ),
            (
                "urn:epc:class:lgtin:4012345.012345.998877",
                "https://id.gs1.org/01/04012345123456/10/998877",
            ),
            (
                "urn:epc:idpat:sgtin:4012345.066666.*",
                "https://id.gs1.org/01/04012345666663",
            ),
        ] {
            assert_eq!(key(urn), key(link), "{urn}");
        }
    }

    #[test]
    fn the_level_says_how_much_is_named() {
        for (uri, level) in [
            ("urn:epc:id:sgtin:0614141.712345.2017", Level::Instance),
            ("urn:epc:class:lgtin:4012345.012345.998877", Level::Lot),
            ("urn:epc:idpat:sgtin:4012345.066666.*", Level::Class),
            ("https://id.gs1.org/01/04012345123456/22/2A", Level::Class),
            ("https://id.gs1.org/253/0614141123452", Level::Class),
            ("urn:epc:idpat:sgtin:*.*.*", Level::Class),
            ("geo:42.69,23.31", Level::Other),
            ("https://example.com/01/12345", Level::Other),
        ] {
            assert_eq!(
                Identifier::parse(uri).map(|found| found.level),
                Ok(level),
                "{uri}"
            );
        }
    }

    #[test]
    fn a_lot_in_a_serialised_link_is_kept_beside_the_instance() {
        let uri = "https://id.gs1.org/01/70614141123451/10/998877/21/2017";
        let identifier = Identifier::parse(uri).expect("a Digital Link");
        assert_eq!(
            identifier.key.as_str(),
            "https://id.gs1.org/01/70614141123451/21/2017"
        );
        assert_eq!(
            identifier.lot.map(|lot| lot.to_string()),
            Some("https://id.gs1.org/01/70614141123451/10/998877".to_owned())
        );
    }

    #[test]
    fn malformed_gs1_identifiers_are_refused() {
        for uri in [
            "urn:epc:id:sgtin:0614141.107346",
            "urn:epc:id:sgtin:0614141.10734.2017",
            "urn:epc:id:sgtin:061414X.107346.2017",
            "urn:epc:id:sgtin:0614141.107346.",
            "urn:epc:id:sgtin:0614141.107346.a/b",
            "urn:epc:id:sgtin:0614141.107346.123456789012345678901",
            "urn:epc:id:sscc:0614141.123456789",
            "urn:epc:id:sgln:0614141.0000.0",
            "urn:epc:id:nosuch:0614141.0000",
            "urn:epc:tag:sgtin-96:1.0614141.107346.2017",
            "urn:epc:class:lgtin:4012345.012345",
            "urn:epc:id:lgtin:4012345.012345.998877",
            "https://id.gs1.org/01/70614141123452/21/2017",
            "https://id.gs1.org/01/70614141123451/21/",
            "https://id.gs1.org/00/10614141234567890",
        ] {
            assert!(Identifier::parse(uri).is_err(), "{uri} is taken");
        }
    }
}
