//! Who a node is: made with its data directory, and never used again once that is gone.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FORMAT: u32 = 1;

/// The content of `identity.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub format: u32,
    pub system: String,
    /// The Raft id, in hexadecimal: JSON has no 64-bit integers that every reader keeps.
    #[serde(with = "hex_id")]
    pub id: u64,
    /// The cluster this node belongs to.
    pub cluster: Option<String>,
    /// Whether the cluster has taken this node in: a membership without it means its removal since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub member: bool,
    /// The first members, from before the first of them is in the log until it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forming: Vec<Founder>,
}

/// A first member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Founder {
    #[serde(with = "hex_id")]
    pub id: u64,
    pub name: String,
    pub address: String,
}

mod hex_id {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{id:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("identity.json")
}

impl Identity {
    /// Reads the identity of `data_dir`, or makes one if the directory has none.
    pub(crate) fn load_or_create(data_dir: &Path, system: &str) -> Result<Self> {
        std::fs::create_dir_all(data_dir).map_err(|error| {
            Error::new(
                error.kind(),
                format!(
                    "the data directory {} cannot be made: {error}",
                    data_dir.display()
                ),
            )
        })?;
        match Self::load(data_dir, system) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let path = path(data_dir);
                if data_dir.join("log.db").exists() {
                    return Err(Error::other(format!(
                        "{} is missing beside a log: restore it, or wipe the data directory and \
                         let the node join again",
                        path.display()
                    )));
                }
                let identity = Self::new(system);
                identity.save(data_dir)?;
                Ok(identity)
            }
            loaded => loaded,
        }
    }

    /// A node that never was, of no cluster.
    pub(crate) fn new(system: &str) -> Self {
        Self {
            format: FORMAT,
            system: system.to_owned(),
            // Zero means "none" on the wire.
            id: crate::host::random::<u64>().max(1),
            cluster: None,
            member: false,
            forming: Vec::new(),
        }
    }

    /// What the log of this node calls it.
    pub(crate) fn log_owner(&self) -> String {
        format!("{} {:016x}", self.system, self.id)
    }

    /// Reads the identity of `data_dir`.
    pub(crate) fn load(data_dir: &Path, system: &str) -> Result<Self> {
        let path = path(data_dir);
        let bytes = std::fs::read(&path)?;
        let identity: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(
                ErrorKind::InvalidData,
                format!("{}: {error}", path.display()),
            )
        })?;
        if identity.format != FORMAT || identity.system != system {
            return Err(Error::other(format!(
                "{} is of system {:?} and format {}, this build is of {system:?} and reads {FORMAT}",
                path.display(),
                identity.system,
                identity.format
            )));
        }
        Ok(identity)
    }

    pub(crate) fn save(&self, data_dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(Error::other)?;
        kit::fsync::replace(&path(data_dir), &text)
    }
}
