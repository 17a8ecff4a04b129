//! What the events that a viewer may read name: the top-level resources of the REST binding.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::tables::{Kinds, role_code};
use super::visible::{Eyes, visible};
use crate::access::Viewer;
use crate::epcis::links::Role;
use crate::query::{Fields, Word};

/// Longest name in a list, in bytes: a longer one would not fit into an address.
const NAME_BYTES_MAX: usize = 2048;

/// A collection of what events name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Words of a field, which are written as they are in queries.
    Words(Word),
    /// Identifiers of single things.
    Epcs,
    /// Where events took place.
    ReadPoints,
    /// Where things were thereafter.
    BizLocations,
}

/// Which part of a collection.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// The collection.
    pub collection: Collection,
    /// Whose eyes look.
    pub viewer: &'a Viewer,
    /// The entries below count.
    pub size: u64,
    /// The name that the list goes on behind.
    pub after: &'a str,
    /// Most names.
    pub limit: usize,
}

impl Listing<'_> {
    /// The next names, in their order. Words of the standard are always among them: what is known is
    /// not what has been seen.
    ///
    /// # Errors
    /// Those of the database.
    pub fn names(&self, index: &Connection) -> rusqlite::Result<Vec<String>> {
        let mut names = self.seen(index)?;
        if let Collection::Words(word) = self.collection {
            let standard = word.standard().iter().filter(|word| **word > self.after);
            names.extend(standard.map(|word| (*word).to_owned()));
            names.sort_unstable();
            names.dedup();
            names.truncate(self.limit);
        }
        Ok(names)
    }

    /// Whether `name` is in the collection.
    ///
    /// # Errors
    /// Those of the database.
    pub fn has(&self, index: &Connection, name: &str) -> rusqlite::Result<bool> {
        if let Collection::Words(word) = self.collection
            && word.standard().contains(&name)
        {
            return Ok(true);
        }
        let (table, column, seen) = self.sql();
        let sql = format!("SELECT 1 FROM {table} AND {column} = ?3 AND {seen}");
        let found: Option<i64> = index
            .prepare_cached(&sql)?
            .query_row(params![Eyes::from(self.viewer), self.size, name], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(found.is_some())
    }

    fn seen(&self, index: &Connection) -> rusqlite::Result<Vec<String>> {
        let (table, column, seen) = self.sql();
        let sql = format!(
            "SELECT {column} FROM {table} AND {column} > ?3
             AND length({column}) <= {NAME_BYTES_MAX} AND {seen} ORDER BY {column} LIMIT ?4"
        );
        index
            .prepare_cached(&sql)?
            .query_map(
                params![Eyes::from(self.viewer), self.size, self.after, self.limit],
                |row| row.get(0),
            )?
            .collect()
    }

    /// The table and what restricts it to the collection; the column with the names; and whether an
    /// event that the viewer may read has one.
    fn sql(&self) -> (String, &'static str, String) {
        let visible = visible(1);
        let link = |of: String| {
            format!(
                "EXISTS (SELECT 1 FROM link JOIN event ON event.entry = link.entry
                 WHERE link.item = item.id AND {of} AND event.entry < ?2 AND {visible})"
            )
        };
        let role = |role| link(format!("link.role = {}", role_code(role)));
        let items =
            |index: &str, kinds: Kinds| format!("item {index} WHERE item.kinds & {}", kinds.bits());
        match self.collection {
            Collection::Words(word) => (
                format!("word WHERE word.name = '{}'", word.name()),
                "word.value",
                format!(
                    "EXISTS (SELECT 1 FROM attribute JOIN event ON event.entry = attribute.entry
                     WHERE attribute.word = word.id AND event.entry < ?2 AND {visible})"
                ),
            ),
            Collection::Epcs => (
                items("", Kinds::EPC),
                "item.key",
                link(format!("link.fields & {}", Fields::ANY_EPC.bits())),
            ),
            Collection::ReadPoints => (
                items("INDEXED BY read_point", Kinds::READ_POINT),
                "item.key",
                role(Role::ReadPoint),
            ),
            Collection::BizLocations => (
                items("INDEXED BY biz_location", Kinds::BIZ_LOCATION),
                "item.key",
                role(Role::BizLocation),
            ),
        }
    }
}
