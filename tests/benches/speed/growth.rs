//! What a write and a read cost as our store grows: in members, in the log, in the database.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tests::bench::document::table;
use tests::bench::spread::Spread;

use crate::Arguments;
use crate::load::{self, Load, Operation, VALUE_BYTES};
use crate::store::Store;

const MEMBERS: [u16; 3] = [3, 5, 7];
const LOG_ENTRIES: [u32; 3] = [10_000, 100_000, 1_000_000];
/// The database is measured at these shares of its full size.
const DATABASE_PERCENT: [u32; 4] = [2, 10, 50, 100];
/// The last member is down while the database grows from here on.
const ABSENT_FROM_PERCENT: u32 = 50;
/// Bytes of the values that make the database large.
const LARGE_VALUE_BYTES: usize = 4096;
const CLIENTS: usize = 64;
/// Puts while a member catches up are measured for so many times as long as others.
const CATCHING_UP: f64 = 4.0;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    members: Vec<Step>,
    log: Vec<Step>,
    database: Vec<Step>,
    absence: Absence,
}

/// Both operations, and a node's start, at one size.
#[derive(Debug, Serialize)]
struct Step {
    /// Members, or entries, or bytes.
    size: u64,
    put: Load,
    get: Load,
    /// From the start of a member that was killed until it is ready.
    ready_ms: f64,
    /// Of the largest node.
    resident_bytes: u64,
}

/// One member was down for a long time.
#[derive(Debug, Serialize)]
struct Absence {
    /// Written meanwhile.
    bytes: u64,
    seconds: f64,
    /// At most, of the largest of the others, before and afterwards.
    resident_before: u64,
    resident_after: u64,
    /// From its start until it has everything.
    ready_ms: f64,
    /// Puts from its start on, for so many seconds: it is sent what it missed meanwhile.
    put: Load,
    put_seconds: f64,
}

/// Lets three clusters grow, one after the other.
pub async fn measure(arguments: &Arguments, data: &Path) -> anyhow::Result<Measured> {
    let members = members(arguments, &data.join("members")).await?;
    let log = log(arguments, &data.join("log")).await?;
    let (database, absence) = database(arguments, &data.join("database")).await?;
    Ok(Measured {
        members,
        log,
        database,
        absence,
    })
}

/// Starts `nodes` of our store, whose core has these settings.
async fn start(
    arguments: &Arguments,
    dir: &Path,
    nodes: u16,
    settings: serde_json::Value,
) -> anyhow::Result<Store> {
    let environment = [
        ("BENCH_THREADS", arguments.threads.to_string()),
        ("BENCH_SETTINGS", settings.to_string()),
    ];
    Store::start("ours", nodes, &arguments.node, dir, &environment).await
}

/// All clusters take turns.
async fn members(arguments: &Arguments, data: &Path) -> anyhow::Result<Vec<Step>> {
    let mut stores = Vec::new();
    for nodes in MEMBERS {
        eprintln!(
            "growth: starting {nodes} members, writing {} keys",
            arguments.keys
        );
        let dir = data.join(nodes.to_string());
        let store = start(arguments, &dir, nodes, serde_json::json!({})).await?;
        let leader = store.settle().await?;
        load::fill(&store, leader, 0..arguments.keys, VALUE_BYTES).await?;
        store.pause().await?;
        stores.push(store);
    }
    let mut rounds: Vec<Vec<Step>> = MEMBERS.iter().map(|_| Vec::new()).collect();
    for round in 0..arguments.rounds {
        for turn in 0..stores.len() {
            let at = (turn + round) % stores.len();
            stores[at].resume().await?;
            rounds[at]
                .push(step(arguments, &stores[at], MEMBERS[at].into(), arguments.keys).await?);
            stores[at].pause().await?;
        }
    }
    Ok(rounds.into_iter().flatten().collect())
}

/// The log is never shortened.
async fn log(arguments: &Arguments, data: &Path) -> anyhow::Result<Vec<Step>> {
    let settings = serde_json::json!({
        "snapshot_bytes": u64::MAX >> 1, "snapshot_interval_s": u32::MAX,
    });
    let store = start(arguments, data, 3, settings).await?;
    let (mut steps, mut entries) = (Vec::new(), 0);
    for wanted in LOG_ENTRIES {
        eprintln!("growth: a log of {wanted} entries");
        let leader = store.settle().await?;
        while entries < wanted {
            // The same keys again, so that only the log grows.
            let keys = (wanted - entries).min(arguments.keys);
            load::fill(&store, leader, 0..keys, VALUE_BYTES).await?;
            entries += keys;
        }
        steps.push(
            step(
                arguments,
                &store,
                wanted.into(),
                LOG_ENTRIES[0].min(arguments.keys),
            )
            .await?,
        );
        entries += u32::try_from(steps[steps.len() - 1].put.operations)?;
    }
    Ok(steps)
}

async fn database(arguments: &Arguments, data: &Path) -> anyhow::Result<(Vec<Step>, Absence)> {
    let store = start(arguments, data, 3, serde_json::json!({})).await?;
    let values = u32::try_from(arguments.database_mib * (1 << 20) / LARGE_VALUE_BYTES as u64)?;
    let absentee = store.nodes().len() - 1;
    let (mut steps, mut written, mut absence) = (Vec::new(), 0, None);
    for percent in DATABASE_PERCENT {
        let wanted = values / 100 * percent;
        let bytes = u64::from(wanted) * LARGE_VALUE_BYTES as u64;
        eprintln!("growth: a database of {} MiB", bytes >> 20);
        let absent = written > 0 && percent > ABSENT_FROM_PERCENT;
        let before = store.resident_max()?;
        if absent {
            store.nodes()[absentee].kill().await?;
        }
        let leader = store.settle().await?;
        let begun = Instant::now();
        load::fill(&store, leader, written..wanted, LARGE_VALUE_BYTES).await?;
        if absent {
            let seconds = begun.elapsed().as_secs_f64();
            let resident_after = store.resident_max()?;
            let (ready_ms, put) = tokio::try_join!(
                ready(&store, absentee),
                meanwhile(arguments, &store, leader)
            )?;
            absence = Some(Absence {
                bytes: u64::from(wanted - written) * LARGE_VALUE_BYTES as u64,
                seconds,
                resident_before: before,
                resident_after,
                ready_ms,
                put,
                put_seconds: CATCHING_UP * arguments.seconds,
            });
        }
        written = wanted;
        steps.push(step(arguments, &store, bytes, wanted).await?);
    }
    Ok((steps, absence.context("nobody was away")?))
}

/// Loads a store that runs, and starts one of its followers anew.
async fn step(arguments: &Arguments, store: &Store, size: u64, keys: u32) -> anyhow::Result<Step> {
    let time = Duration::from_secs_f64(arguments.seconds);
    let keys = (keys, &[VALUE_BYTES, LARGE_VALUE_BYTES][..]);
    let leader = store.settle().await?;
    let put = load::run(store, leader, Operation::Put, CLIENTS, keys, time).await?;
    let get = load::run(store, leader, Operation::Get, CLIENTS, keys, time).await?;
    let resident_bytes = store.resident_max()?;
    let follower = (leader + 1) % store.nodes().len();
    store.nodes()[follower].kill().await?;
    let ready_ms = ready(store, follower).await?;
    eprintln!(
        "growth: at {size}: {:.0} puts/s, {:.0} gets/s, ready after {ready_ms:.0} ms",
        put.per_second, get.per_second
    );
    Ok(Step {
        size,
        put,
        get,
        ready_ms,
        resident_bytes,
    })
}

/// Puts to a leader that has something else to do: to few keys, so that the disk serves that alone.
async fn meanwhile(arguments: &Arguments, store: &Store, leader: usize) -> anyhow::Result<Load> {
    let time = Duration::from_secs_f64(CATCHING_UP * arguments.seconds);
    let keys = (LOG_ENTRIES[0].min(arguments.keys), &[VALUE_BYTES][..]);
    load::run(store, leader, Operation::Put, CLIENTS, keys, time).await
}

/// Starts a node that is down; how long it takes to be ready, in milliseconds.
async fn ready(store: &Store, at: usize) -> anyhow::Result<f64> {
    let begun = Instant::now();
    store.nodes()[at].start().await?;
    store.nodes()[at].wait_ready().await?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

impl Measured {
    /// The tables of the document.
    pub fn tables(&self) -> String {
        let absence = &self.absence;
        let all = [&self.members, &self.log, &self.database];
        let errors: u64 = all
            .into_iter()
            .flatten()
            .map(|step| step.put.errors + step.get.errors)
            .sum();
        let rounds = self.members.len() / MEMBERS.len();
        format!(
            "{CLIENTS} clients put and then get values of {VALUE_BYTES} bytes; then a follower is \
             killed and started. Requests that failed: {errors}. Medians of {rounds} rounds over the \
             members.\n\n{}\n{}\n{}\nWhile one of three members was down, {} MiB were \
             written in {:.0} s. Resident memory of the largest node: {} MiB before, {} MiB \
             afterwards. The member was ready {:.1} s after its start, with everything; in the first \
             {:.0} s the leader took {:.0} puts/s with a p99 of {:.1} ms.",
            Self::table("members", &self.members, |size| size.to_string()),
            Self::table("entries in the log", &self.log, |size| size.to_string()),
            Self::table("MiB of values", &self.database, |size| (size >> 20)
                .to_string()),
            absence.bytes >> 20,
            absence.seconds,
            absence.resident_before >> 20,
            absence.resident_after >> 20,
            absence.ready_ms / 1e3,
            absence.put_seconds,
            absence.put.per_second,
            absence.put.p99_ms,
        )
    }

    /// The medians of all rounds at each size.
    fn table(what: &str, steps: &[Step], size_text: fn(u64) -> String) -> String {
        let mut sizes: Vec<u64> = steps.iter().map(|step| step.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let rows = sizes.into_iter().map(|size| {
            let of = |figure: fn(&Step) -> f64, decimals| {
                let all = steps.iter().filter(|step| step.size == size).map(figure);
                Spread::of(all).map_or_else(String::new, |spread| spread.brief(decimals))
            };
            [
                size_text(size),
                of(|step| step.put.per_second, 0),
                of(|step| step.put.p99_ms, 1),
                of(|step| step.put.cpu_us_per_operation, 0),
                of(|step| step.get.per_second, 0),
                of(|step| step.get.p99_ms, 1),
                of(|step| step.ready_ms, 0),
                of(|step| (step.resident_bytes >> 20) as f64, 0),
            ]
        });
        let head = [
            what,
            "puts/s",
            "p99 ms",
            "CPU µs/put",
            "gets/s",
            "p99 ms",
            "ready ms",
            "memory MiB",
        ];
        table(head, rows)
    }
}
