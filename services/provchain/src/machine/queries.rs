//! Named queries and subscriptions in the replicated state.

mod read;

use consensus::ApplyError;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

pub use self::read::{
    StoredQuery, StoredSubscription, queries, query, subscription, subscriptions, subscriptions_of,
};
use super::access::{self, AuditLine};
use super::command::queries::change::Change;
use super::command::queries::{
    ChangeQueries, Mark, PutQuery, QueriesChanged, QueryName, Refusal, Subscribe, Unsubscribe,
};
use crate::access::PartyId;
use crate::access::directory::check_name;
use crate::query::{DEFINITION_BYTES_MAX, check_query_name};
use crate::subscription::{DEST_BYTES_MAX, SIGNATURE_TOKEN_BYTES_MAX};

/// Queries of one party, and of all.
const QUERIES_MAX: [u64; 2] = [100, 10_000];

/// Subscriptions of one party, and of all: each is a task of the node that leads.
const SUBSCRIPTIONS_MAX: [u64; 2] = [100, 1_000];

/// Longest schedule, and longest reason of a failure, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// A refusal: its kind and a sentence.
type Refused = (Refusal, String);

/// What one change comes to: refused, or done with its line of the audit log, if it has one.
type Outcome = Result<Option<AuditLine>, Refused>;

/// Whether a change may be the first that names a party.
pub(super) fn may_name_a_party(change: &ChangeQueries) -> bool {
    matches!(change.change, Some(Change::PutQuery(_)))
}

/// Whether a change is more than progress: who follows queries looks again.
pub(super) fn alters_queries(change: &ChangeQueries) -> bool {
    match &change.change {
        Some(Change::Progress(progress)) => progress.marks.iter().any(|mark| mark.disabled),
        _ => true,
    }
}

/// Applies a change of queries or subscriptions; `size` is that of the ledger.
pub(super) fn apply(
    state: &Transaction<'_>,
    change: &ChangeQueries,
    size: u64,
) -> Result<QueriesChanged, ApplyError> {
    let outcome = match &change.change {
        Some(Change::PutQuery(put)) => put_query(state, put, change)?,
        Some(Change::RemoveQuery(name)) => remove_query(state, name)?,
        Some(Change::Subscribe(subscribe)) => add(state, subscribe, change, size)?,
        Some(Change::Unsubscribe(unsubscribe)) => remove(state, unsubscribe)?,
        Some(Change::Progress(progress)) => {
            for mark in &progress.marks {
                advance(state, mark)?;
            }
            Ok(None)
        }
        None => {
            let message = "a change of queries is of a kind that this build does not know";
            return Err(ApplyError::Diverged(message.into()));
        }
    };
    match outcome {
        Ok(line) => {
            if let Some(line) = line {
                access::audit(state, change.time_ms, &change.actor, &line)?;
            }
            Ok(QueriesChanged::default())
        }
        Err((kind, refused)) => Ok(QueriesChanged {
            refused,
            refusal: kind.into(),
        }),
    }
}

fn no_such_query(name: &str) -> Refused {
    (Refusal::NoSuchName, format!("there is no query {name}"))
}

/// The number of a party that may have none yet.
pub fn party_id(state: &Connection, name: &str) -> rusqlite::Result<Option<PartyId>> {
    state
        .prepare_cached("SELECT id FROM party WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn has_query(state: &Connection, party: PartyId, name: &str) -> rusqlite::Result<bool> {
    state
        .prepare_cached("SELECT 1 FROM query WHERE party = ?1 AND name = ?2")?
        .exists(params![party, name])
}

/// Why there is no room for one more row of `table`.
fn room(
    state: &Connection,
    table: &str,
    party: PartyId,
    [own, all]: [u64; 2],
) -> rusqlite::Result<Option<Refused>> {
    let count = |of: &str| -> rusqlite::Result<u64> {
        state
            .prepare_cached(&format!("SELECT count(*) FROM {table} WHERE {of}"))?
            .query_row([party], |row| row.get(0))
    };
    let what = if table == "query" {
        "queries"
    } else {
        "subscriptions"
    };
    Ok(if count("party = ?1")? >= own {
        let reason = format!("a party has at most {own} {what}: remove one first");
        Some((Refusal::TooMany, reason))
    } else if count("?1 IS NOT NULL")? >= all {
        let reason = format!("the ledger has {all} {what}, and takes no more");
        Some((Refusal::TooMany, reason))
    } else {
        None
    })
}

fn put_query(
    state: &Transaction<'_>,
    put: &PutQuery,
    change: &ChangeQueries,
) -> Result<Outcome, ApplyError> {
    let QueryName { party, name } = &put.query;
    let named = check_query_name(name).and_then(|()| check_name("a party's name", party));
    if let Err(reason) = named {
        return Ok(Err((Refusal::Invalid, reason)));
    }
    if put.definition.len() + put.extensions.len() > DEFINITION_BYTES_MAX {
        let reason = format!("a definition has at most {DEFINITION_BYTES_MAX} bytes");
        return Ok(Err((Refusal::Invalid, reason)));
    }
    let party = access::party(state, party)?;
    if has_query(state, party, name)? {
        let reason = format!("there is a query {name} already: remove it, or choose another name");
        return Ok(Err((Refusal::NameTaken, reason)));
    }
    if let Some(refused) = room(state, "query", party, QUERIES_MAX)? {
        return Ok(Err(refused));
    }
    state
        .prepare_cached(
            "INSERT INTO query (party, name, definition, extensions, owner, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            party,
            name,
            put.definition,
            put.extensions,
            change.actor,
            change.time_ms
        ])?;
    Ok(Ok(Some(line("query.create", &put.query, ""))))
}

fn line(action: &'static str, query: &QueryName, detail: &str) -> AuditLine {
    AuditLine {
        action,
        target: format!("{}/{}", query.party, query.name),
        detail: detail.to_owned(),
    }
}

fn remove_query(state: &Transaction<'_>, query: &QueryName) -> Result<Outcome, ApplyError> {
    let Some(party) = party_id(state, &query.party)? else {
        return Ok(Err(no_such_query(&query.name)));
    };
    state
        .prepare_cached("DELETE FROM subscription WHERE party = ?1 AND query = ?2")?
        .execute(params![party, query.name])?;
    let gone = state
        .prepare_cached("DELETE FROM query WHERE party = ?1 AND name = ?2")?
        .execute(params![party, query.name])?;
    Ok(if gone == 0 {
        Err(no_such_query(&query.name))
    } else {
        Ok(Some(line("query.remove", query, "")))
    })
}

fn add(
    state: &Transaction<'_>,
    new: &Subscribe,
    change: &ChangeQueries,
    size: u64,
) -> Result<Outcome, ApplyError> {
    let fits = !new.id.is_empty()
        && new.id.len() <= TEXT_BYTES_MAX
        && new.dest.len() <= DEST_BYTES_MAX
        && new.signature_token.len() <= SIGNATURE_TOKEN_BYTES_MAX
        && new.schedule.len() <= TEXT_BYTES_MAX;
    if !fits {
        let reason = "something of the subscription is too long";
        return Ok(Err((Refusal::Invalid, reason.into())));
    }
    let name = &new.query.name;
    let party = match party_id(state, &new.query.party)? {
        Some(party) if has_query(state, party, name)? => party,
        _ => return Ok(Err(no_such_query(name))),
    };
    if let Some(refused) = room(state, "subscription", party, SUBSCRIPTIONS_MAX)? {
        return Ok(Err(refused));
    }
    let next = new.from_entry.unwrap_or(size).min(size);
    state
        .prepare_cached(
            "INSERT OR IGNORE INTO subscription
                 (id, party, query, user, role, dest, signature_token, schedule, report_if_empty,
                  initial_record_micros, created_ms, next, run_ms, failures, error, disabled)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?11, 0, '', 0)",
        )?
        .execute(params![
            new.id,
            party,
            name,
            new.user,
            new.role,
            new.dest,
            new.signature_token,
            new.schedule,
            new.report_if_empty,
            new.initial_record_micros,
            change.time_ms,
            next
        ])?;
    Ok(Ok(Some(line("subscription.create", &new.query, &new.id))))
}

fn remove(state: &Transaction<'_>, gone: &Unsubscribe) -> Result<Outcome, ApplyError> {
    let party = party_id(state, &gone.query.party)?;
    let removed = state
        .prepare_cached("DELETE FROM subscription WHERE id = ?1 AND party = ?2 AND query = ?3")?
        .execute(params![gone.id, party, gone.query.name])?;
    Ok(if removed == 0 {
        let reason = format!("there is no subscription {}", gone.id);
        Err((Refusal::NoSuchName, reason))
    } else {
        Ok(Some(line("subscription.remove", &gone.query, &gone.id)))
    })
}

/// Takes a mark in, unless another leader has come further.
fn advance(state: &Transaction<'_>, mark: &Mark) -> rusqlite::Result<()> {
    let end = mark.error.floor_char_boundary(TEXT_BYTES_MAX);
    let error = &mark.error[..end];
    state
        .prepare_cached(
            "UPDATE subscription SET next = ?2, run_ms = max(run_ms, ?3),
                 notified_ms = coalesce(?4, notified_ms), failures = ?5, error = ?6, disabled = ?7
             WHERE id = ?1 AND next <= ?2 AND NOT disabled",
        )?
        .execute(params![
            mark.id,
            mark.next,
            mark.run_ms,
            mark.notified_ms,
            mark.failures,
            error,
            mark.disabled
        ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use crate::machine::command::queries::Progress;

    const ID: &str = "one";

    fn name(party: &str) -> QueryName {
        QueryName {
            party: party.into(),
            name: "all".into(),
        }
    }

    fn subscribed() -> Connection {
        let state = Connection::open_in_memory().unwrap();
        for migration in schema::MIGRATIONS {
            state.execute_batch(migration).unwrap();
        }
        let put = PutQuery {
            query: name("farm"),
            definition: "{}".into(),
            ..PutQuery::default()
        };
        change(&state, Change::PutQuery(put));
        let subscribe = Subscribe {
            query: name("farm"),
            id: ID.into(),
            user: "ann".into(),
            ..Subscribe::default()
        };
        change(&state, Change::Subscribe(subscribe));
        state
    }

    fn change(state: &Connection, change: Change) -> Refusal {
        let change = ChangeQueries {
            time_ms: 1_000,
            actor: "ann".into(),
            change: Some(change),
        };
        let transaction = state.unchecked_transaction().unwrap();
        let changed = apply(&transaction, &change, 7).unwrap();
        transaction.commit().unwrap();
        changed.refusal()
    }

    fn mark(next: u64, failures: u32) -> Mark {
        Mark {
            id: ID.into(),
            next,
            failures,
            error: "ä".repeat(2_000),
            ..Mark::default()
        }
    }

    fn set(state: &Connection, marks: Vec<Mark>) -> StoredSubscription {
        change(state, Change::Progress(Progress { marks }));
        subscriptions(state).unwrap().remove(0)
    }

    #[test]
    fn a_subscription_begins_at_the_end_and_its_marks_go_forward_only() {
        let state = subscribed();
        let new = subscriptions(&state).unwrap().remove(0);
        assert_eq!((new.next, new.run_ms, new.created_ms), (7, 1_000, 1_000));
        let marked = set(&state, vec![mark(9, 0), mark(12, 0)]);
        assert_eq!((marked.next, marked.failures), (12, 0));
        assert!(marked.error.len() <= TEXT_BYTES_MAX);
        // What an old leader says late changes nothing.
        let late = set(&state, vec![mark(11, 5)]);
        assert_eq!((late.next, late.failures), (12, 0));
        let failed = set(&state, vec![mark(12, 5)]);
        assert_eq!((failed.next, failed.failures), (12, 5));
        let ended = Mark {
            disabled: true,
            ..mark(12, 6)
        };
        assert!(set(&state, vec![ended, mark(20, 0)]).disabled);
    }

    #[test]
    fn what_is_another_partys_is_not_there() {
        let state = subscribed();
        let gone = |party: &str| Unsubscribe {
            query: name(party),
            id: ID.into(),
        };
        for party in ["shop", "nobody"] {
            let refused = change(&state, Change::Unsubscribe(gone(party)));
            assert_eq!(refused, Refusal::NoSuchName);
            let refused = change(&state, Change::RemoveQuery(name(party)));
            assert_eq!(refused, Refusal::NoSuchName);
        }
        assert_eq!(subscriptions(&state).unwrap().len(), 1);
        // A party is not made by being asked for.
        assert_eq!(party_id(&state, "shop").unwrap(), None);
        assert_eq!(
            change(&state, Change::RemoveQuery(name("farm"))),
            Refusal::None
        );
        assert!(subscriptions(&state).unwrap().is_empty());
    }
}
