//! What compact names in a query stand for.

use serde_json::{Map, Value, json};

use super::QueryError;
use super::condition::key_of;
use crate::rdf::context::Context;
use crate::rdf::pointer::At;
use crate::rdf::terms::CONTEXT_URLS;

/// Most prefixes that a client may declare.
const PREFIXES_MAX: usize = 32;

/// The prefixes in force for a query: those of GS1's context, and those that the client declares.
#[derive(Clone, Debug)]
pub struct Prefixes(Context);

/// An extension field's name in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldName {
    /// The IRI of the field.
    Iri(String),
    /// With a prefix that the query does not explain: as the event writes it.
    Written(String),
}

impl Default for Prefixes {
    fn default() -> Self {
        let context = Context::compile(&json!(CONTEXT_URLS[0]), &At::ROOT);
        Self(context.expect("GS1's context is known"))
    }
}

impl Prefixes {
    /// The prefixes of the header `GS1-Extensions`: `prefix=namespace`, separated by commas.
    ///
    /// # Errors
    /// What is not of that form, what GS1's context means otherwise, and too many.
    pub fn of_header(header: &str) -> Result<Self, QueryError> {
        const HEADER: &str = "GS1-Extensions";
        let refused = |reason: String| QueryError::Parameter {
            name: HEADER.to_owned(),
            reason,
        };
        let mut declared = Map::new();
        for pair in header.split(',').filter(|pair| !pair.trim().is_empty()) {
            let Some((prefix, namespace)) = pair.trim().split_once('=') else {
                return Err(refused(format!("{pair:?} is not prefix=namespace")));
            };
            let declaration = json!({ "@id": namespace.trim(), "@prefix": true });
            declared.insert(prefix.trim().to_owned(), declaration);
            if declared.len() > PREFIXES_MAX {
                return Err(refused(format!("more than {PREFIXES_MAX} prefixes")));
            }
        }
        let mut prefixes = Self::default();
        prefixes
            .0
            .extend(&Value::Object(declared), &At::ROOT)
            .map_err(|error| refused(error.to_string()))?;
        Ok(prefixes)
    }

    /// Takes in the prefixes of a JSON-LD context as well.
    ///
    /// # Errors
    /// One that is not bundled, and what GS1's context means otherwise.
    pub(super) fn extend(&mut self, context: &Value) -> Result<(), QueryError> {
        let extended = self.0.extend(context, &At::ROOT);
        extended.map_err(|error| QueryError::Parameter {
            name: "@context".to_owned(),
            reason: error.to_string(),
        })
    }

    /// The IRI that `text` stands for, or `text` if that is no compact name.
    pub(super) fn iri<'a>(&'a self, text: &'a str) -> std::borrow::Cow<'a, str> {
        self.0.iri(text).unwrap_or(std::borrow::Cow::Borrowed(text))
    }

    /// What the identifier `text` compares by; `None` if it is malformed.
    #[must_use]
    pub fn key(&self, text: &str) -> Option<String> {
        key_of(&self.iri(text))
    }

    /// The name of an extension field.
    pub(super) fn field(&self, text: &str) -> FieldName {
        let known = text.split_once(':').is_some_and(|(prefix, rest)| {
            self.0.declares(prefix) || rest.starts_with("//") || prefix == "urn"
        });
        if known {
            FieldName::Iri(self.iri(text).into_owned())
        } else {
            FieldName::Written(text.to_owned())
        }
    }
}
