//! The definition of a named query: the parameters of a query as a JSON object, as GS1's
//! `query-schema.json` spells them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Cut, EventQuery, Prefixes, QueryError};

/// Longest definition, in bytes of its canonical form.
pub const DEFINITION_BYTES_MAX: usize = 16 << 10;

/// Longest name of a query, in bytes.
pub const QUERY_NAME_BYTES_MAX: usize = 128;

/// Checks the name of a query: it is a part of addresses.
///
/// # Errors
/// A sentence that says what a name is.
pub fn check_query_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    // What stands for a folder would not reach the server.
    let folder = name.chars().all(|c| c == '.');
    if !folder && name.len() <= QUERY_NAME_BYTES_MAX && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "a query's name is 1 to {QUERY_NAME_BYTES_MAX} letters, digits and - _ . ~"
    ))
}

/// A query as its maker defined it.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The parameters.
    pub query: Map<String, Value>,
    /// The header `GS1-Extensions` that came with them; empty without one.
    pub extensions: String,
}

impl Definition {
    /// Reads a stored definition.
    ///
    /// # Errors
    /// What is no JSON object.
    pub fn of_text(query: &str, extensions: &str) -> Result<Self, QueryError> {
        let query = serde_json::from_str(query);
        let query = query.map_err(|error| refused("query", error.to_string()))?;
        Ok(Self {
            query,
            extensions: extensions.to_owned(),
        })
    }

    /// The one text of this definition: its members in their order, without spaces.
    #[must_use]
    pub fn canonical(&self) -> String {
        let sorted: BTreeMap<_, _> = self.query.iter().collect();
        serde_json::json!(sorted).to_string()
    }

    /// The query that it defines.
    ///
    /// # Errors
    /// As [`EventQuery::parse`]; and what is too long, or of no form that a parameter has.
    pub fn read(&self) -> Result<EventQuery, QueryError> {
        if self.canonical().len() + self.extensions.len() > DEFINITION_BYTES_MAX {
            let reason = format!("a definition has at most {DEFINITION_BYTES_MAX} bytes");
            return Err(refused("query", reason));
        }
        let mut prefixes = Prefixes::of_header(&self.extensions)?;
        if let Some(context) = self.query.get("@context") {
            prefixes.extend(context)?;
        }
        let parameters = self.query.iter().filter(|(name, _)| *name != "@context");
        let parameters = parameters
            .map(|(name, value)| Ok((name.as_str(), text_of(name, value)?)))
            .collect::<Result<Vec<_>, QueryError>>()?;
        EventQuery::parse(parameters, &prefixes)
    }
}

impl EventQuery {
    /// That the query can be subscribed to: one that counts its events ends.
    ///
    /// # Errors
    /// The parameter that speaks against it.
    pub fn check_subscribable(&self) -> Result<(), QueryError> {
        let name = match self.cut {
            Cut::None => return Ok(()),
            Cut::First(_) => "eventCountLimit",
            Cut::AtMost(_) => "maxEventCount",
        };
        let reason = "a query that counts its events cannot be subscribed to";
        Err(refused(name, reason.to_owned()))
    }
}

fn refused(name: &str, reason: String) -> QueryError {
    QueryError::Parameter {
        name: name.to_owned(),
        reason,
    }
}

/// The value of a parameter as a query string has it.
fn text_of(name: &str, value: &Value) -> Result<String, QueryError> {
    match value {
        // `query-schema.json` knows this question with a number or with nothing only.
        Value::Null | Value::Number(_) if name.starts_with("EXISTS_") => Ok(String::new()),
        Value::Array(values) => {
            let values = values.iter().map(|value| word(name, value));
            Ok(values.collect::<Result<Vec<_>, _>>()?.join("|"))
        }
        value => word(name, value),
    }
}

fn word(name: &str, value: &Value) -> Result<String, QueryError> {
    match value {
        Value::String(text) if text.contains('|') => Err(refused(
            name,
            format!("{text:?} holds a |; the values of a list stand in an array"),
        )),
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let reason = "it is a text, a number, true, false, or a list of these".to_owned();
            Err(refused(name, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn definition(query: &Value) -> Definition {
        let query = query.as_object().expect("an object").clone();
        Definition {
            query,
            extensions: String::new(),
        }
    }

    #[test]
    fn a_definition_is_the_query_that_its_parameters_make() {
        let parsed = EventQuery::parse(
            [
                ("eventType", "ObjectEvent"),
                ("EQ_bizStep", "shipping|receiving"),
                ("GE_quantity", "3.5"),
                ("EXISTS_errorDeclaration", ""),
                ("EQ_https://ns.example.com/ext/note", "x"),
            ],
            &Prefixes::default(),
        );
        let defined = definition(&json!({
            "@context": { "ext": "https://ns.example.com/ext/" },
            "eventType": ["ObjectEvent"],
            "EQ_bizStep": ["shipping", "receiving"],
            "GE_quantity": 3.5,
            "EXISTS_errorDeclaration": null,
            "EQ_ext:note": "x",
        }));
        assert_eq!(defined.read(), parsed);
        let header = Definition {
            query: json!({ "EQ_ext:note": "x" }).as_object().unwrap().clone(),
            extensions: "ext=https://ns.example.com/ext/".to_owned(),
        };
        let parsed = [("EQ_https://ns.example.com/ext/note", "x")];
        assert_eq!(
            header.read(),
            EventQuery::parse(parsed, &Prefixes::default())
        );
    }

    #[test]
    fn what_no_query_has_is_refused_by_name() {
        for (name, query) in [
            ("EQ_bizStep", json!({ "EQ_bizStep": [] })),
            ("EQ_bizStep", json!({ "EQ_bizStep": "shipping|receiving" })),
            ("EQ_bizStep", json!({ "EQ_bizStep": [["shipping"]] })),
            ("EQ_bizStep", json!({ "EQ_bizStep": { "a": 1 } })),
            ("EQ_bizStep", json!({ "EQ_bizStep": null })),
            ("EQ_bizSteps", json!({ "EQ_bizSteps": ["shipping"] })),
            ("perPage", json!({ "perPage": 3 })),
            (
                "@context",
                json!({ "@context": "https://example.org/unknown" }),
            ),
            (
                "query",
                json!({ "EQ_a:b": vec!["x"; DEFINITION_BYTES_MAX / 4] }),
            ),
        ] {
            match definition(&query).read() {
                Err(QueryError::Parameter { name: told, .. }) => assert_eq!(told, name),
                other => panic!("{query}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_query_that_counts_is_not_subscribed_to() {
        for (query, name) in [
            (json!({ "maxEventCount": 3 }), "maxEventCount"),
            (
                json!({ "eventCountLimit": 3, "orderBy": "eventTime" }),
                "eventCountLimit",
            ),
        ] {
            let read = definition(&query).read().unwrap();
            let refused = read.check_subscribable().unwrap_err();
            assert!(refused.to_string().starts_with(name), "{refused}");
        }
        let plain = definition(&json!({ "orderBy": "eventTime" }));
        assert_eq!(plain.read().unwrap().check_subscribable(), Ok(()));
    }

    #[test]
    fn names_are_parts_of_addresses() {
        for name in ["myQuery", "a.b~c_d-1", "..a"] {
            assert_eq!(check_query_name(name), Ok(()));
        }
        for name in ["", ".", "..", "a/b", "a b", "ä", "a?", &"x".repeat(129)] {
            assert!(check_query_name(name).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_definition_is_answered_and_its_canonical_form_is_the_same_query(
            members in prop::collection::vec(("[A-Za-z_:@|]{0,12}", ".{0,12}"), 0..6),
        ) {
            let query: Map<_, _> = members.into_iter().map(|(name, text)| (name, text.into())).collect();
            let defined = Definition { query, extensions: String::new() };
            let again = Definition::of_text(&defined.canonical(), "").unwrap();
            prop_assert_eq!(again.canonical(), defined.canonical());
            prop_assert_eq!(again.read().is_ok(), defined.read().is_ok());
        }
    }
}
