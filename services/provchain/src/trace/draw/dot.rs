//! A picture in the language of Graphviz (graphviz.org, “DOT Language”), for those who draw it
//! themselves.

use super::super::Via;
use super::escape::dot as escaped;
use super::graph::{Edge, Node};
use super::{Picture, told};

/// The digraph.
pub(super) fn write(picture: &Picture) -> String {
    let mut text = String::from("digraph provenance {\n");
    let title = escaped(&picture.title);
    let description = escaped(&picture.description);
    text.push_str(&format!(
        "  graph [rankdir=LR, label=\"{title}\\n{description}\", labelloc=t, nodesep=0.2, \
         ranksep=0.8];\n  \
         node [shape=box, fontname=\"sans-serif\", fontsize=10];\n  \
         edge [fontname=\"sans-serif\", fontsize=9];\n"
    ));
    for (place, one) in picture.graph.nodes.iter().enumerate() {
        text.push_str(&node(place, one));
    }
    for one in &picture.graph.edges {
        text.push_str(&edge(one));
    }
    text.push_str(&legend(&picture.kinds()));
    text.push_str("}\n");
    text
}

fn node(place: usize, node: &Node) -> String {
    let lines = node.lines();
    let lines: Vec<String> = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| escaped(line))
        .collect();
    let mut style = Vec::new();
    if node.start {
        style.push("bold");
    }
    if node.class {
        style.push("dashed");
    }
    let style = style.join(",");
    let peripheries = if node.items.len() > 1 { 2 } else { 1 };
    format!(
        "  n{place} [label=\"{}\", tooltip=\"{}\", style=\"{style}\", peripheries={peripheries}];\n",
        lines.join("\\n"),
        escaped(&node.title())
    )
}

fn edge(edge: &Edge) -> String {
    let Edge { from, to, via, .. } = edge;
    let many = if edge.steps > 1 {
        format!("{} ×", edge.steps)
    } else {
        String::new()
    };
    format!(
        "  n{from} -> n{to} [{}, label=\"{many}\", tooltip=\"{}: entry {}\"];\n",
        look(*via),
        told(*via),
        edge.entry
    )
}

const fn look(via: Via) -> &'static str {
    match via {
        Via::Transformation => "style=solid, arrowhead=normal",
        Via::Aggregation => "style=dashed, arrowhead=diamond",
        Via::Lot => "style=dotted, arrowhead=dot",
        Via::Transaction => "style=bold, arrowhead=vee",
    }
}

/// One line for each kind of arrow that occurs.
fn legend(kinds: &[Via]) -> String {
    let mut text = String::new();
    for (place, via) in kinds.iter().enumerate() {
        text.push_str(&format!(
            "    a{place} [shape=point]; b{place} [shape=plaintext, label=\"{}\"]; \
             a{place} -> b{place} [{}];\n",
            told(*via),
            look(*via)
        ));
    }
    format!("  subgraph cluster_legend {{\n    label=\"\";\n    style=invis;\n{text}  }}\n")
}
