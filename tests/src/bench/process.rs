//! What processes have used, from `/proc` (proc(5)).

use std::fs;
use std::io;

/// Clock ticks of `/proc` in a second. Linux has shown 100 to user space on every architecture
/// since 2.6, whatever it counts with itself.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time of a process so far, in user space and in the kernel together, in microseconds;
/// exact to 10,000.
///
/// # Errors
/// There is no such process.
pub fn cpu_micros(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_cpu_micros(&stat).ok_or_else(|| malformed("stat"))
}

/// Fields 14 and 15, `utime` and `stime`. The second field, the command in parentheses, may itself
/// hold spaces and parentheses: fields are counted after the last one.
fn parse_cpu_micros(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some((user + kernel) * (1_000_000 / TICKS_PER_SECOND))
}

/// Resident memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub resident: u64,
    /// At most so far (`VmHWM`).
    pub resident_max: u64,
}

/// The resident memory of a process.
///
/// # Errors
/// There is no such process.
pub fn memory(pid: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_memory(&status).ok_or_else(|| malformed("status"))
}

fn parse_memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    Some(Memory {
        resident: bytes("VmRSS:")?,
        resident_max: bytes("VmHWM:")?,
    })
}

fn malformed(file: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("/proc/<pid>/{file} looks unlike proc(5)"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_user_and_kernel_time_together() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 0 0 0 0 0 150 25 7 7 20 0 1 0 98765 0 0";
        assert_eq!(parse_cpu_micros(stat), Some(1_750_000));
        assert_eq!(parse_cpu_micros("42 (a) S 1"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let status = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let expected = Memory {
            resident: 1 << 20,
            resident_max: 2 << 20,
        };
        assert_eq!(parse_memory(status), Some(expected));
        assert_eq!(parse_memory("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let me = std::process::id();
        assert!(cpu_micros(me).is_ok());
        assert!(memory(me).unwrap().resident > 0);
    }
}
