//! `provchain verify`: a ledger folder or a proof file, checked without any node.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::folder::Folder;
use crate::documents;
use crate::epcis::Limits;
use crate::ledger::note::VerifierKey;
use crate::ledger::proof::{ProofFile, Trust, Verdict};
use crate::verify::Verifier;

/// Exit status when everything fits together, but no trusted key was given.
const UNAUTHENTICATED: u8 = 3;

/// What to check, and whom to trust.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A node's data folder (of a stopped node, or a copy), or a proof file
    path: PathBuf,
    /// Verifier key of a node, as `/api/v1/keys` lists them; may be repeated
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A file with verifier keys, one a line
    #[arg(long, value_name = "FILE")]
    keys_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let trusted = self.trusted()?;
        if self.path.is_dir() {
            self.folder(&trusted)
        } else {
            self.proof(&trusted)
        }
    }

    fn trusted(&self) -> anyhow::Result<Vec<VerifierKey>> {
        let mut lines = self.keys.clone();
        if let Some(path) = &self.keys_file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty())
            .map(|line| {
                line.parse()
                    .with_context(|| format!("{line:?} is no verifier key"))
            })
            .collect()
    }

    fn proof(&self, trusted: &[VerifierKey]) -> anyhow::Result<ExitCode> {
        let bytes = std::fs::read(&self.path)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        let file = ProofFile::from_json(&extract(&bytes))?;
        let limits = Limits::default();
        let report = file.verify(trusted, &|document| {
            documents::statements_of(document, &limits)
        });
        let verdict = report.verdict();
        if self.json {
            let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
            let checkpoint = report.checkpoint.as_ref();
            println!(
                "{}",
                json!({
                    "verdict": format!("{verdict:?}").to_lowercase(),
                    "good": report.good,
                    "faults": faults,
                    "size": checkpoint.map(|checkpoint| checkpoint.size),
                    "root": checkpoint.map(|checkpoint| checkpoint.root),
                })
            );
        } else {
            for fault in &report.faults {
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
        }
        Ok(match verdict {
            Verdict::Authentic => ExitCode::SUCCESS,
            Verdict::Unauthenticated => ExitCode::from(UNAUTHENTICATED),
            Verdict::Refuted => ExitCode::FAILURE,
        })
    }

    fn folder(&self, trusted: &[VerifierKey]) -> anyhow::Result<ExitCode> {
        let mut folder = Folder::open(&self.path)?;
        let secret = folder.secret();
        let limits = Limits::default();
        let statements_of = |document: &[u8]| documents::statements_of(document, &limits);
        let identifying_of = |document: &[u8]| documents::identifying_of(document, &limits);
        let verifier = Verifier {
            statements_of: &statements_of,
            identities: secret.as_ref().map(|secret| (secret, &identifying_of as _)),
            trusted,
        };
        let terminal = std::io::stderr().is_terminal();
        let mut report = verifier.verify(&mut folder, &mut |progress| {
            if terminal {
                eprint!("\r{} of {} entries", progress.done, progress.total);
                drop(std::io::stderr().flush());
            }
        });
        if terminal {
            eprintln!();
        }
        for reason in folder.damage() {
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
            println!(
                "{}",
                if report.is_good() {
                    "everything holds".to_owned()
                } else {
                    format!(
                        "{} bad entries, {} damages elsewhere",
                        report.bad_entries, report.damages
                    )
                }
            );
        }
        Ok(if report.is_good() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// The proof file: the whole of it, or the `proof` of an answer to a trace.
fn extract(bytes: &[u8]) -> Vec<u8> {
    #[derive(serde::Deserialize)]
    struct Answer {
        proof: Box<serde_json::value::RawValue>,
    }
    match serde_json::from_slice::<Answer>(bytes) {
        Ok(answer) => answer.proof.get().as_bytes().to_vec(),
        Err(_) => bytes.to_vec(),
    }
}

/// The path of a folder's state, for messages.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
