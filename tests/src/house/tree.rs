//! The files of the repository, held in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ignore::WalkBuilder;

use super::Error;

/// Paths relative to the root, with `/` between their parts, and what the files say.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
    folders: BTreeSet<String>,
}

impl Tree {
    /// A tree of these paths and contents.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.insert((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    /// Reads every file under `root` that `.gitignore` does not name, committed or not. Works in
    /// a checkout without its git folder too. What is not UTF-8 is kept as an empty file.
    ///
    /// # Errors
    /// When a folder or a file cannot be read.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let mut tree = Self::default();
        let walk = WalkBuilder::new(root)
            .hidden(false)
            .parents(false)
            .require_git(false)
            .git_global(false)
            .git_exclude(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        for entry in walk {
            let entry = entry?;
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let path = path.to_string_lossy().into_owned();
            let bytes = std::fs::read(entry.path()).map_err(|source| Error::File {
                path: path.clone(),
                source,
            })?;
            tree.insert(path, String::from_utf8(bytes).unwrap_or_default());
        }
        Ok(tree)
    }

    fn insert(&mut self, path: String, text: String) {
        for (slash, _) in path.match_indices('/') {
            self.folders.insert(path[..slash].to_owned());
        }
        self.files.insert(path, text);
    }

    /// What the file says, when there is one.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file or a folder lies there; the root is the empty path.
    pub fn holds(&self, path: &str) -> bool {
        path.is_empty() || self.files.contains_key(path) || self.folders.contains(path)
    }

    /// All files, ordered by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// All files whose names end so, ordered by path.
    pub fn files_ending(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_honours_gitignore_and_keeps_hidden_files() {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in [
            (".gitignore", "/target/\n"),
            (".ci/run", "#!/bin/sh\n"),
            (".git/config", "[core]\n"),
            ("target/debug/output", "built\n"),
            ("docs/index.md", "# Docs\n"),
        ] {
            let file = root.path().join(path);
            std::fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            std::fs::write(file, text).expect("a file");
        }

        let tree = Tree::read(root.path()).expect("a tree");

        let paths: Vec<&str> = tree.files().map(|(path, _)| path).collect();
        assert_eq!(paths, [".ci/run", ".gitignore", "docs/index.md"]);
        assert_eq!(tree.text("docs/index.md"), Some("# Docs\n"));
        assert!(tree.holds("docs"));
        assert!(!tree.holds("target"));
    }
}
