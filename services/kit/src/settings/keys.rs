//! The keys of a settings struct, read from its JSON schema.

use schemars::Schema;
use serde_json::{Map, Value};

use super::Settings;

/// A key that takes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Dotted, such as `tls.key_file`.
    pub path: String,
    pub description: String,
    pub kind: Kind,
    /// The values that an enumeration allows.
    pub allowed: Vec<String>,
    pub secret: bool,
    /// Environment names, the preferred first, the generic one last.
    pub environment: Vec<String>,
    /// The default that the schema itself states; used inside sections that are absent by default.
    pub schema_default: Option<Value>,
}

/// How a value is written in the environment or in a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    List(Box<Kind>),
    /// A table with keys of the operator's choice, or anything else that only serde understands.
    Free,
}

/// A table of keys; the root is the section with the empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub path: String,
    pub description: String,
    pub keys: Vec<Key>,
}

/// All sections in the order in which the struct declares them, the root first.
pub(super) fn sections<S: Settings>() -> Vec<Section> {
    let root = schemars::schema_for!(S);
    let mut walk = Walk::<S> {
        definitions: definitions(&root),
        sections: Vec::new(),
        settings: std::marker::PhantomData,
    };
    let object = root.as_object().cloned().unwrap_or_default();
    walk.section("", &object, describe(&object));
    walk.sections
}

fn definitions(root: &Schema) -> Map<String, Value> {
    root.get("$defs")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

struct Walk<S> {
    definitions: Map<String, Value>,
    sections: Vec<Section>,
    settings: std::marker::PhantomData<S>,
}

impl<S: Settings> Walk<S> {
    fn section(&mut self, path: &str, object: &Map<String, Value>, description: String) {
        let at = self.sections.len();
        self.sections.push(Section {
            path: path.to_owned(),
            description,
            keys: Vec::new(),
        });
        let properties = object
            .get("properties")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        for (name, property) in &properties {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let property = property.as_object().cloned().unwrap_or_default();
            let resolved = self.resolve(&property);
            let own = describe(&property);
            let description = if own.is_empty() {
                describe(&resolved)
            } else {
                own
            };
            if resolved.get("properties").is_some() {
                self.section(&path, &resolved, description);
            } else {
                let key = self.key(path, &property, &resolved, description);
                self.sections[at].keys.push(key);
            }
        }
    }

    fn key(
        &self,
        path: String,
        property: &Map<String, Value>,
        resolved: &Map<String, Value>,
        description: String,
    ) -> Key {
        let flag = |name| {
            [property, resolved]
                .iter()
                .any(|schema| schema.get(name) == Some(&Value::Bool(true)))
        };
        let listed = S::ENV
            .iter()
            .copied()
            .flatten()
            .filter(|(_, key)| *key == path)
            .map(|(name, _)| (*name).to_owned());
        let mut environment: Vec<String> = listed.collect();
        let generic = format!(
            "{}{}",
            prefix::<S>(),
            path.replace('.', "__").to_uppercase()
        );
        if !environment.contains(&generic) {
            environment.push(generic);
        }
        Key {
            kind: self.kind(resolved),
            allowed: allowed(resolved),
            secret: flag("writeOnly"),
            schema_default: property.get("default").cloned(),
            path,
            description,
            environment,
        }
    }

    /// Follows a reference, and looks through the `anyOf` that `Option` makes.
    fn resolve(&self, schema: &Map<String, Value>) -> Map<String, Value> {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default();
            let target = self.definitions.get(name).and_then(Value::as_object);
            return target.map_or_else(Map::new, |target| self.resolve(target));
        }
        for combination in ["anyOf", "allOf"] {
            let members = schema.get(combination).and_then(Value::as_array);
            let mut members = members
                .into_iter()
                .flatten()
                .filter_map(Value::as_object)
                .filter(|member| !is_null(member));
            if let (Some(only), None) = (members.next(), members.next()) {
                return self.resolve(only);
            }
        }
        schema.clone()
    }

    fn kind(&self, schema: &Map<String, Value>) -> Kind {
        let names: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let names: Vec<&str> = names.into_iter().filter(|name| *name != "null").collect();
        match names.as_slice() {
            ["string"] => Kind::Text,
            ["integer"] => Kind::Integer,
            ["number"] => Kind::Number,
            ["boolean"] => Kind::Boolean,
            ["array"] => {
                let items = schema
                    .get("items")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                Kind::List(Box::new(self.kind(&self.resolve(&items))))
            }
            [] if !allowed(schema).is_empty() => Kind::Text,
            _ => Kind::Free,
        }
    }
}

fn describe(schema: &Map<String, Value>) -> String {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn is_null(schema: &Map<String, Value>) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

/// The values of an enumeration: listed, or one `const` a variant where variants have comments.
fn allowed(schema: &Map<String, Value>) -> Vec<String> {
    let listed = schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let variants = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let variants = variants.flat_map(|variant| {
        let several = variant
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        variant.get("const").into_iter().chain(several)
    });
    listed
        .chain(variants)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// `EXAMPLE_` for the service `example`.
pub(super) fn prefix<S: Settings>() -> String {
    format!("{}_", S::SERVICE.replace('-', "_").to_uppercase())
}

/// The candidate most like `name`, when there is one that a slip of the hand could explain.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let last = |path: &str| path.rsplit(['.']).next().unwrap_or_default().to_owned();
    let likeness = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(name, candidate);
        // The right key in the wrong section is a common slip too, but a weaker sign.
        let tail = strsim::normalized_damerau_levenshtein(&last(name), &last(candidate)) * 0.95;
        whole.max(tail)
    };
    let scored = candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= 0.6).then_some(best.1)
}
