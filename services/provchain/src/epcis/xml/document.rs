//! What surrounds the events, and the events themselves.

use serde_json::{Map, Value, json};

use super::convert::Converter;
use super::members::Members;
use super::shape::{self, Shape};
use super::tree::{Element, Space, Tree};
use crate::epcis::issue::{Issue, Rule};
use crate::epcis::limits::Limits;
use crate::rdf::terms::CONTEXT_URLS;

const SBDH: &str = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader";

/// The types of events that are called the same in JSON.
const TYPES: [&str; 5] = [
    "ObjectEvent",
    "AggregationEvent",
    "TransactionEvent",
    "TransformationEvent",
    "AssociationEvent",
];

/// The document as JSON-LD.
pub fn convert(tree: &Tree, limits: &Limits) -> Result<Value, Vec<Issue>> {
    let mut converter = Converter::new(tree, limits);
    let value = converter.document(tree);
    match value {
        Some(value) if converter.issues.is_empty() => Ok(value),
        _ => Err(converter.issues),
    }
}

impl Converter<'_> {
    fn document(&mut self, tree: &Tree) -> Option<Value> {
        let root = &tree.root;
        let shape = self.kind(tree)?;
        let mut members = Members::default();
        members.once("@context", Value::Null);
        members.once("type", (*root.name.local).into());
        self.no_text(root);
        self.parts(root, shape, &mut members);
        if *root.name.local == *"EPCISDocument"
            && let Some(header) = root.child("EPCISHeader")
        {
            self.business_header(tree, header, &mut members);
        }
        let mut document = members.into_value();
        self.version(root, &mut document);
        let prefixes = self.prefixes.context();
        document["@context"] = if prefixes.is_empty() {
            json!([CONTEXT_URLS[0]])
        } else {
            json!([CONTEXT_URLS[0], prefixes])
        };
        Some(document)
    }

    /// What kind of document this is.
    fn kind(&mut self, tree: &Tree) -> Option<&'static Shape> {
        let root = &tree.root;
        let name = &*root.name.local;
        let message = match (&*tree.root_namespace, name) {
            ("urn:epcglobal:epcis:xsd:1" | "urn:epcglobal:epcis:xsd:2", "EPCISDocument") => {
                return Some(&shape::DOCUMENT);
            }
            (
                "urn:epcglobal:epcis-query:xsd:1" | "urn:epcglobal:epcis-query:xsd:2",
                "EPCISQueryDocument",
            ) => return Some(&shape::QUERY_DOCUMENT),
            (_, "EPCISMasterDataDocument") => {
                "there are no events in an EPCISMasterDataDocument: send master data in the header \
                 of an EPCISDocument"
                    .to_owned()
            }
            (namespace, name) => format!(
                "{name} in the namespace {namespace:?} is not taken: an EPCISDocument in \
                 urn:epcglobal:epcis:xsd:1 or 2, or an EPCISQueryDocument in \
                 urn:epcglobal:epcis-query:xsd:1 or 2, is expected"
            ),
        };
        self.issue(Rule::Value, root, name, message);
        None
    }

    /// Whatever version it is in, in JSON it is in 2.0.
    fn version(&mut self, root: &Element, document: &mut Value) {
        let Some(version) = document.get_mut("schemaVersion") else {
            return;
        };
        if matches!(
            version.as_str(),
            Some("1" | "1.0" | "1.1" | "1.2" | "2" | "2.0")
        ) {
            *version = "2.0".into();
        } else {
            let message = format!("schemaVersion {version} is not 1.0, 1.1, 1.2 or 2.0");
            self.issue(Rule::Value, root, "schemaVersion", message);
        }
    }

    /// The sender, the receiver and the identifier of a `StandardBusinessDocumentHeader`. All of
    /// it is in `epcisHeader`, too; of several senders or receivers JSON could name one only, and
    /// names none.
    fn business_header(&mut self, tree: &Tree, header: &Element, members: &mut Members) {
        let is = |element: &Element, local: &str| {
            let Space::Other(place) = element.name.space else {
                return false;
            };
            *element.name.local == *local && *tree.namespaces[place].uri == *SBDH
        };
        let mut only = |path: [&str; 3], member: &str| {
            let mut found = vec![header];
            for local in path {
                let within = found.into_iter().flat_map(|element| &element.children);
                found = within.filter(|child| is(child, local)).collect();
            }
            if let [element] = found[..] {
                members.once(member, element.text.trim().into());
            }
        };
        let root = "StandardBusinessDocumentHeader";
        only([root, "Sender", "Identifier"], "sender");
        only([root, "Receiver", "Identifier"], "receiver");
        only(
            [root, "DocumentIdentification", "InstanceIdentifier"],
            "instanceIdentifier",
        );
    }

    pub(super) fn events(&mut self, list: &Element) -> Value {
        self.bare(list);
        let mut events = Vec::new();
        for (index, element) in list.events().into_iter().enumerate() {
            self.event = Some(index);
            events.push(self.event(element));
        }
        self.event = None;
        events.into()
    }

    /// That a list of events, and the wrappers in it, have nothing but events.
    fn bare(&mut self, list: &Element) {
        self.no_attributes(list);
        self.no_text(list);
        for child in list.children.iter().filter(|child| child.is_wrapper()) {
            self.bare(child);
        }
    }

    fn event(&mut self, element: &Element) -> Value {
        let name = &*element.name.local;
        let kind = match element.name.space {
            Space::Standard if TYPES.contains(&name) => name.to_owned(),
            Space::Standard if name == "QuantityEvent" => return self.quantity_event(element),
            Space::Other(place) => match self.prefixes.key(place, name) {
                Ok(kind) => kind,
                Err(message) => {
                    self.issue(Rule::Context, element, name, message);
                    return Value::Null;
                }
            },
            _ => {
                self.unknown(element, "event", name);
                return Value::Null;
            }
        };
        let mut members = Members::default();
        members.once("type", kind.into());
        self.no_text(element);
        self.parts(element, &shape::EVENT, &mut members);
        members.into_value()
    }

    /// A `QuantityEvent` of EPCIS 1.x is an `ObjectEvent` without EPCs, with one quantity and no
    /// unit of measure (EPCIS 1.2, section 7.4.4). It says that something happened to things that
    /// were there before and after: `OBSERVE`.
    fn quantity_event(&mut self, element: &Element) -> Value {
        let mut members = Members::default();
        members.once("type", "ObjectEvent".into());
        members.once("action", "OBSERVE".into());
        self.no_text(element);
        self.parts(element, &shape::QUANTITY_EVENT, &mut members);
        let Value::Object(mut event) = members.into_value() else {
            return Value::Null;
        };
        let mut quantity = Map::new();
        for part in ["epcClass", "quantity"] {
            match event.shift_remove(part) {
                Some(value) => {
                    quantity.insert(part.to_owned(), value);
                }
                None => {
                    let message = format!("{part} is missing");
                    self.issue(Rule::Required, element, part, message);
                }
            }
        }
        event.insert("quantityList".to_owned(), json!([quantity]));
        event.into()
    }
}
