//! Three nodes of provchain: capture, proofs, traces, memory and disk.

mod beside;
mod capture;
mod live;
mod queries;
mod recall;
mod tiles;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use devcluster::{Cluster, Workspace};
use serde::Serialize;
use tests::bench::document::table;
use tests::bench::process;
use tests::bench::spread::Spread;
use tests::bench::windows;

use self::beside::{BACKUP_SECONDS, Beside, PERSONS, Running};
use self::capture::{BATCH, Captured, WRITERS};
use self::live::{EVENTS_PER_SECOND, Live, SUBSCRIBERS};
use self::queries::Latencies;
use self::tiles::{CLIENTS, Tiles};
use crate::Arguments;

/// Events in a window of the capture.
const WINDOW: usize = 10_000;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    events_asked: usize,
    captured: Captured,
    beside: Beside,
    /// Events a second in each window.
    window_events: usize,
    paces: Vec<f64>,
    /// From the last acknowledgement until every node could trace every event.
    index_seconds: f64,
    inclusion: Latencies,
    trace: Latencies,
    recall: Latencies,
    tiles: Tiles,
    live: Live,
    nodes: Vec<NodeUse>,
}

/// What a node uses once everything is in.
#[derive(Debug, Serialize)]
struct NodeUse {
    name: String,
    resident_bytes: u64,
    resident_bytes_max: u64,
    log_bytes: u64,
    state_bytes: u64,
    index_bytes: u64,
}

/// Captures the sample, asks, and looks at what it took.
pub async fn measure(
    arguments: &Arguments,
    workspace: &Workspace,
    data: &Path,
) -> anyhow::Result<Measured> {
    let sample = data.join("sample");
    eprintln!("provchain: writing a sample of {} events", arguments.events);
    let (events, batch) = (arguments.events.to_string(), BATCH.to_string());
    let folder = sample.to_str().context("a folder that is not UTF-8")?;
    let command = [
        "sample", "--events", &events, "--batch", &batch, "--out", folder,
    ];
    run(&arguments.provchain, &command, None).await?;
    beside::name_persons(&sample)?;

    let nodes = Cluster::builder(workspace.catalogue(), "provchain")
        .dir(data.join("provchain"))
        .binary(&arguments.provchain)
        .env("LOG_LEVEL", "warn")
        // One client asks as often as it can, and without a token.
        .env("PROVCHAIN_RATE_PER_SECOND", "1000000")
        .env("PROVCHAIN_VISIBILITY_DEFAULT", "public");
    let cluster = beside::settings(nodes, data).start().await?;
    cluster.wait_ready().await?;
    let secret = cluster
        .secret("jwt")
        .context("the catalogue names no secret jwt")?;
    let token = async |role| {
        let command = [
            "token",
            "--subject",
            "bench",
            "--role",
            role,
            "--ttl",
            "12h",
        ];
        let token = run(&arguments.provchain, &command, Some(secret)).await?;
        anyhow::Ok(token.trim().to_owned())
    };
    let (admin, token) = (token("admin").await?, token("processor").await?);
    let mut urls = Vec::new();
    for node in cluster.nodes() {
        urls.push(node.url("api")?);
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(std::time::Duration::from_secs(60))
        .build()?;

    let running = Running::start(&client, &urls[0], (&admin, &token), data).await?;
    let (captured, acknowledged) = capture::run(&client, &urls, &token, &sample).await?;
    let (index_seconds, beside) = tokio::try_join!(
        queries::indexed(&client, &urls),
        running.end(captured.events)
    )?;
    let window_events = WINDOW.min(captured.events / 4).max(BATCH);
    let paces = windows::paces(&acknowledged, window_events);
    let inclusion = queries::inclusion(&client, &urls, captured.events).await?;
    let trace = queries::trace(&client, &urls, &sample).await?;
    let recall = recall::run(&client, &urls, &sample).await?;
    let tiles = tiles::run(&client, &urls).await?;
    let live = live::run(&client, &urls, &token).await?;
    let mut nodes = Vec::new();
    for node in cluster.nodes() {
        let memory = process::memory(node.pid().context("a node has ended")?)?;
        let data = node.data_dir();
        nodes.push(NodeUse {
            name: node.name().to_owned(),
            resident_bytes: memory.resident,
            resident_bytes_max: memory.resident_max,
            log_bytes: disk_bytes(&data, "log.db")?,
            state_bytes: disk_bytes(&data, "state")?,
            index_bytes: disk_bytes(&data, "index.db")?,
        });
    }
    cluster.stop().await?;
    Ok(Measured {
        events_asked: arguments.events,
        captured,
        beside,
        window_events,
        paces,
        index_seconds,
        inclusion,
        trace,
        recall,
        tiles,
        live,
        nodes,
    })
}

/// Runs a command of provchain and gives what it prints.
async fn run(
    provchain: &PathBuf,
    arguments: &[&str],
    jwt_secret: Option<&str>,
) -> anyhow::Result<String> {
    let mut command = tokio::process::Command::new(provchain);
    command.args(arguments).stderr(Stdio::inherit());
    if let Some(secret) = jwt_secret {
        command.env("JWT_SECRET", secret);
    }
    let output = command.output().await?;
    ensure!(
        output.status.success(),
        "provchain {}: {}",
        arguments[0],
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Bytes of the files whose names begin with `name`, and of those in folders of such a name.
fn disk_bytes(dir: &Path, name: &str) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(name) {
            bytes += match entry.file_type()?.is_dir() {
                true => disk_bytes(&entry.path(), "")?,
                false => entry.metadata()?.len(),
            };
        }
    }
    Ok(bytes)
}

impl Measured {
    /// The tables of the document.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts and bytes far below 2^52"
    )]
    pub fn tables(&self) -> String {
        let events = self.captured.events as f64;
        let stopped = if self.captured.events < self.events_asked {
            format!(
                ", stopped by the limit of time before {}",
                self.events_asked
            )
        } else {
            String::new()
        };
        let per_second = events / self.captured.seconds;
        let windows = Spread::of(self.paces.iter().copied())
            .map_or_else(String::new, |spread| spread.text(0));
        let trend = windows::trend_percent(&self.paces).map_or_else(
            || "too few windows".to_owned(),
            |percent| format!("{percent:+.1} %"),
        );
        let largest = |of: fn(&NodeUse) -> u64| self.nodes.iter().map(of).max().unwrap_or(0);
        let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
        let each = |of: fn(&NodeUse) -> u64| {
            let sum: u64 = self.nodes.iter().map(of).sum();
            sum as f64 / self.nodes.len() as f64 / events
        };
        let [log, state, index] = [
            each(|node| node.log_bytes),
            each(|node| node.state_bytes),
            each(|node| node.index_bytes),
        ];
        let rows = [
            [
                format!("capture of {events} events by {WRITERS} clients{stopped}"),
                "at least 1,500 events/s".to_owned(),
                format!(
                    "{per_second:.0} events/s ({} retries)",
                    self.captured.retries
                ),
            ],
            [
                format!(
                    "windows of {} events, median (lowest–highest)",
                    self.window_events
                ),
                String::new(),
                format!("{windows} events/s"),
            ],
            [
                "last quarter of the windows beside the first".to_owned(),
                "within 20 %".to_owned(),
                trend,
            ],
            [
                "from the last acknowledgement until all nodes' indexes hold everything".to_owned(),
                "stated".to_owned(),
                format!("{:.2} s", self.index_seconds),
            ],
            [
                format!(
                    "beside the capture: a backup due every {BACKUP_SECONDS} s, {PERSONS} people in \
                     a personal field, a webhook for every event"
                ),
                "nothing lost".to_owned(),
                format!(
                    "{} backups, {} events delivered, {:.2} s behind the last acknowledgement",
                    self.beside.backups, self.beside.delivered, self.beside.behind_seconds
                ),
            ],
            [
                format!("inclusion proof, p50 / p99 of {}", self.inclusion.requests),
                "p99 at most 5 ms".to_owned(),
                self.inclusion.text(),
            ],
            [
                format!(
                    "trace over {} hops, p50 / p99 of {} from {} items, {:.0} items an answer",
                    self.trace.hops, self.trace.requests, self.trace.subjects, self.trace.items
                ),
                "p99 at most 20 ms".to_owned(),
                self.trace.text(),
            ],
            [
                format!(
                    "recall with proofs, p50 / p99 of {} batches, {:.0} items an answer",
                    self.recall.requests, self.recall.items
                ),
                "p99 at most 200 ms".to_owned(),
                self.recall.text(),
            ],
            [
                format!(
                    "tiles of the tree, by {CLIENTS} clients, of {}",
                    self.tiles.tiles
                ),
                "at least 10,000/s".to_owned(),
                format!("{:.0}/s", self.tiles.per_second),
            ],
            [
                format!(
                    "{SUBSCRIBERS} subscribers hear of {EVENTS_PER_SECOND} events a second, p50 / p99 \
                     from the sending of the capture"
                ),
                "p99 at most 250 ms".to_owned(),
                format!("{:.0} / {:.0} ms", self.live.p50_ms, self.live.p99_ms),
            ],
            [
                "memory of the largest node, now / at most".to_owned(),
                "at most 1 GiB".to_owned(),
                format!(
                    "{} / {}",
                    mib(largest(|node| node.resident_bytes)),
                    mib(largest(|node| node.resident_bytes_max))
                ),
            ],
            [
                "disk per event: log + state + index".to_owned(),
                "stated".to_owned(),
                format!(
                    "{log:.0} + {state:.0} + {index:.0} = {:.0} bytes",
                    log + state + index
                ),
            ],
        ];
        let paces: Vec<String> = self.paces.iter().map(|pace| format!("{pace:.0}")).collect();
        format!(
            "{}\nEvents a second, window by window: {}.",
            table(["what", "bound", "measured"], rows),
            paces.join(", ")
        )
    }
}
