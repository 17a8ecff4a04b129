//! A process that cannot be mistaken for another one.
//!
//! A pid alone is not a name: the kernel gives it to somebody else once its owner is gone. A
//! [`Process`] holds a pid file descriptor, so that a signal reaches the process that was started
//! or nobody; what is written to disk is an [`Identity`], which adds when the process began.

mod orphans;
mod spawn;
mod user;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, kill_process_group, pidfd_open, pidfd_send_signal, test_kill_process_group,
};
use serde::{Deserialize, Serialize};

pub(crate) use orphans::NODE_DIR;
pub use orphans::orphans;
pub use rustix::process::Signal;
pub(crate) use spawn::{Launch, Lifetime, spawn};
pub(crate) use user::User;

/// How often a process that is waited for is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How long processes of a killed group are waited for: they end at once, but somebody else reaps
/// them.
const GROUP_PATIENCE: Duration = Duration::from_secs(1);

/// What proves that a pid is still the process that it was.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When it began, in clock ticks since the machine booted (field 22 of `/proc/<pid>/stat`).
    pub started_ticks: u64,
    /// Which boot that was (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

impl Identity {
    /// Reads the identity of a process that exists.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned();
        Ok(Self {
            pid,
            started_ticks: Stat::read(pid)?.started_ticks,
            boot_id,
        })
    }
}

/// A started or adopted process.
#[derive(Debug)]
pub struct Process {
    identity: Identity,
    fd: OwnedFd,
    /// Present when it is our child, which we have to reap.
    child: Option<Mutex<Child>>,
    killed_on_drop: bool,
    /// Whether what no process can handle goes to all that it has forked, too.
    leads_group: bool,
}

impl Process {
    /// Takes charge of a recorded process, which somebody else started; `None` when it is gone.
    ///
    /// # Errors
    /// The process exists, but may not be looked at.
    pub fn adopt(identity: &Identity) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        // The descriptor first: what is read from /proc afterwards speaks of the same process, or
        // of one that began later and therefore has another identity.
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let same = Identity::of(identity.pid).is_ok_and(|found| found == *identity);
        let process = Self {
            identity: identity.clone(),
            fd,
            child: None,
            killed_on_drop: false,
            leads_group: false,
        };
        Ok((same && process.is_running()).then_some(process))
    }

    fn of_child(child: Child, killed_on_drop: bool) -> io::Result<Self> {
        let pid = child.id();
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let fd = pidfd_open(raw.ok_or(io::ErrorKind::InvalidData)?, PidfdFlags::empty())?;
        let identity = Identity::of(pid)?;
        Ok(Self {
            identity,
            fd,
            child: Some(Mutex::new(child)),
            killed_on_drop,
            leads_group: false,
        })
    }

    /// The same process, as one that has forked others, in the group that it leads.
    pub(crate) fn leading(mut self, leads_group: bool) -> Self {
        self.leads_group = leads_group;
        self
    }

    /// What proves that it is this process.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it has not ended yet; a paused process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        // A pid file descriptor becomes readable when its process ends.
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    /// Sends a signal; one to a process that has ended is lost without an error.
    ///
    /// # Errors
    /// The process belongs to another user.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a signal to the process, and to those that it has forked.
    ///
    /// # Errors
    /// The process belongs to another user.
    pub fn signal_all(&self, signal: Signal) -> io::Result<()> {
        // The number is still its own while it runs.
        let group = self.group().filter(|_| self.is_running());
        match group.map(|group| kill_process_group(group, signal)) {
            None => self.signal(signal),
            Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Kills it, and waits until nothing is left of it.
    ///
    /// # Errors
    /// The process belongs to another user.
    pub async fn kill(&self) -> io::Result<()> {
        self.signal_all(Signal::KILL)?;
        self.ended().await;
        let gone = async {
            while self
                .group()
                .is_some_and(|group| test_kill_process_group(group).is_ok())
            {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        // Where nobody reaps orphans they are dead all the same.
        let _ = tokio::time::timeout(GROUP_PATIENCE, gone).await;
        Ok(())
    }

    fn group(&self) -> Option<Pid> {
        let pid = i32::try_from(self.identity.pid).ok();
        pid.filter(|_| self.leads_group).and_then(Pid::from_raw)
    }

    /// Stops it from running at all until [`Signal::CONT`], and waits until it has stopped.
    ///
    /// # Errors
    /// The process belongs to another user.
    pub async fn pause(&self) -> io::Result<()> {
        self.signal_all(Signal::STOP)?;
        while self.is_running() && !Stat::read(self.identity.pid)?.is_paused() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Waits until it has ended. The status is known only of our own children.
    pub async fn ended(&self) -> Option<ExitStatus> {
        // Asked again and again: registering a descriptor with the runtime's poller is unsafe.
        while self.is_running() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.reap()
    }

    /// How it ended, if it has and its status is known.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        if self.is_running() { None } else { self.reap() }
    }

    fn reap(&self) -> Option<ExitStatus> {
        let child = self.child.as_ref()?;
        child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait()
            .ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.killed_on_drop {
            // Nothing can be done about a failure here, and the kernel repeats the attempt when
            // this process ends.
            let _ = self.signal_all(Signal::KILL);
            self.reap();
        }
    }
}

/// The fields of `/proc/<pid>/stat` that are used here (proc_pid_stat(5)).
struct Stat {
    state: char,
    started_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// The second field, the command in parentheses, may itself hold spaces and parentheses:
    /// fields are counted after the last one.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let started_ticks = fields.nth(18)?.parse().ok()?;
        Some(Self {
            state,
            started_ticks,
        })
    }

    fn is_paused(&self) -> bool {
        self.state == 'T'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let text = "42 (a) b (c) T 1 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 98765 0 0";
        let stat = Stat::parse(text).expect("a valid line");
        assert!(stat.is_paused());
        assert_eq!(stat.started_ticks, 98765);
    }

    #[test]
    fn a_pid_with_another_start_time_is_somebody_else() {
        let mine = Identity::of(std::process::id()).expect("this process exists");
        assert!(Process::adopt(&mine).expect("may be looked at").is_some());
        let other = Identity {
            started_ticks: mine.started_ticks + 1,
            ..mine.clone()
        };
        assert!(Process::adopt(&other).expect("may be looked at").is_none());
        let other = Identity {
            boot_id: "before".to_owned(),
            ..mine
        };
        assert!(Process::adopt(&other).expect("may be looked at").is_none());
    }
}
