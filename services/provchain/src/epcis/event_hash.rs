//! Event hash ids: names of events that are made of what the events say.
//!
//! An event becomes a *pre-hash string*, and its SHA-256 an `ni` URI (RFC 6920):
//! `ni:///sha-256;…?ver=CBV2.0`. Source: GS1 Core Business Vocabulary 2.0, section 8.9.2. Two
//! systems that write the same event differently (URN or Digital Link, bare word or URI, `1` or
//! `1.0`, this order or that) come to the same id. The README of this module says where the
//! standard leaves room, and how it is used here.

mod extension;
mod order;
mod value;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::document::Event;
use crate::rdf::context::Context;
use order::{Form, Order};

/// Most bytes of names and values in a pre-hash string. Prefixes are written out in it, so that a
/// short event can have a long one; what an event may have in statements is as much.
const PRE_HASH_BYTES_MAX: usize = 16 << 20;

const PREFIX: &str = "ni:///sha-256;";
const SUFFIX: &str = "?ver=CBV2.0";

/// The readings of the rules that ids with the label `CBV2.0` were made by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edition {
    /// The text of CBV 2.0: the fields in the order of its table; extensions within the standard's
    /// fields behind the ILMD, each below the names of the fields that it is in.
    #[default]
    Cbv20,
    /// What the reference implementation (`epcis-event-hash-generator`) makes since 2026: the same,
    /// with the GS1 Web Vocabulary at its later address `https://ref.gs1.org/voc/`.
    Reference2026,
    /// What it made from 2023 to 2025, up to its release 1.9: sensor elements before business
    /// transactions, destinations before sources, the word `sensorElementList`,
    /// `certificationInfo`, and extensions where they stand.
    Reference2025,
}

impl Edition {
    /// All of them, the standard's own first.
    pub const ALL: [Self; 3] = [Self::Cbv20, Self::Reference2026, Self::Reference2025];

    /// Whether extensions within the standard's fields stay there.
    fn keeps_extensions_in_place(self) -> bool {
        self == Self::Reference2025
    }
}

/// Why an event has no hash id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventHashError {
    /// The value is not a JSON object.
    #[error("an event is an object")]
    NotAnObject,
    /// It would be too long.
    #[error(
        "its pre-hash string, prefixes written out, has more than {0} bytes; declare shorter \
         namespaces, or split the event"
    )]
    TooLong(usize),
}

/// The pre-hash string of an event: its names and values in the standard's order, with nothing
/// between them.
///
/// ```
/// use provchain::epcis::{Limits, capture, event_hash};
///
/// let body = br#"{
///   "@context": "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
///   "type": "ObjectEvent", "action": "OBSERVE", "bizStep": "shipping",
///   "eventTime": "2026-04-03T20:33:31+02:00", "eventTimeZoneOffset": "+02:00",
///   "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"]
/// }"#;
/// let document = capture::parse(body, &Limits::default()).unwrap();
/// assert_eq!(
///     event_hash::pre_hash(&document.events[0]).unwrap(),
///     "eventType=ObjectEventeventTime=2026-04-03T18:33:31.000ZeventTimeZoneOffset=+02:00\
///      epcListepc=https://id.gs1.org/01/10614141073464/21/2017action=OBSERVE\
///      bizStep=https://ref.gs1.org/cbv/BizStep-shipping"
/// );
/// ```
///
/// # Errors
/// [`EventHashError`].
pub fn pre_hash(event: &Event) -> Result<String, EventHashError> {
    pre_hash_of(event, Edition::default())
}

/// The hash id of an event: `ni:///sha-256;`, 64 hexadecimal digits and `?ver=CBV2.0`.
///
/// # Errors
/// As [`pre_hash`].
pub fn event_hash(event: &Event) -> Result<String, EventHashError> {
    event_hash_of(event, Edition::default())
}

/// As [`pre_hash`], by the rules of `edition`.
///
/// # Errors
/// As [`pre_hash`].
pub fn pre_hash_of(event: &Event, edition: Edition) -> Result<String, EventHashError> {
    let Value::Object(members) = &event.value else {
        return Err(EventHashError::NotAnObject);
    };
    let mut writer = Writer {
        context: &event.context,
        edition,
        bytes_left: PRE_HASH_BYTES_MAX,
    };
    let fields = order::of_event(edition);
    let kind = event.iri(event.kind.name());
    let mut text = format!("eventType={kind}");
    text.push_str(&writer.fields(members, fields)?);
    if !edition.keeps_extensions_in_place() {
        text.push_str(&writer.extensions_within(members, fields)?);
    }
    text.push_str(&writer.extensions(members, |name| {
        order::is_ignored(name) || order::has(fields, name)
    })?);
    Ok(text)
}

/// As [`event_hash`], by the rules of `edition`.
///
/// # Errors
/// As [`pre_hash`].
pub fn event_hash_of(event: &Event, edition: Edition) -> Result<String, EventHashError> {
    let digest = Sha256::digest(pre_hash_of(event, edition)?);
    Ok(format!("{PREFIX}{}{SUFFIX}", hex::encode(digest)))
}

/// Whether `id` is an event hash id, right or wrong.
#[must_use]
pub fn is_event_hash(id: &str) -> bool {
    id.starts_with(PREFIX) && id.ends_with(SUFFIX)
}

/// Whether `id` is the hash id of `event` by one of the editions: the label does not tell them
/// apart.
///
/// # Errors
/// As [`pre_hash`].
pub fn is_right(event: &Event, id: &str) -> Result<bool, EventHashError> {
    for edition in Edition::ALL {
        if event_hash_of(event, edition)?.eq_ignore_ascii_case(id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the parts of one pre-hash string.
struct Writer<'a> {
    context: &'a Context,
    edition: Edition,
    /// Of names and values. They are copied once for each object around them, whose depth the
    /// limits of a capture bound.
    bytes_left: usize,
}

type Outcome = Result<String, EventHashError>;

impl Writer<'_> {
    /// The fields that `order` names, in its order; empty if there are none.
    fn fields(&mut self, members: &Map<String, Value>, order: Order) -> Outcome {
        let mut text = String::new();
        for (name, form) in order {
            if let Some(value) = members.get(*name) {
                text.push_str(&self.field(name, form, value)?);
            }
        }
        Ok(text)
    }

    fn field(&mut self, name: &str, form: &Form, value: &Value) -> Outcome {
        match form {
            Form::Value(kind) => sorted(value, |item| {
                let value = self.at_its_address(value::standard(item, *kind, self.context));
                if value.is_empty() {
                    return Ok(value);
                }
                self.spend(name.len() + value.len())?;
                Ok(format!("{name}={value}"))
            }),
            Form::Objects(fields) => sorted(value, |item| {
                let Value::Object(members) = item else {
                    return Ok(String::new());
                };
                let mut inner = self.fields(members, fields)?;
                if self.edition.keeps_extensions_in_place() {
                    inner.push_str(&self.extensions(members, |name| order::has(fields, name))?);
                }
                self.under(name, inner)
            }),
            Form::List(item, form) => {
                let items = self.field(item, form, value)?;
                self.under(self.title(name), items)
            }
            Form::Open => {
                let Value::Object(members) = value else {
                    return Ok(String::new());
                };
                let inner = self.extensions(members, |_| false)?;
                self.under(name, inner)
            }
        }
    }

    /// The extensions within the standard's fields, below the names of these.
    fn extensions_within(&mut self, members: &Map<String, Value>, order: Order) -> Outcome {
        let mut text = String::new();
        for (name, form) in order {
            if let Some(value) = members.get(*name) {
                text.push_str(&self.extensions_of_field(name, form, value)?);
            }
        }
        Ok(text)
    }

    fn extensions_of_field(&mut self, name: &str, form: &Form, value: &Value) -> Outcome {
        match form {
            Form::Value(_) | Form::Open => Ok(String::new()),
            Form::Objects(fields) => sorted(value, |item| {
                let Value::Object(members) = item else {
                    return Ok(String::new());
                };
                let mut inner = self.extensions_within(members, fields)?;
                inner.push_str(&self.extensions(members, |name| order::has(fields, name))?);
                self.under(name, inner)
            }),
            Form::List(item, form) => {
                let items = self.extensions_of_field(item, form, value)?;
                self.under(self.title(name), items)
            }
        }
    }

    /// The name of a list, where this edition writes it.
    fn title<'n>(&self, list: &'n str) -> &'n str {
        match (self.edition, list) {
            (Edition::Reference2025, _) => list,
            (_, "sensorElementList") => "",
            _ => list,
        }
    }

    /// A URI or namespace of the GS1 Web Vocabulary at the address that this edition has for it.
    fn at_its_address(&self, uri: String) -> String {
        match uri.strip_prefix("https://gs1.org/voc/") {
            Some(word) if self.edition == Edition::Reference2026 => {
                ["https://ref.gs1.org/voc/", word].concat()
            }
            _ => uri,
        }
    }

    /// `inner` behind `name`; nothing if there is nothing in it.
    fn under(&mut self, name: &str, inner: String) -> Outcome {
        if inner.is_empty() {
            return Ok(inner);
        }
        self.spend(name.len())?;
        Ok(format!("{name}{inner}"))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), EventHashError> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => Err(EventHashError::TooLong(PRE_HASH_BYTES_MAX)),
        }
    }
}

/// What `write` makes of a value, or of each element of an array, in the order of the results.
fn sorted(value: &Value, mut write: impl FnMut(&Value) -> Outcome) -> Outcome {
    let Value::Array(items) = value else {
        return write(value);
    };
    let mut texts = items
        .iter()
        .map(&mut write)
        .collect::<Result<Vec<_>, _>>()?;
    texts.sort_unstable();
    Ok(texts.concat())
}
