//! The crate diagram in ARCHITECTURE.md, drawn from Cargo's metadata.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Crate, DependencyKind, House, Violation};

/// The document that holds the diagram.
pub const DOCUMENT: &str = "ARCHITECTURE.md";

const BEGIN: &str = "<!-- crates: begin (drawn by `make fix`) -->\n";
const END: &str = "<!-- crates: end -->\n";

/// What stands between the markers is what Cargo says.
pub fn is_up_to_date(house: &House) -> Vec<Violation> {
    let text = house.tree.text(DOCUMENT).unwrap_or_default();
    let message = match redrawn(text, &house.crates) {
        Some(redrawn) if redrawn == text => return Vec::new(),
        Some(_) => "the crate diagram is out of date: run `make fix`",
        None => "the markers of the crate diagram are missing",
    };
    vec![Violation::new(DOCUMENT, 0, message)]
}

/// The document with a fresh diagram between its markers; `None` without markers.
pub fn redrawn(document: &str, crates: &[Crate]) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let diagram = mermaid(crates);
    Some(format!("{before}{BEGIN}{diagram}{END}{after}"))
}

/// A solid arrow is a dependency, a dotted one a dependency of tests only.
pub fn mermaid(crates: &[Crate]) -> String {
    let names: BTreeSet<&str> = crates.iter().map(|ours| ours.name.as_str()).collect();
    let mut diagram = String::from("```mermaid\ngraph TD\n");
    for name in &names {
        let _ = writeln!(diagram, "  {name}");
    }
    let mut arrows = BTreeSet::new();
    for ours in crates {
        let inside = ours
            .dependencies
            .iter()
            .filter(|d| names.contains(d.name.as_str()) && d.name != ours.name);
        for dependency in inside {
            let tests_only = dependency.kind == DependencyKind::Dev;
            arrows.insert((ours.name.as_str(), dependency.name.as_str(), tests_only));
        }
    }
    for &(from, to, tests_only) in &arrows {
        if tests_only && arrows.contains(&(from, to, false)) {
            continue;
        }
        let arrow = if tests_only { "-.->" } else { "-->" };
        let _ = writeln!(diagram, "  {from} {arrow} {to}");
    }
    diagram.push_str("```\n");
    diagram
}

#[cfg(test)]
mod tests {
    use super::super::Tree;
    use super::*;
    use DependencyKind::{Dev, Normal};

    fn crates() -> Vec<Crate> {
        vec![
            Crate::named("ledger", "services/ledger")
                .with("kit", Normal)
                .with("kit", Dev)
                .with("ledger", Dev)
                .with("axum", Normal)
                .with("devcluster", Dev),
            Crate::named("kit", "services/kit"),
            Crate::named("devcluster", "services/devcluster"),
        ]
    }

    #[test]
    fn the_diagram_has_every_crate_and_only_arrows_inside_the_workspace() {
        let expected = "```mermaid\ngraph TD\n  devcluster\n  kit\n  ledger\n  \
                        ledger -.-> devcluster\n  ledger --> kit\n```\n";
        assert_eq!(mermaid(&crates()), expected);
    }

    #[test]
    fn a_stale_diagram_is_found_and_redrawn() {
        let stale = format!("# Map\n{BEGIN}old\n{END}rest\n");
        let fresh = redrawn(&stale, &crates()).expect("markers");
        assert!(fresh.starts_with("# Map\n") && fresh.ends_with("rest\n"));
        for (text, count) in [(stale.as_str(), 1), (fresh.as_str(), 0), ("# Map\n", 1)] {
            let house = House {
                tree: Tree::of(&[(DOCUMENT, text)]),
                crates: crates(),
            };
            assert_eq!(is_up_to_date(&house).len(), count, "{text}");
        }
    }
}
