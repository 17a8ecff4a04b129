//! Our consensus core beside etcd, in turns.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tests::bench::document::table;
use tests::bench::spread::{Spread, quantile};

use crate::Arguments;
use crate::failover;
use crate::load::{self, Load, Operation, VALUE_BYTES};
use crate::store::{ETCD, Store};

const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const STORES: [&str; 2] = ["ours", ETCD];

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    etcd_version: String,
    loads: Vec<Point>,
    gaps: Vec<Gap>,
    memory: Vec<Memory>,
}

#[derive(Debug, Serialize)]
struct Point {
    round: usize,
    store: &'static str,
    operation: Operation,
    clients: usize,
    #[serde(flatten)]
    load: Load,
}

#[derive(Debug, Serialize)]
struct Gap {
    store: &'static str,
    ms: f64,
}

#[derive(Debug, Serialize)]
struct Memory {
    store: &'static str,
    /// Of the largest node, after all measurements.
    resident_bytes: u64,
}

/// Runs both stores, one at a time.
pub async fn measure(arguments: &Arguments, data: &Path) -> anyhow::Result<Measured> {
    let threads = [("BENCH_THREADS", arguments.threads.to_string())];
    let mut stores = Vec::new();
    for (name, binary, environment) in [
        (STORES[0], &arguments.node, &threads[..]),
        (STORES[1], &arguments.etcd, &[][..]),
    ] {
        eprintln!(
            "consensus: starting three nodes of {name}, writing {} keys",
            arguments.keys
        );
        let store = Store::start(name, 3, binary, data, environment).await?;
        let leader = store.settle().await?;
        load::fill(&store, leader, 0..arguments.keys, VALUE_BYTES).await?;
        store.pause().await?;
        stores.push(store);
    }
    let mut measured = Measured {
        etcd_version: version(&arguments.etcd).await?,
        loads: Vec::new(),
        gaps: Vec::new(),
        memory: Vec::new(),
    };
    for round in 0..arguments.rounds {
        measured.round(arguments, round, &stores).await?;
    }
    measured.kill(arguments.kills, &stores).await?;
    for store in &stores {
        let (store, resident_bytes) = (store.name, store.resident_max()?);
        measured.memory.push(Memory {
            store,
            resident_bytes,
        });
    }
    Ok(measured)
}

async fn version(etcd: &Path) -> anyhow::Result<String> {
    let output = tokio::process::Command::new(etcd)
        .arg("--version")
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next().context("etcd --version says nothing")?;
    Ok(line.trim_start_matches("etcd Version: ").to_owned())
}

impl Measured {
    /// Every measurement once; who goes first changes from round to round.
    async fn round(
        &mut self,
        arguments: &Arguments,
        round: usize,
        stores: &[Store],
    ) -> anyhow::Result<()> {
        let time = Duration::from_secs_f64(arguments.seconds);
        let keys = (arguments.keys, &[VALUE_BYTES][..]);
        let begun = Instant::now();
        for operation in [Operation::Put, Operation::Get] {
            for clients in CLIENTS {
                let mut line = format!("consensus: {operation:?}, {clients} clients:");
                for turn in 0..stores.len() {
                    let store = &stores[(turn + round) % stores.len()];
                    let leader = store.resume().await?;
                    let load = load::run(store, leader, operation, clients, keys, time).await?;
                    store.pause().await?;
                    line += &format!(" {} {:.0}/s", store.name, load.per_second);
                    self.loads.push(Point {
                        round,
                        store: store.name,
                        operation,
                        clients,
                        load,
                    });
                }
                eprintln!("{line}");
            }
        }
        let took = begun.elapsed().as_secs();
        eprintln!(
            "consensus: round {} of {}, {took} s",
            round + 1,
            arguments.rounds
        );
        Ok(())
    }

    async fn kill(&mut self, kills: usize, stores: &[Store]) -> anyhow::Result<()> {
        for number in 0..kills {
            let mut line = format!("consensus: leader {} of {kills} killed:", number + 1);
            for store in stores {
                let leader = store.resume().await?;
                let ms = failover::gap(store, leader).await?.as_secs_f64() * 1e3;
                store.pause().await?;
                line += &format!(" {} {ms:.0} ms", store.name);
                self.gaps.push(Gap {
                    store: store.name,
                    ms,
                });
            }
            eprintln!("{line}");
        }
        Ok(())
    }

    /// The tables of the document.
    pub fn tables(&self) -> String {
        let [rounds, kills] = [
            self.loads
                .iter()
                .map(|point| point.round + 1)
                .max()
                .unwrap_or(0),
            self.gaps.len() / STORES.len(),
        ];
        let errors: u64 = self.loads.iter().map(|point| point.load.errors).sum();
        let memory: Vec<String> = self
            .memory
            .iter()
            .map(|memory| format!("{} {} MiB", memory.store, memory.resident_bytes >> 20))
            .collect();
        format!(
            "etcd {}. Medians of {rounds} rounds, ratios (ours by etcd's) with the lowest and the \
             highest of the rounds; requests that failed: {errors}; resident memory of the \
             largest node afterwards: {}.\n\nDurable writes:\n\n{}\nLinearizable reads:\n\n{}\n\
             Time without writes after kill -9 of the leader, {kills} kills each:\n\n{}",
            self.etcd_version,
            memory.join(", "),
            self.loads_table(Operation::Put),
            self.loads_table(Operation::Get),
            self.gaps_table(),
        )
    }

    fn loads_table(&self, operation: Operation) -> String {
        let head = [
            "clients",
            "ops/s",
            "etcd",
            "ratio",
            "p50 ms",
            "etcd",
            "p99 ms",
            "etcd",
            "p99 ratio",
            "CPU µs/op",
            "etcd",
            "CPU ratio",
        ];
        let rows = CLIENTS.iter().map(|&clients| {
            let of = |figure: fn(&Load) -> f64| {
                STORES.map(|store| self.series(store, operation, clients, figure))
            };
            let pace = of(|load| load.per_second);
            let (p50, p99) = (of(|load| load.p50_ms), of(|load| load.p99_ms));
            let cpu = of(|load| load.cpu_us_per_operation);
            [
                clients.to_string(),
                median(&pace[0], 0),
                median(&pace[1], 0),
                ratio(&pace),
                median(&p50[0], 2),
                median(&p50[1], 2),
                median(&p99[0], 2),
                median(&p99[1], 2),
                ratio(&p99),
                median(&cpu[0], 0),
                median(&cpu[1], 0),
                ratio(&cpu),
            ]
        });
        table(head, rows)
    }

    /// A figure, round by round.
    fn series(
        &self,
        store: &str,
        operation: Operation,
        clients: usize,
        figure: fn(&Load) -> f64,
    ) -> Vec<f64> {
        self.loads
            .iter()
            .filter(|point| {
                (point.store, point.operation, point.clients) == (store, operation, clients)
            })
            .map(|point| figure(&point.load))
            .collect()
    }

    fn gaps_table(&self) -> String {
        let rows = STORES.iter().map(|&store| {
            let gaps: Vec<f64> = self
                .gaps
                .iter()
                .filter(|gap| gap.store == store)
                .map(|gap| gap.ms)
                .collect();
            let at = |share| quantile(&gaps, share).map_or_else(dash, |ms| format!("{ms:.0}"));
            [store.to_owned(), at(0.0), at(0.5), at(0.99), at(1.0)]
        });
        table(
            ["store", "shortest ms", "p50 ms", "p99 ms", "longest ms"],
            rows,
        )
    }
}

fn median(series: &[f64], decimals: usize) -> String {
    Spread::of(series.iter().copied())
        .map_or_else(dash, |spread| format!("{:.decimals$}", spread.median))
}

fn ratio([ours, theirs]: &[Vec<f64>; 2]) -> String {
    Spread::of_ratios(ours, theirs).map_or_else(dash, |spread| spread.text(2))
}

fn dash() -> String {
    "–".to_owned()
}
