//! What an operator writes about an incident.

use jiff::Timestamp;
use tokio_postgres::error::SqlState;

use super::{Store, StoreError};
use crate::report::Note;

/// How long a note may be.
pub const NOTE_CHARACTERS_MAX: usize = 2_000;
/// How long a name may be.
pub const AUTHOR_CHARACTERS_MAX: usize = 80;
/// How many notes an incident may have.
const NOTES_MAX: i64 = 200;

impl Store {
    /// Adds a note to an incident.
    ///
    /// # Errors
    /// There is no such incident, the note is empty, too long or holds what cannot be shown, or the
    /// database is away.
    pub async fn note(&self, incident: i64, note: &Note) -> Result<(), StoreError> {
        check(&note.author, "the author", AUTHOR_CHARACTERS_MAX, false)?;
        check(&note.text, "the note", NOTE_CHARACTERS_MAX, true)?;
        let sql = "INSERT INTO note (incident, at, author, text)
          SELECT $1, $2, $3, $4
          WHERE (SELECT count(*) FROM note WHERE incident = $1) < $5";
        let at: Timestamp = note.at;
        self.with(async |client| {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&incident, &at, &note.author, &note.text, &NOTES_MAX];
            match client.execute(sql, &values).await {
                Ok(0) => Err(StoreError::Invalid(format!(
                    "incident {incident} has {NOTES_MAX} notes already"
                ))),
                Ok(_) => Ok(()),
                Err(error) if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => {
                    Err(StoreError::NoIncident(incident))
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

fn check(text: &str, what: &str, most: usize, lines: bool) -> Result<(), StoreError> {
    let control = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\t'));
    let length = text.chars().count();
    let wrong = if text.trim().is_empty() {
        "is empty".to_owned()
    } else if length > most {
        format!("has {length} characters; at most {most} are kept")
    } else if text.chars().any(control) {
        "holds control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(StoreError::Invalid(format!("{what} {wrong}")))
}
