//! A repository with the toy system, and the command at work in it.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::it::harness::{TOY_CATALOGUE, folder, toynode};

/// Ports of development clusters under test begin here; see [`Repository::new`].
const BASES: std::ops::Range<u16> = 100..320;

/// A repository with the toy system. Whatever runs in it is stopped at its end.
pub struct Repository {
    dir: TempDir,
    pub base: u16,
    _reservation: TcpListener,
}

impl Repository {
    /// The block of ports is this test's own: whoever listens at its number on another address has
    /// reserved it.
    pub fn new() -> Self {
        let (base, reservation) = BASES
            .map(|block| block * 100)
            .find_map(|base| Some((base, TcpListener::bind(("127.1.2.3", base)).ok()?)))
            .expect("a free block of ports");
        let repository = Self {
            dir: folder(),
            base,
            _reservation: reservation,
        };
        let mut catalogue: Value = serde_json::from_str(TOY_CATALOGUE).expect("JSON");
        catalogue["systems"]["toy"]["development"]["port_base"] = base.into();
        fs::create_dir(repository.path("infra")).expect("made");
        fs::write(
            repository.path("infra/catalogue.json"),
            catalogue.to_string(),
        )
        .expect("written");
        let template = include_str!("../../toy.conf.template");
        fs::write(repository.path("toy.conf.template"), template).expect("written");
        repository
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A command, given in a folder below the root.
    pub fn command(&self, args: &[&str]) -> Command {
        let examples = toynode().parent().expect("a folder").to_path_buf();
        let path = std::env::var_os("PATH").expect("set");
        let mut command = Command::new(env!("CARGO_BIN_EXE_devcluster"));
        command
            .args(args)
            .current_dir(self.path("infra"))
            .env("PATH", [examples.as_os_str(), &path].join(OsStr::new(":")));
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::from(&self.command(args).output().expect("started"))
    }

    pub fn status(&self) -> Vec<Value> {
        let ran = self.run(&["status", "--json"]).succeeded();
        serde_json::from_str(&ran.stdout).expect("an array")
    }

    pub fn pids(&self) -> Vec<u32> {
        self.status()
            .iter()
            .filter_map(|row| row["pid"].as_u64())
            .map(|pid| pid as u32)
            .collect()
    }

    pub fn log(&self, node: &str) -> String {
        fs::read_to_string(self.path(&format!(".dev/toy/{node}/log"))).expect("a log")
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = self.command(&["clean"]).output();
    }
}

#[derive(Debug)]
pub struct Ran {
    pub good: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn from(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Self {
            good: output.status.success(),
            stdout,
            stderr,
        }
    }

    pub fn succeeded(self) -> Self {
        assert!(self.good, "{self:?}");
        self
    }

    pub fn failed_with(self, reason: &str) -> Self {
        assert!(!self.good && self.stderr.contains(reason), "{self:?}");
        self
    }

    /// The commands to try, as a script finds them.
    pub fn commands(&self) -> Vec<&str> {
        self.stdout
            .lines()
            .filter_map(|line| line.strip_prefix("  $ "))
            .collect()
    }
}
