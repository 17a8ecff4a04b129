//! The power goes at any moment of a node's life: every write of a real process to its data
//! directory is recorded, and what a disk could hold after each of them is started from again.

#[path = "power_cuts/disk.rs"]
mod disk;
#[path = "power_cuts/trace.rs"]
mod trace;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::disk::{Disk, RESTS, Rest};
use self::trace::{Change, Event};
use crate::harness::{PATIENCE, free_address, pause, register_node};

const REGISTERS: usize = 3;

/// A node as a process on a folder.
struct Process {
    child: Child,
    url: String,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

fn node(data: &Path, address: &str) -> Vec<(&'static str, String)> {
    let (host, port) = address.split_once(':').unwrap();
    let (_, metrics) = free_address()
        .split_once(':')
        .map(|(host, port)| (host.to_owned(), port.to_owned()))
        .unwrap();
    // The log is shortened and the state checkpointed all the time.
    let settings = json!({
        "heartbeat_ms": 50, "election_timeout_ms_min": 150, "election_timeout_ms_max": 250,
        "formation_wait_ms": 100, "snapshot_bytes": 4096, "log_keep_entries": 10,
    });
    vec![
        ("REGISTER_NAME", "n1".into()),
        ("REGISTER_HOST", host.into()),
        ("REGISTER_PORT", port.into()),
        ("REGISTER_METRICS_PORT", metrics),
        ("REGISTER_PEERS", String::new()),
        ("REGISTER_ADVERTISE", address.into()),
        ("REGISTER_DATA_DIR", data.display().to_string()),
        ("REGISTER_SECRET", crate::harness::SECRET.into()),
        ("REGISTER_SETTINGS", settings.to_string()),
    ]
}

impl Process {
    fn start(data: &Path, trace: Option<&Path>) -> Self {
        kit::tls::install_provider();
        let address = free_address();
        let mut command = match trace {
            None => Command::new(register_node()),
            Some(trace) => {
                let mut command = Command::new("strace");
                command.args(["-f", "-qq", "-ttt", "-y", "-xx", "-s", "16777216"]);
                command.args(["-e", &format!("trace={}", trace::CALLS), "-o"]);
                command.arg(trace).arg("--").arg(register_node());
                command
            }
        };
        let child = command
            .env_clear()
            .envs(node(data, &address))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts; traced, it needs strace: `make test` installs it");
        Self {
            child,
            url: format!("http://{address}"),
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

    fn operation(&self, register: usize, action: &Value) -> Option<i64> {
        let asked = json!({"name": format!("r{register}"), "action": action, "request": null});
        let sent = self
            .http
            .post(format!("{}/operation", self.url))
            .json(&asked);
        self.runtime.block_on(async {
            let answer = sent.send().await.ok()?.error_for_status().ok()?;
            let answer: Value = answer.json().await.ok()?;
            Some(answer["value"].as_i64().unwrap_or(0))
        })
    }

    /// Waits until it answers; `Err` with what it said when it ends before.
    fn ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while self.operation(0, &json!("get")).is_none() {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut said = String::new();
                self.child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                return Err(format!("{status}: {said}"));
            }
            if Instant::now() > deadline {
                return Err("it answers nothing".into());
            }
            pause();
        }
        Ok(())
    }

    /// Kills what is traced; the tracer ends with it.
    fn kill_traced(mut self) {
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

/// An addition that was acknowledged: when, to which register, and what it held then.
type Acknowledged = (f64, usize, i64);

struct Recording {
    events: Vec<Event>,
    acknowledged: Vec<Acknowledged>,
}

/// Three lives of a node, each killed while it is written to.
fn record(folder: &Path) -> Recording {
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    let mut text = String::new();
    let mut acknowledged = Vec::new();
    for life in 0..3 {
        let trace = folder.join(format!("trace-{life}"));
        let mut process = Process::start(&data, Some(&trace));
        process.ready().unwrap();
        let begun = Instant::now();
        // Long enough for the log to be shortened twice.
        for turn in 0.. {
            let register = turn % REGISTERS;
            let value = process.operation(register, &json!({"add": 1})).unwrap();
            acknowledged.push((
                kit::clock::now().as_duration().as_secs_f64(),
                register,
                value,
            ));
            if begun.elapsed() > Duration::from_millis(2500) && turn > 100 {
                break;
            }
            if turn % 50 == 49 {
                pause();
            }
        }
        process.kill_traced();
        text.push_str(&std::fs::read_to_string(trace).unwrap());
    }
    Recording {
        events: trace::parse(&text, &data),
        acknowledged,
    }
}

impl Recording {
    fn without_half_of_the_syncs(&self) -> Self {
        let mut events = self.events.clone();
        let half = events.len() / 2;
        for event in &mut events[half..] {
            if let Change::Sync(path) = &event.change
                && path.to_string_lossy().starts_with("log.db")
            {
                // Something that changes nothing, so that the others keep their places.
                event.change = Change::Folder(PathBuf::new());
            }
        }
        Self {
            events,
            acknowledged: self.acknowledged.clone(),
        }
    }

    /// What each register must hold at least if the power goes after so many events.
    fn promised(&self, point: usize) -> BTreeMap<usize, i64> {
        let mut promised = BTreeMap::new();
        let Some(last) = point.checked_sub(1) else {
            return promised;
        };
        let moment = self.events[last].at;
        for (at, register, value) in &self.acknowledged {
            if *at < moment {
                promised.insert(*register, *value);
            }
        }
        promised
    }

    /// What is wrong after a loss of power there.
    fn problem(&self, point: usize, rest: Rest, seed: u64, folder: &Path) -> Option<String> {
        let mut random = StdRng::seed_from_u64(seed);
        let image = folder.join(format!("image-{point}-{rest:?}"));
        Disk::after(&self.events[..point]).after_power_loss(rest, &mut random, &image);
        let mut process = Process::start(&image, None);
        let said = |what: String| {
            let before = point.checked_sub(1).map(|at| told(&self.events[at].change));
            Some(format!(
                "after event {point} ({before:?}), the rest {rest:?}: {what}"
            ))
        };
        if let Err(reason) = process.ready() {
            return said(reason);
        }
        for (register, value) in self.promised(point) {
            let found = process.operation(register, &json!("get"));
            if found.is_none_or(|found| found < value) {
                return said(format!(
                    "r{register} holds {found:?}, {value} was acknowledged"
                ));
            }
        }
        drop(process);
        std::fs::remove_dir_all(image).unwrap();
        None
    }
}

fn told(change: &Change) -> String {
    match change {
        Change::Write {
            path,
            offset,
            bytes,
        } => {
            format!("{} bytes to {} at {offset:?}", bytes.len(), path.display())
        }
        change => format!("{change:?}"),
    }
}

/// Cuts the power at `points` moments, each with every fate of what was not synced.
fn cut(points: usize) {
    let seed: u64 = rand::random();
    let mut folder = tempfile::tempdir().unwrap();
    // A failure leaves the recording and what was found of the disk behind.
    folder.disable_cleanup(true);
    println!("seed {seed} in {}", folder.path().display());
    let recording = Arc::new(record(folder.path()));
    let events = recording.events.len();
    println!(
        "{events} events, {} acknowledged",
        recording.acknowledged.len()
    );
    assert!(recording.acknowledged.len() > 300);
    let mut random = StdRng::seed_from_u64(seed);
    let cuts: Vec<(usize, Rest)> = (0..points)
        .flat_map(|_| {
            let point = random.random_range(0..=events);
            RESTS.map(|rest| (point, rest))
        })
        .collect();
    let (next, problems) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let cuts = Arc::new(cuts);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (recording, cuts) = (Arc::clone(&recording), Arc::clone(&cuts));
            let (next, problems) = (Arc::clone(&next), Arc::clone(&problems));
            let folder = folder.path().to_owned();
            std::thread::spawn(move || {
                while let Some((point, rest)) = cuts.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let found = recording.problem(*point, *rest, seed, &folder);
                    problems.lock().unwrap().extend(found);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let problems = std::mem::take(&mut *problems.lock().unwrap());
    assert!(problems.is_empty(), "{}", problems.join("\n"));

    // The control: the same look at a disk that has stopped to sync the log half way.
    let lying = recording.without_half_of_the_syncs();
    let found = lying.problem(lying.events.len(), Rest::Dropped, seed, folder.path());
    assert!(found.is_some(), "lost writes were not missed");
    folder.disable_cleanup(false);
}

#[test]
fn whatever_a_disk_holds_after_a_power_cut_every_acknowledged_write_is_there() {
    cut(15);
}

mod soak {
    #[test]
    fn whatever_a_disk_holds_after_any_of_many_power_cuts_every_acknowledged_write_is_there() {
        super::cut(1000);
    }
}
