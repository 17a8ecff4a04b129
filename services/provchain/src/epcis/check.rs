//! The ground on which the checks of fields stand: collecting issues, and checking scalars.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::identifier::{Identifier, Level};
use super::issue::{Issue, Rule};
use super::time::Timestamp;
use crate::rdf::context::Context;
use crate::rdf::pointer::At;
use crate::rdf::vocabulary::Vocabulary;

/// Collects the issues of one event under the context in force for it.
pub(super) struct Checker<'a> {
    pub context: &'a Context,
    pub issues: Vec<Issue>,
    issues_max: usize,
}

impl<'a> Checker<'a> {
    pub fn new(context: &'a Context, issues_max: usize) -> Self {
        Self {
            context,
            issues: Vec::new(),
            issues_max: issues_max.max(1),
        }
    }

    pub fn issue(&mut self, rule: Rule, at: &At<'_>, message: impl Into<String>) {
        // A list of a million wrong values must not become a million messages.
        if self.issues.len() < self.issues_max {
            self.issues.push(Issue::new(rule, at, message));
        }
    }

    pub fn object<'v>(&mut self, value: &'v Value, at: &At<'_>) -> Option<&'v Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.wrong_type(value, "an object", at);
        }
        object
    }

    pub fn array<'v>(&mut self, value: &'v Value, at: &At<'_>) -> Option<&'v [Value]> {
        let array = value.as_array();
        if array.is_none() {
            self.wrong_type(value, "an array", at);
        }
        array.map(Vec::as_slice)
    }

    pub fn string<'v>(&mut self, value: &'v Value, at: &At<'_>) -> Option<&'v str> {
        let string = value.as_str();
        if string.is_none() {
            self.wrong_type(value, "a text", at);
        }
        string
    }

    pub fn number(&mut self, value: &Value, at: &At<'_>) {
        if !value.is_number() {
            self.wrong_type(value, "a number", at);
        }
    }

    pub fn boolean(&mut self, value: &Value, at: &At<'_>) {
        if !value.is_boolean() {
            self.wrong_type(value, "true or false", at);
        }
    }

    fn wrong_type(&mut self, value: &Value, expected: &str, at: &At<'_>) {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        let message = format!("{} must be {expected}, not {found}", at.field());
        self.issue(Rule::JsonType, at, message);
    }

    /// Each element of an array by `check`.
    pub fn each(&mut self, value: &Value, at: &At<'_>, check: impl Fn(&mut Self, &Value, &At<'_>)) {
        for (index, item) in self.array(value, at).unwrap_or_default().iter().enumerate() {
            check(self, item, &at.index(index));
        }
    }

    /// That `object`, at `at`, has the member `key`.
    pub fn required(&mut self, object: &Map<String, Value>, key: &str, at: &At<'_>) {
        if !object.contains_key(key) {
            self.issue(Rule::Required, &at.key(key), format!("{key} is missing"));
        }
    }

    /// A date and time with an offset.
    pub fn time(&mut self, value: &Value, at: &At<'_>) -> Option<Timestamp> {
        let text = self.string(value, at)?;
        let time = Timestamp::parse(text);
        if time.is_none() {
            let message = format!(
                "{text:?} is not a date and time with an offset, as 2005-04-03T20:33:31.116-06:00"
            );
            self.issue(Rule::Time, at, message);
        }
        time
    }

    /// An absolute URI, or a compact one with a declared prefix.
    pub fn uri<'v>(&mut self, value: &'v Value, at: &At<'_>) -> Option<Cow<'v, str>>
    where
        'a: 'v,
    {
        let text = self.string(value, at)?;
        let uri = self.context.iri(text);
        let Some(uri) = uri.filter(|uri| oxiri::Iri::parse(&**uri).is_ok()) else {
            self.issue(Rule::Uri, at, format!("{text:?} is not an absolute URI"));
            return None;
        };
        if let Some(uuid) = uri.strip_prefix("urn:uuid:")
            && !is_uuid(uuid)
        {
            self.issue(Rule::Uri, at, format!("{text:?} is not a UUID"));
            return None;
        }
        Some(uri)
    }

    /// A URI that, where it is a GS1 identifier, is well-formed.
    pub fn identifier(&mut self, value: &Value, at: &At<'_>) -> Option<Identifier> {
        let uri = self.uri(value, at)?;
        match Identifier::parse(&uri) {
            Ok(identifier) => Some(identifier),
            Err(reason) => {
                self.issue(Rule::Identifier, at, format!("{value}: {reason}"));
                None
            }
        }
    }

    /// The identifier of one thing: an EPC, not a class or a lot.
    pub fn instance(&mut self, value: &Value, at: &At<'_>) {
        if let Some(identifier) = self.identifier(value, at)
            && matches!(identifier.level, Level::Class | Level::Lot)
        {
            let message = format!(
                "{value} names a class or a lot; {} takes identifiers of single things, and \
                 classes belong in a quantity list",
                at.field()
            );
            self.issue(Rule::Identifier, at, message);
        }
    }

    /// The identifier of a class or a lot.
    pub fn class(&mut self, value: &Value, at: &At<'_>) {
        if let Some(identifier) = self.identifier(value, at)
            && identifier.level == Level::Instance
        {
            let message = format!("{value} names a single thing; epcClass takes a class or a lot");
            self.issue(Rule::Identifier, at, message);
        }
    }

    /// A word of `list`, or a URI of someone else's vocabulary.
    pub fn word(&mut self, list: &'static Vocabulary, value: &Value, at: &At<'_>) {
        let Some(text) = self.string(value, at) else {
            return;
        };
        if list.contains(text) {
            return;
        }
        if !text.contains(':') {
            let message = format!(
                "{text:?} is no {} of the Core Business Vocabulary; use one of its words, or a \
                 URI for your own",
                list.title
            );
            self.issue(Rule::Vocabulary, at, message);
            return;
        }
        let Some(uri) = self.uri(value, at) else {
            return;
        };
        let spelled = STANDARD_SPELLINGS
            .iter()
            .any(|prefix| text.starts_with(prefix));
        let invented = uri
            .strip_prefix(list.namespace)
            .is_some_and(|word| !list.contains(word));
        if spelled || invented {
            let message = format!(
                "{text:?}: the standard's own {}s are written as bare words",
                list.title
            );
            self.issue(Rule::Vocabulary, at, message);
        }
    }

    /// A member that the standard does not have: an extension with a declared prefix, or a
    /// mistake.
    pub fn extension(&mut self, key: &str, value: &Value, at: &At<'_>) {
        if !key.contains(':') {
            let message = format!(
                "{key:?} is not a field of the standard here; write an extension with a prefix \
                 that @context declares"
            );
            self.issue(Rule::UnknownField, at, message);
            return;
        }
        self.extension_name(key, at);
        self.extension_value(value, at);
    }

    fn extension_name(&mut self, key: &str, at: &At<'_>) {
        let Some((prefix, rest)) = key.split_once(':') else {
            return;
        };
        let absolute = rest.starts_with("//") || prefix == "urn";
        if !absolute && !self.context.declares(prefix) {
            let message = format!("the prefix of {key:?} is not declared in @context");
            self.issue(Rule::UnknownField, at, message);
        }
    }

    fn extension_value(&mut self, value: &Value, at: &At<'_>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    let at = at.key(key);
                    self.extension_name(key, &at);
                    self.extension_value(value, &at);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.extension_value(item, &at.index(index));
                }
            }
            _ => {}
        }
    }
}

/// Ways to write the standard's own words as URIs, which its JSON schema refuses.
const STANDARD_SPELLINGS: [&str; 7] = [
    "urn:epcglobal:cbv",
    "http://ns.gs1.org/cbv/",
    "https://ns.gs1.org/cbv/",
    "http://gs1.org/voc/",
    "https://gs1.org/voc/",
    "http://www.gs1.org/voc/",
    "https://www.gs1.org/voc/",
];

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
