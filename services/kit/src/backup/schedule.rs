//! Backups at set times.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackupError, Source, Target, create};
use crate::{clock, settings::Invalid, shutdown::Shutdown};

/// The longest sleep at a time: a clock that jumps is noticed after so long.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// When and where backups are made, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSettings {
    /// Where backups go: file:///folder, s3://bucket/prefix, gs://bucket/prefix or
    /// az://container/prefix. Credentials come from the store's own environment variables. No
    /// scheduled backups without it.
    pub target: Option<String>,
    /// When they are made, in UTC: cron syntax (`30 3 * * *`), or @hourly, @daily, @weekly.
    pub schedule: String,
    /// Days after which a backup may be removed.
    pub keep_days: u32,
    /// Backups of a node that are kept however old they are.
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
        let problem =
            |error: BackupError| Invalid::new(format!("{section}.schedule"), error.to_string());
        Schedule::parse(&self.schedule)
            .err()
            .map(problem)
            .into_iter()
            .collect()
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
}

/// Makes a backup at every due time and prunes the target, until the shutdown. States as metrics
/// how it goes: `backup_last_success_timestamp_seconds` (also of backups from before the start),
/// `backup_runs_total{result}`, `backup_duration_seconds`, `backup_size_bytes`.
///
/// # Errors
/// A target or schedule that cannot be used; a backup that fails is logged and counted, and the
/// next one is made when it is due.
pub async fn run_schedule(
    settings: BackupSettings,
    environment: Vec<(String, String)>,
    source: Arc<dyn Source>,
    (service, node): (String, String),
    scratch: PathBuf,
    shutdown: Shutdown,
) -> Result<(), BackupError> {
    let Some(url) = &settings.target else {
        return Ok(());
    };
    let schedule = Schedule::parse(&settings.schedule)?;
    let target = Target::open(url, environment)?;
    state_last(&target, &service, &node).await;
    while let Some(due) = schedule.next_after(clock::now()) {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = reach(due) => {}
        }
        let began = std::time::Instant::now();
        let made = create(&target, source.clone(), &service, &node, &scratch).await;
        metrics::histogram!("backup_duration_seconds").record(began.elapsed().as_secs_f64());
        let result = if made.is_ok() { "ok" } else { "failed" };
        metrics::counter!("backup_runs_total", "result" => result).increment(1);
        match made {
            Ok(manifest) => {
                state_success(manifest.created_at, manifest.size_bytes());
                tracing::info!(
                    backup = manifest.name,
                    size_bytes = manifest.size_bytes(),
                    "backup made"
                );
                if let Err(error) = target
                    .prune(settings.keep_days, settings.keep_at_least)
                    .await
                {
                    tracing::warn!(%error, "old backups cannot be removed");
                }
            }
            Err(error) => tracing::error!(%error, "the backup failed"),
        }
    }
    Ok(())
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

async fn state_last(target: &Target, service: &str, node: &str) {
    match target.list().await {
        Ok(backups) => {
            let own = backups
                .into_iter()
                .rfind(|backup| backup.service == service && backup.node == node);
            if let Some(last) = own {
                state_success(last.created_at, last.size_bytes());
            }
        }
        Err(error) => tracing::error!(%error, "the backup target cannot be read"),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 and sizes of files fit a double"
)]
fn state_success(at: Timestamp, size_bytes: u64) {
    metrics::gauge!("backup_last_success_timestamp_seconds").set(at.as_second() as f64);
    metrics::gauge!("backup_size_bytes").set(size_bytes as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(pattern: &str, now: &str) -> Option<String> {
        let schedule = Schedule::parse(pattern).expect("a schedule");
        schedule
            .next_after(now.parse().expect("a time"))
            .map(|time| time.to_string())
    }

    #[test]
    fn the_next_time_is_in_utc_and_never_now() {
        assert_eq!(
            next("@daily", "2026-02-28T12:00:00Z").as_deref(),
            Some("2026-03-01T00:00:00Z")
        );
        assert_eq!(
            next("@daily", "2026-03-01T00:00:00Z").as_deref(),
            Some("2026-03-02T00:00:00Z")
        );
        assert_eq!(
            next("30 3 * * 1", "2026-11-21T00:00:00Z").as_deref(),
            Some("2026-11-23T03:30:00Z")
        );
    }

    #[test]
    fn a_time_that_never_comes_is_never_due() {
        assert_eq!(next("0 0 30 2 *", "2026-01-01T00:00:00Z"), None);
    }

    #[test]
    fn what_is_not_a_schedule_is_refused_with_what_would_be() {
        let error = Schedule::parse("at dawn")
            .expect_err("not a schedule")
            .to_string();
        assert!(
            error.contains("\"at dawn\"") && error.contains("@daily"),
            "{error}"
        );
    }
}
