//! `provchain backup …`: what is checked and restored is proven, entry by entry.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use consensus::{BackupCommand, DatabaseBackup, StateBackup};
use ed25519_dalek::VerifyingKey;
use kit::backup::{Source, SourceError};
use kit::cli::SettingsArgs;
use serde_json::{Map, Value};

use super::folder::Folder;
use super::verify::trust::Trust;
use crate::api::signer::Signer;
use crate::backup::statement;
use crate::ledger::Digest;
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::declaration::Doubt;
use crate::ledger::note::{SignatureType, VerifierKey};
use crate::machine::read;
use crate::server::backups::{
    CHECKPOINT, KEY_SERVICE, LedgerBackup, SERVICE, STATEMENT, digest, job, key_store,
};
use crate::settings::Settings;
use crate::verify::Report;

/// What to do with backups of what, and whom to trust.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    trust: Trust,
    /// The keys of subjects, which are backed up apart, instead of the ledger
    #[arg(long, global = true)]
    key_store: bool,
    #[command(subcommand)]
    command: BackupCommand,
}

impl Arguments {
    pub(super) async fn run(self, arguments: &SettingsArgs) -> anyhow::Result<()> {
        let settings: Settings = arguments.load().context("the settings cannot be used")?;
        // A list that cannot be read is told of before anything is done.
        self.trust.trusted(&[])?;
        let (service, source, next): (_, Arc<dyn Source>, _) = if self.key_store {
            let next = "move it into the data directory of a node that is stopped".to_owned();
            let source = DatabaseBackup::of(&key_store(&settings))?;
            (KEY_SERVICE, Arc::new(source), next)
        } else {
            let next = format!(
                "start {} on it; wipe the data directories of the other members, and let them join it",
                settings.node_name
            );
            let ledger = LedgerBackup::of(&settings, signer(&settings, &self.command)?)?;
            let trust = self.trust;
            (SERVICE, Arc::new(Proven { ledger, trust }), next)
        };
        let scratch = consensus::backup_scratch(&settings.data_dir);
        let job = job(&settings, service, source, scratch);
        consensus::run_backup(&job, &next, self.command)
            .await
            .map_err(anyhow::Error::msg)
    }
}

/// What signs a new backup of the ledger; nothing else does.
fn signer(settings: &Settings, command: &BackupCommand) -> anyhow::Result<Option<Signer>> {
    if !matches!(command, BackupCommand::Now { .. }) {
        return Ok(None);
    }
    Signer::load(&settings.data_dir.join("node.key"))
        .map(Some)
        .context("a backup is made on the machine of a node, by whoever runs it")
}

/// A ledger that is proven before it is believed.
struct Proven {
    ledger: LedgerBackup,
    trust: Trust,
}

impl Source for Proven {
    fn snapshot(&self, into: &Path) -> Result<Map<String, Value>, SourceError> {
        self.ledger.snapshot(into)
    }

    fn verify(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        self.ledger.verify(folder, fields)?;
        let digest = digest(fields).ok_or("the manifest has no digest of the state")?;
        let mut ledger = Folder::open(folder).map_err(|error| format!("{error:#}"))?;
        let trusted = self.trust.trusted(&ledger.successions());
        let trusted = trusted.map_err(|error| format!("{error:#}"))?;
        check_statement(folder, digest, &trusted)?;
        prove(folder, &mut ledger, &trusted)
    }

    fn complete(&self, folder: &Path, fields: &Map<String, Value>) -> Result<(), SourceError> {
        self.ledger.complete(folder, fields)
    }
}

/// What is wrong with what a node said of all rows in a backup; other folders have no such statement.
pub(super) fn misstated(folder: &Path, trusted: &[VerifierKey]) -> Option<String> {
    if !folder.join(STATEMENT).exists() {
        return None;
    }
    let check = || -> Result<(), SourceError> {
        let rows = consensus::digest(&StateBackup::database(folder)?)?;
        check_statement(folder, Digest(rows), trusted)
    };
    check().err().map(|error| error.to_string())
}

/// Checks that a node vouches for rows with this digest: one of the trusted keys, or without any one
/// of those that the ledger itself knows.
fn check_statement(
    folder: &Path,
    digest: Digest,
    trusted: &[VerifierKey],
) -> Result<(), SourceError> {
    let state = StateBackup::database(folder)?;
    let origin = read::founded(&state)?
        .ok_or("there is no ledger in it")?
        .origin;
    let known = read::nodes(&state)?.into_iter().filter_map(|node| {
        let key = VerifyingKey::from_bytes(&node.public_key).ok()?;
        VerifierKey::new(&origin, SignatureType::Ed25519, key).ok()
    });
    let known: Vec<VerifierKey> = known.collect();
    let keys = if trusted.is_empty() {
        &known[..]
    } else {
        trusted
    };
    let note = std::fs::read_to_string(folder.join(STATEMENT))
        .map_err(|error| format!("{STATEMENT}: {error}"))?;
    let checked = statement(&origin, digest).check(&note, keys);
    checked.map_err(|doubt| match doubt {
        Doubt::Other => format!("{STATEMENT}: it is of a state with other rows").into(),
        Doubt::Note(error) => format!("{STATEMENT}: {error}").into(),
    })
}

/// Checks that the entries in a folder have the root of the checkpoint beside them, and that the
/// trusted keys, if there are any, vouch for all of them.
fn prove(folder: &Path, ledger: &mut Folder, trusted: &[VerifierKey]) -> Result<(), SourceError> {
    let note = std::fs::read_to_string(folder.join(CHECKPOINT))
        .map_err(|error| format!("{CHECKPOINT}: {error}: nothing vouches for its entries"))?;
    let signed =
        SignedCheckpoint::parse(&note).map_err(|error| format!("{CHECKPOINT}: {error}"))?;
    let report = super::verify::run(ledger, trusted);
    if let Some(damage) = ledger.damage().first() {
        return Err(damage.clone().into());
    }
    if let Some(finding) = report.findings.first() {
        let others = report.bad_entries + report.damages - 1;
        return Err(format!("{finding} (and {others} more)").into());
    }
    let checkpoint = signed.checkpoint();
    if (checkpoint.size, checkpoint.root) != (report.size, report.root) {
        let Report { size, root, .. } = report;
        let reason = format!(
            "{CHECKPOINT}: it is of {} entries with root {}, and there are {size} with root {root}",
            checkpoint.size, checkpoint.root
        );
        return Err(reason.into());
    }
    if trusted.is_empty() {
        eprintln!(
            "everything fits together, but nobody vouches for it: anyone who can write to the \
             target could have made it; give --keys-file"
        );
    } else if report.authenticated < report.size {
        let reason = format!(
            "trusted keys vouch for the first {} of {} entries only",
            report.authenticated, report.size
        );
        return Err(reason.into());
    }
    Ok(())
}
