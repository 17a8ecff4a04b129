//! Backups at set times.

use std::{
    path::PathBuf,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use croner::Cron;
use futures_util::future::BoxFuture;
use jiff::{Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackupError, Manifest, Source, Target, clear_scratch, create_at, target};
use crate::{
    clock,
    health::{Check, Health},
    settings::Invalid,
    shutdown::Shutdown,
};

/// The longest sleep at a time: a clock that jumps, and a turn that comes, are noticed after so long.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// When and where backups are made, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSettings {
    /// Where backups go: /folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
    /// Credentials come from the store's own environment variables. No scheduled backups without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// When they are made, in UTC: cron syntax (`30 3 * * *`), or @hourly, @daily, @weekly.
    pub schedule: String,
    /// Days after which a backup may be removed.
    pub keep_days: u32,
    /// Backups of a node that are kept however old they are; at least one.
    pub keep_at_least: usize,
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self {
            target: None,
            schedule: "@daily".to_owned(),
            keep_days: 30,
            keep_at_least: 3,
        }
    }
}

impl BackupSettings {
    /// What cannot work, for [`crate::settings::Settings::validate`]; `section` is the key of
    /// these settings, such as `backup`.
    #[must_use]
    pub fn problems(&self, section: &str) -> Vec<Invalid> {
        let problem = |key: &str, reason: String| Invalid::new(format!("{section}.{key}"), reason);
        let mut problems = Vec::new();
        if let Err(error) = Schedule::parse(&self.schedule) {
            problems.push(problem("schedule", error.to_string()));
        }
        if let Some(Err(error)) = self.target.as_deref().map(target::check) {
            problems.push(problem("target", error.to_string()));
        }
        if self.keep_at_least == 0 {
            problems.push(problem("keep_at_least", "must be 1 or more".to_owned()));
        }
        problems
    }
}

/// Times in UTC at which something is due.
#[derive(Debug, Clone)]
pub struct Schedule(Cron);

impl Schedule {
    /// Reads cron syntax with five fields, or six with seconds first, or `@daily` and the like.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn parse(pattern: &str) -> Result<Self, BackupError> {
        let refused = |error: croner::errors::CronError| BackupError::Schedule {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        };
        Ok(Self(Cron::from_str(pattern).map_err(refused)?))
    }

    /// The first time after `now`; `None` for a pattern such as 30 February.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(TimeZone::UTC);
        self.0
            .find_next_occurrence(&now, false)
            .ok()
            .map(|next| next.timestamp())
    }

    /// Waits for the next time, as the clock has it, and gives it; `None` where there is none.
    pub async fn due(&self) -> Option<Timestamp> {
        let next = self.next_after(clock::now())?;
        reach(next).await;
        Some(next)
    }
}

/// Whether it is this process that makes the next backup.
pub type Turn = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// What is backed up at set times.
pub struct Job {
    /// When, where to, and for how long.
    pub settings: BackupSettings,
    /// The environment of the process, for the credentials of stores.
    pub environment: Vec<(String, String)>,
    /// What is backed up.
    pub source: Arc<dyn Source>,
    /// Whose backups these are; several nodes make those of one service.
    pub service: String,
    /// The node that makes them.
    pub node: String,
    /// A folder of its own for what is on its way.
    pub scratch: PathBuf,
}

/// Makes the backups of a job until the shutdown, while it is this node's turn: the first at once, then
/// one at every due time, and one as soon as can be when a due time was missed by all nodes. One that
/// fails is logged, counted, and a warning in the health; the next is made when it is due.
///
/// Metrics: `backup_last_success_timestamp_seconds` (of the newest one in the target, whichever node
/// made it), `backup_next_timestamp_seconds` (when the one after it is due), `backup_runs_total{result}`,
/// `backup_last_failure_timestamp_seconds`, `backup_duration_seconds`, `backup_size_bytes`, each with
/// the `service`. Of what several nodes say of one service, the greatest counts.
///
/// # Errors
/// A schedule that cannot be used.
pub async fn run_schedule(
    job: Job,
    turn: Turn,
    health: &Health,
    shutdown: Shutdown,
) -> Result<(), BackupError> {
    if job.settings.target.is_none() {
        return Ok(());
    }
    if let Err(error) = clear_scratch(&job.scratch) {
        tracing::warn!(%error, "what an earlier backup left behind stays");
    }
    let mut rounds = Rounds::new(job, turn)?;
    let standing = Arc::clone(&rounds.standing);
    let name = format!("{}-backup", rounds.job.service);
    health.register(name, move || standing.read().clone().check());
    loop {
        let now = clock::now();
        rounds.look(now).await;
        let soon = now + SLEEP_MAX;
        let next = rounds.schedule.next_after(clock::now());
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = reach(next.map_or(soon, |next| next.min(soon))) => {}
        }
    }
}

/// How the backups of a job stand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing has been due since the start.
    Waiting,
    /// Another node makes them.
    Elsewhere,
    /// The newest one.
    Made(Timestamp),
    /// The last one failed.
    Failed,
}

impl Standing {
    /// Anyone may read it: what went wrong names folders, and is in the log.
    fn check(&self) -> Check {
        match self {
            Self::Waiting => Check::pass("none was due since the start"),
            Self::Elsewhere => Check::pass("another node makes them"),
            Self::Made(at) => Check::pass(format!("the newest is of {at}")),
            Self::Failed => Check::warn(
                "the last backup failed: the log of this node says why; it is tried again at the \
                 next time",
            ),
        }
    }
}

struct Rounds {
    job: Job,
    turn: Turn,
    schedule: Schedule,
    /// Opened once that succeeds: a folder may be mounted later than this starts.
    target: Option<Target>,
    /// The newest backup, or the last try, as far as this node knows.
    last: Option<Timestamp>,
    standing: Arc<Shared>,
}

#[derive(Debug)]
struct Shared(RwLock<Standing>);

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Standing> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, standing: Standing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

impl Rounds {
    fn new(job: Job, turn: Turn) -> Result<Self, BackupError> {
        Ok(Self {
            schedule: Schedule::parse(&job.settings.schedule)?,
            target: None,
            last: None,
            standing: Arc::new(Shared(RwLock::new(Standing::Waiting))),
            job,
            turn,
        })
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let next = |last| self.schedule.next_after(last);
        self.last
            .is_none_or(|last| next(last).is_some_and(|next| next <= now))
    }

    /// Makes a backup if one is due and this node's to make.
    async fn look(&mut self, now: Timestamp) {
        if !(self.turn)().await {
            // Others may have made some by the time that it is.
            self.last = None;
            self.standing.set(Standing::Elsewhere);
            return;
        }
        if !self.is_due(now) {
            return;
        }
        let made = match self.make_next(now).await {
            Ok(None) => return,
            Ok(Some(made)) => Ok(made),
            Err(error) => Err(error),
        };
        self.last = Some(now);
        let result = if made.is_ok() { "ok" } else { "failed" };
        let service = self.job.service.clone();
        metrics::counter!("backup_runs_total", "service" => service, "result" => result)
            .increment(1);
        match made {
            Ok(manifest) => self.state(&manifest),
            Err(error) => {
                tracing::error!(%error, service = self.job.service, "the backup failed");
                self.standing.set(Standing::Failed);
                self.tell("backup_last_failure_timestamp_seconds", now);
            }
        }
    }

    /// Makes a backup, unless another node has made the one that is due.
    async fn make_next(&mut self, now: Timestamp) -> Result<Option<Manifest>, BackupError> {
        let target = match &self.target {
            Some(target) => target.clone(),
            None => {
                let url = self.job.settings.target.as_deref().unwrap_or_default();
                let target = Target::open(url, self.job.environment.clone())?;
                self.target.insert(target).clone()
            }
        };
        let mut backups = target.list().await?.into_iter();
        if let Some(newest) = backups.rfind(|backup| backup.service == self.job.service) {
            self.last = self.last.max(Some(newest.created_at));
            self.state(&newest);
        }
        if !self.is_due(now) {
            return Ok(None);
        }
        self.make(&target, now).await.map(Some)
    }

    async fn make(&self, target: &Target, now: Timestamp) -> Result<Manifest, BackupError> {
        let Job {
            source,
            service,
            node,
            scratch,
            settings,
            ..
        } = &self.job;
        let began = std::time::Instant::now();
        let names = (service.as_str(), node.as_str());
        let made = create_at(target, Arc::clone(source), names, scratch, now).await;
        metrics::histogram!("backup_duration_seconds", "service" => service.clone())
            .record(began.elapsed().as_secs_f64());
        let manifest = made?;
        tracing::info!(
            service,
            backup = manifest.name,
            size_bytes = manifest.size_bytes(),
            "backup made"
        );
        let pruned = target.prune_at(service, settings.keep_days, settings.keep_at_least, now);
        match pruned.await {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => tracing::info!(service, ?removed, "old backups removed"),
            Err(error) => tracing::warn!(%error, service, "old backups cannot be removed"),
        }
        Ok(manifest)
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes of files fit a double")]
    fn state(&self, newest: &Manifest) {
        self.tell("backup_last_success_timestamp_seconds", newest.created_at);
        if let Some(next) = self.schedule.next_after(newest.created_at) {
            self.tell("backup_next_timestamp_seconds", next);
        }
        metrics::gauge!("backup_size_bytes", "service" => self.job.service.clone())
            .set(newest.size_bytes() as f64);
        self.standing.set(Standing::Made(newest.created_at));
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 fit a double"
    )]
    fn tell(&self, metric: &'static str, time: Timestamp) {
        metrics::gauge!(metric, "service" => self.job.service.clone()).set(time.as_second() as f64);
    }
}

/// Sleeps until the wall clock shows `due`, whatever it does in between.
async fn reach(due: Timestamp) {
    loop {
        let left = due.duration_since(clock::now());
        let Ok(left) = Duration::try_from(left) else {
            return;
        };
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(SLEEP_MAX)).await;
    }
}

#[cfg(test)]
mod tests;
