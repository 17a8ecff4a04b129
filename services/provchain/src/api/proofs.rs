//! Proofs: that an entry is in the tree, that a tree continues an earlier one, and whole files.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use kit::problem::{Json, Problem, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::entries::unreadable;
use super::ledger::Tree;
use super::{Api, ApiError, Shared};
use crate::access::{Caller, Viewer};
use crate::ledger::entry::OpenedEntry;
use crate::ledger::key::EntryKey;
use crate::ledger::merkle::{TileHashes, prove_consistency, prove_inclusion, root_at};
use crate::ledger::proof::{Disclose, Disclosed, ProofFile, ProvenEntry};
use crate::machine::read::{self, Keyring, ReadError, StoredEntry, Tiles, damaged};

/// Entries of one proof file.
const ENTRIES_MAX: usize = 10_000;

/// Content of the entries of one proof file.
const CONTENT_BYTES_MAX: usize = 32 << 20;

/// Which entry, in a tree of which size.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Inclusion {
    /// The index of the entry.
    entry: u64,
    /// The size of the tree; without it, the present one.
    size: Option<u64>,
}

/// `GET /api/v1/proofs/inclusion?entry=&size=` (RFC 6962, section 2.1.1).
pub(super) async fn inclusion(
    State(api): State<Api>,
    Query(query): Query<Inclusion>,
) -> Result<Json<Value>, Problem> {
    let Inclusion { entry, size } = query;
    let (size, leaf, root, path) = api
        .read(move |state| {
            let Some(founded) = read::founded(state)? else {
                return Ok(Err(ApiError::NotFounded));
            };
            let size = match within(size, founded.size) {
                Ok(size) => size,
                Err(refused) => return Ok(Err(refused)),
            };
            if entry >= size {
                return Ok(Err(ApiError::NotFound(format!(
                    "there is no entry {entry} in a tree of {size}"
                ))));
            }
            let leaf = read::leaf(state, entry)?;
            let mut hashes = TileHashes::new(Tiles(state));
            let path = prove_inclusion(&mut hashes, entry, size).map_err(damaged)?;
            let root = root_at(&mut hashes, size).map_err(damaged)?;
            Ok(Ok((size, leaf, root, path)))
        })
        .await??;
    let leaf = leaf.ok_or_else(|| ApiError::Internal(format!("entry {entry} is missing")))?;
    Ok(Json(json!({
        "entry": entry,
        "size": size,
        "leafHash": crate::ledger::merkle::leaf_hash(&leaf),
        "root": root,
        "path": path,
    })))
}

/// From which size to which.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Consistency {
    /// The earlier size of the tree.
    from: u64,
    /// The later size; without it, the present one.
    to: Option<u64>,
}

/// `GET /api/v1/proofs/consistency?from=&to=` (RFC 6962, section 2.1.2).
pub(super) async fn consistency(
    State(api): State<Api>,
    Query(query): Query<Consistency>,
) -> Result<Json<Value>, Problem> {
    let Consistency { from, to } = query;
    let (to, first, second, path) = api
        .read(move |state| {
            let Some(founded) = read::founded(state)? else {
                return Ok(Err(ApiError::NotFounded));
            };
            let to = match within(to, founded.size) {
                Ok(to) => to,
                Err(refused) => return Ok(Err(refused)),
            };
            if from == 0 || from > to {
                return Ok(Err(ApiError::BadRequest(format!("from must be 1 to {to}"))));
            }
            let mut hashes = TileHashes::new(Tiles(state));
            let path = prove_consistency(&mut hashes, from, to).map_err(damaged)?;
            let first = root_at(&mut hashes, from).map_err(damaged)?;
            let second = root_at(&mut hashes, to).map_err(damaged)?;
            Ok(Ok((to, first, second, path)))
        })
        .await??;
    Ok(Json(json!({
        "from": from,
        "to": to,
        "fromRoot": first,
        "toRoot": second,
        "path": path,
    })))
}

fn within(asked: Option<u64>, size: u64) -> Result<u64, ApiError> {
    match asked {
        Some(asked) if asked > size => Err(ApiError::BadRequest(format!(
            "the tree has {size} entries, not {asked}"
        ))),
        Some(asked) => Ok(asked),
        None => Ok(size),
    }
}

/// Which entries to prove, and how much of them to show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entries {
    /// Indices, separated by commas.
    indices: String,
    /// `true` proves that they exist and shows nothing of them.
    #[serde(default)]
    closed: bool,
    /// The size of the tree that they are proven in; without it, the present one.
    size: Option<u64>,
    /// Of one entry, indices of the statements to disclose, separated by commas: these and no others.
    statements: Option<String>,
    /// With `statements`: whether its submitter is disclosed too.
    #[serde(default)]
    submitter: bool,
}

/// What is disclosed of the entries that the viewer may read.
#[derive(Clone, Debug)]
pub(super) enum Show {
    /// All of it, the key included.
    Whole,
    /// Some statements, and perhaps the submitter.
    Parts {
        statements: BTreeSet<u32>,
        submitter: bool,
    },
}

fn numbers<T: std::str::FromStr>(name: &str, list: &str) -> Result<Vec<T>, ApiError> {
    let numbers = list.split(',').map(|number| number.trim().parse());
    numbers
        .collect::<Result<_, _>>()
        .map_err(|_| ApiError::BadRequest(format!("{name} are numbers, separated by commas")))
}

/// `GET /api/v1/proofs/entries?indices=1,2,3&size=`: a proof file, for `provchain verify`.
pub(super) async fn entries(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<Entries>,
) -> Result<Response, Problem> {
    let mut indices = numbers::<u64>("indices", &query.indices)?;
    indices.sort_unstable();
    indices.dedup();
    let show = match &query.statements {
        None if query.submitter => {
            let detail = "submitter goes with statements: without them everything is disclosed";
            return Err(Problem::bad_request(detail));
        }
        None => Show::Whole,
        Some(_) if query.closed || indices.len() != 1 => {
            let detail = "statements are disclosed of one entry, which is not closed then";
            return Err(Problem::bad_request(detail));
        }
        Some(list) => Show::Parts {
            statements: numbers("statements", list)?.into_iter().collect(),
            submitter: query.submitter,
        },
    };
    let shown = (!query.closed).then_some((caller.viewer, show));
    let file = api.prove(indices, shown, query.size).await?;
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind)], file.to_json()).into_response())
}

impl Shared {
    /// A proof file of these entries, in ascending order, under a checkpoint over the first `size`
    /// entries, or over all. What the viewer may read is disclosed; of the others it proves that they
    /// exist.
    pub(super) async fn prove(
        &self,
        indices: Vec<u64>,
        shown: Option<(Viewer, Show)>,
        size: Option<u64>,
    ) -> Result<ProofFile, ApiError> {
        if indices.len() > ENTRIES_MAX {
            return Err(ApiError::BadRequest(format!(
                "a proof file holds {ENTRIES_MAX} entries at most, these are {}",
                indices.len()
            )));
        }
        let turn = self.query_turn().await?;
        let gathered = self
            .read(move |state| {
                let Some(founded) = read::founded(state)? else {
                    return Ok(Err(ApiError::NotFounded));
                };
                let size = match within(size, founded.size) {
                    Ok(size) => size,
                    Err(refused) => return Ok(Err(refused)),
                };
                let root = read::root(state, size).map_err(damaged)?;
                let tree = Tree {
                    origin: founded.origin,
                    size,
                    root,
                };
                gather(state, &tree, &indices)
                    .map(|proven| proven.map(|proven| (tree, proven, turn)))
                    .map_err(damaged)
            })
            .await?;
        let (tree, proven, turn) = gathered?;
        let checkpoint = self.sign(&tree)?;
        let visible = |stored: &StoredEntry| {
            let shown = shown.as_ref();
            shown.is_some_and(|(viewer, _)| viewer.sees(stored.access))
        };
        // Whole entries are large, and few have subjects.
        let about = proven.iter().map(|(stored, _)| stored);
        let about: Vec<StoredEntry> = about
            .filter(|stored| visible(stored) && !stored.subject_keys().is_empty())
            .cloned()
            .collect();
        self.keeper.fetch_for(&about).await;
        drop(about);
        let keys = self.keeper.store().clone();
        let entries = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let limits = crate::epcis::Limits::stored();
            proven
                .into_iter()
                .map(|(stored, inclusion)| {
                    let shown = shown.as_ref();
                    let shown = shown.filter(|(viewer, _)| viewer.sees(stored.access));
                    let show = shown.map(|(_, show)| show);
                    disclose(&stored, inclusion, show, (&keys, &limits))
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))??;
        Ok(ProofFile::new(checkpoint, entries))
    }
}

type Proven = Vec<(StoredEntry, Vec<crate::ledger::Digest>)>;

fn gather(
    state: &rusqlite::Connection,
    tree: &Tree,
    indices: &[u64],
) -> Result<Result<Proven, ApiError>, ReadError> {
    let mut hashes = TileHashes::new(Tiles(state));
    let (mut proven, mut bytes) = (Vec::with_capacity(indices.len()), 0);
    for index in indices {
        let stored = match read::entry(state, *index)? {
            Some(stored) if *index < tree.size => stored,
            _ => {
                return Ok(Err(ApiError::NotFound(format!(
                    "there is no entry {index} in a tree of {}",
                    tree.size
                ))));
            }
        };
        bytes += stored.payload.as_ref().map_or(0, Vec::len);
        if bytes > CONTENT_BYTES_MAX {
            return Ok(Err(ApiError::BadRequest(format!(
                "a proof file holds {CONTENT_BYTES_MAX} bytes of events at most: ask for fewer \
                 entries at a time"
            ))));
        }
        let path = prove_inclusion(&mut hashes, *index, tree.size)?;
        proven.push((stored, path));
    }
    Ok(Ok(proven))
}

fn disclose(
    stored: &StoredEntry,
    inclusion: Vec<crate::ledger::Digest>,
    show: Option<&Show>,
    (keys, limits): (&dyn Keyring, &crate::epcis::Limits),
) -> Result<ProvenEntry, ApiError> {
    let internal = |error: &dyn std::fmt::Display| ApiError::Internal(error.to_string());
    let opened = show.filter(|_| stored.key.is_some());
    let opened = opened.map(|show| (show, stored.opened(keys, limits)));
    let disclosed = match opened {
        None => Disclosed::Nothing {},
        // Without the keys of its subjects an entry keeps no other from being shown.
        Some((Show::Whole, Err(_))) if stored.is_locked(keys) => Disclosed::Nothing {},
        Some((_, Err(_))) => return Err(unreadable(stored, keys)),
        Some((show, Ok((key, entry)))) => {
            let disclose = Disclose {
                key: &key,
                entry: &entry,
            };
            match show {
                Show::Whole => disclose.whole(),
                Show::Parts {
                    statements,
                    submitter,
                } => {
                    let count = entry.statements.len();
                    if let Some(beyond) = statements.iter().find(|index| **index as usize >= count)
                    {
                        return Err(ApiError::BadRequest(format!(
                            "statements: entry {} has {count}, from 0 on, and none with the index \
                             {beyond}",
                            stored.index
                        )));
                    }
                    disclose.parts(*submitter, |index, _| statements.contains(&index))
                }
            }
            .map_err(|error| internal(&error))?
        }
    };
    Ok(ProvenEntry {
        index: stored.index,
        leaf: stored.leaf.clone(),
        inclusion,
        disclosed,
    })
}

impl StoredEntry {
    /// Opens the entry, its statements made of its document.
    pub(super) fn opened(
        &self,
        keys: &dyn Keyring,
        limits: &crate::epcis::Limits,
    ) -> Result<(EntryKey, OpenedEntry), String> {
        self.open(keys, &|document: &[u8]| {
            crate::documents::statements_of(document, limits)
        })
    }
}
