//! Nodes of a simulated world: the real ones, each life of them on a runtime of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use consensus::testing::enter_host;
use consensus::{ApplyError, Cluster, EntryInfo, Machine, NodeConfig, Settings};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use kit::settings::Secret;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rusqlite::Transaction;
use tokio::runtime::{Handle, Runtime};

use super::disk::{Disk, Fate};
use super::network::{accept, address};
use super::world::{Host, Time, World, lock, random};
use crate::harness::{NETWORK, SECRET};
use crate::register::{Command, Register, Reply, TestMachine as _};

/// Registers, and who sees what is done to them.
pub struct Observed {
    registers: Register,
    host: Arc<Host>,
    name: String,
}

impl Machine for Observed {
    type Command = Command;
    type Reply = Reply;
    const SYSTEM: &'static str = Register::SYSTEM;
    const MIGRATIONS: &'static [&'static str] = Register::MIGRATIONS;

    fn apply(
        &mut self,
        state: &Transaction<'_>,
        entry: EntryInfo,
        command: Command,
    ) -> Result<Reply, ApplyError> {
        let mut oracle = lock(&self.host.world.oracle);
        oracle.applied(&self.name, entry.index, entry.term, &command);
        drop(oracle);
        let reply = self.registers.apply(state, entry, command)?;
        self.host.world.note(
            self.host.now(),
            format!("{} applies {}: {}", self.name, entry.index, reply.value),
        );
        Ok(reply)
    }
}

/// A host and the runtime that it runs on, whose clock only the world moves.
pub struct Station {
    pub host: Arc<Host>,
    runtime: Runtime,
}

impl Station {
    pub fn new(world: &Arc<World>, place: usize, life: u64, fast: i64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let host = runtime.block_on(async { Host::new(world, place, life, fast) });
        Self { host, runtime }
    }

    pub fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Runs everything on it up to this time. After a rest, everything that should have happened
    /// meanwhile happens at once.
    pub fn run_until(&self, at: Time, rested: bool) {
        enter_host(Some(Arc::clone(&self.host) as Arc<_>));
        self.runtime.block_on(async {
            let shows = self.host.shows(at);
            if rested {
                tokio::time::advance(shows - tokio::time::Instant::now()).await;
            }
            tokio::time::sleep_until(shows).await;
        });
        enter_host(None);
    }

    pub fn end(self) {
        drop(self.runtime);
    }
}

/// Where clients find a node.
#[derive(Clone, Default)]
pub struct Seat(Arc<Mutex<Option<Seated>>>, Arc<Mutex<Option<String>>>);

#[derive(Clone)]
pub struct Seated {
    pub cluster: Cluster<Observed>,
    pub host: Arc<Host>,
    pub handle: Handle,
}

impl Seated {
    /// Asks the node something that depends on the time: on its own clock. Outside of its runtime tokio
    /// shows the time of the machine, by which a world that is lived through slowly is long over.
    pub fn asked<T>(&self, ask: impl FnOnce(&Cluster<Observed>) -> T) -> T {
        let _clock = self.handle.enter();
        ask(&self.cluster)
    }
}

impl Seat {
    pub fn get(&self) -> Option<Seated> {
        lock(&self.0).clone()
    }
}

/// How a life of a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The process ends; what it had written is there.
    Killed,
    /// The machine loses power: what was not synced may be gone, and nobody is told.
    Unplugged,
}

pub struct Node {
    pub name: String,
    pub place: usize,
    pub disk: Disk,
    pub seat: Seat,
    pub station: Option<Station>,
    /// Its process rests until then.
    pub frozen: Option<Time>,
    /// It may stop serving: its disk was told to fail.
    pub may_halt: bool,
    /// An operator was told to remove it, sooner or later.
    pub may_be_removed: bool,
    pub config: NodeConfig,
    world: Arc<World>,
    lies: bool,
    lives: u64,
    random: StdRng,
}

impl Node {
    pub fn new(
        world: &Arc<World>,
        folder: &Path,
        place: usize,
        peers: Vec<String>,
        settings: Settings,
        lies: bool,
    ) -> Self {
        let name = format!("n{place}");
        let config = NodeConfig {
            name: name.clone(),
            address: address(place),
            peers: Some(peers),
            data_dir: folder.join(&name),
            network: NETWORK.into(),
            secret: Secret::new(SECRET),
            tls: None,
            settings,
        };
        Self {
            disk: Disk::new(name.clone(), lies, random(world.seed, "disk", place as u64)),
            random: random(world.seed, "node", place as u64),
            name,
            place,
            seat: Seat::default(),
            station: None,
            frozen: None,
            may_halt: false,
            may_be_removed: false,
            config,
            world: Arc::clone(world),
            lies,
            lives: 0,
        }
    }

    pub fn is_running(&self) -> bool {
        self.station.is_some()
    }

    /// Whether it has lost its power, and nobody has seen to it yet.
    pub fn is_dead(&self) -> bool {
        let station = self.station.as_ref();
        station.is_some_and(|station| !station.host.is_alive())
    }

    /// Starts it on a clock that is `fast` by so many millionths.
    pub fn start(&mut self, fast: i64) {
        assert!(self.station.is_none(), "{} runs already", self.name);
        self.lives += 1;
        self.may_halt = false;
        self.disk.destine(Fate::Works);
        let station = Station::new(&self.world, self.place, self.lives, fast);
        self.world
            .note(self.world.now(), format!("{} starts", self.name));
        let host = Arc::clone(&station.host);
        let (config, seat) = (self.config.clone(), self.seat.clone());
        let machine = Observed {
            registers: Register::build(Arc::new(()), None),
            host: Arc::clone(&host),
            name: self.name.clone(),
        };
        let log = self.disk.log(&host);
        let handle = station.handle();
        station.handle().spawn(async move {
            let name = config.name.clone();
            match Cluster::start_on_log(config, machine, log).await {
                Ok((cluster, peers)) => {
                    lock(&host.world.network).listen(host.place);
                    *lock(&seat.0) = Some(Seated {
                        cluster,
                        host: Arc::clone(&host),
                        handle,
                    });
                    serve(&host, peers).await;
                }
                Err(error) => {
                    let reason = format!("it does not start: {error}");
                    host.world.note(host.now(), format!("{name}: {reason}"));
                    *lock(&seat.1) = Some(reason);
                }
            }
        });
        self.station = Some(station);
    }

    /// Ends this life of it.
    pub fn crash(&mut self, end: End) {
        let Some(station) = self.station.take() else {
            return;
        };
        let now = self.world.now();
        self.world.note(now, format!("{} is {end:?}", self.name));
        self.frozen = None;
        let unplugged = end == End::Unplugged || !station.host.is_alive();
        if unplugged {
            station.host.die();
        }
        lock(&self.world.network).stop_listening(self.place, unplugged);
        lock(&self.seat.0).take();
        lock(&self.seat.1).take();
        station.end();
        if unplugged {
            self.disk.lose_power();
            self.lose_state();
        }
    }

    /// What of the state no checkpoint has synced may be gone. Not a part of it: a checkpoint syncs the
    /// write-ahead log too, and how much of it nobody here knows.
    fn lose_state(&mut self) {
        let Ok(state) = consensus::state_path(&self.config.data_dir) else {
            return;
        };
        let kept = !self.lies && self.random.random_bool(0.3);
        for suffix in ["-wal", "-shm"] {
            let mut name = state.clone().into_os_string();
            name.push(suffix);
            if !kept {
                drop(std::fs::remove_file(PathBuf::from(name)));
            }
        }
    }

    /// Throws away all that it has; it joins as a new node of a cluster of this size.
    pub fn wipe(&mut self, size: usize) {
        assert!(self.station.is_none(), "{} runs", self.name);
        let others = (1..=size).filter(|other| *other != self.place);
        let peers = others.map(address).collect();
        drop(std::fs::remove_dir_all(&self.config.data_dir));
        let disk = random(self.world.seed, "disk", self.lives << 8);
        self.disk = Disk::new(format!("{}'", self.name), self.lies, disk);
        self.config.peers = Some(peers);
    }

    /// Why the node has stopped serving, if it has, or never did.
    pub fn halted(&self) -> Option<String> {
        if let Some(reason) = lock(&self.seat.1).clone() {
            return Some(reason);
        }
        let seated = self.seat.get()?;
        let halted = seated.cluster.halted();
        halted.borrow().clone()
    }
}

/// Serves the peers' calls.
async fn serve(host: &Arc<Host>, peers: axum::Router) {
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new()).http2_only();
    loop {
        let wire = accept(host).await;
        let (server, service) = (server.clone(), TowerToHyperService::new(peers.clone()));
        tokio::spawn(async move {
            drop(server.serve_connection(TokioIo::new(wire), service).await);
        });
    }
}
