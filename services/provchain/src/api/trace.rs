//! `GET /api/v1/trace/{epc}`: where a thing came from, or what became of it.

use axum::extract::State;
use kit::problem::{Json, Path, Problem, Query};
use serde::{Deserialize, Serialize};

use super::{Api, ApiError};
use crate::access::Caller;
use crate::epcis::identifier::Identifier;
use crate::index::{IndexLinks, events, progress};
use crate::ledger::proof::ProofFile;
use crate::trace::{self, Direction, EventRow, Limits, Reached, Step};

/// Which way, how far, and with what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    direction: Direction,
    depth: Option<u32>,
    #[serde(default)]
    proofs: bool,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// What was asked for.
    epc: String,
    /// What it compares by.
    item: String,
    direction: Direction,
    /// The most steps that the walk took from the item.
    depth: u32,
    /// The number of entries of the ledger that the answer rests on.
    tree_size: u64,
    items: Vec<Reached>,
    steps: Vec<Step>,
    events: Vec<EventRow>,
    transactions: Vec<String>,
    /// Whether a limit cut the answer short.
    truncated: bool,
    /// The proofs of all entries that the answer rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<ProofFile>,
}

/// Walks the links from an identifier.
pub(super) async fn trace(
    State(api): State<Api>,
    caller: Caller,
    Path(epc): Path<String>,
    Query(question): Query<Question>,
) -> Result<Json<Answer>, Problem> {
    let item = match Identifier::parse(&epc) {
        Ok(identifier) => identifier.key.as_str().to_owned(),
        Err(error) => {
            return Err(Problem::bad_request(format!(
                "{epc:?} cannot be traced: {error}"
            )));
        }
    };
    let size = api.indexed().await?;
    let turn = api.query_turn().await?;
    let limits = Limits {
        depth_max: question.depth.unwrap_or(Limits::default().depth_max),
        ..Limits::default()
    };
    let (start, direction) = (item.clone(), question.direction);
    let viewer = caller.viewer.clone();
    let found = api
        .index
        .read(move |index| {
            let _turn = turn;
            let mut links = IndexLinks::new(index, &viewer);
            // The index may have gone on since.
            let tree_size = progress(index)?.max(size);
            if !links.knows(&start)? {
                return Ok(None);
            }
            let lineage = trace::walk(&mut links, &start, direction, limits)?;
            let events = events(index, lineage.entries.iter().copied())?;
            Ok(Some((tree_size, lineage, events)))
        })
        .await
        .map_err(ApiError::from)?;
    let (tree_size, lineage, events) =
        found.ok_or_else(|| ApiError::NotFound(format!("no event names {epc}")))?;
    let proof = if question.proofs {
        Some(
            api.prove(
                lineage.entries.iter().copied().collect(),
                Some(caller.viewer),
            )
            .await?,
        )
    } else {
        None
    };
    Ok(Json(Answer {
        epc,
        item,
        direction: question.direction,
        depth: limits.depth_max,
        tree_size,
        items: lineage.items,
        steps: lineage.steps.into_iter().collect(),
        events,
        transactions: lineage.transactions.into_iter().collect(),
        truncated: lineage.truncated,
        proof,
    }))
}
