//! Tables in Markdown, and the marked parts of a document that hold them.

use std::fmt::Write as _;

/// The document that holds the measured tables.
pub const DOCUMENT: &str = "docs/benchmarks.md";

/// A table in Markdown.
#[must_use]
pub fn table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(COLUMNS));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// The document with the part of this name replaced; `None` when it has no such part.
///
/// A part stands between `<!-- NAME: begin (…) -->` and `<!-- NAME: end -->`, each a line.
#[must_use]
pub fn with_part(document: &str, name: &str, part: &str) -> Option<String> {
    let (before, rest) = document.split_once(&format!("<!-- {name}: begin"))?;
    let (note, rest) = rest.split_once("-->\n")?;
    let end = format!("<!-- {name}: end -->");
    let (_, after) = rest.split_once(&end)?;
    Some(format!(
        "{before}<!-- {name}: begin{note}-->\n{}\n{end}{after}",
        part.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "# A\n<!-- x: begin (written) -->\nold\n<!-- x: end -->\nB\n<!-- y: begin -->\n<!-- y: end -->\n";

    #[test]
    fn only_the_named_part_is_replaced() {
        let new = with_part(OLD, "x", "new\n").unwrap();
        assert_eq!(new, OLD.replace("old", "new"));
        assert_eq!(
            with_part(&new, "x", "new").unwrap(),
            new,
            "again changes nothing"
        );
        assert!(
            with_part(OLD, "y", "z")
                .unwrap()
                .ends_with("<!-- y: begin -->\nz\n<!-- y: end -->\n")
        );
        assert_eq!(with_part(OLD, "z", "new"), None);
    }

    #[test]
    fn a_table_has_a_rule_below_its_head() {
        let rows = [["1".to_owned(), "2".to_owned()]];
        assert_eq!(table(["a", "b"], rows), "| a | b |\n|---|---|\n| 1 | 2 |\n");
    }

    #[test]
    fn the_document_has_every_part_that_is_written() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let document = std::fs::read_to_string(format!("{root}/{DOCUMENT}")).unwrap();
        for part in ["consensus", "growth", "provchain"] {
            assert!(with_part(&document, part, "").is_some(), "{part}");
        }
    }
}
