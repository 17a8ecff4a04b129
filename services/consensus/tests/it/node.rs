//! A node that can be started, stopped, crashed and asked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use consensus::testing::{FaultyLog, Loaded, LogIo, LogRead, Power, Record};
use consensus::{Cluster, Consistency, NodeConfig, ProposeError, StartError};
use kit::shutdown::Shutdown;

use crate::harness::{PATIENCE, eventually, pause};
use crate::register::{Command, Register, TestMachine, value};

/// A node that may be running.
pub struct Node<M: TestMachine = Register> {
    pub config: NodeConfig,
    /// Where it listens, when that is not where others reach it.
    pub listens: Option<SocketAddr>,
    /// Its certificates.
    pub tls: Option<kit::tls::Tls>,
    /// The switch of its disk, when it stands on a faulty one.
    pub power: Option<Power>,
    /// Setting this register stops the node.
    pub fails_on: Option<String>,
    running: Option<Running<M>>,
    seat: Seat<M>,
}

struct Running<M> {
    cluster: Cluster<M>,
    runtime: tokio::runtime::Runtime,
    /// Held by the threads of the node for as long as they live.
    alive: Arc<()>,
}

/// Where a client finds a node, whichever of its lives it is in.
pub struct Seat<M>(Arc<Mutex<Option<Sitting<M>>>>);

type Sitting<M> = (Cluster<M>, tokio::runtime::Handle);

impl<M> Clone for Seat<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: TestMachine> Seat<M> {
    /// Does `work` with the node; `None` if it is down, or goes down meanwhile.
    pub fn ask<T, F>(&self, work: impl FnOnce(Cluster<M>) -> F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let task = {
            let seat = self.0.lock().unwrap();
            let (cluster, handle) = seat.as_ref()?;
            handle.spawn(work(cluster.clone()))
        };
        wait(task)
    }
}

fn wait<T>(task: tokio::task::JoinHandle<T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(task).ok()
}

impl<M: TestMachine> Node<M> {
    pub fn new(config: NodeConfig) -> Self {
        Self {
            config,
            listens: None,
            tls: None,
            power: None,
            fails_on: None,
            running: None,
            seat: Seat(Arc::default()),
        }
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub fn cluster(&self) -> &Cluster<M> {
        &self.running.as_ref().expect("the node runs").cluster
    }

    pub fn seat(&self) -> Seat<M> {
        self.seat.clone()
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.running
            .as_ref()
            .expect("the node runs")
            .runtime
            .block_on(work)
    }

    pub fn start(&mut self) {
        self.try_start().unwrap();
    }

    /// Why the node does not start.
    pub fn refusal(&mut self) -> String {
        match self.try_start() {
            Ok(()) => panic!("{} has started", self.config.name),
            Err(error) => error.to_string(),
        }
    }

    pub fn try_start(&mut self) -> Result<(), StartError> {
        assert!(self.running.is_none(), "the node runs already");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let alive = Arc::new(());
        let (log_alive, power) = (Arc::clone(&alive), self.power.clone());
        let wrap = move |log| -> Box<dyn LogIo> {
            let log = match power {
                Some(power) => Box::new(FaultyLog::new(log, power)),
                None => log,
            };
            Box::new(Watched(log, log_alive))
        };
        let machine = M::build(Arc::clone(&alive), self.fails_on.clone());
        let mut config = self.config.clone();
        config.tls = self.tls.as_ref().and_then(kit::tls::Tls::client);
        let server_tls = self.tls.as_ref().map(kit::tls::Tls::server);
        let address = self
            .listens
            .map_or(config.address.clone(), |address| address.to_string());
        let cluster = runtime.block_on(async {
            let (cluster, router) = Cluster::start_with_log(config, machine, wrap).await?;
            tokio::spawn(kit::serve::serve(
                listen(&address).await,
                router,
                server_tls,
                kit::serve::Limits::default(),
                Shutdown::new(Duration::from_millis(100)),
            ));
            Ok::<_, StartError>(cluster)
        })?;
        *self.seat.0.lock().unwrap() = Some((cluster.clone(), runtime.handle().clone()));
        self.running = Some(Running {
            cluster,
            runtime,
            alive,
        });
        Ok(())
    }

    /// Ends it like kill -9: nothing is said or flushed.
    pub fn crash(&mut self) {
        self.seat.0.lock().unwrap().take();
        if let Some(running) = self.running.take() {
            drop(running.cluster);
            running.runtime.shutdown_timeout(Duration::from_secs(10));
            // A process would be gone; its threads are once they have let go.
            eventually("the node's threads end", || {
                Arc::strong_count(&running.alive) == 1
            });
        }
    }

    /// Ends it like SIGTERM.
    pub fn stop(&mut self) {
        self.block_on(self.cluster().shutdown());
        self.crash();
    }

    pub fn wipe(&self) {
        std::fs::remove_dir_all(&self.config.data_dir).unwrap();
    }

    pub fn wait_ready(&self) {
        self.wait_for("ready", |cluster| cluster.unready().is_none());
    }

    pub fn wait_for(&self, what: &str, reached: impl Fn(&Cluster<M>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !reached(self.cluster()) {
            let (unready, status) = (self.cluster().unready(), self.cluster().status());
            assert!(
                Instant::now() < deadline,
                "waited in vain: {what}; {unready:?}; {status:#?}"
            );
            pause();
        }
    }

    /// Waits until the node has stopped serving; gives the reason.
    pub fn halted(&self) -> String {
        self.wait_for("halted", |cluster| cluster.status().halted.is_some());
        self.cluster().status().halted.unwrap()
    }

    pub fn propose(&self, command: &Command) -> Result<i64, ProposeError> {
        let proposed = self.block_on(self.cluster().propose(command))?;
        Ok(proposed.reply.value)
    }

    pub fn read(&self, name: &str) -> Option<i64> {
        let name = name.to_owned();
        let read = self
            .cluster()
            .read(Consistency::Linearizable, move |state| value(state, &name));
        self.block_on(read).unwrap().value
    }

    pub fn read_local<T: Send + 'static>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> T {
        let read = self
            .cluster()
            .read(Consistency::Local { age_max: None }, query);
        self.block_on(read).unwrap().value
    }

    /// The names of the voters, as this node knows them.
    pub fn voters(&self) -> Vec<String> {
        let members = self.cluster().status().members;
        let mut names: Vec<String> = members
            .into_iter()
            .filter(|member| member.voter)
            .map(|member| member.name)
            .collect();
        names.sort();
        names
    }

    pub fn wait_voters(&self, names: &[&str]) {
        self.wait_for(&format!("the voters are {names:?}"), |cluster| {
            let status = cluster.status();
            status.members.len() == names.len() && self.voters() == names
        });
    }

    /// The files in the folder of the state.
    pub fn state_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.config.data_dir.join("state"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
    }
}

impl<M: TestMachine> Drop for Node<M> {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Tells when the thread that writes the log has ended.
struct Watched(
    Box<dyn LogIo>,
    #[expect(dead_code, reason = "held")] Arc<()>,
);

impl LogIo for Watched {
    fn load(&mut self) -> std::io::Result<Loaded> {
        self.0.load()
    }
    fn reader(&self) -> std::io::Result<Box<dyn LogRead>> {
        self.0.reader()
    }
    fn append(&mut self, records: &[Record]) -> std::io::Result<()> {
        self.0.append(records)
    }
    fn truncate(&mut self, from: u64) -> std::io::Result<()> {
        self.0.truncate(from)
    }
    fn purge(&mut self, through: u64, purged: &[u8]) -> std::io::Result<()> {
        self.0.purge(through, purged)
    }
    fn save_vote(&mut self, vote: &[u8]) -> std::io::Result<()> {
        self.0.save_vote(vote)
    }
    fn sync(&mut self) -> std::io::Result<()> {
        self.0.sync()
    }
}

async fn listen(address: &str) -> tokio::net::TcpListener {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
