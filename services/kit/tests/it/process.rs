//! The example `greeter` as a real process.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The example's binary, which cargo builds beside the tests.
pub fn greeter() -> Command {
    let test = std::env::current_exe().expect("a path");
    let target = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("deps/ in a profile's folder");
    let binary: PathBuf = target.join("examples").join("greeter");
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build -p kit --example greeter`",
        binary.display()
    );
    let mut command = Command::new(binary);
    command
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running greeter; killed when it is dropped.
pub struct Greeter {
    pub address: SocketAddr,
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Greeter {
    /// Starts it on a port of its own and waits until it listens.
    pub fn start(configure: impl FnOnce(&mut Command)) -> Self {
        let mut command = greeter();
        command.args(["--set", "listen=127.0.0.1:0", "start"]);
        configure(&mut command);
        let mut child = command.spawn().expect("started");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let listening = next_line(&mut log, "listening");
        let address = listening["address"]
            .as_str()
            .expect("an address")
            .parse()
            .expect("an address");
        Self {
            address,
            child,
            log,
        }
    }

    /// The next log line with this message.
    pub fn log(&mut self, message: &str) -> Value {
        next_line(&mut self.log, message)
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("signalled");
    }

    /// Waits for its end; the exit code, if it had one.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("ended").code()
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(log: &mut BufReader<ChildStderr>, message: &str) -> Value {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        let length = log.read_line(&mut line).expect("readable");
        assert!(length > 0, "no {message:?} in:\n{seen}");
        let parsed: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        if parsed["message"] == message {
            return parsed;
        }
        seen.push_str(&line);
    }
}
