//! What is personal, whom entries are about, and whose were erased, in the replicated state.
//!
//! Nothing here tells who a subject is, nor holds a key of one: these are in [`crate::keys`].

mod read;

use consensus::ApplyError;
use rusqlite::{OptionalExtension as _, Transaction, params};

pub use self::read::{
    Erasure, StoredSubject, erasures, erasures_done, generations, personal, subject,
};
use super::access::{AuditLine, audit};
use super::command::subjects::change::Change;
use super::command::subjects::{ChangeSubjects, Erase, SetPersonal, SubjectsChanged};
use crate::ledger::key::WrappedKey;
use crate::subject::{FIELDS_MAX, KeyId, PARTIES_MAX, Pseudonym, field_name};

/// Applies a change of what is personal, or an erasure.
pub(super) fn apply(
    state: &Transaction<'_>,
    change: &ChangeSubjects,
) -> Result<SubjectsChanged, ApplyError> {
    match &change.change {
        Some(Change::SetPersonal(personal)) => set_personal(state, change, personal),
        Some(Change::Erase(erase)) => self::erase(state, change, erase),
        None => Err(ApplyError::Diverged(
            "a change of subjects is of a kind that this build does not know".into(),
        )),
    }
}

fn refused(reason: impl Into<String>) -> SubjectsChanged {
    SubjectsChanged {
        refused: reason.into(),
        ..SubjectsChanged::default()
    }
}

fn set_personal(
    state: &Transaction<'_>,
    change: &ChangeSubjects,
    personal: &SetPersonal,
) -> Result<SubjectsChanged, ApplyError> {
    let SetPersonal { fields, parties } = personal;
    if fields.len() > FIELDS_MAX || parties.len() > PARTIES_MAX {
        return Ok(refused(format!(
            "at most {FIELDS_MAX} fields and {PARTIES_MAX} parties are personal"
        )));
    }
    for field in fields {
        match field_name(field) {
            Ok(full) if full == *field => {}
            Ok(full) => {
                return Ok(refused(format!(
                    "{field:?} is not a full name: {full:?} is"
                )));
            }
            Err(reason) => return Ok(refused(reason)),
        }
    }
    if parties.iter().any(|party| party.len() != 32) {
        return Ok(refused("a pseudonym has 32 bytes"));
    }
    state.execute_batch(
        "DELETE FROM personal_field; DELETE FROM personal_party;
         UPDATE personal SET version = version + 1 WHERE id = 1;",
    )?;
    for field in fields {
        state
            .prepare_cached("INSERT OR IGNORE INTO personal_field (name) VALUES (?1)")?
            .execute([field])?;
    }
    for party in parties {
        state
            .prepare_cached("INSERT OR IGNORE INTO personal_party (pseudonym) VALUES (?1)")?
            .execute([party])?;
    }
    let line = AuditLine {
        action: "personal.set",
        target: String::new(),
        detail: format!("{} parties; fields: {}", parties.len(), fields.join(" ")),
    };
    audit(state, change.time_ms, &change.actor, &line)?;
    Ok(SubjectsChanged {
        known: true,
        ..SubjectsChanged::default()
    })
}

/// Erases the entries of a subject. What is left of them is what the tree holds.
fn erase(
    state: &Transaction<'_>,
    change: &ChangeSubjects,
    erase: &Erase,
) -> Result<SubjectsChanged, ApplyError> {
    let Ok(pseudonym) = <[u8; 32]>::try_from(&erase.subject[..]) else {
        return Ok(refused("a pseudonym has 32 bytes"));
    };
    let known: Option<(i64, u64)> = state
        .prepare_cached("SELECT id, generation FROM subject WHERE pseudonym = ?1")?
        .query_row([pseudonym], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, generation)) = known else {
        return Ok(SubjectsChanged::default());
    };
    let entries = state
        .prepare_cached(
            "UPDATE entry SET payload = NULL, key = NULL WHERE key IS NOT NULL AND idx IN
                 (SELECT entry FROM subject_entry WHERE subject = ?1 AND generation = ?2)",
        )?
        .execute(params![id, generation])? as u64;
    state
        .prepare_cached(
            "DELETE FROM identity WHERE entry IN
                 (SELECT entry FROM subject_entry WHERE subject = ?1 AND generation = ?2)",
        )?
        .execute(params![id, generation])?;
    let next = generation + 1;
    state
        .prepare_cached("UPDATE subject SET generation = ?2 WHERE id = ?1")?
        .execute(params![id, next])?;
    state
        .prepare_cached(
            "INSERT INTO erasure (id, subject, generation, time_ms, entries)
             SELECT coalesce(max(id), 0) + 1, ?1, ?2, ?3, ?4 FROM erasure",
        )?
        .execute(params![id, generation, change.time_ms, entries])?;
    let line = AuditLine {
        action: "subject.erase",
        target: hex::encode(pseudonym),
        detail: format!("{entries} entries"),
    };
    audit(state, change.time_ms, &change.actor, &line)?;
    Ok(SubjectsChanged {
        known: true,
        generation: next,
        entries,
        ..SubjectsChanged::default()
    })
}

/// Whose keys an entry's key is wrapped under.
///
/// # Errors
/// A sentence, where that cannot be read.
pub(super) fn keys_of(wrapped: &[u8]) -> Result<Vec<KeyId>, String> {
    let wrapped = WrappedKey::decode(wrapped).map_err(|error| error.to_string())?;
    let ids = wrapped.subjects().iter().map(|subject| subject.parse());
    ids.collect::<Result<_, _>>()
        .map_err(|error: crate::subject::NoKeyId| error.to_string())
}

/// Whether all of these keys are of the generation that entries are captured under now: older ones
/// are destroyed, or will be.
pub(super) fn are_current(state: &Transaction<'_>, keys: &[KeyId]) -> rusqlite::Result<bool> {
    let mut select = state.prepare_cached("SELECT generation FROM subject WHERE pseudonym = ?1")?;
    for key in keys {
        let generation: Option<u64> = select
            .query_row([key.subject.0], |row| row.get(0))
            .optional()?;
        if generation.unwrap_or(0) != key.generation {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes down that an entry is about the subjects of these keys.
pub(super) fn relate(state: &Transaction<'_>, keys: &[KeyId], entry: u64) -> rusqlite::Result<()> {
    for key in keys {
        let id = number_of(state, key.subject)?;
        state
            .prepare_cached(
                "INSERT OR IGNORE INTO subject_entry (subject, generation, entry) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![id, key.generation, entry])?;
    }
    Ok(())
}

/// The number of a subject, which has one from its first entry on.
fn number_of(state: &Transaction<'_>, pseudonym: Pseudonym) -> rusqlite::Result<i64> {
    let known: Option<i64> = state
        .prepare_cached("SELECT id FROM subject WHERE pseudonym = ?1")?
        .query_row([pseudonym.0], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    state
        .prepare_cached(
            "INSERT INTO subject (id, pseudonym, generation)
             SELECT coalesce(max(id), 0) + 1, ?1, 0 FROM subject RETURNING id",
        )?
        .query_row([pseudonym.0], |row| row.get(0))
}
