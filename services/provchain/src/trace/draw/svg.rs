//! A picture in SVG 1.1, by itself: its style is in it, and follows the reader's light or dark.

use super::super::Via;
use super::escape::{fitting, xml};
use super::graph::{Edge, Node};
use super::layout::{BOX_HEIGHT, BOX_WIDTH, Layout, MARGIN, layout};
use super::{Picture, told};

/// Room for the title, above the boxes.
const HEAD: i32 = 44;
/// Room for a line of the legend, below them.
const LEGEND_LINE: i32 = 26;
const LEGEND_WIDTH: i32 = 170;
/// So that the title has room over a single box.
const WIDTH_MIN: i32 = 560;

/// Kinds are told apart by dash and arrow head; colour says it once more.
const STYLE: &str = "\
.pc-back{fill:#ffffff}\
.pc-box{fill:#f6f8fa;stroke:#57606a;stroke-width:1}\
.pc-start{fill:#fff4ce;stroke:#7d4e00;stroke-width:2.5}\
.pc-class{stroke-dasharray:4 3}\
.pc-text{fill:#1f2328;font:600 12px system-ui,sans-serif}\
.pc-more{fill:#57606a;font:11px system-ui,sans-serif}\
.pc-title{fill:#1f2328;font:600 16px system-ui,sans-serif}\
.pc-edge{fill:none;stroke-width:1.4}\
.pc-transformation{stroke:#0550ae}\
.pc-aggregation{stroke:#8250df;stroke-dasharray:7 4}\
.pc-lot{stroke:#57606a;stroke-dasharray:2 3}\
.pc-transaction{stroke:#953800;stroke-dasharray:9 3 2 3}\
.pc-head-transformation{fill:#0550ae}\
.pc-head-aggregation{fill:#8250df}\
.pc-head-lot{fill:#57606a}\
.pc-head-transaction{fill:none;stroke:#953800;stroke-width:1.4}\
@media (prefers-color-scheme:dark){\
.pc-back{fill:#0d1117}\
.pc-box{fill:#161b22;stroke:#8d96a0}\
.pc-start{fill:#3a2c00;stroke:#e3b341}\
.pc-text,.pc-title{fill:#e6edf3}\
.pc-more{fill:#9da7b1}\
.pc-transformation{stroke:#79c0ff}\
.pc-aggregation{stroke:#d2a8ff}\
.pc-lot{stroke:#9da7b1}\
.pc-transaction{stroke:#ffa657}\
.pc-head-transformation{fill:#79c0ff}\
.pc-head-aggregation{fill:#d2a8ff}\
.pc-head-lot{fill:#9da7b1}\
.pc-head-transaction{stroke:#ffa657}\
}";

/// The picture.
pub(super) fn write(picture: &Picture) -> String {
    let placed = layout(&picture.graph);
    let kinds = picture.kinds();
    let width = placed.width.max(WIDTH_MIN);
    let per_line = (width - 2 * MARGIN) / LEGEND_WIDTH;
    let lines = (count(kinds.len()) + per_line - 1) / per_line;
    let height = HEAD + placed.height + lines * LEGEND_LINE + MARGIN / 2;
    let (title, description) = (xml(&picture.title), xml(&picture.description));
    let shown = xml(&fitting(
        &picture.title,
        to_room(width - 2 * MARGIN) * 3 / 4,
    ));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-labelledby=\"pc-title pc-desc\">\n\
         <title id=\"pc-title\">{title}</title>\n<desc id=\"pc-desc\">{description}</desc>\n\
         <style>{STYLE}</style>\n<defs>\n{}</defs>\n\
         <rect class=\"pc-back\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"pc-title\" x=\"{MARGIN}\" y=\"28\">{shown}</text>\n\
         <text class=\"pc-more\" x=\"{MARGIN}\" y=\"46\">{description}</text>\n\
         <g transform=\"translate(0 {HEAD})\">\n",
        kinds.iter().map(|via| marker(*via)).collect::<String>()
    );
    let names = &picture.graph.nodes;
    for (edge, route) in picture.graph.edges.iter().zip(&placed.routes) {
        text.push_str(&arrow(edge, names, route, &placed));
    }
    for (node, corner) in names.iter().zip(&placed.boxes) {
        text.push_str(&boxed(node, *corner));
    }
    text.push_str("</g>\n");
    for (nth, via) in kinds.iter().enumerate() {
        let nth = count(nth);
        let x = MARGIN + nth % per_line * LEGEND_WIDTH;
        let y = HEAD + placed.height + nth / per_line * LEGEND_LINE;
        text.push_str(&legend(*via, x, y));
    }
    text.push_str("</svg>\n");
    text
}

fn boxed(node: &Node, (x, y): (i32, i32)) -> String {
    let title = xml(&node.title());
    let mut text = format!("<g><title>{title}</title>");
    let mut class = String::from("pc-box");
    if node.start {
        class.push_str(" pc-start");
    }
    if node.class {
        class.push_str(" pc-class");
    }
    if node.items.len() > 1 {
        let (x, y) = (x + 4, y + 4);
        // Another box behind it: there are several.
        text.push_str(&rectangle(x, y, &class));
    }
    text.push_str(&rectangle(x, y, &class));
    let room = to_room(BOX_WIDTH - 20);
    let [first, second] = node.lines().map(|line| xml(&fitting(&line, room)));
    let (left, middle) = (x + 10, y + BOX_HEIGHT / 2);
    let (first_y, second_y) = (
        if second.is_empty() {
            middle + 4
        } else {
            middle - 4
        },
        middle + 13,
    );
    text.push_str(&format!(
        "<text class=\"pc-text\" x=\"{left}\" y=\"{first_y}\">{first}</text>"
    ));
    if !second.is_empty() {
        text.push_str(&format!(
            "<text class=\"pc-more\" x=\"{left}\" y=\"{second_y}\">{second}</text>"
        ));
    }
    text.push_str("</g>\n");
    text
}

fn rectangle(x: i32, y: i32, class: &str) -> String {
    format!(
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" \
         rx=\"5\"/>"
    )
}

fn arrow(edge: &Edge, nodes: &[Node], route: &[(i32, i32)], placed: &Layout) -> String {
    let name = |node: usize| xml(&nodes[node].short.to_string());
    let steps = if edge.steps > 1 {
        format!("{} steps, ", edge.steps)
    } else {
        String::new()
    };
    let title = format!(
        "{} → {}: {}, {steps}entry {}",
        name(edge.from),
        name(edge.to),
        told(edge.via),
        edge.entry
    );
    format!(
        "<g><title>{title}</title>{}</g>\n",
        path(edge.via, &curve(route, placed))
    )
}

fn path(via: Via, along: &str) -> String {
    let kind = word(via);
    format!("<path class=\"pc-edge pc-{kind}\" marker-end=\"url(#pc-{kind})\" d=\"{along}\"/>")
}

/// A curve through the points, level at every one.
fn curve(route: &[(i32, i32)], placed: &Layout) -> String {
    let [(x, y), onward @ ..] = route else {
        return String::new();
    };
    let mut along = format!("M{x} {y}");
    if let [(to_x, to_y)] = onward
        && to_x <= x
    {
        // Back, below both boxes, but not below the picture.
        let low = y.max(to_y) + 40;
        let low = low.min(placed.height - 2);
        along.push_str(&format!("C{x} {low} {to_x} {low} {to_x} {to_y}"));
        return along;
    }
    let (mut x, mut y) = (*x, *y);
    for &(to_x, to_y) in onward {
        if to_y == y {
            along.push_str(&format!("H{to_x}"));
        } else {
            let middle = i32::midpoint(x, to_x);
            along.push_str(&format!("C{middle} {y} {middle} {to_y} {to_x} {to_y}"));
        }
        (x, y) = (to_x, to_y);
    }
    along
}

/// The head of an arrow; its point is at the box.
fn marker(via: Via) -> String {
    let shape = match via {
        Via::Transformation => "M0 0L10 5L0 10z",
        Via::Aggregation => "M0 5L5 1L10 5L5 9z",
        Via::Lot => "M2 5a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        Via::Transaction => "M1 1L9 5L1 9",
    };
    let kind = word(via);
    format!(
        "<marker id=\"pc-{kind}\" viewBox=\"0 0 10 10\" refX=\"10\" refY=\"5\" markerWidth=\"9\" \
         markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
         <path class=\"pc-head-{kind}\" d=\"{shape}\"/></marker>\n"
    )
}

fn legend(via: Via, x: i32, y: i32) -> String {
    let (line, text_x, text_y) = (path(via, &format!("M{x} {y}H{}", x + 44)), x + 54, y + 4);
    format!(
        "<g>{line}<text class=\"pc-more\" x=\"{text_x}\" y=\"{text_y}\">{}</text></g>\n",
        told(via)
    )
}

const fn word(via: Via) -> &'static str {
    match via {
        Via::Transformation => "transformation",
        Via::Aggregation => "aggregation",
        Via::Transaction => "transaction",
        Via::Lot => "lot",
    }
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn to_room(pixels: i32) -> usize {
    usize::try_from(pixels).unwrap_or_default()
}
