//! The record of a cluster whose processes outlive the one that started them.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::NodePlan;
use super::{Builder, Cluster};
use crate::catalogue::{Catalogue, Values};
use crate::error::{Error, Result, at};
use crate::ports::{Hosts, PortPlan};
use crate::process::Identity;

/// The version of the record's shape.
const VERSION: u32 = 1;

/// What is written to `state.json`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    system: String,
    ports: PortPlan,
    hosts: Hosts,
    /// The executables by their names in the catalogue.
    binaries: BTreeMap<String, PathBuf>,
    /// The results of the sample's steps; absent until it is loaded.
    captured: Option<Values>,
    nodes: Vec<NodeRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NodeRecord {
    plan: NodePlan,
    /// Absent when it was stopped.
    process: Option<Identity>,
}

/// A recorded cluster, as it is now.
#[derive(Debug)]
pub struct Opened {
    /// The cluster, in charge of those processes that still run.
    pub cluster: Cluster,
    /// The names of the nodes that should run and do not: they ended without being asked to.
    pub vanished: Vec<String>,
}

impl Cluster {
    /// The record's place in a cluster's folder.
    const RECORD: &'static str = "state.json";

    /// Opens a cluster that was started detached; `None` when there is no record. Of the
    /// builder's settings those of nodes and ports have no effect, and binaries that it lacks are
    /// those that were recorded.
    ///
    /// A recorded process is taken for the node's only when its pid, its start and the boot agree.
    ///
    /// # Errors
    /// The record cannot be read, or belongs to another version or system.
    pub fn open(builder: Builder, dir: &Path) -> Result<Option<Opened>> {
        let path = dir.join(Self::RECORD);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("read", &path)(error)),
        };
        let unusable = |reason: String| Error::State {
            path: path.clone(),
            reason,
        };
        let record: Record =
            serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        if record.version != VERSION {
            return Err(unusable(format!(
                "version {} where {VERSION} is read",
                record.version
            )));
        }
        let (plans, processes): (Vec<_>, Vec<_>) = record
            .nodes
            .into_iter()
            .map(|node| (node.plan, node.process))
            .unzip();
        let mut builder = builder.dir(dir).ports(record.ports);
        builder.remember_binaries(record.binaries);
        let mut cluster = builder.reassemble(record.hosts, plans)?;
        if cluster.plan.name != record.system {
            return Err(unusable(format!("it belongs to {}", record.system)));
        }
        cluster.captured = record.captured;
        let mut vanished = Vec::new();
        for (node, process) in cluster.nodes.iter().zip(processes) {
            let Some(process) = process else { continue };
            node.adopt(&process)?;
            if !node.is_running() {
                vanished.push(node.name().to_owned());
            }
        }
        Ok(Some(Opened { cluster, vanished }))
    }

    /// Records which nodes there are and which of them run.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<()> {
        let nodes = self
            .nodes
            .iter()
            .map(|node| NodeRecord {
                plan: node.plan.clone(),
                process: node.identity(),
            })
            .collect();
        let record = Record {
            version: VERSION,
            system: self.plan.name.clone(),
            ports: self.plan.ports,
            hosts: self.plan.hosts,
            binaries: self.plan.binaries.clone(),
            captured: self.captured.clone(),
            nodes,
        };
        let path = self.plan.dir.join(Self::RECORD);
        let mut text = serde_json::to_string_pretty(&record).expect("a record is plain data");
        text.push('\n');
        write_whole(&path, &text)
    }

    /// Which systems have a record below a folder with one folder a system.
    #[must_use]
    pub fn recorded<'a>(catalogue: &'a Catalogue, dev_dir: &Path) -> Vec<(&'a str, PathBuf)> {
        let dirs = catalogue
            .systems
            .keys()
            .map(|name| (name.as_str(), dev_dir.join(name)));
        dirs.filter(|(_, dir)| dir.join(Self::RECORD).is_file())
            .collect()
    }
}

/// Replaces a file in one step, so that a reader sees the old one or the new one.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).map_err(at("write", &draft))?;
    fs::rename(&draft, path).map_err(at("write", path))
}
