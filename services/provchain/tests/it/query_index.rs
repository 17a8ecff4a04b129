//! An index finds what a query says, page by page, and nothing that its viewer must not see.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{Index as Pick, select};
use provchain::access::Viewer;
use provchain::index::{Candidate, Collection, Index, IndexError, Listing, Search};
use provchain::query::{EventQuery, OrderBy, Position, Prefixes, Word};
use serde_json::Value;

use super::query_fixture::{INDEXED, Known};

fn viewers() -> impl Strategy<Value = Viewer> {
    let party = |own, partners: &[u64]| Viewer::Party {
        own,
        partner_of: partners.iter().copied().collect(),
    };
    select(vec![
        Viewer::All,
        Viewer::anybody(),
        party(Some(1), &[]),
        party(Some(2), &[1]),
        party(None, &[1, 2]),
    ])
}

/// The entries that a query finds, by the reference, in order.
fn expected(query: &EventQuery, viewer: &Viewer, size: u64) -> Vec<u64> {
    let seen = INDEXED.events.iter().take(size as usize);
    let found = seen
        .filter(|known| viewer.sees(known.access) && query.matches(&known.event, known.recorded));
    let mut found: Vec<_> = found
        .map(|known| {
            let time = match query.order.by {
                OrderBy::EventTime => known.event.time,
                OrderBy::RecordTime => known.recorded,
            };
            (time, known.stored.index)
        })
        .collect();
    found.sort_unstable();
    if query.order.descending {
        found.reverse();
    }
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// The entries that an index finds, a page of `limit` candidates at a time.
async fn found(
    index: &Index,
    query: &EventQuery,
    viewer: &Viewer,
    size: u64,
    limit: usize,
) -> Vec<u64> {
    let mut entries = Vec::new();
    let mut after: Option<Position> = None;
    loop {
        let page = page(index, query, viewer, size, after.clone(), limit).await;
        let Some(last) = page.last() else {
            return entries;
        };
        after = Some(last.position(query));
        assert!(page.len() <= limit);
        entries.extend(page.iter().filter_map(|candidate| {
            let known = &INDEXED.events[candidate.entry as usize];
            assert_eq!(candidate.time, known.event.time);
            assert_eq!(candidate.recorded, known.recorded);
            let is_found = !query.needs_documents() || query.matches(&known.event, known.recorded);
            is_found.then_some(candidate.entry)
        }));
    }
}

async fn page(
    index: &Index,
    query: &EventQuery,
    viewer: &Viewer,
    size: u64,
    after: Option<Position>,
    limit: usize,
) -> Vec<Candidate> {
    let (query, viewer) = (query.clone(), viewer.clone());
    let identified = query.event_ids().map(|ids| {
        let has = |known: &&Known| known.event.id.as_ref().is_some_and(|id| ids.contains(id));
        let entries = INDEXED.events.iter().filter(has);
        entries.map(|known| known.stored.index).collect::<Vec<_>>()
    });
    let read = index.read(move |index| {
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
    read.await.expect("an answer")
}

fn parse(parameters: &BTreeMap<String, String>) -> EventQuery {
    let prefixes = Prefixes::of_header("example=https://ns.example.com/epcis/");
    EventQuery::parse(parameters, &prefixes.expect("prefixes")).expect("a query")
}

fn blocking<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(super::suites::property_config())]

    #[test]
    fn an_index_finds_what_the_query_says_to_whoever_may_see_it(
        (from, other) in any::<(Pick, Pick)>(),
        picks in prop::collection::vec(any::<Pick>(), 1..4),
        (mixed, order, direction) in (any::<bool>(), 0..3usize, any::<bool>()),
        viewer in viewers(),
        limit in 1..40usize,
        cut in any::<Pick>(),
    ) {
        let world = &*INDEXED;
        let from = from.index(world.events.len());
        let (own, others) = (&world.questions[from], &world.questions[other.index(world.events.len())]);
        let mut parameters = BTreeMap::new();
        for pick in picks {
            let (name, value) = own.iter().nth(pick.index(own.len())).unwrap();
            // Another value for the same list must not lose the first one.
            let value = match others.get(name) {
                Some(more) if mixed && name.starts_with("EQ_") => format!("{value}|{more}"),
                _ => value.clone(),
            };
            parameters.insert(name.clone(), value);
        }
        let asked = parse(&parameters);
        prop_assert!(asked.matches(&world.events[from].event, world.events[from].recorded));
        if order > 0 {
            let by = ["eventTime", "recordTime"][order - 1];
            parameters.insert("orderBy".to_owned(), by.to_owned());
            let direction = if direction { "ASC" } else { "DESC" };
            parameters.insert("orderDirection".to_owned(), direction.to_owned());
        }
        let query = parse(&parameters);
        let size = cut.index(world.events.len() + 1) as u64;
        for size in [world.events.len() as u64, size] {
            let wanted = expected(&query, &viewer, size);
            let found = blocking(found(&world.index, &query, &viewer, size, limit));
            prop_assert_eq!(found, wanted, "{:?}", &parameters);
        }
    }
}

/// What every event costs each node, beside its links.
#[tokio::test]
async fn an_index_keeps_few_rows_of_an_event() {
    let rows = INDEXED.index.read(|index| {
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            index.query_row(&sql, [], |row| row.get::<_, u64>(0))
        };
        Ok((
            count("event")?,
            count("attribute")?,
            count("word")?,
            count("link")?,
            count("item")?,
        ))
    });
    let (events, attributes, words, links, items) = rows.await.expect("counts");
    println!(
        "{events} events, {attributes} attributes, {words} words, {links} links, {items} items"
    );
    assert_eq!(events, INDEXED.events.len() as u64);
    assert!(attributes < 4 * events);
    assert!(words < events / 3);
}

/// Whatever drives it, a query has one answer: a set of entries that is sorted, or all events in
/// their order.
#[tokio::test]
async fn a_query_without_conditions_walks_through_all_events_in_either_order() {
    let world = &*INDEXED;
    let size = world.events.len() as u64;
    for order in [
        BTreeMap::new(),
        BTreeMap::from([("orderBy".to_owned(), "eventTime".to_owned())]),
    ] {
        let query = parse(&order);
        for viewer in [Viewer::All, Viewer::anybody()] {
            let wanted = expected(&query, &viewer, size);
            assert!(wanted.len() > 50, "{} events show little", wanted.len());
            assert_eq!(found(&world.index, &query, &viewer, size, 17).await, wanted);
        }
    }
}

#[tokio::test]
async fn pages_give_every_event_of_the_first_page_s_ledger_once_while_captures_go_on() {
    let world = &*INDEXED;
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(&folder.path().join("index.db")).unwrap();
    let stored: Vec<_> = world
        .events
        .iter()
        .map(|known| known.stored.clone())
        .collect();
    let (first, later) = stored.split_at(100);
    index.take(first, &()).unwrap();
    for parameters in [
        BTreeMap::new(),
        BTreeMap::from([(
            "EQ_bizStep".to_owned(),
            "packing|shipping|receiving".to_owned(),
        )]),
        BTreeMap::from([
            ("orderBy".to_owned(), "eventTime".to_owned()),
            ("orderDirection".to_owned(), "ASC".to_owned()),
        ]),
    ] {
        let query = parse(&parameters);
        let wanted = expected(&query, &Viewer::All, 100);
        let (mut walked, mut after) = (Vec::new(), None);
        let mut more = later.chunks(9);
        loop {
            let page = page(&index, &query, &Viewer::All, 100, after, 10).await;
            let Some(last) = page.last() else { break };
            after = Some(last.position(&query));
            walked.extend(page.iter().map(|candidate| candidate.entry));
            if let Some(more) = more.next() {
                index.take(more, &()).unwrap();
            }
        }
        assert_eq!(walked, wanted, "{parameters:?}");
        index.clear().unwrap();
        index.take(first, &()).unwrap();
    }
}

const COLLECTIONS: [Collection; 6] = [
    Collection::Words(Word::EventType),
    Collection::Words(Word::BizStep),
    Collection::Words(Word::Disposition),
    Collection::Epcs,
    Collection::ReadPoints,
    Collection::BizLocations,
];

async fn names(
    index: &Index,
    collection: Collection,
    viewer: &Viewer,
    size: u64,
    limit: usize,
) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let (viewer, after) = (viewer.clone(), all.last().cloned().unwrap_or_default());
        let page = index.read(move |index| {
            let listing = Listing {
                collection,
                viewer: &viewer,
                size,
                after: &after,
                limit,
            };
            let names = listing.names(index)?;
            for name in &names {
                assert!(listing.has(index, name)?, "{name}");
            }
            Ok(names)
        });
        let page = page.await.expect("names");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// What the events that `viewer` may see name, as a walk over them says.
fn named(collection: Collection, viewer: &Viewer, size: u64) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let parameter = match collection {
        Collection::Words(word) => {
            names.extend(word.standard().iter().map(|word| (*word).to_owned()));
            word.name()
        }
        Collection::ReadPoints => "readPoint",
        Collection::BizLocations => "bizLocation",
        Collection::Epcs => "",
    };
    let prefixes = Prefixes::default();
    let seen = INDEXED.events.iter().take(size as usize);
    for known in seen.filter(|known| viewer.sees(known.access)) {
        let value = &known.event.value;
        let texts: Vec<&Value> = match collection {
            Collection::Epcs => ["epcList", "childEPCs", "inputEPCList", "outputEPCList"]
                .iter()
                .flat_map(|field| value[field].as_array().into_iter().flatten())
                .chain(value.get("parentID"))
                .collect(),
            Collection::Words(_) => value.get(parameter).into_iter().collect(),
            _ => value[parameter].get("id").into_iter().collect(),
        };
        for text in texts {
            let text = text.as_str().unwrap();
            names.insert(match collection {
                Collection::Words(word) if !word.standard().contains(&text) => {
                    text.replace("example:", "https://ns.example.com/epcis/")
                }
                Collection::Words(_) => text.to_owned(),
                _ => prefixes.key(text).unwrap(),
            });
        }
    }
    names
}

#[tokio::test]
async fn a_collection_names_what_the_viewer_may_know_of_and_nothing_else() {
    let world = &*INDEXED;
    let size = world.events.len() as u64;
    for collection in COLLECTIONS {
        let all = named(collection, &Viewer::All, size);
        let mut hidden = 0;
        for viewer in [
            Viewer::All,
            Viewer::anybody(),
            Viewer::Party {
                own: Some(1),
                partner_of: BTreeSet::from([2]),
            },
        ] {
            for size in [size, size / 3] {
                let wanted = named(collection, &viewer, size);
                let found = names(&world.index, collection, &viewer, size, 7).await;
                assert_eq!(
                    found,
                    wanted.iter().cloned().collect::<Vec<_>>(),
                    "{collection:?}"
                );
                for name in all.difference(&wanted) {
                    let (viewer, name) = (viewer.clone(), name.clone());
                    let has = world.index.read(move |index| {
                        let listing = Listing {
                            collection,
                            viewer: &viewer,
                            size,
                            after: "",
                            limit: 1,
                        };
                        listing.has(index, &name)
                    });
                    assert!(!has.await.unwrap(), "{collection:?}");
                    hidden += 1;
                }
            }
        }
        assert!(
            hidden > 0,
            "nothing of {collection:?} is hidden from anybody"
        );
    }
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_ended_and_the_next_one_is_not() {
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let limit = std::time::Duration::from_millis(50);
    let ended = INDEXED.index.read_within(limit, move |index| {
        index.query_row(endless, [], |row| row.get::<_, i64>(0))
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(IndexError::TooComplex)), "{ended:?}");
    for _ in 0..8 {
        let limit = std::time::Duration::from_secs(60);
        let read = INDEXED.index.read_within(limit, |index| {
            index.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))
        });
        assert_eq!(read.await.unwrap(), 1);
    }
}
