//! The rules of the house, each a function over the repository as text, so that each can be
//! shown a planted violation and must find it.
//!
//! | module | what it keeps |
//! |---|---|
//! | [`layers`] | which crate may depend on which; one integration-test binary a crate; licences |
//! | [`purity`] | domain modules know no runtime, no clock, no dice, and nothing that stands around them |
//! | [`sources`] | nothing unfinished or skipped; file names and sizes; products stay out of shared crates |
//! | [`documents`] | links, anchors and `make` commands in Markdown lead somewhere |
//! | [`deployment`] | images, compose files and stacks say what the catalogue says |
//! | [`portability`] | no path of one machine and no registry's host name |
//! | [`diagram`] | the crate diagram in ARCHITECTURE.md is what Cargo says |

pub mod deployment;
pub mod diagram;
pub mod documents;
pub mod layers;
pub mod portability;
pub mod purity;
pub mod sources;
mod syntax;
mod tree;
mod workspace;

use std::fmt;
use std::path::Path;

pub use tree::Tree;
pub use workspace::{Crate, Dependency, DependencyKind};

/// Why the repository could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder could not be walked.
    #[error("walking the repository: {0}")]
    Walk(#[from] ignore::Error),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file, relative to the root.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// `cargo metadata` could not be run or read.
    #[error("cargo metadata: {0}")]
    Metadata(String),
}

/// The repository as the rules see it: its files and its crates.
#[derive(Debug, Default)]
pub struct House {
    /// Every file that is not ignored by git.
    pub tree: Tree,
    /// Every crate of the workspace.
    pub crates: Vec<Crate>,
}

impl House {
    /// Reads the repository that lies at `root`. Needs `cargo`, neither git nor a network.
    ///
    /// # Errors
    /// When a file cannot be read, or `cargo metadata` fails.
    pub fn read(root: &Path) -> Result<Self, Error> {
        Ok(Self {
            tree: Tree::read(root)?,
            crates: workspace::read(root)?,
        })
    }

    /// Everything that breaks a rule, in the order of the rules.
    pub fn violations(&self) -> Vec<Violation> {
        RULES.iter().flat_map(|rule| rule(self)).collect()
    }
}

type Rule = fn(&House) -> Vec<Violation>;

const RULES: &[Rule] = &[
    layers::dependencies_run_one_way,
    layers::openraft_stays_in_consensus,
    layers::one_integration_test_binary_a_crate,
    layers::every_crate_is_licensed,
    purity::domains_know_no_runtime,
    purity::layers_of_a_system_run_one_way,
    sources::nothing_is_unfinished_or_skipped,
    sources::file_names_say_what_is_inside,
    sources::long_files_say_why,
    sources::shared_crates_name_no_product,
    sources::crate_readmes_are_their_documentation,
    documents::links_lead_somewhere,
    documents::make_commands_exist,
    portability::no_path_or_host_of_one_machine,
    diagram::is_up_to_date,
    deployment::containers_follow_the_catalogue,
];

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The file, relative to the root.
    pub path: String,
    /// The line, counted from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

#[cfg(test)]
mod testing {
    //! A small house for the tests of the rules.

    use super::{Crate, House, Tree, Violation};

    /// A house of these files, with the crates `kit`, `consensus`, `ledger` (a system) and `tests`.
    pub(super) fn house_of(files: &[(&str, &str)]) -> House {
        House {
            tree: Tree::of(files),
            crates: vec![
                Crate::named("kit", "services/kit"),
                Crate::named("consensus", "services/consensus"),
                Crate::named("ledger", "services/ledger"),
                Crate::named("tests", "tests"),
            ],
        }
    }

    /// Where the violations lie, as `path:line`.
    pub(super) fn places(violations: &[Violation]) -> Vec<String> {
        violations
            .iter()
            .map(|violation| format!("{}:{}", violation.path, violation.line))
            .collect()
    }
}
