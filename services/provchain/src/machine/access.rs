//! The directory in the replicated state: who is who, who may read what, and what was done about it.

mod read;
mod sessions;

use consensus::ApplyError;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

pub use self::read::{AuditRow, audit_log, directory};
use super::command::access::change::Change;
use super::command::access::{
    AccessChanged, ChangeAccess, PutApiKey, PutUser, Refusal, SetPartners,
};
use crate::access::directory::check_name;
use crate::access::{PartyId, Role, password};

/// Rows of the audit log that are kept; older ones go.
const AUDIT_ROWS_MAX: u64 = 100_000;

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
        Some(Change::OpenSession(session)) => sessions::open(state, session, now)?,
        Some(Change::RefreshSession(refresh)) => sessions::refresh(state, refresh, now)?,
        Some(Change::EndSession(session)) => sessions::end(state, &session.hash)?,
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
        let line = AuditLine {
            action: done.action,
            target: done.target.clone(),
            detail: done.detail.clone(),
        };
        audit(state, change.time_ms, &change.actor, &line)?;
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
        return Ok(Ok(Done {
            detail: what_changed(user),
            ..Done::new("user.create", &user.name)
        }));
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
    Ok(Ok(Done {
        detail: what_changed(user),
        ..Done::new(action, &user.name)
    }))
}

/// What of a user was set, without its password: an auditor asks who was given which role.
fn what_changed(user: &PutUser) -> String {
    let role = user.role.as_ref().map(|role| format!("role {role}"));
    let party = user.party.as_ref().map(|party| format!("party {party}"));
    let disabled = match user.disabled {
        Some(true) => Some("disabled".to_owned()),
        Some(false) => Some("enabled".to_owned()),
        None => None,
    };
    let said: Vec<_> = [role, party, disabled].into_iter().flatten().collect();
    said.join(", ")
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
    let mut tables = vec!["session", "api_key"];
    if super::schema::has_queries(state)? {
        // Somebody else may get the name.
        tables.push("subscription");
    }
    for table in tables {
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

/// What the audit log says of a change.
pub(super) struct AuditLine {
    /// What was done.
    pub action: &'static str,
    /// To what.
    pub target: String,
    /// And more.
    pub detail: String,
}

/// Writes a line of the audit log.
pub(super) fn audit(
    state: &Transaction<'_>,
    time_ms: u64,
    actor: &str,
    line: &AuditLine,
) -> rusqlite::Result<()> {
    let id: u64 = state
        .prepare_cached(
            "INSERT INTO audit (id, time_ms, actor, action, target, detail)
             SELECT coalesce(max(id), 0) + 1, ?1, ?2, ?3, ?4, ?5 FROM audit RETURNING id",
        )?
        .query_row(
            params![time_ms, actor, line.action, line.target, line.detail],
            |row| row.get(0),
        )?;
    state
        .prepare_cached("DELETE FROM audit WHERE id <= ?1")?
        .execute([id.saturating_sub(AUDIT_ROWS_MAX)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::command::access::{OpenSession, RefreshSession};
    use super::super::schema::MIGRATIONS;
    use super::*;

    fn state() -> Connection {
        let state = Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            state.execute_batch(migration).unwrap();
        }
        state
    }

    /// Makes a change at a time, in seconds since 1970; what it was refused with is empty if it was not.
    fn at(state: &mut Connection, seconds: u64, change: Change) -> String {
        let change = ChangeAccess {
            time_ms: seconds * 1000,
            actor: "test".into(),
            change: Some(change),
        };
        let transaction = state.transaction().unwrap();
        let changed = apply(&transaction, &change).unwrap();
        transaction.commit().unwrap();
        changed.refused
    }

    fn user(name: &str, first: bool) -> Change {
        Change::PutUser(PutUser {
            name: name.into(),
            role: Some("admin".into()),
            first,
            ..PutUser::default()
        })
    }

    #[test]
    fn there_is_one_first_administrator() {
        let mut state = state();
        assert_eq!(at(&mut state, 1, user("ann", true)), "");
        assert!(at(&mut state, 1, user("bob", true)).contains("users already"));
        assert_eq!(at(&mut state, 1, user("bob", false)), "");
    }

    #[test]
    fn a_session_goes_on_until_its_time_is_over() {
        let mut state = state();
        at(&mut state, 1, user("ann", true));
        let opened = Change::OpenSession(OpenSession {
            user: "ann".into(),
            family: "f".into(),
            hash: vec![1; 32],
            expires: 100,
        });
        assert_eq!(at(&mut state, 1, opened), "");
        let refresh = |from: u8, to: u8| {
            Change::RefreshSession(RefreshSession {
                hash: vec![from; 32],
                next: vec![to; 32],
                expires: 100,
            })
        };
        assert_eq!(at(&mut state, 99, refresh(1, 2)), "");
        let refused = at(&mut state, 100, refresh(2, 3));
        assert!(refused.contains("has ended"), "{refused}");
    }
}
