//! What all commands share: the repository around them, and the clusters recorded in it.

use std::fs::File;

use devcluster::{Builder, Cluster, Opened, Result, Workspace};

/// The repository that the current folder lies in.
pub fn workspace() -> Result<Workspace> {
    Workspace::find(".")
}

/// Keeps other commands away from `.dev`, unless it does not exist.
pub fn lock_if_there(workspace: &Workspace) -> Result<Option<File>> {
    workspace
        .dev_dir()
        .exists()
        .then(|| workspace.lock())
        .transpose()
}

/// A cluster of a system in its development folder.
pub fn builder(workspace: &Workspace, system: &str) -> Builder {
    Cluster::builder(workspace.catalogue(), system)
        .dir(workspace.dev_dir().join(system))
        .secrets_dir(workspace.dev_dir().join("secrets"))
        .root(workspace.root())
}

/// The recorded clusters: of one system, or of all.
pub fn recorded(workspace: &Workspace, system: Option<&str>) -> Result<Vec<Opened>> {
    if let Some(name) = system {
        workspace.catalogue().system(name)?;
    }
    Cluster::recorded(workspace.catalogue(), &workspace.dev_dir())
        .into_iter()
        .filter(|(name, _)| system.is_none_or(|wanted| wanted == *name))
        .filter_map(|(name, dir)| Cluster::open(builder(workspace, name), &dir).transpose())
        .collect()
}
