//! The active context: GS1's table and the terms that a document declares beside it.
//!
//! Of JSON-LD 1.1 contexts this takes what extensions of EPCIS need: prefixes, and terms with
//! `@id`, `@type`, `@container` (`@set` or `@list`), `@prefix` and `@protected`. Everything else
//! (remote contexts other than GS1's, `@vocab`, `@base`, `@language`, scoped contexts, keyword
//! aliases, redefinitions) is refused by name, so that nothing is ever read otherwise than a
//! general processor would read it.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::pointer::At;
use super::terms::{self, CONTEXT_URLS, Coercion, Meaning, Property, Scope};
use super::{RdfError, Refusal};

/// Most terms that a document may declare.
const TERMS_MAX: usize = 512;
/// Most bytes that they may take with what they stand for.
const BYTES_MAX: usize = 64 << 10;
/// What a term takes beside its texts, roughly.
const TERM_BYTES: usize = 96;
/// Most terms that are defined by each other in a row; the definitions nest as deep.
const CHAIN_MAX: usize = 32;

/// Schemes that identifiers in events begin with: a prefix of that name would turn every such
/// identifier into another one.
pub(crate) const SCHEMES: [&str; 9] = [
    "http", "https", "urn", "ni", "geo", "did", "tag", "data", "mailto",
];

/// The terms in force for an event.
#[derive(Clone, Debug, Default)]
pub struct Context {
    has_epcis: bool,
    terms: HashMap<Box<str>, Term>,
    bytes: usize,
}

/// A term that the document declares.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    iri: Box<str>,
    prefix: bool,
    coercion: TermCoercion,
    list: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum TermCoercion {
    Plain,
    Id,
    Vocab,
    Datatype(Box<str>),
}

impl Term {
    fn text_bytes(&self) -> usize {
        let datatype = match &self.coercion {
            TermCoercion::Datatype(iri) => iri.len(),
            TermCoercion::Plain | TermCoercion::Id | TermCoercion::Vocab => 0,
        };
        self.iri.len() + datatype
    }

    fn property(&self) -> Property<'_> {
        Property {
            namespace: &self.iri,
            name: "",
            coercion: match &self.coercion {
                TermCoercion::Plain => Coercion::Plain,
                TermCoercion::Id => Coercion::Id,
                TermCoercion::Vocab => Coercion::Vocab(None),
                TermCoercion::Datatype(iri) => Coercion::Datatype(iri),
            },
            list: self.list,
            scope: None,
        }
    }
}

/// The scopes around a value, innermost first; kept on the stack of the walk.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a> {
    /// The innermost scope.
    pub scope: Scope,
    /// The scopes around it.
    pub outer: Option<&'a Scopes<'a>>,
}

impl Context {
    /// The context that a JSON-LD `@context` value declares.
    ///
    /// # Errors
    /// [`RdfError::Refused`] at the place in the context that is not understood.
    pub fn compile(value: &Value, at: &At<'_>) -> Result<Self, RdfError> {
        let mut context = Self::default();
        context.extend(value, at)?;
        Ok(context)
    }

    /// Adds what another `@context` value declares, as an event's own context does to its
    /// document's.
    ///
    /// # Errors
    /// As [`Context::compile`].
    pub fn extend(&mut self, value: &Value, at: &At<'_>) -> Result<(), RdfError> {
        match value {
            Value::Array(entries) => entries
                .iter()
                .enumerate()
                .try_for_each(|(index, entry)| self.add(entry, &at.index(index))),
            single => self.add(single, at),
        }
    }

    /// Whether GS1's context is in force.
    pub fn has_epcis(&self) -> bool {
        self.has_epcis
    }

    /// The memory that the declared terms take, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `name` was declared in a form that a compact name may begin with.
    pub fn declares(&self, name: &str) -> bool {
        self.terms.contains_key(name) || (self.has_epcis && terms::prefix(name).is_some())
    }

    /// What `name` was declared to stand for, as the document or GS1's context has it.
    pub fn declared(&self, name: &str) -> Option<&str> {
        self.declared_term(name).or_else(|| {
            let prefix = self.has_epcis.then(|| terms::prefix(name));
            prefix.flatten()
        })
    }

    /// What the document declared `name` to stand for.
    pub fn declared_term(&self, name: &str) -> Option<&str> {
        self.terms.get(name).map(|term| &*term.iri)
    }

    /// What `term` stands for within `scopes`, if it is declared as a term.
    pub fn term<'a>(&'a self, term: &'a str, scopes: Option<&Scopes<'_>>) -> Option<Meaning<'a>> {
        let mut next = scopes;
        while let Some(scopes) = next {
            if let Some(meaning) = terms::scoped(scopes.scope, term) {
                return Some(meaning);
            }
            next = scopes.outer;
        }
        if let Some(term) = self.terms.get(term) {
            return Some(Meaning::Property(term.property()));
        }
        self.has_epcis.then(|| terms::root(term)).flatten()
    }

    /// The two parts of the IRI that `name` stands for when it is no term: a compact name with a
    /// declared prefix, or an IRI. `None` for a relative reference and for a blank node.
    pub fn expand<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let (prefix, suffix) = name.split_once(':')?;
        if prefix.is_empty() || prefix == "_" {
            return None;
        }
        if !suffix.starts_with("//") {
            if let Some(term) = self.terms.get(prefix) {
                if term.prefix {
                    return Some((&term.iri, suffix));
                }
            } else if self.has_epcis
                && let Some(namespace) = terms::prefix(prefix)
            {
                return Some((namespace, suffix));
            }
        }
        Some((name, ""))
    }

    /// The IRI that `name` stands for when it is no term; as [`Context::expand`].
    pub fn iri<'a>(&'a self, name: &'a str) -> Option<Cow<'a, str>> {
        Some(match self.expand(name)? {
            (iri, "") => Cow::Borrowed(iri),
            (namespace, name) => Cow::Owned([namespace, name].concat()),
        })
    }

    fn add(&mut self, entry: &Value, at: &At<'_>) -> Result<(), RdfError> {
        match entry {
            Value::String(url) if CONTEXT_URLS.contains(&url.as_str()) => {
                self.has_epcis = true;
                // Its terms replace what was declared before under the same names.
                self.terms.retain(|term, _| terms::root(term).is_none());
                Ok(())
            }
            Value::String(url) => Err(RdfError::refused(at, Refusal::RemoteContext(url.clone()))),
            Value::Object(definitions) => Definitions {
                context: self,
                definitions,
                open: Vec::new(),
            }
            .define_all(at),
            _ => Err(RdfError::refused(at, Refusal::ContextEntry)),
        }
    }
}

/// One context object while its terms are defined; they may refer to each other in any order.
struct Definitions<'a> {
    context: &'a mut Context,
    definitions: &'a Map<String, Value>,
    /// The terms whose definition is under way.
    open: Vec<&'a str>,
}

impl<'a> Definitions<'a> {
    fn define_all(mut self, at: &At<'_>) -> Result<(), RdfError> {
        for (term, definition) in self.definitions {
            match (term.as_str(), definition) {
                ("@protected", Value::Bool(_)) => {}
                ("@version", version) if version.as_f64() == Some(1.1) => {}
                (keyword, _) if keyword.starts_with('@') => {
                    let refusal = Refusal::ContextKeyword(term.clone());
                    return Err(RdfError::refused(&at.key(term), refusal));
                }
                _ => self.define(term, at)?,
            }
        }
        Ok(())
    }

    fn define(&mut self, term: &'a str, at: &At<'_>) -> Result<(), RdfError> {
        let here = at.key(term);
        let refuse = |refusal| Err(RdfError::refused(&here, refusal));
        if self.open.contains(&term) {
            return refuse(Refusal::CyclicTerm);
        }
        if term.is_empty() || term.starts_with('@') {
            return refuse(Refusal::TermDefinition);
        }
        if SCHEMES.contains(&term) {
            return refuse(Refusal::SchemeAsPrefix);
        }
        if self.open.len() >= CHAIN_MAX {
            return refuse(Refusal::TermChain);
        }
        self.open.push(term);
        let defined = match &self.definitions[term] {
            Value::String(iri) => self.simple(term, iri, at)?,
            Value::Object(definition) => self.expanded(term, definition, at)?,
            _ => None,
        };
        self.open.pop();
        let Some(defined) = defined else {
            return refuse(Refusal::TermDefinition);
        };
        if self.context.has_epcis
            && let Some(meaning) = terms::root(term)
        {
            return if meaning == Meaning::Property(defined.property()) {
                Ok(())
            } else {
                refuse(Refusal::ProtectedTerm)
            };
        }
        match self.context.terms.get(term) {
            Some(known) if *known == defined => Ok(()),
            Some(_) => refuse(Refusal::RedefinedTerm),
            None => {
                self.context.bytes += TERM_BYTES + term.len() + defined.text_bytes();
                if self.context.terms.len() >= TERMS_MAX || self.context.bytes > BYTES_MAX {
                    return refuse(Refusal::TooManyTerms);
                }
                self.context.terms.insert(term.into(), defined);
                Ok(())
            }
        }
    }

    /// `"term": "iri"`.
    fn simple(&mut self, term: &str, iri: &'a str, at: &At<'_>) -> Result<Option<Term>, RdfError> {
        let Some(iri) = self.iri(iri, at)? else {
            return Ok(None);
        };
        if !self.stands_for_itself(term, &iri, at)? {
            return Ok(None);
        }
        Ok(Some(Term {
            // JSON-LD 1.1 lets a simple term be a prefix only if its IRI ends in a delimiter.
            prefix: !term.contains([':', '/'])
                && iri.ends_with([':', '/', '?', '#', '[', ']', '@']),
            iri: iri.into(),
            coercion: TermCoercion::Plain,
            list: false,
        }))
    }

    /// `"term": {"@id": …, "@type": …, "@container": …}`.
    fn expanded(
        &mut self,
        term: &'a str,
        definition: &'a Map<String, Value>,
        at: &At<'_>,
    ) -> Result<Option<Term>, RdfError> {
        let id = match definition.get("@id") {
            Some(Value::String(id)) => id.as_str(),
            Some(_) => return Ok(None),
            None => term,
        };
        let iri = if id == term {
            self.compact(term, at)?
        } else {
            self.iri(id, at)?
        };
        let Some(iri) = iri else { return Ok(None) };
        if !self.stands_for_itself(term, &iri, at)? {
            return Ok(None);
        }
        let mut defined = Term {
            iri: iri.into(),
            prefix: false,
            coercion: TermCoercion::Plain,
            list: false,
        };
        for (keyword, value) in definition {
            match (keyword.as_str(), value) {
                ("@id", _) | ("@protected", Value::Bool(_)) => {}
                ("@prefix", Value::Bool(prefix)) if !term.contains([':', '/']) => {
                    defined.prefix = *prefix;
                }
                ("@type", Value::String(kind)) => match kind.as_str() {
                    "@id" => defined.coercion = TermCoercion::Id,
                    "@vocab" => defined.coercion = TermCoercion::Vocab,
                    datatype => match self.iri(datatype, at)? {
                        Some(iri) => defined.coercion = TermCoercion::Datatype(iri.into()),
                        None => return Ok(None),
                    },
                },
                ("@container", Value::String(kind)) if kind == "@set" => {}
                ("@container", Value::String(kind)) if kind == "@list" => defined.list = true,
                ("@container", Value::Array(kinds)) if *kinds == ["@set"] => {}
                _ => {
                    let refusal = Refusal::ContextKeyword(keyword.clone());
                    return Err(RdfError::refused(&at.key(term).key(keyword), refusal));
                }
            }
        }
        Ok(Some(defined))
    }

    /// The IRI that `name` stands for: a term, a compact name or an IRI; `None` for anything
    /// else, keywords included.
    fn iri(&mut self, name: &'a str, at: &At<'_>) -> Result<Option<String>, RdfError> {
        if name.starts_with('@') {
            return Ok(None);
        }
        self.define_if_pending(name, at)?;
        match self.context.term(name, None) {
            Some(Meaning::Property(property)) => Ok(Some(property.iri().collect())),
            Some(_) => Ok(None),
            None => self.compact(name, at),
        }
    }

    /// The IRI of a compact name or of an IRI.
    fn compact(&mut self, name: &'a str, at: &At<'_>) -> Result<Option<String>, RdfError> {
        if let Some((prefix, suffix)) = name.split_once(':')
            && !suffix.starts_with("//")
        {
            self.define_if_pending(prefix, at)?;
        }
        let Some((namespace, name)) = self.context.expand(name) else {
            return Ok(None);
        };
        let iri = [namespace, name].concat();
        Ok(oxiri::Iri::parse(iri.as_str()).is_ok().then_some(iri))
    }

    fn define_if_pending(&mut self, term: &str, at: &At<'_>) -> Result<(), RdfError> {
        match self.definitions.get_key_value(term) {
            Some((term, _)) if !self.context.terms.contains_key(term.as_str()) => {
                self.define(term, at)
            }
            _ => Ok(()),
        }
    }

    /// A term that looks like an IRI or a compact name must stand for just that.
    fn stands_for_itself(&mut self, term: &str, iri: &str, at: &At<'_>) -> Result<bool, RdfError> {
        if !term.contains('/') && !term.trim_matches(':').contains(':') {
            return Ok(true);
        }
        let Some((term, _)) = self.definitions.get_key_value(term) else {
            return Ok(false);
        };
        Ok(self.compact(term, at)?.as_deref() == Some(iri))
    }
}
