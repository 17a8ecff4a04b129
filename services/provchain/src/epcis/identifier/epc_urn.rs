//! EPC pure identity, class and pattern URIs (EPC Tag Data Standard 2.0, section 6.3).

use super::{
    Identifier, IdentifierError, Level, check_digit, is_component, is_digits, is_text,
    percent_decode,
};

type Outcome = Result<Option<Identifier>, IdentifierError>;

fn wrong<T>(reason: &'static str) -> Result<T, IdentifierError> {
    Err(IdentifierError(reason))
}

/// Reads what follows `urn:epc:`; `None` for well-known schemes that have no GS1 key.
pub fn parse(epc: &str) -> Outcome {
    let Some((kind, rest)) = epc.split_once(':') else {
        return wrong("an EPC URI needs a scheme");
    };
    let Some((scheme, value)) = rest.split_once(':') else {
        return wrong("an EPC URI needs a scheme and a value");
    };
    match kind {
        "id" => identity(scheme, value),
        "class" if scheme == "lgtin" => {
            let (gtin, lot) = trade_item(value)?;
            let lot = text(&lot, 1..=20)?;
            Ok(Some(Identifier::new(
                Level::Lot,
                &[("01", &gtin), ("10", &lot)],
            )))
        }
        "class" => wrong("the only class scheme is lgtin"),
        "idpat" => pattern(scheme, value),
        _ => wrong("tag and raw URIs do not belong in events; use urn:epc:id"),
    }
}

fn identity(scheme: &str, value: &str) -> Outcome {
    let instance = |pairs: &[(&str, &str)]| Ok(Some(Identifier::new(Level::Instance, pairs)));
    match scheme {
        "sgtin" => {
            let (gtin, serial) = trade_item(value)?;
            let serial = text(&serial, 1..=20)?;
            instance(&[("01", &gtin), ("21", &serial)])
        }
        "upui" => {
            let (gtin, serial) = trade_item(value)?;
            let serial = text(&serial, 1..=28)?;
            instance(&[("01", &gtin), ("235", &serial)])
        }
        "itip" => {
            let (gtin, rest) = trade_item(value)?;
            let mut parts = rest.splitn(3, '.');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(piece), Some(total), Some(serial))
                    if is_digits(piece, 2..=2) && is_digits(total, 2..=2) =>
                {
                    let serial = text(serial, 1..=20)?;
                    instance(&[("8006", &[&gtin, piece, total].concat()), ("21", &serial)])
                }
                _ => wrong("an itip ends in piece, total and serial number"),
            }
        }
        "sscc" => {
            let (company, reference) = company(value, Some(17))?;
            // The first digit of the reference is the extension digit.
            let (extension, rest) = reference.split_at(1);
            instance(&[("00", &with_check(&[extension, company, rest]))])
        }
        "sgln" => {
            let (gln, extension) = thirteen(value)?;
            match extension.as_deref() {
                None => wrong("an sgln needs an extension; 0 stands for none"),
                Some("0") => instance(&[("414", &gln)]),
                Some(extension) => instance(&[("414", &gln), ("254", &text(extension, 1..=20)?)]),
            }
        }
        "pgln" => match thirteen(value)? {
            (gln, None) => instance(&[("417", &gln)]),
            _ => wrong("a pgln has two parts"),
        },
        "grai" => {
            let (asset, serial) = thirteen(value)?;
            let serial = text(serial.as_deref().unwrap_or_default(), 1..=16)?;
            instance(&[("8003", &["0", &asset, &serial].concat())])
        }
        "gdti" => {
            let (document, serial) = thirteen(value)?;
            let serial = text(serial.as_deref().unwrap_or_default(), 1..=17)?;
            instance(&[("253", &[&document, serial.as_str()].concat())])
        }
        "sgcn" => match thirteen(value)? {
            (coupon, Some(serial)) if is_digits(&serial, 1..=12) => {
                instance(&[("255", &[coupon, serial].concat())])
            }
            _ => wrong("an sgcn ends in a serial number of up to 12 digits"),
        },
        "giai" => {
            let (company, reference) = company(value, None)?;
            let reference = text(reference, 1..=30 - company.len())?;
            instance(&[("8004", &[company, &reference].concat())])
        }
        "ginc" => {
            let (company, reference) = company(value, None)?;
            let reference = text(reference, 1..=30 - company.len())?;
            instance(&[("401", &[company, &reference].concat())])
        }
        "gsin" => {
            let (company, reference) = company(value, Some(16))?;
            instance(&[("402", &with_check(&[company, reference]))])
        }
        "gsrn" | "gsrnp" => {
            let (company, reference) = company(value, Some(17))?;
            let ai = if scheme == "gsrn" { "8018" } else { "8017" };
            instance(&[(ai, &with_check(&[company, reference]))])
        }
        "cpi" => {
            let (company, rest) = company(value, None)?;
            match rest.split_once('.') {
                Some((part, serial)) if is_digits(serial, 1..=12) => {
                    let part = component(part, 1..=30 - company.len())?;
                    instance(&[("8010", &[company, &part].concat()), ("8011", serial)])
                }
                _ => wrong("a cpi ends in a serial number of up to 12 digits"),
            }
        }
        // Schemes of other issuers, which have no GS1 key.
        "gid" | "usdod" | "adi" | "bic" | "imovn" => Ok(None),
        _ => wrong("this EPC scheme is not one of the Tag Data Standard"),
    }
}

/// A pattern: all serial numbers of a class, or of more.
fn pattern(scheme: &str, value: &str) -> Outcome {
    let class = |pairs: &[(&str, &str)]| Ok(Some(Identifier::new(Level::Class, pairs)));
    let Some(fixed) = value.strip_suffix(".*") else {
        return wrong("a pattern ends in .*");
    };
    if fixed.split('.').any(|part| part == "*") {
        // All of a company, or of everyone: no single class, so the pattern is its own key.
        return Ok(Some(Identifier {
            key: super::ItemKey(format!("urn:epc:idpat:{scheme}:{value}")),
            level: Level::Class,
            lot: None,
        }));
    }
    match scheme {
        "sgtin" | "upui" => class(&[("01", &trade_item(&format!("{fixed}.0"))?.0)]),
        "itip" => {
            let (gtin, rest) = trade_item(fixed)?;
            match rest.split_once('.') {
                Some((piece, total)) if is_digits(piece, 2..=2) && is_digits(total, 2..=2) => {
                    class(&[("8006", &[&gtin, piece, total].concat())])
                }
                _ => wrong("an itip pattern names piece and total"),
            }
        }
        "grai" => class(&[("8003", &["0", &thirteen(fixed)?.0].concat())]),
        "gdti" => class(&[("253", &thirteen(fixed)?.0)]),
        "sgcn" => class(&[("255", &thirteen(fixed)?.0)]),
        "cpi" => {
            let (company, part) = company(fixed, None)?;
            let part = component(part, 1..=30 - company.len())?;
            class(&[("8010", &[company, &part].concat())])
        }
        _ => wrong("this EPC scheme has no patterns"),
    }
}

/// The company prefix and what follows its dot; `total` digits together, where it is given.
fn company(value: &str, total: Option<usize>) -> Result<(&str, &str), IdentifierError> {
    let Some((company, rest)) = value.split_once('.') else {
        return wrong("a company prefix and a reference are expected, with a dot between them");
    };
    if !is_digits(company, 6..=12) {
        return wrong("a GS1 company prefix has 6 to 12 digits");
    }
    match total {
        Some(total) if !is_digits(rest, total - company.len()..=total - company.len()) => {
            wrong("the company prefix and the reference have the wrong number of digits together")
        }
        _ => Ok((company, rest)),
    }
}

/// The GTIN of `company.indicator-and-reference.serial`, and the serial number.
fn trade_item(value: &str) -> Result<(String, String), IdentifierError> {
    let (company, rest) = company(value, None)?;
    let Some((reference, serial)) = rest.split_once('.') else {
        return wrong("a serial or lot number is missing");
    };
    if company.len() + reference.len() != 13 || !is_digits(reference, 1..=7) {
        return wrong("the company prefix and the item reference must have 13 digits together");
    }
    let (indicator, item) = reference.split_at(1);
    Ok((with_check(&[indicator, company, item]), serial.to_owned()))
}

/// The thirteen-digit key of `company.reference`, and what follows in a third part.
fn thirteen(value: &str) -> Result<(String, Option<String>), IdentifierError> {
    let (company, rest) = company(value, None)?;
    let (reference, serial) = match rest.split_once('.') {
        Some((reference, serial)) => (reference, Some(serial.to_owned())),
        None => (rest, None),
    };
    // A company prefix of 12 digits leaves no digit for the reference.
    if company.len() + reference.len() != 12 || !is_digits(reference, 0..=6) {
        return wrong("the company prefix and the reference must have 12 digits together");
    }
    Ok((with_check(&[company, reference]), serial))
}

fn with_check(parts: &[&str]) -> String {
    let mut digits = parts.concat();
    digits.push(check_digit(&digits));
    digits
}

/// The characters behind a part of an EPC URI, in which `"#%&/<>?` are escaped.
fn text(part: &str, lengths: std::ops::RangeInclusive<usize>) -> Result<String, IdentifierError> {
    unescaped(part, |text| is_text(text, lengths.clone()))
}

/// As [`text`], for component and part identifiers.
fn component(
    part: &str,
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<String, IdentifierError> {
    unescaped(part, |text| is_component(text, lengths.clone()))
}

fn unescaped(part: &str, is_good: impl Fn(&str) -> bool) -> Result<String, IdentifierError> {
    if part.contains(['"', '#', '&', '/', '<', '>', '?']) {
        return wrong("the characters \" # & / < > ? are written as percent escapes in EPC URIs");
    }
    match percent_decode(part) {
        Some(text) if is_good(&text) => Ok(text),
        _ => wrong("a serial, lot or reference is empty, too long or has a character of no code"),
    }
}
