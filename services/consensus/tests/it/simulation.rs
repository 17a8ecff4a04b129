//! Whole lives of clusters in simulated worlds: the real nodes on a network, disks and clocks in
//! memory, one thread to a world, and everything that happens in it decided by one number.
//!
//! `SIMULATION_SEED` lives through one world again and tells what happens in it; `SIMULATION_SEEDS`
//! sets how many there are, and `MINUTES` for how long the soak goes on.

#[path = "simulation/client.rs"]
mod client;
#[path = "simulation/disk.rs"]
mod disk;
#[path = "simulation/fire.rs"]
mod fire;
#[path = "simulation/life.rs"]
mod life;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/node.rs"]
mod node;
#[path = "simulation/oracle.rs"]
mod oracle;
#[path = "simulation/panics.rs"]
mod panics;
#[path = "simulation/world.rs"]
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::life::{Life, Plan, Total};
use self::world::lock;
use crate::histories::setting;

/// Worlds that are lived through with every run of the tests: always the same, so that one that
/// fails does so because of a change.
const WORLDS: u64 = 1_000;
/// So many failures are enough to see.
const FAILURES_MAX: usize = 5;

/// What is wrong with the world of this seed.
fn problems(seed: u64, plan: Plan, total: &Mutex<Total>) -> Vec<String> {
    match std::panic::catch_unwind(|| Life::lived(seed, plan, false)) {
        Ok(life) => {
            lock(total).add(&life);
            life.problems
        }
        Err(_) => vec!["it panicked".to_owned()],
    }
}

/// Lives through the worlds of these seeds, on two threads, until then at the latest. Gives what
/// went wrong, by seed.
fn live_through(
    seeds: std::ops::Range<u64>,
    until: Option<Instant>,
    plan: Plan,
    failures_max: usize,
) -> Vec<(u64, String)> {
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let (total, failures) = (Mutex::default(), Mutex::new(Vec::new()));
    let goes_on =
        || lock(&failures).len() < failures_max && until.is_none_or(|until| Instant::now() < until);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while goes_on() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let problems = problems(seed, plan, &total);
                    if !problems.is_empty() {
                        lock(&failures).push((seed, problems.join("\n")));
                    }
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    println!("{seconds:.1} s for {:?}", lock(&total));
    let mut failures = lock(&failures).clone();
    failures.sort();
    failures
}

/// Fails with what went wrong, and how to see it again.
fn assert_none(failures: &[(u64, String)]) {
    for (seed, problems) in failures {
        println!(
            "{problems}\nagain: SIMULATION_SEED={seed} cargo test --workspace --test it \
             simulation::clusters -- --nocapture\n"
        );
    }
    assert!(failures.is_empty(), "{} worlds failed", failures.len());
}

#[test]
fn clusters_live_through_fire() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        let life = Life::lived(seed, Plan::default(), true);
        println!("{} events, digest {}", life.trace.len(), life.digest());
        assert_eq!(life.problems, Vec::<String>::new());
        return;
    }
    let count = setting("SIMULATION_SEEDS").unwrap_or(WORLDS);
    let failures = live_through(0..count, None, Plan::default(), FAILURES_MAX);
    assert_none(&failures);
}

mod soak {
    use super::*;

    #[test]
    fn clusters_live_through_fire() {
        let minutes: u64 = setting("MINUTES").unwrap_or(60);
        let until = Instant::now() + Duration::from_secs(60 * minutes);
        let first = u64::from(rand::random::<u32>()) << 24;
        println!("from SIMULATION_SEED={first} on for {minutes} minutes");
        let failures = live_through(first..u64::MAX, Some(until), Plan::default(), FAILURES_MAX);
        assert_none(&failures);
    }
}

#[test]
fn a_seed_repeats_its_world() {
    let count = setting("SIMULATION_SEEDS").unwrap_or(8);
    let mut digests = std::collections::BTreeSet::new();
    for seed in 0..count {
        let [one, other] = [0, 1].map(|_| Life::lived(seed, Plan::default(), false));
        let mut lines = one.trace.iter().zip(&other.trace);
        let differ = lines.find(|(one, other)| one != other);
        assert_eq!(differ, None, "of the world {seed}");
        assert_eq!(one.digest(), other.digest());
        digests.insert(one.digest());
    }
    assert_eq!(digests.len() as u64, count, "no two worlds are the same");
}

/// Controls: what must be caught, and within how many worlds.
const CONTROL: u64 = 200;

#[test]
fn disks_that_lie_about_syncing_are_caught() {
    let plan = Plan {
        disks_lie: true,
        ..Plan::default()
    };
    assert_ne!(live_through(0..CONTROL, None, plan, 1), []);
}

#[test]
fn reads_that_ask_nobody_are_caught() {
    let plan = Plan {
        careless: true,
        ..Plan::default()
    };
    assert_ne!(live_through(0..CONTROL, None, plan, 1), []);
}
