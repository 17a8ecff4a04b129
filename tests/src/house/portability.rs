//! Nothing in the repository works on one machine only.

use super::{House, Violation};

/// Beginnings of paths that exist on one machine, and hosts that a machine's own configuration
/// names. A pattern counts where no letter, digit, dash, dot or underscore stands before it.
const PATTERNS: &[&str] = &[
    "/work/",
    "/root/.",
    "/home/",
    "/Users/",
    "crates.io",
    "index.crates.io",
    "static.crates.io",
    "deb.debian.org",
    "security.debian.org",
    "snapshot.debian.org",
    "archive.ubuntu.com",
    "pypi.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "registry-1.docker.io",
];

/// Files that must hold such names: this one, and Cargo's lock file.
const EXEMPT: &[&str] = &["tests/src/house/portability.rs", "Cargo.lock"];

/// No tracked file names a path or a package registry of the machine it was written on.
pub fn no_path_or_host_of_one_machine(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in house.tree.files() {
        if EXEMPT.contains(&path) {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            if let Some(pattern) = PATTERNS.iter().find(|pattern| names(line, pattern)) {
                let message = format!("{pattern} is true on one machine only");
                violations.push(Violation::new(path, at + 1, message));
            }
        }
    }
    violations
}

fn names(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "-._".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{house_of, places};
    use super::*;

    #[test]
    fn paths_and_hosts_of_one_machine_are_found() {
        let house = house_of(&[
            ("Makefile", "all:\n\tls /work/checkout\n\tls /root/.cargo\n"),
            (".ci/run", "deb http://deb.debian.org/debian trixie main\n"),
            ("README.md", "From https://crates.io/crates/axum\n"),
        ]);
        assert_eq!(
            places(&no_path_or_host_of_one_machine(&house)),
            [".ci/run:1", "Makefile:2", "Makefile:3", "README.md:1"]
        );
    }

    #[test]
    fn similar_names_and_the_lock_file_are_welcome() {
        let house = house_of(&[
            (
                "README.md",
                "frame/work/s, ./work/x, notcrates.io, /home and docker.io\n",
            ),
            (
                "Cargo.lock",
                "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
            ),
        ]);
        assert_eq!(no_path_or_host_of_one_machine(&house), []);
    }
}
