//! Taking entries out of the index, so that nothing of them is left in its files.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};
use serde_json::json;

use super::tables::{Kinds, beside, role_code};
use crate::epcis::links::Role;
use crate::query::Fields;

/// Takes entries out, and what only they named.
pub(super) fn erase(state: &Transaction<'_>, entries: &[u64]) -> rusqlite::Result<()> {
    const THESE: &str = "(SELECT value FROM json_each(?1))";
    let these = json!(entries).to_string();
    let numbers = |sql: &str| -> rusqlite::Result<Vec<i64>> {
        let mut select = state.prepare(&sql.replace("THESE", THESE))?;
        let rows = select.query_map([&these], |row| row.get(0))?;
        rows.collect()
    };
    let indexed = numbers("SELECT entry FROM event WHERE entry IN THESE")?;
    let locked = format!("DELETE FROM locked WHERE entry IN {THESE}");
    state.execute(&locked, [&these])?;
    if indexed.is_empty() {
        return Ok(());
    }
    let items = numbers(
        "SELECT item FROM link WHERE entry IN THESE
         UNION SELECT instance FROM lot WHERE entry IN THESE
         UNION SELECT lot FROM lot WHERE entry IN THESE",
    )?;
    let words = numbers("SELECT DISTINCT word FROM attribute WHERE entry IN THESE")?;
    for table in ["event", "link", "lot", "attribute"] {
        let sql = format!("DELETE FROM {table} WHERE entry IN {THESE}");
        state.execute(&sql, [&these])?;
    }
    for item in items {
        forget_item(state, item)?;
    }
    for word in words {
        state
            .prepare_cached(
                "DELETE FROM word WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM attribute WHERE word = ?1)",
            )?
            .execute([word])?;
    }
    Ok(())
}

/// Removes an item that nothing names any more, or makes of it what the events that are left do.
fn forget_item(state: &Transaction<'_>, item: i64) -> rusqlite::Result<()> {
    let gone = state
        .prepare_cached(
            "DELETE FROM item WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM link WHERE item = ?1)
             AND NOT EXISTS (SELECT 1 FROM lot WHERE instance = ?1 OR lot = ?1)",
        )?
        .execute([item])?;
    if gone == 0 {
        state
            .prepare_cached(
                "UPDATE item SET kinds =
                     ?2 * EXISTS (SELECT 1 FROM link WHERE item = ?1 AND role = ?3)
                     + ?4 * EXISTS (SELECT 1 FROM link WHERE item = ?1 AND role = ?5)
                     + ?6 * EXISTS (SELECT 1 FROM link WHERE item = ?1 AND role NOT IN (?3, ?5)
                                    AND fields & ?7)
                 WHERE id = ?1",
            )?
            .execute(params![
                item,
                Kinds::READ_POINT.bits(),
                role_code(Role::ReadPoint),
                Kinds::BIZ_LOCATION.bits(),
                role_code(Role::BizLocation),
                Kinds::EPC.bits(),
                Fields::ANY_EPC.bits()
            ])?;
    }
    Ok(())
}

/// Writes everything that is in the index into a new file, which takes the place of the old one: where
/// pages were split and merged, a database keeps pieces of rows that were deleted since, in places that
/// it does not know of.
///
/// Whoever reads the old file goes on until it ends; whoever opens the path from here on must not be
/// kept from it by a lock that is held while this runs.
pub(super) fn rewrite(writer: &Connection, path: &Path) -> rusqlite::Result<()> {
    let fresh = beside(path, "-new");
    super::tables::remove(&fresh);
    writer.execute("VACUUM INTO ?1", [fresh.to_string_lossy()])?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the index is no replicated state"
    )]
    let copy = Connection::open(&fresh)?;
    copy.execute("UPDATE progress SET cleaned = erased", [])?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Puts the new file in the place of the old one. A crash in between leaves a mark, and the index is made
/// again: the log of the old file must not meet the new one.
pub(super) fn adopt(path: &Path) -> std::io::Result<()> {
    let (fresh, mark) = (beside(path, "-new"), beside(path, "-swap"));
    std::fs::File::open(&fresh)?.sync_all()?;
    std::fs::File::create(&mark)?.sync_all()?;
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    kit::fsync::rename(&fresh, path)?;
    std::fs::remove_file(mark)
}
