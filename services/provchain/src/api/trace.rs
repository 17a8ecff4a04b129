//! `GET /api/v1/trace/{epc}`: where a thing came from, or what became of it.

use axum::extract::State;
use http::HeaderMap;
use kit::problem::{Json, Path, Problem, Query};

use super::Api;
use super::question::{Asked, Parameters, viewer_of};
use crate::trace::Answer;

/// Walks the links from an identifier.
pub(super) async fn trace(
    State(api): State<Api>,
    Path(epc): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Json<Answer>, Problem> {
    let direction = parameters
        .direction
        .ok_or_else(|| Problem::bad_request("direction is missing: up, or down"))?;
    let asked = Asked::read(epc, direction, &parameters)?;
    let mut found = api.ask(asked, viewer_of(&headers)).await?;
    if parameters.proofs.unwrap_or(false) {
        api.prove_answer(&mut found).await?;
    }
    Ok(Json(found.answer))
}
