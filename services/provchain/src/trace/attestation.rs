//! What a node puts its name under when it answers: the question, and the entries that it answered
//! with.
//!
//! The proof of an absence is none of the ledger's: a node may leave out an event, or answer another
//! question than the one that was asked and say so nowhere. Its signature does not prevent that, but
//! it is evidence: whoever has the ledger of that size can ask again, and show the difference.

use super::{Direction, Filter};
use crate::ledger::Digest;
use crate::ledger::declaration::Declaration;

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

/// A question and the entries of its answer, as the ledger `origin` declares them.
#[must_use]
pub fn attestation(
    origin: &str,
    question: &Question,
    entries: impl Iterator<Item = u64>,
) -> Declaration {
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
    Declaration::new(HEAD, origin, Digest::of(&hashed))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn every_part_of_a_question_is_signed_and_each_for_itself() {
        let entries = || [1, 23].into_iter();
        let change = |change: fn(&mut Question)| {
            let mut changed = question();
            change(&mut changed);
            attestation(ORIGIN, &changed, entries())
        };
        let attested = attestation(ORIGIN, &question(), entries());
        assert_eq!(attested, attestation(ORIGIN, &question(), entries()));
        for other in [
            change(|question| question.epc.push('0')),
            change(|question| question.direction = Direction::Up),
            change(|question| question.depth = 65),
            change(|question| question.tree_size = 8),
            change(|question| question.filter.from = Some("1".into())),
            change(|question| question.filter.until = Some("1".into())),
            change(|question| question.filter.types = vec!["1".into()]),
            change(|question| question.filter.biz_steps = vec!["1".into()]),
            attestation("elsewhere", &question(), entries()),
            attestation(ORIGIN, &question(), [12, 3].into_iter()),
        ] {
            assert_ne!(other, attested);
        }
    }

    #[test]
    fn the_digest_is_the_one_that_the_formats_describe() {
        // Computed with Python's hashlib from the description in FORMATS.md.
        let attested = attestation(ORIGIN, &question(), 0..3);
        assert_eq!(
            attested.digest().to_string(),
            "488b7421b676d00c85f63e420c492c036cd4d838e9288cdb64e8d0633bee7f2a"
        );
    }
}
