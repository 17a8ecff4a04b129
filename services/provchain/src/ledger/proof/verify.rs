//! Verifying a proof file.

use std::fmt;

use super::super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::super::commitment::{
    Commitments, DisclosedStatement, commit_statement, commit_submitter,
};
use super::super::entry::{EntryFault, StatementsOf, check_payload};
use super::super::key::{Derived, EntryKey};
use super::super::leaf::Leaf;
use super::super::note::VerifierKey;
use super::super::payload::{ContentType, Payload};
use super::super::{Digest, Error, merkle};
use super::{Consistency, Disclosed, ProofFile, ProvenEntry};

/// Where in a proof file a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the checkpoint or its signatures.
    Checkpoint,
    /// In the earlier checkpoint or the path from it.
    Consistency,
    /// In the list of entries as a whole.
    Entries,
    /// In the entry with this index in the ledger.
    Entry(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Consistency => f.write_str("consistency"),
            Self::Entries => f.write_str("entries"),
            Self::Entry(index) => write!(f, "entry {index}"),
        }
    }
}

/// Something in a proof file that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is.
    pub place: Place,
    /// What is wrong: the field first.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Who vouches for the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Trusted keys: those of the ledger, and those of witnesses.
    Signed {
        /// Ledger keys, in their text form.
        log: Vec<String>,
        /// Witness keys, in their text form.
        witnesses: Vec<String>,
    },
    /// Nobody: no key was given to check the signatures with.
    Unauthenticated {
        /// The keys that the signatures claim, as `name+id`.
        claimed: Vec<String>,
    },
    /// Nobody: the signatures were checked and failed.
    Refused,
}

/// What a verification comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything holds, and trusted keys vouch for all of it.
    Authentic,
    /// Everything fits together, but trusted keys do not vouch for all of it: anyone could have made
    /// the rest.
    Unauthenticated,
    /// Something is wrong.
    Refuted,
}

impl Verdict {
    /// The exit status of a program that reports the verdict.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Authentic => 0,
            Self::Refuted => 1,
            // 2 is a wrong command line.
            Self::Unauthenticated => 3,
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the checkpoint says, if it can be read.
    pub checkpoint: Option<Checkpoint>,
    /// Who vouches for it.
    pub trust: Trust,
    /// The indices of the entries of which everything holds.
    pub good: Vec<u64>,
    /// Everything that is wrong, in the order of the file.
    pub faults: Vec<Fault>,
}

impl Report {
    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.trust {
            _ if !self.faults.is_empty() => Verdict::Refuted,
            Trust::Refused => Verdict::Refuted,
            Trust::Unauthenticated { .. } => Verdict::Unauthenticated,
            Trust::Signed { .. } => Verdict::Authentic,
        }
    }

    fn fault(&mut self, place: Place, what: impl fmt::Display) {
        self.faults.push(Fault {
            place,
            what: what.to_string(),
        });
    }
}

impl ProofFile {
    /// Verifies everything in the file, and says all that is wrong with it. With no trusted keys
    /// the signatures cannot be checked, which the report says.
    ///
    /// The work is bounded by the size of the file and by `statements_of`.
    #[must_use]
    pub fn verify(&self, trusted: &[VerifierKey], statements_of: &StatementsOf<'_>) -> Report {
        let mut report = Report {
            checkpoint: None,
            trust: Trust::Refused,
            good: Vec::new(),
            faults: Vec::new(),
        };
        match SignedCheckpoint::parse(&self.checkpoint) {
            Ok(signed) => {
                match trust(&signed, trusted) {
                    Ok(trust) => report.trust = trust,
                    Err(error) => report.fault(Place::Checkpoint, error),
                }
                report.checkpoint = Some(signed.checkpoint().clone());
            }
            Err(error) => report.fault(Place::Checkpoint, error),
        }
        let checkpoint = report.checkpoint.clone();
        if let (Some(consistency), Some(checkpoint)) = (&self.consistency, &checkpoint)
            && let Err(error) = consistency.verify(checkpoint, trusted)
        {
            report.fault(Place::Consistency, error);
        }
        if self.entries.is_empty() {
            report.fault(Place::Entries, "there are none: the file proves nothing");
        }
        if !self.entries.is_sorted_by(|a, b| a.index < b.index) {
            report.fault(Place::Entries, "not in ascending order of their index");
        }
        for entry in &self.entries {
            let faults = entry.verify(checkpoint.as_ref(), statements_of);
            if faults.is_empty() {
                report.good.push(entry.index);
            }
            for fault in faults {
                report.fault(Place::Entry(entry.index), fault);
            }
        }
        report
    }
}

fn trust(signed: &SignedCheckpoint, trusted: &[VerifierKey]) -> Result<Trust, Error> {
    if trusted.is_empty() {
        let signatures = signed.note().signatures().iter();
        let claimed = signatures
            .map(|by| format!("{}+{:08x}", by.name, by.id))
            .collect();
        return Ok(Trust::Unauthenticated { claimed });
    }
    let signers = signed.verify(trusted)?;
    let text = |keys: Vec<&VerifierKey>| keys.iter().map(ToString::to_string).collect();
    Ok(Trust::Signed {
        log: text(signers.log),
        witnesses: text(signers.witnesses),
    })
}

impl Consistency {
    fn verify(&self, later: &Checkpoint, trusted: &[VerifierKey]) -> Result<(), Error> {
        let signed = SignedCheckpoint::parse(&self.checkpoint)?;
        trust(&signed, trusted)?;
        let earlier = signed.checkpoint();
        if earlier.origin != later.origin {
            return Err(Error::Proof("the checkpoints are of different ledgers"));
        }
        merkle::verify_consistency(
            earlier.size,
            later.size,
            &self.path,
            &earlier.root,
            &later.root,
        )
    }
}

impl ProvenEntry {
    fn verify(
        &self,
        checkpoint: Option<&Checkpoint>,
        statements_of: &StatementsOf<'_>,
    ) -> Vec<EntryFault> {
        let leaf = match Leaf::decode(&self.leaf) {
            Ok(leaf) => leaf,
            Err(error) => return vec![EntryFault::Leaf(error)],
        };
        let mut faults = Vec::new();
        if let Some(Checkpoint { size, root, .. }) = checkpoint {
            let included =
                merkle::verify_inclusion(self.index, *size, &leaf.hash(), &self.inclusion, root);
            faults.extend(included.err().map(EntryFault::Inclusion));
        }
        self.disclosed.check(&leaf, statements_of, &mut faults);
        faults
    }
}

impl Disclosed {
    fn check(&self, leaf: &Leaf, statements_of: &StatementsOf<'_>, faults: &mut Vec<EntryFault>) {
        match self {
            Self::Nothing {} => {}
            Self::Parts {
                submitter,
                statements,
            } => {
                let submitter = submitter.as_ref().filter(|submitter| {
                    commit_submitter(&submitter.salt.0, &submitter.name) != leaf.submitter
                });
                faults.extend(submitter.map(|by| EntryFault::Submitter(by.name.clone())));
                for super::Statement {
                    index,
                    statement,
                    salt,
                    path,
                } in statements
                {
                    let (index, statement, path) = (*index, statement.clone(), path.clone());
                    let disclosed = DisclosedStatement {
                        index,
                        statement,
                        salt: salt.0,
                        path,
                    };
                    if disclosed
                        .verify(&leaf.statement_root, leaf.statement_count)
                        .is_err()
                    {
                        let statement = disclosed.statement;
                        faults.push(EntryFault::Statement { index, statement });
                    }
                }
            }
            Self::Whole {
                key,
                submitter,
                document,
                commitments,
            } => {
                let key = match EntryKey::from_slice(key) {
                    Ok(key) => key,
                    Err(error) => return faults.push(EntryFault::Key(error)),
                };
                let derived = key.derive();
                let mut found = Vec::new();
                check_submitter_and_bytes(leaf, &derived, submitter, document, &mut found);
                match statements_of(document.as_bytes()) {
                    Err(reason) => found.push(EntryFault::Meaning(reason)),
                    Ok(statements) => {
                        check_statements(leaf, &derived, &statements, commitments, &mut found);
                    }
                }
                // Under another key nothing at all is as recorded: then it is the key that differs.
                let is_missing =
                    |fault: &&EntryFault| matches!(fault, EntryFault::StatementMissing { .. });
                if matches!(found.first(), Some(EntryFault::Submitter(_)))
                    && found.iter().filter(is_missing).count() == commitments.len()
                {
                    found = vec![EntryFault::Key(Error::Sealed { what: "the entry" })];
                }
                faults.append(&mut found);
            }
        }
    }
}

/// Does what the ledger did with the document, and compares: encryption is deterministic.
fn check_submitter_and_bytes(
    leaf: &Leaf,
    derived: &Derived,
    submitter: &str,
    document: &str,
    faults: &mut Vec<EntryFault>,
) {
    if commit_submitter(&derived.submitter_salt(), submitter) != leaf.submitter {
        faults.push(EntryFault::Submitter(submitter.to_owned()));
    }
    let payload = Payload {
        content_type: ContentType::JsonLd,
        submitter: submitter.to_owned(),
        document: document.as_bytes().to_vec(),
    };
    match payload.seal(derived) {
        Ok(stored) if check_payload(leaf, &stored).is_ok() => {}
        Ok(_) => faults.push(EntryFault::Document),
        Err(error) => faults.push(EntryFault::Payload(error)),
    }
}

/// Compares the statements of the document with the recorded commitments, and names those that
/// were changed, added or left out.
fn check_statements(
    leaf: &Leaf,
    derived: &Derived,
    statements: &[String],
    commitments: &[Digest],
    faults: &mut Vec<EntryFault>,
) {
    let recorded = leaf.statement_count;
    let given = Commitments::from_digests(commitments.to_vec());
    if given.is_ok_and(|given| given.count() == recorded && given.root() == leaf.statement_root) {
        return name_changes(derived, statements, commitments, faults);
    }
    faults.push(EntryFault::Commitments);
    if statements.len() != recorded as usize {
        faults.push(EntryFault::StatementCount {
            recorded,
            found: statements.len(),
        });
    } else if Commitments::new(derived, statements).map(|own| own.root()) != Ok(leaf.statement_root)
    {
        faults.push(EntryFault::StatementRoot);
    }
}

/// Walks both lists in order. Where a statement is not the recorded one of its place, it may have
/// moved because others before it were added or left out: the next places are tried, up to
/// [`SHIFT_MAX`].
fn name_changes(
    derived: &Derived,
    statements: &[String],
    commitments: &[Digest],
    faults: &mut Vec<EntryFault>,
) {
    let mut place = 0;
    for (index, statement) in (0_u32..).zip(statements) {
        let recorded_at = |at: &usize| {
            let salt = derived.statement_salt(*at as u32);
            commit_statement(&salt, statement) == commitments[*at]
        };
        match (place..commitments.len().min(place + SHIFT_MAX)).find(recorded_at) {
            Some(at) => {
                let missing = place..at;
                faults.extend(missing.map(|at| EntryFault::StatementMissing { index: at as u32 }));
                place = at + 1;
            }
            None => faults.push(EntryFault::Statement {
                index,
                statement: statement.clone(),
            }),
        }
    }
    let missing = place..commitments.len();
    faults.extend(missing.map(|at| EntryFault::StatementMissing { index: at as u32 }));
}

/// How far a statement is looked for, so that a file cannot make the search quadratic.
const SHIFT_MAX: usize = 64;
