//! One world from its beginning to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use consensus::{Cluster, Consistency, Settings};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use sha2::{Digest as _, Sha256};

use super::client::{Client, Shared, ask};
use super::fire::{Fault, Fire};
use super::network::address;
use super::node::{End, Node, Seat, Station};
use super::panics;
use super::world::{QUANTUM, Time, World, lock, random};
use crate::histories::history::{Action, Outcome, Recorded, impossible};
use crate::register::add;

/// How long clients work while it burns.
const FIRE: std::ops::Range<u64> = 2_000..5_000;
/// How long a cluster may take to be in order again, once nothing is in its way.
const RECOVERY: Duration = Duration::from_secs(20);
const CLIENTS: u32 = 3;

/// What is to be wrong with a world.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// The disks say that they have synced, and have not.
    pub disks_lie: bool,
    /// The clients read whatever a node has.
    pub careless: bool,
}

/// What came of a world.
pub struct Life {
    pub trace: Vec<String>,
    pub problems: Vec<String>,
    operations: usize,
    unknown: usize,
    faults: BTreeMap<Fault, usize>,
    length: Time,
    sent: u64,
}

/// What came of many.
#[derive(Debug, Default)]
pub struct Total {
    pub lives: u64,
    operations: usize,
    unknown: usize,
    faults: BTreeMap<Fault, usize>,
    length: Time,
    sent: u64,
}

impl Total {
    pub fn add(&mut self, life: &Life) {
        self.lives += 1;
        self.operations += life.operations;
        self.unknown += life.unknown;
        self.length += life.length;
        self.sent += life.sent;
        for (fault, count) in &life.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }
}

impl Life {
    pub fn lived(seed: u64, plan: Plan, aloud: bool) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.unwrap();
        drop(panics::take());
        let mut life = Stage::new(seed, plan, aloud, folder.path()).play();
        life.problems.extend(panics::take());
        life
    }

    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for line in &self.trace {
            hasher.update(line.as_bytes());
            hasher.update(b"\n");
        }
        hex::encode(&hasher.finalize()[..8])
    }
}

/// A world while it runs.
struct Stage {
    world: Arc<World>,
    nodes: Vec<Node>,
    clients: Station,
    seats: Arc<Vec<Seat>>,
    shared: Arc<Shared>,
    fire: Fire,
    random: StdRng,
    plan: Plan,
    /// Whoever waits too long is told, and nothing is done any more.
    stuck: bool,
}

impl Stage {
    fn new(seed: u64, plan: Plan, aloud: bool, folder: &Path) -> Self {
        let world = World::new(seed, aloud);
        let mut random = random(seed, "life", 0);
        let size = if random.random_bool(0.15) { 5 } else { 3 };
        let together = random.random_bool(0.3);
        let settings = Settings {
            heartbeat_ms: 50,
            election_timeout_ms_min: 200,
            election_timeout_ms_max: 400,
            formation_wait_ms: 100,
            bootstrap_expect: if together { size } else { 1 },
            propose_timeout_ms: 1500,
            log_memory_bytes_max: *[200, 64 << 20].choose(&mut random).unwrap(),
            snapshot_bytes: *[500, 5_000, 256 << 20].choose(&mut random).unwrap(),
            log_keep_entries: *[1, 10, 10_000].choose(&mut random).unwrap(),
            disk_headroom_bytes: 0,
            ..Settings::default()
        };
        let nodes: Vec<Node> = (1..=size as usize)
            .map(|place| {
                let known = if together { size as usize + 1 } else { place };
                let peers = (1..known).filter(|other| *other != place).map(address);
                let peers = peers.collect();
                Node::new(
                    &world,
                    folder,
                    place,
                    peers,
                    settings.clone(),
                    plan.disks_lie,
                )
            })
            .collect();
        Self {
            clients: Station::new(&world, 0, 0, 0),
            seats: Arc::new(nodes.iter().map(|node| node.seat.clone()).collect()),
            nodes,
            shared: Arc::default(),
            fire: Fire::new(&world),
            random,
            plan,
            stuck: false,
            world,
        }
    }

    /// Lets the time go on by one quantum.
    fn step(&mut self) {
        let before = self.world.now();
        let now = before + QUANTUM;
        for node in &mut self.nodes {
            let frozen = node.frozen.is_some_and(|until| now < until);
            let Some(station) = node.station.as_ref().filter(|_| !frozen) else {
                continue;
            };
            station.run_until(now, node.frozen.take().is_some());
        }
        self.clients.run_until(now, false);
        self.world.advance();
        for node in &self.nodes {
            if !node.may_halt
                && !node.may_be_removed
                && node.is_running()
                && !node.is_dead()
                && let Some(reason) = node.halted()
            {
                let what = format!("{} has stopped: {reason}", node.name);
                lock(&self.world.oracle).violated(what);
            }
        }
        if !lock(&self.world.oracle).violations().is_empty() {
            self.stuck = true;
        }
    }

    /// Lets time go on until `reached`, or too much of it has passed.
    fn wait(&mut self, what: &str, mut reached: impl FnMut(&mut Self) -> bool) {
        let begun = self.world.now();
        while !self.stuck && !reached(self) {
            for _ in 0..10 {
                self.step();
            }
            if self.world.now() - begun > RECOVERY {
                self.stuck = true;
                let mut told = format!("waited in vain: {what}");
                for node in &self.nodes {
                    if let Some(seated) = node.seat.get() {
                        let (unready, status) =
                            seated.asked(|cluster| (cluster.unready(), cluster.status()));
                        write!(told, "\n  {}: {unready:?} {status:?}", node.name).unwrap();
                    }
                }
                lock(&self.world.oracle).violated(told);
            }
        }
    }

    /// A member that was removed joins again as a new one.
    fn replace_removed(&mut self) {
        let size = self.nodes.len();
        for node in &mut self.nodes {
            if node.may_be_removed && node.halted().is_some() {
                node.crash(End::Unplugged);
                node.wipe(size);
                node.start(0);
            }
        }
    }

    /// Waits for a task on the clients' host.
    fn finish<T: Send + 'static>(
        &mut self,
        what: &str,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, mut told) = tokio::sync::oneshot::channel();
        self.clients
            .handle()
            .spawn(async move { drop(tell.send(task.await)) });
        let mut result = None;
        self.wait(what, |_| {
            result = told.try_recv().ok();
            result.is_some()
        });
        result
    }

    fn wait_ready(&mut self) {
        self.wait("all are ready", |stage| {
            stage.replace_removed();
            stage.nodes.iter().all(|node| {
                node.seat.get().is_some_and(|seated| {
                    seated
                        .asked(|cluster| cluster.unready().is_none() && !cluster.status().changing)
                })
            })
        });
    }

    fn client(&self, id: u32) -> Client {
        let mut client = Client::new(id, &self.clients.host, &self.seats, &self.shared);
        client.careless = self.plan.careless;
        client
    }

    fn play(mut self) -> Life {
        for node in &mut self.nodes {
            let fast = self.random.random_range(-20_000..20_000);
            node.start(fast);
        }
        self.wait_ready();
        let mut working = Vec::new();
        for id in 0..CLIENTS {
            let host = Arc::clone(&self.clients.host);
            let work = Box::pin(self.client(id).work());
            let work = async move { host.in_turn(id, work).await };
            working.push(self.clients.handle().spawn(work));
        }
        let length = Duration::from_millis(self.random.random_range(FIRE));
        let until = self.world.now() + length;
        while !self.stuck && self.world.now() < until {
            self.fire.burn(&mut self.nodes, &self.clients);
            self.step();
        }
        self.shared.stop.store(true, Ordering::Relaxed);
        if !self.stuck {
            self.fire.put_out(&mut self.nodes, &self.clients);
            self.world.note(self.world.now(), "the fire is out");
            self.wait_ready();
        }
        // What is under way may have its effect: it belongs to the history.
        self.wait("the clients are done", |_| {
            working.iter().all(tokio::task::JoinHandle::is_finished)
        });
        self.write_at_each();
        self.read_all();
        self.compare();
        self.told()
    }

    /// All nodes take writes again. One whose outcome is not known, because a connection from before
    /// was found to be dead, is tried again.
    fn write_at_each(&mut self) {
        for at in 0..self.nodes.len() {
            let mut last = None;
            let begun = self.world.now();
            while !self.stuck && !matches!(last, Some(Ok(_))) {
                let (host, seat) = (Arc::clone(&self.clients.host), self.seats[at].clone());
                let written = self.finish("a write", async move {
                    let write = add("end", 1);
                    let work = |cluster: Cluster<_>| async move { cluster.propose(&write).await };
                    ask(&host, &seat, CLIENTS, (QUANTUM, QUANTUM), work).await
                });
                last = written.flatten();
                if self.world.now() - begun > RECOVERY {
                    self.stuck = true;
                    let what = format!("n{} takes no write: {last:?}", at + 1);
                    lock(&self.world.oracle).violated(what);
                }
            }
        }
    }

    /// What was acknowledged to the clients is there.
    fn read_all(&mut self) {
        let registers: BTreeSet<String> = lock(&self.shared.history)
            .iter()
            .map(|recorded| recorded.register.clone())
            .collect();
        let mut client = self.client(CLIENTS);
        self.finish("the last reads", async move {
            for register in registers {
                while client.perform(&register, Action::Get).await.is_none() {}
            }
        });
    }

    /// All nodes come to hold the same.
    fn compare(&mut self) {
        let begun = self.world.now();
        loop {
            let mut held = Vec::new();
            for seat in self.seats.iter().cloned().collect::<Vec<_>>() {
                let host = Arc::clone(&self.clients.host);
                let read = self.finish("a digest", async move {
                    let work = |cluster: Cluster<_>| async move {
                        let local = Consistency::Local { age_max: None };
                        let digest = cluster.read(local, consensus::digest).await;
                        (
                            *cluster.applied().borrow(),
                            digest.ok().map(|read| read.value),
                        )
                    };
                    ask(&host, &seat, CLIENTS, (QUANTUM, QUANTUM), work).await
                });
                held.push(read.flatten());
            }
            if self.stuck || held.windows(2).all(|pair| pair[0] == pair[1]) {
                return;
            }
            if self.world.now() - begun > RECOVERY {
                let what = format!("the nodes hold different rows: {held:?}");
                return lock(&self.world.oracle).violated(what);
            }
        }
    }

    fn told(self) -> Life {
        let history: Vec<Recorded> = lock(&self.shared.history).clone();
        let mut problems = lock(&self.world.oracle).violations().to_vec();
        problems.extend(impossible(
            &history,
            &format!("simulation-{}", self.world.seed),
        ));
        let unknown = history
            .iter()
            .filter(|recorded| recorded.outcome == Outcome::Unknown);
        let sent = lock(&self.world.network).sent;
        Life {
            trace: self.world.trace(),
            problems,
            operations: history.len(),
            unknown: unknown.count(),
            faults: self.fire.done,
            length: self.world.now(),
            sent,
        }
    }
}
