//! `/queries`: queries that have a name, and their events (EPCIS 2.0, section 12.7).
//!
//! A query is its party's: everybody who acts for that makes, reads and removes them, and to everybody
//! else they are as if they were not there. Whoever oversees the ledger reads all, and says whose with
//! the parameter `party`; an administrator removes them, too.

pub(crate) mod look;
mod socket;
pub(super) mod subscriptions;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use kit::problem::{Json, Path, Problem, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::socket::{Subscriber, subscribe};
use super::negotiate::{Wishes, describe};
use super::query::{Paged, Question, answer};
use super::{Api, ApiError};
use crate::access::{Caller, Role};
use crate::machine::VERSION_OF_SUBJECTS;
use crate::machine::command::queries::change::Change;
use crate::machine::command::queries::{ChangeQueries, PutQuery, QueryName, Refusal};
use crate::machine::command::{Command, change, reply};
use crate::machine::queries::{self, StoredQuery};
use crate::query::{Definition, EventQuery, PageToken, Position, QueryError, check_query_name};
use crate::subscription::Controls;

/// The parameter that says whose queries are meant.
const PARTY: &str = "party";

type Parameters = Query<Vec<(String, String)>>;

impl Api {
    /// Changes queries or subscriptions.
    pub(super) async fn change_queries(&self, actor: &str, change: Change) -> Result<(), ApiError> {
        self.require_version(VERSION_OF_SUBJECTS)?;
        let command = Command::of(change::Change::Queries(ChangeQueries {
            time_ms: kit::clock::unix_ms(),
            actor: actor.to_owned(),
            change: Some(change),
        }));
        let proposed = self.cluster.propose(&command).await?;
        let changed = match proposed.reply.reply {
            Some(reply::Reply::Queries(changed)) => changed,
            Some(reply::Reply::Refused(refused)) => return Err(ApiError::Busy(refused.reason)),
            _ => {
                let message = "the ledger's reply cannot be read";
                return Err(ApiError::Internal(message.into()));
            }
        };
        match changed.refusal() {
            Refusal::None => Ok(()),
            Refusal::NoSuchName => Err(ApiError::NoSuchName(changed.refused)),
            Refusal::NameTaken => Err(ApiError::NameTaken(changed.refused)),
            Refusal::TooMany => Err(ApiError::Exists(changed.refused)),
            Refusal::Invalid => Err(ApiError::BadRequest(changed.refused)),
        }
    }

    /// The query of this name, if the caller may read it.
    pub(super) async fn named(
        &self,
        caller: &Caller,
        asked: Option<&str>,
        name: &str,
    ) -> Result<StoredQuery, ApiError> {
        self.require_version(VERSION_OF_SUBJECTS)?;
        let missing = || ApiError::NoSuchName(format!("there is no query {name:?}"));
        let party = meant(caller, asked).ok_or_else(missing)?;
        let wanted = name.to_owned();
        // The party may have its number since a moment ago, by way of another node.
        let found = self.read(move |state| {
            let Some(party) = queries::party_id(state, &party)? else {
                return Ok(None);
            };
            queries::query(state, party, &wanted)
        });
        found.await?.ok_or_else(missing)
    }

    /// The names of a query that the caller may change.
    pub(super) fn changeable(
        &self,
        caller: &Caller,
        party: &Party,
        name: String,
    ) -> Result<QueryName, ApiError> {
        let party = party.party.as_ref().unwrap_or(&caller.party);
        if *party != caller.party && caller.role != Some(Role::Admin) {
            return Err(ApiError::NoSuchName(format!("there is no query {name:?}")));
        }
        Ok(QueryName {
            party: party.clone(),
            name,
        })
    }

    fn query_json(&self, query: &StoredQuery) -> Value {
        let definition: Value = serde_json::from_str(&query.definition).unwrap_or_default();
        let directory = self.directory.now();
        json!({
            "name": query.name,
            "party": directory.parties.name(query.party),
            "query": definition,
        })
    }
}

/// The name of the party whose queries are meant, if the caller may read them.
fn meant(caller: &Caller, asked: Option<&str>) -> Option<String> {
    let party = asked.unwrap_or(&caller.party);
    let may = party == caller.party || caller.role.is_some_and(Role::sees_all);
    may.then(|| party.to_owned())
}

/// The query that a stored definition makes.
pub(super) fn defined(query: &StoredQuery) -> Result<EventQuery, QueryError> {
    Definition::of_text(&query.definition, &query.extensions)?.read()
}

/// Whose query is meant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Party {
    /// The name of a party, for those who see everybody's; the caller's otherwise.
    pub party: Option<String>,
}

/// The parameters of a list of queries or subscriptions.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "documents what `Question` takes")]
pub(super) struct Listed {
    #[serde(flatten)]
    paged: Paged,
    #[serde(flatten)]
    party: Party,
}

/// A query to make.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewQuery {
    /// Its name, one of its own in the party.
    name: String,
    /// The parameters of `GET /events`.
    query: Map<String, Value>,
}

/// `POST /queries`.
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Json(new): Json<NewQuery>,
) -> Result<Response, Problem> {
    Wishes::of(&headers)?;
    check_query_name(&new.name).map_err(ApiError::BadRequest)?;
    let extensions = headers.get("gs1-extensions");
    let extensions = extensions.and_then(|value| value.to_str().ok());
    let definition = Definition {
        query: new.query,
        extensions: extensions.unwrap_or_default().to_owned(),
    };
    definition.read().map_err(ApiError::from)?;
    let location = format!("/queries/{}", new.name);
    let put = PutQuery {
        query: QueryName {
            party: caller.party,
            name: new.name,
        },
        definition: definition.canonical(),
        extensions: definition.extensions,
    };
    api.change_queries(&caller.name, Change::PutQuery(put))
        .await?;
    created(&location, StatusCode::CREATED.into_response())
}

/// An answer that says where what was made is.
pub(super) fn created(location: &str, mut response: Response) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(location).map_err(Problem::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    describe(&mut response);
    Ok(response)
}

/// Takes whose queries are meant out of what is asked; nothing else but paging may be.
fn asked_party(question: &Question) -> Result<Option<String>, ApiError> {
    match &question.parameters[..] {
        [] => Ok(None),
        [(name, party)] if name == PARTY => Ok(Some(party.clone())),
        [(name, _), ..] => Err(QueryError::Parameter {
            name: name.clone(),
            reason: "a named query takes perPage, nextPageToken and, of whoever oversees the \
                     ledger, party; what it asks for stands in its definition"
                .to_owned(),
        }
        .into()),
    }
}

/// `GET /queries`.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Result<Response, Problem> {
    api.require_version(VERSION_OF_SUBJECTS)?;
    let question = Question::new(&uri, &headers, caller.viewer.clone(), parameters)?;
    let asked = asked_party(&question)?;
    let secret = api.founded().await?.secret;
    let after = match question.token(&secret)?.map(|token| token.after) {
        Some(Position::Text(after)) => after,
        _ => String::new(),
    };
    let everybodys = asked.is_none() && caller.role.is_some_and(Role::sees_all);
    let meant = meant(&caller, asked.as_deref());
    let count = question.paging.size;
    let read = api.read(move |state| {
        let known = meant.map_or(Ok(None), |party| queries::party_id(state, &party))?;
        // No query is nobody's.
        let party = (!everybodys).then_some(known.unwrap_or(0));
        let (of, name) = after.split_once('/').unwrap_or_default();
        let after = (of.parse().unwrap_or(0), name);
        queries::queries(state, party, after, count + 1)
    });
    let mut found = read.await?;
    let more = found.len() > count;
    found.truncate(count);
    let next = found.last().filter(|_| more).map(|last| PageToken {
        size: 0,
        left: None,
        after: Position::Text(format!("{}/{}", last.party, last.name)),
    });
    let found: Vec<_> = found.iter().map(|query| api.query_json(query)).collect();
    Ok(question.respond(&found.into(), next.as_ref(), &secret)?)
}

/// `GET /queries/{queryName}`.
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Query(party): Query<Party>,
) -> Result<Response, Problem> {
    let query = api.named(&caller, party.party.as_deref(), &name).await?;
    let mut response = Json(api.query_json(&query)).into_response();
    describe(&mut response);
    Ok(response)
}

/// `DELETE /queries/{queryName}`: with its subscriptions, and those who listen to it are cut off.
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Query(party): Query<Party>,
) -> Result<StatusCode, Problem> {
    let query = api.changeable(&caller, &party, name)?;
    api.change_queries(&caller.name, Change::RemoveQuery(query))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /queries/{queryName}/events`: a page of them, or all that come, over a WebSocket.
pub(super) async fn events(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(mut parameters): Parameters,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    if let Ok(socket) = socket {
        let controls = Controls::take(&mut parameters);
        let controls = controls.map_err(|error| ApiError::Subscription(error.to_string()))?;
        let question = Question::new(&uri, &headers, caller.viewer.clone(), parameters)?;
        let asked = asked_party(&question)?;
        let subscriber = Subscriber {
            query: api.named(&caller, asked.as_deref(), &name).await?,
            api,
            caller,
            headers,
        };
        return Ok(subscribe(subscriber, controls, socket).await?);
    }
    let mut question = Question::new(&uri, &headers, caller.viewer.clone(), parameters)?;
    let asked = asked_party(&question)?;
    let stored = api.named(&caller, asked.as_deref(), &name).await?;
    let query = defined(&stored).map_err(ApiError::from)?;
    // Another query may get the name.
    question.bind(&stored.party.to_be_bytes());
    question.bind(stored.definition.as_bytes());
    question.bind(stored.extensions.as_bytes());
    Ok(answer(&api, question, query, &name).await?)
}
