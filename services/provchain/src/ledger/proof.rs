//! Proof files: entries that verify offline, by themselves.
//!
//! A proof file is JSON: entries of a ledger, each with its inclusion path, under one checkpoint.
//! Of each entry it discloses the whole document, or some statements, or only that the entry
//! exists. [`ProofFile::verify`] needs nothing but the file, the keys that the reader trusts and
//! the canonicalisation. `FORMATS.md` describes every field.

mod disclose;
mod verify;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use disclose::Disclose;
pub use verify::{Fault, Place, Report, Trust, Verdict};

use super::{Digest, Error};

/// The value of [`ProofFile::format`].
pub const FORMAT: &str = "provchain-proof";

/// The version that is written and read.
pub const VERSION: u32 = 1;

/// A proof file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// Always [`FORMAT`].
    pub format: String,
    /// The version of the file: [`VERSION`].
    pub version: u32,
    /// The checkpoint that everything is proven against: a signed note, with its signatures.
    pub checkpoint: String,
    /// An earlier checkpoint, and that the ledger only grew from it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub consistency: Option<Consistency>,
    /// The entries, in ascending order of their index.
    pub entries: Vec<ProvenEntry>,
}

/// That the checkpoint of the file continues an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// The earlier checkpoint: a signed note.
    pub checkpoint: String,
    /// The RFC 6962 consistency proof from it, base64 each.
    pub path: Vec<Digest>,
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvenEntry {
    /// Its index in the ledger, from 0.
    pub index: u64,
    /// The encoded leaf, in base64.
    #[serde(with = "base64_bytes")]
    #[schemars(with = "String")]
    pub leaf: Vec<u8>,
    /// The RFC 6962 inclusion path from the leaf to the checkpoint's root, base64 each.
    pub inclusion: Vec<Digest>,
    /// What is disclosed of its content.
    pub disclosed: Disclosed,
}

/// What is disclosed of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Disclosed {
    /// Everything: with the entry's key, anyone can do what the ledger did.
    Whole {
        /// The entry's key, in base64.
        #[serde(with = "base64_bytes")]
        #[schemars(with = "String")]
        key: Vec<u8>,
        /// Who submitted the document.
        submitter: String,
        /// The document, byte for byte, as text.
        document: String,
        /// The commitments to all statements, so that a changed one can be named; base64 each.
        commitments: Vec<Digest>,
    },
    /// Some statements, and the submitter or not.
    Parts {
        /// Who submitted the document.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        submitter: Option<DisclosedSubmitter>,
        /// The statements, each verifiable by itself.
        statements: Vec<Statement>,
    },
    /// Nothing but the entry's existence and its time: all that is left of an erased entry.
    Nothing {},
}

/// A disclosed submitter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisclosedSubmitter {
    /// Who submitted the document.
    pub name: String,
    /// The salt of the commitment in the leaf, in base64.
    pub salt: Digest,
}

/// A disclosed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Its position among the entry's statements.
    pub index: u32,
    /// The canonical N-Quad, without the line's end.
    pub statement: String,
    /// The salt of its commitment, in base64.
    pub salt: Digest,
    /// Its path to the leaf's statement root, base64 each.
    pub path: Vec<Digest>,
}

impl ProofFile {
    /// Entries under a checkpoint, a signed note.
    #[must_use]
    pub fn new(checkpoint: String, entries: Vec<ProvenEntry>) -> Self {
        let format = FORMAT.to_owned();
        Self {
            format,
            version: VERSION,
            checkpoint,
            consistency: None,
            entries,
        }
    }

    /// Reads a proof file. Nothing is verified.
    ///
    /// # Errors
    /// [`Error::Version`] for a newer file, [`Error::Malformed`] for what is not a proof file.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Header {
            format: String,
            version: u32,
        }
        let malformed =
            |error: serde_json::Error| Error::malformed("proof file", error.to_string());
        // The version first: a newer file may well have fields that are unknown here.
        let header: Header = serde_json::from_slice(json).map_err(malformed)?;
        if header.format != FORMAT {
            return Err(Error::malformed(
                "proof file",
                "the format is not provchain-proof",
            ));
        }
        if header.version != VERSION {
            return Err(Error::Version {
                what: "proof file",
                found: header.version.into(),
                supported: VERSION.into(),
            });
        }
        serde_json::from_slice(json).map_err(malformed)
    }

    /// The file: JSON with line breaks, for people to read.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("text, numbers and lists only");
        json.push('\n');
        json
    }
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD
            .decode(String::deserialize(from)?)
            .map_err(de::Error::custom)
    }
}
