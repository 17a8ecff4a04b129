//! Every route, whom it serves, and what for. The router, the tests of access and the documentation
//! are made of this table: a route that is not in it does not exist.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, options, patch, post, put};
use http::Method;

use super::caller::{Who, guard};
use super::negotiate::{readable, removable, writable};
use super::queries::subscriptions;
use super::{
    Api, auth, capture, entries, events, evidence, keys, ledger, live, pages, people, proofs,
    queries, query, recall, resources, subjects, tiles, trace,
};
use crate::access::Role;

/// Roles whose holders may write. Consumers and auditors read.
pub const WRITERS: &[Role] = &[
    Role::Farmer,
    Role::Processor,
    Role::Transporter,
    Role::Retailer,
    Role::Admin,
];
const KNOWN: &[Role] = &Role::ALL;
const ADMIN: &[Role] = &[Role::Admin];
const OVERSEERS: &[Role] = &[Role::Auditor, Role::Admin];

/// One route.
#[derive(Clone)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, with names in braces where it varies.
    pub path: &'static str,
    /// Whom it serves.
    pub who: Who,
    /// What it does, in a sentence.
    pub summary: &'static str,
    handler: fn() -> MethodRouter<Api>,
}

const fn route(
    method: Method,
    path: &'static str,
    who: Who,
    handler: fn() -> MethodRouter<Api>,
    summary: &'static str,
) -> Route {
    Route {
        method,
        path,
        who,
        summary,
        handler,
    }
}

use Who::{Anybody, Roles};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const OPTIONS: Method = Method::OPTIONS;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// A collection of the REST binding: what events name.
macro_rules! collection {
    ($name:literal) => {
        [
            route(
                GET,
                concat!("/", $name),
                Anybody,
                || resources::routes($name)[0].clone(),
                "What events name",
            ),
            route(
                GET,
                concat!("/", $name, "/{value}"),
                Anybody,
                || resources::routes($name)[1].clone(),
                "What there is below a name",
            ),
            route(
                GET,
                concat!("/", $name, "/{value}/events"),
                Anybody,
                || resources::routes($name)[2].clone(),
                "The events that have a name",
            ),
            route(
                OPTIONS,
                concat!("/", $name),
                Anybody,
                || options(readable),
                DISCOVERY,
            ),
            route(
                OPTIONS,
                concat!("/", $name, "/{value}"),
                Anybody,
                || options(readable),
                DISCOVERY,
            ),
            route(
                OPTIONS,
                concat!("/", $name, "/{value}/events"),
                Anybody,
                || options(readable),
                DISCOVERY,
            ),
        ]
    };
}

const DISCOVERY: &str = "Which versions are spoken";

/// All of them.
#[must_use]
pub fn all() -> Vec<Route> {
    [
        ROUTES,
        &collection!("eventTypes"),
        &collection!("epcs"),
        &collection!("bizSteps"),
        &collection!("bizLocations"),
        &collection!("readPoints"),
        &collection!("dispositions"),
    ]
    .concat()
}

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    // Pages.
    route(GET, "/", Anybody, || get(pages::index), "The pages, to a browser; else what can be asked for"),
    route(OPTIONS, "/", Anybody, || options(readable), DISCOVERY),
    route(GET, "/pages/{*path}", Anybody, || get(pages::file), "A file of the pages"),
    // EPCIS 2.0.
    route(POST, "/capture", Roles(WRITERS), || post(capture::capture), "Captures a document"),
    route(GET, "/capture", Roles(KNOWN), || get(capture::jobs), "The captures of the caller's party"),
    route(OPTIONS, "/capture", Anybody, || options(capture::options), "What is taken, and how much of it"),
    route(GET, "/capture/{id}", Roles(KNOWN), || get(capture::job), "What became of a capture"),
    route(POST, "/events", Roles(WRITERS), || post(events::post), "Captures one event"),
    route(GET, "/events", Anybody, || get(query::events), "Events, by a query"),
    route(OPTIONS, "/events", Anybody, || options(writable), DISCOVERY),
    route(GET, "/events/{id}", Anybody, || get(events::get), "The event with an eventID"),
    route(POST, "/queries", Roles(KNOWN), || post(queries::create), "Gives a query a name"),
    route(GET, "/queries", Roles(KNOWN), || get(queries::list), "The queries of the caller's party"),
    route(OPTIONS, "/queries", Anybody, || options(writable), DISCOVERY),
    route(GET, "/queries/{name}", Roles(KNOWN), || get(queries::get), "The definition of a query"),
    route(DELETE, "/queries/{name}", Roles(KNOWN), || delete(queries::remove), "Removes a query with its subscriptions"),
    route(OPTIONS, "/queries/{name}", Anybody, || options(removable), DISCOVERY),
    route(GET, "/queries/{name}/events", Roles(KNOWN), || get(queries::events), "The events that a query finds"),
    route(OPTIONS, "/queries/{name}/events", Anybody, || options(readable), DISCOVERY),
    route(POST, "/queries/{name}/subscriptions", Roles(KNOWN), || post(subscriptions::create), "Subscribes to a query, by webhook"),
    route(GET, "/queries/{name}/subscriptions", Roles(KNOWN), || get(subscriptions::list), "The subscriptions to a query"),
    route(OPTIONS, "/queries/{name}/subscriptions", Anybody, || options(writable), DISCOVERY),
    route(GET, "/queries/{name}/subscriptions/{id}", Roles(KNOWN), || get(subscriptions::get), "How a subscription is getting on"),
    route(DELETE, "/queries/{name}/subscriptions/{id}", Roles(KNOWN), || delete(subscriptions::remove), "Ends a subscription"),
    route(OPTIONS, "/queries/{name}/subscriptions/{id}", Anybody, || options(removable), DISCOVERY),
    // The ledger.
    route(GET, "/checkpoint", Anybody, || get(ledger::checkpoint), "The newest signed checkpoint, with the cosignatures of other nodes"),
    route(GET, "/tile/{*path}", Anybody, || get(tiles::tile), "A tile of the tree, or a bundle of its leaves"),
    route(GET, "/api/v1/live", Anybody, || get(live::live), "What enters the ledger, as it enters"),
    route(GET, "/api/v1/ledger", Anybody, || get(ledger::ledger), "Size, root and newest block"),
    route(GET, "/api/v1/cluster", Anybody, || get(ledger::cluster), "The members of the cluster"),
    route(GET, "/api/v1/keys", Anybody, || get(keys::keys), "The verifier keys of the nodes"),
    route(POST, "/api/v1/keys/rotate", Roles(ADMIN), || post(keys::rotate), "Gives the node that answers a new key"),
    route(GET, "/api/v1/evidence", Roles(OVERSEERS), || get(evidence::evidence), "Signed checkpoints of this ledger that contradict each other"),
    route(GET, "/api/v1/blocks", Anybody, || get(ledger::blocks), "Blocks by height"),
    route(GET, "/api/v1/entries/{index}", Anybody, || get(entries::entry), "What the tree holds of an entry"),
    route(GET, "/api/v1/entries/{index}/event", Anybody, || get(entries::event), "The event of an entry"),
    route(GET, "/api/v1/entries/{index}/statements", Anybody, || get(entries::statements), "The statements of an entry, each of which can be disclosed by itself"),
    route(GET, "/api/v1/proofs/inclusion", Anybody, || get(proofs::inclusion), "That an entry is in the tree"),
    route(GET, "/api/v1/proofs/consistency", Anybody, || get(proofs::consistency), "That the tree only grew"),
    route(GET, "/api/v1/proofs/entries", Anybody, || get(proofs::entries), "A proof file of some entries"),
    route(GET, "/api/v1/trace/{epc}", Anybody, || get(trace::trace), "Where a thing came from or went"),
    route(GET, "/api/v1/recall/{epc}", Anybody, || get(recall::recall), "Everything that a batch affects"),
    // People.
    route(POST, "/auth/login", Anybody, || post(auth::login), "Gives tokens for a password"),
    route(POST, "/auth/refresh", Anybody, || post(auth::refresh), "Gives new tokens for a refresh token"),
    route(POST, "/auth/logout", Anybody, || post(auth::logout), "Ends a session, and takes its tokens back"),
    route(GET, "/auth/me", Roles(KNOWN), || get(auth::me), "Who the caller is"),
    route(POST, "/auth/password", Roles(KNOWN), || post(auth::password), "Changes the caller's password"),
    route(GET, "/api/v1/users", Roles(OVERSEERS), || get(people::users), "All users"),
    route(POST, "/api/v1/users", Roles(ADMIN), || post(people::create_user), "Makes a user"),
    route(PATCH, "/api/v1/users/{name}", Roles(ADMIN), || patch(people::change_user), "Changes a user"),
    route(DELETE, "/api/v1/users/{name}", Roles(ADMIN), || delete(people::remove_user), "Removes a user"),
    route(GET, "/api/v1/api-keys", Roles(KNOWN), || get(people::api_keys), "The caller's API keys; an administrator's are all"),
    route(POST, "/api/v1/api-keys", Roles(KNOWN), || post(people::create_api_key), "Makes an API key, which is shown once"),
    route(DELETE, "/api/v1/api-keys/{id}", Roles(KNOWN), || delete(people::remove_api_key), "Removes an API key"),
    route(GET, "/api/v1/parties/{party}/partners", Roles(KNOWN), || get(people::partners), "Who reads what a party shows its partners"),
    route(PUT, "/api/v1/parties/{party}/partners", Roles(WRITERS), || put(people::set_partners), "Says who a party's partners are"),
    route(POST, "/api/v1/tokens/revoke", Roles(ADMIN), || post(people::revoke_token), "Takes a token back"),
    route(GET, "/api/v1/personal", Roles(OVERSEERS), || get(subjects::personal), "Which fields and parties are personal"),
    route(PUT, "/api/v1/personal", Roles(ADMIN), || put(subjects::set_personal), "Says which fields and parties are personal, from now on"),
    route(POST, "/api/v1/subjects/erase", Roles(ADMIN), || post(subjects::erase), "Erases everything about a subject"),
    route(GET, "/api/v1/subjects/{subject}", Roles(OVERSEERS), || get(subjects::subject), "How far the erasure of a subject is"),
    route(GET, "/api/v1/audit", Roles(OVERSEERS), || get(people::audit), "What was done to users, keys and partners"),
];

/// The router of the table.
pub(super) fn router() -> Router<Api> {
    all().iter().fold(Router::new(), |router, route| {
        let guarded = (route.handler)().layer(from_fn_with_state(route.who, guard));
        router.route(route.path, guarded)
    })
}

/// The table of all routes, as Markdown: for the documentation, which a test compares with it.
#[must_use]
pub fn table() -> String {
    let mut table = "| route | serves | |\n|---|---|---|\n".to_owned();
    for route in all() {
        let who = match route.who {
            Anybody => "everybody".to_owned(),
            Roles(roles) if roles == KNOWN => "every role".to_owned(),
            Roles(roles) => {
                let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
                names.join(", ")
            }
        };
        let (method, path, summary) = (&route.method, route.path, route.summary);
        table.push_str(&format!("| `{method} {path}` | {who} | {summary} |\n"));
    }
    table
}
