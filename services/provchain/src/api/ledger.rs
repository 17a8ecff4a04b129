//! The state of the ledger and of the cluster that keeps it.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use kit::problem::{Json, Problem, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, ApiError, Shared};
use crate::access::{Caller, Role};
use crate::ledger::Digest;
use crate::ledger::block::Block;
use crate::machine::read::{self, damaged};

pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A size of the tree and what belongs to it, read in one moment.
pub(super) struct Tree {
    pub origin: String,
    pub size: u64,
    pub root: Digest,
}

impl Shared {
    pub(super) async fn tree(&self) -> Result<Tree, ApiError> {
        self.tree_and_block().await.map(|(tree, _)| tree)
    }

    async fn tree_and_block(&self) -> Result<(Tree, Option<Block>), ApiError> {
        self.read(|state| {
            let Some(founded) = read::founded(state)? else {
                return Ok(None);
            };
            let root = read::root(state, founded.size).map_err(damaged)?;
            let tree = Tree {
                origin: founded.origin,
                size: founded.size,
                root,
            };
            Ok(Some((tree, read::last_block(state)?)))
        })
        .await?
        .ok_or(ApiError::NotFounded)
    }

    /// A checkpoint of the tree as it is, signed by this node.
    pub(super) fn sign(&self, tree: &Tree) -> Result<String, ApiError> {
        self.signer
            .checkpoint(&tree.origin, tree.size, tree.root)
            .map_err(|error| ApiError::Internal(error.to_string()))
    }
}

/// Which checkpoint.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Which {
    /// One of the tree as it is now, which nobody has cosigned yet.
    fresh: bool,
}

/// `GET /checkpoint`: a signed note over the size and root of the tree (C2SP tlog-checkpoint), with the
/// cosignatures of other nodes. It is the newest that the node keeps, renewed at every block interval.
pub(super) async fn checkpoint(
    State(api): State<Api>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let kept = api.kept.newest().filter(|_| !which.fresh);
    let note = match kept {
        Some(kept) => kept.to_string(),
        None => api.sign(&api.tree().await?)?,
    };
    let no_store = HeaderValue::from_static("no-store");
    let headers = [
        (header::CONTENT_TYPE, TEXT),
        (header::CACHE_CONTROL, no_store),
    ];
    Ok((headers, note).into_response())
}

/// The ledger's size, root and newest block.
pub(super) async fn ledger(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let (tree, block) = api.tree_and_block().await?;
    Ok(Json(json!({
        "origin": tree.origin,
        "size": tree.size,
        "root": tree.root,
        "indexed": api.index.indexed(),
        "block": block.as_ref().map(block_json),
    })))
}

/// The members of the cluster, and how far each has come. Where they are, and how much room they have,
/// is for those who oversee.
pub(super) async fn cluster(State(api): State<Api>, caller: Caller) -> Json<Value> {
    let mut status = json!(api.cluster.status());
    if !matches!(caller.role, Some(Role::Auditor | Role::Admin))
        && let Some(told) = status.as_object_mut()
    {
        for inner in ["disk_free_bytes", "state_bytes", "writes_refused", "halted"] {
            told.remove(inner);
        }
        let members = told.get_mut("members").and_then(Value::as_array_mut);
        for member in members.into_iter().flatten() {
            member.as_object_mut().map(|told| told.remove("address"));
        }
    }
    Json(status)
}

/// A page of blocks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Page {
    /// The height of the first.
    from: u64,
    /// How many: 1 to 1000.
    limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { from: 0, limit: 30 }
    }
}

/// Blocks in the order of their height.
pub(super) async fn blocks(
    State(api): State<Api>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    const LIMIT_MAX: usize = 1000;
    if page.limit == 0 || page.limit > LIMIT_MAX {
        return Err(Problem::bad_request(format!(
            "limit must be 1 to {LIMIT_MAX}"
        )));
    }
    let blocks = api
        .read(move |state| read::blocks(state, page.from, page.limit))
        .await?;
    let blocks: Vec<Value> = blocks.iter().map(block_json).collect();
    Ok(Json(json!({ "blocks": blocks })))
}

pub(super) fn block_json(block: &Block) -> Value {
    let header = &block.header;
    json!({
        "height": header.height,
        "firstEntry": header.first_entry,
        "lastEntry": header.last_entry,
        "previous": header.previous,
        "treeRoot": header.tree_root,
        "time": kit::clock::rfc3339(header.time_ms),
        "signer": hex::encode(header.signer),
        "signature": hex::encode(block.signature),
        "hash": header.hash(),
    })
}
