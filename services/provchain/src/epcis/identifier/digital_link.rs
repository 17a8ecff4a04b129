//! GS1 Digital Link URIs (GS1 Digital Link: URI Syntax 1.3).

use super::{
    Identifier, IdentifierError, Level, check_digit, is_component, is_digits, is_text, key,
    percent_decode,
};

/// Reads an address without its scheme; `None` if it is no Digital Link.
pub fn parse(address: &str) -> Result<Option<Identifier>, IdentifierError> {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let Some((host, path)) = address[..end].split_once('/') else {
        return Ok(None);
    };
    let segments: Vec<&str> = path.split('/').collect();
    for start in 0..segments.len() {
        if let Some(found) = pairs(&segments[start..]).and_then(|pairs| identifier(&pairs)) {
            return Ok(Some(found));
        }
    }
    if host.eq_ignore_ascii_case("id.gs1.org") {
        return Err(IdentifierError(
            "not a GS1 Digital Link: a key's length, characters or check digit are wrong",
        ));
    }
    Ok(None)
}

/// Alternating application identifiers and values, values unescaped.
fn pairs<'a>(segments: &[&'a str]) -> Option<Vec<(&'a str, String)>> {
    if !segments.len().is_multiple_of(2) || segments.len() > 8 {
        return None;
    }
    segments
        .chunks_exact(2)
        .map(|pair| Some((pair[0], percent_decode(pair[1])?)))
        .collect()
}

fn identifier(pairs: &[(&str, String)]) -> Option<Identifier> {
    let ((ai, value), qualifiers) = pairs.split_first()?;
    match *ai {
        "01" => trade_item(value, qualifiers),
        "8006" => {
            let (gtin, rest) = (value.get(..14)?, value.get(14..)?);
            if !checked(gtin, 14) || !is_digits(rest, 4..=4) {
                return None;
            }
            let [_, lot, serial] = ordered(qualifiers, [("22", 20), ("10", 20), ("21", 20)])?;
            Some(match (serial, lot) {
                (Some(serial), _) => {
                    Identifier::new(Level::Instance, &[("8006", value), ("21", serial)])
                }
                (None, Some(lot)) => Identifier::new(Level::Lot, &[("8006", value), ("10", lot)]),
                (None, None) => Identifier::new(Level::Class, &[("8006", value)]),
            })
        }
        "414" => {
            let [extension] = ordered(qualifiers, [("254", 20)])?;
            checked(value, 13).then(|| match extension {
                Some(extension) => {
                    Identifier::new(Level::Instance, &[("414", value), ("254", extension)])
                }
                None => Identifier::new(Level::Instance, &[("414", value)]),
            })
        }
        "8010" => {
            let [serial] = ordered(qualifiers, [("8011", 12)])?;
            match serial {
                Some(serial) if !is_digits(serial, 1..=12) => None,
                _ if !is_component(value, 7..=30) => None,
                Some(serial) => Some(Identifier::new(
                    Level::Instance,
                    &[("8010", value), ("8011", serial)],
                )),
                None => Some(Identifier::new(Level::Class, &[("8010", value)])),
            }
        }
        "8017" | "8018" => {
            // A service relation's instance number (8019) does not change whose it is.
            ordered(qualifiers, [("8019", 10)])?;
            checked(value, 18).then(|| Identifier::new(Level::Instance, &[(ai, value)]))
        }
        _ if !qualifiers.is_empty() => None,
        "00" => checked(value, 18).then(|| Identifier::new(Level::Instance, &[(ai, value)])),
        "417" => checked(value, 13).then(|| Identifier::new(Level::Instance, &[(ai, value)])),
        "402" => checked(value, 17).then(|| Identifier::new(Level::Instance, &[(ai, value)])),
        "401" | "8004" => {
            is_text(value, 7..=30).then(|| Identifier::new(Level::Instance, &[(ai, value)]))
        }
        "8003" => with_serial(ai, value, 14, 16),
        "253" => with_serial(ai, value, 13, 17),
        "255" => with_serial(ai, value, 13, 12),
        _ => None,
    }
}

fn trade_item(value: &str, qualifiers: &[(&str, String)]) -> Option<Identifier> {
    // Shorter GTINs are written with leading zeros in a canonical link.
    let gtin = match value.len() {
        8 | 12 | 13 | 14 => format!("{value:0>14}"),
        _ => return None,
    };
    if !checked(&gtin, 14) {
        return None;
    }
    if let [(ai, serial)] = qualifiers
        && *ai == "235"
    {
        return is_text(serial, 1..=28)
            .then(|| Identifier::new(Level::Instance, &[("01", &gtin), ("235", serial)]));
    }
    let [variant, lot, serial] = ordered(qualifiers, [("22", 20), ("10", 20), ("21", 20)])?;
    let lot = lot.map(|lot| [("01", gtin.as_str()), ("10", lot)]);
    Some(match (serial, lot, variant) {
        (Some(serial), lot, _) => Identifier {
            lot: lot.map(|pairs| key(&pairs)),
            ..Identifier::new(Level::Instance, &[("01", &gtin), ("21", serial)])
        },
        (None, Some(pairs), _) => Identifier::new(Level::Lot, &pairs),
        (None, None, Some(variant)) => {
            Identifier::new(Level::Class, &[("01", &gtin), ("22", variant)])
        }
        (None, None, None) => Identifier::new(Level::Class, &[("01", &gtin)]),
    })
}

/// The values of the allowed qualifiers, each at most once and in the standard's order.
fn ordered<'a, const N: usize>(
    qualifiers: &'a [(&str, String)],
    allowed: [(&str, usize); N],
) -> Option<[Option<&'a str>; N]> {
    let mut values = [None; N];
    let mut next = 0;
    for (ai, value) in qualifiers {
        let offset = allowed[next..].iter().position(|(name, _)| name == ai)?;
        let place = next + offset;
        if !is_text(value, 1..=allowed[place].1) {
            return None;
        }
        values[place] = Some(value.as_str());
        next = place + 1;
    }
    Some(values)
}

/// A key of `digits` digits with a check digit, then a serial number of up to `serial_max`.
fn with_serial(ai: &str, value: &str, digits: usize, serial_max: usize) -> Option<Identifier> {
    let (class, serial) = (value.get(..digits)?, value.get(digits..)?);
    if !checked(class, digits) || !(serial.is_empty() || is_text(serial, 1..=serial_max)) {
        return None;
    }
    let level = if serial.is_empty() {
        Level::Class
    } else {
        Level::Instance
    };
    Some(Identifier::new(level, &[(ai, value)]))
}

fn checked(value: &str, digits: usize) -> bool {
    is_digits(value, digits..=digits) && value.ends_with(check_digit(&value[..digits - 1]))
}
