//! The top-level resources of the REST binding: what events name, and the events that name it.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use http::{HeaderMap, Uri};
use kit::problem::{Path, Problem, Query};
use serde_json::{Value, json};

use super::query::{Question, SEARCH_TIME, find};
use super::{Api, ApiError};
use crate::access::Caller;
use crate::index::{Collection, Listing};
use crate::query::{PageToken, Position, Prefixes, QueryError, Word};
use crate::rdf::terms::CONTEXT_URLS;

/// A top-level resource.
#[derive(Clone, Copy, Debug)]
struct Resource {
    name: &'static str,
    collection: Collection,
    /// The parameter that a query for its events has.
    parameter: &'static str,
}

const RESOURCES: [Resource; 6] = [
    Resource {
        name: "eventTypes",
        collection: Collection::Words(Word::EventType),
        parameter: "eventType",
    },
    Resource {
        name: "epcs",
        collection: Collection::Epcs,
        parameter: "MATCH_anyEPC",
    },
    Resource {
        name: "bizSteps",
        collection: Collection::Words(Word::BizStep),
        parameter: "EQ_bizStep",
    },
    Resource {
        name: "bizLocations",
        collection: Collection::BizLocations,
        parameter: "EQ_bizLocation",
    },
    Resource {
        name: "readPoints",
        collection: Collection::ReadPoints,
        parameter: "EQ_readPoint",
    },
    Resource {
        name: "dispositions",
        collection: Collection::Words(Word::Disposition),
        parameter: "EQ_disposition",
    },
];

type Parameters = Query<Vec<(String, String)>>;

/// The three routes of the resource of this name: its names, what is below one, and its events.
pub(super) fn routes(name: &str) -> [MethodRouter<Api>; 3] {
    let known = RESOURCES.into_iter().find(|resource| resource.name == name);
    let resource = known.expect("the table of routes names resources that there are");
    let list =
        move |api: State<Api>, caller: Caller, uri, headers: HeaderMap, asked: Parameters| {
            list(resource, api, caller, uri, headers, asked)
        };
    let parts =
        move |api: State<Api>, caller: Caller, uri, path, headers: HeaderMap, asked: Parameters| {
            parts(resource, api, caller, uri, path, headers, asked)
        };
    let events =
        move |api: State<Api>, caller: Caller, uri, path, headers: HeaderMap, asked: Parameters| {
            events(resource, api, caller, uri, path, headers, asked)
        };
    [get(list), get(parts), get(events)]
}

/// The names in a collection.
async fn list(
    resource: Resource,
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Result<Response, Problem> {
    let question = Question::new(&uri, &headers, caller.viewer, parameters)?;
    no_more(&question)?;
    let (secret, size) = api.caught_up().await?;
    let token = question.token(&secret)?;
    let size = token.as_ref().map_or(size, |token| token.size);
    let after = match token.map(|token| token.after) {
        Some(Position::Text(after)) => after,
        _ => String::new(),
    };
    let turn = api.query_turn().await?;
    let (viewer, count) = (question.viewer.clone(), question.paging.size);
    let names = api.index.read_within(SEARCH_TIME, move |index| {
        let _turn = turn;
        let listing = Listing {
            collection: resource.collection,
            viewer: &viewer,
            size,
            after: &after,
            // One more tells whether there is another page.
            limit: count + 1,
        };
        listing.names(index)
    });
    let mut names = names.await.map_err(ApiError::from)?;
    let more = names.len() > count;
    names.truncate(count);
    let next = names.last().filter(|_| more).map(|last| PageToken {
        size,
        left: None,
        after: Position::Text(last.clone()),
    });
    Ok(question.respond(&collection(&names), next.as_ref(), &secret)?)
}

/// What there is below a name.
async fn parts(
    resource: Resource,
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Path(value): Path<String>,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Result<Response, Problem> {
    let question = Question::new(&uri, &headers, caller.viewer, parameters)?;
    no_more(&question)?;
    let (secret, size) = api.caught_up().await?;
    known(&api, resource, &question, &value, size).await?;
    Ok(question.respond(&collection(&["events"]), None, &secret)?)
}

/// The events that have a name.
async fn events(
    resource: Resource,
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Path(value): Path<String>,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Result<Response, Problem> {
    let question = Question::new(&uri, &headers, caller.viewer, parameters)?;
    let (_, size) = api.caught_up().await?;
    known(&api, resource, &question, &value, size).await?;
    let fixed = Some((resource.parameter, value.as_str()));
    Ok(find(&api, question, fixed).await?)
}

fn collection(names: &[impl serde::Serialize]) -> Value {
    json!({ "@context": CONTEXT_URLS[0], "type": "Collection", "member": names })
}

/// A collection takes no parameters but those of paging.
fn no_more(question: &Question) -> Result<(), ApiError> {
    match question.parameters.first() {
        None => Ok(()),
        Some((name, _)) => Err(QueryError::Parameter {
            name: name.clone(),
            reason: "a collection takes perPage and nextPageToken; events are asked for below it"
                .to_owned(),
        }
        .into()),
    }
}

/// That the asker may know of `value`.
async fn known(
    api: &Api,
    resource: Resource,
    question: &Question,
    value: &str,
    size: u64,
) -> Result<(), ApiError> {
    let missing = || ApiError::NoSuchName(format!("{}: there is no {value:?}", resource.name));
    let name = spelled(resource.collection, value, &question.wishes.prefixes);
    let name = name.ok_or_else(missing)?;
    let turn = api.query_turn().await?;
    let viewer = question.viewer.clone();
    let has = api.index.read_within(SEARCH_TIME, move |index| {
        let _turn = turn;
        let listing = Listing {
            collection: resource.collection,
            viewer: &viewer,
            size,
            after: "",
            limit: 1,
        };
        listing.has(index, &name)
    });
    if has.await? { Ok(()) } else { Err(missing()) }
}

fn spelled(collection: Collection, value: &str, prefixes: &Prefixes) -> Option<String> {
    match collection {
        Collection::Words(word) => Some(word.spelled(value, prefixes)),
        Collection::Epcs | Collection::ReadPoints | Collection::BizLocations => prefixes.key(value),
    }
}
