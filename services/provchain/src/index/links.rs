//! The index as the walk of [`crate::trace`] reads it.
//!
//! Everything comes in an order that the events give: a verifier, who has no index, gets the same
//! answer from them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::tables::{ROLES, action_of, events, role_code};
use super::visible::{Eyes, visible};
use crate::access::Viewer;
use crate::epcis::links::Role;
use crate::trace::{Facts, Links, Named, Touch};

/// Links, from an index: of the events that the viewer may read, and of no other.
pub struct IndexLinks<'a> {
    index: &'a Connection,
    eyes: Eyes,
    /// Entries from here on take no part.
    size: u64,
    /// One statement is asked once for every item of a walk.
    sql: Sql,
}

struct Sql {
    touches: String,
    lots_of: String,
    instances_of: String,
}

impl<'a> IndexLinks<'a> {
    /// The links that `viewer` may know of, as the first `size` entries told them.
    #[must_use]
    pub fn new(index: &'a Connection, viewer: &Viewer, size: u64) -> Self {
        let visible = visible(2);
        let lots = |other: &str, of: &str| {
            format!(
                "SELECT item.key, lot.entry FROM lot
                 JOIN event ON event.entry = lot.entry
                 JOIN item ON item.id = lot.{other}
                 WHERE lot.{of} = (SELECT id FROM item WHERE key = ?1)
                   AND lot.entry < ?3 AND {visible}
                 ORDER BY item.key, lot.entry"
            )
        };
        Self {
            index,
            eyes: viewer.into(),
            // The database's numbers have a sign.
            size: size.min(i64::MAX.unsigned_abs()),
            sql: Sql {
                touches: format!(
                    "SELECT link.entry, link.role, link.action, link.time FROM link
                     JOIN event ON event.entry = link.entry
                     WHERE link.item = (SELECT id FROM item WHERE key = ?1)
                       AND link.entry < ?3 AND {visible}
                     ORDER BY link.time, link.entry, link.role"
                ),
                lots_of: lots("lot", "instance"),
                instances_of: lots("instance", "lot"),
            },
        }
    }

    /// Whether any event that the viewer may read names `item`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn knows(&self, item: &str) -> rusqlite::Result<bool> {
        let visible = visible(2);
        let arm = |table: &str, column: &str| {
            format!(
                "SELECT 1 FROM {table} JOIN event ON event.entry = {table}.entry
                 WHERE {column} = (SELECT id FROM item WHERE key = ?1)
                   AND {table}.entry < ?3 AND {visible}"
            )
        };
        let arms = [
            arm("link", "item"),
            arm("lot", "lot"),
            arm("lot", "instance"),
        ];
        let named: Option<i64> = self
            .index
            .prepare_cached(&format!("{} LIMIT 1", arms.join(" UNION ALL ")))?
            .query_row(params![item, self.eyes, self.size], |row| row.get(0))
            .optional()?;
        Ok(named.is_some())
    }

    fn lots(&self, sql: &str, item: &str) -> rusqlite::Result<Vec<(String, u64)>> {
        self.index
            .prepare_cached(sql)?
            .query_map(params![item, self.eyes, self.size], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect()
    }
}

impl Links for IndexLinks<'_> {
    type Error = rusqlite::Error;

    fn touches(&mut self, item: &str) -> rusqlite::Result<Vec<Touch>> {
        self.index
            .prepare_cached(&self.sql.touches)?
            .query_map(params![item, self.eyes, self.size], |row| {
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
        // Only entries that were found by another link are asked for.
        self.index
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
        self.lots(&self.sql.lots_of, item)
    }

    fn instances_of(&mut self, item: &str) -> rusqlite::Result<Vec<(String, u64)>> {
        self.lots(&self.sql.instances_of, item)
    }

    fn facts(&mut self, entry: u64) -> rusqlite::Result<Option<Facts>> {
        let row = events(self.index, [entry])?.pop();
        Ok(row.map(|row| row.facts()))
    }
}
