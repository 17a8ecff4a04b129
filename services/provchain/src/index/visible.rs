//! The part of a query that leaves out what its viewer may not read.

use rusqlite::ToSql;
use rusqlite::types::ToSqlOutput;
use serde_json::json;

use crate::access::{Viewer, Visibility};

/// The condition under which an event may be read. Every query that gives anything of an event carries
/// it, on the table `event`, and binds [`Eyes`] to the parameter of this number. The text is the same
/// for every viewer, so that a statement is prepared once.
#[must_use]
pub fn visible(parameter: usize) -> String {
    let (public, partner) = (Visibility::Public.code(), Visibility::Partner.code());
    // The lists are read once for a query, not once for a row.
    format!(
        "(event.visibility = {public}
          OR json_extract(?{parameter}, '$.all')
          OR event.owner IN (SELECT value FROM json_each(?{parameter}, '$.own'))
          OR (event.visibility = {partner}
              AND event.owner IN (SELECT value FROM json_each(?{parameter}, '$.partners'))))"
    )
}

/// A viewer, as the parameter of [`visible`].
#[derive(Clone, Debug)]
pub struct Eyes(String);

impl From<&Viewer> for Eyes {
    fn from(viewer: &Viewer) -> Self {
        let lists = match viewer {
            Viewer::All => json!({ "all": 1 }),
            Viewer::Party { own, partner_of } => {
                json!({ "all": 0, "own": own.as_slice(), "partners": partner_of })
            }
        };
        Self(lists.to_string())
    }
}

impl ToSql for Eyes {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::{Connection, params};

    use super::*;
    use crate::access::Access;

    /// The condition in SQL says what the domain says.
    #[test]
    fn the_condition_lets_through_what_the_viewer_sees_and_nothing_else() {
        let index = Connection::open_in_memory().unwrap();
        index
            .execute_batch("CREATE TABLE event (owner INTEGER, visibility INTEGER)")
            .unwrap();
        let viewers = [
            Viewer::All,
            Viewer::anybody(),
            Viewer::Party {
                own: Some(2),
                partner_of: BTreeSet::new(),
            },
            Viewer::Party {
                own: Some(2),
                partner_of: BTreeSet::from([1, 3]),
            },
        ];
        for owner in 0..4 {
            for visibility in [Visibility::Public, Visibility::Partner, Visibility::Private] {
                index.execute("DELETE FROM event", []).unwrap();
                let row = params![owner, visibility.code()];
                index
                    .execute("INSERT INTO event VALUES (?1, ?2)", row)
                    .unwrap();
                for viewer in &viewers {
                    let sql = format!("SELECT count(*) FROM event WHERE ?1 AND {}", visible(2));
                    let seen: bool = index
                        .query_row(&sql, params![true, Eyes::from(viewer)], |row| row.get(0))
                        .unwrap();
                    let access = Access { owner, visibility };
                    assert_eq!(seen, viewer.sees(access), "{viewer:?} {access:?}");
                }
            }
        }
    }
}
