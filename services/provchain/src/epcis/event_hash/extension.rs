//! What is not of the standard in a pre-hash string: the members of the ILMD, and extensions.

use serde_json::{Map, Value};

use super::{Outcome, Writer, value};
use crate::rdf::context::Context;
use crate::rdf::terms::RDFS;

impl Writer<'_> {
    /// The members of `object` that are not `known`, each with all below it, in the order of the
    /// results.
    pub(super) fn extensions(
        &mut self,
        object: &Map<String, Value>,
        known: impl Fn(&str) -> bool,
    ) -> Outcome {
        let mut texts = Vec::new();
        for (key, value) in object {
            if known(key) {
                continue;
            }
            let (namespace, local) = name(self.context, key);
            // What a person says of the event beside its facts, as a comment in XML.
            if (namespace, local) == (RDFS, "comment") {
                continue;
            }
            let name = match self.at_its_address(namespace.to_owned()) {
                bare if bare.is_empty() => local.to_owned(),
                namespace => format!("{{{namespace}}}{local}"),
            };
            let items = match value {
                Value::Array(items) => items.as_slice(),
                single => std::slice::from_ref(single),
            };
            for item in items {
                texts.push(self.extension(&name, item)?);
            }
        }
        texts.sort_unstable();
        Ok(texts.concat())
    }

    /// One value of a member.
    fn extension(&mut self, name: &str, value: &Value) -> Outcome {
        self.spend(name.len())?;
        if let Value::Object(members) = value {
            let inner = self.extensions(members, |_| false)?;
            return Ok([name, &inner].concat());
        }
        let text = value::free(&value::text(value), self.context);
        let text = self.at_its_address(text);
        if text.is_empty() {
            return Ok(name.to_owned());
        }
        self.spend(text.len())?;
        Ok([name, "=", &text].concat())
    }
}

/// The namespace of a name, and the name in it. Names of the standard have no namespace.
fn name<'a>(context: &'a Context, key: &'a str) -> (&'a str, &'a str) {
    match key.split_once(':') {
        Some((prefix, local)) => match context.declared(prefix) {
            Some(namespace) if !local.starts_with("//") => (namespace, local),
            _ => divided(key),
        },
        None => match context.declared_term(key) {
            Some(iri) => divided(iri),
            None => ("", key),
        },
    }
}

/// A URI as namespace and name: it is divided behind the last character that ends a namespace.
fn divided(uri: &str) -> (&str, &str) {
    let end = uri.rfind(['/', '#', ':']).map_or(0, |found| found + 1);
    uri.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::divided;

    #[test]
    fn a_name_that_is_a_whole_uri_is_divided_as_one_with_a_prefix_would_be() {
        for (uri, namespace, name) in [
            (
                "https://ns.example.com/epcis/note",
                "https://ns.example.com/epcis/",
                "note",
            ),
            (
                "http://ns.example.com/x#note",
                "http://ns.example.com/x#",
                "note",
            ),
            (
                "urn:epcglobal:cbv:mda:lotNumber",
                "urn:epcglobal:cbv:mda:",
                "lotNumber",
            ),
            ("https://ns.example.com/", "https://ns.example.com/", ""),
        ] {
            assert_eq!(divided(uri), (namespace, name));
        }
    }
}
