//! Drills: that the newest backup can be restored is shown before it is needed.

use super::cluster::{Ledger, until};
use super::cluster_backup::{done, keys, on_the_machine_of, refused, text};

#[tokio::test]
async fn a_drill_restores_the_newest_backup_and_leaves_nothing_behind() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(20, 84).await;
    let (keys, target) = (keys(&ledger).await, ledger.scratch("backups"));
    let node = ledger.first();
    let drill = [
        "drill",
        "--target",
        text(&target),
        "--keys-file",
        text(&keys),
    ];
    let none = refused(&ledger, node, &drill);
    assert!(none.contains("no backup"), "{none}");
    let now = ["now", "--target", text(&target)];
    done(&ledger, node, &now);
    let newest = done(&ledger, node, &now);
    let drilled = done(&ledger, node, &drill);
    assert_eq!(drilled["outcome"], "restored in a drill");
    assert_eq!(drilled["name"], newest["name"]);
    assert!(!consensus::backup_scratch(&node.data_dir()).exists());

    let state = target
        .join(newest["name"].as_str().expect("a name"))
        .join("state");
    let state = std::fs::read_dir(state)
        .expect("a folder")
        .map(|file| file.expect("a file").path());
    let database = state.max_by_key(|path| path.metadata().map_or(0, |file| file.len()));
    let database = database.expect("the database");
    let mut bytes = std::fs::read(&database).expect("it");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&database, bytes).expect("written");
    let damaged = refused(&ledger, node, &drill);
    assert!(damaged.contains("SHA-256"), "{damaged}");
    assert!(!consensus::backup_scratch(&node.data_dir()).exists());
}

#[tokio::test]
async fn drills_at_set_times_go_on_after_one_that_failed() {
    let ledger = Ledger::start(1).await;
    let (target, output) = (
        ledger.scratch("backups"),
        ledger.scratch("told").join("drills"),
    );
    let node = ledger.first();
    let written = std::fs::File::create(&output).expect("a file");
    let mut drills = on_the_machine_of(&ledger, node)
        .args(["backup", "drill", "--schedule", "* * * * * *", "--target"])
        .arg(&target)
        .stderr(written.try_clone().expect("a file"))
        .stdout(written)
        .spawn()
        .expect("it runs");
    let told = |what: &str| std::fs::read_to_string(&output).is_ok_and(|text| text.contains(what));
    until("a drill fails", async || {
        told("the drill failed: there is no backup")
    })
    .await;
    done(&ledger, node, &["now", "--target", text(&target)]);
    until("a drill succeeds", async || told("restored in a drill")).await;
    drills.kill().expect("it runs still");
    drills.wait().expect("it ends");
}
