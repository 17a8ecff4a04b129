//! `GET /api/v1/trace/{epc}`: where a thing came from, or what became of it.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use kit::problem::{Path, Problem, Query};

use super::format::Format;
use super::question::{Asked, Parameters};
use super::{Api, ApiError};
use crate::access::Caller;
use crate::trace::draw;

/// Walks the links from an identifier.
pub(super) async fn trace(
    State(api): State<Api>,
    caller: Caller,
    Path(epc): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    const OFFERED: [Format; 3] = [Format::Json, Format::Dot, Format::Svg];
    let format = Format::chosen(parameters.format, &headers, &OFFERED)?;
    let direction = parameters
        .direction
        .ok_or_else(|| Problem::bad_request("direction is missing: up, or down"))?;
    let asked = Asked::read(epc, direction, &parameters)?;
    let proofs = parameters.proofs.unwrap_or(false);
    if proofs && format != Format::Json {
        return Err(Problem::bad_request("proofs: a picture carries none"));
    }
    let mut found = api.ask(asked, caller.viewer).await?;
    if proofs {
        api.prove_answer(&mut found).await?;
    }
    let answer = &found.answer;
    let body = match format {
        Format::Dot => draw::dot(answer),
        Format::Svg => draw::svg(answer),
        Format::Json | Format::Html => {
            serde_json::to_string(answer).map_err(|error| ApiError::Internal(error.to_string()))?
        }
    };
    Ok(format.response(body))
}
