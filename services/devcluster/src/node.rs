//! One node of a cluster: a real process with a folder of its own.

mod health;
mod prepare;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::catalogue::{Role, StopSignal};
use crate::cluster::plan::{NodePlan, Plan};
use crate::error::{Error, Result, at};
use crate::health::Prober;
use crate::ports;
use crate::process::{Identity, Lifetime, Process, Signal, spawn};

/// A node: started, stopped, hurt and asked by name. All calls are safe from several tasks at once.
#[derive(Debug)]
pub struct Node {
    pub(crate) plan: NodePlan,
    shared: Arc<Plan>,
    prober: Prober,
    lifetime: Lifetime,
    /// How long it is waited for.
    patience: Duration,
    process: Mutex<Option<Arc<Process>>>,
}

impl Node {
    pub(crate) fn new(
        plan: NodePlan,
        shared: Arc<Plan>,
        prober: Prober,
        lifetime: Lifetime,
        patience: Duration,
    ) -> Self {
        Self {
            plan,
            shared,
            prober,
            lifetime,
            patience,
            process: Mutex::new(None),
        }
    }

    /// Its name, which is also the name of its folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Its role in the catalogue.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.plan.role
    }

    /// The address that it listens on.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        self.plan.host
    }

    /// The number of one of its ports, by the port's name in the catalogue.
    ///
    /// # Errors
    /// Its role has no such port.
    pub fn port(&self, name: &str) -> Result<u16> {
        self.plan
            .ports
            .get(name)
            .copied()
            .ok_or_else(|| Error::UnknownPort {
                node: self.plan.name.clone(),
                port: name.to_owned(),
            })
    }

    /// `host:port` of one of its ports, past any proxy.
    ///
    /// # Errors
    /// Its role has no such port.
    pub fn address(&self, port: &str) -> Result<String> {
        Ok(format!("{}:{}", self.plan.host, self.port(port)?))
    }

    /// `host:port` at which the other nodes reach it: a proxy, when there are any.
    ///
    /// # Errors
    /// Its role has no such port.
    pub fn advertised(&self, port: &str) -> Result<String> {
        Ok(format!(
            "{}:{}",
            self.plan.advertised_host,
            self.port(port)?
        ))
    }

    /// The URL of one of its ports, past any proxy, without a slash at the end.
    ///
    /// # Errors
    /// Its role has no such port.
    pub fn url(&self, port: &str) -> Result<String> {
        let address = self.address(port)?;
        Ok(format!(
            "{}://{address}",
            self.catalogue().ports[port].scheme
        ))
    }

    /// Its folder, with the log and the data.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.shared.node_dir(&self.plan)
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.shared.data_dir(&self.plan)
    }

    /// The file with everything it ever wrote to its standard output and error.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// Everything it ever wrote to its standard output and error.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn logs(&self) -> Result<String> {
        let path = self.log_path();
        fs::read(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(at("read", &path))
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running().map(|process| process.identity().pid)
    }

    /// Whether its process runs; a paused one does.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running().is_some()
    }

    /// Starts it with the data, peers and addresses that it has.
    ///
    /// # Errors
    /// It runs already, a port is taken, or the binary cannot be started. That it ends right
    /// afterwards is found by waiting for it.
    pub async fn start(&self) -> Result<()> {
        if self.is_running() {
            return Err(self.wrong_state("running", "stop it first"));
        }
        ports::check_free(&self.plan.name, self.plan.host, &self.plan.ports)?;
        let data_dir = self.data_dir();
        fs::create_dir_all(&data_dir).map_err(at("create", &data_dir))?;
        let launch = self.shared.launch(&self.plan)?;
        self.prepare(&launch).await?;
        if !launch.program.is_file() {
            return Err(Error::NoBinary {
                binary: self.catalogue().binary.clone(),
                reason: format!("{} is not a file", launch.program.display()),
            });
        }
        let process = spawn(&launch, self.lifetime)?;
        *self.lock() = Some(Arc::new(process));
        Ok(())
    }

    /// Asks it to stop (SIGTERM, unless the catalogue says otherwise) and waits; after the catalogue's `stop_seconds` it is killed.
    /// Returns whether it stopped by itself. A node that does not run has stopped.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub async fn stop(&self) -> Result<bool> {
        let seconds = self.catalogue().resources.stop_seconds;
        self.stop_within(Duration::from_secs(u64::from(seconds)))
            .await
    }

    /// As [`stop`](Self::stop), with another deadline.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub async fn stop_within(&self, deadline: Duration) -> Result<bool> {
        let Some(process) = self.running() else {
            return Ok(true);
        };
        let polite = match self.catalogue().stop_signal {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
            StopSignal::Quit => Signal::QUIT,
        };
        self.signal(&process, polite)?;
        // A paused process would not see the first one.
        self.resume_process(&process)?;
        match tokio::time::timeout(deadline, process.ended()).await {
            Ok(_) => Ok(true),
            Err(_) => self.kill().await.map(|()| false),
        }
    }

    /// Kills it (SIGKILL) and waits until it is gone. A node that does not run is left alone.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub async fn kill(&self) -> Result<()> {
        let Some(process) = self.running() else {
            return Ok(());
        };
        process
            .kill()
            .await
            .map_err(|source| self.not_signalled(&process, source))
    }

    /// Stops it and starts it again.
    ///
    /// # Errors
    /// As those of [`stop`](Self::stop) and [`start`](Self::start).
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Freezes it (SIGSTOP): its connections stay open, nothing in it moves.
    ///
    /// # Errors
    /// It does not run, or cannot be signalled.
    pub async fn pause(&self) -> Result<()> {
        let process = self.running().ok_or_else(|| self.not_running())?;
        process
            .pause()
            .await
            .map_err(|source| self.not_signalled(&process, source))
    }

    /// Lets it run on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// It does not run, or cannot be signalled.
    pub async fn resume(&self) -> Result<()> {
        let process = self.running().ok_or_else(|| self.not_running())?;
        self.resume_process(&process)
    }

    /// Sends it a signal that its program knows, such as the one that makes it read its
    /// configuration again.
    ///
    /// # Errors
    /// It does not run, or cannot be signalled.
    pub fn send(&self, signal: Signal) -> Result<()> {
        let process = self.running().ok_or_else(|| self.not_running())?;
        self.signal(&process, signal)
    }

    /// Removes its data, as if its disk had been exchanged. Its name, addresses and peers stay.
    ///
    /// # Errors
    /// It runs, or the folder cannot be removed.
    pub fn wipe(&self) -> Result<()> {
        if self.is_running() {
            return Err(self.wrong_state("running", "stop or kill it before its data is wiped"));
        }
        remove_dir(&self.data_dir())
    }

    /// Takes charge of the process that was recorded for it, if that still runs.
    pub(crate) fn adopt(&self, identity: &Identity) -> Result<()> {
        let adopted = Process::adopt(identity).map_err(|source| Error::Signal {
            node: self.plan.name.clone(),
            pid: identity.pid,
            source,
        })?;
        let forks = self.catalogue().forks;
        *self.lock() = adopted.map(|process| Arc::new(process.leading(forks)));
        Ok(())
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.running().map(|process| process.identity().clone())
    }

    /// Its role as the catalogue describes it.
    fn catalogue(&self) -> &Role {
        &self.shared.system.roles[&self.plan.role]
    }

    fn running(&self) -> Option<Arc<Process>> {
        self.lock()
            .as_ref()
            .filter(|process| process.is_running())
            .map(Arc::clone)
    }

    fn signal(&self, process: &Process, signal: Signal) -> Result<()> {
        process
            .signal(signal)
            .map_err(|source| self.not_signalled(process, source))
    }

    fn resume_process(&self, process: &Process) -> Result<()> {
        process
            .signal_all(Signal::CONT)
            .map_err(|source| self.not_signalled(process, source))
    }

    fn not_signalled(&self, process: &Process, source: std::io::Error) -> Error {
        Error::Signal {
            node: self.plan.name.clone(),
            pid: process.identity().pid,
            source,
        }
    }

    fn not_running(&self) -> Error {
        self.wrong_state("not running", "start it first")
    }

    fn wrong_state(&self, state: &'static str, needed: &'static str) -> Error {
        Error::WrongState {
            node: self.plan.name.clone(),
            state,
            needed,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Process>>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a folder that may be absent.
pub(crate) fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at("remove", dir)(error)),
        _ => Ok(()),
    }
}
