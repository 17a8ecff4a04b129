//! Where a thing came from and what became of it: a walk over the links of events.
//!
//! The meaning of the links is that of [`crate::epcis::links`]. The walk carries a window of time:
//! what a pallet does after a case has left it says nothing about the case.
//!
//! - Down: from an input to every output of its transformation, from a part to its whole for as
//!   long as it is in it, from a lot to the instances of which it is known.
//! - Up: the other way, so that what a walk down from there would not find is not found: never
//!   behind the event that led here, and from a whole only to parts that were still in it then.
//! - Business transactions are reported with every item that they name. They are followed where
//!   the walk begins at one: through a shared order everything would come from everything.
//! - Items of which only the class is known are reported and not followed, for the same reason.

mod row;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

pub use self::row::EventRow;
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
    /// Links looked at: an item with a long life is looked at once for every time that it held
    /// something, so that a small answer can be much work.
    pub links_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 64,
            items_max: 10_000,
            events_max: 50_000,
            links_max: 2_000_000,
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
    /// The lots that `item` is known to be of, each with the first entry that says so.
    fn lots_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Self::Error>;
    /// The instances known to be of the lot `item`, each with the first entry that says so.
    fn instances_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Self::Error>;
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
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What was before.
    pub from: String,
    /// What became of it.
    pub to: String,
    /// Why.
    pub via: Via,
    /// The entry that says so.
    pub entry: u64,
}

/// An item that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// The entries of all events that the items took part in, within their windows; and of those
    /// that say of which lot an instance is, or why a part is left out. Whoever has these events
    /// and no other walks the same way: that is how an answer is verified.
    pub entries: BTreeSet<u64>,
    /// The business transactions that these events were part of.
    pub transactions: BTreeSet<String>,
    /// Whether a limit cut the walk short.
    pub truncated: bool,
}

/// When an item matters to the walk; all ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Window {
    from: i64,
    until: i64,
    /// Upwards: what was a part of the item has to have stayed in it until then.
    stays: i64,
}

impl Window {
    const ALL: Self = Self {
        from: i64::MIN,
        until: i64::MAX,
        stays: i64::MIN,
    };

    fn contains(self, time: i64) -> bool {
        (self.from..=self.until).contains(&time)
    }

    fn covers(self, other: Self) -> bool {
        self.from <= other.from && other.until <= self.until && self.stays <= other.stays
    }

    /// Of what a transformation at `time` made, walking down; of what went into it, walking up.
    fn across(direction: Direction, time: i64) -> Self {
        match direction {
            Direction::Down => Self {
                from: time,
                ..Self::ALL
            },
            Direction::Up => Self {
                until: time,
                stays: time,
                ..Self::ALL
            },
        }
    }
}

/// What was taken out of a whole, in the order of time.
#[derive(Default)]
struct Departures(Vec<Departure>);

struct Departure {
    time: i64,
    entry: u64,
    parts: Vec<Named>,
}

/// What happened to an item, read once.
struct Life {
    touches: Vec<Touch>,
    departures: Departures,
}

impl Departures {
    /// When `part`, put in at `since`, leaves: at the first event that takes it, or everything, out.
    fn of(&self, part: &str, since: i64) -> Option<&Departure> {
        let takes_out =
            |parts: &[Named]| parts.is_empty() || parts.iter().any(|named| named.item == part);
        let mut later = self.0.iter().filter(|departure| departure.time >= since);
        later.find(|departure| takes_out(&departure.parts))
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
    lives: HashMap<String, Rc<Life>>,
    /// Links that were looked at.
    looked_at: usize,
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
        lives: HashMap::new(),
        looked_at: 0,
    };
    walk.reach(start, false, Window::ALL, 0);
    while let Some((item, window, depth)) = walk.queue.pop_front() {
        walk.visit(&item, window, depth)?;
        if walk.looked_at > limits.links_max {
            walk.lineage.truncated = true;
            break;
        }
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

    /// Notes an event that the answer rests on, and the business transactions that it is part of.
    fn rest_on(&mut self, entry: u64) -> Result<(), L::Error> {
        if self.lineage.entries.insert(entry) {
            for transaction in self.links.named(entry, Role::Transaction)? {
                self.lineage.transactions.insert(transaction.item);
            }
        }
        Ok(())
    }

    fn step(&mut self, here: &str, there: &str, via: Via, entry: u64) {
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
        let life = self.life(item)?;
        for touch in &life.touches {
            self.looked_at += 1;
            if self.looked_at > self.limits.links_max {
                return Ok(());
            }
            if !window.contains(touch.time) {
                continue;
            }
            if self.lineage.entries.len() >= self.limits.events_max {
                self.lineage.truncated = true;
                return Ok(());
            }
            self.rest_on(touch.entry)?;
            self.follow(item, touch, window, &life.departures, depth)?;
        }
        let others = match self.direction {
            Direction::Down => self.links.instances_of(item)?,
            Direction::Up => self.links.lots_of(item)?,
        };
        // An instance is younger than its lot, and was itself all the time.
        let onward = match self.direction {
            Direction::Down => Window {
                until: i64::MAX,
                ..window
            },
            Direction::Up => Window {
                stays: i64::MIN,
                ..window
            },
        };
        for (other, entry) in others {
            self.rest_on(entry)?;
            self.step(item, &other, Via::Lot, entry);
            self.reach(&other, false, onward, depth + 1);
        }
        Ok(())
    }

    fn follow(
        &mut self,
        item: &str,
        touch: &Touch,
        window: Window,
        departures: &Departures,
        depth: u32,
    ) -> Result<(), L::Error> {
        let ended = touch.action == Some(Action::Delete);
        match (self.direction, touch.role) {
            (Direction::Down, Role::Input) => {
                self.across_transformation(item, touch, Role::Output, depth)
            }
            (Direction::Up, Role::Output) => {
                self.across_transformation(item, touch, Role::Input, depth)
            }
            (Direction::Down, Role::Child) if !ended => {
                for whole in self.links.named(touch.entry, Role::Parent)? {
                    let life = self.life(&whole.item)?;
                    self.looked_at += life.departures.0.len();
                    let left = life.departures.of(item, touch.time);
                    let left = left.map_or(i64::MAX, |departure| departure.time);
                    let onward = Window {
                        from: touch.time,
                        until: left.min(window.until),
                        ..Window::ALL
                    };
                    self.step(item, &whole.item, Via::Aggregation, touch.entry);
                    self.reach(&whole.item, whole.class, onward, depth + 1);
                }
                Ok(())
            }
            (Direction::Up, Role::Parent) if !ended => {
                for part in self.links.named(touch.entry, Role::Child)? {
                    self.looked_at += departures.0.len();
                    if let Some(departure) = departures.of(&part.item, touch.time)
                        && departure.time < window.stays
                    {
                        self.rest_on(departure.entry)?;
                        continue;
                    }
                    let onward = Window {
                        until: touch.time,
                        stays: window.stays.max(touch.time),
                        ..Window::ALL
                    };
                    self.step(item, &part.item, Via::Aggregation, touch.entry);
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
                        self.step(item, &named.item, Via::Transaction, touch.entry);
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
        touch: &Touch,
        to: Role,
        depth: u32,
    ) -> Result<(), L::Error> {
        let mut entries = vec![(touch.entry, touch.time)];
        for transformation in self.links.named(touch.entry, Role::Transformation)? {
            if !self
                .transformations
                .insert(format!("{item}\0{}", transformation.item))
            {
                continue;
            }
            for part in &self.life(&transformation.item)?.touches {
                self.looked_at += 1;
                if part.role == Role::Transformation && part.entry != touch.entry {
                    // Its parts may be told in any order: each bounds its own items.
                    entries.push((part.entry, part.time));
                }
            }
        }
        for (entry, time) in entries {
            let named = self.links.named(entry, to)?;
            if !named.is_empty() {
                self.rest_on(entry)?;
            }
            let onward = Window::across(self.direction, time);
            for other in named {
                self.step(item, &other.item, Via::Transformation, entry);
                self.reach(&other.item, other.class, onward, depth + 1);
            }
        }
        Ok(())
    }

    /// What happened to an item.
    fn life(&mut self, item: &str) -> Result<Rc<Life>, L::Error> {
        if let Some(known) = self.lives.get(item) {
            return Ok(Rc::clone(known));
        }
        let touches = self.links.touches(item)?;
        let mut departures = Departures::default();
        for touch in &touches {
            if touch.role == Role::Parent && touch.action == Some(Action::Delete) {
                let parts = self.links.named(touch.entry, Role::Child)?;
                self.looked_at += parts.len();
                departures.0.push(Departure {
                    time: touch.time,
                    entry: touch.entry,
                    parts,
                });
            }
        }
        let life = Rc::new(Life {
            touches,
            departures,
        });
        self.lives.insert(item.to_owned(), Rc::clone(&life));
        Ok(life)
    }
}

#[cfg(test)]
mod tests;
