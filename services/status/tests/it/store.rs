//! The history in a real PostgreSQL.

use std::str::FromStr as _;

use jiff::{Timestamp, ToSpan as _};
use status::report::Note;
use status::store::{Down, MIGRATIONS, Retention, Round, Sample, Store, StoreError};
use tokio_postgres::NoTls;

use crate::harness::{DATABASE_ONLY, database, folder, front_door};

fn at(text: &str) -> Timestamp {
    Timestamp::from_str(text).expect("a time")
}

fn round(at: Timestamp, nodes: &[(&str, bool)]) -> Round {
    let sample = |&(node, up): &(&str, bool)| Sample {
        system: "a".to_owned(),
        node: node.to_owned(),
        up,
        seconds: 0.25,
        detail: "said".to_owned(),
    };
    Round {
        at,
        samples: nodes.iter().map(sample).collect(),
        down: Vec::new(),
        undecided: Vec::new(),
    }
}

fn down(node: &str, since: Timestamp) -> Down {
    Down {
        system: "a".to_owned(),
        node: node.to_owned(),
        since,
        reason: "refused".to_owned(),
    }
}

#[tokio::test]
async fn history_is_written_rolled_up_kept_as_long_as_asked_and_told() {
    let dir = folder();
    let cluster = front_door(dir.path(), DATABASE_ONLY)
        .start()
        .await
        .expect("started");
    cluster.wait_healthy().await.expect("healthy");
    let store = Store::new(database(&cluster));
    store.migrate().await.expect("migrated");
    store
        .migrate()
        .await
        .expect("a second time changes nothing");

    // Days: each round counts once, however often it is written, and in its own day.
    let evening = at("2026-11-30T23:59:59Z");
    let night = at("2026-12-01T00:00:01Z");
    for _ in 0..2 {
        store
            .record(&round(evening, &[("n1", true), ("n2", true)]))
            .await
            .expect("written");
    }
    store
        .record(&round(night, &[("n1", true), ("n2", false)]))
        .await
        .expect("written");
    let history = store.history(night, 90).await.expect("read");
    let days: Vec<_> = history.days["a"]
        .iter()
        .map(|day| (day.day.as_str(), day.probes, day.up))
        .collect();
    assert_eq!(days, [("2026-11-30", 2, 2), ("2026-12-01", 2, 1)]);
    assert_eq!(
        store.history(night, 1).await.expect("read").days["a"].len(),
        1,
        "today only"
    );

    // Incidents: opened once with the first failure, kept open while nothing is decided, closed.
    let mut bad = round(night + 1.second(), &[("n2", false)]);
    bad.down.push(down("n2", night));
    for _ in 0..2 {
        store.record(&bad).await.expect("written");
    }
    let mut undecided = round(night + 2.seconds(), &[("n2", true)]);
    undecided.undecided.push(("a".to_owned(), "n2".to_owned()));
    store.record(&undecided).await.expect("written");
    let incidents = store.history(night, 90).await.expect("read").incidents;
    assert_eq!(incidents.len(), 1);
    let (id, opened) = (incidents[0].id, incidents[0].opened_at);
    assert_eq!((opened, incidents[0].closed_at), (night, None));

    // Notes, as they were written: text is text.
    let hostile = "'; DROP TABLE note; -- <script>alert(1)</script>\nné 漢";
    let note = |author: &str, text: &str| Note {
        at: night,
        author: author.to_owned(),
        text: text.to_owned(),
    };
    store
        .note(id, &note("ops", hostile))
        .await
        .expect("written");
    assert!(matches!(
        store.note(id + 1000, &note("ops", "x")).await,
        Err(StoreError::NoIncident(_))
    ));
    for (author, text) in [
        ("", "x"),
        ("ops", " "),
        ("a\nb", "x"),
        ("ops", "\u{0}"),
        ("ops", &"x".repeat(2001)),
    ] {
        let refused = store.note(id, &note(author, text)).await;
        assert!(
            matches!(refused, Err(StoreError::Invalid(_))),
            "{author:?} {text:?}"
        );
    }

    let good = round(night + 3.seconds(), &[("n2", true)]);
    store.record(&good).await.expect("written");
    let incidents = store.history(night, 90).await.expect("read").incidents;
    assert_eq!(incidents[0].closed_at, Some(night + 3.seconds()));
    assert_eq!(incidents[0].notes.len(), 1);
    assert_eq!(incidents[0].notes[0].text, hostile);
    bad.at = night + 4.seconds();
    store.record(&bad).await.expect("written");
    let incidents = store.history(night, 90).await.expect("read").incidents;
    assert_eq!(incidents.len(), 2, "a new failure is a new incident");

    // Retention: only what is old enough goes, and an open incident stays however old it is.
    let keep = Retention {
        sample_hours: 48,
        history_days: 90,
    };
    assert_eq!(store.retain(keep, night).await.expect("kept"), [0, 0, 0]);
    assert_eq!(
        store.retain(keep, night + 72.hours()).await.expect("kept"),
        [8, 0, 0]
    );
    let later = night + (91 * 24).hours();
    assert_eq!(store.retain(keep, later).await.expect("kept"), [0, 4, 1]);
    let incidents = store.history(later, 90).await.expect("read").incidents;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].closed_at, None);
}

#[tokio::test]
async fn tables_of_another_version_are_left_alone_and_a_new_database_gets_its_own() {
    let dir = folder();
    let cluster = front_door(dir.path(), DATABASE_ONLY)
        .start()
        .await
        .expect("started");
    cluster.wait_healthy().await.expect("healthy");
    let store = Store::new(database(&cluster));
    let now = at("2026-12-01T12:00:00Z");
    store
        .record(&round(now, &[("n1", true)]))
        .await
        .expect("written, tables and all");

    let (client, connection) = database(&cluster).connect(NoTls).await.expect("connected");
    tokio::spawn(connection);
    let next = i32::try_from(MIGRATIONS.len()).expect("small") + 1;
    let sql = format!("INSERT INTO migration (number, sql) VALUES ({next}, 'later')");
    client.batch_execute(&sql).await.expect("written");
    let refused = Store::new(database(&cluster)).history(now, 90).await;
    assert!(matches!(refused, Err(StoreError::Tables(_))), "{refused:?}");

    // As if an empty database had taken its place.
    client
        .batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await
        .expect("emptied");
    assert!(
        store.history(now, 90).await.is_err(),
        "what was known is gone"
    );
    store
        .record(&round(now, &[("n1", true)]))
        .await
        .expect("written, tables and all");
    assert_eq!(
        store.history(now, 90).await.expect("read").days["a"].len(),
        1
    );
}
