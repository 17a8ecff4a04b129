//! `GET /openapi.json`: the interface as an OpenAPI 3.1 document, made of the table of routes.
//!
//! What a route takes comes from the type that its handler reads, what it gives from the type that is
//! written, or from `schemas.json` where a handler writes JSON without one. A test asks every route
//! and holds its answer against the document.

mod operation;
pub(super) mod shape;

use std::sync::OnceLock;

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::routes;
use crate::access::Role;
use crate::ledger::Digest;

/// Schemas of JSON that no type is written as.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// Where schemas stand in the document.
const COMPONENTS: &str = "/components/schemas";

const DESCRIPTION: &str = "A verifiable provenance ledger: EPCIS 2.0 events in, proofs and traces out. \
    An event is public, for partners of its owner, or private; whoever may not read one is answered as \
    if it were not there.";

/// The document.
pub(super) async fn openapi() -> Response {
    static BODY: OnceLock<Bytes> = OnceLock::new();
    let body = BODY.get_or_init(|| document().to_string().into());
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], body.clone()).into_response()
}

/// The document as JSON.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = COMPONENTS.into();
        settings.meta_schema = None;
    });
    let mut generator = SchemaGenerator::new(settings);
    // Written schemas refer to them.
    generator.subschema_for::<Role>();
    generator.subschema_for::<Digest>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes::all() {
        let path = route.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        let operation = operation::of(&route, &mut generator);
        item[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let written: Map<String, Value> =
        serde_json::from_str(SCHEMAS).expect("schemas.json holds schemas");
    let mut schemas = generator.take_definitions(true);
    for (name, schema) in written {
        let replaced = schemas.insert(name, schema);
        debug_assert!(replaced.is_none(), "a schema has two sources");
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "provchain",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0 OR MIT", "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of a login or of `provchain token` (a JWT), or an API key.",
                },
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "The key of a machine; it acts as its user.",
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` below a value.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.insert(reference.clone());
                }
                members.values().for_each(|value| references(value, found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_schema_is_referred_to_and_every_reference_leads_to_one() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let named = schemas.keys().map(|name| format!("#{COMPONENTS}/{name}"));
        assert_eq!(found, named.collect());
    }

    #[test]
    fn operations_have_names_of_their_own_and_say_what_they_do_and_for_whom() {
        let document = document();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let told = format!("{method} {path}");
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{told}: {name}");
                assert!(operation["summary"].is_string(), "{told}");
                assert!(
                    operation["responses"].as_object().unwrap().len() > 3,
                    "{told}"
                );
                let in_path = path.matches('{').count();
                let parameters = operation["parameters"].as_array().unwrap().iter();
                let of_path = parameters.filter(|one| one["in"] == "path").count();
                assert_eq!(of_path, in_path, "{told}");
            }
        }
        let capture = &document["paths"]["/capture"];
        let anonymous = json!({});
        let schemes = |operation: &Value| operation["security"].as_array().unwrap().clone();
        assert!(!schemes(&capture["post"]).contains(&anonymous));
        assert!(schemes(&capture["options"]).contains(&anonymous));
        assert_eq!(capture["post"]["x-roles"][0], "farmer");
    }
}
