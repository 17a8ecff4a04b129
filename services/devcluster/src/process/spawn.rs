//! Starting processes that end with us, or outlive us, as asked.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::{Process, User};
use crate::error::{Error, Result, at};

/// What is needed to start a process.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) working_dir: PathBuf,
    /// Where the standard output and error are appended.
    pub(crate) log: PathBuf,
    /// As whom, when not as who we are.
    pub(crate) user: Option<User>,
    /// Whether it is several processes.
    pub(crate) forks: bool,
}

/// How long a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// No longer than the process that started it, however that one ends.
    Attached,
    /// Until somebody stops it.
    Detached,
}

/// Starts a process in a process group of its own.
///
/// Both wrappers come with util-linux, which every Debian has, and replace themselves by the
/// program, so that the pid is the program's: `setpriv` asks the kernel to kill it when its parent
/// ends (the call that does so in Rust would need `unsafe`, after the fork), `setsid` cuts it from
/// the terminal.
pub(crate) fn spawn(launch: &Launch, lifetime: Lifetime) -> Result<Process> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&launch.log);
    let log = log.map_err(at("write", &launch.log))?;
    let log_too = log.try_clone().map_err(at("write", &launch.log))?;
    let mut command = match lifetime {
        Lifetime::Attached => {
            // Nobody but itself ends what it has forked.
            let signal = if launch.forks { "TERM" } else { "KILL" };
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", signal]).process_group(0);
            command
        }
        // Not in a group of its own before: setsid would have to fork.
        Lifetime::Detached => {
            let mut command = Command::new("setsid");
            command.arg("setpriv");
            command
        }
    };
    command
        .args(launch.user.iter().flat_map(User::as_options))
        .arg("--")
        .arg(&launch.program)
        .args(&launch.args)
        .env_clear()
        .envs(&launch.environment)
        .current_dir(&launch.working_dir)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too);
    let failed = |source| Error::Spawn {
        program: launch.program.display().to_string(),
        source,
    };
    let child = from_a_lasting_thread(command).map_err(failed)?;
    let process = Process::of_child(child, lifetime == Lifetime::Attached).map_err(failed)?;
    Ok(process.leading(launch.forks))
}

type Request = (Command, SyncSender<io::Result<Child>>);

/// The kernel counts the end of the *thread* that started a process as the end of its parent. Test
/// threads and runtime threads come and go; this one lasts as long as the process.
fn from_a_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<SyncSender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, incoming) = sync_channel::<Request>(0);
        thread::spawn(move || {
            for (mut command, reply) in incoming {
                // Fails only when the one who asked is gone.
                let _ = reply.send(command.spawn());
            }
        });
        requests
    });
    let (reply, child) = sync_channel(1);
    let gone = |_| io::Error::other("the thread that starts processes is gone");
    spawner.send((command, reply)).map_err(|_| gone(()))?;
    child.recv().map_err(|_| gone(()))?
}
