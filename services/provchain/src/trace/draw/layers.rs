//! In which column each box stands: one further right than everything that led to it.

use std::collections::BTreeSet;

use super::graph::Graph;

/// The column of every node, from 0. Every arrow points right, but for one in each circle at least:
/// a circle is opened at the item that was seen first.
pub(super) fn layers(graph: &Graph) -> Vec<usize> {
    let count = graph.nodes.len();
    let mut onward = vec![Vec::new(); count];
    let mut awaited = vec![0_usize; count];
    for edge in &graph.edges {
        onward[edge.from].push(edge.to);
        awaited[edge.to] += 1;
    }
    let key = |node: usize| (graph.nodes[node].time.unwrap_or(i64::MIN), node);
    let mut waiting: BTreeSet<_> = (0..count).map(key).collect();
    let mut ready: BTreeSet<_> = waiting
        .iter()
        .copied()
        .filter(|(_, node)| awaited[*node] == 0)
        .collect();
    let (mut layers, mut placed) = (vec![0; count], vec![false; count]);
    while let Some(next) = ready.pop_first().or_else(|| waiting.first().copied()) {
        waiting.remove(&next);
        let (_, node) = next;
        placed[node] = true;
        for &to in onward[node].iter().filter(|to| !placed[**to]) {
            layers[to] = layers[to].max(layers[node] + 1);
            awaited[to] -= 1;
            if awaited[to] == 0 {
                ready.insert(key(to));
            }
        }
    }
    layers
}
