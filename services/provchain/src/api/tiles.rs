//! The tree and its leaves as static resources (C2SP `tlog-tiles`).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use consensus::Consistency;
use http::{HeaderValue, header};
use kit::problem::{Path, Problem};
use rusqlite::Connection;

use super::{Api, ApiError};
use crate::ledger::Digest;
use crate::ledger::merkle::{TILE_WIDTH, TilePath, encode_bundle};
use crate::machine::read::{self, Tiles};

/// What is under one of these paths never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// `GET /tile/{path}`: a tile of hashes, or a bundle of entries.
pub(super) async fn tile(
    State(api): State<Api>,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    let absent = || ApiError::NotFound(format!("there is no tile/{path} in the tree"));
    let wanted = TilePath::parse(&path).map_err(|_| absent())?;
    // What this node has is right, whatever the others have by now. What it lacks may be under the
    // checkpoint of another.
    let local = api
        .cluster
        .read(Consistency::Local { age_max: None }, move |state| {
            find(state, wanted)
        });
    let found = match local.await.map_err(ApiError::from)?.value {
        Some(found) => found,
        None => api
            .read(move |state| find(state, wanted))
            .await?
            .ok_or_else(absent)?,
    };
    let headers = [
        (header::CONTENT_TYPE, BYTES),
        (header::CACHE_CONTROL, FOR_EVER),
    ];
    Ok((headers, found).into_response())
}

/// The first bytes of the widest one that is stored, if there are as many.
fn find(state: &Connection, wanted: TilePath) -> rusqlite::Result<Option<Vec<u8>>> {
    if i64::try_from(wanted.index).is_err() {
        // No index of the database's, which has signed numbers.
        return Ok(None);
    }
    let Some(level) = wanted.level else {
        return bundle(state, wanted);
    };
    let stored = crate::ledger::merkle::TileSource::tile(&mut Tiles(state), level, wanted.index);
    let Some(mut hashes) = stored.map_err(read::damaged)? else {
        return Ok(None);
    };
    let bytes = wanted.width * Digest::LEN;
    if hashes.len() < bytes {
        return Ok(None);
    }
    hashes.truncate(bytes);
    Ok(Some(hashes))
}

/// Leaves, each behind its length.
fn bundle(state: &Connection, wanted: TilePath) -> rusqlite::Result<Option<Vec<u8>>> {
    let Some(first) = wanted.index.checked_mul(TILE_WIDTH as u64) else {
        return Ok(None);
    };
    let leaves = read::leaves(state, first, wanted.width)?;
    if leaves.len() < wanted.width {
        return Ok(None);
    }
    Ok(Some(encode_bundle(&leaves)))
}
