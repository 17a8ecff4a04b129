//! Fewer boxes: those that are alike become one.

use std::collections::BTreeMap;

use super::graph::{Edges, Graph, Node};
use super::layers::layers;

/// When two items in one column are alike, the strictest first.
#[derive(Clone, Copy, Debug)]
enum Likeness {
    /// Of one kind, and everything before and after them is the same.
    Twins,
    /// Of one kind, and everything before them is the same.
    Siblings,
    /// Of one kind.
    Kind,
    /// In whatever column, where there are more columns than boxes.
    Column,
}

/// What alike nodes have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    column: usize,
    /// The start stands alone.
    start: bool,
    kind: Option<(&'static str, Option<&'a str>, bool)>,
    before: Vec<usize>,
    after: Vec<usize>,
}

/// A graph of up to this many nodes is drawn as it is. Above, twins share a box: nothing is lost, for
/// the arrows say the same, and six packs of a case are one thing to look at.
pub(super) const TWINS_ABOVE: usize = 40;

/// The graph with `nodes_max` nodes at most, 2 at least: folded no further than it has to be.
pub(super) fn fold(graph: Graph, nodes_max: usize) -> Graph {
    if graph.nodes.len() <= nodes_max.min(TWINS_ABOVE) {
        return graph;
    }
    let columns = layers(&graph);
    for likeness in [Likeness::Twins, Likeness::Siblings, Likeness::Kind] {
        let groups = groups(&graph, &columns, likeness);
        if groups.len() <= nodes_max {
            return merge(&graph, groups);
        }
    }
    let last = columns.iter().max().copied().unwrap_or_default();
    let room = nodes_max.saturating_sub(1).max(1);
    let coarse: Vec<usize> = columns
        .iter()
        .map(|column| column * room / (last + 1))
        .collect();
    merge(&graph, groups(&graph, &coarse, Likeness::Column))
}

/// The members of every group, in the order of the first ones.
fn groups(graph: &Graph, columns: &[usize], likeness: Likeness) -> Vec<Vec<usize>> {
    let count = graph.nodes.len();
    let (mut before, mut after) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    if matches!(likeness, Likeness::Twins | Likeness::Siblings) {
        for edge in &graph.edges {
            before[edge.to].push(edge.from);
            if matches!(likeness, Likeness::Twins) {
                after[edge.from].push(edge.to);
            }
        }
    }
    let mut groups: BTreeMap<Key<'_>, Vec<usize>> = BTreeMap::new();
    for (place, node) in graph.nodes.iter().enumerate() {
        let kind = (node.short.kind, node.short.of.as_deref(), node.class);
        let key = Key {
            column: columns[place],
            start: node.start,
            kind: (!matches!(likeness, Likeness::Column)).then_some(kind),
            before: std::mem::take(&mut before[place]),
            after: std::mem::take(&mut after[place]),
        };
        groups.entry(key).or_default().push(place);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_unstable();
    groups
}

fn merge(graph: &Graph, groups: Vec<Vec<usize>>) -> Graph {
    let mut place_of = vec![0; graph.nodes.len()];
    let mut nodes = Vec::with_capacity(groups.len());
    for members in groups {
        for &member in &members {
            place_of[member] = nodes.len();
        }
        let of_members = || members.iter().map(|member| &graph.nodes[*member]);
        let Some(first) = of_members().next() else {
            continue;
        };
        nodes.push(Node {
            items: of_members().flat_map(|node| node.items.clone()).collect(),
            class: of_members().all(|node| node.class),
            time: of_members().filter_map(|node| node.time).min(),
            short: first.short.clone(),
            start: first.start,
        });
    }
    let mut edges = Edges::default();
    for edge in &graph.edges {
        let (from, to) = (place_of[edge.from], place_of[edge.to]);
        edges.add(from, to, edge.via, edge.steps, edge.entry);
    }
    Graph {
        nodes,
        edges: edges.finish(),
    }
}
