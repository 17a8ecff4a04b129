//! Verifying a whole ledger from what is stored, offline.
//!
//! Everything that can be computed is computed again: payloads are rehashed and opened, statements
//! derived and committed to, leaves hashed, the tree grown, its tiles, block roots, signatures and
//! checkpoints compared, identities recomputed. Entries are streamed; what is held in memory does
//! not grow with the ledger.
//!
//! The report names the first bad entry and what is wrong with it, counts the others, and keeps
//! damage inside entries apart from damage elsewhere. Where a leaf and the stored tree disagree, a
//! third witness decides which of them is damaged: the hash of the tile in the level above, or a
//! signed block.
//!
//! Who rewrites a copy can seal it with keys of his own and list them in it. So the report says how
//! far keys that are trusted from outside vouch for the entries, and calls nothing authentic beyond.
//!
//! [`check_answer`] checks what the answer to a trace says against the entries that are proven with
//! it; [`check_dossier`] does so for the dossier of a recall.

mod answer;
mod blocks;
mod dossier;
mod entries;
mod reader;
mod report;
mod tree;

pub use answer::{Recomputed, check as check_answer};
pub use dossier::check as check_dossier;
pub use reader::{BlockRecord, EntryRecord, LedgerReader, SubjectKeyState};
pub use report::{Damage, Finding, Report};

use crate::ledger::Digest;
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::entry::StatementsOf;
use crate::ledger::identity::{Identifying, LedgerSecret};
use crate::ledger::merkle::{Appender, TILE_WIDTH};
use crate::ledger::note::{SignatureType, VerifierKey};

/// Says what identifies the event in a document; given from outside, like [`StatementsOf`].
pub type IdentifyingOf<'a> = dyn Fn(&[u8]) -> Result<Identifying, String> + 'a;

/// How far a verification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries looked at.
    pub done: u64,
    /// Entries in the ledger.
    pub total: u64,
}

/// What a verification is done with.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// The canonicalisation.
    pub statements_of: &'a StatementsOf<'a>,
    /// The ledger's secret and the reading of identities; without them identities are checked to
    /// be unique, not to be those of their events.
    pub identities: Option<(&'a LedgerSecret, &'a IdentifyingOf<'a>)>,
    /// Keys known from outside the ledger; those that are named as its origin count. With none, the
    /// ledger is checked against the node keys that it holds itself, which whoever rewrote all of it
    /// could have replaced: then nothing in it is authenticated.
    pub trusted: &'a [VerifierKey],
}

impl Verifier<'_> {
    /// Verifies everything that the reader gives, calling `progress` about every 256 entries.
    pub fn verify<R: LedgerReader>(
        &self,
        reader: &mut R,
        progress: &mut dyn FnMut(Progress),
    ) -> Report {
        let mut run = Run::start(self, reader);
        let total = run.size;
        let mut start = 0;
        while start < total {
            let end = total.min(start + TILE_WIDTH as u64);
            let Some(group) = run.read_entries(start, end) else {
                run.report.cut_off(start, total);
                break;
            };
            run.settle(start, group);
            start = end;
            progress(Progress { done: start, total });
        }
        run.finish()
    }
}

/// A checkpoint that is kept beside the ledger.
struct KeptCheckpoint {
    checkpoint: Checkpoint,
    /// Whether a trusted key signed it.
    vouched: bool,
}

/// One verification under way.
struct Run<'a, R> {
    verifier: &'a Verifier<'a>,
    reader: &'a mut R,
    /// The number of entries that the ledger says it has.
    size: u64,
    /// The tree over the entries so far.
    tree: Appender,
    blocks: blocks::Chain,
    checkpoints: Vec<KeptCheckpoint>,
    /// The identities of the entries, added up in a way that does not depend on their order.
    identities: Digest,
    report: Report,
}

impl<'a, R: LedgerReader> Run<'a, R> {
    fn start(verifier: &'a Verifier<'a>, reader: &'a mut R) -> Self {
        let mut report = Report::default();
        let origin = report
            .readable("origin", reader.origin())
            .unwrap_or_default();
        let size = report.readable("size", reader.size()).unwrap_or_default();
        let node_keys = report
            .readable("node keys", reader.node_keys())
            .unwrap_or_default();
        let notes = report
            .readable("checkpoints", reader.checkpoints())
            .unwrap_or_default();

        let node_verifiers: Vec<VerifierKey> = node_keys
            .iter()
            .filter_map(|key| VerifierKey::new(&origin, SignatureType::Ed25519, *key).ok())
            .collect();
        let mut checkpoints = Vec::new();
        for note in &notes {
            match check_note(note, &origin, size, &node_verifiers) {
                Ok(signed) => {
                    let vouched = signed.verify(verifier.trusted);
                    if let Err(error) = &vouched
                        && !verifier.trusted.is_empty()
                    {
                        let reason = format!("no trusted key vouches for it: {error}");
                        report.damage(Damage::Checkpoint { reason });
                    }
                    checkpoints.push(KeptCheckpoint {
                        vouched: vouched.is_ok(),
                        checkpoint: signed.checkpoint().clone(),
                    });
                }
                Err(reason) => report.damage(Damage::Checkpoint { reason }),
            }
        }
        let blocks = blocks::Chain::new(&origin, &node_keys, verifier.trusted);
        let identities = Digest([0; 32]);
        let tree = Appender::default();
        Self {
            verifier,
            reader,
            size,
            tree,
            blocks,
            checkpoints,
            identities,
            report,
        }
    }

    fn finish(mut self) -> Report {
        self.check_rest_of_tree();
        self.check_rest_of_blocks();
        self.check_identities();
        let beyond = self.reader.entries(self.size, 1);
        if let Some(beyond) = self.report.readable("entries", beyond)
            && !beyond.is_empty()
        {
            self.report
                .damage(Damage::EntriesBeyond { size: self.size });
        }
        self.report.size = self.tree.size();
        self.report.root = self.tree.root();
        self.report
    }
}

fn check_note(
    note: &str,
    origin: &str,
    size: u64,
    node_keys: &[VerifierKey],
) -> Result<SignedCheckpoint, String> {
    let signed = SignedCheckpoint::parse(note).map_err(|error| error.to_string())?;
    let checkpoint = signed.checkpoint();
    if checkpoint.origin != origin {
        return Err(format!(
            "it is one of {}, not of {origin}",
            checkpoint.origin
        ));
    }
    if checkpoint.size > size {
        return Err(format!(
            "it is over {} entries, there are {size}",
            checkpoint.size
        ));
    }
    signed
        .verify(node_keys)
        .map_err(|error| error.to_string())?;
    Ok(signed)
}
