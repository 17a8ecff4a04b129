//! What nodes say to one another about subject keys. They are no part of the log.

use super::store::KeysPage;
use crate::ledger::Digest;
use crate::ledger::key::SubjectKey;
use crate::subject::KeyId;

/// The channel between members.
pub const CHANNEL: &str = "subject keys";

/// Keys, or names of keys, in one message.
pub const PAGE: usize = 1_000;

/// A question.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Question {
    /// Which one.
    #[prost(oneof = "question::Kind", tags = "1, 2, 3, 4, 5")]
    pub kind: Option<question::Kind>,
}

/// The kinds of question.
pub mod question {
    /// One of the questions.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Kind {
        /// Keep these keys. Answered by the names of those that are on the disk.
        #[prost(message, tag = "1")]
        Keep(super::Keys),
        /// Give the keys of these names. Answered by those that are there.
        #[prost(message, tag = "2")]
        Give(super::Names),
        /// What tells your store apart from mine?
        #[prost(bool, tag = "3")]
        Sums(bool),
        /// Which keys are there in a part?
        #[prost(message, tag = "4")]
        List(super::List),
        /// Are the keys of a subject destroyed, and its entries forgotten?
        #[prost(message, tag = "5")]
        Destroyed(super::Destroyed),
    }
}

/// Keys.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Keys {
    /// Each with its name.
    #[prost(message, repeated, tag = "1")]
    pub keys: Vec<Key>,
}

/// A key.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Key {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
}

/// Names of keys.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Names {
    /// The names.
    #[prost(string, repeated, tag = "1")]
    pub names: Vec<String>,
}

/// Asks for the names in a part.
#[derive(Clone, PartialEq, prost::Message)]
pub struct List {
    /// The part: the first byte of the subjects.
    #[prost(uint32, tag = "1")]
    pub part: u32,
    /// The name to go on behind; empty for the first.
    #[prost(string, tag = "2")]
    pub after: String,
}

/// Asks whether a subject is erased.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Destroyed {
    /// Its pseudonym.
    #[prost(bytes = "vec", tag = "1")]
    pub subject: Vec<u8>,
    /// The generation below which.
    #[prost(uint64, tag = "2")]
    pub below: u64,
    /// The number of the erasure.
    #[prost(uint64, tag = "3")]
    pub erasure: u64,
}

/// An answer: what is asked for, the rest is empty.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Answer {
    /// Keys.
    #[prost(message, repeated, tag = "1")]
    pub keys: Vec<Key>,
    /// Names.
    #[prost(string, repeated, tag = "2")]
    pub names: Vec<String>,
    /// Sums.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub sums: Vec<Vec<u8>>,
    /// Whether the subject is erased.
    #[prost(bool, tag = "4")]
    pub destroyed: bool,
}

impl Key {
    /// A key as it is sent.
    pub fn of((id, key): &(KeyId, SubjectKey)) -> Self {
        Self {
            name: id.to_string(),
            key: key.expose().to_vec(),
        }
    }
}

/// Reads keys that somebody sent.
///
/// # Errors
/// A sentence, for too many and for what is no key.
pub fn read_keys(keys: &[Key]) -> Result<KeysPage, String> {
    if keys.len() > PAGE {
        return Err(format!("at most {PAGE} keys at a time"));
    }
    keys.iter()
        .map(|key| {
            let id = key
                .name
                .parse::<KeyId>()
                .map_err(|error| error.to_string())?;
            let key = SubjectKey::from_slice(&key.key).map_err(|error| error.to_string())?;
            Ok((id, key))
        })
        .collect()
}

/// Reads names that somebody sent.
///
/// # Errors
/// A sentence, for too many and for what is none.
pub fn read_names(names: &[String]) -> Result<Vec<KeyId>, String> {
    if names.len() > PAGE {
        return Err(format!("at most {PAGE} names at a time"));
    }
    let names = names.iter().map(|name| name.parse::<KeyId>());
    names
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// Reads a pseudonym that somebody sent.
///
/// # Errors
/// A sentence, for what is none.
pub fn read_subject(bytes: &[u8]) -> Result<Digest, String> {
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| "a pseudonym has 32 bytes")?;
    Ok(Digest(bytes))
}
