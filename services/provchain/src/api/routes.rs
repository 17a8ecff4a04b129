//! Every route, whom it serves, and what for. The router, the tests of access and the documentation
//! are made of this table: a route that is not in it does not exist.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, options, patch, post, put};
use http::Method;

use super::cache::{self, Kept};
use super::caller::{Who, guard};
use super::even::evenly;
use super::negotiate::{readable, removable, writable};
use super::openapi::openapi;
use super::openapi::shape::{HTML, JSON_LD, Shape, TEXT, bytes, done, json, of, text};
use super::queries::subscriptions;
use super::{
    Api, auth, capture, entries, events, evidence, keys, ledger, live, pages, people, proofs,
    queries, query, question, recall, resources, subjects, tiles, trace,
};
use crate::access::Role;
use crate::ledger::proof::ProofFile;
use crate::recall::Dossier;
use crate::trace::Answer;

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
    /// What it takes and gives.
    pub shape: Shape,
    /// Whether its answers are kept, and how.
    pub kept: Option<Kept>,
    /// Whether it looks for events of which its caller may not read all.
    pub searches: bool,
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
        shape: Shape::NEW,
        kept: None,
        searches: false,
        handler,
    }
}

impl Route {
    const fn with(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// Its answers are kept, each under the size of the ledger.
    const fn kept(mut self, kept: Kept) -> Self {
        self.kept = Some(kept);
        self
    }

    /// It looks for events of which its caller may not read all: how long that took is not to be told.
    const fn searches(mut self) -> Self {
        self.searches = true;
        self
    }
}

use Who::{Anybody, Roles};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const OPTIONS: Method = Method::OPTIONS;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// What a collection answers with: names, or events.
const NAMES: Shape = Shape::NEW
    .asks::<query::Paged>()
    .hears(query::HEADERS)
    .gives(json("Collection"))
    .gives(json("Collection").as_media(JSON_LD))
    .fails(&[404, 406, 413]);
const EVENTS: Shape = Shape::NEW
    .asks::<query::Conditions>()
    .hears(query::HEADERS)
    .gives(json("EPCISQueryDocument"))
    .gives(json("EPCISQueryDocument").as_media(JSON_LD))
    .fails(&[404, 406, 413, 501]);
/// How the answers of queries are kept, of walks, and of proofs.
const QUERY: Kept = Kept {
    as_of: None,
    signed: false,
};
const WALK: Kept = Kept {
    as_of: Some("asOf"),
    signed: true,
};
const PROOF: Kept = Kept {
    as_of: Some("size"),
    signed: true,
};
const VERSIONS: Shape = Shape::NEW.gives(done(204));

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
            )
            .with(NAMES)
            .kept(QUERY)
            .searches(),
            route(
                GET,
                concat!("/", $name, "/{value}"),
                Anybody,
                || resources::routes($name)[1].clone(),
                "What there is below a name",
            )
            .with(NAMES)
            .kept(QUERY)
            .searches(),
            route(
                GET,
                concat!("/", $name, "/{value}/events"),
                Anybody,
                || resources::routes($name)[2].clone(),
                "The events that have a name",
            )
            .with(EVENTS)
            .kept(QUERY)
            .searches(),
            discovery(concat!("/", $name)),
            discovery(concat!("/", $name, "/{value}")),
            discovery(concat!("/", $name, "/{value}/events")),
        ]
    };
}

const fn discovery(path: &'static str) -> Route {
    route(OPTIONS, path, Anybody, || options(readable), DISCOVERY).with(VERSIONS)
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
    route(GET, "/", Anybody, || get(pages::index), "The pages, to a browser; else what can be asked for")
        .with(Shape::NEW.gives(text(HTML)).gives(json("Resources")).gives(done(304)).fails(&[406])),
    route(OPTIONS, "/", Anybody, || options(readable), DISCOVERY)
        .with(VERSIONS),
    route(GET, "/pages/{*path}", Anybody, || get(pages::file), "A file of the pages")
        .with(Shape::NEW.gives(text("text/css")).gives(text("text/javascript")).gives(text("image/svg+xml")).gives(done(304)).fails(&[404])),
    // EPCIS 2.0.
    route(POST, "/capture", Roles(WRITERS), || post(capture::capture), "Captures a document")
        .with(Shape::NEW.takes_events().hears(capture::HEADERS).gives(json("CaptureReceipt").as_status(202)).fails(&[406, 409, 507])),
    route(GET, "/capture", Roles(KNOWN), || get(capture::jobs), "The captures of the caller's party")
        .with(Shape::NEW.asks::<capture::Page>().gives(json("CaptureJobs"))),
    route(OPTIONS, "/capture", Anybody, || options(capture::options), "What is taken, and how much of it")
        .with(VERSIONS),
    route(GET, "/capture/{id}", Roles(KNOWN), || get(capture::job), "What became of a capture")
        .with(Shape::NEW.gives(json("CaptureJob")).fails(&[404])),
    route(POST, "/events", Roles(WRITERS), || post(events::post), "Captures one event")
        .with(Shape::NEW.takes_events().hears(capture::HEADERS).gives(json("EventReceipt").as_status(201)).fails(&[406, 409, 507])),
    route(GET, "/events", Anybody, || get(query::events), "Events, by a query")
        .with(EVENTS)
        .kept(QUERY)
        .searches(),
    route(OPTIONS, "/events", Anybody, || options(writable), DISCOVERY)
        .with(VERSIONS),
    route(GET, "/events/{id}", Anybody, || get(events::get), "The event with an eventID")
        .with(Shape::NEW.gives(json("Event").as_media(JSON_LD)).fails(&[404, 410]))
        .searches(),
    route(POST, "/queries", Roles(KNOWN), || post(queries::create), "Gives a query a name")
        .with(Shape::NEW.takes::<queries::NewQuery>().hears(query::HEADERS).gives(done(201)).fails(&[406, 409, 501])),
    route(GET, "/queries", Roles(KNOWN), || get(queries::list), "The queries of the caller's party")
        .with(Shape::NEW.asks::<queries::Listed>().hears(query::HEADERS).gives(json("NamedQueries")).gives(json("NamedQueries").as_media(JSON_LD)).fails(&[406])),
    route(OPTIONS, "/queries", Anybody, || options(writable), DISCOVERY)
        .with(VERSIONS),
    route(GET, "/queries/{name}", Roles(KNOWN), || get(queries::get), "The definition of a query")
        .with(Shape::NEW.asks::<queries::Party>().gives(json("NamedQuery")).fails(&[404])),
    route(DELETE, "/queries/{name}", Roles(KNOWN), || delete(queries::remove), "Removes a query with its subscriptions")
        .with(Shape::NEW.asks::<queries::Party>().gives(done(204)).fails(&[404])),
    route(OPTIONS, "/queries/{name}", Anybody, || options(removable), DISCOVERY)
        .with(VERSIONS),
    route(GET, "/queries/{name}/events", Roles(KNOWN), || get(queries::events), "The events that a query finds")
        .with(EVENTS.gives(done(101)))
        .searches(),
    route(OPTIONS, "/queries/{name}/events", Anybody, || options(readable), DISCOVERY)
        .with(VERSIONS),
    route(POST, "/queries/{name}/subscriptions", Roles(KNOWN), || post(subscriptions::create), "Subscribes to a query, by webhook")
        .with(Shape::NEW.takes::<subscriptions::NewSubscription>().gives(json("Subscription").as_status(201)).fails(&[404, 406, 409])),
    route(GET, "/queries/{name}/subscriptions", Roles(KNOWN), || get(subscriptions::list), "The subscriptions to a query")
        .with(Shape::NEW.asks::<queries::Listed>().gives(json("Subscriptions")).gives(json("Subscriptions").as_media(JSON_LD)).fails(&[404, 406])),
    route(OPTIONS, "/queries/{name}/subscriptions", Anybody, || options(writable), DISCOVERY)
        .with(VERSIONS),
    route(GET, "/queries/{name}/subscriptions/{id}", Roles(KNOWN), || get(subscriptions::get), "How a subscription is getting on")
        .with(Shape::NEW.asks::<queries::Party>().gives(json("Subscription")).fails(&[404])),
    route(DELETE, "/queries/{name}/subscriptions/{id}", Roles(KNOWN), || delete(subscriptions::remove), "Ends a subscription")
        .with(Shape::NEW.asks::<queries::Party>().gives(done(204)).fails(&[404])),
    route(OPTIONS, "/queries/{name}/subscriptions/{id}", Anybody, || options(removable), DISCOVERY)
        .with(VERSIONS),
    // The ledger.
    route(GET, "/openapi.json", Anybody, || get(openapi), "This interface, as an OpenAPI document")
        .with(Shape::NEW.gives(json("OpenAPI"))),
    route(GET, "/checkpoint", Anybody, || get(ledger::checkpoint), "The newest signed checkpoint, with the cosignatures of other nodes")
        .with(Shape::NEW.asks::<ledger::Which>().gives(text(TEXT))),
    route(GET, "/tile/{*path}", Anybody, || get(tiles::tile), "A tile of the tree, or a bundle of its leaves")
        .with(Shape::NEW.gives(bytes()).fails(&[404])),
    route(GET, "/api/v1/live", Anybody, || get(live::live), "What enters the ledger, as it enters")
        .with(Shape::NEW.asks::<live::Question>().gives(text("text/event-stream")).gives(done(101))),
    route(GET, "/api/v1/ledger", Anybody, || get(ledger::ledger), "Size, root and newest block")
        .with(Shape::NEW.gives(json("Ledger"))),
    route(GET, "/api/v1/cluster", Anybody, || get(ledger::cluster), "The members of the cluster")
        .with(Shape::NEW.gives(json("Cluster"))),
    route(GET, "/api/v1/keys", Anybody, || get(keys::keys), "The verifier keys of the nodes")
        .with(Shape::NEW.asks::<keys::Form>().gives(text(TEXT)).gives(json("NodeKeys"))),
    route(POST, "/api/v1/keys/rotate", Roles(ADMIN), || post(keys::rotate), "Gives the node that answers a new key")
        .with(Shape::NEW.gives(json("Rotated"))),
    route(GET, "/api/v1/evidence", Roles(OVERSEERS), || get(evidence::evidence), "Signed checkpoints of this ledger that contradict each other")
        .with(Shape::NEW.gives(json("EvidenceKept"))),
    route(GET, "/api/v1/blocks", Anybody, || get(ledger::blocks), "Blocks by height")
        .with(Shape::NEW.asks::<ledger::Page>().gives(json("Blocks"))),
    route(GET, "/api/v1/entries/{index}", Anybody, || get(entries::entry), "What the tree holds of an entry")
        .with(Shape::NEW.gives(json("Entry")).fails(&[404])),
    route(GET, "/api/v1/entries/{index}/event", Anybody, || get(entries::event), "The event of an entry")
        .with(Shape::NEW.gives(json("Event").as_media(JSON_LD)).fails(&[404, 410])),
    route(GET, "/api/v1/entries/{index}/statements", Anybody, || get(entries::statements), "The statements of an entry, each of which can be disclosed by itself")
        .with(Shape::NEW.gives(json("Statements")).fails(&[404, 410])),
    route(GET, "/api/v1/proofs/inclusion", Anybody, || get(proofs::inclusion), "That an entry is in the tree")
        .with(Shape::NEW.asks::<proofs::Inclusion>().gives(json("InclusionProof")).fails(&[404]))
        .kept(PROOF),
    route(GET, "/api/v1/proofs/consistency", Anybody, || get(proofs::consistency), "That the tree only grew")
        .with(Shape::NEW.asks::<proofs::Consistency>().gives(json("ConsistencyProof")))
        .kept(PROOF),
    route(GET, "/api/v1/proofs/entries", Anybody, || get(proofs::entries), "A proof file of some entries")
        .with(Shape::NEW.asks::<proofs::Entries>().gives(of::<ProofFile>()).fails(&[404]))
        .kept(PROOF),
    route(GET, "/api/v1/trace/{epc}", Anybody, || get(trace::trace), "Where a thing came from or went")
        .with(Shape::NEW.asks::<question::Parameters>().gives(of::<Answer>()).gives(text("image/svg+xml")).gives(text("text/vnd.graphviz")).fails(&[404]))
        .kept(WALK)
        .searches(),
    route(GET, "/api/v1/recall/{epc}", Anybody, || get(recall::recall), "Everything that a batch affects")
        .with(Shape::NEW.asks::<question::Parameters>().gives(of::<Dossier>()).gives(text("text/html")).fails(&[404]))
        .kept(WALK)
        .searches(),
    // People.
    route(POST, "/auth/login", Anybody, || post(auth::login), "Gives tokens for a password")
        .with(Shape::NEW.takes::<auth::Login>().gives(of::<auth::Tokens>())),
    route(POST, "/auth/refresh", Anybody, || post(auth::refresh), "Gives new tokens for a refresh token")
        .with(Shape::NEW.takes::<auth::Refresh>().gives(of::<auth::Tokens>())),
    route(POST, "/auth/logout", Anybody, || post(auth::logout), "Ends a session, and takes its tokens back")
        .with(Shape::NEW.takes::<auth::Logout>().gives(done(204)).fails(&[404])),
    route(GET, "/auth/me", Roles(KNOWN), || get(auth::me), "Who the caller is")
        .with(Shape::NEW.gives(json("Caller"))),
    route(POST, "/auth/password", Roles(KNOWN), || post(auth::password), "Changes the caller's password")
        .with(Shape::NEW.takes::<auth::NewPassword>().gives(done(204)).fails(&[404])),
    route(GET, "/api/v1/users", Roles(OVERSEERS), || get(people::users), "All users")
        .with(Shape::NEW.gives(json("Users"))),
    route(POST, "/api/v1/users", Roles(ADMIN), || post(people::create_user), "Makes a user")
        .with(Shape::NEW.takes::<people::NewUser>().gives(json("User").as_status(201)).fails(&[409])),
    route(PATCH, "/api/v1/users/{name}", Roles(ADMIN), || patch(people::change_user), "Changes a user")
        .with(Shape::NEW.takes::<people::UserChange>().gives(json("User")).fails(&[404])),
    route(DELETE, "/api/v1/users/{name}", Roles(ADMIN), || delete(people::remove_user), "Removes a user")
        .with(Shape::NEW.gives(done(204)).fails(&[404])),
    route(GET, "/api/v1/api-keys", Roles(KNOWN), || get(people::api_keys), "The caller's API keys; an administrator's are all")
        .with(Shape::NEW.gives(json("ApiKeys"))),
    route(POST, "/api/v1/api-keys", Roles(KNOWN), || post(people::create_api_key), "Makes an API key, which is shown once")
        .with(Shape::NEW.takes::<people::NewApiKey>().gives(json("ApiKey").as_status(201)).fails(&[404])),
    route(DELETE, "/api/v1/api-keys/{id}", Roles(KNOWN), || delete(people::remove_api_key), "Removes an API key")
        .with(Shape::NEW.gives(done(204)).fails(&[404])),
    route(GET, "/api/v1/parties/{party}/partners", Roles(KNOWN), || get(people::partners), "Who reads what a party shows its partners")
        .with(Shape::NEW.gives(json("PartnersOf"))),
    route(PUT, "/api/v1/parties/{party}/partners", Roles(WRITERS), || put(people::set_partners), "Says who a party's partners are")
        .with(Shape::NEW.takes::<people::Partners>().gives(json("PartnersOf"))),
    route(POST, "/api/v1/tokens/revoke", Roles(ADMIN), || post(people::revoke_token), "Takes a token back")
        .with(Shape::NEW.takes::<people::Revoke>().gives(done(204))),
    route(GET, "/api/v1/personal", Roles(OVERSEERS), || get(subjects::personal), "Which fields and parties are personal")
        .with(Shape::NEW.gives(json("Personal"))),
    route(PUT, "/api/v1/personal", Roles(ADMIN), || put(subjects::set_personal), "Says which fields and parties are personal, from now on")
        .with(Shape::NEW.takes::<subjects::NewPersonal>().gives(json("Personal"))),
    route(POST, "/api/v1/subjects/erase", Roles(ADMIN), || post(subjects::erase), "Erases everything about a subject")
        .with(Shape::NEW.takes::<subjects::Erased>().gives(json("Subject")).fails(&[404])),
    route(GET, "/api/v1/subjects/{subject}", Roles(OVERSEERS), || get(subjects::subject), "How far the erasure of a subject is")
        .with(Shape::NEW.gives(json("Subject")).fails(&[404])),
    route(GET, "/api/v1/audit", Roles(OVERSEERS), || get(people::audit), "What was done to users, keys and partners")
        .with(Shape::NEW.asks::<people::AuditPage>().gives(json("Audit"))),
];

/// The router of the table.
pub(super) fn router(api: &Api) -> Router<Api> {
    all().iter().fold(Router::new(), |router, route| {
        let mut handler = (route.handler)();
        if let Some(kept) = route.kept {
            handler = handler.layer(from_fn_with_state((api.clone(), kept), cache::answer));
        }
        if route.searches {
            handler = handler.layer(from_fn(evenly));
        }
        router.route(
            route.path,
            handler.layer(from_fn_with_state(route.who, guard)),
        )
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
