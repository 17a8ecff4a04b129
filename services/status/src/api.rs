//! What is answered over HTTP.

mod kept;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::problem::{self, Path, Problem};
use kit::settings::Secret;
use kit::tokens::{TokenError, bearer_token};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use crate::report::{Live, Note, Report};
use crate::settings::Settings;
use crate::store::{Store, StoreError};
pub use kept::{Kept, available};

/// What answers are made of. Clones share it.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    live: watch::Receiver<Arc<Live>>,
    store: Option<Arc<Store>>,
    kept: Arc<Kept>,
    interval_seconds: f64,
    history_days: u32,
    operator_token: Secret,
}

impl Api {
    /// Answers from what is seen and what is stored.
    #[must_use]
    pub fn new(
        settings: &Settings,
        live: watch::Receiver<Arc<Live>>,
        store: Option<Arc<Store>>,
        kept: Arc<Kept>,
    ) -> Self {
        Self(Arc::new(Inner {
            live,
            store,
            kept,
            interval_seconds: std::time::Duration::from_millis(settings.interval_ms).as_secs_f64(),
            history_days: settings.history_days,
            operator_token: settings.operator_token.clone(),
        }))
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/status", get(status))
            .route("/api/incidents/{id}/notes", post(note))
            .route("/upstreams", get(upstreams))
            .with_state(self)
    }
}

/// `GET /api/status`: health now, and the last days if they can be had.
async fn status(State(Api(api)): State<Api>) -> Response {
    let live = Arc::clone(&api.live.borrow());
    let history = api.kept.history().await;
    let history = history.as_ref().as_ref().map_err(Clone::clone);
    let report = Report::new(&live, history, api.interval_seconds, api.history_days);
    fresh(Json(report).into_response())
}

/// `GET /upstreams`: each web server, asked by itself.
async fn upstreams(State(Api(api)): State<Api>) -> Response {
    let live = Arc::clone(&api.live.borrow());
    fresh(Json(json!({ "at": live.at, "servers": live.web_servers })).into_response())
}

fn fresh(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// A note as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNote {
    /// Who writes it.
    author: String,
    /// What is to be known.
    text: String,
}

/// `POST /api/incidents/{id}/notes`: adds a note, for whoever holds the operator's token.
async fn note(
    State(Api(api)): State<Api>,
    Path(id): Path<i64>,
    headers: HeaderMap,
    body: Result<problem::Json<NewNote>, Problem>,
) -> Result<Response, Problem> {
    allow(&headers, &api.operator_token)?;
    let problem::Json(new) = body?;
    let store = api.store.as_ref().ok_or_else(|| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE).with_detail("no database is configured")
    })?;
    let note = Note {
        at: kit::clock::now(),
        author: new.author,
        text: new.text,
    };
    store.note(id, &note).await?;
    api.kept.forget().await;
    Ok((StatusCode::CREATED, Json(note)).into_response())
}

/// Whoever holds the operator's token may; without one nobody may.
fn allow(headers: &HeaderMap, token: &Secret) -> Result<(), Problem> {
    if token.is_empty() {
        let detail =
            "notes are written with `status incident note` here; no operator's token is set";
        return Err(Problem::new(StatusCode::FORBIDDEN).with_detail(detail));
    }
    let given = bearer_token(headers)?;
    if bool::from(given.as_bytes().ct_eq(token.expose().as_bytes())) {
        Ok(())
    } else {
        Err(TokenError::Malformed.into())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::NoIncident(_) => StatusCode::NOT_FOUND,
            StoreError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            StoreError::Away(_)
            | StoreError::Slow
            | StoreError::Refused(_)
            | StoreError::Tables(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status).with_detail(error.to_string())
    }
}
