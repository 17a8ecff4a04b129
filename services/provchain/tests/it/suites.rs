//! Public test suites, read from where a setting says that they lie.

use std::path::{Path, PathBuf};

/// The folder that the environment variable `setting` names; without it, says that the suite is
/// not run and returns nothing.
pub fn folder(setting: &str, suite: &str) -> Option<PathBuf> {
    match std::env::var_os(setting) {
        Some(folder) => Some(folder.into()),
        None => {
            println!("NOT RUN: {suite} (set {setting} to its folder)");
            None
        }
    }
}

/// The text of a file that must be there.
pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below `folder` whose names end in one of `extensions`, in order.
pub fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(files(&path, extensions));
        } else if path
            .extension()
            .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Property tests print the input that fails; they keep no file of it.
pub fn property_config() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        failure_persistence: None,
        ..Default::default()
    }
}
