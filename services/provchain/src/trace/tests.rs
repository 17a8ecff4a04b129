mod naive;

use std::collections::BTreeSet;
use std::convert::Infallible;

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
        let lots: BTreeSet<_> = of_item
            .map(|(_, lot, entry)| (lot.clone(), *entry))
            .collect();
        Ok(lots.into_iter().collect())
    }

    fn instances_of(&mut self, item: &str) -> Result<Vec<(String, u64)>, Infallible> {
        let of_lot = self.lots.iter().filter(|(_, lot, _)| lot == item);
        let instances: BTreeSet<_> = of_lot
            .map(|(instance, _, entry)| (instance.clone(), *entry))
            .collect();
        Ok(instances.into_iter().collect())
    }

    fn facts(&mut self, entry: u64) -> Result<Option<Facts>, Infallible> {
        Ok(Some(self.events[usize::try_from(entry).unwrap()].facts()))
    }
}

impl Told {
    /// Its type follows from its roles, and its step from its time.
    fn facts(&self) -> Facts {
        const STEPS: [&str; 3] = ["packing", "shipping", "receiving"];
        let has = |role| self.named.iter().any(|(known, _, _)| *known == role);
        let kind = if has(Role::Input) || has(Role::Output) {
            "TransformationEvent"
        } else if has(Role::Parent) {
            "AggregationEvent"
        } else {
            "ObjectEvent"
        };
        let step = usize::try_from(self.time.rem_euclid(3)).unwrap();
        Facts {
            kind: kind.to_owned(),
            time: self.time,
            biz_step: Some(STEPS[step].to_owned()),
        }
    }
}

/// Events of these types and steps, and from one time until another, in microseconds; an empty list
/// lets all pass.
fn filter(types: &[&str], steps: &[&str], (from, until): (i64, i64)) -> Passes {
    let moment = |micros: i64| format!("1970-01-01T00:00:00.{micros:06}Z");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let filter = Filter {
        from: Some(moment(from)),
        until: Some(moment(until)),
        types: names(types),
        biz_steps: names(steps),
    };
    filter.read().unwrap()
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
        self.walk_over(&Passes::default(), start, direction)
    }

    fn walk_over(&self, passes: &Passes, start: &str, direction: Direction) -> Lineage {
        let limits = Limits::default();
        let Ok(lineage) = walk(&mut self.clone(), start, direction, passes, limits);
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
        let passes = Passes::default();
        let Ok(lineage) = walk(&mut links.clone(), "a", Direction::Down, &passes, limits);
        assert!(lineage.truncated, "{limits:?}");
        assert_eq!(lineage.items.len(), reached, "{limits:?}");
    }
    let whole = links.walk("a", Direction::Down);
    assert!(!whole.truncated);
    // The start is no step away from itself.
    for (steps, reached) in whole.items.iter().enumerate() {
        assert_eq!(usize::try_from(reached.depth), Ok(steps), "{reached:?}");
    }
}

#[test]
fn an_event_that_does_not_pass_leads_nowhere() {
    let links = Memory::default()
        .made(1, "milk", "curd")
        .packed(2, "curd", "crate")
        .packed(3, "crate", "truck")
        .made(4, "curd", "cheese");
    let all = (0, 9);
    for (passes, reached) in [
        (
            filter(&[], &[], all),
            vec!["milk", "curd", "crate", "cheese", "truck"],
        ),
        (filter(&[], &[], (1, 2)), vec!["milk", "curd", "crate"]),
        (filter(&[], &[], (2, 9)), vec!["milk"]),
        (
            filter(&["TransformationEvent"], &[], all),
            vec!["milk", "curd", "cheese"],
        ),
        (
            filter(&[], &["shipping", "receiving"], all),
            vec!["milk", "curd", "crate", "cheese"],
        ),
    ] {
        let lineage = links.walk_over(&passes, "milk", Direction::Down);
        assert_eq!(items(&lineage), reached, "{passes:?}");
        assert!(lineage.entries.iter().all(|entry| {
            passes.event(&links.events[usize::try_from(*entry).unwrap()].facts())
        }));
    }
    let transformations = filter(&["TransformationEvent"], &[], all);
    let up = links.walk_over(&transformations, "cheese", Direction::Up);
    assert_eq!(items(&up), ["cheese", "curd", "milk"]);
}

#[test]
fn a_part_has_left_although_the_event_that_says_so_does_not_pass() {
    let links = Memory::default()
        .packed(0, "milk", "crate")
        .unpacked(1, "milk", "crate")
        .packed(3, "crate", "truck");
    let passes = filter(&[], &["packing"], (0, 9));
    let down = links.walk_over(&passes, "milk", Direction::Down);
    assert_eq!(items(&down), ["milk", "crate"]);
    assert_eq!(down.entries, BTreeSet::from([0, 1]));
    let up = links.walk_over(&passes, "truck", Direction::Up);
    assert_eq!(items(&up), ["truck", "crate"]);
    assert!(up.entries.contains(&1), "{up:?}");
}

#[test]
fn a_lot_is_known_from_the_first_event_that_passes() {
    let links = Memory::default()
        .made(1, "milk", "lot")
        .seen_of_lot(2, "cheese", "lot")
        .seen_of_lot(4, "cheese", "lot");
    let lineage = links.walk_over(&filter(&[], &[], (3, 9)), "lot", Direction::Down);
    assert_eq!(items(&lineage), ["lot", "cheese"]);
    assert_eq!(lineage.entries, BTreeSet::from([2]));
    let none = links.walk_over(&filter(&[], &[], (5, 9)), "lot", Direction::Down);
    assert_eq!(items(&none), ["lot"]);
}

#[test]
fn a_transaction_counts_that_an_event_which_passes_was_part_of() {
    let links = Memory::default()
        .told(
            1,
            None,
            &[(Role::Object, "milk"), (Role::Transaction, "order 1")],
        )
        .told(
            2,
            None,
            &[(Role::Object, "milk"), (Role::Transaction, "order 2")],
        );
    let lineage = links.walk_over(&filter(&[], &[], (2, 9)), "milk", Direction::Down);
    assert_eq!(lineage.transactions, BTreeSet::from(["order 2".to_owned()]));
}

#[test]
fn a_stay_lasts_until_the_part_is_taken_out() {
    let links = Memory::default()
        .packed(1, "milk", "crate")
        .packed(2, "crate", "truck")
        .unpacked(5, "crate", "truck");
    let lineage = links.walk("milk", Direction::Down);
    let stays: Vec<_> = lineage.stays.iter().collect();
    let stay = |part, since, whole| Stay { part, since, whole };
    assert_eq!(stays, [(&stay(0, 1, 1), &i64::MAX), (&stay(1, 2, 2), &5)]);
    let seen = lineage.sightings.iter().map(|seen| (seen.item, seen.entry));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [(0, 0), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)]
    );
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
