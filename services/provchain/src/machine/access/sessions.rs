//! Sessions: chains of refresh tokens, each used once.

use consensus::ApplyError;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::super::command::access::{OpenSession, RefreshSession, Refusal};
use super::{Done, Outcome, exists};

/// Sessions of one user; of more than that, the oldest end.
const MAX: u64 = 32;

pub(super) fn open(
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
        .execute(params![session.user, MAX - 1])?;
    insert(
        state,
        &session.hash,
        &session.user,
        &session.family,
        session.expires,
    )?;
    Ok(Ok(Done::new("session.open", &session.user)))
}

fn insert(
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
pub(super) fn refresh(
    state: &Transaction<'_>,
    used_up: &RefreshSession,
    now: u64,
) -> Result<Outcome, ApplyError> {
    let found: Option<(String, String, u64, bool)> = state
        .prepare_cached("SELECT user, family, expires, used FROM session WHERE hash = ?1")?
        .query_row([&used_up.hash], |row| {
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
        .execute([&used_up.hash])?;
    insert(state, &used_up.next, &user, &family, used_up.expires)?;
    let mut done = Done::new("session.refresh", &user);
    done.user = user;
    Ok(Ok(done))
}

pub(super) fn end(state: &Transaction<'_>, hash: &[u8]) -> Result<Outcome, ApplyError> {
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
