//! What a system *is* stands in plain Rust; effects stand around it.
//!
//! Inside a system, every module is domain unless it is named in [`SHELLS`]. A domain module
//! names no runtime, no clock, no source of randomness and no shell: time and randomness are
//! parameters. The machine may use the domain, the API may use both, and no arrow points back.

use super::layers::Layer;
use super::syntax::{self, Token};
use super::{House, Violation};

/// The modules (first component under `src/`) that are not domain, from the inside out. Each may
/// name itself, those before it, and the domain.
pub const SHELLS: &[&str] = &[
    "settings", "machine", "keys", "index", "store", "watch", "api", "server", "cli", "main", "bin",
];

/// Crates that a domain module does not name.
const RUNTIMES: &[&str] = &[
    "axum",
    "consensus",
    "deadpool_postgres",
    "hyper",
    "openraft",
    "reqwest",
    "rusqlite",
    "tokio",
    "tokio_postgres",
    "tonic",
    "tower",
];

/// Runs of tokens by which time or randomness would come in.
const CLOCKS_AND_DICE: &[&[&str]] = &[
    &["SystemTime"],
    &["Instant"],
    &["Timestamp", "::", "now"],
    &["Zoned", "::", "now"],
    &["rand", "::", "rng"],
    &["rand", "::", "random"],
    &["Uuid", "::", "new_v4"],
    &["Uuid", "::", "now_v7"],
];

/// No domain module names a runtime, a clock or dice.
pub fn domains_know_no_runtime(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text, module) in system_modules(house) {
        if SHELLS.contains(&module) {
            continue;
        }
        let Some(tokens) = syntax::tokens(text) else {
            continue;
        };
        for token in runtimes_named(&tokens) {
            let message = format!(
                "the domain names {}: move this into one of {}",
                token.text,
                SHELLS.join(", ")
            );
            violations.push(Violation::new(path, token.line, message));
        }
        for run in CLOCKS_AND_DICE {
            for line in syntax::lines_of(&tokens, run) {
                let message = format!(
                    "the domain reads {}: time and randomness are parameters",
                    run.concat()
                );
                violations.push(Violation::new(path, line, message));
            }
        }
    }
    violations
}

/// Inside a system: `api` → `machine` → domain, and never back.
pub fn layers_of_a_system_run_one_way(house: &House) -> Vec<Violation> {
    let rank = |module: &str| {
        let shell = SHELLS.iter().position(|shell| *shell == module);
        shell.map_or(0, |position| position + 1)
    };
    let mut violations = Vec::new();
    for (path, text, module) in system_modules(house) {
        let Some(tokens) = syntax::tokens(text) else {
            continue;
        };
        for named in syntax::crate_modules(&tokens) {
            if rank(&named.text) > rank(module) {
                let message = format!("{module} stands inside {} and may not name it", named.text);
                violations.push(Violation::new(path, named.line, message));
            }
        }
    }
    violations
}

/// Path, text and first module name of every source file of every system.
fn system_modules(house: &House) -> impl Iterator<Item = (&str, &str, &str)> {
    let systems: Vec<String> = house
        .crates
        .iter()
        .filter(|ours| Layer::of(&ours.name) == Layer::System)
        .map(|ours| format!("{}/src/", ours.folder))
        .collect();
    house
        .tree
        .files_ending(".rs")
        .filter_map(move |(path, text)| {
            let inside = systems
                .iter()
                .find_map(|source| path.strip_prefix(source.as_str()))?;
            let module = inside.split('/').next()?.trim_end_matches(".rs");
            Some((path, text, module))
        })
}

/// A runtime is named by `use tokio…` or `tokio::…`.
fn runtimes_named(tokens: &[Token]) -> Vec<&Token> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| RUNTIMES.contains(&token.text.as_str()))
        .filter(|(at, _)| {
            let before = if *at == 0 { "" } else { text(at - 1) };
            before == "use" || before == "crate" || text(at + 1) == "::"
        })
        .map(|(_, token)| token)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{house_of, places};
    use super::*;

    #[test]
    fn a_runtime_in_a_domain_module_is_found_wherever_it_stands() {
        let house = house_of(&[
            (
                "services/ledger/src/tree.rs",
                "use std::fmt;\nuse tokio as runtime;\n",
            ),
            (
                "services/ledger/src/tree/tile.rs",
                "fn f() { tokio::spawn(g()); }\n",
            ),
            (
                "services/ledger/src/block.rs",
                "use {axum::Json, std::fmt};\n",
            ),
            (
                "services/ledger/src/note.rs",
                "fn f() {\n    select!(rusqlite::open());\n}\n",
            ),
        ]);
        assert_eq!(
            places(&domains_know_no_runtime(&house)),
            [
                "services/ledger/src/block.rs:1",
                "services/ledger/src/note.rs:2",
                "services/ledger/src/tree.rs:2",
                "services/ledger/src/tree/tile.rs:1",
            ]
        );
    }

    #[test]
    fn a_clock_and_dice_in_a_domain_module_are_found() {
        let house = house_of(&[(
            "services/ledger/src/block.rs",
            "use std::time::{Duration, Instant};\nfn f() -> Uuid { Uuid::new_v4() }\n",
        )]);
        assert_eq!(
            places(&domains_know_no_runtime(&house)),
            [
                "services/ledger/src/block.rs:1",
                "services/ledger/src/block.rs:2"
            ]
        );
    }

    #[test]
    fn shells_shared_crates_and_mere_words_may_name_a_runtime() {
        let house = house_of(&[
            ("services/ledger/src/api.rs", "use axum::Router;\n"),
            (
                "services/ledger/src/machine/rows.rs",
                "use rusqlite::Transaction;\n",
            ),
            (
                "services/ledger/src/main.rs",
                "use tokio::net::TcpListener;\n",
            ),
            (
                "services/kit/src/serve.rs",
                "use tokio::net::TcpListener;\n",
            ),
            (
                "services/ledger/src/tree.rs",
                "//! No tokio here.\nlet tower = \"axum::Json\";\n",
            ),
        ]);
        assert_eq!(domains_know_no_runtime(&house), []);
    }

    #[test]
    fn an_arrow_from_the_inside_out_is_found() {
        let house = house_of(&[
            (
                "services/ledger/src/api.rs",
                "use crate::machine::Machine;\n",
            ),
            (
                "services/ledger/src/machine.rs",
                "use crate::{tree, api::Json};\n",
            ),
            (
                "services/ledger/src/tree.rs",
                "use crate::block;\nuse crate::machine::Rows;\n",
            ),
        ]);
        assert_eq!(
            places(&layers_of_a_system_run_one_way(&house)),
            [
                "services/ledger/src/machine.rs:1",
                "services/ledger/src/tree.rs:2"
            ]
        );
    }
}
