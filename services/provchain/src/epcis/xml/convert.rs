//! From elements to the JSON that says the same.

use serde_json::{Map, Value};

use super::members::{Members, Origin};
use super::prefixes::{self, Prefixes};
use super::shape::{self, Content, Item, Scalar, Shape};
use super::tree::{Element, Name, Space, Tree};
use crate::epcis::issue::{Issue, Rule};
use crate::epcis::json;
use crate::epcis::limits::Limits;
use crate::rdf::pointer::At;
use crate::rdf::vocabulary::Vocabulary;

/// Converts a document, and collects what cannot be converted.
pub struct Converter<'t> {
    pub prefixes: Prefixes<'t>,
    pub issues: Vec<Issue>,
    issues_max: usize,
    /// The event that is converted.
    pub event: Option<usize>,
}

impl<'t> Converter<'t> {
    pub fn new(tree: &'t Tree, limits: &Limits) -> Self {
        Self {
            prefixes: Prefixes::new(tree),
            issues: Vec::new(),
            issues_max: limits.issues_max.max(1),
            event: None,
        }
    }

    pub fn issue(&mut self, rule: Rule, element: &Element, name: &str, message: impl Into<String>) {
        if self.issues.len() < self.issues_max {
            self.issues.push(Issue {
                event: self.event,
                ..Issue::in_xml(rule, element.line, name, message)
            });
        }
    }

    /// An element that becomes an object.
    pub fn object(&mut self, element: &Element, shape: &Shape) -> Value {
        let mut members = Members::default();
        self.parts(element, shape, &mut members);
        if let Some(member) = shape.text {
            let text = element.text.trim().to_owned();
            self.once(&mut members, element, member, text.into());
        } else {
            self.no_text(element);
        }
        members.into_value()
    }

    /// The attributes and elements of an element, and of the wrappers within, as members.
    pub fn parts(&mut self, element: &Element, shape: &Shape, into: &mut Members) {
        for attribute in &element.attributes {
            let name = &attribute.name;
            match (name.space, (shape.attributes)(&name.local)) {
                (Space::Schema, _) => {}
                (Space::Other(_), _) => {
                    let value = attribute.value.clone().into();
                    self.add(into, element, name, name.space, Origin::Attribute, value);
                }
                (Space::Standard, Some(kind)) => {
                    if let Some(value) = self.scalar(kind, &attribute.value, element, &name.local) {
                        self.once(into, element, &name.local, value);
                    }
                }
                (Space::Standard, None) => self.unknown(element, "attribute", &name.local),
            }
        }
        for child in &element.children {
            match child.name.space {
                Space::Standard if child.is_wrapper() => {
                    self.no_text(child);
                    self.parts(child, shape, into);
                }
                Space::Standard => match (shape.elements)(&child.name.local) {
                    Some(content) => self.part(child, content, into),
                    None => self.unknown(child, "element", &child.name.local),
                },
                Space::Schema => self.unknown(child, "element", &child.name.local),
                Space::Other(_) => {
                    let value = self.extension(child, child.name.space);
                    self.add(
                        into,
                        child,
                        &child.name,
                        child.name.space,
                        Origin::Element,
                        value,
                    );
                }
            }
        }
    }

    fn part(&mut self, element: &Element, content: Content, into: &mut Members) {
        let name = shape::json_name(&element.name.local);
        match content {
            // In XML a quantity that is not known may be there without a value.
            Content::One(_) if element.is_nil() && name == "quantity" => {}
            Content::One(item) => {
                if let Some(value) = self.item(element, item) {
                    self.once(into, element, name, value);
                }
            }
            Content::Repeated(item) => {
                if let Some(value) = self.item(element, item) {
                    into.append(name, value);
                }
            }
            Content::List(item_name, item) => {
                let items = self.list(element, item_name, item);
                self.once(into, element, name, items);
            }
            Content::Events => {
                let events = self.events(element);
                self.once(into, element, name, events);
            }
            Content::Elsewhere => {}
        }
    }

    fn item(&mut self, element: &Element, item: Item) -> Option<Value> {
        if element.is_nil() {
            let message = format!("{} is nil: leave it out", element.name.local);
            self.issue(Rule::Value, element, &element.name.local, message);
            return None;
        }
        match item {
            Item::Scalar(kind) => {
                self.no_parts(element);
                self.scalar(kind, &element.text, element, &element.name.local)
            }
            Item::Object(shape) => Some(self.object(element, shape)),
            Item::Attribute => Some(self.master_attribute(element)),
        }
    }

    fn list(&mut self, list: &Element, item_name: &str, item: Item) -> Value {
        self.no_attributes(list);
        self.no_text(list);
        let mut items = Vec::with_capacity(list.children.len());
        for child in &list.children {
            if child.name.is(item_name) {
                items.extend(self.item(child, item));
            } else {
                self.unknown(child, "element", &child.name.local);
            }
        }
        items.into()
    }

    fn scalar(
        &mut self,
        kind: Scalar,
        text: &str,
        element: &Element,
        field: &str,
    ) -> Option<Value> {
        let text = text.trim();
        let value = match kind {
            Scalar::Text => Ok(text.to_owned().into()),
            Scalar::Number => number(text),
            Scalar::Boolean => match text {
                "true" | "1" => Ok(true.into()),
                "false" | "0" => Ok(false.into()),
                _ => Err((Rule::Value, format!("{text:?} is neither true nor false"))),
            },
            Scalar::Word(vocabulary) => Ok(word(vocabulary, text, element).into()),
        };
        match value {
            Ok(value) => Some(value),
            Err((rule, message)) => {
                self.issue(rule, element, field, message);
                None
            }
        }
    }

    /// What someone else's element says. Names without a namespace within belong to the namespace
    /// around them, `space`.
    pub fn extension(&mut self, element: &Element, space: Space) -> Value {
        if element.is_nil() {
            let message = "JSON-LD drops what has no value: leave the element out";
            self.issue(Rule::JsonLd, element, &element.name.local, message);
        }
        let mut members = Members::default();
        for attribute in &element.attributes {
            if attribute.name.space != Space::Schema {
                let value = attribute.value.clone().into();
                let (name, origin) = (&attribute.name, Origin::Attribute);
                self.add(&mut members, element, name, space, origin, value);
            }
        }
        for child in &element.children {
            let inner = own_or(child.name.space, space);
            let value = self.extension(child, inner);
            self.add(
                &mut members,
                child,
                &child.name,
                space,
                Origin::Element,
                value,
            );
        }
        let text = element.text.trim();
        if members.is_empty() {
            return text.into();
        }
        if !text.is_empty() {
            if element.children.is_empty() {
                self.once(&mut members, element, RDF_VALUE, text.into());
            } else {
                let message = "text between elements cannot be kept in JSON-LD: put it into an \
                               element of its own";
                self.issue(Rule::JsonLd, element, &element.name.local, message);
            }
        }
        members.into_value()
    }

    /// Adds a member with a name of someone else's, or of none, which then belongs to `around`.
    fn add(
        &mut self,
        members: &mut Members,
        element: &Element,
        name: &Name,
        around: Space,
        origin: Origin,
        value: Value,
    ) {
        let Space::Other(place) = own_or(name.space, around) else {
            self.unknown(element, "element", &name.local);
            return;
        };
        let origin = origin.without_namespace(name.space == Space::Standard);
        match self.prefixes.key(place, &name.local) {
            Ok(key) => {
                if let Err(message) = members.add(key, value, origin) {
                    self.issue(Rule::DuplicateKey, element, &name.local, message);
                }
            }
            Err(message) => self.issue(Rule::Context, element, &name.local, message),
        }
    }

    /// Adds a member that there may be one of.
    pub fn once(&mut self, members: &mut Members, element: &Element, key: &str, value: Value) {
        if !members.once(key, value) {
            let message = format!("{key} is there twice");
            self.issue(Rule::DuplicateKey, element, key, message);
        }
    }

    pub fn unknown(&mut self, element: &Element, what: &str, name: &str) {
        let message = format!(
            "the {what} {name} is not the standard's here; one of your own needs a namespace of \
             your own"
        );
        self.issue(Rule::UnknownField, element, name, message);
    }

    pub fn no_text(&mut self, element: &Element) {
        if !element.text.trim().is_empty() {
            let message = format!("there is text in {}, which takes none", element.name.local);
            self.issue(Rule::Forbidden, element, &element.name.local, message);
        }
    }

    pub fn no_attributes(&mut self, element: &Element) {
        for attribute in &element.attributes {
            if attribute.name.space != Space::Schema {
                self.unknown(element, "attribute", &attribute.name.local);
            }
        }
    }

    fn no_parts(&mut self, element: &Element) {
        self.no_attributes(element);
        for child in &element.children {
            self.unknown(child, "element", &child.name.local);
        }
    }

    /// `{"id": …, "attribute": …}`: a text, or an object of someone else's elements.
    fn master_attribute(&mut self, element: &Element) -> Value {
        let mut value = Members::default();
        let mut members = Map::new();
        for attribute in &element.attributes {
            match attribute.name.space {
                _ if attribute.name.is("id") => {
                    members.insert("id".to_owned(), attribute.value.trim().into());
                }
                Space::Schema => {}
                _ => self.unknown(element, "attribute", &attribute.name.local),
            }
        }
        for child in &element.children {
            let inside = self.extension(child, child.name.space);
            let (name, space) = (&child.name, child.name.space);
            self.add(&mut value, child, name, space, Origin::Element, inside);
        }
        let value = if value.is_empty() {
            element.text.trim().into()
        } else {
            self.no_text(element);
            value.into_value()
        };
        members.insert("attribute".to_owned(), value);
        members.into()
    }
}

/// Where RDF puts the value of a thing that has other properties beside it (RDF 1.1 Primer; RDF
/// Schema 1.1, section 5.4.3): the text of an element that has attributes.
const RDF_VALUE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#value";

fn own_or(space: Space, around: Space) -> Space {
    if space == Space::Standard {
        around
    } else {
        space
    }
}

/// A number in one of the forms of `xsd:decimal` and `xsd:double`, with all of its digits.
fn number(text: &str) -> Result<Value, (Rule, String)> {
    let refuse = |message: String| Err((Rule::Value, message));
    // Rust reads these forms, and besides them the names of what is no number.
    if text.is_empty()
        || !text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
        || text.parse::<f64>().is_err()
    {
        return refuse(format!("{text:?} is not a number that JSON has"));
    }
    json::number(text, &At::ROOT).map_err(|issue| (issue.rule, issue.message))
}

/// The bare word that a URN of CBV 1.x, a Web URI of CBV 2.0 or a compact name stands for; anything
/// else as it is.
fn word(vocabulary: &'static Vocabulary, text: &str, element: &Element) -> String {
    let uri = prefixes::expand(text, &element.scope).unwrap_or_else(|| text.to_owned());
    let word = uri.strip_prefix(vocabulary.namespace).or_else(|| {
        let rest = uri.strip_prefix("urn:epcglobal:cbv:")?;
        let (list, word) = rest.split_once(':')?;
        // `BizStep-` is `bizstep:`, `SDT-` is `sdt:`.
        let namespace = vocabulary
            .namespace
            .strip_prefix("https://ref.gs1.org/cbv/")?;
        let name = namespace.strip_suffix('-')?;
        name.eq_ignore_ascii_case(list).then_some(word)
    });
    match word {
        Some(word) if vocabulary.contains(word) => word.to_owned(),
        _ => uri,
    }
}
