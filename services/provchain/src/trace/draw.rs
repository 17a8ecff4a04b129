//! Pictures of an answer: items as boxes, steps as arrows, goods flowing from left to right.
//!
//! What is drawn is bounded, whatever the answer holds: where there are many items, those that are
//! alike are folded into one box with their number, and there are never more than [`NODES_MAX`]. The
//! same answer gives the same bytes.
//!
//! Everything that comes from events is text, and stays it: see the module `escape`. The pictures have no
//! script, and refer to nothing outside of them.

mod dot;
mod escape;
mod fold;
mod graph;
mod layers;
mod layout;
mod svg;

pub use self::escape::xml;
use self::graph::Graph;
use super::{Answer, Direction, Via};
use crate::epcis::identifier::Short;

/// Boxes of a picture.
pub const NODES_MAX: usize = 200;

/// The answer as a digraph in the language of Graphviz.
#[must_use]
pub fn dot(answer: &Answer) -> String {
    dot::write(&Picture::of(answer))
}

/// The answer as SVG, to stand by itself or in a page.
#[must_use]
pub fn svg(answer: &Answer) -> String {
    svg::write(&Picture::of(answer))
}

/// What is drawn, before it is placed.
struct Picture {
    title: String,
    description: String,
    graph: Graph,
}

impl Picture {
    fn of(answer: &Answer) -> Self {
        let graph = fold::fold(Graph::of(answer), NODES_MAX);
        let start = Short::of(&answer.item);
        let title = match answer.direction {
            Direction::Down => format!("What became of {start}"),
            Direction::Up => format!("What {start} came from"),
        };
        let mut description = format!(
            "{} items and {} events, as of {} entries",
            answer.items.len(),
            answer.events.len(),
            answer.tree_size
        );
        if !answer.filter.is_empty() {
            description.push_str("; a filter leaves events out");
        }
        if answer.truncated {
            description.push_str("; cut short by a limit");
        }
        if graph.nodes.len() < answer.items.len() {
            description.push_str("; items that are alike share a box");
        }
        Self {
            title,
            description,
            graph,
        }
    }

    /// The kinds of steps that occur, in their order.
    fn kinds(&self) -> Vec<Via> {
        let mut kinds: Vec<Via> = self.graph.edges.iter().map(|edge| edge.via).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// What a kind of step is called.
const fn told(via: Via) -> &'static str {
    match via {
        Via::Transformation => "made into",
        Via::Aggregation => "packed into",
        Via::Transaction => "in one transaction",
        Via::Lot => "instance of the lot",
    }
}

#[cfg(test)]
mod tests;
