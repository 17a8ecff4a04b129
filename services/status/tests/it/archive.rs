//! The archive of PostgreSQL's write-ahead log.

use std::fs;
use std::path::Path;

use devcluster::Cluster;
use tokio_postgres::{Client, NoTls};

use crate::harness::{DATABASE_ONLY, database, folder, front_door, start_again, until};

async fn connect(cluster: &Cluster) -> Client {
    let (client, connection) = database(cluster).connect(NoTls).await.expect("connected");
    tokio::spawn(connection);
    client
}

/// The name of the segment that is written to now.
async fn segment(client: &Client) -> String {
    let name = "SELECT pg_walfile_name(pg_current_wal_lsn())";
    client.query_one(name, &[]).await.expect("a name").get(0)
}

async fn finish_segment(client: &Client, value: i32) {
    let sql = "INSERT INTO kept VALUES ($1)";
    client.execute(sql, &[&value]).await.expect("written");
    client
        .execute("SELECT pg_switch_wal()", &[])
        .await
        .expect("finished");
}

async fn archived(archive: &Path, segment: &str) {
    let path = archive.join(segment);
    until("the segment is archived", async || {
        path.exists().then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_archive_brings_back_what_was_written_after_the_base_backup_and_overwrites_nothing() {
    let dir = folder();
    let cluster = front_door(dir.path(), DATABASE_ONLY)
        .start()
        .await
        .expect("started");
    cluster.wait_healthy().await.expect("healthy");
    let node = cluster.node("database").expect("there");
    let (data, archive) = (
        node.data_dir().join("pgdata"),
        node.data_dir().join("archive"),
    );
    let base = node.data_dir().join("base");
    let client = connect(&cluster).await;
    client
        .batch_execute("CREATE TABLE kept (value integer)")
        .await
        .expect("made");
    assert!(node.stop().await.expect("stopped"), "by itself");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&data, &base])
        .status();
    assert!(copied.expect("cp runs").success());
    start_again(node).await;

    // A segment of this name is there already, from another life: it stays as it is.
    let client = connect(&cluster).await;
    let name = segment(&client).await;
    fs::write(archive.join(&name), "of another life").expect("written");
    finish_segment(&client, 1).await;
    until("the archiver has failed", async || {
        let failed = "SELECT failed_count FROM pg_stat_archiver";
        let failed: i64 = client.query_one(failed, &[]).await.ok()?.get(0);
        (failed > 0).then_some(())
    })
    .await;
    assert_eq!(
        fs::read(archive.join(&name)).expect("readable"),
        b"of another life"
    );
    fs::remove_file(archive.join(&name)).expect("removed");
    archived(&archive, &name).await;
    let next = segment(&client).await;
    finish_segment(&client, 2).await;
    archived(&archive, &next).await;

    // The disk is lost; README.md of the front door says what is done.
    node.kill().await.expect("killed");
    fs::remove_dir_all(&data).expect("lost");
    fs::rename(&base, &data).expect("put in its place");
    let restore = format!(
        "restore_command = 'cp \"{}/%f\" \"%p\"'\n",
        archive.display()
    );
    let settings = data.join("postgresql.auto.conf");
    let before = fs::read_to_string(&settings).expect("readable");
    fs::write(&settings, before + &restore).expect("written");
    fs::write(data.join("recovery.signal"), "").expect("written");
    start_again(node).await;
    let sum = until("all is back", async || {
        let (client, connection) = database(&cluster).connect(NoTls).await.ok()?;
        tokio::spawn(connection);
        let sum = client.query_one("SELECT sum(value) FROM kept", &[]).await;
        sum.ok()?.get::<_, Option<i64>>(0)
    })
    .await;
    assert_eq!(sum, 1 + 2);
}
