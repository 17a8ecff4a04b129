//! The walk itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use super::{
    Direction, Limits, Lineage, Links, Named, Passes, Reached, Sighting, Stay, Step, Touch, Via,
};
use crate::epcis::links::{Action, Role};

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
    filter: &'a Passes,
    lineage: Lineage,
    /// Where an item stands in the answer.
    place_of: HashMap<String, usize>,
    walked: HashMap<String, Vec<Window>>,
    queue: VecDeque<(String, Window, u32)>,
    transformations: HashSet<String>,
    lives: HashMap<String, Rc<Life>>,
    passing: HashMap<u64, bool>,
    /// Links that were looked at.
    looked_at: usize,
}

/// Walks from `start`, over the events that pass.
///
/// # Errors
/// Those of the links.
pub fn walk<L: Links>(
    links: &mut L,
    start: &str,
    direction: Direction,
    filter: &Passes,
    limits: Limits,
) -> Result<Lineage, L::Error> {
    let mut walk = Walk {
        links,
        direction,
        limits,
        filter,
        lineage: Lineage::default(),
        place_of: HashMap::new(),
        walked: HashMap::new(),
        queue: VecDeque::new(),
        transformations: HashSet::new(),
        lives: HashMap::new(),
        passing: HashMap::new(),
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
        if !self.place_of.contains_key(item) {
            let place = self.lineage.items.len();
            if place >= self.limits.items_max {
                self.lineage.truncated = true;
                return;
            }
            self.place_of.insert(item.to_owned(), place);
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

    /// Whether the event of `entry` is one of those that are asked for.
    fn passes(&mut self, entry: u64) -> Result<bool, L::Error> {
        if self.filter.all() {
            return Ok(true);
        }
        if let Some(known) = self.passing.get(&entry) {
            return Ok(*known);
        }
        let facts = self.links.facts(entry)?;
        let passes = facts.is_some_and(|facts| self.filter.event(&facts));
        self.passing.insert(entry, passes);
        Ok(passes)
    }

    /// Notes an event that the answer rests on, and the business transactions that it is part of.
    fn rest_on(&mut self, entry: u64) -> Result<(), L::Error> {
        if self.lineage.entries.insert(entry) && self.passes(entry)? {
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

    fn stay(&mut self, part: &str, whole: &str, since: i64, until: i64) {
        let places = (self.place_of.get(part), self.place_of.get(whole));
        if let (Some(&part), Some(&whole)) = places {
            let stay = Stay { part, since, whole };
            let known = self.lineage.stays.entry(stay).or_insert(until);
            *known = until.max(*known);
        }
    }

    fn visit(&mut self, item: &str, window: Window, depth: u32) -> Result<(), L::Error> {
        let life = self.life(item)?;
        for touch in &life.touches {
            self.looked_at += 1;
            if self.looked_at > self.limits.links_max {
                return Ok(());
            }
            if !window.contains(touch.time)
                || !self.filter.time(touch.time)
                || !self.passes(touch.entry)?
            {
                continue;
            }
            if self.lineage.entries.len() >= self.limits.events_max {
                self.lineage.truncated = true;
                return Ok(());
            }
            self.rest_on(touch.entry)?;
            if let Some(&place) = self.place_of.get(item) {
                self.lineage.sightings.insert(Sighting {
                    item: place,
                    time: touch.time,
                    entry: touch.entry,
                    role: touch.role,
                });
            }
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
        // The first event that passes says it; others that say the same add nothing.
        let mut said = None;
        for (other, entry) in others {
            self.looked_at += 1;
            if said.as_ref() == Some(&other) || !self.passes(entry)? {
                continue;
            }
            self.rest_on(entry)?;
            self.step(item, &other, Via::Lot, entry);
            self.reach(&other, false, onward, depth + 1);
            said = Some(other);
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
                    let mut until = window.until;
                    if let Some(departure) = life.departures.of(item, touch.time)
                        && departure.time <= until
                    {
                        until = departure.time;
                        self.rest_on(departure.entry)?;
                    }
                    let onward = Window {
                        from: touch.time,
                        until,
                        ..Window::ALL
                    };
                    self.step(item, &whole.item, Via::Aggregation, touch.entry);
                    self.reach(&whole.item, whole.class, onward, depth + 1);
                    self.stay(item, &whole.item, touch.time, until);
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
            let life = self.life(&transformation.item)?;
            for part in &life.touches {
                self.looked_at += 1;
                if part.role == Role::Transformation
                    && part.entry != touch.entry
                    && self.passes(part.entry)?
                {
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
