//! Request ids: a proposal that is tried again has one effect and gets the same reply.
//!
//! A session lives until [`SESSIONS_MAX`] others have been used more recently: a rule over the log
//! alone, so that every node forgets the same sessions at the same entry, whatever its clock says.
//! (Ongaro, "Consensus: Bridging Theory and Practice", section 6.3.)

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::codec;
use crate::raft::Outcome;
use crate::wire::{self, RequestId};

/// Sessions that are remembered.
pub(super) const SESSIONS_MAX: u32 = 4096;
/// Replies that a session may leave unsettled.
const REPLIES_MAX: u32 = 1024;

/// What is known of a request.
pub(super) enum Known {
    /// It is new: apply it.
    New,
    /// It was applied: this is what it gave.
    Before(Outcome),
    /// Its session, or its reply, is gone.
    Expired,
}

/// Opens a session at `index`, which is its id, and forgets the one that rested longest if there
/// are too many.
pub(super) fn open(state: &Connection, index: u64) -> rusqlite::Result<Outcome> {
    state
        .prepare_cached("INSERT INTO consensus_session (id, used, settled) VALUES (?1, ?1, 0)")?
        .execute([index])?;
    state
        .prepare_cached(
            "DELETE FROM consensus_session WHERE id IN (
                 SELECT id FROM consensus_session ORDER BY used DESC, id DESC LIMIT -1 OFFSET ?1)",
        )?
        .execute([SESSIONS_MAX])?;
    Ok(Outcome::Session(index))
}

/// Looks a request up, and forgets the replies that have reached the client.
pub(super) fn look_up(
    state: &Connection,
    request: &RequestId,
    index: u64,
) -> rusqlite::Result<Known> {
    // SQLite counts to 2^63 only. No session was opened there, and no honest client gets there.
    let countable = |number: u64| i64::try_from(number).is_ok();
    if ![request.session, request.number, request.settled_below]
        .into_iter()
        .all(countable)
    {
        return Ok(Known::Expired);
    }
    let settled: Option<u64> = state
        .prepare_cached("SELECT settled FROM consensus_session WHERE id = ?1")?
        .query_row([request.session], |row| row.get(0))
        .optional()?;
    let Some(settled) = settled else {
        return Ok(Known::Expired);
    };
    let settled_now = settled.max(request.settled_below);
    state
        .prepare_cached("UPDATE consensus_session SET used = ?2, settled = ?3 WHERE id = ?1")?
        .execute([request.session, index, settled_now])?;
    if settled_now > settled {
        state
            .prepare_cached("DELETE FROM consensus_reply WHERE session = ?1 AND number < ?2")?
            .execute([request.session, settled_now])?;
    }
    let reply: Option<Vec<u8>> = state
        .prepare_cached("SELECT outcome FROM consensus_reply WHERE session = ?1 AND number = ?2")?
        .query_row([request.session, request.number], |row| row.get(0))
        .optional()?;
    match reply {
        Some(bytes) => {
            let outcome = wire::Outcome::decode(&bytes[..])
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            let outcome = codec::outcome(Some(outcome))
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            Ok(Known::Before(outcome))
        }
        None if request.number < settled => Ok(Known::Expired),
        None => Ok(Known::New),
    }
}

/// Remembers what a request gave.
pub(super) fn remember(
    state: &Connection,
    request: &RequestId,
    outcome: &Outcome,
) -> rusqlite::Result<()> {
    let bytes = codec::outcome_to_wire(outcome.clone()).encode_to_vec();
    state
        .prepare_cached(
            "INSERT INTO consensus_reply (session, number, outcome) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![request.session, request.number, bytes])?;
    // A client that never settles loses its oldest replies, and a retry of them is refused.
    let floor = request.number.saturating_sub(u64::from(REPLIES_MAX));
    if floor > 0 {
        state
            .prepare_cached("DELETE FROM consensus_reply WHERE session = ?1 AND number < ?2")?
            .execute([request.session, floor])?;
        state
            .prepare_cached(
                "UPDATE consensus_session SET settled = max(settled, ?2) WHERE id = ?1",
            )?
            .execute([request.session, floor])?;
    }
    Ok(())
}
