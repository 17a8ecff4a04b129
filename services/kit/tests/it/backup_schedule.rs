//! Backups at set times, by a node whose turn it is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::backup::{BackupSettings, Job, Target, Turn, run_schedule};
use kit::health::{Check, Health, Status};
use kit::shutdown::Shutdown;

use super::backups::{Pantry, Place, url};

/// A job that backs the pantry up every second.
fn job(target: &Path, scratch: &Path) -> Job {
    Job {
        settings: BackupSettings {
            target: Some(target.display().to_string()),
            schedule: "* * * * * *".to_owned(),
            ..BackupSettings::default()
        },
        environment: Vec::new(),
        source: Arc::new(Pantry),
        service: "pantry".to_owned(),
        node: "node-1".to_owned(),
        scratch: scratch.to_owned(),
    }
}

/// A turn that others set.
fn whenever(turn: &Arc<AtomicBool>) -> Turn {
    let turn = Arc::clone(turn);
    Arc::new(move || {
        let turn = turn.load(Ordering::SeqCst);
        Box::pin(async move { turn })
    })
}

/// What the health says of the backups.
fn health(health: &Health) -> Check {
    let checks = health.checks();
    let found = checks.into_iter().find(|(name, _)| name == "pantry-backup");
    found.map_or_else(|| Check::pass("not yet"), |(_, check)| check)
}

async fn until(mut reached: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !reached().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, waiting).await.expect("in time");
}

#[tokio::test]
async fn a_schedule_makes_backups_while_it_is_this_nodes_turn_until_the_shutdown() {
    let place = Place::new();
    let shutdown = Shutdown::new(std::time::Duration::ZERO);
    let turn = Arc::new(AtomicBool::new(false));
    let job = job(&place.path("backups"), &place.path("scratch"));
    let told = Health::new("pantry", "node-1", "1");
    let running = {
        let (turn, told, shutdown) = (whenever(&turn), told.clone(), shutdown.clone());
        tokio::spawn(async move { run_schedule(job, turn, &told, shutdown).await })
    };
    until(async || health(&told).detail.contains("another node")).await;
    assert!(place.target.list().await.expect("listed").is_empty());
    turn.store(true, Ordering::SeqCst);
    until(async || place.target.list().await.expect("listed").len() > 1).await;
    assert!(health(&told).detail.contains("the newest"));
    shutdown.request("a test");
    running.await.expect("not panicked").expect("ended");
}

#[tokio::test]
async fn a_dead_target_is_a_warning_and_is_tried_again() {
    let place = Place::new();
    let shutdown = Shutdown::new(std::time::Duration::ZERO);
    let dead = place.path("mounted-later");
    std::fs::write(&dead, "no folder").expect("written");
    let left = place.path("scratch/backup-of-a-process-that-was-killed");
    std::fs::create_dir_all(&left).expect("made");
    let turn = Arc::new(AtomicBool::new(true));
    let job = job(&dead.join("backups"), &place.path("scratch"));
    let told = Health::new("pantry", "node-1", "1");
    let running = {
        let (turn, told, shutdown) = (whenever(&turn), told.clone(), shutdown.clone());
        tokio::spawn(async move { run_schedule(job, turn, &told, shutdown).await })
    };
    until(async || health(&told).status == Status::Warn).await;
    let detail = health(&told).detail;
    assert!(!detail.contains("mounted-later"), "{detail}");
    assert!(!left.exists(), "what was left behind is cleared away");
    std::fs::remove_file(&dead).expect("removed");
    until(async || health(&told).status == Status::Pass).await;
    let target = Target::open(&url(&dead.join("backups")), []).expect("a target");
    assert!(!target.list().await.expect("listed").is_empty());
    shutdown.request("a test");
    running.await.expect("not panicked").expect("ended");
}
