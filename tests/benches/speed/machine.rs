//! The machine that is measured on.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tests::bench::spread::quantile;

/// Bytes of one synced append.
const BLOCK: usize = 4096;
/// Synced appends at most, and how long they may take together.
const SYNCS_MAX: usize = 500;
const SYNCING_MAX: Duration = Duration::from_secs(3);

/// What the figures depend on.
#[derive(Debug, Serialize)]
pub struct Machine {
    date: String,
    commit: String,
    profile: &'static str,
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    system: String,
    /// Milliseconds of `fdatasync` after an append of 4 KiB, in the folder of the data.
    sync_ms_p50: f64,
    sync_ms_p99: f64,
}

impl Machine {
    /// Looks around; syncs a file in `data`.
    pub async fn describe(root: &Path, data: &Path) -> anyhow::Result<Self> {
        let syncs = sync_times(&data.join("sync"))?;
        let info = fs::read_to_string("/proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let kib: u64 = field(&memory, "MemTotal:")
            .and_then(|text| text.split(' ').next()?.parse().ok())
            .context("/proc/meminfo has no MemTotal")?;
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let date = kit::clock::rfc3339(kit::clock::unix_ms());
        Ok(Self {
            date: date.split('T').next().unwrap_or(&date).to_owned(),
            commit: commit(root).await,
            profile: if cfg!(debug_assertions) {
                "dev"
            } else {
                "release"
            },
            processor: field(&info, "model name")
                .unwrap_or("an unnamed processor")
                .trim_start_matches([':', ' '])
                .to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            system: field(&release, "PRETTY_NAME=")
                .unwrap_or("Linux")
                .trim_matches('"')
                .to_owned(),
            sync_ms_p50: quantile(&syncs, 0.5).unwrap_or_default(),
            sync_ms_p99: quantile(&syncs, 0.99).unwrap_or_default(),
        })
    }

    /// All of it, for people.
    pub fn sentence(&self) -> String {
        format!(
            "Measured on {} at commit {} ({} profile): {} cores of {}, {} GiB of memory, {}, Linux \
             {}; a synced append of 4 KiB takes {:.2} ms (p50) and {:.2} ms (p99).",
            self.date,
            self.commit,
            self.profile,
            self.cores,
            self.processor,
            self.memory_gib,
            self.system,
            self.kernel,
            self.sync_ms_p50,
            self.sync_ms_p99,
        )
    }
}

/// What follows `name` on its line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// How long the disk takes to keep a little more, in milliseconds.
fn sync_times(path: &Path) -> anyhow::Result<Vec<f64>> {
    let context = || format!("syncing {}", path.display());
    let mut file = File::create(path).with_context(context)?;
    let (begun, mut times) = (Instant::now(), Vec::new());
    while times.len() < SYNCS_MAX && begun.elapsed() < SYNCING_MAX {
        file.write_all(&[0xA5; BLOCK]).with_context(context)?;
        let synced = Instant::now();
        file.sync_data().with_context(context)?;
        times.push(synced.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(path).with_context(context)?;
    Ok(times)
}

/// The commit that is checked out, with a mark when the files differ from it.
async fn commit(root: &Path) -> String {
    let described = tokio::process::Command::new("git")
        .args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=10",
            "--exclude=*",
        ])
        .current_dir(root)
        .output()
        .await;
    match described {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}
