use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// An event: its time, its action, and whom it names as what.
#[derive(Clone, Debug)]
struct Told {
    time: i64,
    action: Option<Action>,
    named: Vec<(Role, String, bool)>,
}

/// Links in memory: an event's entry is its place.
#[derive(Clone, Debug, Default)]
struct Memory {
    events: Vec<Told>,
    /// An instance, its lot, and the event that says so.
    lots: Vec<(String, String, u64)>,
}

impl Links for Memory {
    type Error = Infallible;

    fn touches(&mut self, item: &str) -> Result<Vec<Touch>, Infallible> {
        let mut touches = Vec::new();
        for (entry, event) in self.events.iter().enumerate() {
            for (role, _, _) in event.named.iter().filter(|(_, named, _)| named == item) {
                touches.push(Touch {
                    entry: entry as u64,
                    role: *role,
                    action: event.action,
                    time: event.time,
                });
            }
        }
        touches.sort_by_key(|touch| (touch.time, touch.entry));
        Ok(touches)
    }

    fn named(&mut self, entry: u64, role: Role) -> Result<Vec<Named>, Infallible> {
        let event = &self.events[usize::try_from(entry).unwrap()];
        let with_role = event.named.iter().filter(|(known, _, _)| *known == role);
        Ok(with_role
            .map(|(_, item, class)| Named {
                item: item.clone(),
                class: *class,
            })
            .collect())
    }

    fn lots_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Infallible> {
        let of_item = self.lots.iter().filter(|(instance, _, _)| instance == item);
        let lots: BTreeMap<_, _> = of_item
            .rev()
            .map(|(_, lot, entry)| (lot.clone(), *entry))
            .collect();
        Ok(lots.into_iter().collect())
    }

    fn instances_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Infallible> {
        let of_lot = self.lots.iter().filter(|(_, lot, _)| lot == item);
        let instances: BTreeMap<_, _> = of_lot
            .rev()
            .map(|(instance, _, entry)| (instance.clone(), *entry))
            .collect();
        Ok(instances.into_iter().collect())
    }
}

impl Memory {
    fn told(mut self, time: i64, action: Option<Action>, named: &[(Role, &str)]) -> Self {
        let named = named
            .iter()
            .map(|(role, item)| (*role, (*item).to_owned(), item.starts_with("class")))
            .collect();
        self.events.push(Told {
            time,
            action,
            named,
        });
        self
    }

    fn made(self, time: i64, from: &str, to: &str) -> Self {
        self.told(time, None, &[(Role::Input, from), (Role::Output, to)])
    }

    fn packed(self, time: i64, part: &str, whole: &str) -> Self {
        let named = [(Role::Child, part), (Role::Parent, whole)];
        self.told(time, Some(Action::Add), &named)
    }

    fn unpacked(self, time: i64, part: &str, whole: &str) -> Self {
        let named = [(Role::Child, part), (Role::Parent, whole)];
        self.told(time, Some(Action::Delete), &named)
    }

    fn of_lot(self, instance: &str, lot: &str) -> Self {
        self.seen_of_lot(0, instance, lot)
    }

    /// An event names an instance, and says of which lot it is.
    fn seen_of_lot(mut self, time: i64, instance: &str, lot: &str) -> Self {
        let entry = self.events.len() as u64;
        self.lots.push((instance.to_owned(), lot.to_owned(), entry));
        self.told(time, Some(Action::Observe), &[(Role::Object, instance)])
    }

    /// What is left where nothing but the events of `entries` is known.
    fn only(&self, entries: &BTreeSet<u64>) -> Self {
        let mut part = self.clone();
        for (entry, event) in (0..).zip(&mut part.events) {
            if !entries.contains(&entry) {
                event.named.clear();
            }
        }
        part.lots.retain(|(_, _, entry)| entries.contains(entry));
        part
    }

    fn walk(&self, start: &str, direction: Direction) -> Lineage {
        let Ok(lineage) = walk(&mut self.clone(), start, direction, Limits::default());
        lineage
    }

    fn down(&self, start: &str) -> Vec<String> {
        items(&self.walk(start, Direction::Down))
    }

    fn up(&self, start: &str) -> Vec<String> {
        items(&self.walk(start, Direction::Up))
    }
}

fn items(lineage: &Lineage) -> Vec<String> {
    lineage
        .items
        .iter()
        .map(|reached| reached.item.clone())
        .collect()
}

#[test]
fn a_container_that_is_used_again_carries_only_what_was_in_it() {
    let links = Memory::default()
        .packed(1, "milk", "crate")
        .packed(2, "crate", "truck")
        .unpacked(3, "crate", "truck")
        .unpacked(4, "milk", "crate")
        .packed(5, "juice", "crate")
        .packed(6, "crate", "ship");
    assert_eq!(links.down("milk"), ["milk", "crate", "truck"]);
    assert_eq!(links.down("juice"), ["juice", "crate", "ship"]);
    assert_eq!(links.up("truck"), ["truck", "crate", "milk"]);
    assert_eq!(links.up("ship"), ["ship", "crate", "juice"]);
}

#[test]
fn upwards_a_part_counts_that_stayed_until_the_last_packing() {
    let links = Memory::default()
        .packed(1, "milk", "crate")
        .packed(1, "juice", "crate")
        .packed(2, "crate", "pallet")
        .unpacked(3, "milk", "crate")
        .packed(4, "pallet", "ship");
    assert_eq!(links.up("pallet"), ["pallet", "crate", "milk", "juice"]);
    assert_eq!(links.up("ship"), ["ship", "pallet", "crate", "juice"]);
}

#[test]
fn emptying_a_container_takes_everything_out() {
    let links = Memory::default()
        .packed(1, "milk", "crate")
        .told(2, Some(Action::Delete), &[(Role::Parent, "crate")])
        .packed(3, "crate", "ship");
    assert_eq!(links.down("milk"), ["milk", "crate"]);
    assert_eq!(links.up("ship"), ["ship", "crate"]);
}

#[test]
fn upwards_nothing_counts_that_happened_after_the_event_that_led_there() {
    let links = Memory::default()
        .made(1, "milk", "curd")
        .made(3, "curd", "cheese")
        .made(5, "water", "curd");
    assert_eq!(links.up("cheese"), ["cheese", "curd", "milk"]);
}

#[test]
fn a_transformation_told_in_several_events_joins_all_inputs_to_all_outputs() {
    let named = |role, item| [(Role::Transformation, "run"), (role, item)];
    let links = Memory::default()
        .told(1, None, &named(Role::Input, "milk"))
        .told(2, None, &named(Role::Output, "whey"))
        .told(3, None, &named(Role::Input, "rennet"))
        .told(4, None, &named(Role::Output, "cheese"));
    assert_eq!(links.down("rennet"), ["rennet", "whey", "cheese"]);
    assert_eq!(links.up("cheese"), ["cheese", "milk", "rennet"]);
}

#[test]
fn lots_lead_to_their_instances_and_back() {
    let links = Memory::default()
        .made(1, "milk", "lot")
        .of_lot("cheese 1", "lot")
        .of_lot("cheese 2", "lot")
        .packed(2, "cheese 2", "crate");
    assert_eq!(
        links.down("milk"),
        ["milk", "lot", "cheese 1", "cheese 2", "crate"]
    );
    assert_eq!(links.up("crate"), ["crate", "cheese 2", "lot", "milk"]);
}

#[test]
fn a_class_is_reported_and_not_followed() {
    let links = Memory::default()
        .made(1, "milk", "class cheese")
        .made(2, "class cheese", "pizza");
    let lineage = links.walk("milk", Direction::Down);
    assert_eq!(items(&lineage), ["milk", "class cheese"]);
    assert!(lineage.items[1].class);
}

#[test]
fn circles_come_to_an_end() {
    let links = Memory::default()
        .made(1, "a", "b")
        .made(1, "b", "c")
        .made(1, "c", "a");
    assert_eq!(links.down("a"), ["a", "b", "c"]);
    assert_eq!(links.up("a"), ["a", "c", "b"]);
}

#[test]
fn a_walk_that_a_limit_cut_short_says_so() {
    let links = Memory::default()
        .made(1, "a", "b")
        .made(2, "b", "c")
        .made(3, "c", "d");
    let whole = Limits::default();
    for (limits, reached) in [
        (
            Limits {
                depth_max: 1,
                ..whole
            },
            3,
        ),
        (
            Limits {
                items_max: 2,
                ..whole
            },
            2,
        ),
        (
            Limits {
                events_max: 1,
                ..whole
            },
            2,
        ),
        (
            Limits {
                links_max: 2,
                ..whole
            },
            2,
        ),
    ] {
        let Ok(lineage) = walk(&mut links.clone(), "a", Direction::Down, limits);
        assert!(lineage.truncated, "{limits:?}");
        assert_eq!(lineage.items.len(), reached, "{limits:?}");
    }
    assert!(!links.walk("a", Direction::Down).truncated);
}

/// The items below `start`, by applying every event to every state until nothing is new.
fn naive_down(links: &Memory, start: &str) -> BTreeSet<String> {
    let mut states = HashSet::from([(start.to_owned(), i64::MIN, i64::MAX)]);
    loop {
        let mut new = HashSet::new();
        for (item, from, until) in &states {
            for event in &links.events {
                let is = |role| event.named.contains(&(role, item.clone(), false));
                if event.time < *from || event.time > *until {
                    continue;
                }
                let with = |role| {
                    event
                        .named
                        .iter()
                        .filter(move |(known, _, _)| *known == role)
                };
                if is(Role::Input) {
                    new.extend(
                        with(Role::Output).map(|(_, to, _)| (to.clone(), event.time, i64::MAX)),
                    );
                }
                if is(Role::Child) && event.action == Some(Action::Add) {
                    for (_, whole, _) in with(Role::Parent) {
                        let leaves = links
                            .events
                            .iter()
                            .filter(|other| other.action == Some(Action::Delete))
                            .filter(|other| other.time >= event.time)
                            .filter(|other| {
                                other.named.contains(&(Role::Parent, whole.clone(), false))
                            })
                            .filter(|other| {
                                other.named.contains(&(Role::Child, item.clone(), false))
                            })
                            .map(|other| other.time)
                            .min();
                        let until = leaves.unwrap_or(i64::MAX).min(*until);
                        new.insert((whole.clone(), event.time, until));
                    }
                }
            }
        }
        let before = states.len();
        states.extend(new);
        if states.len() == before {
            return states.into_iter().map(|(item, _, _)| item).collect();
        }
    }
}

#[test]
fn a_part_that_left_too_early_is_left_out_by_the_event_that_says_so() {
    // The crate was unpacked on the truck, behind the crate's own window.
    let links = Memory::default()
        .packed(1, "milk", "crate")
        .packed(2, "crate", "truck")
        .unpacked(3, "milk", "crate")
        .made(4, "truck", "delivery");
    let lineage = links.walk("delivery", Direction::Up);
    assert_eq!(items(&lineage), ["delivery", "truck", "crate"]);
    assert!(lineage.entries.contains(&2), "{lineage:?}");
}

#[test]
fn the_event_that_says_of_which_lot_an_instance_is_belongs_to_the_answer() {
    // The lot is known from an event behind the window only.
    let links = Memory::default()
        .made(1, "milk", "lot")
        .packed(2, "cheese", "crate")
        .seen_of_lot(3, "cheese", "lot");
    let lineage = links.walk("crate", Direction::Up);
    assert_eq!(items(&lineage), ["crate", "cheese", "lot", "milk"]);
    assert_eq!(lineage.entries, BTreeSet::from([0, 1, 2]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn walks_reach_what_a_naive_one_reaches_in_both_directions(
        events in prop::collection::vec((0..12_i64, 0..3_u8, 0..7_u8, 0..7_u8), 0..24),
    ) {
        let mut links = Memory::default();
        for (time, kind, from, to) in events {
            let (from, to) = (format!("item {from}"), format!("item {to}"));
            links = match kind {
                0 => links.made(time, &from, &to),
                1 => links.packed(time, &from, &to),
                _ => links.unpacked(time, &from, &to),
            };
        }
        let all: Vec<String> = (0..7).map(|item| format!("item {item}")).collect();
        let below = |item: &str| links.down(item).into_iter().collect::<BTreeSet<_>>();
        for item in &all {
            prop_assert_eq!(below(item), naive_down(&links, item));
        }
        // An item came from whatever it became of.
        for item in &all {
            let above: BTreeSet<String> = links.up(item).into_iter().collect();
            let led_here = all.iter().filter(|from| below(from).contains(item));
            prop_assert_eq!(above, led_here.cloned().collect());
        }
    }

    #[test]
    fn who_has_only_the_events_of_an_answer_walks_the_same_way(
        events in prop::collection::vec((0..12_i64, 0..6_u8, 0..7_u8, 0..7_u8), 0..30),
        depth_max in 0..5_u32,
    ) {
        let mut links = Memory::default();
        for (time, kind, from, to) in events {
            let (from, to) = (format!("item {from}"), format!("item {to}"));
            links = match kind {
                0 => links.made(time, &from, &to),
                1 | 2 => links.packed(time, &from, &to),
                3 => links.unpacked(time, &from, &to),
                4 => links.seen_of_lot(time, &from, &to),
                _ => links.told(time, None, &[
                    (Role::Transformation, "run"),
                    (Role::Transaction, "order"),
                    (if time % 2 == 0 { Role::Input } else { Role::Output }, &from),
                ]),
            };
        }
        let limits = Limits { depth_max, ..Limits::default() };
        for item in 0..7 {
            for direction in [Direction::Up, Direction::Down] {
                let item = format!("item {item}");
                let Ok(lineage) = walk(&mut links.clone(), &item, direction, limits);
                let mut part = links.only(&lineage.entries);
                let Ok(again) = walk(&mut part, &item, direction, limits);
                prop_assert_eq!(again, lineage);
            }
        }
    }
}
