//! EPCIS in XML, 1.0 to 2.0, as the JSON-LD of EPCIS 2.0 that says the same.
//!
//! Every rule of the standard is held in one place: a document in XML becomes a document in JSON,
//! and that is checked as if it had been sent. Here stands only what is written differently, and how.
//!
//! Sources: EPCIS 2.0, sections 9.1 (extension), 9.5 (XML schema) and 9.6 (examples); EPCIS 1.2,
//! sections 7.4.4 and 9.5; CBV 2.0, section 7; GS1's schemas and pairs of examples.
//!
//! # The standard's own elements
//!
//! | XML | JSON |
//! |---|---|
//! | `extension`, `baseExtension` | nothing: what is within belongs to what is around |
//! | `EventList`, and `epcList`, `sourceList` … with one element for each item | an array |
//! | `sensorReport`, `set`, `unset` | an array of what is repeated |
//! | attributes, as in a `sensorReport`; the text beside a `type`, as in a `bizTransaction` | members |
//! | `urn:epcglobal:cbv:bizstep:shipping`, `https://ref.gs1.org/cbv/BizStep-shipping`, `cbv:BizStep-shipping` | `shipping` |
//! | `<quantity xsi:nil="true"/>` | nothing |
//! | `QuantityEvent` (1.x) | an `ObjectEvent` that `OBSERVE`s one quantity |
//! | `schemaVersion` 1.0 to 2.0 | 2.0 |
//! | `EPCISMasterData` | `epcisHeader.epcisMasterData` |
//! | `StandardBusinessDocumentHeader` | in `epcisHeader`, like any element of someone else's; `sender`, `receiver` and `instanceIdentifier` besides, where there is one |
//! | the header of an `EPCISQueryDocument` | nothing: JSON has no place for it, and it is no part of an event |
//!
//! Names in one of EPCIS's namespaces, and in none, are the standard's: its schemas have only local
//! names within a document, and documents with a default namespace are found all the same.
//!
//! # Extensions
//!
//! An element or attribute of another namespace becomes a member with a prefix, and `@context`
//! declares the prefix: that of the document, or `ns1`, `ns2` … where JSON-LD cannot have it (the
//! default namespace, a URI scheme, a term of GS1's context, a prefix that stands for something else
//! elsewhere, or one that identifiers of the document begin with).
//! A namespace that does not end in a delimiter gets one, `:` in a URN and `/` otherwise, as in GS1's
//! pairs of examples.
//!
//! - A name without a namespace, within an extension, is in the namespace around it.
//! - Text is a text, whatever `xsi:type` says (so do GS1's pairs); an empty element is an empty text;
//!   white space at its ends is not kept.
//! - Elements within make an object; what is repeated makes an array.
//! - Attributes are members like elements. The text beside them is `rdf:value`, as RDF has it for a
//!   weight and its unit. GS1's examples leave such attributes out; here no fact is left out.
//!
//! What could not be kept is refused: text between elements, an element without a value
//! (`xsi:nil`), an attribute and an element of one name, two namespaces that JSON-LD could not tell
//! apart. What a validator is told (`xsi:type`, `xsi:schemaLocation`), comments and processing
//! instructions are no facts.

mod characters;
mod convert;
mod document;
mod members;
mod parse;
mod prefixes;
mod shape;
mod tree;

use serde_json::Value;

use super::capture::event_of;
use super::issue::Issue;
use super::json;
use super::limits::Limits;
use tree::Element;
pub(super) use tree::Tree;

/// The JSON-LD document that says what the XML document `body` says. Whether it is a valid capture
/// is another question: see [`capture::parse_xml`](super::capture::parse_xml).
///
/// ```
/// use provchain::epcis::{Limits, xml};
///
/// let body = br#"<q:EPCISQueryDocument xmlns:q="urn:epcglobal:epcis-query:xsd:1"
///     xmlns:farm="https://ns.example.com/farm" schemaVersion="1.2"
///     creationDate="2026-01-05T12:00:00Z">
///   <EPCISBody><q:QueryResults><queryName>all</queryName><resultsBody><EventList>
///     <ObjectEvent>
///       <bizStep>urn:epcglobal:cbv:bizstep:shipping</bizStep>
///       <extension><quantityList/></extension>
///       <farm:weight unit="KGM">3.5</farm:weight>
///     </ObjectEvent>
///   </EventList></resultsBody></q:QueryResults></EPCISBody>
/// </q:EPCISQueryDocument>"#;
/// let document = xml::to_json(body, &Limits::default()).unwrap();
/// assert_eq!(document["@context"][1]["farm"], "https://ns.example.com/farm/");
/// let event = &document["epcisBody"]["queryResults"]["resultsBody"]["eventList"][0];
/// assert_eq!(
///     *event,
///     serde_json::json!({
///         "type": "ObjectEvent",
///         "bizStep": "shipping",
///         "quantityList": [],
///         "farm:weight": {
///             "farm:unit": "KGM",
///             "http://www.w3.org/1999/02/22-rdf-syntax-ns#value": "3.5"
///         }
///     })
/// );
/// ```
///
/// # Errors
/// What is not well-formed, too much, not understood, or cannot be kept, up to `limits.issues_max`.
pub fn to_json(body: &[u8], limits: &Limits) -> Result<Value, Vec<Issue>> {
    let tree = Tree::read(body, limits).map_err(|issue| vec![issue])?;
    tree.to_json(limits)
}

impl Tree {
    /// The elements of a document.
    pub(super) fn read(body: &[u8], limits: &Limits) -> Result<Self, Issue> {
        parse::parse(body, limits)
    }

    /// The JSON-LD document that says the same.
    pub(super) fn to_json(&self, limits: &Limits) -> Result<Value, Vec<Issue>> {
        let value = document::convert(self, limits)?;
        match json::check_bounds(&value, limits) {
            Ok(()) => Ok(value),
            Err(mut issue) => {
                issue.event = event_of(&issue.pointer);
                Err(self.located(vec![issue]))
            }
        }
    }

    /// Issues of the JSON document, with the lines of what they are about.
    pub(super) fn located(&self, mut issues: Vec<Issue>) -> Vec<Issue> {
        let events = self.events();
        for issue in &mut issues {
            let event = issue.event.and_then(|index| events.get(index));
            let line = event.map_or(self.root.line, |event| line_of(event, &issue.pointer));
            issue.message = format!("line {line}: {}", issue.message);
        }
        issues
    }
}

/// The line of what a pointer leads to within an event, or of the nearest element around it.
fn line_of(event: &Element, pointer: &str) -> u32 {
    let mut here = event;
    let inside = pointer.split("/eventList/").nth(1).unwrap_or_default();
    let mut steps = inside.split('/').skip(1).peekable();
    while let Some(step) = steps.next() {
        // The part behind a prefix; the list's name, or that of each element that is repeated.
        let found = here.named(step.rsplit(':').next().unwrap_or(step));
        let Some(first) = found.first() else { break };
        here = first;
        if let Some(index) = steps.peek().and_then(|next| next.parse::<usize>().ok()) {
            steps.next();
            let is_list = found.len() == 1 && !first.children.is_empty();
            let item = if is_list {
                first.children.get(index)
            } else {
                found.get(index).copied()
            };
            here = item.unwrap_or(here);
        }
    }
    here.line
}
