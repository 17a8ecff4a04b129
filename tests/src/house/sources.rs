//! What source files may not contain, be called, or grow into.

use super::layers::Layer;
use super::syntax::{self, Token};
use super::{House, Violation};

/// Lines after which a file says why it is long.
pub const LINES_MAX: usize = 500;

/// How it says so, in a comment among its first twenty lines.
pub const LONG_BECAUSE: &str = "Long because";

/// Names of products and of their binaries, which shared crates never mention.
const PRODUCTS: &[&str] = &[
    "algorithm-runner",
    "chat-client",
    "chat-node",
    "dstnode",
    "dstorage",
    "provchain",
    "silhouette",
];

/// File names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "common", "helper", "helpers", "manager", "misc", "util", "utils",
];

/// Nothing is left to do, printed for debugging, or skipped in a test run.
pub fn nothing_is_unfinished_or_skipped(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in house.tree.files_ending(".rs") {
        let Some(tokens) = syntax::tokens(text) else {
            violations.push(Violation::new(path, 0, "this is not Rust"));
            continue;
        };
        for name in ["todo", "unimplemented", "dbg"] {
            for line in syntax::lines_of(&tokens, &[name, "!"]) {
                violations.push(Violation::new(
                    path,
                    line,
                    format!("{name}! is not finished work"),
                ));
            }
        }
        for line in ignored_tests(&tokens) {
            let message =
                "an ignored test reads as a passed one: delete it, or let a setting choose it";
            violations.push(Violation::new(path, line, message));
        }
    }
    violations
}

/// Lines of `#[ignore]`, of `#[cfg_attr(…, ignore)]` and of documentation examples marked `ignore`.
fn ignored_tests(tokens: &[Token]) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut attribute_depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| {
            at.checked_sub(back)
                .map_or("", |at| tokens[at].text.as_str())
        };
        match token.text.as_str() {
            "[" if attribute_depth > 0
                || before(1) == "#"
                || (before(1) == "!" && before(2) == "#") =>
            {
                attribute_depth += 1;
            }
            "]" if attribute_depth > 0 => attribute_depth -= 1,
            "ignore" if attribute_depth > 0 => lines.push(token.line),
            text if attribute_depth > 0 && before(1) == "=" && before(2) == "doc" => {
                let text = text.trim_start_matches(['r', '#', '"']).trim_start();
                let fence = text.strip_prefix("```").unwrap_or_default();
                if fence.split([',', ' ', '"']).any(|word| word == "ignore") {
                    lines.push(token.line);
                }
            }
            _ => {}
        }
    }
    lines
}

/// `foo.rs` beside `foo/`, and names that say what is inside.
pub fn file_names_say_what_is_inside(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, _) in house.tree.files_ending(".rs") {
        let name = path
            .rsplit('/')
            .next()
            .unwrap_or(path)
            .trim_end_matches(".rs");
        if name == "mod" {
            violations.push(Violation::new(
                path,
                0,
                "call it after its folder: foo.rs beside foo/",
            ));
        }
        if EMPTY_NAMES.contains(&name) {
            violations.push(Violation::new(
                path,
                0,
                "this name says nothing about what is inside",
            ));
        }
    }
    violations
}

/// A file of more than [`LINES_MAX`] lines gives its reason at its top.
pub fn long_files_say_why(house: &House) -> Vec<Violation> {
    const SOURCES: &[&str] = &[
        ".rs", ".sh", ".py", ".nix", ".tf", ".yml", ".yaml", "Makefile",
    ];
    let is_source = |path: &str| SOURCES.iter().any(|suffix| path.ends_with(suffix));
    let long = house.tree.files().filter(|(path, text)| {
        let gives_reason = text
            .lines()
            .take(20)
            .any(|line| line.contains(LONG_BECAUSE));
        is_source(path) && text.lines().count() > LINES_MAX && !gives_reason
    });
    long.map(|(path, text)| {
        let message = format!(
            "{} lines: split it, or write “{LONG_BECAUSE} …” in a comment at its top",
            text.lines().count()
        );
        Violation::new(path, 0, message)
    })
    .collect()
}

/// The kit and consensus know no product, not even in a comment.
pub fn shared_crates_name_no_product(house: &House) -> Vec<Violation> {
    let shared: Vec<String> = house
        .crates
        .iter()
        .filter(|ours| matches!(Layer::of(&ours.name), Layer::Kit | Layer::Consensus))
        .map(|ours| format!("{}/", ours.folder))
        .collect();
    let mut violations = Vec::new();
    for (path, text) in house.tree.files() {
        if !shared
            .iter()
            .any(|folder| path.starts_with(folder.as_str()))
        {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            let line = line.to_lowercase().replace('_', "-");
            for product in PRODUCTS.iter().filter(|product| line.contains(**product)) {
                let message = format!("a shared crate knows no product, and names {product}");
                violations.push(Violation::new(path, at + 1, message));
            }
        }
    }
    violations
}

/// A README beside a crate's manifest is that crate's documentation, so that its examples run.
pub fn crate_readmes_are_their_documentation(house: &House) -> Vec<Violation> {
    house
        .crates
        .iter()
        .filter(|ours| house.tree.holds(&format!("{}/README.md", ours.folder)))
        .filter_map(|ours| {
            let library = format!("{}/src/lib.rs", ours.folder);
            let text = house.tree.text(&library)?;
            let includes = text.contains(r#"#![doc = include_str!("../README.md")]"#);
            let message = r#"begin with #![doc = include_str!("../README.md")]"#;
            (!includes).then(|| Violation::new(&library, 1, message))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{house_of, places};
    use super::*;

    #[test]
    fn unfinished_work_is_found_outside_of_strings_and_comments() {
        let house = house_of(&[(
            "services/kit/src/lib.rs",
            "// todo!()\nfn a() { todo!() }\nfn b() { unimplemented!(\"x\") }\nfn c() { dbg!(1); }\nconst S: &str = \"todo!\";\n",
        )]);
        assert_eq!(
            places(&nothing_is_unfinished_or_skipped(&house)),
            [
                "services/kit/src/lib.rs:2",
                "services/kit/src/lib.rs:3",
                "services/kit/src/lib.rs:4"
            ]
        );
    }

    #[test]
    fn ignored_tests_and_ignored_examples_are_found() {
        let house = house_of(&[(
            "services/kit/src/lib.rs",
            "//! ```rust,ignore\n//! f();\n//! ```\n#[ignore = \"slow\"]\nfn a() {}\n#[cfg_attr(ci, ignore)]\nfn b() {}\nfn ignore() {}\n/// ```text\nfn c() {}\n",
        )]);
        assert_eq!(
            places(&nothing_is_unfinished_or_skipped(&house)),
            [
                "services/kit/src/lib.rs:1",
                "services/kit/src/lib.rs:4",
                "services/kit/src/lib.rs:6"
            ]
        );
    }

    #[test]
    fn file_names_that_say_nothing_are_found() {
        let house = house_of(&[
            ("services/kit/src/tls/mod.rs", ""),
            ("tests/tests/it/common.rs", ""),
            ("services/kit/src/commons.rs", ""),
        ]);
        assert_eq!(
            places(&file_names_say_what_is_inside(&house)),
            [
                "services/kit/src/tls/mod.rs:0",
                "tests/tests/it/common.rs:0"
            ]
        );
    }

    #[test]
    fn a_long_file_without_a_reason_is_found() {
        let long = "line\n".repeat(LINES_MAX + 1);
        let reasoned = format!("// Long because it is one table.\n{long}");
        let at_the_limit = "line\n".repeat(LINES_MAX);
        let house = house_of(&[
            ("infra/scripts/a.sh", &long),
            ("infra/scripts/b.sh", &reasoned),
            ("infra/scripts/c.sh", &at_the_limit),
            ("Cargo.lock", &long),
        ]);
        assert_eq!(
            places(&long_files_say_why(&house)),
            ["infra/scripts/a.sh:0"]
        );
    }

    #[test]
    fn a_product_in_a_shared_crate_is_found_in_any_spelling() {
        let house = house_of(&[
            ("services/kit/README.md", "# Kit\nAs in Provchain.\n"),
            ("services/consensus/src/lib.rs", "//! CHAT_NODE_PORT\n"),
            ("services/ledger/src/lib.rs", "//! provchain\n"),
        ]);
        assert_eq!(
            places(&shared_crates_name_no_product(&house)),
            [
                "services/consensus/src/lib.rs:1",
                "services/kit/README.md:2"
            ]
        );
    }

    #[test]
    fn a_readme_that_is_not_the_documentation_is_found() {
        let house = house_of(&[
            ("services/kit/README.md", "# Kit"),
            ("services/kit/src/lib.rs", "//! Kit"),
            ("services/ledger/README.md", "# Ledger"),
            (
                "services/ledger/src/lib.rs",
                "#![doc = include_str!(\"../README.md\")]",
            ),
        ]);
        assert_eq!(
            places(&crate_readmes_are_their_documentation(&house)),
            ["services/kit/src/lib.rs:1"]
        );
    }
}
