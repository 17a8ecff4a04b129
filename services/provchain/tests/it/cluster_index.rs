//! The index is made again from the ledger, whatever became of it.

use std::path::Path;

use provchain::sample::Sample;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::api_trace::percent_encoded;
use super::cluster::{Ledger, until};

#[expect(clippy::disallowed_methods, reason = "an index, to be spoilt")]
fn spoil(folder: &Path, sql: &str) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let index = Connection::open_with_flags(folder.join("index.db"), flags).expect("an index");
    index.execute_batch(sql).expect("spoilt");
}

fn remove(folder: &Path) {
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        drop(std::fs::remove_file(folder.join(name)));
    }
}

/// Traces the recalled batch once the index holds everything: on a busy machine it takes longer to make
/// than a question waits for it.
async fn trace(ledger: &Ledger, sample: &Sample) -> Value {
    let size = ledger.tree(ledger.first()).await.size;
    until("the index is whole", async || {
        ledger.json(ledger.first(), "/api/v1/ledger").await["indexed"] == size
    })
    .await;
    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let path = format!("/api/v1/trace/{recalled}?direction=down");
    ledger.json(ledger.first(), &path).await
}

#[tokio::test]
async fn an_index_that_is_lost_foreign_or_ahead_is_made_again() {
    let ledger = Ledger::start(1).await;
    let sample = ledger.capture_sample(300, 61).await;
    let node = ledger.first();
    let before = trace(&ledger, &sample).await;
    assert!(
        before["items"].as_array().expect("items").len() > 10,
        "{before}"
    );
    let garbage = |folder: &Path| {
        remove(folder);
        std::fs::write(
            folder.join("index.db"),
            "this is no database at all".repeat(100),
        )
        .unwrap();
    };
    let spoilings: [fn(&Path); 5] = [
        remove,
        garbage,
        |folder| spoil(folder, "PRAGMA user_version = 99; DELETE FROM link;"),
        |folder| spoil(folder, "DROP TABLE progress;"),
        |folder| spoil(folder, "UPDATE progress SET next = 301; DELETE FROM link;"),
    ];
    for (which, spoiling) in spoilings.into_iter().enumerate() {
        assert!(node.stop().await.expect("stopped"));
        spoiling(&node.data_dir());
        node.start().await.expect("started");
        node.wait_ready().await.expect("ready");
        assert_eq!(trace(&ledger, &sample).await, before, "spoiling {which}");
    }
}

#[tokio::test]
async fn an_index_that_a_crash_cut_off_goes_on_and_equals_one_made_at_once() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let mut sample = Sample::new(600, 62);
    for document in sample.documents(20).collect::<Vec<_>>() {
        ledger.capture(node, &document).await;
        let size = ledger.tree(node).await.size;
        if size % 200 == 0 {
            node.kill().await.expect("killed");
            node.start().await.expect("started");
            node.wait_ready().await.expect("ready");
        }
    }
    let grown = trace(&ledger, &sample).await;
    assert!(
        grown["items"].as_array().expect("items").len() > 10,
        "{grown}"
    );
    assert!(node.stop().await.expect("stopped"));
    remove(&node.data_dir());
    node.start().await.expect("started");
    node.wait_ready().await.expect("ready");
    assert_eq!(trace(&ledger, &sample).await, grown);
}
