//! What is done to a world while clients use it: its seed decides what, to whom and for how long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consensus::{ClusterCommand, testing};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};

use super::disk::Fate;
use super::network::{Direction, address};
use super::node::{End, Node, Station};
use super::world::{Time, World, lock, random};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Crash,
    CrashAll,
    LosePowerInSync,
    FailSync,
    Stop,
    Freeze,
    Isolate,
    Part,
    PartOneWay,
    SlowDown,
    Reset,
    Skew,
    Snapshot,
    Transfer,
    Replace,
}

const FAULTS: [Fault; 15] = [
    Fault::Crash,
    Fault::CrashAll,
    Fault::LosePowerInSync,
    Fault::FailSync,
    Fault::Stop,
    Fault::Freeze,
    Fault::Isolate,
    Fault::Part,
    Fault::PartOneWay,
    Fault::SlowDown,
    Fault::Reset,
    Fault::Skew,
    Fault::Snapshot,
    Fault::Transfer,
    Fault::Replace,
];

/// What is to be done at some time.
#[derive(Clone, Copy, Debug)]
enum Step {
    Strike,
    Crash(usize, End),
    Start(usize),
    Wipe(usize),
    Mend(Direction),
    SpeedUp(Direction),
}

pub struct Fire {
    world: Arc<World>,
    random: StdRng,
    steps: BTreeMap<(Time, usize), Step>,
    number: usize,
    replaced: bool,
    /// How often each fault was done.
    pub done: BTreeMap<Fault, usize>,
}

impl Fire {
    pub fn new(world: &Arc<World>) -> Self {
        let mut fire = Self {
            world: Arc::clone(world),
            random: random(world.seed, "fire", 0),
            steps: BTreeMap::new(),
            number: 0,
            replaced: false,
            done: BTreeMap::new(),
        };
        fire.after(0..200, Step::Strike);
        fire
    }

    fn after(&mut self, ms: std::ops::Range<u64>, step: Step) {
        let at = self.world.now() + Duration::from_millis(self.random.random_range(ms));
        self.number += 1;
        self.steps.insert((at, self.number), step);
    }

    /// Does what is due.
    pub fn burn(&mut self, nodes: &mut [Node], clients: &Station) {
        let now = self.world.now();
        for node in nodes.iter_mut() {
            // A disk lost its power, and the host with it.
            if node.is_dead() {
                node.crash(End::Unplugged);
                self.after(50..1000, Step::Start(node.place));
            }
        }
        while let Some((key, _)) = self.steps.first_key_value()
            && key.0 <= now
        {
            let (_, step) = self.steps.pop_first().unwrap();
            self.perform(step, nodes, clients);
        }
    }

    fn perform(&mut self, step: Step, nodes: &mut [Node], clients: &Station) {
        let now = self.world.now();
        match step {
            Step::Strike => {
                let fault = *FAULTS.choose(&mut self.random).unwrap();
                self.strike(fault, nodes, clients);
                self.after(50..900, Step::Strike);
            }
            Step::Crash(place, end) => nodes[place - 1].crash(end),
            Step::Start(place) => self.start(&mut nodes[place - 1]),
            Step::Wipe(place) => {
                // Another fault may have started it again.
                nodes[place - 1].crash(End::Unplugged);
                nodes[place - 1].wipe(nodes.len());
                self.start(&mut nodes[place - 1]);
            }
            Step::Mend(direction) => lock(&self.world.network).mend(direction, now),
            Step::SpeedUp(direction) => lock(&self.world.network).slow_down(direction, 1),
        }
    }

    fn start(&mut self, node: &mut Node) {
        if !node.is_running() {
            let fast = self.random.random_range(-20_000..20_000);
            node.start(fast);
        }
    }

    fn end(&mut self) -> End {
        *[End::Killed, End::Unplugged]
            .choose(&mut self.random)
            .unwrap()
    }

    fn strike(&mut self, fault: Fault, nodes: &mut [Node], clients: &Station) {
        let at = self.random.random_range(0..nodes.len());
        let place = at + 1;
        if fault == Fault::Replace && (self.replaced || !nodes[at].is_running()) {
            return;
        }
        let now = self.world.now();
        self.world.note(now, format!("{fault:?} n{place}"));
        *self.done.entry(fault).or_default() += 1;
        match fault {
            Fault::Crash => {
                let end = self.end();
                nodes[at].crash(end);
                self.after(50..1500, Step::Start(place));
            }
            Fault::CrashAll => {
                let end = self.end();
                for node in nodes {
                    node.crash(end);
                    self.after(50..600, Step::Start(node.place));
                }
            }
            Fault::LosePowerInSync => nodes[at].disk.destine(Fate::LosesPower),
            Fault::FailSync => {
                nodes[at].may_halt = true;
                nodes[at].disk.destine(Fate::Fails);
                let end = self.end();
                self.after(500..1500, Step::Crash(place, end));
                self.after(1500..2000, Step::Start(place));
            }
            Fault::Stop => {
                nodes[at].may_halt = true;
                if let Some(seated) = nodes[at].seat.get() {
                    let cluster = seated.cluster.clone();
                    seated.handle.spawn(async move { cluster.shutdown().await });
                }
                self.after(200..1500, Step::Crash(place, End::Killed));
                self.after(1500..2000, Step::Start(place));
            }
            Fault::Freeze => {
                let ms = self.random.random_range(50..1500);
                nodes[at].frozen = Some(now + Duration::from_millis(ms));
            }
            Fault::Isolate | Fault::Part | Fault::PartOneWay => self.part(fault, place, nodes),
            Fault::SlowDown => {
                let other = self.other_than(place, nodes);
                let slowness = *[5, 20, 100].choose(&mut self.random).unwrap();
                for direction in [(place, other), (other, place)] {
                    lock(&self.world.network).slow_down(direction, slowness);
                    self.after(300..2000, Step::SpeedUp(direction));
                }
            }
            Fault::Reset => {
                let other = self.other_than(place, nodes);
                lock(&self.world.network).reset(place, other, now);
            }
            Fault::Skew => {
                let fast = self.random.random_range(-200_000..200_000);
                if let Some(station) = &nodes[at].station {
                    station.host.set_fast(now, fast);
                }
            }
            Fault::Snapshot => self.command(ClusterCommand::Snapshot, &nodes[at], clients),
            Fault::Transfer => {
                let to = self.other_than(place, nodes);
                let name = Some(nodes[to - 1].name.clone());
                self.command(ClusterCommand::Transfer { name }, &nodes[at], clients);
            }
            Fault::Replace => self.replace(place, nodes, clients),
        }
    }

    fn other_than(&mut self, place: usize, nodes: &[Node]) -> usize {
        let others: Vec<usize> = (1..=nodes.len()).filter(|other| *other != place).collect();
        *others.choose(&mut self.random).unwrap()
    }

    fn part(&mut self, fault: Fault, place: usize, nodes: &[Node]) {
        let mut others: Vec<usize> = (1..=nodes.len()).filter(|other| *other != place).collect();
        if fault != Fault::Isolate {
            others.shuffle(&mut self.random);
            others.truncate(1);
        }
        let ms = self.random.random_range(100..2500);
        for other in others {
            let mut directions = vec![(place, other), (other, place)];
            if fault == Fault::PartOneWay {
                directions.truncate(1);
            }
            for direction in directions {
                lock(&self.world.network).cut(direction);
                self.after(ms..ms + 1, Step::Mend(direction));
            }
        }
    }

    /// A member loses all that it has, and joins again as a new one: with its name taken over, or
    /// after it was removed. Once in a world: the cluster keeps what it acknowledged as long as no
    /// second disk is lost before the first one is replaced.
    fn replace(&mut self, place: usize, nodes: &mut [Node], clients: &Station) {
        self.replaced = true;
        nodes[place - 1].may_halt = true;
        if self.random.random_bool(0.5) {
            let other = self.other_than(place, nodes);
            nodes[place - 1].may_be_removed = true;
            let name = nodes[place - 1].name.clone();
            self.command(ClusterCommand::Remove { name }, &nodes[other - 1], clients);
        }
        self.after(500..501, Step::Crash(place, End::Unplugged));
        self.after(501..502, Step::Wipe(place));
    }

    /// An operator's command, which may fail: there may be no leader for a moment.
    fn command(&mut self, command: ClusterCommand, node: &Node, clients: &Station) {
        let (config, host) = (node.config.clone(), Arc::clone(&clients.host));
        let at = address(node.place);
        clients.handle().spawn(async move {
            let told = format!("{command:?} at {at}");
            let output = testing::command_output(&config, "register", &at, command, false);
            let outcome = output.await;
            host.world.note(host.now(), format!("{told}: {outcome:?}"));
        });
    }

    /// The fire is out: everything is mended, and whoever is down is started.
    pub fn put_out(&mut self, nodes: &mut [Node], clients: &Station) {
        for step in std::mem::take(&mut self.steps).into_values() {
            if let Step::Wipe(place) = step {
                nodes[place - 1].crash(End::Unplugged);
                self.perform(step, nodes, clients);
            }
        }
        let now = self.world.now();
        let mut network = lock(&self.world.network);
        for one in 1..=nodes.len() {
            for other in 1..=nodes.len() {
                network.mend((one, other), now);
                network.slow_down((one, other), 1);
            }
        }
        drop(network);
        for node in nodes {
            node.disk.destine(Fate::Works);
            node.frozen = node.frozen.map(|_| now);
            if node.may_halt || node.is_dead() {
                node.crash(End::Killed);
            }
            self.start(node);
        }
    }
}
