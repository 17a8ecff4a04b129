//! The tables, step by step. A step that was ever released is never changed.

use deadpool_postgres::Object;

use super::StoreError;

/// A step.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number, from 1.
    pub number: i32,
    /// The statements.
    pub sql: &'static str,
}

/// All steps in order.
pub const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    sql: include_str!("../../migrations/0001_history.sql"),
}];

/// Any number that nobody else takes: who holds it migrates.
const LOCK: i64 = 0x7374_6174_7573;

/// Takes the steps that were not taken yet, all or none of them, one process at a time.
pub(super) async fn run(client: &mut Object) -> Result<(), StoreError> {
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS migration (
               number integer PRIMARY KEY, sql text NOT NULL, at timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    let taken = transaction
        .query("SELECT number, sql FROM migration ORDER BY number", &[])
        .await?;
    for (at, row) in taken.iter().enumerate() {
        let (number, sql): (i32, String) = (row.get(0), row.get(1));
        let ours = MIGRATIONS.get(at);
        if ours.is_none_or(|ours| ours.number != number || ours.sql != sql) {
            return Err(StoreError::Tables(format!(
                "step {number} was not taken by this version; run the version that took it, or a later one"
            )));
        }
    }
    for Migration { number, sql } in &MIGRATIONS[taken.len()..] {
        transaction.batch_execute(sql).await?;
        transaction
            .execute(
                "INSERT INTO migration (number, sql) VALUES ($1, $2)",
                &[number, sql],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
