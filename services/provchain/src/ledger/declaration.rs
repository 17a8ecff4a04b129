//! A digest that a node puts its name under, beside the checkpoints: of an answer, or of a state.

use super::note::{Note, SignatureType, SignerKey, VerifierKey};
use super::{Digest, Error};

/// What is declared, as a text to sign: what it is of, the ledger, and the digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The first line of the note. No checkpoint has one such as `provchain/v1 answer`: its second
    /// line would be no number.
    head: &'static str,
    origin: String,
    digest: Digest,
}

/// Why a note does not make a declaration believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It is well-formed, and says something else.
    #[error("it declares something else")]
    Other,
    /// It is no note, or nobody who is trusted signed it.
    #[error(transparent)]
    Note(#[from] Error),
}

impl Declaration {
    /// A `digest` in the ledger `origin`; `head` says of what.
    #[must_use]
    pub fn new(head: &'static str, origin: &str, digest: Digest) -> Self {
        Self {
            head,
            origin: origin.to_owned(),
            digest,
        }
    }

    /// The ledger.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What is declared.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    fn text(&self) -> String {
        let digest = self.digest.to_base64();
        format!("{}\n{}\n{digest}\n", self.head, self.origin)
    }

    /// Signs it: a signed note (C2SP signed-note).
    ///
    /// # Errors
    /// An origin that is no line of text.
    pub fn sign(&self, key: &SignerKey) -> Result<String, Error> {
        let mut note = Note::new(self.text())?;
        note.add(key.sign(note.text(), 0));
        Ok(note.to_string())
    }

    /// Reads a note that says this, whoever signed it: anyone could have made it.
    ///
    /// # Errors
    /// [`Doubt`]; of the signatures only their form.
    pub fn read(&self, note: &str) -> Result<Note, Doubt> {
        let note = Note::parse(note)?;
        if note.text() != self.text() {
            return Err(Doubt::Other);
        }
        Ok(note)
    }

    /// Whether `note` says this, signed by one of the `keys` as the ledger.
    ///
    /// # Errors
    /// [`Doubt`].
    pub fn check(&self, note: &str, keys: &[VerifierKey]) -> Result<(), Doubt> {
        let note = self.read(note)?;
        let of_the_ledger = |key: &&VerifierKey| {
            key.signature_type() == SignatureType::Ed25519 && key.name() == self.origin
        };
        if note.verify(keys)?.iter().any(of_the_ledger) {
            Ok(())
        } else {
            Err(Error::NoKnownSignature.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::ledger::checkpoint::SignedCheckpoint;

    const ORIGIN: &str = "ledger.example/demo";

    fn declaration(byte: u8) -> Declaration {
        Declaration::new("provchain/v1 test", ORIGIN, Digest([byte; 32]))
    }

    fn key(origin: &str, seed: u8) -> SignerKey {
        let key = SigningKey::from_bytes(&[seed; 32]);
        SignerKey::new(origin, SignatureType::Ed25519, key).unwrap()
    }

    #[test]
    fn only_a_key_of_the_ledger_makes_it_believed() {
        let note = declaration(1).sign(&key(ORIGIN, 1)).unwrap();
        let keys = [key(ORIGIN, 1).verifier()];
        assert_eq!(declaration(1).check(&note, &keys), Ok(()));
        let unknown = Err(Error::NoKnownSignature.into());
        let others = [key(ORIGIN, 2).verifier()];
        assert_eq!(declaration(1).check(&note, &others), unknown);
        assert_eq!(declaration(1).check(&note, &[]), unknown);
        let elsewhere = declaration(1).sign(&key("elsewhere", 1)).unwrap();
        let keys = [key("elsewhere", 1).verifier()];
        assert_eq!(declaration(1).check(&elsewhere, &keys), unknown);
        let renamed = note.replacen("\u{2014} ledger.example/demo ", "\u{2014} other ", 1);
        assert_eq!(declaration(1).check(&renamed, &others), unknown);
    }

    #[test]
    fn a_note_of_something_else_is_told_from_one_of_this() {
        let note = declaration(1).sign(&key(ORIGIN, 1)).unwrap();
        assert!(declaration(1).read(&note).is_ok());
        let head = Declaration::new("provchain/v1 other", ORIGIN, Digest([1; 32]));
        let origin = Declaration::new("provchain/v1 test", "elsewhere", Digest([1; 32]));
        for other in [declaration(2), head, origin] {
            assert_eq!(other.read(&note), Err(Doubt::Other), "{other:?}");
        }
        assert!(matches!(
            declaration(1).read("no note"),
            Err(Doubt::Note(_))
        ));
        assert!(SignedCheckpoint::parse(&note).is_err());
    }
}
