//! What a node puts its name under when it answers: the question, and the entries that it answered
//! with.
//!
//! The proof of an absence is none of the ledger's: a node may leave out an event, or answer another
//! question than the one that was asked and say so nowhere. Its signature does not prevent that, but
//! it is evidence: whoever has the ledger of that size can ask again, and show the difference.

use super::{Direction, Filter};
use crate::ledger::note::{Note, SignatureType, SignerKey, VerifierKey};
use crate::ledger::{Digest, Error};

/// The first line of the note. No checkpoint begins so: its second line is no number.
const HEAD: &str = "provchain/v1 answer";

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The identifier, as it was written.
    pub epc: String,
    /// What it compares by.
    pub item: String,
    /// Which way to walk.
    pub direction: Direction,
    /// The most steps from the item.
    pub depth: u32,
    /// Which events to follow.
    pub filter: Filter,
    /// The number of entries that take part: all below it.
    pub tree_size: u64,
}

/// A question and the entries of its answer, as a text to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    origin: String,
    digest: Digest,
}

impl Attestation {
    /// Of the ledger `origin`.
    #[must_use]
    pub fn new(origin: &str, question: &Question, entries: impl Iterator<Item = u64>) -> Self {
        let filter = &question.filter;
        let entries: Vec<String> = entries.map(|entry| entry.to_string()).collect();
        let parts = [
            question.epc.clone(),
            question.direction.word().to_owned(),
            question.depth.to_string(),
            question.tree_size.to_string(),
            filter.from.clone().unwrap_or_default(),
            filter.until.clone().unwrap_or_default(),
            filter.types.join(","),
            filter.biz_steps.join(","),
            entries.join(","),
        ];
        let lengths = parts
            .each_ref()
            .map(|part| (part.len() as u64).to_be_bytes());
        let tag = format!("{HEAD}\0");
        let mut hashed: Vec<&[u8]> = vec![tag.as_bytes()];
        for (length, part) in lengths.iter().zip(&parts) {
            hashed.extend([length.as_slice(), part.as_bytes()]);
        }
        Self {
            origin: origin.to_owned(),
            digest: Digest::of(&hashed),
        }
    }

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

    /// Whether `note` says this, and a key of the ledger among the `trusted` signed it. With no
    /// trusted keys the signature is not looked at: then anyone could have made it.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self, note: &str, trusted: &[VerifierKey]) -> Result<(), String> {
        let note = Note::parse(note).map_err(|error| error.to_string())?;
        if note.text() != self.text() {
            return Err("it is of another question, or of an answer with other entries".to_owned());
        }
        if trusted.is_empty() {
            return Ok(());
        }
        let signers = note.verify(trusted).map_err(|error| error.to_string())?;
        let of_the_ledger = |key: &&VerifierKey| {
            key.signature_type() == SignatureType::Ed25519 && key.name() == self.origin
        };
        if !signers.iter().any(of_the_ledger) {
            return Err(Error::NoKnownSignature.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    const ORIGIN: &str = "ledger.example/demo";

    fn question() -> Question {
        Question {
            epc: "urn:epc:id:sscc:0614141.1234567890".to_owned(),
            item: "https://id.gs1.org/00/106141412345678908".to_owned(),
            direction: Direction::Down,
            depth: 64,
            filter: Filter::default(),
            tree_size: 7,
        }
    }

    fn key(seed: u8) -> SignerKey {
        let key = SigningKey::from_bytes(&[seed; 32]);
        SignerKey::new(ORIGIN, SignatureType::Ed25519, key).unwrap()
    }

    #[test]
    fn every_part_of_a_question_is_signed_and_each_for_itself() {
        let entries = || [1, 23].into_iter();
        let change = |change: fn(&mut Question)| {
            let mut changed = question();
            change(&mut changed);
            Attestation::new(ORIGIN, &changed, entries())
        };
        let attestation = Attestation::new(ORIGIN, &question(), entries());
        let note = attestation.sign(&key(1)).unwrap();
        let trusted = [key(1).verifier()];
        assert_eq!(attestation.check(&note, &trusted), Ok(()));
        for other in [
            change(|question| question.epc.push('0')),
            change(|question| question.direction = Direction::Up),
            change(|question| question.depth = 65),
            change(|question| question.tree_size = 8),
            change(|question| question.filter.from = Some("1".into())),
            change(|question| question.filter.until = Some("1".into())),
            change(|question| question.filter.types = vec!["1".into()]),
            change(|question| question.filter.biz_steps = vec!["1".into()]),
            Attestation::new("elsewhere", &question(), entries()),
            Attestation::new(ORIGIN, &question(), [12, 3].into_iter()),
        ] {
            assert!(other.check(&note, &[]).is_err(), "{other:?}");
        }
    }

    #[test]
    fn only_a_trusted_key_of_the_ledger_makes_it_believed() {
        let attestation = Attestation::new(ORIGIN, &question(), 0..3);
        let note = attestation.sign(&key(1)).unwrap();
        assert!(attestation.check(&note, &[key(2).verifier()]).is_err());
        let broken = note.replacen("\u{2014} ledger.example/demo ", "\u{2014} other ", 1);
        assert!(attestation.check(&broken, &[key(1).verifier()]).is_err());
        assert!(attestation.check("no note", &[]).is_err());
        assert!(crate::ledger::checkpoint::SignedCheckpoint::parse(&note).is_err());
    }

    #[test]
    fn the_digest_is_the_one_that_the_formats_describe() {
        // Computed with Python's hashlib from the description in FORMATS.md.
        let attestation = Attestation::new(ORIGIN, &question(), 0..3);
        assert_eq!(
            attestation.digest.to_string(),
            "488b7421b676d00c85f63e420c492c036cd4d838e9288cdb64e8d0633bee7f2a"
        );
    }
}
