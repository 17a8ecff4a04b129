use std::path::Path;

use serde_json::{Map, Value};

use super::super::SourceError;
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

/// One file.
struct Salt;

impl Source for Salt {
    fn snapshot(&self, into: &Path) -> Result<Map<String, Value>, SourceError> {
        std::fs::write(into.join("salt"), "salt")?;
        Ok(Map::new())
    }

    fn verify(&self, _: &Path, _: &Map<String, Value>) -> Result<(), SourceError> {
        Ok(())
    }
}

/// A node that backs up into `folder` every day.
fn rounds(folder: &Path, node: &str) -> Rounds {
    let job = Job {
        settings: BackupSettings {
            target: Some(folder.join("backups").display().to_string()),
            keep_days: 2,
            keep_at_least: 1,
            ..BackupSettings::default()
        },
        environment: Vec::new(),
        source: Arc::new(Salt),
        service: "pantry".to_owned(),
        node: node.to_owned(),
        scratch: folder.join("scratch"),
    };
    let turn: Turn = Arc::new(|| Box::pin(async { true }));
    Rounds::new(job, turn).expect("a schedule")
}

/// The times of all backups, after a node has looked at `now`.
async fn times(rounds: &mut Rounds, now: &str) -> Vec<String> {
    rounds.look(now.parse().expect("a time")).await;
    let target = rounds.target.as_ref().expect("a target");
    let backups = target.list().await.expect("listed").into_iter();
    backups
        .map(|backup| backup.created_at.to_string())
        .collect()
}

#[tokio::test]
async fn what_is_due_is_made_once_by_whichever_node_has_the_turn_and_made_up_for_when_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut one, mut other) = (rounds(folder.path(), "n1"), rounds(folder.path(), "n2"));
    let first = "2026-03-01T05:00:00Z";
    assert_eq!(times(&mut one, first).await, [first], "the first at once");
    assert_eq!(times(&mut one, "2026-03-01T23:59:59Z").await, [first]);
    // The turn moves over midnight: the next node makes it, and the one before hears of it.
    let second = "2026-03-02T00:00:03Z";
    assert_eq!(times(&mut other, second).await, [first, second]);
    let later = "2026-03-02T00:00:05Z";
    assert_eq!(times(&mut one, later).await, [first, second]);
    // All were down for the next one: it is made up for as soon as one is back, and then the
    // next is due at its time.
    let third = "2026-03-03T04:00:00Z";
    let mut back = rounds(folder.path(), "n1");
    assert_eq!(times(&mut back, third).await, [first, second, third]);
    assert_eq!(times(&mut back, "2026-03-03T23:00:00Z").await.len(), 3);
    // What is older than two days goes; of each node one stays.
    let fourth = "2026-03-04T00:00:00Z";
    assert_eq!(times(&mut back, fourth).await, [second, third, fourth]);
}

fn folder_with_a_dead_target() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let dead = folder.path().join("backups");
    std::fs::write(&dead, "no folder").expect("written");
    (folder, dead)
}

#[tokio::test]
async fn what_failed_is_tried_again_at_the_next_time_and_not_before() {
    let (folder, dead) = folder_with_a_dead_target();
    let mut rounds = rounds(folder.path(), "n1");
    let at = |time: &str| time.parse().expect("a time");
    rounds.look(at("2026-03-01T05:00:00Z")).await;
    assert_eq!(*rounds.standing.read(), Standing::Failed);
    std::fs::remove_file(&dead).expect("removed");
    rounds.look(at("2026-03-01T06:00:00Z")).await;
    assert_eq!(*rounds.standing.read(), Standing::Failed);
    let next = "2026-03-02T00:00:00Z";
    assert_eq!(times(&mut rounds, next).await, [next]);
    assert_ne!(*rounds.standing.read(), Standing::Failed);
}

#[tokio::test]
async fn metrics_tell_when_one_failed_and_when_the_next_is_due_by_the_schedule() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let told = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let says = |name: &str, time: &str| {
        let time: Timestamp = time.parse().expect("a time");
        let line = format!("backup_{name}{{service=\"pantry\"}} {}\n", time.as_second());
        assert!(told.render().contains(&line), "{line}");
    };
    let (folder, dead) = folder_with_a_dead_target();
    let mut rounds = rounds(folder.path(), "n1");
    let failed = "2026-03-01T05:00:00Z";
    rounds.look(failed.parse().expect("a time")).await;
    says("last_failure_timestamp_seconds", failed);
    std::fs::remove_file(&dead).expect("removed");
    let made = "2026-03-02T00:00:01Z";
    assert_eq!(times(&mut rounds, made).await, [made]);
    says("last_success_timestamp_seconds", made);
    says("next_timestamp_seconds", "2026-03-03T00:00:00Z");
}
