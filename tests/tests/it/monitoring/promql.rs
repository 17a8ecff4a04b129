//! The names of metrics in an expression of PromQL.

use std::collections::BTreeSet;

/// Words that are no metrics, also where no parenthesis follows them.
const WORDS: &[&str] = &[
    "and", "or", "unless", "offset", "bool", "sum", "max", "min", "count", "avg",
];

/// Words that labels follow, in parentheses.
const GROUPINGS: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Every metric that an expression asks for.
pub fn metrics(expr: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if first == '{' || first == '[' {
            rest = behind(rest, if first == '{' { '}' } else { ']' });
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let after = after.trim_start();
            rest = after;
            if GROUPINGS.contains(&word) {
                rest = behind(after, ')');
            } else if !first.is_ascii_digit() && !after.starts_with('(') && !WORDS.contains(&word) {
                found.insert(word.to_owned());
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// What follows the next `end` that is in no string.
fn behind(text: &str, end: char) -> &str {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if c == end && !quoted {
            return &text[at + 1..];
        }
    }
    ""
}

#[test]
fn metrics_are_told_from_functions_labels_and_durations() {
    let found = metrics(
        r#"histogram_quantile(0.99, sum by (job, le) (rate(a_bucket{route!~"/x}|y",z="1"}[5m]))) > 1e3
        and on (job) (b unless c offset 15m) or 0 * job:d:rate5m / max without(e) (f)"#,
    );
    let expected = ["a_bucket", "b", "c", "f", "job:d:rate5m"];
    assert_eq!(found, expected.map(str::to_owned).into());
}
