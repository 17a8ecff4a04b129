//! From a place in an answer to the next page: candidates from the index, documents from the ledger.

use std::sync::Arc;

use consensus::Consistency;
use serde_json::Value;

use super::document::Found;
use super::{Page, SEARCH_TIME};
use crate::access::Viewer;
use crate::api::{Api, ApiError, Shared, Turn};
use crate::documents;
use crate::epcis::Limits;
use crate::index::entries_of;
use crate::index::{Candidate, IndexError, Search};
use crate::machine::read;
use crate::query::{EventQuery, Position};

/// Candidates that are looked into at a time, where the index alone cannot tell.
const BATCH: usize = 128;
/// Documents that are looked into for a page; one that comes back early goes on in the next.
const DOCUMENTS_MAX: usize = 2000;
/// Bytes of documents on a page.
const PAGE_BYTES: usize = 16 << 20;

/// A walk through the answer to a query.
pub struct Walk {
    pub api: Api,
    pub query: Arc<EventQuery>,
    pub viewer: Viewer,
    /// The entries below are part of the answer.
    pub size: u64,
    /// Entries with the `eventID`s that the query asks for.
    pub identified: Option<Vec<u64>>,
    pub _turn: Turn,
}

/// A candidate with its document, unless that was erased.
struct Opened {
    candidate: Candidate,
    document: Option<Vec<u8>>,
}

impl Walk {
    /// Up to `want` events behind `after`: fewer where they are large or hard to find.
    pub(super) async fn page(
        &self,
        mut after: Option<Position>,
        want: usize,
    ) -> Result<Page, ApiError> {
        let deep = self.query.needs_documents();
        let (mut events, mut bytes, mut documents) = (Vec::new(), 0, 0);
        loop {
            let limit = if deep { BATCH } else { want - events.len() + 1 };
            let candidates = self.candidates(after.clone(), limit).await?;
            let (count, mut seen) = (candidates.len(), 0);
            for opened in self.open(candidates).await? {
                if events.len() == want || bytes >= PAGE_BYTES || documents >= DOCUMENTS_MAX {
                    let next = after;
                    return Ok(Page { events, next });
                }
                seen += 1;
                after = Some(opened.candidate.position(&self.query));
                let Some(document) = opened.document else {
                    continue;
                };
                documents += 1;
                let recorded = opened.candidate.recorded;
                let length = document.len();
                if let Some(event) = self.event(document, &opened.candidate, deep).await? {
                    bytes += length;
                    events.push(Found { event, recorded });
                }
            }
            if count < limit && seen == count {
                return Ok(Page { events, next: None });
            }
        }
    }

    /// That there are no more than `most` events.
    pub(super) async fn check_count(&self, most: u64) -> Result<(), ApiError> {
        let limit = usize::try_from(most)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        if self.query.needs_documents() {
            let page = self.page(None, limit).await?;
            if page.events.len() as u64 > most {
                return Err(ApiError::TooLarge(most));
            }
            // It came back early: nobody knows how many there are.
            return match page.next {
                Some(_) => Err(IndexError::TooComplex.into()),
                None => Ok(()),
            };
        }
        let found = self.candidates(None, limit).await?;
        if found.len() as u64 > most {
            return Err(ApiError::TooLarge(most));
        }
        Ok(())
    }

    async fn candidates(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Candidate>, ApiError> {
        let (query, viewer) = (Arc::clone(&self.query), self.viewer.clone());
        let (size, identified) = (self.size, self.identified.clone());
        let search = self.api.index.read_within(SEARCH_TIME, move |index| {
            let search = Search {
                query: &query,
                viewer: &viewer,
                size,
                identified: identified.as_deref(),
                after,
                limit,
            };
            search.candidates(index)
        });
        Ok(search.await?)
    }

    /// The documents of the first candidates, as many as fit.
    async fn open(&self, candidates: Vec<Candidate>) -> Result<Vec<Opened>, ApiError> {
        // The index was made from what this node has, and an entry never changes.
        let here = Consistency::Local { age_max: None };
        let keys = self.api.keeper.store().clone();
        let read = self.api.cluster.read(here, move |state| {
            let (mut opened, mut bytes) = (Vec::new(), 0);
            for candidate in candidates {
                let stored = read::entry(state, candidate.entry)?;
                let document = stored.and_then(|stored| stored.document(&keys));
                bytes += document.as_ref().map_or(0, Vec::len);
                opened.push(Opened {
                    candidate,
                    document,
                });
                if bytes >= PAGE_BYTES {
                    break;
                }
            }
            Ok(opened)
        });
        Ok(read.await?.value)
    }

    /// The event in `document`, if the query finds it.
    async fn event(
        &self,
        document: Vec<u8>,
        candidate: &Candidate,
        deep: bool,
    ) -> Result<Option<serde_json::Map<String, Value>>, ApiError> {
        let (query, recorded) = (Arc::clone(&self.query), candidate.recorded);
        let fault = |error: String| ApiError::Internal(error);
        let read = tokio::task::spawn_blocking(move || {
            if deep {
                let event = documents::read(&document, &Limits::stored())?;
                if !query.matches(&event, recorded) {
                    return Ok(None);
                }
            }
            serde_json::from_slice(&document)
                .map(Some)
                .map_err(|error| error.to_string())
        });
        read.await
            .map_err(|error| fault(error.to_string()))?
            .map_err(fault)
    }
}

impl Shared {
    /// The entries of the events with these `eventID`s that the viewer may read.
    pub(super) async fn entries_of(
        &self,
        ids: &[String],
        viewer: &Viewer,
    ) -> Result<Vec<u64>, ApiError> {
        let (ids, viewer) = (ids.to_vec(), viewer.clone());
        let found = self.index.read(move |index| {
            let found = ids.iter().map(|id| entries_of(index, id, &viewer));
            found.collect::<rusqlite::Result<Vec<_>>>()
        });
        Ok(found.await?.concat())
    }
}
