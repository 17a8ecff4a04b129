//! The repository around us: its root, its catalogue, its binaries, its `.dev` folder.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::catalogue::{Catalogue, System};
use crate::error::{Error, Result, at};
use crate::program::find_program;

/// A checkout of the repository.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    catalogue: Catalogue,
}

impl Workspace {
    /// Finds the repository that a folder lies in and reads its catalogue. Cargo runs tests and
    /// build scripts in the folder of their package, so `Workspace::find(".")` serves them all.
    ///
    /// # Errors
    /// The folder is outside, or the catalogue is wrong.
    pub fn find(start: impl AsRef<Path>) -> Result<Self> {
        let start = start.as_ref();
        let start = start.canonicalize().map_err(at("read", start))?;
        let root = start
            .ancestors()
            .find(|dir| dir.join(Catalogue::PATH).is_file());
        let root = root
            .ok_or_else(|| Error::NoRepository {
                start: start.clone(),
            })?
            .to_path_buf();
        let catalogue = Catalogue::read(&root.join(Catalogue::PATH))?;
        Ok(Self { root, catalogue })
    }

    /// The folder with everything in it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The facts about the systems.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The folder of what runs on this machine: one folder a system, and the secrets.
    #[must_use]
    pub fn dev_dir(&self) -> PathBuf {
        self.root.join(".dev")
    }

    /// Makes `.dev`, and keeps other commands away from it until the returned file is dropped;
    /// waits for them.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn lock(&self) -> Result<File> {
        let dir = self.dev_dir();
        fs::create_dir_all(&dir).map_err(at("create", &dir))?;
        let path = dir.join("lock");
        let file = File::create(&path).map_err(at("write", &path))?;
        file.lock().map_err(at("lock", &path))?;
        Ok(file)
    }

    /// Builds the binaries of a system, with cargo's own progress on the standard error, and finds
    /// on the `PATH` those that are not built here.
    ///
    /// # Errors
    /// A build fails, or a binary is nowhere to be found.
    pub async fn binaries(&self, system: &System) -> Result<BTreeMap<String, PathBuf>> {
        let mut binaries = BTreeMap::new();
        for role in system.roles.values() {
            if binaries.contains_key(&role.binary) {
                continue;
            }
            let path = match &role.package {
                Some(_) => self.build(&role.binary).await?,
                None => find_program(&role.binary, &system.development.path)?,
            };
            binaries.insert(role.binary.clone(), path);
        }
        Ok(binaries)
    }

    /// Finds the binaries of a system that are not built here, for a test that has its own.
    ///
    /// # Errors
    /// One is nowhere to be found.
    pub fn installed(&self, system: &System) -> Result<BTreeMap<String, PathBuf>> {
        let roles = system.roles.values();
        roles
            .filter(|role| role.package.is_none())
            .map(|role| {
                let path = find_program(&role.binary, &system.development.path)?;
                Ok((role.binary.clone(), path))
            })
            .collect()
    }

    async fn build(&self, binary: &str) -> Result<PathBuf> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = tokio::process::Command::new(&cargo)
            // With the features of the whole workspace, as every binary is built: for its package
            // alone, cargo would compile most dependencies once more with fewer of them.
            .args(["build", "--workspace", "--bin", binary])
            // The executable's path depends on target and profile: cargo knows it.
            .arg("--message-format=json-render-diagnostics")
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await
            .map_err(|source| Error::Spawn {
                program: cargo.display().to_string(),
                source,
            })?;
        if !output.status.success() {
            return Err(Error::Build {
                binary: binary.to_owned(),
                status: output.status,
            });
        }
        executable(&String::from_utf8_lossy(&output.stdout), binary).ok_or_else(|| {
            let reason = "cargo built it and did not say where it lies".to_owned();
            Error::NoBinary {
                binary: binary.to_owned(),
                reason,
            }
        })
    }
}

/// Finds an executable in what `cargo build --message-format=json` prints.
fn executable(messages: &str, binary: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == binary)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_one_that_cargo_names() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"provchain"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"provchain"},"executable":"/t/provchain"}"#,
        );
        assert_eq!(
            executable(messages, "provchain"),
            Some(PathBuf::from("/t/provchain"))
        );
        assert_eq!(executable(messages, "absent"), None);
    }
}
