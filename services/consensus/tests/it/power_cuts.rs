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

use consensus::testing::wire;
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tempfile::TempDir;

use self::disk::{Disk, RESTS, Rest};
use self::process::{Process, Start};
use self::trace::{Change, Event};
use crate::harness::{database, pause};

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
    /// What each register must hold at least if the power goes at that moment.
    fn promised(&self, moment: f64) -> BTreeMap<usize, i64> {
        let before = self.acknowledged.iter().filter(|(at, ..)| *at < moment);
        let promised = before.map(|(_, register, value)| (*register, *value));
        promised.collect()
    }

    /// Starts the node from what its disk held at that moment; `Err` with what is wrong then.
    fn check(&self, moment: f64, image: &Path) -> Result<(), String> {
        let mut process = Process::start(&Start::of("n1", image));
        process.ready()?;
        for (register, value) in self.promised(moment) {
            let found = process.operation(register, &json!("get"));
            let found = found.map(|(found, _)| found);
            // One more may have been under way.
            if found.is_none_or(|found| found < value || found > value + 1) {
                return Err(format!(
                    "r{register} holds {found:?}, {value} was acknowledged"
                ));
            }
        }
        Ok(())
    }
}

/// Where the power goes, and what becomes of that which was not synced by then.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// The events before it.
    point: usize,
    moment: f64,
    rest: Rest,
}

impl Cut {
    /// Right after the first `point` events. Before the first one nothing was promised.
    fn after(events: &[Event], point: usize, rest: Rest) -> Self {
        let last = events[..point].last();
        Self {
            point,
            moment: last.map_or(0.0, |last| last.at),
            rest,
        }
    }
}

/// A folder for a recording and for what disks held, and the seed of all that is left to chance.
struct Trial {
    seed: u64,
    folder: TempDir,
    images: AtomicUsize,
}

impl Trial {
    fn new() -> Self {
        let (seed, folder) = (rand::random(), tempfile::tempdir().unwrap());
        println!("seed {seed} in {}", folder.path().display());
        Self {
            seed,
            folder,
            images: AtomicUsize::new(0),
        }
    }

    fn random(&self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }

    /// What is wrong if the power goes there, by a `check` that is given the moment and what the disk
    /// held.
    fn problem(
        &self,
        events: &[Event],
        cut: Cut,
        check: impl Fn(f64, &Path) -> Result<(), String>,
    ) -> Option<String> {
        let Cut {
            point,
            moment,
            rest,
        } = cut;
        let events = &events[..point];
        // The same cut may be made twice at the same time.
        let number = self.images.fetch_add(1, Ordering::Relaxed);
        let image = format!("image-{number}-{point}-{rest:?}");
        let image = self.folder.path().join(image);
        Disk::after(events).after_power_loss(rest, &mut self.random(), &image);
        if let Err(what) = check(moment, &image) {
            let before = events.last().map(|last| told(&last.change));
            let before = before.unwrap_or_default();
            return Some(format!(
                "after event {point} ({before}), the rest {rest:?}: {what}"
            ));
        }
        std::fs::remove_dir_all(image).unwrap();
        None
    }

    /// The same at each of the cuts, by a few at a time: nothing may be wrong at any.
    fn cut(
        &self,
        events: &[Event],
        cuts: &[Cut],
        check: impl Fn(f64, &Path) -> Result<(), String> + Sync,
    ) {
        let (next, problems) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(cut) = cuts.get(next.fetch_add(1, Ordering::SeqCst)) {
                        let problem = self.problem(events, *cut, &check);
                        problems.lock().unwrap().extend(problem);
                    }
                });
            }
        });
        let problems = problems.into_inner().unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

impl Drop for Trial {
    /// A failure leaves the recording and what was found of the disk behind.
    fn drop(&mut self) {
        self.folder.disable_cleanup(std::thread::panicking());
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

/// Cuts the power at `points` moments, each with every fate of what was not synced.
fn cut(points: usize) {
    let trial = Trial::new();
    let recording = record(trial.folder.path());
    let (events, acknowledged) = (&recording.events, &recording.acknowledged);
    println!(
        "{} events, {} acknowledged",
        events.len(),
        acknowledged.len()
    );
    assert!(acknowledged.len() > 300);
    let mut random = trial.random();
    let cuts: Vec<Cut> = (0..points)
        .flat_map(|_| {
            let point = random.random_range(0..=events.len());
            RESTS.map(|rest| Cut::after(events, point, rest))
        })
        .collect();
    let check = |moment: f64, image: &Path| recording.check(moment, image);
    trial.cut(events, &cuts, check);

    // The control: the same look at a disk that has stopped to sync the log half way.
    let lying = without_syncs(events, events.len() / 2, "log.db");
    let end = Cut::after(&lying, lying.len(), Rest::Dropped);
    let found = trial.problem(&lying, end, check);
    assert!(found.is_some(), "lost writes were not missed");
}

#[test]
fn whatever_a_disk_holds_after_a_power_cut_every_acknowledged_write_is_there() {
    cut(15);
}

/// A process that ends while it syncs leaves behind what the next one reads, and what a loss of power
/// would take: nothing is built on it before it is synced.
#[test]
fn what_a_killed_process_had_not_synced_is_synced_before_it_is_counted_on() {
    let trial = Trial::new();
    let folder = trial.folder.path();
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    let traces = ["first", "second"].map(|life| folder.join(life));
    let mut start = Start::of("n1", &data);
    // The last that it writes to its log are the additions.
    start.settings["snapshot_bytes"] = json!(1 << 30);
    let mut first = Process::start(&Start {
        trace: Some(&traces[0]),
        ..start
    });
    first.ready().unwrap();
    for _ in 0..20 {
        first.operation(0, &json!({"add": 1})).unwrap();
    }
    first.kill_traced();
    let text = std::fs::read_to_string(&traces[0]).unwrap();
    let first_life = trace::parse(&text, &data);
    let log = |event: &Event| matches!(&event.change, Change::Sync(path) if path == Path::new("log.db-wal"));
    let killed = first_life.iter().rposition(log).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    Disk::after(&first_life[..killed]).after_power_loss(Rest::Kept, &mut trial.random(), &data);

    // It is not to stand for election, which would sync what it has found.
    let mut start = Start::of("n1", &data);
    start.settings["election_timeout_ms_min"] = json!(3_600_000);
    start.settings["election_timeout_ms_max"] = json!(7_200_000);
    let mut second = Process::start(&Start {
        trace: Some(&traces[1]),
        ..start.clone()
    });
    second.speaks().unwrap();
    let told = second.status().unwrap();
    second.kill_traced();
    assert!(told.last_index > told.applied_index, "{told:?}");

    let text = text + &std::fs::read_to_string(&traces[1]).unwrap();
    let mut events = trace::parse(&text, &data);
    for event in &mut events[killed..first_life.len()] {
        event.change = Change::Folder(PathBuf::new());
    }
    let check = |_: f64, image: &Path| {
        let select = "SELECT value FROM consensus_meta WHERE key = 'applied'";
        let applied: Vec<u8> = database(&consensus::state_path(image).unwrap())
            .query_row(select, [], |row| row.get(0))
            .map_err(|error| error.to_string())?;
        let applied = wire::LogId::decode(&applied[..]).unwrap().index;
        let mut process = Process::start(&Start {
            data: image,
            ..start.clone()
        });
        process.speaks()?;
        let last = process.status().expect("it speaks").last_index;
        if applied < told.durable_index || last < told.last_index {
            return Err(format!(
                "the log ends with {last} and the state with {applied}, where {} and {} were told",
                told.last_index, told.durable_index
            ));
        }
        Ok(())
    };
    let problem = |events: &[Event]| {
        let end = Cut::after(events, events.len(), Rest::Dropped);
        trial.problem(events, end, check)
    };
    assert_eq!(problem(&events), None);
    // The control: before the second life there is less.
    assert!(problem(&events[..first_life.len()]).is_some());
}

mod soak {
    #[test]
    fn whatever_a_disk_holds_after_any_of_many_power_cuts_every_acknowledged_write_is_there() {
        super::cut(1000);
    }
}
