//! Words of the Core Business Vocabulary, and those of others, in one spelling.

use std::borrow::Cow;

use super::Prefixes;
use crate::epcis::Event;
use crate::rdf::vocabulary::{self, Vocabulary};

/// A field whose values are words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `type`: the type of an event.
    EventType,
    /// `bizStep`.
    BizStep,
    /// `disposition`.
    Disposition,
    /// `set` of `persistentDisposition`.
    Set,
    /// `unset` of `persistentDisposition`.
    Unset,
}

impl Word {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [
        Self::EventType,
        Self::BizStep,
        Self::Disposition,
        Self::Set,
        Self::Unset,
    ];

    /// What an index calls the field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventType => "type",
            Self::BizStep => "bizStep",
            Self::Disposition => "disposition",
            Self::Set => "set",
            Self::Unset => "unset",
        }
    }

    /// The words of the standard.
    #[must_use]
    pub fn standard(self) -> &'static [&'static str] {
        match self.vocabulary() {
            Some(vocabulary) => vocabulary.words(),
            None => &[
                "ObjectEvent",
                "AggregationEvent",
                "TransactionEvent",
                "TransformationEvent",
                "AssociationEvent",
            ],
        }
    }

    /// `text` in the one spelling that words of this field have.
    #[must_use]
    pub fn spelled(self, text: &str, prefixes: &Prefixes) -> String {
        match self.vocabulary() {
            Some(vocabulary) => spelled(vocabulary, text, |text| prefixes.iri(text)),
            None => prefixes.iri(text).into_owned(),
        }
    }

    /// The closed list of the field; the types of events are no part of the vocabulary.
    pub(super) fn vocabulary(self) -> Option<&'static Vocabulary> {
        match self {
            Self::EventType => None,
            Self::BizStep => Some(&vocabulary::BIZ_STEP),
            Self::Disposition | Self::Set | Self::Unset => Some(&vocabulary::DISPOSITION),
        }
    }

    /// The words that `event` has in this field, in their one spelling.
    pub(super) fn of(self, event: &Event) -> Vec<String> {
        let value = match self {
            Self::EventType => return vec![event.iri(event.kind.name()).into_owned()],
            Self::BizStep | Self::Disposition => event.value.get(self.name()),
            Self::Set | Self::Unset => event.value["persistentDisposition"].get(self.name()),
        };
        let list = self.vocabulary().unwrap_or(&vocabulary::DISPOSITION);
        let texts = match value {
            Some(serde_json::Value::Array(items)) => items.as_slice(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        };
        texts
            .iter()
            .filter_map(|text| Some(spelled(list, text.as_str()?, |text| event.iri(text))))
            .collect()
    }
}

/// `text` as a bare word of `list` if it is one in any spelling, or as the URI that `iri` makes of it.
pub(super) fn spelled<'a>(
    list: &Vocabulary,
    text: &'a str,
    iri: impl Fn(&'a str) -> Cow<'a, str>,
) -> String {
    if list.contains(text) {
        return text.to_owned();
    }
    let iri = iri(text);
    let word = match iri.strip_prefix("urn:epcglobal:cbv:") {
        Some(urn) => urn.rsplit(':').next(),
        None => iri.strip_prefix(list.namespace),
    };
    match word.filter(|word| list.contains(word)) {
        Some(word) => word.to_owned(),
        None => iri.into_owned(),
    }
}
