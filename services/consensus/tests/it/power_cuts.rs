//! The power goes at any moment of a node's life: every write of a real process to its data
//! directory is recorded, and what a disk could hold after each of them is started from again.

#[path = "power_cuts/disk.rs"]
mod disk;
#[path = "power_cuts/installations.rs"]
mod installations;
#[path = "power_cuts/process.rs"]
mod process;
#[path = "power_cuts/trace.rs"]
mod trace;
#[path = "power_cuts/votes.rs"]
mod votes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use self::disk::{Disk, RESTS, Rest};
use self::process::{Process, Start};
use self::trace::{Change, Event};
use crate::harness::pause;

const REGISTERS: usize = 3;

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
        let mut process = Process::start(&Start {
            trace: Some(&trace),
            ..Start::of("n1", &data)
        });
        process.ready().unwrap();
        let begun = Instant::now();
        // Long enough for the log to be shortened twice.
        for turn in 0.. {
            let register = turn % REGISTERS;
            let added = process.operation(register, &json!({"add": 1}));
            let (value, _) = added.unwrap();
            acknowledged.push((now(), register, value));
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
        let mut process = Process::start(&Start::of("n1", &image));
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
            let found = found.map(|(found, _)| found);
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

/// Seconds since 1970, as the recording has them.
fn now() -> f64 {
    kit::clock::now().as_duration().as_secs_f64()
}

/// The same without what was synced of files with such names, from some event on.
fn without_syncs(events: &[Event], from: usize, name: &str) -> Vec<Event> {
    let mut events = events.to_vec();
    for event in &mut events[from..] {
        if let Change::Sync(path) = &event.change
            && path.to_string_lossy().starts_with(name)
        {
            // Something that changes nothing, so that the others keep their places.
            event.change = Change::Folder(PathBuf::new());
        }
    }
    events
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

/// What a look at each of the cases finds, by a few at a time.
fn each<T: Sync>(cases: &[T], look: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let (next, problems) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    problems.lock().unwrap().extend(look(case));
                }
            });
        }
    });
    problems.into_inner().unwrap()
}

/// Cuts the power at `points` moments, each with every fate of what was not synced.
fn cut(points: usize) {
    let seed: u64 = rand::random();
    let mut folder = tempfile::tempdir().unwrap();
    // A failure leaves the recording and what was found of the disk behind.
    folder.disable_cleanup(true);
    println!("seed {seed} in {}", folder.path().display());
    let recording = record(folder.path());
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
    let look =
        |(point, rest): &(usize, Rest)| recording.problem(*point, *rest, seed, folder.path());
    let problems = each(&cuts, look);
    assert!(problems.is_empty(), "{}", problems.join("\n"));

    // The control: the same look at a disk that has stopped to sync the log half way.
    let lying = Recording {
        events: without_syncs(&recording.events, events / 2, "log.db"),
        acknowledged: recording.acknowledged.clone(),
    };
    let found = lying.problem(events, Rest::Dropped, seed, folder.path());
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
