//! What a node puts its name under when it makes a backup: the state, row by row.
//!
//! A checkpoint vouches for the entries. Users, partners and what else the state holds are in no tree:
//! for them the node signs the digest of all rows, so that whoever can write where backups lie cannot
//! give himself an account.

use crate::ledger::note::{Note, SignatureType, SignerKey, VerifierKey};
use crate::ledger::{Digest, Error};

/// The first line of the note. No checkpoint begins so: its second line is no number.
const HEAD: &str = "provchain/v1 backup";

/// The state of a ledger, as a text to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The ledger.
    pub origin: String,
    /// The digest of all rows of the state.
    pub digest: Digest,
}

impl Statement {
    fn text(&self) -> String {
        format!("{HEAD}\n{}\n{}\n", self.origin, self.digest.to_base64())
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

    /// Whether `note` says this, signed by one of the `keys` as the ledger.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self, note: &str, keys: &[VerifierKey]) -> Result<(), String> {
        let note = Note::parse(note).map_err(|error| error.to_string())?;
        if note.text() != self.text() {
            return Err("it is of a state with other rows".to_owned());
        }
        let signers = note.verify(keys).map_err(|error| error.to_string())?;
        let of_the_ledger = |key: &&VerifierKey| {
            key.signature_type() == SignatureType::Ed25519 && key.name() == self.origin
        };
        if signers.iter().any(of_the_ledger) {
            Ok(())
        } else {
            Err(Error::NoKnownSignature.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    const ORIGIN: &str = "ledger.example/demo";

    fn statement(byte: u8) -> Statement {
        Statement {
            origin: ORIGIN.to_owned(),
            digest: Digest([byte; 32]),
        }
    }

    fn key(origin: &str, seed: u8) -> SignerKey {
        let key = SigningKey::from_bytes(&[seed; 32]);
        SignerKey::new(origin, SignatureType::Ed25519, key).unwrap()
    }

    #[test]
    fn only_a_key_of_the_ledger_makes_a_statement_of_these_rows_believed() {
        let note = statement(1).sign(&key(ORIGIN, 1)).unwrap();
        let keys = [key(ORIGIN, 1).verifier()];
        assert_eq!(statement(1).check(&note, &keys), Ok(()));
        assert!(statement(2).check(&note, &keys).is_err(), "other rows");
        let others = [key(ORIGIN, 2).verifier()];
        assert!(statement(1).check(&note, &others).is_err(), "another key");
        assert!(statement(1).check(&note, &[]).is_err(), "no key");
        let elsewhere = statement(1).sign(&key("elsewhere", 1)).unwrap();
        let keys = [key("elsewhere", 1).verifier()];
        assert!(statement(1).check(&elsewhere, &keys).is_err());
        assert!(crate::ledger::checkpoint::SignedCheckpoint::parse(&note).is_err());
    }
}
