//! Reading the directory and its log.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::{Connection, params};

use crate::access::directory::{ApiKey, Parties, User};
use crate::access::{Directory, PartyId};

/// Reads the whole directory.
///
/// # Errors
/// Those of the database.
pub fn directory(state: &Connection) -> rusqlite::Result<Directory> {
    let unreadable = |error: String| rusqlite::Error::ToSqlConversionFailure(error.into());
    let mut users = BTreeMap::new();
    let mut select =
        state.prepare("SELECT name, role, party, password, disabled, valid_from FROM user")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let role: String = row.get(1)?;
        let user = User {
            role: role.parse().map_err(unreadable)?,
            party: row.get(2)?,
            password: row.get(3)?,
            disabled: row.get(4)?,
            valid_from: row.get(5)?,
        };
        users.insert(row.get(0)?, user);
    }
    let api_keys = state
        .prepare("SELECT id, user, hash, label, created_ms, expires FROM api_key")?
        .query_map([], |row| {
            let key = ApiKey {
                user: row.get(1)?,
                hash: row.get(2)?,
                label: row.get(3)?,
                created_ms: row.get(4)?,
                expires: row.get(5)?,
            };
            Ok((row.get(0)?, key))
        })?
        .collect::<rusqlite::Result<BTreeMap<String, ApiKey>>>()?;
    let parties = state
        .prepare("SELECT id, name FROM party")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Parties>>()?;
    let mut partner_of: HashMap<PartyId, BTreeSet<PartyId>> = HashMap::new();
    let mut select = state.prepare("SELECT party, partner FROM partner")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        partner_of
            .entry(row.get(1)?)
            .or_default()
            .insert(row.get(0)?);
    }
    let revoked = state
        .prepare("SELECT id FROM revoked")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<HashSet<String>>>()?;
    Ok(Directory {
        users,
        api_keys,
        parties,
        partner_of,
        revoked,
    })
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Its number.
    pub id: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    #[serde(skip)]
    pub time_ms: u64,
    /// Who did it.
    pub actor: String,
    /// What.
    pub action: String,
    /// To whom or what.
    pub target: String,
    /// And more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Up to `limit` lines of the audit log before the one numbered `before`, the newest first.
///
/// # Errors
/// Those of the database.
pub fn audit_log(
    state: &Connection,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<AuditRow>> {
    state
        .prepare_cached(
            "SELECT id, time_ms, actor, action, target, detail FROM audit
             WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
        )?
        .query_map(params![before.unwrap_or(i64::MAX as u64), limit], |row| {
            Ok(AuditRow {
                id: row.get(0)?,
                time_ms: row.get(1)?,
                actor: row.get(2)?,
                action: row.get(3)?,
                target: row.get(4)?,
                detail: row.get(5)?,
            })
        })?
        .collect()
}
