//! Where a thing came from and what became of it: a walk over the links of events.
//!
//! The meaning of the links is that of [`crate::epcis::links`]. The walk carries a window of time:
//! what a pallet does after a case has left it says nothing about the case.
//!
//! - Down: from an input to every output of its transformation, from a part to its whole for as
//!   long as it is in it, from a lot to the instances of which it is known.
//! - Up: the other way, and never behind the event that led there.
//! - Business transactions are reported with every item that they name. They are followed where
//!   the walk begins at one: through a shared order everything would come from everything.
//! - Items of which only the class is known are reported and not followed, for the same reason.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::epcis::links::{Action, Role};

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To what it came from.
    Up,
    /// To what became of it.
    Down,
}

/// How far to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps from the start.
    pub depth_max: u32,
    /// Items in the answer.
    pub items_max: usize,
    /// Events in the answer.
    pub events_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 64,
            items_max: 10_000,
            events_max: 50_000,
        }
    }
}

/// One identifier in one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The event's entry in the ledger.
    pub entry: u64,
    /// What the identifier is to the event.
    pub role: Role,
    /// The event's action.
    pub action: Option<Action>,
    /// The event's time, in microseconds since 1970-01-01T00:00:00Z.
    pub time: i64,
}

/// An item as an event names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What it compares by.
    pub item: String,
    /// Whether only its class is known.
    pub class: bool,
}

/// Where links are read from.
pub trait Links {
    /// What reading can fail with.
    type Error;

    /// Every event that names `item`, in the order of event time.
    fn touches(&mut self, item: &str) -> Result<Vec<Touch>, Self::Error>;
    /// The identifiers with `role` in the event of `entry`.
    fn named(&mut self, entry: u64, role: Role) -> Result<Vec<Named>, Self::Error>;
    /// The lots that `item` is known to be of.
    fn lots_of(&mut self, item: &str) -> Result<Vec<String>, Self::Error>;
    /// The instances known to be of the lot `item`.
    fn instances_of(&mut self, item: &str) -> Result<Vec<String>, Self::Error>;
}

/// Why one item leads to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Input and output of a transformation.
    Transformation,
    /// Part and whole of an aggregation or association.
    Aggregation,
    /// A business transaction and an item in it.
    Transaction,
    /// A lot and an instance of it.
    Lot,
}

/// A step of the walk. It goes the way that the goods went: from what was before to what became of
/// it, whichever way was walked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    /// What was before.
    pub from: String,
    /// What became of it.
    pub to: String,
    /// Why.
    pub via: Via,
    /// The entry that says so; a lot's instances may be known from their identifiers alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}

/// An item that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// What it compares by.
    pub item: String,
    /// The fewest steps from the start.
    pub depth: u32,
    /// Whether only its class is known: it was not followed.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub class: bool,
}

/// The answer of a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The items, in the order in which they were reached; the first is the start.
    pub items: Vec<Reached>,
    /// The steps between them.
    pub steps: BTreeSet<Step>,
    /// The entries of all events that the items took part in, within their windows.
    pub entries: BTreeSet<u64>,
    /// The business transactions that these events were part of.
    pub transactions: BTreeSet<String>,
    /// Whether a limit cut the walk short.
    pub truncated: bool,
}

/// A time window; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Window {
    from: i64,
    until: i64,
}

impl Window {
    const ALL: Self = Self {
        from: i64::MIN,
        until: i64::MAX,
    };

    fn contains(self, time: i64) -> bool {
        (self.from..=self.until).contains(&time)
    }

    fn covers(self, other: Self) -> bool {
        self.from <= other.from && other.until <= self.until
    }
}

struct Walk<'a, L> {
    links: &'a mut L,
    direction: Direction,
    limits: Limits,
    lineage: Lineage,
    depth_of: BTreeMap<String, u32>,
    walked: BTreeMap<String, Vec<Window>>,
    queue: VecDeque<(String, Window, u32)>,
    transformations: HashSet<String>,
}

/// Walks from `start`.
///
/// # Errors
/// Those of the links.
pub fn walk<L: Links>(
    links: &mut L,
    start: &str,
    direction: Direction,
    limits: Limits,
) -> Result<Lineage, L::Error> {
    let mut walk = Walk {
        links,
        direction,
        limits,
        lineage: Lineage::default(),
        depth_of: BTreeMap::new(),
        walked: BTreeMap::new(),
        queue: VecDeque::new(),
        transformations: HashSet::new(),
    };
    walk.reach(start, false, Window::ALL, 0);
    while let Some((item, window, depth)) = walk.queue.pop_front() {
        walk.visit(&item, window, depth)?;
    }
    Ok(walk.lineage)
}

impl<L: Links> Walk<'_, L> {
    /// Notes an item, and queues it unless it was walked through in that window.
    fn reach(&mut self, item: &str, class: bool, window: Window, depth: u32) {
        if !self.depth_of.contains_key(item) {
            if self.lineage.items.len() >= self.limits.items_max {
                self.lineage.truncated = true;
                return;
            }
            self.depth_of.insert(item.to_owned(), depth);
            self.lineage.items.push(Reached {
                item: item.to_owned(),
                depth,
                class,
            });
        }
        if class && depth > 0 {
            return;
        }
        if depth > self.limits.depth_max {
            self.lineage.truncated = true;
            return;
        }
        let walked = self.walked.entry(item.to_owned()).or_default();
        if !walked.iter().any(|known| known.covers(window)) {
            walked.push(window);
            self.queue.push_back((item.to_owned(), window, depth));
        }
    }

    fn step(&mut self, here: &str, there: &str, via: Via, entry: Option<u64>) {
        let (from, to) = match self.direction {
            Direction::Down => (here, there),
            Direction::Up => (there, here),
        };
        self.lineage.steps.insert(Step {
            from: from.to_owned(),
            to: to.to_owned(),
            via,
            entry,
        });
    }

    fn visit(&mut self, item: &str, window: Window, depth: u32) -> Result<(), L::Error> {
        for touch in self.links.touches(item)? {
            if !window.contains(touch.time) {
                continue;
            }
            if self.lineage.entries.len() >= self.limits.events_max {
                self.lineage.truncated = true;
                return Ok(());
            }
            if self.lineage.entries.insert(touch.entry) {
                for transaction in self.links.named(touch.entry, Role::Transaction)? {
                    self.lineage.transactions.insert(transaction.item);
                }
            }
            self.follow(item, &touch, window, depth)?;
        }
        let (others, down) = match self.direction {
            Direction::Down => (self.links.instances_of(item)?, true),
            Direction::Up => (self.links.lots_of(item)?, false),
        };
        for other in others {
            self.step(item, &other, Via::Lot, None);
            // An instance is younger than its lot, and was itself all the time.
            let onward = if down {
                Window {
                    from: window.from,
                    ..Window::ALL
                }
            } else {
                window
            };
            self.reach(&other, false, onward, depth + 1);
        }
        Ok(())
    }

    fn follow(
        &mut self,
        item: &str,
        touch: &Touch,
        window: Window,
        depth: u32,
    ) -> Result<(), L::Error> {
        let ended = touch.action == Some(Action::Delete);
        match (self.direction, touch.role) {
            (Direction::Down, Role::Input) => {
                let onward = Window {
                    from: touch.time,
                    ..Window::ALL
                };
                self.across_transformation(item, touch.entry, Role::Output, onward, depth)
            }
            (Direction::Up, Role::Output) => {
                let onward = Window {
                    until: touch.time,
                    ..Window::ALL
                };
                self.across_transformation(item, touch.entry, Role::Input, onward, depth)
            }
            (Direction::Down, Role::Child) if !ended => {
                for whole in self.links.named(touch.entry, Role::Parent)? {
                    let until = self
                        .leaves(item, &whole.item, touch.time)?
                        .min(window.until);
                    let onward = Window {
                        from: touch.time,
                        until,
                    };
                    self.step(item, &whole.item, Via::Aggregation, Some(touch.entry));
                    self.reach(&whole.item, whole.class, onward, depth + 1);
                }
                Ok(())
            }
            (Direction::Up, Role::Parent) if !ended => {
                for part in self.links.named(touch.entry, Role::Child)? {
                    let onward = Window {
                        until: touch.time,
                        ..Window::ALL
                    };
                    self.step(item, &part.item, Via::Aggregation, Some(touch.entry));
                    self.reach(&part.item, part.class, onward, depth + 1);
                }
                Ok(())
            }
            (_, Role::Transaction) if depth == 0 => {
                for role in [
                    Role::Object,
                    Role::Parent,
                    Role::Child,
                    Role::Input,
                    Role::Output,
                ] {
                    for named in self.links.named(touch.entry, role)? {
                        self.step(item, &named.item, Via::Transaction, Some(touch.entry));
                        self.reach(&named.item, named.class, Window::ALL, depth + 1);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Across one transformation, which may be told in several events.
    fn across_transformation(
        &mut self,
        item: &str,
        entry: u64,
        to: Role,
        onward: Window,
        depth: u32,
    ) -> Result<(), L::Error> {
        let mut entries = vec![(entry, onward)];
        for transformation in self.links.named(entry, Role::Transformation)? {
            if !self
                .transformations
                .insert(format!("{item}\0{}", transformation.item))
            {
                continue;
            }
            for part in self.links.touches(&transformation.item)? {
                if part.role == Role::Transformation && part.entry != entry {
                    // Its parts may be told in any order: each bounds its own items.
                    let onward = match self.direction {
                        Direction::Down => Window {
                            from: part.time,
                            ..Window::ALL
                        },
                        Direction::Up => Window {
                            until: part.time,
                            ..Window::ALL
                        },
                    };
                    entries.push((part.entry, onward));
                }
            }
        }
        for (entry, onward) in entries {
            let named = self.links.named(entry, to)?;
            if !named.is_empty() {
                self.lineage.entries.insert(entry);
            }
            for other in named {
                self.step(item, &other.item, Via::Transformation, Some(entry));
                self.reach(&other.item, other.class, onward, depth + 1);
            }
        }
        Ok(())
    }

    /// When `part` leaves `whole` after `since`: at the first event that takes it, or everything,
    /// out.
    fn leaves(&mut self, part: &str, whole: &str, since: i64) -> Result<i64, L::Error> {
        for touch in self.links.touches(whole)? {
            let takes_out = touch.role == Role::Parent
                && touch.action == Some(Action::Delete)
                && touch.time >= since;
            if takes_out {
                let parts = self.links.named(touch.entry, Role::Child)?;
                if parts.is_empty() || parts.iter().any(|named| named.item == part) {
                    return Ok(touch.time);
                }
            }
        }
        Ok(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
