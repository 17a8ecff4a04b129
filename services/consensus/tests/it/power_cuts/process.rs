//! A node as a process on a folder, traced or not.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use consensus::{ClusterCommand, NodeConfig, Settings, Status};
use kit::settings::Secret;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::trace;
use crate::harness::{PATIENCE, SECRET, free_address, pause, register_node};

/// What a process is started with.
#[derive(Clone)]
pub struct Start<'a> {
    pub name: &'a str,
    pub data: &'a Path,
    pub address: String,
    /// By commas.
    pub peers: String,
    pub settings: Value,
    /// Where its writes are recorded.
    pub trace: Option<&'a Path>,
}

impl<'a> Start<'a> {
    /// A node that forms a cluster alone, or goes on from what is in its folder.
    pub fn of(name: &'a str, data: &'a Path) -> Self {
        Self {
            name,
            data,
            address: free_address(),
            peers: String::new(),
            // The log is shortened and the state checkpointed all the time.
            settings: json!({
                "heartbeat_ms": 50,
                "election_timeout_ms_min": 150,
                "election_timeout_ms_max": 250,
                "formation_wait_ms": 100,
                "snapshot_bytes": 4096,
                "log_keep_entries": 10,
            }),
            trace: None,
        }
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let (host, port) = self.address.split_once(':').unwrap();
        let free = free_address();
        let (_, metrics) = free.split_once(':').unwrap();
        vec![
            ("REGISTER_NAME", self.name.into()),
            ("REGISTER_HOST", host.into()),
            ("REGISTER_PORT", port.into()),
            ("REGISTER_METRICS_PORT", metrics.into()),
            ("REGISTER_PEERS", self.peers.clone()),
            ("REGISTER_ADVERTISE", self.address.clone()),
            ("REGISTER_DATA_DIR", self.data.display().to_string()),
            ("REGISTER_SECRET", SECRET.into()),
            ("REGISTER_SETTINGS", self.settings.to_string()),
        ]
    }
}

pub struct Process {
    child: Child,
    said: File,
    address: String,
    http: reqwest::Client,
    pub runtime: tokio::runtime::Runtime,
}

impl Process {
    pub fn start(start: &Start<'_>) -> Self {
        kit::tls::install_provider();
        let mut command = match start.trace {
            None => Command::new(register_node()),
            Some(trace) => {
                let mut command = Command::new("strace");
                command.args(["-f", "-qq", "-ttt", "-y", "-xx", "-s", "16777216"]);
                command.args(["-e", &format!("trace={}", trace::CALLS), "-o"]);
                command.arg(trace).arg("--").arg(register_node());
                command
            }
        };
        // A file takes all that it says; a pipe that nobody reads would stop it.
        let said = tempfile::tempfile().unwrap();
        let child = command
            .env_clear()
            .envs(start.environment())
            .stdout(Stdio::null())
            .stderr(said.try_clone().unwrap())
            .spawn()
            .expect("it starts; traced, it needs strace: `make test` installs it");
        Self {
            child,
            said,
            address: start.address.clone(),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(5))
                .build()
                .unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Does something with a register; gives what it holds, and the entry that it did it by.
    pub fn operation(&self, register: usize, action: &Value) -> Option<(i64, u64)> {
        self.operation_on(&format!("r{register}"), action)
    }

    pub fn operation_on(&self, register: &str, action: &Value) -> Option<(i64, u64)> {
        let asked = json!({"name": register, "action": action, "request": null});
        let url = format!("http://{}/operation", self.address);
        let sent = self.http.post(url).json(&asked);
        self.runtime.block_on(async {
            let answer = sent.send().await.ok()?.error_for_status().ok()?;
            let answer: Value = answer.json().await.ok()?;
            let value = answer["value"].as_i64().unwrap_or(0);
            Some((value, answer["index"].as_u64().unwrap()))
        })
    }

    pub fn command(&self, command: ClusterCommand) -> Result<String, String> {
        let config = NodeConfig {
            name: "operator".into(),
            address: String::new(),
            peers: None,
            data_dir: std::path::PathBuf::new(),
            network: "histories".into(),
            secret: Secret::new(SECRET),
            tls: None,
            settings: Settings::default(),
        };
        let output =
            consensus::testing::command_output(&config, "register", &self.address, command, false);
        self.runtime.block_on(output)
    }

    pub fn status(&self) -> Option<Status> {
        let said = self.command(ClusterCommand::Status { json: true }).ok()?;
        Some(serde_json::from_str(&said).unwrap())
    }

    /// Waits until a node that may be alone speaks; `Err` with what it said when it ends before.
    pub fn speaks(&mut self) -> Result<(), String> {
        self.wait(|process| process.status().is_some())
    }

    /// Waits until it can be worked with; `Err` with what it said when it ends before.
    pub fn ready(&mut self) -> Result<(), String> {
        self.wait(|process| process.operation(0, &json!("get")).is_some())
    }

    fn wait(&mut self, reached: impl Fn(&Self) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !reached(self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("{status}: {}", self.said()));
            }
            if Instant::now() > deadline {
                let status = self.status();
                return Err(format!("not so: {status:?}: {}", self.said()));
            }
            pause();
        }
        Ok(())
    }

    /// What it has written about itself.
    fn said(&mut self) -> String {
        let mut said = String::new();
        self.said.rewind().unwrap();
        self.said.read_to_string(&mut said).unwrap();
        said
    }

    /// Kills what is traced; the tracer ends with it.
    pub fn kill_traced(mut self) {
        let tracer = self.child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
        let traced: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(traced).unwrap(), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
