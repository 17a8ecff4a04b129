//! The directory in the replicated state: who is who, who may read what, and what was done about it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use consensus::ApplyError;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::command::access::change::Change;
use super::command::access::{
    AccessChanged, ChangeAccess, OpenSession, PutApiKey, PutUser, RefreshSession, Refusal,
    SetPartners,
};
use crate::access::directory::{ApiKey, Parties, User, check_name};
use crate::access::{Directory, PartyId, Role, password};

/// Rows of the audit log that are kept; older ones go.
const AUDIT_ROWS_MAX: u64 = 100_000;

/// Sessions of one user; of more than that, the oldest end.
const SESSIONS_MAX: u64 = 32;

/// Partners of one party.
const PARTNERS_MAX: usize = 1_000;

/// A refusal: its kind and a sentence.
type Refused = (Refusal, String);

/// What one change comes to: refused, or done with what the audit log says of it.
type Outcome = Result<Done, Refused>;

struct Done {
    /// What was done, in the audit log's words.
    action: &'static str,
    /// To what.
    target: String,
    /// With which outcome, where that is not plain.
    detail: String,
    /// Whose session was refreshed.
    user: String,
    /// Why the caller is told no although something was changed.
    refused: Option<Refused>,
}

impl Done {
    fn new(action: &'static str, target: &str) -> Self {
        Self {
            action,
            target: target.to_owned(),
            detail: String::new(),
            user: String::new(),
            refused: None,
        }
    }
}

/// Whether a change may alter the directory; those of sessions do not.
pub(super) fn alters_directory(change: &ChangeAccess) -> bool {
    !matches!(
        change.change,
        Some(Change::OpenSession(_) | Change::RefreshSession(_) | Change::EndSession(_))
    )
}

/// Applies a change of the directory.
pub(super) fn apply(
    state: &Transaction<'_>,
    change: &ChangeAccess,
) -> Result<AccessChanged, ApplyError> {
    let now = change.time_ms / 1000;
    let outcome = match &change.change {
        Some(Change::PutUser(user)) => put_user(state, user, now)?,
        Some(Change::RemoveUser(name)) => remove_user(state, name)?,
        Some(Change::SetPassword(set)) => {
            let user = PutUser {
                name: set.user.clone(),
                password: Some(set.password.clone()),
                ..PutUser::default()
            };
            if exists(state, "user", &set.user)? {
                put_user(state, &user, now)?
            } else {
                Err((Refusal::NotFound, format!("there is no user {}", set.user)))
            }
        }
        Some(Change::PutApiKey(key)) => put_api_key(state, key, change.time_ms)?,
        Some(Change::RemoveApiKey(id)) => {
            let gone = state
                .prepare_cached("DELETE FROM api_key WHERE id = ?1")?
                .execute([id])?;
            one(gone, Done::new("api-key.remove", id), "API key", id)
        }
        Some(Change::SetPartners(partners)) => set_partners(state, partners)?,
        Some(Change::OpenSession(session)) => open_session(state, session, now)?,
        Some(Change::RefreshSession(refresh)) => refresh_session(state, refresh, now)?,
        Some(Change::EndSession(session)) => end_session(state, &session.hash)?,
        Some(Change::RevokeToken(token)) => {
            state
                .prepare_cached("DELETE FROM revoked WHERE expires <= ?1")?
                .execute([now])?;
            state
                .prepare_cached("INSERT OR REPLACE INTO revoked (id, expires) VALUES (?1, ?2)")?
                .execute(params![token.id, token.expires])?;
            Ok(Done::new("token.revoke", &token.user))
        }
        None => {
            let message = "a change of access is of a kind that this build does not know";
            return Err(ApplyError::Diverged(message.into()));
        }
    };
    let (done, refused) = match outcome {
        Ok(done) => {
            let refused = done.refused.clone();
            (Some(done), refused)
        }
        Err(refused) => (None, Some(refused)),
    };
    let mut reply = AccessChanged::default();
    if let Some(done) = &done {
        audit(state, change, done)?;
        reply.user.clone_from(&done.user);
    }
    if let Some((kind, reason)) = refused {
        reply.refusal = kind.into();
        reply.refused = reason;
    }
    Ok(reply)
}

fn one(changed: usize, done: Done, what: &str, name: &str) -> Outcome {
    if changed == 0 {
        return Err((Refusal::NotFound, format!("there is no {what} {name}")));
    }
    Ok(done)
}

fn exists(state: &Connection, table: &str, name: &str) -> rusqlite::Result<bool> {
    let column = if table == "user" { "name" } else { "id" };
    state
        .prepare_cached(&format!("SELECT 1 FROM {table} WHERE {column} = ?1"))?
        .exists([name])
}

/// The number of a party, which has one from the first time that it is named.
pub(super) fn party(state: &Connection, name: &str) -> rusqlite::Result<PartyId> {
    let known: Option<PartyId> = state
        .prepare_cached("SELECT id FROM party WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    // Never 0, which is nobody, and never one that was used before: parties are not removed.
    state
        .prepare_cached(
            "INSERT INTO party (id, name) SELECT coalesce(max(id), 0) + 1, ?1 FROM party RETURNING id",
        )?
        .query_row([name], |row| row.get(0))
}

fn put_user(state: &Transaction<'_>, user: &PutUser, now: u64) -> Result<Outcome, ApplyError> {
    let invalid = |reason: String| Ok(Err((Refusal::Invalid, reason)));
    if let Err(reason) = check_name("a user's name", &user.name) {
        return invalid(reason);
    }
    if user.first {
        let any: bool = state.prepare_cached("SELECT 1 FROM user")?.exists([])?;
        if any {
            let reason = "there are users already: an administrator makes more";
            return Ok(Err((Refusal::Exists, reason.into())));
        }
    }
    let known = exists(state, "user", &user.name)?;
    if known && user.new {
        let reason = format!("there is a user {} already", user.name);
        return Ok(Err((Refusal::Exists, reason)));
    }
    if let Some(role) = &user.role
        && let Err(reason) = role.parse::<Role>()
    {
        return invalid(reason);
    }
    if let Some(stored) = &user.password
        && !password::is_hash(stored)
    {
        return invalid("a password is stored as an argon2id hash".into());
    }
    if let Some(name) = &user.party
        && let Err(reason) = check_name("a party's name", name)
    {
        return invalid(reason);
    }
    if !known {
        let Some(role) = &user.role else {
            return invalid(format!(
                "a new user has a role: which one has {}?",
                user.name
            ));
        };
        let party = party(state, user.party.as_ref().unwrap_or(&user.name))?;
        state
            .prepare_cached(
                "INSERT INTO user (name, role, party, password, disabled, valid_from)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0)",
            )?
            .execute(params![
                user.name,
                role,
                party,
                user.password,
                user.disabled.unwrap_or(false)
            ])?;
        return Ok(Ok(Done::new("user.create", &user.name)));
    }
    let leaves = user.disabled == Some(true)
        || user
            .role
            .as_ref()
            .is_some_and(|role| role != Role::Admin.as_str());
    if leaves && is_last_administrator(state, &user.name)? {
        return Ok(Err(last_administrator(&user.name)));
    }
    let party = match &user.party {
        Some(name) => Some(party(state, name)?),
        None => None,
    };
    state
        .prepare_cached(
            "UPDATE user SET role = coalesce(?2, role), party = coalesce(?3, party),
                 password = coalesce(?4, password), disabled = coalesce(?5, disabled)
             WHERE name = ?1",
        )?
        .execute(params![
            user.name,
            user.role,
            party,
            user.password,
            user.disabled
        ])?;
    // Whoever had the old password, or was shut out, is out from here on.
    if user.password.is_some() || user.disabled == Some(true) {
        state
            .prepare_cached("UPDATE user SET valid_from = ?2 WHERE name = ?1")?
            .execute(params![user.name, now + 1])?;
        state
            .prepare_cached("DELETE FROM session WHERE user = ?1")?
            .execute([&user.name])?;
    }
    let action = if user.password.is_some() {
        "user.password"
    } else {
        "user.change"
    };
    Ok(Ok(Done::new(action, &user.name)))
}

fn is_last_administrator(state: &Connection, name: &str) -> rusqlite::Result<bool> {
    state
        .prepare_cached(
            "SELECT 1 FROM user WHERE role = ?2 AND NOT disabled AND name = ?1 AND NOT EXISTS
                 (SELECT 1 FROM user WHERE role = ?2 AND NOT disabled AND name <> ?1)",
        )?
        .exists(params![name, Role::Admin.as_str()])
}

fn last_administrator(name: &str) -> Refused {
    let reason = format!("{name} is the last administrator: make another one first");
    (Refusal::Exists, reason)
}

fn remove_user(state: &Transaction<'_>, name: &str) -> Result<Outcome, ApplyError> {
    if is_last_administrator(state, name)? {
        return Ok(Err(last_administrator(name)));
    }
    for table in ["session", "api_key"] {
        state
            .prepare_cached(&format!("DELETE FROM {table} WHERE user = ?1"))?
            .execute([name])?;
    }
    let gone = state
        .prepare_cached("DELETE FROM user WHERE name = ?1")?
        .execute([name])?;
    Ok(one(gone, Done::new("user.remove", name), "user", name))
}

fn put_api_key(
    state: &Transaction<'_>,
    key: &PutApiKey,
    time_ms: u64,
) -> Result<Outcome, ApplyError> {
    if key.hash.len() != 32 || key.id.is_empty() || key.label.len() > 256 {
        let reason = "a key has an id, the hash of a secret, and a label of at most 256 bytes";
        return Ok(Err((Refusal::Invalid, reason.into())));
    }
    if !exists(state, "user", &key.user)? {
        return Ok(Err((
            Refusal::NotFound,
            format!("there is no user {}", key.user),
        )));
    }
    if exists(state, "api_key", &key.id)? {
        return Ok(Err((
            Refusal::Exists,
            format!("there is a key {} already", key.id),
        )));
    }
    state
        .prepare_cached(
            "INSERT INTO api_key (id, user, hash, label, created_ms, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            key.id,
            key.user,
            key.hash,
            key.label,
            time_ms,
            key.expires
        ])?;
    let mut done = Done::new("api-key.create", &key.id);
    done.detail.clone_from(&key.user);
    Ok(Ok(done))
}

fn set_partners(state: &Transaction<'_>, set: &SetPartners) -> Result<Outcome, ApplyError> {
    let names = std::iter::once(&set.party).chain(&set.partners);
    for name in names {
        if let Err(reason) = check_name("a party's name", name) {
            return Ok(Err((Refusal::Invalid, reason)));
        }
    }
    if set.partners.len() > PARTNERS_MAX {
        let reason = format!("a party has at most {PARTNERS_MAX} partners");
        return Ok(Err((Refusal::Invalid, reason)));
    }
    let owner = party(state, &set.party)?;
    state
        .prepare_cached("DELETE FROM partner WHERE party = ?1")?
        .execute([owner])?;
    for name in &set.partners {
        let partner = party(state, name)?;
        state
            .prepare_cached("INSERT OR IGNORE INTO partner (party, partner) VALUES (?1, ?2)")?
            .execute([owner, partner])?;
    }
    let mut done = Done::new("partners.set", &set.party);
    done.detail = set.partners.join(" ");
    Ok(Ok(done))
}

fn open_session(
    state: &Transaction<'_>,
    session: &OpenSession,
    now: u64,
) -> Result<Outcome, ApplyError> {
    if !exists(state, "user", &session.user)? {
        let reason = format!("there is no user {}", session.user);
        return Ok(Err((Refusal::NotFound, reason)));
    }
    state
        .prepare_cached("DELETE FROM session WHERE expires <= ?1")?
        .execute([now])?;
    // A session is a family of tokens; the one that ends first makes room.
    state
        .prepare_cached(
            "DELETE FROM session WHERE family IN (
                 SELECT family FROM session WHERE user = ?1 GROUP BY family
                 ORDER BY max(expires) DESC, family LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![session.user, SESSIONS_MAX - 1])?;
    insert_session(
        state,
        &session.hash,
        &session.user,
        &session.family,
        session.expires,
    )?;
    Ok(Ok(Done::new("session.open", &session.user)))
}

fn insert_session(
    state: &Transaction<'_>,
    hash: &[u8],
    user: &str,
    family: &str,
    expires: u64,
) -> rusqlite::Result<()> {
    state
        .prepare_cached(
            "INSERT OR REPLACE INTO session (hash, user, family, expires, used)
             VALUES (?1, ?2, ?3, ?4, 0)",
        )?
        .execute(params![hash, user, family, expires])?;
    Ok(())
}

/// Uses a refresh token up. One that was used before has been stolen, or its thief used it first:
/// the whole session ends (RFC 9700, section 4.14.2).
fn refresh_session(
    state: &Transaction<'_>,
    refresh: &RefreshSession,
    now: u64,
) -> Result<Outcome, ApplyError> {
    let found: Option<(String, String, u64, bool)> = state
        .prepare_cached("SELECT user, family, expires, used FROM session WHERE hash = ?1")?
        .query_row([&refresh.hash], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let no = |reason: &str| (Refusal::NotFound, reason.to_owned());
    let Some((user, family, expires, used)) = found else {
        return Ok(Err(no("the refresh token is not known: log in again")));
    };
    if expires <= now {
        return Ok(Err(no("the session has ended: log in again")));
    }
    if used {
        state
            .prepare_cached("DELETE FROM session WHERE family = ?1")?
            .execute([&family])?;
        let mut done = Done::new("session.reuse", &user);
        done.refused = Some(no(
            "the refresh token was used before: its session has ended",
        ));
        return Ok(Ok(done));
    }
    state
        .prepare_cached("UPDATE session SET used = 1 WHERE hash = ?1")?
        .execute([&refresh.hash])?;
    insert_session(state, &refresh.next, &user, &family, refresh.expires)?;
    let mut done = Done::new("session.refresh", &user);
    done.user = user;
    Ok(Ok(done))
}

fn end_session(state: &Transaction<'_>, hash: &[u8]) -> Result<Outcome, ApplyError> {
    let user: Option<String> = state
        .prepare_cached("SELECT user FROM session WHERE hash = ?1")?
        .query_row([hash], |row| row.get(0))
        .optional()?;
    let Some(user) = user else {
        let reason = "the refresh token is not known: there is nothing to end";
        return Ok(Err((Refusal::NotFound, reason.into())));
    };
    state
        .prepare_cached(
            "DELETE FROM session WHERE family = (SELECT family FROM session WHERE hash = ?1)",
        )?
        .execute([hash])?;
    Ok(Ok(Done::new("session.end", &user)))
}

fn audit(state: &Transaction<'_>, change: &ChangeAccess, done: &Done) -> rusqlite::Result<()> {
    let id: u64 = state
        .prepare_cached(
            "INSERT INTO audit (id, time_ms, actor, action, target, detail)
             SELECT coalesce(max(id), 0) + 1, ?1, ?2, ?3, ?4, ?5 FROM audit RETURNING id",
        )?
        .query_row(
            params![
                change.time_ms,
                change.actor,
                done.action,
                done.target,
                done.detail
            ],
            |row| row.get(0),
        )?;
    state
        .prepare_cached("DELETE FROM audit WHERE id <= ?1")?
        .execute([id.saturating_sub(AUDIT_ROWS_MAX)])?;
    Ok(())
}

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
