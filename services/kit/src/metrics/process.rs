//! The figures of the process itself, under the names that Prometheus clients agree on. Read from
//! /proc at each scrape; absent where there is none.

use std::fmt::Write as _;

/// Fields of /proc/self/stat after the command's name, counted from 0 (proc_pid_stat(5) counts
/// from 1, and the name is its field 2).
const STAT_UTIME: usize = 11;
const STAT_STIME: usize = 12;
const STAT_THREADS: usize = 17;
const STAT_START_TIME: usize = 19;
const STAT_RESIDENT_PAGES: usize = 21;

pub(super) fn render() -> String {
    let mut text = String::new();
    let mut line = |name: &str, kind: &str, value: f64| {
        let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
    };
    if let Some(stat) = Stat::read() {
        line(
            "process_resident_memory_bytes",
            "gauge",
            stat.resident_bytes,
        );
        line("process_cpu_seconds_total", "counter", stat.cpu_seconds);
        line("process_threads", "gauge", stat.threads);
        if let Some(boot) = boot_time() {
            line(
                "process_start_time_seconds",
                "gauge",
                boot + stat.start_seconds_after_boot,
            );
        }
    }
    if let Some(open) = open_fds() {
        line("process_open_fds", "gauge", open);
    }
    if let Some(max) = max_fds() {
        line("process_max_fds", "gauge", max);
    }
    text
}

struct Stat {
    resident_bytes: f64,
    cpu_seconds: f64,
    threads: f64,
    start_seconds_after_boot: f64,
}

impl Stat {
    #[expect(
        clippy::cast_precision_loss,
        reason = "page size and clock ticks are small"
    )]
    fn read() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The command's name is in parentheses and may contain anything, parentheses too.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |index: usize| fields.get(index)?.parse::<f64>().ok();
        let ticks_a_second = rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            resident_bytes: field(STAT_RESIDENT_PAGES)? * rustix::param::page_size() as f64,
            cpu_seconds: (field(STAT_UTIME)? + field(STAT_STIME)?) / ticks_a_second,
            threads: field(STAT_THREADS)?,
            start_seconds_after_boot: field(STAT_START_TIME)? / ticks_a_second,
        })
    }
}

/// Seconds between the Unix epoch and the start of the machine.
fn boot_time() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 open files")]
fn open_fds() -> Option<f64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

fn max_fds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limits = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    limits.split_whitespace().next()?.parse().ok()
}
