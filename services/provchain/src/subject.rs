//! Whom events are about: which of their fields and parties are personal, and the subjects that
//! follow from it.
//!
//! A subject is a value of a personal field, or a personal party. It is known by a pseudonym, a hash
//! keyed with the ledger's secret, so that no name stands where keys and entries are told apart. The
//! key of an entry is wrapped under the keys of its subjects: destroying any of them erases it.

mod key_id;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Value, json};

pub use self::key_id::{KeyId, NoKeyId};
use crate::epcis::Event;
use crate::epcis::identifier::Identifier;
use crate::epcis::links::LinkSet;
use crate::ledger::Digest;
use crate::ledger::identity::{LedgerSecret, Subject};
use crate::rdf::context::Context;
use crate::rdf::pointer::At;

/// What stands for a subject.
pub type Pseudonym = Digest;

/// Most fields that are personal.
pub const FIELDS_MAX: usize = 256;
/// Most parties that are.
pub const PARTIES_MAX: usize = 10_000;
/// Longest name of a field, in bytes.
const NAME_BYTES_MAX: usize = 512;

/// What is personal, from the moment on that it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Personal {
    /// Grows with every change: a capture tells which one it followed.
    pub version: u64,
    /// Fields by their full names.
    pub fields: BTreeSet<String>,
    /// Parties by their pseudonyms.
    pub parties: BTreeSet<Pseudonym>,
}

/// The full name of a field, as an administrator may write it: the name of the standard, or an IRI,
/// which may have a prefix of GS1's context.
///
/// # Errors
/// A sentence that says what a name looks like.
pub fn field_name(written: &str) -> Result<String, String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&written.len());
    let plain = written.chars().all(|c| c.is_ascii_alphanumeric());
    if !fits || written.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!(
            "{written:?} is no name of a field: 1 to {NAME_BYTES_MAX} bytes without spaces"
        ));
    }
    if plain {
        return Ok(written.to_owned());
    }
    let url = json!("https://ref.gs1.org/standards/epcis/epcis-context.jsonld");
    let known = Context::compile(&url, &At::ROOT).map_err(|error| error.to_string())?;
    known.iri(written).map(Cow::into_owned).ok_or_else(|| {
        format!("{written:?} is neither a field of the standard nor the full name of another")
    })
}

/// What a party or another identifier compares by, however it is written.
#[must_use]
pub fn comparable(text: &str) -> String {
    Identifier::parse(text).map_or_else(
        |_| text.to_owned(),
        |identifier| identifier.key.as_str().to_owned(),
    )
}

impl Personal {
    /// The subjects of an event.
    #[must_use]
    pub fn subjects_of(&self, event: &Event, secret: &LedgerSecret) -> BTreeSet<Pseudonym> {
        let mut subjects = BTreeSet::new();
        if !self.fields.is_empty() {
            self.search(event, secret, &event.value, &mut subjects);
        }
        if !self.parties.is_empty() {
            let links = LinkSet::of(event).links;
            let parties = links
                .iter()
                .map(|link| secret.pseudonym(&Subject::Party(link.key.as_str())));
            subjects.extend(parties.filter(|party| self.parties.contains(party)));
        }
        subjects
    }

    /// Looks for personal fields in `value`, at any depth.
    fn search(
        &self,
        event: &Event,
        secret: &LedgerSecret,
        value: &Value,
        subjects: &mut BTreeSet<Pseudonym>,
    ) {
        match value {
            Value::Object(members) => {
                for (member, value) in members.iter().filter(|(key, _)| *key != "@context") {
                    let name = event.member_name(member);
                    if self.fields.contains(&*name) {
                        let mut scalar = |text: &str| {
                            let value = &comparable(text);
                            let field = Subject::Field { name: &name, value };
                            subjects.insert(secret.pseudonym(&field));
                        };
                        each_scalar(value, &mut scalar);
                    }
                    self.search(event, secret, value, subjects);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.search(event, secret, item, subjects);
                }
            }
            _ => {}
        }
    }
}

/// Every text, number and truth value in a field, whatever it is made of.
fn each_scalar(value: &Value, take: &mut impl FnMut(&str)) {
    match value {
        Value::Null => {}
        Value::String(text) => take(text),
        Value::Bool(_) | Value::Number(_) => take(&value.to_string()),
        Value::Array(items) => items.iter().for_each(|item| each_scalar(item, take)),
        Value::Object(members) => {
            let members = members.iter().filter(|(key, _)| *key != "@context");
            members.for_each(|(_, value)| each_scalar(value, take));
        }
    }
}

#[cfg(test)]
mod tests;
