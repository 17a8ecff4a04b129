//! The walk against one that is too simple to be wrong.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;

/// The items below `start`, by applying every event that passes to every state until nothing is new.
/// What was taken out is out, whether the event that says so passes or not.
fn naive_down(links: &Memory, passes: &Passes, start: &str) -> BTreeSet<String> {
    let mut states = HashSet::from([(start.to_owned(), i64::MIN, i64::MAX)]);
    loop {
        let mut new = HashSet::new();
        for (item, from, until) in &states {
            for event in &links.events {
                let is = |role| event.named.contains(&(role, item.clone(), false));
                if event.time < *from || event.time > *until || !passes.event(&event.facts()) {
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

/// Any filter, often one that lets everything pass.
fn filters() -> impl Strategy<Value = Passes> {
    const TYPES: [&str; 3] = ["TransformationEvent", "AggregationEvent", "ObjectEvent"];
    const STEPS: [&str; 3] = ["packing", "shipping", "receiving"];
    let some = |names: [&'static str; 3]| prop::sample::subsequence(names.to_vec(), 0..=2);
    let times = prop_oneof![Just((0, 99)), (0..12_i64, 0..12_i64)];
    (some(TYPES), some(STEPS), times).prop_map(|(types, steps, (one, other))| {
        filter(&types, &steps, (one.min(other), one.max(other)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn walks_reach_what_a_naive_one_reaches_in_both_directions(
        // Few items, so that they meet again.
        events in prop::collection::vec((0..12_i64, 0..3_u8, 0..4_u8, 0..4_u8), 0..24),
        passes in filters(),
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
        let all: Vec<String> = (0..4).map(|item| format!("item {item}")).collect();
        let reached = |item: &str, direction| {
            items(&links.walk_over(&passes, item, direction)).into_iter().collect::<BTreeSet<_>>()
        };
        let below = |item: &str| reached(item, Direction::Down);
        for item in &all {
            prop_assert_eq!(below(item), naive_down(&links, &passes, item));
            // A filter only ever narrows.
            let unfiltered: BTreeSet<String> = links.down(item).into_iter().collect();
            prop_assert!(below(item).is_subset(&unfiltered));
        }
        // An item came from whatever it became of.
        for item in &all {
            let led_here = all.iter().filter(|from| below(from).contains(item));
            prop_assert_eq!(reached(item, Direction::Up), led_here.cloned().collect());
        }
    }

    #[test]
    fn who_has_only_the_events_of_an_answer_walks_the_same_way(
        events in prop::collection::vec((0..12_i64, 0..6_u8, 0..7_u8, 0..7_u8), 0..30),
        depth_max in 0..5_u32,
        passes in filters(),
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
                let Ok(lineage) = walk(&mut links.clone(), &item, direction, &passes, limits);
                let mut part = links.only(&lineage.entries);
                let Ok(again) = walk(&mut part, &item, direction, &passes, limits);
                prop_assert_eq!(again, lineage);
            }
        }
    }
}
