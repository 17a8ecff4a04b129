//! An answer as boxes and arrows.

use std::collections::{BTreeMap, HashMap};

use super::super::{Answer, Via};
use crate::epcis::identifier::Short;

/// Identifiers that the title of a box lists at most.
const LISTED_MAX: usize = 20;

/// Boxes and arrows, not placed yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

/// A box: an item, or several that are alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// The identifiers in full; one at least.
    pub items: Vec<String>,
    /// Of the first one.
    pub short: Short,
    /// Whether the walk began here.
    pub start: bool,
    /// Whether only the class is known.
    pub class: bool,
    /// The earliest event of a step from or to it, in microseconds since 1970.
    pub time: Option<i64>,
}

/// An arrow: all steps of a kind between two boxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub via: Via,
    /// How many steps it stands for, and the first entry that says so.
    pub steps: usize,
    pub entry: u64,
}

impl Graph {
    pub(super) fn of(answer: &Answer) -> Self {
        let times: HashMap<u64, i64> = answer
            .events
            .iter()
            .map(|event| (event.entry, event.facts().time))
            .collect();
        let mut nodes: Vec<Node> = answer
            .items
            .iter()
            .enumerate()
            .map(|(place, reached)| Node {
                items: vec![reached.item.clone()],
                short: Short::of(&reached.item),
                start: place == 0,
                class: reached.class,
                time: None,
            })
            .collect();
        let places: HashMap<&str, usize> = answer
            .items
            .iter()
            .enumerate()
            .map(|(place, reached)| (reached.item.as_str(), place))
            .collect();
        let mut edges = Edges::default();
        for step in &answer.steps {
            // A step may lead to an item that a limit left out.
            let ends = (places.get(&*step.from), places.get(&*step.to));
            let (Some(&from), Some(&to)) = ends else {
                continue;
            };
            if let Some(&time) = times.get(&step.entry) {
                for place in [from, to] {
                    let node = &mut nodes[place];
                    node.time = Some(node.time.map_or(time, |known| known.min(time)));
                }
            }
            edges.add(from, to, step.via, 1, step.entry);
        }
        Self {
            nodes,
            edges: edges.finish(),
        }
    }
}

impl Node {
    /// The identifiers in full, as many as there is room for.
    pub(super) fn title(&self) -> String {
        let listed = self.items.iter().take(LISTED_MAX).cloned();
        let mut listed = listed.collect::<Vec<_>>().join(", ");
        if let Some(more) = self
            .items
            .len()
            .checked_sub(LISTED_MAX)
            .filter(|more| *more > 0)
        {
            listed.push_str(&format!(", and {more} more"));
        }
        listed
    }

    /// The two lines in the box.
    pub(super) fn lines(&self) -> [String; 2] {
        let (short, of) = (&self.short, self.short.of.clone().unwrap_or_default());
        match self.items.len() {
            1 if short.of.is_some() => [short.to_string(), of],
            1 if short.kind == "URI" => [short.value.clone(), String::new()],
            1 => [short.kind.to_owned(), short.value.clone()],
            many if of.is_empty() => [
                format!("{many} × {}", short.kind),
                format!("{} …", short.value),
            ],
            many => [format!("{many} × {}", short.kind), of],
        }
    }
}

/// Arrows, those between the same boxes taken together.
#[derive(Default)]
pub(super) struct Edges(BTreeMap<(usize, usize, Via), (usize, u64)>);

impl Edges {
    /// Adds one; an arrow from a box to itself says nothing.
    pub(super) fn add(&mut self, from: usize, to: usize, via: Via, steps: usize, entry: u64) {
        if from != to {
            let known = self.0.entry((from, to, via)).or_insert((0, entry));
            *known = (known.0 + steps, known.1.min(entry));
        }
    }

    pub(super) fn finish(self) -> Vec<Edge> {
        let edge = |((from, to, via), (steps, entry))| Edge {
            from,
            to,
            via,
            steps,
            entry,
        };
        self.0.into_iter().map(edge).collect()
    }
}
