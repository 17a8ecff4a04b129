//! `backup now|list|verify|restore|drill`: the same in every binary that stands on this core.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use kit::backup::{self, BackupError, Job, Manifest, Schedule, Target};
use serde_json::json;

/// Makes, lists, checks and restores backups.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum BackupCommand {
    /// Make one of this machine's node now, also while it runs
    Now {
        /// Where, and how it is told of
        #[command(flatten)]
        place: Place,
    },
    /// List those that there are, the oldest first
    List {
        /// Where, and how it is told of
        #[command(flatten)]
        place: Place,
    },
    /// Fetch one and check everything in it
    Verify {
        /// Where, and how it is told of
        #[command(flatten)]
        place: Place,
        /// Its name, as `list` shows it; the newest by default
        #[arg(long)]
        name: Option<String>,
    },
    /// Make a data directory of one, after checking everything in it
    Restore {
        /// Where, and how it is told of
        #[command(flatten)]
        place: Place,
        /// Its name, as `list` shows it; the newest by default
        #[arg(long)]
        name: Option<String>,
        /// The directory to make: empty or absent
        #[arg(long)]
        into: PathBuf,
    },
    /// Show that the newest can be restored: do it, check everything, and remove what was made
    Drill {
        /// Where, and how it is told of
        #[command(flatten)]
        place: Place,
        /// Again and again, at these times in UTC: cron syntax, or @hourly, @daily, @weekly
        #[arg(long, value_name = "CRON")]
        schedule: Option<String>,
    },
}

/// Where backups are, and how they are told of.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Place {
    /// /folder, s3://…, gs://… or az://…; by default the target of the settings
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs a command on the backups of a job and prints what it gave; `next` says what to do with what
/// was restored.
///
/// # Errors
/// What is wrong and what to do, as a sentence for people.
pub async fn run(job: &Job, next: &str, command: BackupCommand) -> Result<(), String> {
    if let BackupCommand::Drill {
        place,
        schedule: Some(schedule),
    } = &command
    {
        return drills(job, place, schedule).await;
    }
    print!("{}", output(job, next, command).await?);
    Ok(())
}

/// Drills at set times, for as long as there are any; one that fails is told of, and does not end it.
async fn drills(job: &Job, place: &Place, schedule: &str) -> Result<(), String> {
    let schedule = Schedule::parse(schedule).map_err(said)?;
    let target = target(job, place)?;
    while schedule.due().await.is_some() {
        match drill(job, &target, place).await {
            Ok(told) => print!("{told}"),
            Err(reason) => eprintln!("the drill failed: {reason}"),
        }
        drop(std::io::stdout().flush());
    }
    Err("the schedule has no time to come".to_owned())
}

/// Restores the newest backup into the scratch folder, as `restore` does, and removes it.
async fn drill(job: &Job, target: &Target, place: &Place) -> Result<String, String> {
    let name = named(job, target, None).await?;
    backup::clear_scratch(&job.scratch).map_err(said)?;
    let source = Arc::clone(&job.source);
    let restored = backup::restore(target, source, &name, &job.scratch.join("drill")).await;
    end_progress();
    backup::clear_scratch(&job.scratch).map_err(said)?;
    Ok(told("restored in a drill", &restored.map_err(said)?, place))
}

async fn output(job: &Job, next: &str, command: BackupCommand) -> Result<String, String> {
    let source = Arc::clone(&job.source);
    match command {
        BackupCommand::Now { place } => {
            let target = target(job, &place)?;
            let (service, node) = (&job.service, &job.node);
            let made = backup::create(&target, source, service, node, &job.scratch).await;
            end_progress();
            Ok(told("made", &made.map_err(said)?, &place))
        }
        BackupCommand::List { place } => {
            let backups = own(job, &target(job, &place)?).await?;
            Ok(table(&backups, &place))
        }
        BackupCommand::Verify { place, name } => {
            let target = target(job, &place)?;
            let name = named(job, &target, name).await?;
            let found = backup::verify(&target, source, &name, &job.scratch).await;
            end_progress();
            Ok(told("verified", &found.map_err(said)?, &place))
        }
        BackupCommand::Restore { place, name, into } => {
            let target = target(job, &place)?;
            let name = named(job, &target, name).await?;
            let restored = backup::restore(&target, source, &name, &into).await;
            end_progress();
            let manifest = restored.map_err(said)?;
            if place.json {
                return Ok(told("restored", &manifest, &place));
            }
            let told = told("restored", &manifest, &place);
            Ok(format!("{told}into {}: {}\n", into.display(), next))
        }
        BackupCommand::Drill { place, .. } => drill(job, &target(job, &place)?, &place).await,
    }
}

fn target(job: &Job, place: &Place) -> Result<Target, String> {
    let url = place.target.as_ref().or(job.settings.target.as_ref());
    let url = url.ok_or("no target is set: give --target /folder, s3://…, gs://… or az://…")?;
    let target = Target::open(url, job.environment.clone()).map_err(said)?;
    Ok(if std::io::stderr().is_terminal() {
        target.watched(Arc::new(progress))
    } else {
        target
    })
}

async fn own(job: &Job, target: &Target) -> Result<Vec<Manifest>, String> {
    let mut backups = target.list().await.map_err(said)?;
    backups.retain(|backup| backup.service == job.service);
    Ok(backups)
}

async fn named(job: &Job, target: &Target, name: Option<String>) -> Result<String, String> {
    if let Some(name) = name {
        return Ok(name);
    }
    let newest = own(job, target).await?.pop();
    newest
        .map(|newest| newest.name)
        .ok_or_else(|| format!("there is no backup of {} in the target yet", job.service))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(error: BackupError) -> String {
    error.to_string()
}

fn progress(file: &str, bytes: u64) {
    eprint!("\r{file}: {} MiB ", bytes >> 20);
    drop(std::io::stderr().flush());
}

fn end_progress() {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}

fn told(what: &str, manifest: &Manifest, place: &Place) -> String {
    if place.json {
        let mut told = json!(manifest);
        told["outcome"] = what.into();
        return format!("{told}\n");
    }
    let mut text = format!(
        "{what} {} ({} bytes, of {})\n",
        manifest.name,
        manifest.size_bytes(),
        manifest.created_at
    );
    for (name, value) in &manifest.fields {
        text.push_str(&format!("  {name}: {}\n", plain(value)));
    }
    text
}

fn table(backups: &[Manifest], place: &Place) -> String {
    if place.json {
        return format!("{}\n", json!(backups));
    }
    let mut text = format!("{:<44} {:<26} {:>14}\n", "NAME", "MADE", "BYTES");
    for backup in backups {
        text.push_str(&format!(
            "{:<44} {:<26} {:>14}\n",
            backup.name,
            backup.created_at.strftime("%Y-%m-%d %H:%M:%SZ"),
            backup.size_bytes()
        ));
    }
    text
}

fn plain(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A folder for what is on its way: in the data directory if there is one, where there is room. A node
/// that starts clears away what killed commands have left there.
#[must_use]
pub fn scratch(data_dir: &Path) -> PathBuf {
    const NAME: &str = "backup-command";
    if data_dir.is_dir() {
        data_dir.join(NAME)
    } else {
        std::env::temp_dir().join(NAME)
    }
}
