//! Where things were last seen, by themselves or in what they were in.

use std::collections::{BTreeSet, HashMap};

use super::shown;
use super::whereabouts::{Ending, Happening};
use crate::trace::Lineage;

/// Wholes in wholes that are looked through; a pack in a case on a pallet in a container is four.
const NESTING_MAX: u32 = 32;

/// Stays that are looked at, for all items together. In a chain each is looked at a few times; things
/// that are in one another over and over again, with other ends each time, come to more.
const STAYS_MAX: usize = 2_000_000;

/// A last sighting. They compare by whether they say where, and then by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Last {
    placed: bool,
    time: i64,
    pub entry: u64,
    /// The whole that was seen, if it was not the item itself.
    pub within: Option<usize>,
}

struct Stay {
    since: i64,
    until: i64,
    whole: usize,
}

/// The sightings of every item.
pub(super) struct LastSeen<'a> {
    events: &'a HashMap<u64, Happening>,
    /// In the order of time; each with the best one up to it.
    own: Vec<Vec<(i64, u64, Last)>>,
    stays: Vec<Vec<Stay>>,
    /// What was asked before: the best of an item up to a time. `None` while it is being worked out,
    /// so that things which are in one another come to an end.
    known: HashMap<(usize, i64), Option<Last>>,
    looked_at: usize,
}

impl<'a> LastSeen<'a> {
    pub(super) fn of(lineage: &Lineage, events: &'a HashMap<u64, Happening>) -> Self {
        let count = lineage.items.len();
        let mut seen: Vec<BTreeSet<(i64, u64)>> = vec![BTreeSet::new(); count];
        for sighting in &lineage.sightings {
            seen[sighting.item].insert((sighting.time, sighting.entry));
        }
        // What was not looked at itself, for only its class is known or it is too many steps away,
        // was in the event that led to it.
        let places: HashMap<&str, usize> = (lineage.items.iter().enumerate())
            .map(|(place, reached)| (reached.item.as_str(), place))
            .collect();
        let unseen: Vec<bool> = seen.iter().map(BTreeSet::is_empty).collect();
        for step in &lineage.steps {
            if let Some(&place) = places.get(step.to.as_str())
                && unseen[place]
                && let Some(event) = events.get(&step.entry)
            {
                seen[place].insert((event.time, step.entry));
            }
        }
        let mut stays: Vec<Vec<Stay>> = std::iter::repeat_with(Vec::new).take(count).collect();
        for (stay, &until) in &lineage.stays {
            stays[stay.part].push(Stay {
                since: stay.since,
                until,
                whole: stay.whole,
            });
        }
        Self {
            own: seen
                .into_iter()
                .map(|seen| best_so_far(seen, events))
                .collect(),
            stays,
            events,
            known: HashMap::new(),
            looked_at: 0,
        }
    }

    /// The events that any item was seen in.
    pub(super) fn entries(&self) -> BTreeSet<u64> {
        self.own
            .iter()
            .flatten()
            .map(|(_, entry, _)| *entry)
            .collect()
    }

    /// Where an item was last seen.
    pub(super) fn of_item(&mut self, item: usize) -> Option<Last> {
        self.until(item, i64::MAX, 0)
    }

    /// How an item left the chain: by the last event that says so of it; or by the one in which it was
    /// last seen in something else.
    pub(super) fn end(&self, item: usize, last: Option<&Last>) -> Option<Ending> {
        let own = self.own[item].iter().rev().map(|(_, entry, _)| *entry);
        let mut entries = own.chain(last.map(|last| last.entry));
        entries.find_map(|entry| {
            let event = self.events.get(&entry)?;
            Some(Ending {
                how: event.end?.to_owned(),
                time: shown(event.time),
                entry,
            })
        })
    }

    fn until(&mut self, item: usize, until: i64, nesting: u32) -> Option<Last> {
        if let Some(known) = self.known.get(&(item, until)) {
            return *known;
        }
        self.known.insert((item, until), None);
        let own = &self.own[item];
        let up_to = own.partition_point(|(time, _, _)| *time <= until);
        let mut best = up_to.checked_sub(1).map(|place| own[place].2);
        if nesting < NESTING_MAX {
            for nth in 0..self.stays[item].len() {
                let Stay {
                    since,
                    until: end,
                    whole,
                } = self.stays[item][nth];
                self.looked_at += 1;
                if since > until || self.looked_at > STAYS_MAX {
                    continue;
                }
                let within = self.until(whole, until.min(end), nesting + 1);
                // The innermost thing that was seen: the case, and not the pallet that it was on.
                let within = within.map(|last| Last {
                    within: last.within.or(Some(whole)),
                    ..last
                });
                if let Some(within) = within
                    && best.is_none_or(|best| later(&within, &best))
                {
                    best = Some(within);
                }
            }
        }
        self.known.insert((item, until), best);
        best
    }
}

/// Whether one sighting tells more than another. What was seen itself is better than what it was in.
fn later(one: &Last, other: &Last) -> bool {
    (one.placed, one.time, one.entry) > (other.placed, other.time, other.entry)
}

fn best_so_far(
    seen: BTreeSet<(i64, u64)>,
    events: &HashMap<u64, Happening>,
) -> Vec<(i64, u64, Last)> {
    let mut best: Option<Last> = None;
    let mut all = Vec::with_capacity(seen.len());
    for (time, entry) in seen {
        let placed = events
            .get(&entry)
            .is_some_and(|event| event.place.is_some());
        let last = Last {
            placed,
            time,
            entry,
            within: None,
        };
        let better = best.filter(|best| later(best, &last)).unwrap_or(last);
        best = Some(better);
        all.push((time, entry, better));
    }
    all
}
