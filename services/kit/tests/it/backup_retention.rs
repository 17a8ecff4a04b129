//! What of a target is removed, and what never is.

use jiff::SignedDuration;
use kit::backup::BackupError;

use super::backups::{Place, entries};

#[tokio::test]
async fn an_upload_that_breaks_off_is_no_backup_and_is_cleared_away_a_day_later() {
    let place = Place::new();
    let made = place.backup().await;
    // As a process that died just before the manifest would leave it.
    std::fs::remove_file(place.stored(&made, "manifest.json")).expect("removed");
    assert!(place.target.list().await.expect("listed").is_empty());
    let error = place
        .target
        .fetch_verified(&made.name, &place.path("restored"))
        .await
        .expect_err("no backup");
    assert!(matches!(error, BackupError::NotFound(_)), "{error}");
    place.target.prune("pantry", 1, 1).await.expect("pruned");
    assert_eq!(
        entries(&place.path("backups")),
        1,
        "it could still be under way"
    );
    let later = kit::clock::now() + SignedDuration::from_hours(25);
    std::fs::create_dir(place.path("backups/somebody-elses")).expect("made");
    std::fs::write(place.path("backups/somebody-elses/file"), "").expect("written");
    let pruned = place.target.prune_at("pantry", 1, 1, later).await;
    pruned.expect("pruned");
    assert_eq!(
        entries(&place.path("backups")),
        1,
        "what is not a backup's is left alone"
    );
    assert!(place.path("backups/somebody-elses/file").exists());
}

#[tokio::test]
async fn pruning_keeps_the_young_and_the_newest_of_every_node() {
    let place = Place::new();
    let mut names = Vec::new();
    for (node, days) in [
        ("node-1", 40),
        ("node-1", 35),
        ("node-1", 32),
        ("node-1", 2),
        ("node-2", 50),
        ("node-2", 45),
    ] {
        let mut made = place.backup().await;
        let path = place.stored(&made, "manifest.json");
        made.node = node.to_owned();
        made.created_at = kit::clock::now() - SignedDuration::from_hours(24 * days);
        std::fs::write(path, serde_json::to_vec(&made).expect("JSON")).expect("written");
        names.push(made.name);
    }
    let others = place.target.prune("cellar", 0, 1).await.expect("pruned");
    assert!(others.is_empty(), "those of another service");
    let removed = place.target.prune("pantry", 30, 2).await.expect("pruned");
    assert_eq!(removed, [names[1].clone(), names[0].clone()]);
    let left: Vec<String> = place
        .target
        .list()
        .await
        .expect("listed")
        .into_iter()
        .map(|made| made.name)
        .collect();
    assert_eq!(
        left,
        [&names[4], &names[5], &names[2], &names[3]].map(Clone::clone)
    );
}

#[tokio::test]
async fn pruning_never_removes_the_last_good_one() {
    let place = Place::new();
    let mut made = Vec::new();
    for (days, damage) in [
        (60, None),
        (50, None),
        (40, Some("salt")),
        (35, Some("salt")),
    ] {
        let mut backup = place.backup().await;
        backup.created_at = kit::clock::now() - SignedDuration::from_hours(24 * days);
        let manifest = serde_json::to_vec(&backup).expect("JSON");
        std::fs::write(place.stored(&backup, "manifest.json"), manifest).expect("written");
        if let Some(file) = damage {
            std::fs::write(place.stored(&backup, file), "s").expect("truncated");
        }
        made.push(backup);
    }
    let removed = place.target.prune("pantry", 1, 0).await.expect("pruned");
    let expected = [&made[3], &made[2], &made[0]].map(|backup| backup.name.clone());
    assert_eq!(removed, expected);
    let last = place.target.list().await.expect("listed");
    assert_eq!(last, [made[1].clone()]);
    let into = place.path("restored");
    let fetched = place.target.fetch_verified(&last[0].name, &into).await;
    fetched.expect("whole");
}
