//! From an event in JSON-LD to statements.
//!
//! One walk does what JSON-LD's expansion, node map generation and conversion to RDF do, for the
//! contexts that [`Context`] takes. What those algorithms would drop in silence (unmapped terms,
//! nulls, relative references, structure that sets do not keep) is refused instead, because a
//! fact that is not in a statement is not in the ledger's commitments.

use serde_json::{Map, Value};

use super::context::{Context, Scopes};
use super::dataset::{Dataset, Term};
use super::number;
use super::pointer::At;
use super::terms::{Coercion, Meaning, Property, XSD_BOOLEAN, XSD_DOUBLE, XSD_INTEGER, XSD_STRING};
use super::{Limits, RdfError, Refusal};

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// The statements of `event`, which stands at `at`, without the member named `without`.
pub fn expand(
    event: &Map<String, Value>,
    context: &Context,
    limits: &Limits,
    without: Option<&str>,
    at: &At<'_>,
) -> Result<Dataset, RdfError> {
    let mut expander = Expander {
        context,
        limits,
        dataset: Dataset::default(),
    };
    let members = event
        .iter()
        .filter(|(key, _)| *key != "@context" && Some(key.as_str()) != without);
    expander.node(members, None, at)?;
    expander.dataset.dedup();
    Ok(expander.dataset)
}

struct Expander<'a> {
    context: &'a Context,
    limits: &'a Limits,
    dataset: Dataset,
}

type Outcome<T> = Result<T, RdfError>;

impl<'a> Expander<'a> {
    /// Adds a node object's statements; returns the term that names the node.
    fn node<'v>(
        &mut self,
        members: impl Iterator<Item = (&'v String, &'v Value)> + Clone,
        scopes: Option<&Scopes<'_>>,
        at: &At<'_>,
    ) -> Outcome<Term>
    where
        'a: 'v,
    {
        let context = self.context;
        let mut subject = None;
        for (key, value) in members.clone() {
            if context.term(key, scopes) == Some(Meaning::Id) {
                if subject.is_some() {
                    return Err(RdfError::refused(&at.key(key), Refusal::TwoIdentifiers));
                }
                subject = Some(self.identifier(value, &at.key(key))?);
            }
        }
        let subject = subject.unwrap_or_else(|| self.dataset.blank());
        for (key, value) in members {
            let at = at.key(key);
            let refuse = |refusal| Err(RdfError::refused(&at, refusal));
            let property = match context.term(key, scopes) {
                Some(Meaning::Id) => continue,
                Some(Meaning::Type) => {
                    self.classes(subject, value, scopes, &at)?;
                    continue;
                }
                Some(Meaning::Base) => return refuse(Refusal::Keyword),
                Some(Meaning::Property(property)) => property,
                None if key.starts_with('@') => return refuse(Refusal::Keyword),
                None => match context.expand(key) {
                    Some((namespace, name)) => Property::plain(namespace, name),
                    None => return refuse(Refusal::UnmappedTerm),
                },
            };
            let predicate = self.iri(property.namespace, property.name, &at)?;
            self.values(subject, predicate, &property, value, scopes, &at)?;
        }
        Ok(subject)
    }

    /// A member's value or values, each as a statement.
    fn values(
        &mut self,
        subject: Term,
        predicate: Term,
        property: &Property<'_>,
        value: &Value,
        scopes: Option<&Scopes<'_>>,
        at: &At<'_>,
    ) -> Outcome<()> {
        let below = property.scope.map(|scope| Scopes {
            scope,
            outer: scopes,
        });
        let scopes = below.as_ref().or(scopes);
        if property.list {
            let items = match value {
                Value::Array(items) => items.as_slice(),
                single => std::slice::from_ref(single),
            };
            let head = self.list(property, items, scopes, at)?;
            return self.state(subject, predicate, head);
        }
        match value {
            Value::Array(items) => {
                let mut scalars = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let object = self.value(property, item, scopes, &at.index(index))?;
                    self.state(subject, predicate, object)?;
                    if !item.is_object() {
                        scalars.push((object, index));
                    }
                }
                self.refuse_repeats(scalars, at)
            }
            single => {
                let object = self.value(property, single, scopes, at)?;
                self.state(subject, predicate, object)
            }
        }
    }

    /// A value that is there twice in a set is there once: the second would be lost.
    fn refuse_repeats(&self, mut scalars: Vec<(Term, usize)>, at: &At<'_>) -> Outcome<()> {
        scalars.sort_by_key(|(term, _)| self.dataset.text(*term));
        let mut pairs = scalars.windows(2);
        match pairs.find(|pair| self.dataset.text(pair[0].0) == self.dataset.text(pair[1].0)) {
            Some(pair) => Err(RdfError::refused(&at.index(pair[1].1), Refusal::Repeated)),
            None => Ok(()),
        }
    }

    fn list(
        &mut self,
        property: &Property<'_>,
        items: &[Value],
        scopes: Option<&Scopes<'_>>,
        at: &At<'_>,
    ) -> Outcome<Term> {
        let mut rest = self.dataset.iri(RDF, "nil");
        for (index, item) in items.iter().enumerate().rev() {
            let object = self.value(property, item, scopes, &at.index(index))?;
            let cell = self.dataset.blank();
            let first = self.dataset.iri(RDF, "first");
            let next = self.dataset.iri(RDF, "rest");
            self.state(cell, first, object)?;
            self.state(cell, next, rest)?;
            rest = cell;
        }
        Ok(rest)
    }

    fn value(
        &mut self,
        property: &Property<'_>,
        value: &Value,
        scopes: Option<&Scopes<'_>>,
        at: &At<'_>,
    ) -> Outcome<Term> {
        let datatype = match property.coercion {
            Coercion::Datatype(datatype) => Some(datatype),
            _ => None,
        };
        match value {
            Value::Null => Err(RdfError::refused(at, Refusal::Null)),
            Value::Array(_) => Err(RdfError::refused(at, Refusal::NestedArray)),
            Value::Object(object) => self.node(object.iter(), scopes, at),
            // JSON-LD itself forbids most of these: the scope redefines protected terms.
            _ if property.scope.is_some() => Err(RdfError::refused(at, Refusal::NotAnObject)),
            Value::Bool(truth) => {
                let lexical = if *truth { "true" } else { "false" };
                Ok(self.literal(lexical, datatype.unwrap_or(XSD_BOOLEAN)))
            }
            Value::Number(number) => {
                let as_double = datatype == Some(XSD_DOUBLE);
                let (lexical, is_double) = number::canonical(number, as_double);
                let natural = if is_double { XSD_DOUBLE } else { XSD_INTEGER };
                Ok(self.literal(&lexical, datatype.unwrap_or(natural)))
            }
            Value::String(text) => match property.coercion {
                Coercion::Plain => Ok(self.dataset.literal(text, None)),
                Coercion::Datatype(datatype) => Ok(self.literal(text, datatype)),
                Coercion::Id => self.identifier(value, at),
                Coercion::Vocab(words) => match words {
                    Some(list) if list.contains(text) => Ok(self.dataset.iri(list.namespace, text)),
                    _ => self.word(text, scopes, at),
                },
            },
        }
    }

    /// The value of `@id`: an IRI or a compact name, never a term.
    fn identifier(&mut self, value: &Value, at: &At<'_>) -> Outcome<Term> {
        let context = self.context;
        match value.as_str().and_then(|text| context.expand(text)) {
            Some((namespace, name)) => self.iri(namespace, name, at),
            None => Err(RdfError::refused(at, Refusal::RelativeReference)),
        }
    }

    /// A term, a compact name or an IRI.
    fn word(&mut self, text: &str, scopes: Option<&Scopes<'_>>, at: &At<'_>) -> Outcome<Term> {
        let context = self.context;
        let found = match context.term(text, scopes) {
            Some(Meaning::Property(property)) => Some((property.namespace, property.name)),
            Some(_) => None,
            None => context.expand(text),
        };
        match found {
            Some((namespace, name)) => self.iri(namespace, name, at),
            None => Err(RdfError::refused(at, Refusal::RelativeReference)),
        }
    }

    fn classes(
        &mut self,
        subject: Term,
        value: &Value,
        scopes: Option<&Scopes<'_>>,
        at: &At<'_>,
    ) -> Outcome<()> {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        for item in items {
            let Some(text) = item.as_str() else {
                return Err(RdfError::refused(at, Refusal::RelativeReference));
            };
            let class = self.word(text, scopes, at)?;
            let predicate = self.dataset.iri(RDF, "type");
            self.state(subject, predicate, class)?;
        }
        Ok(())
    }

    fn literal(&mut self, lexical: &str, datatype: &str) -> Term {
        self.dataset
            .literal(lexical, (datatype != XSD_STRING).then_some(datatype))
    }

    fn iri(&mut self, namespace: &str, name: &str, at: &At<'_>) -> Outcome<Term> {
        let term = self.dataset.iri(namespace, name);
        let text = self.dataset.text(term);
        match oxiri::Iri::parse(&text[1..text.len() - 1]) {
            Ok(_) => Ok(term),
            Err(_) => Err(RdfError::refused(at, Refusal::NotAnIri)),
        }
    }

    fn state(&mut self, subject: Term, predicate: Term, object: Term) -> Outcome<()> {
        if self.dataset.quads().len() >= self.limits.statements_max {
            return Err(RdfError::TooManyStatements(self.limits.statements_max));
        }
        self.dataset.state(subject, predicate, object);
        if self.dataset.line_bytes() > self.limits.bytes_max {
            return Err(RdfError::TooManyBytes(self.limits.bytes_max));
        }
        Ok(())
    }
}
