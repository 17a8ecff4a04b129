//! What a trace and a recall have in common: how they are asked, and how a node finds the answer.

use schemars::JsonSchema;
use serde::Deserialize;

use super::format::Format;
use super::proofs::Show;
use super::{ApiError, Shared};
use crate::access::Viewer;
use crate::epcis::identifier::Identifier;
use crate::index::{IndexLinks, events, progress};
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::trace::{self, Answer, Direction, Filter, Limits, Lineage, Passes};

/// Which way, how far, over which events, as of when, and in which form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Parameters {
    /// Which way to walk; a recall looks down.
    pub direction: Option<Direction>,
    /// The most steps from the item.
    depth: Option<u32>,
    /// The earliest event time to follow (RFC 3339).
    from: Option<String>,
    /// The latest event time to follow (RFC 3339).
    until: Option<String>,
    /// Types of events to follow, separated by commas.
    types: Option<String>,
    /// Business steps to follow, separated by commas.
    biz_steps: Option<String>,
    /// The size of the ledger that is asked; without it, the present one.
    as_of: Option<u64>,
    /// Whether the answer comes with its proof.
    pub proofs: Option<bool>,
    /// The form of the answer; without it, what the header Accept likes best.
    pub format: Option<Format>,
}

/// A question that can be answered.
#[derive(Debug)]
pub(super) struct Asked {
    epc: String,
    item: String,
    direction: Direction,
    depth: u32,
    filter: Filter,
    passes: Passes,
    as_of: Option<u64>,
}

impl Asked {
    pub(super) fn read(
        epc: String,
        direction: Direction,
        parameters: &Parameters,
    ) -> Result<Self, ApiError> {
        let item = match Identifier::parse(&epc) {
            Ok(identifier) => identifier.key.as_str().to_owned(),
            Err(error) => {
                return Err(ApiError::BadRequest(format!(
                    "{epc:?} cannot be traced: {error}"
                )));
            }
        };
        let filter = Filter {
            from: parameters.from.clone(),
            until: parameters.until.clone(),
            types: names(parameters.types.as_ref()),
            biz_steps: names(parameters.biz_steps.as_ref()),
        };
        Ok(Self {
            epc,
            item,
            direction,
            depth: parameters.depth.unwrap_or(Limits::default().depth_max),
            passes: filter.read().map_err(ApiError::BadRequest)?,
            filter,
            as_of: parameters.as_of,
        })
    }
}

/// The names in a parameter, each once.
fn names(parameter: Option<&String>) -> Vec<String> {
    let names = parameter.into_iter().flat_map(|names| names.split(','));
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// An answer and the walk that it tells of.
pub(super) struct Found {
    pub answer: Answer,
    pub lineage: Lineage,
    viewer: Viewer,
}

impl Shared {
    /// Walks the links from an identifier.
    pub(super) async fn ask(&self, asked: Asked, viewer: Viewer) -> Result<Found, ApiError> {
        let size = self.indexed().await?.size;
        if let Some(as_of) = asked.as_of
            && as_of > size
        {
            return Err(ApiError::BadRequest(format!(
                "asOf: the ledger has {size} entries, not {as_of}"
            )));
        }
        let turn = self.query_turn().await?;
        let limits = Limits {
            depth_max: asked.depth,
            ..Limits::default()
        };
        let epc = asked.epc.clone();
        let eyes = viewer.clone();
        let found = self
            .index
            .read(move |index| {
                let _turn = turn;
                // The index may have gone on since.
                let tree_size = match asked.as_of {
                    Some(as_of) => as_of,
                    None => progress(index)?.max(size),
                };
                let mut links = IndexLinks::new(index, &eyes, tree_size);
                if !links.knows(&asked.item)? {
                    return Ok(None);
                }
                let (item, direction) = (&asked.item, asked.direction);
                let lineage = trace::walk(&mut links, item, direction, &asked.passes, limits)?;
                let events = events(index, lineage.entries.iter().copied())?;
                let question = trace::Question {
                    epc: asked.epc,
                    item: asked.item,
                    direction,
                    depth: asked.depth,
                    filter: asked.filter,
                    tree_size,
                };
                let answer = Answer::new(question, &lineage, events);
                Ok(Some((answer, lineage)))
            })
            .await?;
        let (answer, lineage) =
            found.ok_or_else(|| ApiError::NotFound(format!("no event names {epc}")))?;
        Ok(Found {
            answer,
            lineage,
            viewer,
        })
    }

    /// Adds the proofs of the entries that an answer rests on, and this node's name under it.
    pub(super) async fn prove_answer(&self, found: &mut Found) -> Result<(), ApiError> {
        let internal = |error: &dyn std::fmt::Display| ApiError::Internal(error.to_string());
        let (answer, entries) = (&mut found.answer, &found.lineage.entries);
        let indices = entries.iter().copied().collect();
        let proof = self
            .prove(
                indices,
                Some((found.viewer.clone(), Show::Whole)),
                Some(answer.tree_size),
            )
            .await?;
        let checkpoint =
            SignedCheckpoint::parse(&proof.checkpoint).map_err(|error| internal(&error))?;
        let origin = &checkpoint.checkpoint().origin;
        let entries = entries.iter().copied();
        let attestation = trace::attestation(origin, &answer.question(), entries);
        let note = self.signer.declare(&attestation);
        answer.attestation = Some(note.map_err(|error| internal(&error))?);
        let proof = serde_json::value::to_raw_value(&proof).map_err(|error| internal(&error))?;
        answer.proof = Some(proof);
        Ok(())
    }
}
