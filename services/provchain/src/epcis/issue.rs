//! What is wrong with a capture, as a person wants to read it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::rdf::RdfError;
use crate::rdf::pointer::At;

/// One reason why a capture is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// The event's place in the capture, from zero; `None` if it is about the whole.
    pub event: Option<usize>,
    /// Where in the request body: a JSON pointer (RFC 6901). Of a body in XML it leads into the
    /// JSON document that says the same, and the message begins with the line.
    pub pointer: String,
    /// The member that is wrong, missing or too much; empty for the whole.
    pub field: String,
    /// Which kind of rule is broken.
    pub rule: Rule,
    /// A sentence about this case.
    pub message: String,
}

impl Issue {
    pub(super) fn new(rule: Rule, at: &At<'_>, message: impl Into<String>) -> Self {
        Self {
            event: None,
            pointer: at.to_string(),
            field: at.field().to_owned(),
            rule,
            message: message.into(),
        }
    }

    /// About a body in XML, at `line`.
    pub(super) fn in_xml(rule: Rule, line: u32, name: &str, message: impl Into<String>) -> Self {
        let message = format!("line {line}: {}", message.into());
        Self {
            field: name.to_owned(),
            ..Self::new(rule, &At::ROOT, message)
        }
    }

    /// The issue behind `error`, for an event or context at `at`.
    pub(super) fn from_rdf(error: RdfError, at: &At<'_>) -> Self {
        match error {
            RdfError::Refused {
                pointer,
                field,
                refusal,
            } => Self {
                event: None,
                pointer,
                field,
                rule: Rule::JsonLd,
                message: refusal.to_string(),
            },
            RdfError::Poison => Self::new(Rule::Limit, at, error.to_string()),
            other => Self::new(Rule::Limit, at, format!("the event has {other}")),
        }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = self.event {
            write!(f, "event {event}: ")?;
        }
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{pointer}: {}", self.message),
        }
    }
}

/// The kinds of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// The body is not JSON.
    Json,
    /// The body is not well-formed XML, or has what is not taken of XML.
    Xml,
    /// An object has the same key twice.
    DuplicateKey,
    /// A bound of [`Limits`](super::Limits) is exceeded.
    Limit,
    /// A number has more digits than JSON processors keep.
    NumberPrecision,
    /// A JSON value of the wrong type.
    JsonType,
    /// Something that must be there is not.
    Required,
    /// A member that this type of event must not have.
    Forbidden,
    /// A name that neither the standard nor the context declares.
    UnknownField,
    /// A value outside of what is allowed.
    Value,
    /// Not a date and time with an offset.
    Time,
    /// Not a URI.
    Uri,
    /// Not a well-formed GS1 identifier, or one of the wrong level.
    Identifier,
    /// An event hash id of another event.
    EventHash,
    /// A bare word that is not in the Core Business Vocabulary.
    Vocabulary,
    /// The `@context` is missing or not understood.
    Context,
    /// JSON-LD would lose this.
    JsonLd,
}

impl Rule {
    /// Its name, as in a problem document.
    #[must_use]
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            _ => String::new(),
        }
    }
}
