//! Files of compose, run as they are by the real thing, beside whatever else runs on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::image::{JWT_SECRET, Ledger, printed, root};

/// A project of compose, which is removed with everything in it when this is dropped.
pub struct Project {
    name: String,
    file: PathBuf,
    environment: Vec<(String, String)>,
    /// The engine, where it is another one than this machine's.
    host: Option<String>,
}

impl Project {
    /// The file below `infra/`, with the ledger's image and ports of its own on the loopback address
    /// `bind`.
    pub fn new(file: &str, ledger: &Ledger, bind: &str) -> Self {
        let name = format!(
            "trivet-test-{}-{}",
            std::process::id(),
            bind.replace('.', "-")
        );
        let tag = ledger.tag(&name);
        let environment = [
            ("JWT_SECRET", JWT_SECRET),
            ("PROVCHAIN_ADMIN_PASSWORD", "a password of tests"),
            ("NODE_BIND", bind),
            ("HTTP_BIND", bind),
            ("TAG", &tag),
            // A container may be refused more.
            ("OPEN_FILES", "16384"),
            ("LEDGER_NETWORK", &name),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        Self {
            file: root().join("infra").join(file),
            environment: environment.into(),
            name,
            host: None,
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub fn on(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = docker(self.host.as_deref());
        command
            .args([
                "compose",
                "--progress",
                "quiet",
                "--project-name",
                &self.name,
            ])
            // A file of whoever works in this checkout is none of the test's.
            .args(["--env-file", "/dev/null", "--file"])
            .arg(&self.file)
            .args(arguments)
            .envs(self.environment.iter().cloned());
        command
    }

    /// Runs a command of compose that must succeed; gives what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.compose(arguments).output();
        if output.as_ref().is_ok_and(|output| !output.status.success()) {
            eprintln!("{}", self.logs());
        }
        printed(output)
    }

    /// Starts everything and waits until it is healthy.
    pub fn up(&self) {
        self.run(&["up", "--detach", "--wait", "--wait-timeout", "120"]);
    }

    pub fn logs(&self) -> String {
        let output = self
            .compose(&["logs", "--no-color", "--tail", "60"])
            .output();
        output.map_or_else(|error| error.to_string(), |output| text(&output))
    }

    /// The services that there are, with their states.
    pub fn states(&self) -> Vec<(String, String)> {
        let lines = self.run(&["ps", "--all", "--format", "json"]);
        let one = |line: &str| {
            let service: Value = serde_json::from_str(line).expect("JSON");
            let of = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
            (
                of("Service"),
                format!("{} {}", of("State"), of("Health"))
                    .trim()
                    .to_owned(),
            )
        };
        let mut states: Vec<_> = lines.lines().map(one).collect();
        states.sort();
        states
    }

    /// Removes a volume of the project that nothing uses.
    pub fn remove_volume(&self, name: &str) {
        let volume = format!("{}_{name}", self.name);
        printed(
            docker(self.host.as_deref())
                .args(["volume", "rm", &volume])
                .output(),
        );
    }

    /// Removes everything; what is left of it afterwards.
    pub fn down(&self) -> String {
        self.run(&["down", "--volumes", "--remove-orphans", "--timeout", "20"]);
        let label = format!("label=com.docker.compose.project={}", self.name);
        let mut left = String::new();
        for kind in [&["ps", "--all"][..], &["volume", "ls"], &["network", "ls"]] {
            let listed = docker(self.host.as_deref())
                .args(kind)
                .args(["--quiet", "--filter", &label])
                .output();
            left.push_str(&printed(listed));
        }
        left
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        drop(
            self.compose(&["down", "--volumes", "--remove-orphans", "--timeout", "1"])
                .output(),
        );
        let tag = self.environment.iter().find(|(name, _)| name == "TAG");
        let image = tag.map(|(_, tag)| format!("trivet/provchain:{tag}"));
        drop(
            docker(None)
                .args(["image", "rm", "--no-prune"])
                .args(image)
                .output(),
        );
    }
}

/// The client of Docker, for this machine's engine or another.
pub fn docker(host: Option<&str>) -> Command {
    let mut command = Command::new("docker");
    command.args(host.map(|host| format!("--host={host}")));
    command
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The image that stands in for those of a registry.
pub fn standin() -> String {
    printed(Command::new(root().join("infra/scripts/standin.sh")).output())
        .trim()
        .to_owned()
}

/// A key and a certificate for `name`, for whoever runs as `user`.
pub fn certificates(folder: &Path, name: &str) -> String {
    let key = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let pem = key.cert.pem();
    std::fs::write(folder.join("tls.crt"), &pem).expect("written");
    std::fs::write(folder.join("tls.key"), key.signing_key.serialize_pem()).expect("written");
    pem
}
