//! The names of subject keys.

use std::fmt;
use std::str::FromStr;

use super::Pseudonym;
use crate::ledger::Digest;

/// The name of one key of a subject, as it stands in what is wrapped under it:
/// `<pseudonym>.<generation>.<id>`. Two nodes may each make a key for one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId {
    /// Whose it is.
    pub subject: Pseudonym,
    /// How often the subject had been erased when it was made.
    pub generation: u64,
    /// Random.
    pub id: [u8; 16],
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subject, id) = (hex::encode(self.subject.0), hex::encode(self.id));
        write!(f, "{subject}.{}.{id}", self.generation)
    }
}

/// What is no name of a subject key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no name of a subject key")]
pub struct NoKeyId;

impl FromStr for KeyId {
    type Err = NoKeyId;

    /// Reads what is written in one way only.
    fn from_str(text: &str) -> Result<Self, NoKeyId> {
        let mut parts = text.split('.');
        let (Some(subject), Some(generation), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoKeyId);
        };
        let mut key = Self {
            subject: Digest([0; 32]),
            generation: generation.parse().map_err(|_| NoKeyId)?,
            id: [0; 16],
        };
        hex::decode_to_slice(subject, &mut key.subject.0).map_err(|_| NoKeyId)?;
        hex::decode_to_slice(id, &mut key.id).map_err(|_| NoKeyId)?;
        // The database's numbers are signed.
        let fits = i64::try_from(key.generation).is_ok();
        if fits && key.to_string() == text {
            return Ok(key);
        }
        Err(NoKeyId)
    }
}
