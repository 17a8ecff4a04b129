//! What nodes answer, held against the OpenAPI document that they serve.

use std::collections::BTreeSet;

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::Ledger;

pub const GET: Method = Method::GET;
pub const POST: Method = Method::POST;

/// The document that a node serves.
pub struct Documented(pub Value);

impl Documented {
    /// The operation of a route.
    pub fn operation(&self, method: &Method, path: &str) -> &Value {
        let path = path.replace("{*", "{");
        let operation = &self.0["paths"][path.as_str()][method.as_str().to_ascii_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not documented");
        operation
    }

    /// That the parameters of a query string are among those of an operation.
    fn check_query(&self, operation: &Value, path: &str) {
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let names = query.split('&').filter_map(|pair| pair.split('=').next());
        for name in names.filter(|name| !name.is_empty()) {
            let known = parameter(operation, "query", name);
            // What a query asks for is a family of names.
            let family = parameter(operation, "query", "conditions");
            assert!(
                known.or(family).is_some(),
                "{path}: {name} is not documented"
            );
        }
    }

    /// A schema of the document, which may refer to others.
    fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let options = jsonschema::options().should_validate_formats(true);
        options.build(&schema).expect("a schema")
    }

    /// That JSON is what a schema says.
    pub fn check(&self, schema: &Value, value: &Value, told: &str) {
        let validator = self.validator(schema);
        let errors = validator.iter_errors(value);
        let errors: Vec<_> = errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{told}: {errors:#?}\nin {value}");
    }
}

/// A parameter of an operation.
fn parameter<'o>(operation: &'o Value, place: &str, name: &str) -> Option<&'o Value> {
    let mut parameters = operation["parameters"].as_array()?.iter();
    parameters.find(|one| one["in"] == place && one["name"] == name)
}

/// A request, and the status of its answer.
pub struct Example<'a> {
    method: Method,
    /// The path as the table has it.
    route: &'a str,
    path: String,
    body: Option<Value>,
    token: Option<&'a str>,
    accept: Option<&'a str>,
    /// A header beside those of HTTP.
    header: Option<(&'a str, &'a str)>,
    status: u16,
}

impl<'a> Example<'a> {
    pub fn new(method: Method, route: &'a str, path: impl Into<String>, status: u16) -> Self {
        Self {
            method,
            route,
            path: path.into(),
            body: None,
            token: None,
            accept: None,
            header: None,
            status,
        }
    }

    pub fn with(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub fn by(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    pub fn wants(mut self, accept: &'a str) -> Self {
        self.accept = Some(accept);
        self
    }

    /// The same with another status.
    pub fn gives(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn says(mut self, name: &'a str, value: &'a str) -> Self {
        self.header = Some((name, value));
        self
    }
}

/// Asks a node for examples.
pub struct Asker {
    pub ledger: Ledger,
    pub documented: Documented,
    /// The routes that have had an example.
    pub asked: BTreeSet<(String, String)>,
}

impl Asker {
    pub async fn start() -> Self {
        let ledger = Ledger::start(1).await;
        let documented = Documented(ledger.json(ledger.first(), "/openapi.json").await);
        Self {
            ledger,
            documented,
            asked: BTreeSet::new(),
        }
    }

    /// Asks, and holds the answer against the document; gives its JSON.
    pub async fn ask(&mut self, example: Example<'_>) -> Value {
        let Example {
            method,
            route,
            path,
            body,
            token,
            accept,
            header,
            status,
        } = example;
        let told = format!("{method} {path}");
        let operation = self.documented.operation(&method, route);
        let mut request = self
            .ledger
            .request(method.clone(), self.ledger.first(), &path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        if let Some((name, value)) = header {
            let documented = parameter(operation, "header", name);
            let documented = documented.unwrap_or_else(|| panic!("{told}: no header {name}"));
            self.documented
                .check(&documented["schema"], &json!(value), name);
            request = request.header(name, value);
        }
        if status < 300 {
            self.documented.check_query(operation, &path);
        }
        if let Some(body) = body {
            if status < 300 {
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                assert!(schema.is_object(), "{told}: a body is not documented");
                self.documented
                    .check(schema, &body, &format!("the body of {told}"));
            }
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let kind = response.headers().get("content-type");
        let kind = kind.map(|kind| kind.to_str().expect("text").to_owned());
        let found = response.status().as_u16();
        let streams = kind.as_deref() == Some("text/event-stream");
        let text = if streams {
            String::new()
        } else {
            let bytes = response.bytes().await.expect("a body");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        assert_eq!(found, status, "{told}: {text}");
        if status < 300 {
            self.asked.insert((method.to_string(), route.to_owned()));
        }
        let answer = &operation["responses"][status.to_string()];
        assert!(answer.is_object(), "{told}: {status} is not documented");
        let Some(kind) = kind else {
            assert!(
                answer["content"].is_null() && text.is_empty(),
                "{told}: no body"
            );
            return Value::Null;
        };
        let kind = kind.split(';').next().expect("a media type");
        let schema = &answer["content"][kind]["schema"];
        assert!(
            schema.is_object(),
            "{told}: {status} with {kind} is not documented"
        );
        if !kind.ends_with("json") {
            return Value::Null;
        }
        let value: Value = serde_json::from_str(&text).expect("JSON");
        self.documented.check(schema, &value, &told);
        value
    }
}
