//! What the `MATCH_` parameters match (EPCIS 2.0, section 8.2.7.1.1; EPC Tag Data Standard 2.0,
//! section 8).
//!
//! Keys are canonical GS1 Digital Links, and so a pattern is what these begin with. A company prefix
//! stands behind the indicator digit of a GTIN and behind the extension digit of an SSCC: ten
//! beginnings then.

use crate::epcis::identifier::{Identifier, Level};

/// What a key must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyPattern {
    /// This key.
    Is(String),
    /// A key that begins so, and whose rest has this in it.
    Begins {
        /// The beginning, which ends in a digit or a slash.
        with: String,
        /// What comes somewhere behind it; empty for anything.
        then: &'static str,
    },
    /// A key that begins so, without another part behind.
    Ends {
        /// The beginning.
        with: String,
    },
}

/// Why a value of a `MATCH_` parameter cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PatternError {
    /// It is malformed.
    Malformed(String),
    /// Its scheme's patterns are not supported.
    Unsupported(String),
}

impl KeyPattern {
    /// Whether `key` is so.
    pub fn matches(&self, key: &str) -> bool {
        match self {
            Self::Is(other) => key == other,
            Self::Begins { with, then } => key
                .strip_prefix(with.as_str())
                .is_some_and(|rest| rest.contains(then)),
            Self::Ends { with } => key
                .strip_prefix(with.as_str())
                .is_some_and(|rest| !rest.contains('/')),
        }
    }
}

/// The patterns that `uri` stands for among identifiers of single things.
pub(super) fn of_instances(uri: &str) -> Result<Vec<KeyPattern>, PatternError> {
    let Some(pattern) = uri.strip_prefix("urn:epc:idpat:") else {
        let identifier = parse(uri)?;
        let key = identifier.key.as_str();
        // A class is its pattern, in either spelling: no list of single things names a class.
        return Ok(if identifier.level == Level::Class {
            instances_of(key)
        } else {
            vec![KeyPattern::Is(key.to_owned())]
        });
    };
    let (scheme, fixed) = fixed(uri, pattern)?;
    let begins = |with: String| KeyPattern::Begins { with, then: "" };
    Ok(match (scheme, fixed.as_slice()) {
        ("sgtin" | "grai" | "gdti", [_, _]) => instances_of(parse(uri)?.key.as_str())
            .into_iter()
            // The key of a GTIN is also that of its other serial numbers.
            .filter(|pattern| !matches!(pattern, KeyPattern::Begins { with, .. } if with.ends_with("/235/")))
            .collect(),
        ("sgtin", [company]) => behind_a_digit("https://id.gs1.org/01/", company, "/21/"),
        ("sgtin", []) => vec![KeyPattern::Begins {
            with: "https://id.gs1.org/01/".to_owned(),
            then: "/21/",
        }],
        ("sscc", [company]) => behind_a_digit("https://id.gs1.org/00/", company, ""),
        ("sscc", []) => vec![begins("https://id.gs1.org/00/".to_owned())],
        ("sgln", [company, place]) => {
            let one = format!("urn:epc:id:sgln:{company}.{place}.0");
            vec![begins(parse(&one)?.key.to_string())]
        }
        ("sgln", parts @ ([] | [_])) => vec![begins(under("414/", parts))],
        ("pgln", parts @ ([] | [_])) => vec![begins(under("417/", parts))],
        ("grai", parts @ ([] | [_])) => vec![begins(under("8003/0", parts))],
        ("giai", parts @ ([] | [_])) => vec![begins(under("8004/", parts))],
        ("gdti", parts @ ([] | [_])) => vec![begins(under("253/", parts))],
        _ => return Err(unsupported(scheme)),
    })
}

/// The patterns that `uri` stands for among classes and lots.
pub(super) fn of_classes(uri: &str) -> Result<Vec<KeyPattern>, PatternError> {
    let Some(pattern) = uri.strip_prefix("urn:epc:idpat:") else {
        return Ok(vec![KeyPattern::Is(parse(uri)?.key.to_string())]);
    };
    let (scheme, fixed) = fixed(uri, pattern)?;
    let whole = |uri: &str| Ok::<_, PatternError>(KeyPattern::Is(parse(uri)?.key.to_string()));
    Ok(match (scheme, fixed.as_slice()) {
        ("sgtin" | "grai" | "gdti", [_, _]) => vec![whole(uri)?],
        ("sgtin", [company]) => {
            let mut patterns: Vec<_> = (0..10)
                .map(|digit| KeyPattern::Ends {
                    with: format!("https://id.gs1.org/01/{digit}{company}"),
                })
                .collect();
            // A pattern of a whole company may itself stand in an event.
            patterns.push(whole(uri)?);
            patterns
        }
        _ => return Err(unsupported(scheme)),
    })
}

/// The keys of the single things that are of the class `key`.
fn instances_of(key: &str) -> Vec<KeyPattern> {
    let serials: &[&str] = match key
        .trim_start_matches("https://id.gs1.org/")
        .split('/')
        .next()
    {
        Some("01") => &["/21/", "/235/"],
        Some("8006") => &["/21/"],
        Some("8010") => &["/8011/"],
        // The serial number follows in the same value.
        Some("8003" | "253" | "255") => &[""],
        _ => return vec![KeyPattern::Is(key.to_owned())],
    };
    serials
        .iter()
        .map(|serial| KeyPattern::Begins {
            with: format!("{key}{serial}"),
            then: "",
        })
        .collect()
}

fn behind_a_digit(start: &str, company: &str, then: &'static str) -> Vec<KeyPattern> {
    (0..10)
        .map(|digit| KeyPattern::Begins {
            with: format!("{start}{digit}{company}"),
            then,
        })
        .collect()
}

fn under(ai: &str, parts: &[&str]) -> String {
    ["https://id.gs1.org/", ai, &parts.concat()].concat()
}

/// The scheme of a pattern, and its parts before the first star.
fn fixed<'a>(uri: &str, pattern: &'a str) -> Result<(&'a str, Vec<&'a str>), PatternError> {
    let malformed = || {
        PatternError::Malformed(format!(
            "{uri:?} is no pattern: the parts from one on are stars, as \
             urn:epc:idpat:sgtin:0614141.107346.*"
        ))
    };
    let (scheme, value) = pattern.split_once(':').ok_or_else(malformed)?;
    let parts: Vec<&str> = value.split('.').collect();
    let stars = parts.iter().rev().take_while(|part| **part == "*").count();
    let fixed = &parts[..parts.len() - stars];
    let company = fixed.first().is_none_or(|company| {
        (6..=12).contains(&company.len()) && company.bytes().all(|byte| byte.is_ascii_digit())
    });
    let digits = fixed
        .iter()
        .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if stars == 0 || parts.len() > 5 || !company || !digits {
        return Err(malformed());
    }
    Ok((scheme, fixed.to_vec()))
}

fn parse(uri: &str) -> Result<Identifier, PatternError> {
    Identifier::parse(uri).map_err(|error| PatternError::Malformed(format!("{uri:?}: {error}")))
}

fn unsupported(scheme: &str) -> PatternError {
    PatternError::Unsupported(format!(
        "patterns of this form of the scheme {scheme:?} are not known here"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(patterns: &[KeyPattern], uri: &str) -> bool {
        let key = Identifier::parse(uri).unwrap().key;
        patterns.iter().any(|pattern| pattern.matches(key.as_str()))
    }

    #[test]
    fn a_pattern_matches_its_own_and_no_other_in_either_spelling() {
        for (pattern, inside, outside) in [
            (
                "urn:epc:idpat:sgtin:0614141.712345.*",
                "https://id.gs1.org/01/70614141123451/21/2017",
                "urn:epc:id:sgtin:0614141.712346.2017",
            ),
            (
                "https://id.gs1.org/01/70614141123451",
                "urn:epc:id:sgtin:0614141.712345.2017",
                "urn:epc:class:lgtin:0614141.712345.2017",
            ),
            (
                "urn:epc:idpat:sgtin:0614141.*.*",
                "https://example.com/01/70614141123451/21/1",
                "urn:epc:id:sgtin:0614142.712345.2017",
            ),
            (
                "urn:epc:idpat:sgtin:*.*.*",
                "urn:epc:id:sgtin:0614142.712345.2017",
                "urn:epc:id:sscc:0614141.1234567890",
            ),
            (
                "urn:epc:idpat:sscc:0614141.*",
                "urn:epc:id:sscc:0614141.1234567890",
                "urn:epc:id:sscc:0614142.1234567890",
            ),
            (
                "urn:epc:idpat:sgln:4012345.00005.*",
                "urn:epc:id:sgln:4012345.00005.a-1",
                "urn:epc:id:sgln:4012345.00006.a-1",
            ),
            (
                "urn:epc:idpat:sgln:4012345.*.*",
                "urn:epc:id:sgln:4012345.00006.0",
                "urn:epc:id:sgln:4012346.00006.0",
            ),
            (
                "urn:epc:idpat:grai:4012345.55555.*",
                "urn:epc:id:grai:4012345.55555.987",
                "urn:epc:id:grai:4012345.55556.987",
            ),
            (
                "urn:epc:idpat:giai:4000001.*",
                "https://id.gs1.org/8004/4000001111",
                "https://id.gs1.org/8004/4000002111",
            ),
            (
                "urn:epc:idpat:gdti:0614141.*.*",
                "urn:epc:id:gdti:0614141.12345.400",
                "urn:epc:id:gdti:0614142.12345.400",
            ),
        ] {
            let patterns = of_instances(pattern).unwrap();
            assert!(matched(&patterns, inside), "{pattern} {inside}");
            assert!(!matched(&patterns, outside), "{pattern} {outside}");
        }
    }

    #[test]
    fn a_pattern_of_sgtins_is_none_of_other_serial_numbers_of_a_gtin() {
        let upui = "https://id.gs1.org/01/70614141123451/235/abc";
        let link = of_instances("https://id.gs1.org/01/70614141123451").unwrap();
        assert!(matched(&link, upui));
        for pattern in [
            "urn:epc:idpat:sgtin:0614141.712345.*",
            "urn:epc:idpat:sgtin:0614141.*.*",
        ] {
            assert!(!matched(&of_instances(pattern).unwrap(), upui), "{pattern}");
        }
    }

    #[test]
    fn a_class_is_matched_by_itself_and_by_the_pattern_of_its_company() {
        let class = "urn:epc:idpat:sgtin:0614141.712345.*";
        let lot = "urn:epc:class:lgtin:0614141.712345.A";
        for pattern in [
            class,
            "https://id.gs1.org/01/70614141123451",
            "urn:epc:idpat:sgtin:0614141.*.*",
        ] {
            let patterns = of_classes(pattern).unwrap();
            assert!(matched(&patterns, class), "{pattern}");
            assert!(!matched(&patterns, lot), "{pattern}");
        }
        assert!(matched(&of_classes(lot).unwrap(), lot));
    }

    #[test]
    fn what_is_no_pattern_and_what_is_not_supported_is_said() {
        for malformed in [
            "urn:epc:idpat:sgtin",
            "urn:epc:idpat:sgtin:0614141.712345.2017",
            "urn:epc:idpat:sgtin:*.712345.*",
            "urn:epc:idpat:sgtin:61.*.*",
            "urn:epc:idpat:sgtin:06141%1.*.*",
            "urn:epc:idpat:sgtin:0614141.71234.*",
            "urn:epc:id:sgtin:0614141.71234.1",
        ] {
            let found = of_instances(malformed);
            assert!(
                matches!(found, Err(PatternError::Malformed(_))),
                "{malformed}: {found:?}"
            );
        }
        let found = of_instances("urn:epc:idpat:cpi:0614141.*.*");
        assert!(matches!(found, Err(PatternError::Unsupported(_))));
    }
}
