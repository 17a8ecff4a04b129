//! `GET /api/v1/recall/{epc}`: everything that a batch, a lot or a pallet affects, in one call.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use kit::problem::{Path, Problem, Query};

use super::format::Format;
use super::question::{Asked, Found, Parameters};
use super::{Api, ApiError};
use crate::access::Caller;
use crate::recall::{self, Dossier};
use crate::trace::Direction;

/// The dossier of a recall. As JSON it comes with its proof unless `proofs=false`; as a page without.
pub(super) async fn recall(
    State(api): State<Api>,
    caller: Caller,
    Path(epc): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const OFFERED: [Format; 2] = [Format::Json, Format::Html];
    let format = Format::chosen(parameters.format, &headers, &OFFERED)?;
    if parameters.direction.is_some() {
        return Err(Problem::bad_request("direction: a recall looks down"));
    }
    if format == Format::Html && parameters.proofs == Some(true) {
        return Err(Problem::bad_request(
            "proofs: a page carries none; ask for format=json",
        ));
    }
    let asked = Asked::read(epc, Direction::Down, &parameters)?;
    let mut found = api.ask(asked, caller.viewer).await?;
    if format == Format::Json && parameters.proofs.unwrap_or(true) {
        api.prove_answer(&mut found).await?;
    }
    let Found {
        answer, lineage, ..
    } = found;
    // Thousands of items are worked through: on a thread where that holds nobody up.
    let body = tokio::task::spawn_blocking(move || {
        let dossier = Dossier::new(answer, &lineage);
        match format {
            Format::Html => Ok(recall::page(&dossier)),
            _ => serde_json::to_string(&dossier),
        }
    });
    let body = body
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))?;
    let body = body.map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(format.response(body))
}
