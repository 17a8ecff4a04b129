//! What a witness answers (C2SP tlog-witness), with the prefix for monitors `/checkpoints`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use kit::problem::{Json, Path, Problem};
use serde_json::{Value, json};

use super::record::{NotCosigned, Watched, Witness};
use crate::api::evidence;
use crate::witness::{Refusal, Request};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const SIZE: HeaderValue = HeaderValue::from_static("text/x.tlog.size");

pub(super) fn router(witness: Witness) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/checkpoints/{hash}/checkpoint", get(checkpoint))
        .route("/key", get(key))
        .route("/ledgers", get(ledgers))
        .route("/evidence", get(all_evidence))
        .route("/evidence/{id}", get(one_evidence))
        .with_state(witness)
}

fn text(body: String) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    let headers = [
        (header::CONTENT_TYPE, TEXT),
        (header::CACHE_CONTROL, no_store),
    ];
    (headers, body).into_response()
}

async fn add_checkpoint(
    State(witness): State<Witness>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Problem> {
    let request = Request::parse(&body?).map_err(|refusal| problem(&refusal))?;
    let signed = request.signed.clone();
    let origin = &signed.checkpoint().origin;
    let watched = witness
        .ledgers()
        .iter()
        .find(|watched| watched.origin == *origin);
    let watched = watched.ok_or_else(|| problem(&Refusal::Unknown(origin.clone())))?;
    match witness.cosign(watched, request).await {
        Ok(cosigned) => Ok(text(format!("{}\n", cosigned.line))),
        Err(NotCosigned::Failed(reason)) => Err(Problem::internal(reason)),
        Err(NotCosigned::Refused(Refusal::Conflict(size))) => {
            if signed.checkpoint().size < size {
                // It may be of another history.
                watched.examine(signed);
            }
            let kind = [(header::CONTENT_TYPE, SIZE)];
            Ok((StatusCode::CONFLICT, kind, format!("{size}\n")).into_response())
        }
        Err(NotCosigned::Refused(refusal)) => {
            if matches!(refusal, Refusal::Unproven(_)) {
                watched.examine(signed);
            }
            Err(problem(&refusal))
        }
    }
}

fn problem(refusal: &Refusal) -> Problem {
    let status = match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::Unknown(_) => StatusCode::NOT_FOUND,
        Refusal::Untrusted(_) | Refusal::Split(_) => StatusCode::FORBIDDEN,
        Refusal::Conflict(_) => StatusCode::CONFLICT,
        Refusal::Unproven(_) | Refusal::Contradicts(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status).with_detail(refusal.to_string())
}

fn find<'w>(witness: &'w Witness, hash: &str) -> Option<&'w Arc<Watched>> {
    witness
        .ledgers()
        .iter()
        .find(|watched| watched.hash == hash)
}

async fn checkpoint(
    State(witness): State<Witness>,
    Path(hash): Path<String>,
) -> Result<Response, Problem> {
    let watched = find(&witness, &hash).ok_or_else(|| {
        Problem::not_found("no ledger with this hash of its origin is watched: see /ledgers")
    })?;
    let newest = watched.newest().await;
    let newest =
        newest.ok_or_else(|| Problem::not_found("nothing of this ledger was cosigned yet"))?;
    Ok(text(newest.to_string()))
}

async fn key(State(witness): State<Witness>) -> Response {
    text(format!("{}\n", witness.key()))
}

async fn ledgers(State(witness): State<Witness>) -> Json<Value> {
    let mut list = Vec::new();
    for watched in witness.ledgers() {
        let newest = watched.newest().await;
        let newest = newest.as_ref().map(|newest| newest.checkpoint());
        let standing = watched.standing();
        list.push(json!({
            "origin": watched.origin,
            "checkpoint": format!("/checkpoints/{}/checkpoint", watched.hash),
            "size": newest.map(|newest| newest.size),
            "root": newest.map(|newest| newest.root),
            "good": standing.is_good,
            "standing": standing.words,
            "split": watched.is_split(),
        }));
    }
    Json(json!({ "ledgers": list }))
}

async fn all_evidence(State(witness): State<Witness>) -> Json<Value> {
    let all = witness.evidence().all();
    let list: Vec<Value> = all
        .iter()
        .map(|(id, evidence)| evidence::summary(id, evidence))
        .collect();
    Json(json!({ "evidence": list }))
}

async fn one_evidence(
    State(witness): State<Witness>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let all = witness.evidence().all();
    let found = all.get(&id);
    let found =
        found.ok_or_else(|| Problem::not_found("there is no such evidence: see /evidence"))?;
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind)], found.to_json()).into_response())
}
