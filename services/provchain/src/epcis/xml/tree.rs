//! The elements of a document, with what their names stand for.

use std::rc::Rc;

/// A document in XML.
pub struct Tree {
    pub root: Element,
    /// The namespace of the root; the names of others within the standard's are [`Space::Standard`].
    pub root_namespace: Rc<str>,
    /// The namespaces of others, in the order in which names first use them.
    pub namespaces: Vec<Namespace>,
}

/// A namespace that is not the standard's.
pub struct Namespace {
    pub uri: Rc<str>,
    /// The prefix that it was first used with; empty for a default namespace.
    pub prefix: Rc<str>,
}

/// What a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Nothing, or one of the standard's namespaces: in its schemas all names but the document's
    /// are local.
    Standard,
    /// `http://www.w3.org/2001/XMLSchema-instance`: what a document says to a validator.
    Schema,
    /// One of [`Tree::namespaces`].
    Other(usize),
}

/// A name without its prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub space: Space,
    pub local: Box<str>,
}

/// An element, without comments and processing instructions.
pub struct Element {
    pub name: Name,
    pub attributes: Vec<Attribute>,
    pub children: Vec<Element>,
    /// All character data directly within, whatever stands between.
    pub text: String,
    /// Where its tag begins, from one.
    pub line: u32,
    pub scope: Rc<Scope>,
}

/// An attribute that declares no namespace.
pub struct Attribute {
    pub name: Name,
    pub value: String,
}

/// The namespaces that an element declares, and those around it.
#[derive(Default)]
pub struct Scope {
    /// Prefixes, empty for the default, and URIs, empty for none.
    pub bindings: Vec<(Rc<str>, Rc<str>)>,
    /// How many there are here and around.
    pub count: usize,
    pub outer: Option<Rc<Scope>>,
}

impl Scope {
    /// The URI that `prefix` stands for.
    pub fn lookup(&self, prefix: &str) -> Option<&Rc<str>> {
        let mut next = Some(self);
        while let Some(scope) = next {
            if let Some((_, uri)) = scope.bindings.iter().find(|(name, _)| **name == *prefix) {
                return Some(uri);
            }
            next = scope.outer.as_deref();
        }
        None
    }
}

impl Name {
    /// Whether this is the standard's `local`.
    pub fn is(&self, local: &str) -> bool {
        self.space == Space::Standard && *self.local == *local
    }
}

impl Element {
    /// Whether this element only makes room, in the schema of an older version, for what a newer one
    /// adds. It means nothing of its own (EPCIS 1.2, section 9.1).
    pub fn is_wrapper(&self) -> bool {
        self.name.is("extension") || self.name.is("baseExtension")
    }

    /// The first of the standard's elements of that name, within wrappers, too.
    pub fn child(&self, local: &str) -> Option<&Self> {
        self.children.iter().find_map(|child| {
            if child.name.is(local) {
                Some(child)
            } else if child.is_wrapper() {
                child.child(local)
            } else {
                None
            }
        })
    }

    /// The elements of that name in any namespace, within wrappers, too.
    pub fn named(&self, local: &str) -> Vec<&Self> {
        let mut named = Vec::new();
        for child in &self.children {
            if *child.name.local == *local {
                named.push(child);
            } else if child.is_wrapper() {
                named.append(&mut child.named(local));
            }
        }
        named
    }

    /// The events of an `EventList`, out of their wrappers.
    pub fn events(&self) -> Vec<&Self> {
        let mut events = Vec::new();
        for child in &self.children {
            if child.is_wrapper() {
                events.append(&mut child.events());
            } else {
                events.push(child);
            }
        }
        events
    }

    /// Whether a validator is told that the element has no value.
    pub fn is_nil(&self) -> bool {
        self.attributes.iter().any(|attribute| {
            attribute.name.space == Space::Schema
                && *attribute.name.local == *"nil"
                && matches!(attribute.value.trim(), "true" | "1")
        })
    }
}

impl Tree {
    /// The events of a document or of a query's results.
    pub fn events(&self) -> Vec<&Element> {
        let body = self.root.child("EPCISBody");
        let list = body.and_then(|body| {
            body.child("EventList").or_else(|| {
                let results = body.child("QueryResults")?;
                results.child("resultsBody")?.child("EventList")
            })
        });
        list.map(Element::events).unwrap_or_default()
    }
}
