//! What an index keeps of an event, beside its links.

use std::collections::HashMap;

use serde_json::Value;

use super::condition::{Part, list};
use super::word::Word;
use crate::epcis::Event;
use crate::epcis::identifier::{Identifier, ItemKey};

/// Quantity lists.
pub(super) const QUANTITY_LISTS: [&str; 4] = [
    "quantityList",
    "childQuantityList",
    "inputQuantityList",
    "outputQuantityList",
];

/// The fields that the `MATCH_` parameters tell apart, in the order of their bits; and where in their
/// elements the identifier stands.
const FIELDS: [(&str, &str); 9] = [
    ("epcList", ""),
    ("childEPCs", ""),
    ("parentID", ""),
    ("inputEPCList", ""),
    ("outputEPCList", ""),
    ("quantityList", "epcClass"),
    ("childQuantityList", "epcClass"),
    ("inputQuantityList", "epcClass"),
    ("outputQuantityList", "epcClass"),
];

/// A set of fields, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(u16);

impl Fields {
    pub const EPC: Self = Self(0b0_0000_0011);
    pub const PARENT: Self = Self(0b0_0000_0100);
    pub const INPUT_EPC: Self = Self(0b0_0000_1000);
    pub const OUTPUT_EPC: Self = Self(0b0_0001_0000);
    pub const ANY_EPC: Self = Self(0b0_0001_1111);
    pub const CLASS: Self = Self(0b0_0110_0000);
    pub const INPUT_CLASS: Self = Self(0b0_1000_0000);
    pub const OUTPUT_CLASS: Self = Self(0b1_0000_0000);
    pub const ANY_CLASS: Self = Self(0b1_1110_0000);

    /// The number under which an index has it.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The identifiers in these fields of `event`.
    pub(super) fn identifiers(self, event: &Event) -> impl Iterator<Item = ItemKey> {
        let fields = FIELDS.iter().enumerate();
        fields
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .flat_map(move |(_, (field, inner))| identifiers(event, field, inner))
    }
}

/// What an index keeps of an event, beside its links.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// Words, by the name of their field.
    pub words: Vec<(&'static str, String)>,
    /// In which fields an identifier stands.
    pub fields: HashMap<ItemKey, Fields>,
}

impl Facts {
    /// The name under which the parts of an event are kept.
    pub const PART: &'static str = "part";

    /// The facts of an event.
    pub fn of(event: &Event) -> Self {
        let mut facts = Self::default();
        for word in Word::ALL {
            let words = word.of(event).into_iter();
            facts.words.extend(words.map(|text| (word.name(), text)));
        }
        let parts = Part::ALL.into_iter().filter(|part| part.is_in(event));
        let parts = parts.map(|part| (Self::PART, part.name().to_owned()));
        facts.words.extend(parts);
        for (bit, (field, inner)) in FIELDS.iter().enumerate() {
            for key in identifiers(event, field, inner) {
                facts.fields.entry(key).or_default().0 |= 1 << bit;
            }
        }
        facts
    }
}

fn identifiers<'a>(
    event: &'a Event,
    field: &str,
    inner: &'a str,
) -> impl Iterator<Item = ItemKey> + 'a {
    let value = event.value.get(field);
    let elements = match value {
        Some(Value::Array(_)) | None => value.map_or(&[][..], list),
        Some(single) => std::slice::from_ref(single),
    };
    elements.iter().filter_map(move |element| {
        let uri = match element {
            Value::String(uri) => uri,
            object => object.get(inner)?.as_str()?,
        };
        Some(Identifier::parse(&event.iri(uri)).ok()?.key)
    })
}
