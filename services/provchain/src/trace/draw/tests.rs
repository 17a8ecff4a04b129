mod well_formed;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use self::well_formed::{quoted, tags};
use super::layers::layers;
use super::layout::{BOX_HEIGHT, BOX_WIDTH, Layout, layout};
use super::*;
use crate::trace::{EventRow, Filter, Reached, Step};

/// An answer with these items and steps; the event of entry *n* is of the *n*th minute.
fn answer(items: &[String], steps: &[(usize, usize, Via, u64)]) -> Answer {
    let entries: BTreeSet<u64> = steps.iter().map(|(_, _, _, entry)| *entry).collect();
    let row = |entry: u64| EventRow {
        entry,
        kind: "ObjectEvent".to_owned(),
        id: None,
        summary: json!({ "eventTime": format!("2026-01-05T10:{:02}:00Z", entry % 60) }),
    };
    let reached = |item: &String| Reached {
        item: item.clone(),
        depth: 0,
        class: item.contains("class"),
    };
    let step = |&(from, to, via, entry): &(usize, usize, Via, u64)| Step {
        from: items[from].clone(),
        to: items[to].clone(),
        via,
        entry,
    };
    Answer {
        epc: items[0].clone(),
        item: items[0].clone(),
        direction: Direction::Down,
        depth: 64,
        filter: Filter::default(),
        tree_size: 60,
        items: items.iter().map(reached).collect(),
        steps: steps.iter().map(step).collect(),
        events: entries.into_iter().map(row).collect(),
        transactions: Vec::new(),
        truncated: false,
        attestation: None,
        proof: None,
    }
}

/// Items that are called by their number.
fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|item| format!("urn:item:{item}")).collect()
}

fn placed(answer: &Answer) -> (Graph, Layout) {
    let picture = Picture::of(answer);
    let placed = layout(&picture.graph);
    (picture.graph, placed)
}

/// No two boxes overlap, and everything is inside.
fn expect_sound(graph: &Graph, placed: &Layout) {
    assert_eq!(placed.boxes.len(), graph.nodes.len());
    for (nth, (x, y)) in placed.boxes.iter().enumerate() {
        assert!(*x >= 0 && x + BOX_WIDTH <= placed.width, "{placed:?}");
        assert!(*y >= 0 && y + BOX_HEIGHT <= placed.height, "{placed:?}");
        for (other_x, other_y) in &placed.boxes[..nth] {
            let apart = (x - other_x).abs() >= BOX_WIDTH || (y - other_y).abs() >= BOX_HEIGHT;
            assert!(apart, "box {nth} is on another in {placed:?}");
        }
    }
    for (edge, route) in graph.edges.iter().zip(&placed.routes) {
        for (x, y) in route {
            assert!((0..=placed.width).contains(x), "{edge:?}: {route:?}");
            assert!((0..=placed.height).contains(y), "{edge:?}: {route:?}");
        }
    }
}

/// From the right side of one box to the left side of another, and never back.
fn points_right(graph: &Graph, placed: &Layout, edge: usize) -> bool {
    let ends = &graph.edges[edge];
    let route = &placed.routes[edge];
    let (from, to) = (placed.boxes[ends.from], placed.boxes[ends.to]);
    route.is_sorted_by(|one, other| one.0 < other.0)
        && route.first() == Some(&(from.0 + BOX_WIDTH, from.1 + BOX_HEIGHT / 2))
        && route.last() == Some(&(to.0, to.1 + BOX_HEIGHT / 2))
}

#[test]
fn every_box_stands_to_the_right_of_all_that_led_to_it() {
    // A diamond with a long side: 0 → 1 → 2 → 4, 0 → 3 → 4, and 0 → 4.
    let made = |from, to, entry| (from, to, Via::Transformation, entry);
    let steps = [
        made(0, 1, 1),
        made(1, 2, 2),
        made(2, 4, 3),
        made(0, 3, 1),
        made(3, 4, 3),
        made(0, 4, 4),
    ];
    let (graph, placed) = placed(&answer(&numbered(5), &steps));
    expect_sound(&graph, &placed);
    for edge in 0..graph.edges.len() {
        assert!(
            points_right(&graph, &placed, edge),
            "{:?}",
            graph.edges[edge]
        );
    }
    assert_eq!(layers(&graph), [0, 1, 2, 1, 3]);
    let x = |node: usize| placed.boxes[node].0;
    assert_eq!(x(1), x(3));
    // The arrow over several columns goes around what stands in them.
    let long = graph
        .edges
        .iter()
        .position(|edge| (edge.from, edge.to) == (0, 4))
        .unwrap();
    for (x, y) in &placed.routes[long][1..placed.routes[long].len() - 1] {
        let through = |(left, top): &(i32, i32)| {
            (*left..=left + BOX_WIDTH).contains(x) && (*top..=top + BOX_HEIGHT).contains(y)
        };
        assert!(!placed.boxes.iter().any(through), "{placed:?}");
    }
}

#[test]
fn a_chain_is_drawn_straight() {
    let steps: Vec<_> = (0..4)
        .map(|nth| (nth, nth + 1, Via::Aggregation, nth as u64))
        .collect();
    let (_, placed) = placed(&answer(&numbered(5), &steps));
    let heights: BTreeSet<i32> = placed.boxes.iter().map(|(_, y)| *y).collect();
    assert_eq!(heights.len(), 1, "{placed:?}");
}

#[test]
fn a_circle_is_opened_at_what_was_seen_first() {
    let steps = [
        (0, 1, Via::Lot, 7),
        (1, 2, Via::Lot, 3),
        (2, 0, Via::Lot, 5),
    ];
    let (graph, placed) = placed(&answer(&numbered(3), &steps));
    expect_sound(&graph, &placed);
    assert_eq!(layers(&graph), [2, 0, 1]);
    let svg = svg(&answer(&numbered(3), &steps));
    assert_eq!(
        svg.matches("<path class=\"pc-edge").count(),
        4,
        "three arrows and a legend"
    );
}

#[test]
fn items_that_are_alike_become_one_box_and_no_others() {
    let mut items = vec![
        "urn:start".to_owned(),
        "https://id.gs1.org/00/106141412345678908".to_owned(),
    ];
    let mut steps = vec![(0, 1, Via::Transformation, 1)];
    for serial in 0..500 {
        steps.push((0, items.len(), Via::Transformation, 1));
        steps.push((items.len(), 1, Via::Aggregation, 2));
        items.push(format!("https://id.gs1.org/01/04012345123456/21/{serial}"));
    }
    let (graph, _) = placed(&answer(&items, &steps));
    assert_eq!(graph.nodes.len(), 3);
    assert_eq!(graph.nodes[2].items.len(), 500);
    assert_eq!(
        graph.nodes[2].lines(),
        ["500 × serial", "GTIN 04012345123456"]
    );
    assert!(
        graph.nodes[2].title().ends_with("/21/19, and 480 more"),
        "{}",
        graph.nodes[2].title()
    );
    let steps: Vec<_> = graph
        .edges
        .iter()
        .map(|edge| (edge.from, edge.to, edge.steps))
        .collect();
    assert_eq!(steps, [(0, 1, 1), (0, 2, 500), (2, 1, 500)]);
    let few: Vec<_> = (1..40).map(|to| (0, to, Via::Transformation, 1)).collect();
    let (graph, _) = placed(&answer(&items[..40], &few));
    assert_eq!(graph.nodes.len(), 40, "there is room for all");
}

/// What an attacker would call his goods.
fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "urn:x:\"quotes\" and 'others'",
        "urn:x:]]></svg><script>alert(1)</script>",
        "</title></g></svg>",
        "urn:x:<!-- --> <![CDATA[ &amp; &lt; &#0; &nosuch;",
        "urn:x:back\\slash \\N \\\" \\",
        "\"]; evil [label=\"",
        "urn:x:one\ntwo\r\n\u{0}\u{1b}\u{7f}\u{85}\u{202e}\u{ffff}",
        "javascript:alert(1)",
        "https://id.gs1.org/01/04012345123456/10/%22%3E%3Cb%3E",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("ü".repeat(100_000));
    names
}

#[test]
fn hostile_identifiers_stay_text() {
    let items = hostile();
    let kinds = [
        Via::Transformation,
        Via::Aggregation,
        Via::Transaction,
        Via::Lot,
    ];
    let steps: Vec<_> = (1..items.len())
        .map(|to| (0, to, kinds[to % 4], to as u64))
        .collect();
    let answer = answer(&items, &steps);
    let svg = svg(&answer);
    for tag in tags(&svg) {
        let known = [
            "svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g",
        ];
        assert!(known.contains(&tag.name.as_str()), "{tag:?}");
        for (name, value) in &tag.attributes {
            assert!(
                !name.starts_with("on") && !name.ends_with("href"),
                "{tag:?}"
            );
            assert!(name == "xmlns" || !value.contains(':'), "{tag:?}");
        }
    }
    // The longest is cut in its box, and whole in its title.
    assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
    let dot = dot(&answer);
    let texts = quoted(&dot);
    for item in &items[..6] {
        assert!(
            texts.iter().any(|text| text == item),
            "{item} is not in {texts:?}"
        );
    }
    assert!(!svg.contains('\u{0}') && !dot.contains('\u{0}'));
    assert!(!dot.contains('\r') && !dot.contains('\u{202e}'));
}

#[test]
fn a_picture_says_in_words_what_it_shows() {
    let items = ["https://id.gs1.org/01/04012345123456/10/L1", "urn:class:x"].map(str::to_owned);
    let mut answer = answer(&items, &[(0, 1, Via::Lot, 3)]);
    answer.truncated = true;
    let svg = svg(&answer);
    let head = &tags(&svg)[0];
    let attribute = |name: &str| {
        let mut attributes = head.attributes.iter();
        attributes
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(
        (head.name.as_str(), attribute("role")),
        ("svg", Some("img"))
    );
    assert_eq!(attribute("aria-labelledby"), Some("pc-title pc-desc"));
    for part in [
        "<title id=\"pc-title\">What became of lot L1</title>",
        "<desc id=\"pc-desc\">2 items and 1 events, as of 60 entries; cut short by a limit</desc>",
        "<title>https://id.gs1.org/01/04012345123456/10/L1</title>",
        ">GTIN 04012345123456</text>",
        "class=\"pc-box pc-start\"",
        "class=\"pc-box pc-class\"",
        "prefers-color-scheme:dark",
    ] {
        assert!(svg.contains(part), "no {part} in {svg}");
    }
    assert!(
        !svg.contains("pc-aggregation\""),
        "a legend of what does not occur"
    );
}

fn kind() -> impl Strategy<Value = Via> {
    let kinds = vec![
        Via::Transformation,
        Via::Aggregation,
        Via::Transaction,
        Via::Lot,
    ];
    prop::sample::select(kinds)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_is_drawn_without_overlaps_and_the_same_each_time(
        count in 1..40_usize,
        steps in prop::collection::vec((0..40_usize, 0..40_usize, kind(), 0..50_u64), 0..120),
    ) {
        let steps: Vec<_> = steps
            .into_iter()
            .map(|(from, to, via, entry)| (from % count, to % count, via, entry))
            .collect();
        let answer = answer(&numbered(count), &steps);
        let (graph, placed) = placed(&answer);
        expect_sound(&graph, &placed);
        let columns = layers(&graph);
        for (nth, edge) in graph.edges.iter().enumerate() {
            if columns[edge.from] < columns[edge.to] {
                prop_assert!(points_right(&graph, &placed, nth));
            }
        }
        prop_assert_eq!(svg(&answer), svg(&answer));
        tags(&svg(&answer));
        quoted(&dot(&answer));
    }

    #[test]
    fn without_circles_every_arrow_points_right(
        steps in prop::collection::vec((0..20_usize, 1..20_usize, kind(), 0..50_u64), 0..60),
    ) {
        let steps: Vec<_> = steps
            .into_iter()
            .map(|(from, further, via, entry)| (from, (from + further).min(20), via, entry))
            .collect();
        let (graph, placed) = placed(&answer(&numbered(21), &steps));
        for edge in 0..graph.edges.len() {
            prop_assert!(points_right(&graph, &placed, edge));
        }
    }

}

proptest! {
    // Large graphs take their time.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_many_items_there_are_few_boxes_are_drawn_and_none_is_left_out(
        count in 201..1200_usize,
        steps in prop::collection::vec((0..1200_usize, 0..1200_usize, kind(), 0..50_u64), 0..1500),
        chain in any::<bool>(),
    ) {
        let mut steps: Vec<_> = steps
            .into_iter()
            .map(|(from, to, via, entry)| (from % count, to % count, via, entry))
            .collect();
        if chain {
            steps = (1..count).map(|to| (to - 1, to, Via::Transformation, to as u64)).collect();
        }
        let (graph, placed) = placed(&answer(&numbered(count), &steps));
        prop_assert!(graph.nodes.len() <= NODES_MAX);
        let shown: usize = graph.nodes.iter().map(|node| node.items.len()).sum();
        prop_assert_eq!(shown, count);
        expect_sound(&graph, &placed);
    }
}
