//! Identifiers in the words that people use for them.

use super::percent_decode;

/// What a key names, in short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Short {
    /// What kind of identifier it is: `SSCC`, `lot`, `serial`; `URI` for one that is none of GS1's.
    pub kind: &'static str,
    /// The identifier itself: the number of the lot, and not that of its product.
    pub value: String,
    /// What the item is one of: the GTIN of a lot or a serial number.
    pub of: Option<String>,
}

/// Primary keys of GS1 Digital Links (URI Syntax 1.3, section 4.3), and what people call them.
const PRIMARY: [(&str, &str); 17] = [
    ("00", "SSCC"),
    ("01", "GTIN"),
    ("253", "GDTI"),
    ("255", "GCN"),
    ("401", "GINC"),
    ("402", "GSIN"),
    ("414", "GLN"),
    ("415", "GLN"),
    ("417", "party GLN"),
    ("8003", "GRAI"),
    ("8004", "GIAI"),
    ("8006", "ITIP"),
    ("8010", "CPID"),
    ("8013", "GMN"),
    ("8017", "GSRN"),
    ("8018", "GSRN"),
    ("8026", "ITIP"),
];

impl Short {
    /// The short form of a key.
    ///
    /// ```
    /// use provchain::epcis::identifier::Short;
    ///
    /// let lot = Short::of("https://id.gs1.org/01/04012345123456/10/998877");
    /// assert_eq!(lot.to_string(), "lot 998877");
    /// assert_eq!(lot.of.as_deref(), Some("GTIN 04012345123456"));
    /// ```
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self::of_digital_link(key).unwrap_or_else(|| Self {
            kind: "URI",
            value: key.to_owned(),
            of: None,
        })
    }

    fn of_digital_link(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix("https://id.gs1.org/")?.split('/');
        let (ai, value) = (parts.next()?, percent_decode(parts.next()?)?);
        let (_, kind) = PRIMARY.iter().find(|(primary, _)| *primary == ai)?;
        let whole = Self {
            kind,
            value,
            of: None,
        };
        let Some(qualifier) = parts.next() else {
            return Some(whole);
        };
        let kind = match qualifier {
            "10" => "lot",
            "21" => "serial",
            "22" => "variant",
            "254" => "extension",
            _ => return None,
        };
        Some(Self {
            kind,
            value: percent_decode(parts.next()?)?,
            of: Some(whole.to_string()),
        })
    }
}

impl std::fmt::Display for Short {
    /// Kind and value; of a URI the value alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.kind == "URI" {
            f.write_str(&self.value)
        } else {
            write!(f, "{} {}", self.kind, self.value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Short;

    #[test]
    fn every_kind_is_called_by_its_name_and_what_is_no_key_stays_as_it_is() {
        for (key, told, of) in [
            (
                "https://id.gs1.org/00/106141412345678908",
                "SSCC 106141412345678908",
                None,
            ),
            (
                "https://id.gs1.org/01/04012345123456",
                "GTIN 04012345123456",
                None,
            ),
            (
                "https://id.gs1.org/01/04012345123456/10/L1",
                "lot L1",
                Some("GTIN 04012345123456"),
            ),
            (
                "https://id.gs1.org/01/04012345123456/21/a%2Fb",
                "serial a/b",
                Some("GTIN 04012345123456"),
            ),
            (
                "https://id.gs1.org/414/4012345000054/254/a-1",
                "extension a-1",
                Some("GLN 4012345000054"),
            ),
            (
                "https://id.gs1.org/417/4012345000054",
                "party GLN 4012345000054",
                None,
            ),
            (
                "https://id.gs1.org/8004/4000001111",
                "GIAI 4000001111",
                None,
            ),
            ("https://id.gs1.org/01", "https://id.gs1.org/01", None),
            (
                "https://id.gs1.org/01/1/99/x",
                "https://id.gs1.org/01/1/99/x",
                None,
            ),
            (
                "https://id.gs1.org/01/%zz",
                "https://id.gs1.org/01/%zz",
                None,
            ),
            ("geo:42.69,23.31", "geo:42.69,23.31", None),
            ("", "", None),
        ] {
            let short = Short::of(key);
            assert_eq!(short.to_string(), told);
            assert_eq!(short.of.as_deref(), of, "{key}");
        }
    }
}
