//! From bytes to elements: bounded, and no more of XML than EPCIS needs.
//!
//! `quick-xml` takes the text apart into tags and character data. What a name may be, what it stands
//! for, which characters may occur, and how much of everything, is seen to here. There are no
//! document types, and so no entities but the five of XML itself: whoever wants to blow up a
//! document, or to have files read into it, needs one.
//!
//! Sources: Extensible Markup Language (XML) 1.0 (Fifth Edition), Namespaces in XML 1.0 (Third
//! Edition).

mod scopes;

use std::collections::HashMap;
use std::rc::Rc;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::characters::is_character;
use super::tree::{Attribute, Element, Namespace, Tree};
use crate::epcis::issue::{Issue, Rule};
use crate::epcis::json;
use crate::epcis::limits::Limits;
use crate::rdf::pointer::At;

/// What to do about an entity that is not known.
const ENTITIES: &str = "write &lt; &gt; &amp; &quot; &apos; or &#number;";

/// Reads a document.
pub fn parse(body: &[u8], limits: &Limits) -> Result<Tree, Issue> {
    json::check_size(body, limits)?;
    let text = decode(body)?;
    let mut parser = Parser {
        text,
        limits,
        line: 1,
        counted: 0,
        items_left: limits.values_max,
        open: Vec::new(),
        namespaces: Vec::new(),
        known: HashMap::new(),
        root_namespace: None,
    };
    if let Some((place, character)) = text.char_indices().find(|(_, one)| !is_character(*one)) {
        parser.count_lines(place);
        let message = format!("the character {character:?} must not occur in XML");
        return Err(parser.refuse(Rule::Xml, "", message));
    }
    parser.document()
}

/// The text of a body in UTF-8.
fn decode(body: &[u8]) -> Result<&str, Issue> {
    let not_utf8 = |what: String| {
        let message = format!(
            "{what}: only UTF-8 is taken; convert the document, and declare encoding=\"UTF-8\" or none"
        );
        Err(Issue::new(Rule::Xml, &At::ROOT, message))
    };
    if body.starts_with(&[0xFE, 0xFF]) || body.starts_with(&[0xFF, 0xFE]) {
        return not_utf8("the document is in UTF-16".to_owned());
    }
    match std::str::from_utf8(body) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => not_utf8(format!("byte {} is not UTF-8", error.valid_up_to())),
    }
}

struct Parser<'a> {
    text: &'a str,
    limits: &'a Limits,
    /// The line at `counted`, a place in `text`.
    line: u32,
    counted: usize,
    /// Elements and attributes that may still come.
    items_left: usize,
    /// The elements around the place that is read, outermost first.
    open: Vec<Element>,
    namespaces: Vec<Namespace>,
    /// The places of URIs in `namespaces`.
    known: HashMap<Rc<str>, usize>,
    root_namespace: Option<Rc<str>>,
}

type Outcome<T> = Result<T, Issue>;

impl Parser<'_> {
    fn document(mut self) -> Outcome<Tree> {
        let mut reader = Reader::from_str(self.text);
        reader.config_mut().check_comments = true;
        let mut root = None;
        loop {
            self.count_lines(position(reader.buffer_position()));
            let event = reader.read_event().map_err(|error| {
                self.count_lines(position(reader.error_position()));
                self.ill_formed(&error.to_string())
            })?;
            let closed = match event {
                Event::Decl(declaration) => {
                    self.declaration(&declaration)?;
                    None
                }
                Event::DocType(_) => {
                    let message = "a document type declaration (DOCTYPE) is not taken, nor the \
                                   entities that it could declare: leave it out";
                    return Err(self.refuse(Rule::Xml, "", message));
                }
                Event::Comment(_) | Event::PI(_) => None,
                Event::Start(tag) => {
                    let element = self.element(&tag, root.is_some())?;
                    self.open.push(element);
                    None
                }
                Event::Empty(tag) => Some(self.element(&tag, root.is_some())?),
                Event::End(_) => self.open.pop(),
                Event::Text(text) => {
                    let text = text
                        .xml10_content()
                        .map_err(|error| self.ill_formed(&error.to_string()))?;
                    self.characters(&text)?;
                    None
                }
                Event::CData(text) => {
                    let text = text
                        .xml10_content()
                        .map_err(|error| self.ill_formed(&error.to_string()))?;
                    self.characters(&text)?;
                    None
                }
                Event::GeneralRef(reference) => {
                    self.reference(&reference)?;
                    None
                }
                Event::Eof => break,
            };
            if let Some(element) = closed {
                match self.open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => root = Some(element),
                }
            }
        }
        if let Some(element) = self.open.last() {
            let message = format!("the element {} does not end", element.name.local);
            return Err(self.ill_formed(&message));
        }
        let Some((root, root_namespace)) = root.zip(self.root_namespace.take()) else {
            return Err(self.ill_formed("there is no element"));
        };
        Ok(Tree {
            root,
            root_namespace,
            namespaces: self.namespaces,
        })
    }

    /// `<?xml …?>`.
    fn declaration(&self, declaration: &BytesDecl<'_>) -> Outcome<()> {
        let version = declaration
            .version()
            .map_err(|error| self.ill_formed(&error.to_string()))?;
        if *version != *b"1.0" {
            return Err(self.refuse(Rule::Xml, "", "only XML 1.0 is taken"));
        }
        let Some(encoding) = declaration.encoding() else {
            return Ok(());
        };
        let encoding = encoding.map_err(|error| self.ill_formed(&error.to_string()))?;
        if encoding.eq_ignore_ascii_case(b"UTF-8") {
            return Ok(());
        }
        let message = format!(
            "the document says that it is in {}: only UTF-8 is taken; convert it, and declare \
             encoding=\"UTF-8\" or none",
            String::from_utf8_lossy(&encoding)
        );
        Err(self.refuse(Rule::Xml, "", message))
    }

    /// Takes in a tag: its attributes, the namespaces that it declares, what its names stand for.
    fn element(&mut self, tag: &BytesStart<'_>, is_second: bool) -> Outcome<Element> {
        if self.open.is_empty() && is_second {
            return Err(self.ill_formed("a second element follows the document's"));
        }
        if self.open.len() >= self.limits.depth_max {
            let message = format!("nested more than {} levels deep", self.limits.depth_max);
            return Err(self.refuse(Rule::Limit, "", message));
        }
        self.spend()?;
        let name = self.utf8(tag.name().0)?.to_owned();
        let mut plain = Vec::new();
        let mut bindings = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.ill_formed(&error.to_string()))?;
            self.spend()?;
            if plain.len() + bindings.len() >= self.limits.attributes_max {
                let message = format!("more than {} attributes", self.limits.attributes_max);
                return Err(self.refuse(Rule::Limit, &name, message));
            }
            let key = self.utf8(attribute.key.0)?;
            if attribute.value.contains(&b'<') {
                return Err(self.ill_formed(&format!("there is a < in the attribute {key}")));
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| {
                    let message = format!("the attribute {key}: {error}; {ENTITIES}");
                    self.refuse(Rule::Xml, key, message)
                })?;
            self.check_text(&value, key)?;
            match key.strip_prefix("xmlns") {
                Some("") => bindings.push(self.binding("", &value)?),
                Some(prefix) if prefix.starts_with(':') => {
                    bindings.push(self.binding(&prefix[1..], &value)?);
                }
                _ => plain.push((key.to_owned(), value.into_owned())),
            }
        }
        let scope = self.scope(bindings, &name)?;
        let element_name = self.name(&name, &scope, true)?;
        let mut attributes = Vec::<Attribute>::with_capacity(plain.len());
        for (key, value) in plain {
            let name = self.name(&key, &scope, false)?;
            if attributes.iter().any(|attribute| attribute.name == name) {
                return Err(self.ill_formed(&format!("the attribute {key} is there twice")));
            }
            attributes.push(Attribute { name, value });
        }
        Ok(Element {
            name: element_name,
            attributes,
            children: Vec::new(),
            text: String::new(),
            line: self.line,
            scope,
        })
    }

    /// `&name;` or `&#number;` in character data.
    fn reference(&mut self, reference: &BytesRef<'_>) -> Outcome<()> {
        let character = reference
            .resolve_char_ref()
            .map_err(|error| self.ill_formed(&error.to_string()))?;
        if let Some(character) = character {
            return self.characters(character.encode_utf8(&mut [0; 4]));
        }
        let name = self.utf8(reference)?;
        match resolve_xml_entity(name) {
            Some(text) => self.characters(text),
            None => {
                let message = format!("the entity &{name}; is not known; {ENTITIES}");
                Err(self.refuse(Rule::Xml, "", message))
            }
        }
    }

    /// Character data where the reader stands. White space at the beginning is not kept: there may
    /// be much of it between elements.
    fn characters(&mut self, text: &str) -> Outcome<()> {
        let is_blank = text.trim_ascii().is_empty();
        let Some(element) = self.open.last_mut() else {
            return if is_blank {
                Ok(())
            } else {
                Err(self.ill_formed("there is text outside of the document's element"))
            };
        };
        if is_blank && element.text.is_empty() {
            return Ok(());
        }
        if element.text.len() + text.len() > self.limits.string_bytes_max {
            let name = element.name.local.clone();
            return Err(self.too_long(&name));
        }
        element.text.push_str(text);
        // Of references only: all other text was looked at before.
        self.check_text(text, "")
    }

    fn check_text(&self, text: &str, name: &str) -> Outcome<()> {
        if text.len() > self.limits.string_bytes_max {
            return Err(self.too_long(name));
        }
        match text.chars().find(|character| !is_character(*character)) {
            Some(character) => {
                let message = format!("the character {character:?} must not occur in XML");
                Err(self.refuse(Rule::Xml, name, message))
            }
            None => Ok(()),
        }
    }

    fn utf8<'t>(&self, bytes: &'t [u8]) -> Outcome<&'t str> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| self.ill_formed(&error.to_string()))?;
        if text.len() > self.limits.string_bytes_max {
            return Err(self.too_long(""));
        }
        Ok(text)
    }

    /// Counts an element or an attribute.
    fn spend(&mut self) -> Outcome<()> {
        match self.items_left.checked_sub(1) {
            Some(left) => {
                self.items_left = left;
                Ok(())
            }
            None => {
                let message = format!(
                    "more than {} elements and attributes",
                    self.limits.values_max
                );
                Err(self.refuse(Rule::Limit, "", message))
            }
        }
    }

    fn count_lines(&mut self, place: usize) {
        let passed = self
            .text
            .as_bytes()
            .get(self.counted..place)
            .unwrap_or_default();
        let lines = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line = self
            .line
            .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.counted = place.max(self.counted);
    }

    fn too_long(&self, name: &str) -> Issue {
        let message = format!(
            "a text or name of more than {} bytes",
            self.limits.string_bytes_max
        );
        self.refuse(Rule::Limit, name, message)
    }

    fn ill_formed(&self, what: &str) -> Issue {
        self.refuse(Rule::Xml, "", format!("not well-formed XML: {what}"))
    }

    fn refuse(&self, rule: Rule, name: &str, message: impl Into<String>) -> Issue {
        Issue::in_xml(rule, self.line, name, message)
    }
}

/// A place in a text that is in memory.
fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
