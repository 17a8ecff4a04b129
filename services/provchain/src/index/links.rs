//! The index as the walk of [`crate::trace`] reads it.
//!
//! Everything comes in an order that the events give: a verifier, who has no index, gets the same
//! answer from them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::tables::{ROLES, action_of, role_code};
use crate::epcis::links::Role;
use crate::trace::{Links, Named, Touch};

/// Links, from an index.
pub struct IndexLinks<'a>(pub &'a Connection);

impl IndexLinks<'_> {
    /// Whether the index knows `item` at all.
    ///
    /// # Errors
    /// Those of the database.
    pub fn knows(&self, item: &str) -> rusqlite::Result<bool> {
        let id: Option<i64> = self
            .0
            .prepare_cached("SELECT id FROM item WHERE key = ?1")?
            .query_row([item], |row| row.get(0))
            .optional()?;
        Ok(id.is_some())
    }

    fn lots(&self, sql: &str, item: &str) -> rusqlite::Result<Vec<(String, u64)>> {
        self.0
            .prepare_cached(sql)?
            .query_map([item], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }
}

impl Links for IndexLinks<'_> {
    type Error = rusqlite::Error;

    fn touches(&mut self, item: &str) -> rusqlite::Result<Vec<Touch>> {
        self.0
            .prepare_cached(
                "SELECT entry, role, action, time FROM link
                 WHERE item = (SELECT id FROM item WHERE key = ?1) ORDER BY time, entry, role",
            )?
            .query_map([item], |row| {
                let role: usize = row.get(1)?;
                Ok(Touch {
                    entry: row.get(0)?,
                    role: ROLES.get(role).copied().unwrap_or(Role::Object),
                    action: action_of(row.get(2)?),
                    time: row.get(3)?,
                })
            })?
            .collect()
    }

    fn named(&mut self, entry: u64, role: Role) -> rusqlite::Result<Vec<Named>> {
        self.0
            .prepare_cached(
                "SELECT item.key, link.class FROM link JOIN item ON item.id = link.item
                 WHERE link.entry = ?1 AND link.role = ?2 ORDER BY item.key",
            )?
            .query_map(params![entry, role_code(role)], |row| {
                Ok(Named {
                    item: row.get(0)?,
                    class: row.get(1)?,
                })
            })?
            .collect()
    }

    fn lots_of(&mut self, item: &str) -> rusqlite::Result<Vec<(String, u64)>> {
        self.lots(
            "SELECT whole.key, lot.entry FROM lot
             JOIN item AS whole ON whole.id = lot.lot
             WHERE lot.instance = (SELECT id FROM item WHERE key = ?1) ORDER BY whole.key",
            item,
        )
    }

    fn instances_of(&mut self, item: &str) -> rusqlite::Result<Vec<(String, u64)>> {
        self.lots(
            "SELECT instance.key, lot.entry FROM lot
             JOIN item AS instance ON instance.id = lot.instance
             WHERE lot.lot = (SELECT id FROM item WHERE key = ?1) ORDER BY instance.key",
            item,
        )
    }
}
