//! The crates of the workspace, as Cargo describes them.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::Error;

/// A crate of the workspace.
#[derive(Debug, Clone, Default)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root.
    pub folder: String,
    /// What its manifest asks for, of the workspace and from outside.
    pub dependencies: Vec<Dependency>,
    /// Its integration-test binaries.
    pub test_binaries: Vec<String>,
    /// Its licence expression.
    pub license: Option<String>,
}

impl Crate {
    /// A crate without dependencies, under the licence of the house.
    pub fn named(name: &str, folder: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            license: Some(super::layers::LICENSE.to_owned()),
            ..Self::default()
        }
    }

    /// The same crate with one more dependency.
    #[must_use]
    pub fn with(mut self, name: &str, kind: DependencyKind) -> Self {
        self.dependencies.push(Dependency {
            name: name.to_owned(),
            kind,
        });
        self
    }

    /// The path of its manifest, relative to the root.
    pub fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

/// One line of a manifest's dependency tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The name of the crate that is asked for.
    pub name: String,
    /// The table in which it stands.
    pub kind: DependencyKind,
}

/// The table of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// `[dependencies]`
    Normal,
    /// `[build-dependencies]`
    Build,
    /// `[dev-dependencies]`
    Dev,
}

/// Asks Cargo, offline.
pub(super) fn read(root: &Path) -> Result<Vec<Crate>, Error> {
    let output = Command::new("cargo")
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(root)
        .output()
        .map_err(|error| Error::Metadata(error.to_string()))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Metadata(stderr.trim().to_owned()));
    }
    parse(&output.stdout).map_err(|error| Error::Metadata(error.to_string()))
}

fn parse(json: &[u8]) -> serde_json::Result<Vec<Crate>> {
    let metadata: Metadata = serde_json::from_slice(json)?;
    let root = metadata.workspace_root;
    let crates = metadata.packages.into_iter().map(|package| Crate {
        folder: package
            .manifest_path
            .trim_start_matches(&root)
            .trim_end_matches("/Cargo.toml")
            .trim_start_matches('/')
            .to_owned(),
        dependencies: package
            .dependencies
            .into_iter()
            .map(|dependency| Dependency {
                name: dependency.name,
                kind: dependency.kind.unwrap_or(DependencyKind::Normal),
            })
            .collect(),
        test_binaries: package
            .targets
            .into_iter()
            .filter(|target| target.kind.iter().any(|kind| kind == "test"))
            .map(|target| target.name)
            .collect(),
        name: package.name,
        license: package.license,
    });
    Ok(crates.collect())
}

// The parts of `cargo metadata` (format version 1) that the rules read.

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<PackageMetadata>,
    workspace_root: String,
}

#[derive(Deserialize)]
struct PackageMetadata {
    name: String,
    manifest_path: String,
    license: Option<String>,
    dependencies: Vec<DependencyMetadata>,
    targets: Vec<TargetMetadata>,
}

#[derive(Deserialize)]
struct DependencyMetadata {
    name: String,
    kind: Option<DependencyKind>,
}

#[derive(Deserialize)]
struct TargetMetadata {
    name: String,
    kind: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_crates_with_folders_kinds_and_test_binaries() {
        let json = br#"{
            "workspace_root": "/srv/checkout",
            "packages": [{
                "name": "kit",
                "manifest_path": "/srv/checkout/services/kit/Cargo.toml",
                "license": "MIT",
                "dependencies": [
                    {"name": "axum", "kind": null},
                    {"name": "protox", "kind": "build"},
                    {"name": "tempfile", "kind": "dev"}
                ],
                "targets": [
                    {"name": "kit", "kind": ["lib"]},
                    {"name": "it", "kind": ["test"]}
                ]
            }]
        }"#;

        let crates = parse(json).expect("metadata");

        assert_eq!(crates[0].folder, "services/kit");
        assert_eq!(crates[0].manifest(), "services/kit/Cargo.toml");
        assert_eq!(crates[0].test_binaries, ["it"]);
        assert_eq!(crates[0].license.as_deref(), Some("MIT"));
        let kinds: Vec<DependencyKind> = crates[0].dependencies.iter().map(|d| d.kind).collect();
        assert_eq!(
            kinds,
            [
                DependencyKind::Normal,
                DependencyKind::Build,
                DependencyKind::Dev
            ]
        );
    }
}
