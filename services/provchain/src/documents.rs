//! What the ledger's formats need to know of the documents in them.

use crate::epcis::{Event, Limits, capture};
use crate::ledger::identity::Identifying;

/// A stored event.
///
/// # Errors
/// A sentence that says why it is none.
pub fn read(document: &[u8], limits: &Limits) -> Result<Event, String> {
    let mut read = capture::parse(document, limits).map_err(|issues| {
        issues
            .first()
            .map_or("it is no event".into(), |issue| issue.message.clone())
    })?;
    match (read.events.pop(), read.events.pop()) {
        (Some(event), None) => Ok(event),
        _ => Err("it is not one event".into()),
    }
}

fn lines(statements: Vec<String>) -> Vec<String> {
    statements
        .into_iter()
        .map(|line| line.trim_end_matches('\n').to_owned())
        .collect()
}

/// The canonical statements of a stored event, without the ends of their lines.
///
/// # Errors
/// A sentence that says why there are none.
pub fn statements_of(document: &[u8], limits: &Limits) -> Result<Vec<String>, String> {
    event_statements(&read(document, limits)?, limits)
}

/// What identifies a stored event.
///
/// # Errors
/// As [`statements_of`].
pub fn identifying_of(document: &[u8], limits: &Limits) -> Result<Identifying, String> {
    event_identifying(&read(document, limits)?, limits)
}

/// The canonical statements of an event.
///
/// # Errors
/// As [`statements_of`].
pub fn event_statements(event: &Event, limits: &Limits) -> Result<Vec<String>, String> {
    event
        .statements(&limits.rdf)
        .map(lines)
        .map_err(|error| error.to_string())
}

/// What identifies an event, whoever its owner is.
///
/// # Errors
/// As [`statements_of`].
pub fn event_identifying(event: &Event, limits: &Limits) -> Result<Identifying, String> {
    let statements = event
        .statements_without_record_time(&limits.rdf)
        .map_err(|error| error.to_string())?;
    Ok(Identifying {
        owner: String::new(),
        event_id: event.id.clone(),
        error_declaration: event.value.get("errorDeclaration").is_some(),
        statements: lines(statements),
    })
}
