//! Events that a query finds, from the index: in the query's order, from a place on.
//!
//! The text of a statement is put together from pieces that stand here; what a client sent is bound
//! to its parameters. A query is driven by the condition with the fewest entries, if that has few,
//! and else by the order of events; either way the answer is the same.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, ToSql, params_from_iter};
use serde_json::json;

use super::tables::{action_code, role_code};
use super::visible::{Eyes, visible};
use crate::access::Viewer;
use crate::epcis::time::Timestamp;
use crate::query::{
    Clock, Condition, Edge, EventQuery, Facts, Ground, KeyPattern, OrderBy, Part, Place, Position,
};

/// A condition with so many entries or fewer drives a query: they are sorted for every page.
const DRIVER_MAX: usize = 10_000;

/// What is searched, and from where on.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// The query.
    pub query: &'a EventQuery,
    /// Whose eyes look.
    pub viewer: &'a Viewer,
    /// The entries below are searched.
    pub size: u64,
    /// Entries with the `eventID`s that the query asks for, if it asks for any.
    pub identified: Option<&'a [u64]>,
    /// The place that the answer goes on behind.
    pub after: Option<Position>,
    /// Most events.
    pub limit: usize,
}

/// An event that was found, or may be one where the query needs the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its entry.
    pub entry: u64,
    /// When it happened.
    pub time: Timestamp,
    /// When the ledger took it in.
    pub recorded: Timestamp,
}

impl Candidate {
    /// Its place in the order of `query`.
    #[must_use]
    pub fn position(&self, query: &EventQuery) -> Position {
        let time = match query.order.by {
            OrderBy::EventTime => self.time,
            OrderBy::RecordTime => self.recorded,
        };
        Position::Event(time.unix_micros, self.entry)
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let time = |micros| Timestamp {
            unix_micros: micros,
        };
        Ok(Self {
            entry: row.get(0)?,
            time: time(row.get(1)?),
            recorded: time(row.get(2)?),
        })
    }
}

impl Search<'_> {
    /// The next events, in order: all that there are if they are fewer than the limit.
    ///
    /// # Errors
    /// Those of the database.
    pub fn candidates(&self, index: &Connection) -> rusqlite::Result<Vec<Candidate>> {
        let mut statement = Statement::default();
        let eyes = statement.bind(Eyes::from(self.viewer));
        let (by, order) = match self.query.order.by {
            OrderBy::EventTime => ("event.time", "event_by_time"),
            OrderBy::RecordTime => ("event.recorded", "event_by_record"),
        };
        let driver = self.driver(index)?;
        let from = match driver.and_then(|driver| self.entries(driver, &mut statement)) {
            // CROSS JOIN keeps SQLite from turning the two around.
            Some(entries) => format!(
                "(SELECT DISTINCT entry FROM ({entries})) AS driven
                 CROSS JOIN event ON event.entry = driven.entry"
            ),
            None => format!("event INDEXED BY {order}"),
        };
        let size = statement.bind(number(self.size));
        let mut filters = vec![visible(eyes.0), format!("event.entry < {size}")];
        let conditions = self.query.conditions.iter();
        filters.extend(conditions.filter_map(|condition| self.filter(condition, &mut statement)));
        let (direction, beyond) = if self.query.order.descending {
            ("DESC", "<")
        } else {
            ("ASC", ">")
        };
        if let Some(Position::Event(time, entry)) = &self.after {
            let (time, entry) = (statement.bind(*time), statement.bind(number(*entry)));
            filters.push(format!("({by}, event.entry) {beyond} ({time}, {entry})"));
        }
        let limit = statement.bind(number(self.limit as u64));
        let sql = format!(
            "SELECT event.entry, event.time, event.recorded FROM {from} WHERE {}
             ORDER BY {by} {direction}, event.entry {direction} LIMIT {limit}",
            filters.join(" AND ")
        );
        index
            .prepare_cached(&sql)?
            .query_map(params_from_iter(statement.0), Candidate::from_row)?
            .collect()
    }

    /// The condition that the fewest entries meet, as far as an index counts them.
    fn driver(&self, index: &Connection) -> rusqlite::Result<Option<&Condition>> {
        let mut best = (DRIVER_MAX + 1, None);
        for condition in &self.query.conditions {
            let mut statement = Statement::default();
            let Some(entries) = self.entries(condition, &mut statement) else {
                continue;
            };
            let limit = statement.bind(number(best.0 as u64));
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM ({entries}) LIMIT {limit})");
            let count: usize = index
                .prepare_cached(&sql)?
                .query_row(params_from_iter(statement.0), |row| row.get(0))?;
            if count < best.0 {
                best = (count, Some(condition));
            }
        }
        Ok(best.1)
    }

    /// A condition as a restriction of `event`; nothing where the index knows nothing of it.
    fn filter(&self, condition: &Condition, statement: &mut Statement) -> Option<String> {
        match asked(condition)? {
            Asked::Time(column, edge, time) => Some(statement.side(column, edge, time)),
            Asked::Actions(codes) => {
                let codes = statement.list(&codes);
                Some(format!("event.action IN ({codes})"))
            }
            Asked::Identified => {
                let entries = statement.list(self.identified.unwrap_or_default());
                Some(format!("event.entry IN ({entries})"))
            }
            Asked::Words(name, values) => {
                let words = statement.words(name, &values);
                Some(format!(
                    "EXISTS (SELECT 1 FROM attribute
                     WHERE word IN ({words}) AND entry = event.entry)"
                ))
            }
            Asked::Items(of, patterns) => {
                let (of, items) = (statement.links(of), statement.items(&patterns));
                Some(format!(
                    "EXISTS (SELECT 1 FROM link INDEXED BY link_of_entry
                     WHERE entry = event.entry AND {of} AND item IN ({items}))"
                ))
            }
        }
    }

    /// A condition as a query for the entries that meet it, where an index leads to those.
    fn entries(&self, condition: &Condition, statement: &mut Statement) -> Option<String> {
        match asked(condition)? {
            Asked::Time(column, ..) => {
                // The two sides of a span are few entries together.
                let sides = self.query.conditions.iter().filter_map(asked);
                let sides = sides.filter_map(|side| match side {
                    Asked::Time(other, edge, time) if other == column => {
                        Some(statement.side(column, edge, time))
                    }
                    _ => None,
                });
                let sides: Vec<_> = sides.collect();
                Some(format!(
                    "SELECT entry FROM event WHERE {}",
                    sides.join(" AND ")
                ))
            }
            Asked::Actions(_) => None,
            Asked::Identified => {
                let entries = statement.list(self.identified.unwrap_or_default());
                Some(format!("SELECT value AS entry FROM ({entries})"))
            }
            Asked::Words(name, values) => {
                let words = statement.words(name, &values);
                Some(format!(
                    "SELECT entry FROM attribute WHERE word IN ({words})"
                ))
            }
            Asked::Items(of, patterns) => {
                let (of, items) = (statement.links(of), statement.items(&patterns));
                Some(format!(
                    "SELECT entry FROM link WHERE item IN ({items}) AND {of}"
                ))
            }
        }
    }
}

/// What a condition asks of the index: all of what it says, or what must hold for it to hold.
enum Asked<'a> {
    Time(&'static str, Edge, Timestamp),
    Actions(Vec<i64>),
    Identified,
    Words(&'static str, Vec<&'a str>),
    Items(Links, Vec<KeyPattern>),
}

/// Which links.
#[derive(Clone, Copy)]
enum Links {
    Role(i64),
    Fields(u16),
}

fn asked(condition: &Condition) -> Option<Asked<'_>> {
    let part = |part: Part| Some(Asked::Words(Facts::PART, vec![part.name()]));
    let keys = |role, keys: &[String]| {
        let keys = keys.iter().cloned().map(KeyPattern::Is).collect();
        Some(Asked::Items(Links::Role(role_code(role)), keys))
    };
    match condition {
        Condition::Time(Clock::Event, edge, time) => Some(Asked::Time("time", *edge, *time)),
        Condition::Time(Clock::Record, edge, time) => Some(Asked::Time("recorded", *edge, *time)),
        Condition::Time(Clock::Declaration, ..)
        | Condition::ErrorReason(_)
        | Condition::CorrectiveEventId(_) => part(Part::ErrorDeclaration),
        Condition::Time(Clock::Sensor(_), ..) | Condition::Sensor(_) => part(Part::Sensors),
        Condition::Action(actions) => {
            let codes = actions.iter().map(|action| action_code(*action));
            Some(Asked::Actions(codes.collect()))
        }
        Condition::Word(word, values) => {
            let values = values.iter().map(String::as_str).collect();
            Some(Asked::Words(word.name(), values))
        }
        Condition::Place(place, values) => keys(Place::role(*place), values),
        Condition::Party(party, _, values) => keys(party.role(), values),
        Condition::Match(fields, patterns) => {
            Some(Asked::Items(Links::Fields(fields.bits()), patterns.clone()))
        }
        Condition::EventId(_) => Some(Asked::Identified),
        Condition::Exists(one) => part(*one),
        Condition::Quantity(..) => None,
        Condition::Field(test) => match test.ground {
            Ground::Event => part(Part::Extension),
            Ground::Ilmd => part(Part::Ilmd),
            Ground::ErrorDeclaration => part(Part::ErrorDeclaration),
            Ground::SensorElement | Ground::SensorMetadata | Ground::SensorReport => {
                part(Part::Sensors)
            }
            Ground::ReadPoint | Ground::BizLocation => None,
        },
    }
}

/// The number of a parameter; in a statement it stands as `?1`.
#[derive(Clone, Copy)]
struct Bound(usize);

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "?{}", self.0)
    }
}

/// The values of a statement that is being put together.
#[derive(Default)]
struct Statement(Vec<Box<dyn ToSql>>);

impl Statement {
    /// The parameter that stands for `value`.
    fn bind(&mut self, value: impl ToSql + 'static) -> Bound {
        self.0.push(Box::new(value));
        Bound(self.0.len())
    }

    fn side(&mut self, column: &str, edge: Edge, time: Timestamp) -> String {
        let side = match edge {
            Edge::From => ">=",
            Edge::Before => "<",
        };
        format!("event.{column} {side} {}", self.bind(time.unix_micros))
    }

    /// A query for the elements of `list`.
    fn list(&mut self, list: &(impl serde::Serialize + ?Sized)) -> String {
        let list = self.bind(json!(list).to_string());
        format!("SELECT value FROM json_each({list})")
    }

    /// A query for the ids of words.
    fn words(&mut self, name: &'static str, values: &[&str]) -> String {
        let (name, values) = (self.bind(name), self.list(values));
        format!("SELECT id FROM word WHERE name = {name} AND value IN ({values})")
    }

    fn links(&mut self, of: Links) -> String {
        match of {
            Links::Role(role) => format!("role = {}", self.bind(role)),
            Links::Fields(fields) => format!("fields & {}", self.bind(fields)),
        }
    }

    /// A query for the ids of items whose keys are like one of `patterns`.
    fn items(&mut self, patterns: &[KeyPattern]) -> String {
        let mut keys = Vec::new();
        let mut queries = Vec::new();
        for pattern in patterns {
            match pattern {
                KeyPattern::Is(key) => keys.push(key.as_str()),
                KeyPattern::Begins { with, then } => {
                    let rest = self.rest(with, &mut queries);
                    if !then.is_empty() {
                        let then = self.bind(*then);
                        append(&mut queries, &format!(" AND instr({rest}, {then})"));
                    }
                }
                KeyPattern::Ends { with } => {
                    let rest = self.rest(with, &mut queries);
                    append(&mut queries, &format!(" AND NOT instr({rest}, '/')"));
                }
            }
        }
        if !keys.is_empty() {
            let keys = self.list(&keys);
            queries.push(format!("SELECT id FROM item WHERE key IN ({keys})"));
        }
        queries.join(" UNION ALL ")
    }

    /// Adds a query for the items whose keys begin so; gives what is behind that in a key.
    fn rest(&mut self, with: &str, queries: &mut Vec<String>) -> String {
        // Beginnings end in a digit or a slash, and the next character is one byte as well.
        let (head, last) = with.split_at(with.len().saturating_sub(1));
        let end = last
            .bytes()
            .next()
            .map_or(char::MAX, |byte| char::from(byte + 1));
        let (from, to) = (
            self.bind(with.to_owned()),
            self.bind(format!("{head}{end}")),
        );
        queries.push(format!(
            "SELECT id FROM item WHERE key >= {from} AND key < {to}"
        ));
        format!("substr(key, length({from}) + 1)")
    }
}

fn append(queries: &mut [String], text: &str) {
    if let Some(last) = queries.last_mut() {
        last.push_str(text);
    }
}

/// Entries and limits are far below what SQLite's numbers hold; one that is not is more than all.
fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
