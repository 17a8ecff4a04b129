//! One route as an OpenAPI operation.

use http::StatusCode;
use kit::problem::MEDIA_TYPE;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::COMPONENTS;
use super::shape::{Form, Shape};
use crate::api::Who;
use crate::api::routes::Route;

/// Problems that every route may have: a parameter that cannot be, a token that is not valid, too many
/// requests, a fault of the node, and no leader.
const PROBLEMS: [u16; 5] = [400, 401, 429, 500, 503];

/// What stands in braces in paths.
const PATH_PARAMETERS: [(&str, &str, &str); 8] = [
    (
        "epc",
        "string",
        "An identifier: an EPC URN or a GS1 Digital Link",
    ),
    ("id", "string", "An id, as it was given"),
    ("index", "integer", "The index of an entry"),
    ("name", "string", "The name of a user, or of a query"),
    ("party", "string", "The name of a party"),
    (
        "path",
        "string",
        "The rest of the path; of a tile, level and index as C2SP tlog-tiles writes them, with slashes",
    ),
    (
        "subject",
        "string",
        "The pseudonym of a subject, as its erasure gave it",
    ),
    (
        "value",
        "string",
        "A name: a word of the vocabulary or an identifier",
    ),
];

/// Headers that requests may have beside those of HTTP.
const HEADERS: [(&str, &[&str], &str); 4] = [
    (
        "Provchain-Visibility",
        &["public", "partner", "private"],
        "Who may read the events beside their owner",
    ),
    (
        "GS1-Capture-Error-Behaviour",
        &["rollback", "proceed"],
        "Whether one event that is wrong refuses all, or is left out",
    ),
    (
        "GS1-Extensions",
        &[],
        "The prefixes of extensions in the query, as ext=https://…",
    ),
    (
        "GS1-EPC-Format",
        &["No_Preference", "Never_Translates"],
        "Events come as they were captured",
    ),
];

pub(super) fn of(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let shape = &route.shape;
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "tags": [tag(route.path)],
        "parameters": parameters(route, generator),
        "responses": responses(route, generator),
        "security": security(route.who),
    });
    if let Who::Roles(roles) = route.who {
        operation["x-roles"] = roles.iter().map(|role| role.as_str()).collect();
    }
    if let Some((media, form)) = shape.takes {
        let schema = schema(form, generator);
        let content = media.iter().map(|media| {
            // What is said of JSON says nothing of XML.
            let schema = if media.ends_with("xml") {
                json!({})
            } else {
                schema.clone()
            };
            ((*media).to_owned(), json!({ "schema": schema }))
        });
        operation["requestBody"] =
            json!({ "required": true, "content": content.collect::<Map<_, _>>() });
    }
    operation
}

/// `getApiV1BlocksByHeight`: the method and the path, in one word.
fn name(route: &Route) -> String {
    let words = route.path.split(['/', '-']).filter(|word| !word.is_empty());
    words.fold(
        route.method.as_str().to_ascii_lowercase(),
        |mut name, word| {
            let variable = word.starts_with('{');
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            if variable {
                name.push_str("By");
            }
            let mut letters = word.chars().filter(char::is_ascii_alphanumeric);
            name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            name.extend(letters);
            name
        },
    )
}

fn tag(path: &str) -> &'static str {
    const PEOPLE: [&str; 6] = [
        "/auth",
        "/api/v1/users",
        "/api/v1/api-keys",
        "/api/v1/parties",
        "/api/v1/tokens",
        "/api/v1/audit",
    ];
    let ledger = ["/api/v1", "/checkpoint", "/tile", "/openapi.json"];
    if path == "/" || path.starts_with("/pages") {
        "pages"
    } else if PEOPLE.iter().any(|prefix| path.starts_with(prefix)) {
        "people"
    } else if ledger.iter().any(|prefix| path.starts_with(prefix)) {
        "ledger"
    } else {
        "EPCIS 2.0"
    }
}

fn security(who: Who) -> Value {
    let known = [json!({ "bearer": [] }), json!({ "apiKey": [] })];
    match who {
        Who::Anybody => [json!({})].into_iter().chain(known).collect(),
        Who::Roles(_) => known.into_iter().collect(),
    }
}

fn parameters(route: &Route, generator: &mut SchemaGenerator) -> Vec<Value> {
    let in_path = route.path.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let name = name.trim_start_matches('*');
        let known = PATH_PARAMETERS.iter().find(|(known, _, _)| *known == name);
        let (_, kind, description) = known.copied().unwrap_or((name, "string", "A name"));
        Some(json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": description,
            "schema": { "type": kind },
        }))
    });
    let headers = route.shape.headers.iter().filter_map(|name| {
        let (name, values, description) = HEADERS.iter().find(|(known, _, _)| known == name)?;
        let mut schema = json!({ "type": "string" });
        if !values.is_empty() {
            schema["enum"] = json!(values);
        }
        Some(json!({ "name": name, "in": "header", "description": description, "schema": schema }))
    });
    let query = route.shape.query.map(|of| of(generator).to_value());
    let query = query.iter().flat_map(of_query);
    in_path.chain(query).chain(headers).collect()
}

/// The members of an object as parameters of a query string.
fn of_query(object: &Value) -> Vec<Value> {
    let is_required = |name: &str| {
        let required = object["required"].as_array();
        required.is_some_and(|names| names.iter().any(|one| one == name))
    };
    let members = object["properties"].as_object().into_iter().flatten();
    let mut parameters: Vec<Value> = members
        .map(|(name, schema)| {
            let mut schema = without_null(schema.clone());
            let members = schema.as_object_mut();
            let description = members.and_then(|members| members.shift_remove("description"));
            let mut parameter = json!({ "name": name, "in": "query", "schema": schema });
            if is_required(name) {
                parameter["required"] = true.into();
            }
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameter
        })
        .collect();
    // Any other parameter too, where the type takes them.
    if object["additionalProperties"]["type"] == "string" {
        parameters.push(json!({
            "name": "conditions",
            "in": "query",
            "style": "form",
            "explode": true,
            "description": object["description"],
            "schema": { "type": "object", "additionalProperties": { "type": "string" } },
        }));
    }
    parameters
}

/// A parameter that is not there is not null.
fn without_null(mut schema: Value) -> Value {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            schema["type"] = kind.clone();
        }
    }
    if let Some(Value::Array(kinds)) = schema.get_mut("anyOf") {
        kinds.retain(|kind| kind["type"] != "null");
    }
    if schema["default"].is_null() {
        schema
            .as_object_mut()
            .map(|members| members.shift_remove("default"));
    }
    schema
}

fn responses(route: &Route, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses: Map<String, Value> = Map::new();
    for answer in route.shape.answers.iter().flatten() {
        let response = responses
            .entry(answer.status.to_string())
            .or_insert_with(|| json!({ "description": reason(answer.status) }));
        if !matches!(answer.form, Form::Nothing) {
            response["content"][answer.media] = json!({ "schema": schema(answer.form, generator) });
        }
    }
    for status in problems(route) {
        let problem = json!({ "$ref": format!("#{COMPONENTS}/Problem") });
        let content = json!({ MEDIA_TYPE: { "schema": problem } });
        let response = json!({ "description": reason(status), "content": content });
        responses.insert(status.to_string(), response);
    }
    responses
}

fn problems(route: &Route) -> Vec<u16> {
    let Shape { takes, fails, .. } = route.shape;
    let mut problems = PROBLEMS.to_vec();
    problems.extend(fails);
    if route.who != Who::Anybody {
        problems.push(403);
    }
    if takes.is_some() {
        problems.extend([413, 415, 422]);
    }
    problems.sort_unstable();
    problems.dedup();
    problems
}

fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    let reason = status.and_then(|status| status.canonical_reason());
    reason.unwrap_or("An answer")
}

fn schema(form: Form, generator: &mut SchemaGenerator) -> Value {
    match form {
        Form::Of(of) => of(generator).to_value(),
        Form::Named(name) => json!({ "$ref": format!("#{COMPONENTS}/{name}") }),
        Form::Text => json!({ "type": "string" }),
        Form::Bytes | Form::Nothing => json!({}),
    }
}
