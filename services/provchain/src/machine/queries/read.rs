//! Reading named queries and subscriptions.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::schema;
use crate::access::PartyId;

/// A query with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredQuery {
    /// Whose it is.
    pub party: PartyId,
    /// Its name.
    pub name: String,
    /// Its parameters: a JSON object.
    pub definition: String,
    /// The header with its prefixes.
    pub extensions: String,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z: another one of the same name is
    /// another query.
    pub created_ms: u64,
}

impl StoredQuery {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            party: row.get(0)?,
            name: row.get(1)?,
            definition: row.get(2)?,
            extensions: row.get(3)?,
            created_ms: row.get(4)?,
        })
    }
}

/// The query of this name of a party.
///
/// # Errors
/// Those of the database.
pub fn query(
    state: &Connection,
    party: PartyId,
    name: &str,
) -> rusqlite::Result<Option<StoredQuery>> {
    if !schema::has_queries(state)? {
        return Ok(None);
    }
    state
        .prepare_cached(
            "SELECT party, name, definition, extensions, created_ms FROM query
             WHERE party = ?1 AND name = ?2",
        )?
        .query_row(params![party, name], StoredQuery::from_row)
        .optional()
}

/// Up to `limit` queries of a party, or of all, behind the one of that party and name.
///
/// # Errors
/// Those of the database.
pub fn queries(
    state: &Connection,
    party: Option<PartyId>,
    after: (PartyId, &str),
    limit: usize,
) -> rusqlite::Result<Vec<StoredQuery>> {
    if !schema::has_queries(state)? {
        return Ok(Vec::new());
    }
    state
        .prepare_cached(
            "SELECT party, name, definition, extensions, created_ms FROM query
             WHERE (?1 IS NULL OR party = ?1) AND (party, name) > (?2, ?3)
             ORDER BY party, name LIMIT ?4",
        )?
        .query_map(
            params![party, after.0, after.1, limit],
            StoredQuery::from_row,
        )?
        .collect()
}

/// A subscription by webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSubscription {
    /// Its id.
    pub id: String,
    /// Whose query it is of.
    pub party: PartyId,
    /// The name of that.
    pub query: String,
    /// Whose eyes look.
    pub user: String,
    /// Its role, if it is no user.
    pub role: String,
    /// Where its events go.
    pub dest: String,
    /// What they are signed with.
    pub signature_token: String,
    /// When: the schedule as JSON; empty if as they come.
    pub schedule: String,
    /// Whether a time without events is told, too.
    pub report_if_empty: bool,
    /// Events that were recorded before are left out, in microseconds since 1970.
    pub initial_record_micros: Option<i64>,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub created_ms: u64,
    /// Every entry below was looked at.
    pub next: u64,
    /// When its query was run last, in milliseconds since 1970-01-01T00:00:00Z.
    pub run_ms: u64,
    /// When its receiver last took something, likewise.
    pub notified_ms: Option<u64>,
    /// Deliveries that failed since then.
    pub failures: u32,
    /// Why the last one failed.
    pub error: String,
    /// Whether nothing more is tried.
    pub disabled: bool,
}

const COLUMNS: &str = "id, party, query, user, role, dest, signature_token, schedule, \
     report_if_empty, initial_record_micros, created_ms, next, run_ms, notified_ms, failures, \
     error, disabled";

impl StoredSubscription {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            party: row.get(1)?,
            query: row.get(2)?,
            user: row.get(3)?,
            role: row.get(4)?,
            dest: row.get(5)?,
            signature_token: row.get(6)?,
            schedule: row.get(7)?,
            report_if_empty: row.get(8)?,
            initial_record_micros: row.get(9)?,
            created_ms: row.get(10)?,
            next: row.get(11)?,
            run_ms: row.get(12)?,
            notified_ms: row.get(13)?,
            failures: row.get(14)?,
            error: row.get(15)?,
            disabled: row.get(16)?,
        })
    }
}

/// All subscriptions to queries, of which there are a bounded number.
///
/// # Errors
/// Those of the database.
pub fn subscriptions(state: &Connection) -> rusqlite::Result<Vec<StoredSubscription>> {
    if !schema::has_queries(state)? {
        return Ok(Vec::new());
    }
    state
        .prepare_cached(&format!("SELECT {COLUMNS} FROM subscription ORDER BY id"))?
        .query_map([], StoredSubscription::from_row)?
        .collect()
}

/// Up to `limit` subscriptions to a query, behind the one with this id.
///
/// # Errors
/// Those of the database.
pub fn subscriptions_of(
    state: &Connection,
    (party, query): (PartyId, &str),
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<StoredSubscription>> {
    if !schema::has_queries(state)? {
        return Ok(Vec::new());
    }
    state
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM subscription
             WHERE party = ?1 AND query = ?2 AND id > ?3 ORDER BY id LIMIT ?4"
        ))?
        .query_map(
            params![party, query, after, limit],
            StoredSubscription::from_row,
        )?
        .collect()
}

/// The subscription with this id to a query.
///
/// # Errors
/// Those of the database.
pub fn subscription(
    state: &Connection,
    (party, query): (PartyId, &str),
    id: &str,
) -> rusqlite::Result<Option<StoredSubscription>> {
    if !schema::has_queries(state)? {
        return Ok(None);
    }
    state
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM subscription WHERE party = ?1 AND query = ?2 AND id = ?3"
        ))?
        .query_row(params![party, query, id], StoredSubscription::from_row)
        .optional()
}
