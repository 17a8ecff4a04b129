//! Whom a verification trusts.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::ledger::note::VerifierKey;
use crate::ledger::succession;

/// Keys that are trusted, and how they handed over.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Trust {
    /// Verifier key of a node, as `/api/v1/keys` lists them; may be repeated
    #[arg(long = "key", value_name = "KEY", global = true)]
    keys: Vec<String>,
    /// A file with verifier keys, one a line
    #[arg(long, value_name = "FILE", global = true)]
    keys_file: Option<PathBuf>,
    /// What `/api/v1/keys?format=json` gives: not trusted, but what a trusted key handed over to is
    #[arg(long = "keys", value_name = "FILE", global = true)]
    successions: Option<PathBuf>,
}

impl Trust {
    /// The trusted keys, and those that they handed over to, by the file's notes and by `more`.
    pub(in crate::cli) fn trusted(&self, more: &[String]) -> anyhow::Result<Vec<VerifierKey>> {
        let mut lines = self.keys.clone();
        if let Some(path) = &self.keys_file {
            lines.extend(read(path)?.lines().map(str::to_owned));
        }
        let trusted = lines
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty())
            .map(|line| {
                line.parse()
                    .with_context(|| format!("{line:?} is no verifier key"))
            })
            .collect::<anyhow::Result<Vec<VerifierKey>>>()?;
        let mut notes = more.to_vec();
        if let Some(path) = &self.successions {
            let listed = succession::notes_in(read(path)?.as_bytes());
            let listed = listed.map_err(anyhow::Error::msg);
            notes.extend(listed.with_context(|| format!("{} is no list of keys", path.display()))?);
        }
        if trusted.is_empty() {
            return Ok(trusted);
        }
        succession::follow(&trusted, notes.iter().map(String::as_str)).map_err(anyhow::Error::msg)
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
