//! `provchain hash`: the event hash ids of documents.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::epcis::event_hash::{self, Edition};
use crate::epcis::{Event, Limits, capture};

/// What to hash, and what to print.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print the pre-hash strings
    #[arg(long)]
    prehash: bool,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
    /// Whose reading of CBV 2.0 to follow
    #[arg(long, value_enum, default_value_t = Reading::Cbv20)]
    edition: Reading,
    /// EPCIS 2.0 JSON-LD documents
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// [`Edition`], as a person types it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reading {
    /// The standard's text
    #[value(name = "cbv2.0")]
    Cbv20,
    /// The reference implementation since 2026
    #[value(name = "reference-2026")]
    Reference2026,
    /// The reference implementation from 2023 to 2025
    #[value(name = "reference-2025")]
    Reference2025,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let limits = Limits::default();
        for file in &self.files {
            let body =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let document = capture::parse(&body, &limits).map_err(|issues| {
                let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
                anyhow!("{}: {}", file.display(), issues.join("\n"))
            })?;
            for (position, event) in document.events.iter().enumerate() {
                self.print(file, position, event)
                    .with_context(|| format!("{}: event {position}", file.display()))?;
            }
        }
        Ok(())
    }

    fn print(&self, file: &Path, position: usize, event: &Event) -> anyhow::Result<()> {
        let edition = match self.edition {
            Reading::Cbv20 => Edition::Cbv20,
            Reading::Reference2026 => Edition::Reference2026,
            Reading::Reference2025 => Edition::Reference2025,
        };
        let hash = event_hash::event_hash_of(event, edition)?;
        let pre_hash = self
            .prehash
            .then(|| event_hash::pre_hash_of(event, edition))
            .transpose()?;
        let file = file.display();
        if self.json {
            let mut line = json!({
                "file": file.to_string(),
                "event": position,
                "eventID": event.id,
                "hash": hash,
            });
            if let Some(pre_hash) = pre_hash {
                line["preHash"] = pre_hash.into();
            }
            println!("{line}");
        } else if let Some(pre_hash) = pre_hash {
            println!("{pre_hash}");
        } else {
            let id = event.id.as_deref().unwrap_or("-");
            println!("{file} {position} {id} {hash}");
        }
        Ok(())
    }
}
