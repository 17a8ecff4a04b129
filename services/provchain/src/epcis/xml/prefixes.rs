//! What the names of others are called in JSON-LD.
//!
//! XML names are pairs of a namespace and a word; in JSON-LD they are IRIs, written with a prefix
//! that `@context` declares.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::tree::{Element, Namespace, Scope, Space, Tree};
use crate::rdf::context::SCHEMES;
use crate::rdf::terms;

/// Prefixes of GS1's own context; they need not be declared, and mean nothing else.
const GS1: [&str; 8] = [
    "epcis", "cbv", "cbvmda", "gs1", "rdfs", "owl", "xsd", "dcterms",
];

/// Where GS1's context has terms of its own.
const SCOPES: [terms::Scope; 8] = [
    terms::Scope::SourceList,
    terms::Scope::DestinationList,
    terms::Scope::BizTransactionList,
    terms::Scope::PersistentDisposition,
    terms::Scope::SensorElementList,
    terms::Scope::SensorMetadata,
    terms::Scope::SensorReport,
    terms::Scope::ErrorDeclaration,
];

/// Fields whose values may be compact names: those are written out.
const WORD_FIELDS: [&str; 8] = [
    "bizStep",
    "component",
    "disposition",
    "exception",
    "reason",
    "set",
    "type",
    "unset",
];

/// The prefixes of a document's `@context`, each given when a name first needs it.
pub struct Prefixes<'t> {
    namespaces: &'t [Namespace],
    /// By namespace.
    given: Vec<Option<Rc<str>>>,
    /// What each prefix stands for, in the order in which they were given.
    declared: Vec<(Rc<str>, String)>,
    /// IRIs that names begin with, and the namespace that they come of.
    bases: HashMap<String, usize>,
    /// What a prefix must not be called, because identifiers begin with it.
    schemes: HashSet<&'t str>,
}

impl<'t> Prefixes<'t> {
    pub fn new(tree: &'t Tree) -> Self {
        let wanted: HashSet<&str> = tree.namespaces.iter().map(|one| &*one.prefix).collect();
        let mut schemes = HashSet::new();
        find_schemes(&tree.root, &wanted, &mut schemes);
        Self {
            namespaces: &tree.namespaces,
            given: vec![None; tree.namespaces.len()],
            declared: Vec::new(),
            bases: HashMap::new(),
            schemes,
        }
    }

    /// The key for the name `local` of the namespace at `place`.
    ///
    /// # Errors
    /// What is wrong with the namespace.
    pub fn key(&mut self, place: usize, local: &str) -> Result<String, String> {
        let prefix = match &self.given[place] {
            Some(prefix) => Rc::clone(prefix),
            None => self.give(place)?,
        };
        Ok(format!("{prefix}:{local}"))
    }

    /// The prefixes as an entry of `@context`.
    pub fn context(&self) -> Map<String, Value> {
        let entry = |(prefix, base): &(Rc<str>, String)| (prefix.to_string(), base.clone().into());
        self.declared.iter().map(entry).collect()
    }

    fn give(&mut self, place: usize) -> Result<Rc<str>, String> {
        let namespace = &self.namespaces[place];
        let base = base(&namespace.uri).ok_or_else(|| {
            format!(
                "the namespace {:?} is not an absolute URI, so that JSON-LD cannot name what is in it",
                namespace.uri
            )
        })?;
        if let Some(other) = self.bases.insert(base.clone(), place) {
            return Err(format!(
                "the namespaces {:?} and {:?} are the same in JSON-LD, where names begin with {base}",
                self.namespaces[other].uri, namespace.uri
            ));
        }
        let standard = GS1
            .into_iter()
            .find(|name| terms::prefix(name) == Some(&*base));
        let prefix: Rc<str> = match standard {
            Some(name) => name.into(),
            None => {
                let wanted = &namespace.prefix;
                let prefix = if self.is_free(wanted) {
                    Rc::clone(wanted)
                } else {
                    self.invented()
                };
                self.declared.push((Rc::clone(&prefix), base));
                prefix
            }
        };
        self.given[place] = Some(Rc::clone(&prefix));
        Ok(prefix)
    }

    fn is_free(&self, prefix: &str) -> bool {
        is_usable(prefix)
            && !self.schemes.contains(prefix)
            && self.declared.iter().all(|(taken, _)| **taken != *prefix)
    }

    /// The first of `ns1`, `ns2` … that is free.
    fn invented(&self) -> Rc<str> {
        (1..)
            .map(|number| format!("ns{number}"))
            .find(|name| self.is_free(name))
            .expect("there are fewer prefixes than numbers")
            .into()
    }
}

/// Whether JSON-LD and GS1's context leave this word free for a prefix.
fn is_usable(prefix: &str) -> bool {
    !prefix.is_empty()
        && prefix != "_"
        && !SCHEMES.contains(&prefix)
        && terms::root(prefix).is_none()
        && SCOPES
            .iter()
            .all(|scope| terms::scoped(*scope, prefix).is_none())
}

/// What the IRIs of a namespace's names begin with. A namespace that ends in the middle of a word
/// gets a delimiter: a prefix of JSON-LD must end in one, and `…/epcis` and `myField` must not become
/// `…/epcismyField`. So do GS1's own pairs of examples (`http://ns.example.com/epcis` in XML is
/// `http://ns.example.com/epcis/` in JSON), and its context (`urn:epcglobal:cbv:mda:`).
fn base(uri: &str) -> Option<String> {
    oxiri::Iri::parse(uri).ok()?;
    Some(if uri.ends_with([':', '/', '?', '#', '[', ']', '@']) {
        uri.to_owned()
    } else if uri.starts_with("urn:") {
        format!("{uri}:")
    } else {
        format!("{uri}/")
    })
}

/// The IRI that a compact name in a value stands for, by the prefixes that are declared around it or
/// those of GS1; `None` for what is an IRI already, or a word.
pub fn expand(text: &str, scope: &Scope) -> Option<String> {
    let (prefix, local) = text.split_once(':')?;
    if prefix.is_empty() || local.starts_with("//") || SCHEMES.contains(&prefix) {
        return None;
    }
    let base = match scope.lookup(prefix) {
        Some(uri) => base(uri)?,
        None => terms::prefix(prefix)?.to_owned(),
    };
    Some(base + local)
}

/// Collects what the standard's values begin with, of what is `wanted` for a prefix.
fn find_schemes<'t>(element: &'t Element, wanted: &HashSet<&str>, into: &mut HashSet<&'t str>) {
    let mut look = |space: Space, name: &str, value: &'t str| {
        let is_written_out = WORD_FIELDS.contains(&name) && expand(value, &element.scope).is_some();
        if space == Space::Standard
            && !is_written_out
            && let Some((scheme, _)) = value.trim().split_once(':')
            && wanted.contains(scheme)
        {
            into.insert(scheme);
        }
    };
    look(element.name.space, &element.name.local, &element.text);
    for attribute in &element.attributes {
        look(
            attribute.name.space,
            &attribute.name.local,
            &attribute.value,
        );
    }
    for child in &element.children {
        find_schemes(child, wanted, into);
    }
}
