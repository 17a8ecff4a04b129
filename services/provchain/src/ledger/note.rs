//! Signed notes: text with signatures under it, after C2SP.
//!
//! Sources: [C2SP signed-note](https://c2sp.org/signed-note),
//! [C2SP tlog-cosignature](https://c2sp.org/tlog-cosignature).

mod key;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use key::{SignatureType, SignerKey, VerifierKey, check_name};

use super::Error;

const WHAT: &str = "note";
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// The longest note that is read, in bytes.
pub const NOTE_LEN_MAX: usize = 1 << 20;

/// The most signatures on a note that is read. The format asks for at least 16.
pub const SIGNATURES_MAX: usize = 64;

/// A text and the signatures under it, those by unknown keys included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The key id: with the name, it says which key and which algorithm.
    pub id: u32,
    /// What the algorithm makes of the text; at least one byte.
    pub bytes: Vec<u8>,
}

impl Note {
    /// A note without signatures yet.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless the text ends in a newline and has no other control character.
    pub fn new(text: String) -> Result<Self, Error> {
        check_text(&text)?;
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Reads a note: exactly the form that [`Display`](fmt::Display) writes. Nothing is verified.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(note: &str) -> Result<Self, Error> {
        if note.len() > NOTE_LEN_MAX {
            return Err(Error::malformed(WHAT, "longer than 1 MiB"));
        }
        let (text, lines) = note
            .rsplit_once("\n\n")
            .ok_or_else(|| Error::malformed(WHAT, "no empty line before the signatures"))?;
        let text = format!("{text}\n");
        check_text(&text)?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or_else(|| Error::malformed(WHAT, "no newline at the end"))?;
        let signatures = lines
            .split('\n')
            .map(NoteSignature::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(Error::malformed(WHAT, "more than 64 signatures"));
        }
        Ok(Self { text, signatures })
    }

    /// The text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures in order, not verified.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, in place of an earlier one by the same key.
    pub fn add(&mut self, signature: NoteSignature) {
        self.signatures
            .retain(|old| (&old.name, old.id) != (&signature.name, signature.id));
        self.signatures.push(signature);
    }

    /// The keys of `known` that signed the note, each once, in their order.
    ///
    /// # Errors
    /// [`Error::Signature`] if a signature that claims to be by a known key does not verify;
    /// signatures by other keys are ignored. [`Error::NoKnownSignature`] if there is none.
    pub fn verify<'k>(&self, known: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, Error> {
        let mut signers = Vec::new();
        for key in known {
            let mut by_key = self
                .signatures
                .iter()
                .filter(|signature| key.claims(signature));
            let Some(signature) = by_key.next() else {
                continue;
            };
            key.verify(&self.text, signature)?;
            // One key, one signature: a second line would be one that nobody verified.
            if by_key.next().is_some() {
                return Err(Error::malformed(WHAT, "two signatures by one key"));
            }
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        if signers.is_empty() {
            Err(Error::NoKnownSignature)
        } else {
            Ok(signers)
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// The signature line, without its line end.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, id, bytes } = self;
        let blob = STANDARD.encode([&id.to_be_bytes(), bytes.as_slice()].concat());
        write!(f, "{SIGNATURE_PREFIX}{name} {blob}")
    }
}

impl NoteSignature {
    /// Reads a signature line, without its line end.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(line: &str) -> Result<Self, Error> {
        let malformed = |reason| Error::malformed("signature line", reason);
        let (name, blob) = line
            .strip_prefix(SIGNATURE_PREFIX)
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| malformed("not an em dash, a name and a signature"))?;
        key::check_name(name)?;
        let blob = STANDARD.decode(blob).map_err(|_| malformed("not base64"))?;
        match blob.split_first_chunk() {
            Some((id, bytes)) if !bytes.is_empty() => Ok(Self {
                name: name.to_owned(),
                id: u32::from_be_bytes(*id),
                bytes: bytes.to_vec(),
            }),
            _ => Err(malformed("too short")),
        }
    }
}

fn check_text(text: &str) -> Result<(), Error> {
    if !text.ends_with('\n') {
        return Err(Error::malformed(WHAT, "the text does not end in a newline"));
    }
    if text.chars().any(|c| c < ' ' && c != '\n') {
        return Err(Error::malformed(WHAT, "a control character"));
    }
    Ok(())
}
