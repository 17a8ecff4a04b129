//! `provchain verify`: a ledger folder, a proof file, an answer to a trace, the dossier of a recall, or
//! evidence of a split history, checked without any node.

pub(super) mod trust;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::folder::Folder;
use crate::documents;
use crate::epcis::Limits;
use crate::ledger::checkpoint::Checkpoint;
use crate::ledger::evidence::{self, Evidence};
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{ProofFile, Trust, Verdict};
use crate::recall::{self, Dossier};
use crate::trace::Answer;
use crate::verify::{Report, Verifier, check_answer, check_dossier};

/// What to check, and whom to trust.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A node's data folder (of a stopped node, or a copy), a backup's, a proof file, an answer to a trace with
    /// proofs, the dossier of a recall, or evidence of a split history
    path: PathBuf,
    #[command(flatten)]
    trust: trust::Trust,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.path.is_dir() {
            return self.folder();
        }
        let trusted = self.trust.trusted(&[])?;
        let bytes = std::fs::read(&self.path)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        if is_evidence(&bytes) {
            return self.evidence(&bytes, &trusted);
        }
        self.proof(&bytes, &trusted)
    }

    fn evidence(&self, bytes: &[u8], trusted: &[VerifierKey]) -> anyhow::Result<ExitCode> {
        let evidence = Evidence::from_json(bytes).context("this evidence cannot be read")?;
        let finding = evidence.verify(trusted);
        if self.json {
            let tree = |checkpoint: &Checkpoint| json!({ "size": checkpoint.size, "root": checkpoint.root });
            let both = finding.checkpoints.as_ref();
            println!(
                "{}",
                json!({
                    "verdict": word(finding.verdict),
                    "says": finding.says,
                    "origin": both.map(|(first, _)| &first.origin),
                    "first": both.map(|(first, _)| tree(first)),
                    "second": both.map(|(_, second)| tree(second)),
                })
            );
        } else {
            if let Some((first, _)) = &finding.checkpoints {
                println!("of the ledger {}: {}", first.origin, finding.says);
            } else {
                println!("this shows nothing: {}", finding.says);
            }
            match finding.verdict {
                Verdict::Authentic => println!("this proves that the ledger has two histories"),
                Verdict::Unauthenticated if trusted.is_empty() => {
                    println!(
                        "no trusted key was given: anyone could have made this file (see --key)"
                    );
                }
                Verdict::Unauthenticated => println!("this is a reason to look, and no proof"),
                Verdict::Refuted => {}
            }
        }
        Ok(ExitCode::from(finding.verdict.exit_status()))
    }

    fn proof(&self, bytes: &[u8], trusted: &[VerifierKey]) -> anyhow::Result<ExitCode> {
        let (file, told) = read(bytes)?;
        let limits = Limits::stored();
        let report = file.verify(trusted, &|document| {
            documents::statements_of(document, &limits)
        });
        let mut verdict = report.verdict();
        let mut faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        if let (Some(checkpoint), true) = (&report.checkpoint, faults.is_empty()) {
            faults = told.differences(&file, checkpoint, trusted);
            if !faults.is_empty() {
                verdict = Verdict::Refuted;
            }
        }
        if self.json {
            let checkpoint = report.checkpoint.as_ref();
            println!(
                "{}",
                json!({
                    "verdict": word(verdict),
                    "good": report.good,
                    "faults": faults,
                    "size": checkpoint.map(|checkpoint| checkpoint.size),
                    "root": checkpoint.map(|checkpoint| checkpoint.root),
                })
            );
        } else {
            for fault in &faults {
                println!("{fault}");
            }
            if let Some(checkpoint) = &report.checkpoint {
                println!(
                    "{} of {} entries hold under the checkpoint of {} entries, root {}",
                    report.good.len(),
                    file.entries.len(),
                    checkpoint.size,
                    checkpoint.root
                );
            }
            match &report.trust {
                Trust::Signed { log, witnesses } => {
                    println!("signed by {} trusted keys", log.len() + witnesses.len());
                }
                Trust::Unauthenticated { .. } => println!(
                    "no trusted key was given: anyone could have made this file (see --keys-file)"
                ),
                Trust::Refused => println!("no trusted key signed it"),
            }
            if !matches!(told, Told::Nothing) && verdict != Verdict::Refuted {
                println!("the answer says what these entries say");
            }
        }
        Ok(ExitCode::from(verdict.exit_status()))
    }

    fn folder(&self) -> anyhow::Result<ExitCode> {
        let mut folder = Folder::open(&self.path)?;
        let trusted = &self.trust.trusted(&folder.successions())?[..];
        let mut report = run(&mut folder, trusted);
        let misstated = super::backup::misstated(&self.path, trusted);
        for reason in folder.damage().iter().chain(&misstated) {
            report.damages += 1;
            if !self.json {
                println!("{reason}");
            }
        }
        if self.json {
            let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
            println!(
                "{}",
                json!({
                    "verdict": word(report.verdict()),
                    "good": report.is_good(),
                    "size": report.size,
                    "root": report.root,
                    "opened": report.opened,
                    "erased": report.erased,
                    "locked": report.locked,
                    "blocks": report.blocks,
                    "unsealed": report.unsealed,
                    "authenticated": report.authenticated,
                    "badEntries": report.bad_entries,
                    "firstBadEntry": report.first_bad_entry.as_ref().map(|(index, _)| index),
                    "damages": report.damages,
                    "findings": findings,
                })
            );
        } else {
            for finding in &report.findings {
                println!("{finding}");
            }
            println!(
                "{} entries ({} opened, {} erased, {} locked) in {} blocks, {} not sealed yet; root {}",
                report.size,
                report.opened,
                report.erased,
                report.locked,
                report.blocks,
                report.unsealed,
                report.root
            );
            println!("{}", told(&report, !trusted.is_empty()));
        }
        Ok(ExitCode::from(report.verdict().exit_status()))
    }
}

/// Verifies a whole ledger, and tells a terminal how far it is.
pub(super) fn run(folder: &mut Folder, trusted: &[VerifierKey]) -> Report {
    let secret = folder.secret();
    let limits = Limits::stored();
    let statements_of = |document: &[u8]| documents::statements_of(document, &limits);
    let identifying_of = |document: &[u8]| documents::identifying_of(document, &limits);
    let verifier = Verifier {
        statements_of: &statements_of,
        identities: secret.as_ref().map(|secret| (secret, &identifying_of as _)),
        trusted,
    };
    let terminal = std::io::stderr().is_terminal();
    let report = verifier.verify(folder, &mut |progress| {
        if terminal {
            eprint!("\r{} of {} entries", progress.done, progress.total);
            drop(std::io::stderr().flush());
        }
    });
    if terminal {
        eprintln!();
    }
    report
}

fn word(verdict: Verdict) -> String {
    format!("{verdict:?}").to_lowercase()
}

/// What a ledger's report comes to, for people.
fn told(report: &Report, keys_given: bool) -> String {
    let (size, covered) = (report.size, report.authenticated);
    match report.verdict() {
        Verdict::Refuted => format!(
            "{} bad entries, {} damages elsewhere",
            report.bad_entries, report.damages
        ),
        Verdict::Authentic => {
            format!("everything holds, and trusted keys vouch for all {size} entries")
        }
        Verdict::Unauthenticated if size == 0 => {
            "everything fits together, and there is no entry to vouch for".to_owned()
        }
        Verdict::Unauthenticated if !keys_given => {
            "everything fits together, but nobody vouches for it: anyone could have made this folder; \
             give --keys-file"
                .to_owned()
        }
        Verdict::Unauthenticated => format!(
            "everything fits together, but trusted keys vouch for the first {covered} of {size} \
             entries only: anyone could have appended {covered} to {}",
            size - 1
        ),
    }
}

/// Whether the file says that it is evidence.
fn is_evidence(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Format {
        format: String,
    }
    serde_json::from_slice(bytes).is_ok_and(|Format { format }| format == evidence::FORMAT)
}

/// What a file says of the entries that it proves.
enum Told {
    /// It is a proof file.
    Nothing,
    /// An answer to a trace.
    Answer(Box<Answer>),
    /// The dossier of a recall.
    Dossier(Box<Dossier>),
}

impl Told {
    fn differences(
        &self,
        file: &ProofFile,
        checkpoint: &Checkpoint,
        trusted: &[VerifierKey],
    ) -> Vec<String> {
        let found = match self {
            Self::Nothing => Ok(()),
            Self::Answer(answer) => check_answer(answer, file, checkpoint, trusted).map(drop),
            Self::Dossier(dossier) => check_dossier(dossier, file, checkpoint, trusted),
        };
        found.err().unwrap_or_default()
    }
}

/// The proof file, and what is said around it.
fn read(bytes: &[u8]) -> anyhow::Result<(ProofFile, Told)> {
    #[derive(serde::Deserialize)]
    struct Members {
        format: Option<serde_json::Value>,
        items: Option<serde::de::IgnoredAny>,
    }
    let proof_of = |answer: &Answer| match &answer.proof {
        Some(proof) => Ok(ProofFile::from_json(proof.get().as_bytes())?),
        None => bail!("this answer comes without its proof: ask with proofs=true"),
    };
    match serde_json::from_slice(bytes) {
        Ok(Members {
            format: Some(format),
            ..
        }) if format == recall::FORMAT => {
            let dossier: Dossier =
                serde_json::from_slice(bytes).context("this is no dossier of a recall")?;
            Ok((proof_of(&dossier.trace)?, Told::Dossier(Box::new(dossier))))
        }
        Ok(Members { items: Some(_), .. }) => {
            let answer: Answer =
                serde_json::from_slice(bytes).context("this is no answer to a trace")?;
            Ok((proof_of(&answer)?, Told::Answer(Box::new(answer))))
        }
        _ => Ok((ProofFile::from_json(bytes)?, Told::Nothing)),
    }
}

/// The path of a folder's state, for messages.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
