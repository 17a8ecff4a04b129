//! Captures that met every rule, and what can be had of them.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::event::EventType;
use super::issue::Issue;
use super::time::Timestamp;
use crate::rdf::context::Context;
use crate::rdf::dataset::Dataset;
use crate::rdf::pointer::At;
use crate::rdf::{self, RdfError};

/// A capture that met every rule.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document's `@context`; null if the body was an event or a list of events.
    pub context: Value,
    /// The document's `epcisHeader`, as it came.
    pub header: Option<Value>,
    /// The events, in the order in which they came.
    pub events: Vec<Event>,
}

/// An event that met every rule.
#[derive(Clone, Debug)]
pub struct Event {
    /// The event, as it came.
    pub value: Value,
    /// Its type.
    pub kind: EventType,
    /// Its `eventID`, if it was given one.
    pub id: Option<String>,
    /// Its `eventTime`.
    pub time: Timestamp,
    pub(super) context: Arc<Context>,
    pub(super) dataset: Dataset,
}

impl Event {
    /// The canonical statements of this event, as [`rdf::canonical_statements`] gives them.
    ///
    /// # Errors
    /// The limits' errors; everything else was found when the event was read.
    pub fn statements(&self, limits: &rdf::Limits) -> Result<Vec<String>, RdfError> {
        rdf::canonical_lines(&self.dataset, limits)
    }

    /// The canonical statements as if the event had no `recordTime`: what an event that was sent
    /// twice has in common.
    ///
    /// # Errors
    /// As [`Event::statements`].
    pub fn statements_without_record_time(
        &self,
        limits: &rdf::Limits,
    ) -> Result<Vec<String>, RdfError> {
        let Value::Object(members) = &self.value else {
            return self.statements(limits);
        };
        if !members.contains_key("recordTime") {
            return self.statements(limits);
        }
        let without = Some("recordTime");
        let dataset = rdf::expand(members, &self.context, limits, without, &At::ROOT)?;
        rdf::canonical_lines(&dataset, limits)
    }

    /// The IRI that `name` stands for in this event.
    pub(crate) fn iri<'a>(&'a self, name: &'a str) -> Cow<'a, str> {
        self.context.iri(name).unwrap_or(Cow::Borrowed(name))
    }

    /// The full name of a member: what a declared or prefixed name stands for, and else the name of
    /// the standard as it is.
    pub(crate) fn member_name<'a>(&'a self, member: &'a str) -> Cow<'a, str> {
        match self.context.declared_term(member) {
            Some(iri) => Cow::Borrowed(iri),
            None => self.iri(member),
        }
    }

    /// The event as a JSON-LD document of its own, under the context that it was captured with.
    pub fn self_contained(&self, document_context: &Value) -> Value {
        let mut contexts = Vec::new();
        for context in [Some(document_context), self.value.get("@context")] {
            match context {
                None | Some(Value::Null) => {}
                Some(Value::Array(entries)) => contexts.extend(entries.iter().cloned()),
                Some(single) => contexts.push(single.clone()),
            }
        }
        let mut members = Map::new();
        members.insert("@context".to_owned(), Value::Array(contexts));
        for (key, value) in self.value.as_object().into_iter().flatten() {
            if key != "@context" {
                members.insert(key.clone(), value.clone());
            }
        }
        Value::Object(members)
    }
}

/// The canonical statements of one event of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventStatements {
    /// The event's place in the document, from zero.
    pub event: usize,
    /// Lines of canonical N-Quads with their line feeds, in code point order.
    pub statements: Vec<String>,
}

/// The canonical statements of every event of `document`, in its order.
///
/// # Errors
/// The event that exceeds `limits`.
pub fn canonicalise_document(
    document: &Document,
    limits: &rdf::Limits,
) -> Result<Vec<EventStatements>, Issue> {
    let statements = |(index, event): (usize, &Event)| match event.statements(limits) {
        Ok(statements) => Ok(EventStatements {
            event: index,
            statements,
        }),
        Err(error) => Err(Issue {
            event: Some(index),
            ..Issue::from_rdf(error, &At::ROOT)
        }),
    };
    document.events.iter().enumerate().map(statements).collect()
}
