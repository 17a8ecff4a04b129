//! What comes next for somebody who is subscribed to a query: the entries from a place on, as far as
//! the query finds them and the subscriber may read them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::Consistency;
use serde_json::Value;

use super::defined;
use crate::access::Viewer;
use crate::api::live::feed::FedEntry;
use crate::api::query::SEARCH_TIME;
use crate::api::query::document::{self, Found};
use crate::api::{Api, ApiError};
use crate::epcis::time::Timestamp;
use crate::machine::queries::StoredQuery;
use crate::machine::read;
use crate::query::{EventQuery, QueryError};

/// Entries that are looked at in one go.
const ENTRIES_MAX: usize = 512;
/// Bytes of events in one message; one event alone may be larger.
const MESSAGE_BYTES: usize = 256 << 10;
/// Events in one message.
pub(crate) const MESSAGE_EVENTS_MAX: usize = 100;
/// Looks at a time: each takes a processor.
pub(in crate::api) const LOOKS_MAX: usize = 2;

/// What a subscriber asks for.
#[derive(Clone)]
pub(crate) struct Watched {
    pub query: Arc<EventQuery>,
    /// Events that were recorded before are left out.
    pub initial: Option<Timestamp>,
}

/// How much a look takes.
#[derive(Clone, Copy)]
pub(crate) struct Take {
    pub events_max: usize,
    /// Whether it stops before an entry whose keys have not come to this node yet.
    pub waits_for_keys: bool,
}

/// How long a subscriber waits for the keys of one entry, which it may read. They come with the next
/// exchange of keys, unless they are lost.
#[derive(Default)]
pub(crate) struct Patience(Option<Instant>);

impl Patience {
    const LIMIT: Duration = Duration::from_secs(600);

    /// Whether there is some left.
    pub(crate) fn is_left(&self) -> bool {
        self.0.is_none_or(|since| since.elapsed() < Self::LIMIT)
    }

    /// Takes in whether a look went on.
    pub(crate) fn went_on(&mut self, went_on: bool) {
        self.0 = (!went_on).then(|| self.0.unwrap_or_else(Instant::now));
    }
}

/// What a look found.
pub(crate) struct Look {
    pub events: Vec<Found>,
    /// The entries below have been looked at.
    pub next: u64,
}

impl Watched {
    /// What a stored query asks for, of what was recorded from a time on, in microseconds since 1970.
    pub(crate) fn of(query: &StoredQuery, initial: Option<i64>) -> Result<Self, QueryError> {
        Ok(Self {
            query: Arc::new(defined(query)?),
            initial: initial.map(|unix_micros| Timestamp { unix_micros }),
        })
    }
}

impl Look {
    /// Nothing, where `next` is the next entry.
    pub(crate) const fn nothing(next: u64) -> Self {
        Self {
            events: Vec::new(),
            next,
        }
    }

    /// What was found, as the document that a subscriber gets; empty it says that there is nothing.
    pub(crate) fn document(self, query: &str, subscription: Option<&str>) -> Value {
        document::of(self.events, kit::clock::unix_ms(), query, subscription)
    }
}

impl Api {
    /// Looks at entries in `from..until`: at some of them, and at one at least, if this node has it and
    /// need not wait for its keys.
    pub(crate) async fn look(
        &self,
        watched: &Watched,
        viewer: &Viewer,
        (from, until): (u64, u64),
        take: Take,
    ) -> Result<Look, ApiError> {
        let mut entries = self.followed(from, ENTRIES_MAX).await?;
        entries.retain(|entry| entry.stored().index < until);
        let turn = Arc::clone(&self.looks).acquire_owned().await;
        let turn = turn.map_err(|error| ApiError::Internal(error.to_string()))?;
        let (watched, viewer) = (watched.clone(), viewer.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look(&watched, &viewer, &entries, from, take)
        });
        let looked = looked.await;
        looked.map_err(|error| ApiError::Internal(error.to_string()))
    }

    /// Entries from `from` on: those that the feed keeps, or else from the ledger.
    pub(in crate::api) async fn followed(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<FedEntry>>, ApiError> {
        if let Some(kept) = self.feed.entries(from, limit) {
            return Ok(kept);
        }
        let here = Consistency::Local { age_max: None };
        let read = self
            .cluster
            .read(here, move |state| read::entries(state, from, limit));
        let stored = read.await?.value;
        self.keeper.fetch_soon(&stored).await;
        let fed = stored
            .into_iter()
            .map(|entry| Arc::new(self.feed.fed(entry)));
        Ok(fed.collect())
    }

    /// Waits until the ledger of this node has more than `next` entries; false if the node goes down.
    pub(crate) async fn more_than(&self, next: u64) -> bool {
        let mut progress = self.feed.progress();
        let more = progress.wait_for(|now| now.closed || now.entries > next);
        more.await.is_ok_and(|now| !now.closed)
    }

    /// How many entries the ledger of this node has, as far as the feed knows.
    pub(crate) fn fed(&self) -> u64 {
        self.feed.progress().borrow().entries
    }

    /// The first entry that was recorded at `time` or later; if there is none yet, the next one.
    pub(crate) async fn first_recorded(&self, time: Timestamp) -> Result<u64, ApiError> {
        let size = self.indexed().await?.size;
        let first = self.index.read_within(SEARCH_TIME, move |index| {
            let mut select =
                index.prepare_cached("SELECT min(entry) FROM event WHERE recorded >= ?1")?;
            select.query_row([time.unix_micros], |row| row.get::<_, Option<u64>>(0))
        });
        Ok(first.await?.unwrap_or(size))
    }
}

fn look(
    watched: &Watched,
    viewer: &Viewer,
    entries: &[Arc<FedEntry>],
    from: u64,
    take: Take,
) -> Look {
    let (mut events, mut bytes, mut next) = (Vec::new(), 0, from);
    for entry in entries {
        if events.len() >= take.events_max || bytes >= MESSAGE_BYTES {
            break;
        }
        // Left out now, it would never be told.
        if take.waits_for_keys && viewer.sees(entry.stored().access) && entry.is_locked() {
            break;
        }
        let found = found(watched, viewer, entry);
        let length = entry.document().filter(|_| found.is_some());
        let length = length.map_or(0, |document| document.len());
        // A large event goes alone.
        if !events.is_empty() && bytes + length > MESSAGE_BYTES {
            break;
        }
        bytes += length;
        events.extend(found);
        next = entry.stored().index + 1;
    }
    Look { events, next }
}

fn found(watched: &Watched, viewer: &Viewer, entry: &FedEntry) -> Option<Found> {
    let stored = entry.stored();
    let recorded = stored.recorded();
    if !viewer.sees(stored.access) || watched.initial.is_some_and(|initial| recorded < initial) {
        return None;
    }
    // Erased, there is nothing of it to tell.
    let event = entry.event()?;
    if !watched.query.matches(&event, recorded) {
        return None;
    }
    let event = serde_json::from_slice(entry.document()?).ok()?;
    Some(Found { event, recorded })
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::access::{Access, Visibility};
    use crate::api::live::feed::Feed;
    use crate::ledger::key::{Custody, EntryKey, SubjectKey, WrappedKey};
    use crate::ledger::payload::{ContentType, Payload};
    use crate::machine::read::{Keyring, StoredEntry};
    use crate::rdf::terms::CONTEXT_URLS;

    /// The key of the one subject, once it has come.
    #[derive(Default)]
    struct Ring(Mutex<Option<SubjectKey>>);

    impl Keyring for Ring {
        fn keys_of(&self, _: &WrappedKey) -> Option<Vec<SubjectKey>> {
            let key = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Some(vec![key.clone()?])
        }
    }

    fn stored(index: u64, custody: Custody<'_>) -> StoredEntry {
        let key = EntryKey::from_random([3; 32]);
        let document = serde_json::json!({
            "@context": CONTEXT_URLS[0], "type": "ObjectEvent", "action": "OBSERVE",
            "eventTime": "2026-04-03T20:33:31Z", "eventTimeZoneOffset": "+02:00",
            "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
        });
        let payload = Payload {
            content_type: ContentType::JsonLd,
            submitter: "farm".into(),
            document: document.to_string().into_bytes(),
        };
        let payload = payload.seal(&key.derive()).unwrap();
        let wrapped = WrappedKey::wrap(&key, custody).unwrap();
        StoredEntry {
            index,
            leaf: Vec::new(),
            payload: Some(payload.as_bytes().to_vec()),
            key: Some(wrapped.encode()),
            access: Access {
                owner: 1,
                visibility: Visibility::Private,
            },
        }
    }

    #[test]
    fn what_cannot_be_read_yet_is_waited_for_and_what_was_erased_is_not() {
        let ring = Arc::new(Ring::default());
        let feed = Feed::new(ring.clone());
        let key = SubjectKey::from_random([5; 32]);
        let custody = Custody::Subject {
            subject: "one",
            key: &key,
            nonce: [7; 24],
        };
        let mut erased = stored(1, custody);
        (erased.payload, erased.key) = (None, None);
        let entries = [
            stored(0, Custody::Plain),
            erased,
            stored(2, custody),
            stored(3, Custody::Plain),
        ];
        let entries = entries.map(|entry| Arc::new(feed.fed(entry)));
        let watched = Watched {
            query: Arc::default(),
            initial: None,
        };
        let look = |viewer: &Viewer, from: usize, waits_for_keys| {
            let take = Take {
                events_max: 10,
                waits_for_keys,
            };
            let looked = look(&watched, viewer, &entries[from..], from as u64, take);
            (looked.events.len(), looked.next)
        };
        assert_eq!(look(&Viewer::All, 0, true), (1, 2));
        assert_eq!(look(&Viewer::All, 2, true), (0, 2));
        // Given up, it is passed over; and nobody waits for what is not for it.
        assert_eq!(look(&Viewer::All, 0, false), (2, 4));
        assert_eq!(look(&Viewer::anybody(), 0, true), (0, 4));
        *ring.0.lock().unwrap() = Some(key.clone());
        assert_eq!(look(&Viewer::All, 2, true), (2, 4));
    }

    #[test]
    fn patience_begins_anew_with_each_step() {
        let mut patience = Patience::default();
        assert!(patience.is_left());
        patience.went_on(false);
        let since = patience.0;
        patience.went_on(false);
        assert_eq!(patience.0, since);
        patience.0 = since.and_then(|since| since.checked_sub(Patience::LIMIT));
        assert!(patience.0.is_none() || !patience.is_left());
        patience.went_on(true);
        assert!(patience.is_left() && patience.0.is_none());
    }
}
