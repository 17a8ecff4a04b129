//! Reading what is personal, subjects and erasures.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::ledger::Digest;
use crate::subject::{Personal, Pseudonym};

/// What is personal.
///
/// # Errors
/// Those of the database, as for everything below.
pub fn personal(state: &Connection) -> rusqlite::Result<Personal> {
    if !super::super::schema::has_subjects(state)? {
        return Ok(Personal::default());
    }
    let version = state.query_row("SELECT version FROM personal WHERE id = 1", [], |row| {
        row.get(0)
    })?;
    let fields = state
        .prepare("SELECT name FROM personal_field")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<BTreeSet<String>>>()?;
    let parties = state
        .prepare("SELECT pseudonym FROM personal_party")?
        .query_map([], |row| row.get(0).map(Digest))?
        .collect::<rusqlite::Result<BTreeSet<Pseudonym>>>()?;
    Ok(Personal {
        version,
        fields,
        parties,
    })
}

/// The generation that each of these subjects is captured under now.
///
/// # Errors
/// Those of the database.
pub fn generations(
    state: &Connection,
    subjects: &BTreeSet<Pseudonym>,
) -> rusqlite::Result<BTreeMap<Pseudonym, u64>> {
    if !super::super::schema::has_subjects(state)? {
        return Ok(subjects.iter().map(|subject| (*subject, 0)).collect());
    }
    let mut select = state.prepare_cached("SELECT generation FROM subject WHERE pseudonym = ?1")?;
    let mut found = BTreeMap::new();
    for subject in subjects {
        let generation: Option<u64> = select.query_row([subject.0], |row| row.get(0)).optional()?;
        found.insert(*subject, generation.unwrap_or(0));
    }
    Ok(found)
}

/// One time that a subject was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its number: they follow one another from 1 on.
    pub number: u64,
    /// Who was erased.
    pub subject: Pseudonym,
    /// The generation whose keys are destroyed.
    pub generation: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: u64,
    /// How many entries had content until then.
    pub entries: u64,
}

const ERASURE: &str = "SELECT erasure.id, pseudonym, erasure.generation, time_ms, entries
     FROM erasure JOIN subject ON subject.id = erasure.subject";

fn erasure(row: &rusqlite::Row<'_>) -> rusqlite::Result<Erasure> {
    Ok(Erasure {
        number: row.get(0)?,
        subject: Digest(row.get(1)?),
        generation: row.get(2)?,
        time_ms: row.get(3)?,
        entries: row.get(4)?,
    })
}

/// Up to `limit` erasures behind the one numbered `after`.
///
/// # Errors
/// Those of the database.
pub fn erasures(state: &Connection, after: u64, limit: usize) -> rusqlite::Result<Vec<Erasure>> {
    if !super::super::schema::has_subjects(state)? {
        return Ok(Vec::new());
    }
    state
        .prepare_cached(&format!(
            "{ERASURE} WHERE erasure.id > ?1 ORDER BY erasure.id LIMIT ?2"
        ))?
        .query_map(params![after, limit], erasure)?
        .collect()
}

/// The number of the last erasure; 0 before the first.
///
/// # Errors
/// Those of the database.
pub fn erasures_done(state: &Connection) -> rusqlite::Result<u64> {
    if !super::super::schema::has_subjects(state)? {
        return Ok(0);
    }
    state
        .prepare_cached("SELECT coalesce(max(id), 0) FROM erasure")?
        .query_row([], |row| row.get(0))
}

impl Erasure {
    /// The entries that lost their content.
    ///
    /// # Errors
    /// Those of the database.
    pub fn entries(&self, state: &Connection) -> rusqlite::Result<Vec<u64>> {
        state
            .prepare_cached(
                "SELECT entry FROM subject_entry JOIN subject ON subject.id = subject
                 WHERE pseudonym = ?1 AND subject_entry.generation = ?2 ORDER BY entry",
            )?
            .query_map(params![self.subject.0, self.generation], |row| row.get(0))?
            .collect()
    }
}

/// A subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSubject {
    /// The generation that it is captured under now: how often it was erased.
    pub generation: u64,
    /// Entries that were captured since the last erasure.
    pub entries: u64,
    /// Every time that it was erased.
    pub erasures: Vec<Erasure>,
}

/// The subject with this pseudonym, if an entry was ever about it.
///
/// # Errors
/// Those of the database.
pub fn subject(
    state: &Connection,
    pseudonym: Pseudonym,
) -> rusqlite::Result<Option<StoredSubject>> {
    if !super::super::schema::has_subjects(state)? {
        return Ok(None);
    }
    let found: Option<(u64, u64)> = state
        .prepare_cached(
            "SELECT generation, (SELECT count(*) FROM subject_entry AS about
                 WHERE about.subject = subject.id AND about.generation = subject.generation)
             FROM subject WHERE pseudonym = ?1",
        )?
        .query_row([pseudonym.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((generation, entries)) = found else {
        return Ok(None);
    };
    let erasures = state
        .prepare_cached(&format!(
            "{ERASURE} WHERE pseudonym = ?1 ORDER BY erasure.id"
        ))?
        .query_map([pseudonym.0], erasure)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(StoredSubject {
        generation,
        entries,
        erasures,
    }))
}
