//! What is done to a cluster while clients use it: a seed decides what, to whom and for how long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use consensus::{ClusterCommand, NodeConfig, Settings};
use devcluster::{Cluster, Result};
use kit::settings::Secret;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::client::Shared;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    KillOne,
    KillAll,
    StopOne,
    Freeze,
    Isolate,
    Partition,
    PartitionOneWay,
    JumpClock,
    Snapshot,
    Transfer,
    FailDisk,
    FillDisk,
    Replace,
}

pub const FAULTS: [Fault; 13] = [
    Fault::KillOne,
    Fault::KillAll,
    Fault::StopOne,
    Fault::Freeze,
    Fault::Isolate,
    Fault::Partition,
    Fault::PartitionOneWay,
    Fault::JumpClock,
    Fault::Snapshot,
    Fault::Transfer,
    Fault::FailDisk,
    Fault::FillDisk,
    Fault::Replace,
];

pub struct Nemesis {
    pub cluster: Cluster,
    shared: Arc<Shared>,
    random: StdRng,
    http: reqwest::Client,
    names: usize,
    /// How often each fault was done.
    pub done: BTreeMap<Fault, usize>,
    waiting: Vec<Fault>,
}

impl Nemesis {
    pub fn new(cluster: Cluster, shared: Arc<Shared>, seed: u64) -> Self {
        kit::tls::install_provider();
        Self {
            cluster,
            shared,
            random: StdRng::seed_from_u64(seed),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(5))
                .build()
                .unwrap(),
            names: 0,
            done: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    /// Does one thing, mends it, and waits until all nodes can take work: that they can in the end
    /// is half of what is tested.
    pub async fn strike(&mut self) {
        if self.waiting.is_empty() {
            // Each once before any twice.
            self.waiting.extend(FAULTS);
            self.waiting.shuffle(&mut self.random);
        }
        let fault = self.waiting.pop().unwrap();
        println!("{:>9.3} s  {fault:?}", seconds(&self.shared));
        self.perform(fault)
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        *self.done.entry(fault).or_default() += 1;
        self.tell_addresses();
        self.cluster
            .wait_ready()
            .await
            .unwrap_or_else(|error| panic!("after {fault:?}: {error}"));
        self.sleep(200..1000).await;
    }

    async fn sleep(&mut self, ms: std::ops::Range<u64>) {
        let ms = self.random.random_range(ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn any_node(&mut self) -> String {
        let names: Vec<String> = self
            .cluster
            .nodes()
            .iter()
            .map(|node| node.name().to_owned())
            .collect();
        names.choose(&mut self.random).unwrap().clone()
    }

    pub fn tell_addresses(&self) {
        let nodes = self.cluster.nodes().iter();
        *self.shared.nodes.write().unwrap() = nodes.map(|node| node.url("api").unwrap()).collect();
    }

    async fn perform(&mut self, fault: Fault) -> Result<()> {
        let name = self.any_node();
        match fault {
            Fault::KillOne => {
                self.cluster.node(&name)?.kill().await?;
                self.sleep(100..2500).await;
                self.cluster.node(&name)?.start().await
            }
            Fault::KillAll => {
                self.cluster.kill_all().await?;
                self.start_in_any_order().await
            }
            Fault::StopOne => {
                self.cluster.node(&name)?.stop().await?;
                self.sleep(100..1500).await;
                self.cluster.node(&name)?.start().await
            }
            Fault::Freeze => {
                self.cluster.node(&name)?.pause().await?;
                self.sleep(100..3000).await;
                self.cluster.node(&name)?.resume().await
            }
            Fault::Isolate => {
                self.cluster.isolate(&name)?;
                self.sleep(500..4000).await;
                self.cluster.heal()
            }
            Fault::Partition | Fault::PartitionOneWay => {
                let other = self.other_than(&name);
                if fault == Fault::Partition {
                    self.cluster.partition(&name, &other)?;
                } else {
                    self.cluster.partition_one_way(&name, &other)?;
                }
                self.sleep(500..4000).await;
                self.cluster.heal()
            }
            Fault::JumpClock => {
                let ms: i64 = self.random.random_range(-86_400_000..86_400_000);
                self.tell(&name, "clock", &ms).await
            }
            Fault::Snapshot => {
                drop(self.command(&name, ClusterCommand::Snapshot).await);
                Ok(())
            }
            Fault::Transfer => {
                let to = self.other_than(&name);
                let transfer = ClusterCommand::Transfer { name: Some(to) };
                drop(self.command(&name, transfer).await);
                Ok(())
            }
            Fault::FailDisk => self.fail_disk(&name).await,
            Fault::FillDisk => self.fill_disks(&name).await,
            Fault::Replace => self.replace(&name).await,
        }
    }

    fn other_than(&mut self, name: &str) -> String {
        loop {
            let other = self.any_node();
            if other != name {
                return other;
            }
        }
    }

    async fn start_in_any_order(&mut self) -> Result<()> {
        let mut order: Vec<usize> = (0..self.cluster.nodes().len()).collect();
        order.shuffle(&mut self.random);
        for place in order {
            self.cluster.nodes()[place].start().await?;
            self.sleep(0..300).await;
        }
        Ok(())
    }

    /// From some moment on the node can make no file larger: its next write fails. It stops serving,
    /// and lives on to say so.
    async fn fail_disk(&mut self, name: &str) -> Result<()> {
        let node = self.cluster.node(name)?;
        let pid = i32::try_from(node.pid().expect("it runs")).unwrap();
        let limit = Rlimit {
            current: Some(4096),
            maximum: None,
        };
        prlimit(Pid::from_raw(pid), Resource::Fsize, limit).expect("limits can be set");
        self.sleep(500..3000).await;
        let node = self.cluster.node(name)?;
        let asked = self.http.get(format!("{}/livez", node.url("api")?)).send();
        assert!(asked.await.is_ok_and(|answer| answer.status().is_success()));
        node.kill().await?;
        node.start().await
    }

    /// Little or nothing is free on a node's disk, or on everyone's, and then there is room again.
    async fn fill_disks(&mut self, name: &str) -> Result<()> {
        let all = self.random.random_bool(0.5);
        let nodes = self.cluster.nodes().iter();
        let names: Vec<String> = nodes
            .map(|node| node.name().to_owned())
            .filter(|node| all || node == name)
            .collect();
        let free = *[Some(0), Some(200 << 20)].choose(&mut self.random).unwrap();
        for name in &names {
            self.tell(name, "disk", &free).await?;
        }
        self.sleep(500..3000).await;
        for name in &names {
            self.tell(name, "disk", &None::<u64>).await?;
        }
        Ok(())
    }

    /// Tells a node to do wrong.
    async fn tell(&self, name: &str, what: &str, value: &impl serde::Serialize) -> Result<()> {
        let url = self.cluster.node(name)?.url("api")?;
        let told = self.http.post(format!("{url}/{what}")).json(value).send();
        assert!(told.await.is_ok_and(|answer| answer.status().is_success()));
        Ok(())
    }

    /// A member is removed, its disk thrown away, and another one joins, under its name or a new one.
    async fn replace(&mut self, name: &str) -> Result<()> {
        let new_name = self.random.random_bool(0.5).then(|| {
            self.names += 1;
            format!("spare{}", self.names)
        });
        if new_name.is_some() {
            let other = self.other_than(name);
            // A dead voter more would be one too many later.
            let mut tries = 0..20;
            while !self.removed(&other, name).await {
                assert!(tries.next().is_some(), "{name} cannot be removed");
                self.sleep(200..500).await;
            }
        }
        self.cluster.replace(name, new_name.as_deref()).await?;
        Ok(())
    }

    /// Removes a member; an earlier try may have done so without knowing.
    async fn removed(&self, node: &str, name: &str) -> bool {
        let name = name.to_owned();
        match self.command(node, ClusterCommand::Remove { name }).await {
            Ok(()) => true,
            Err(refused) => refused.contains("is no member"),
        }
    }

    /// A command that may fail: there may be no leader for a moment.
    async fn command(
        &self,
        node: &str,
        command: ClusterCommand,
    ) -> std::result::Result<(), String> {
        let address = self.cluster.node(node).unwrap().address("api").unwrap();
        let config = NodeConfig {
            name: "nemesis".into(),
            address: String::new(),
            peers: None,
            data_dir: std::path::PathBuf::new(),
            network: "histories".into(),
            secret: Secret::new(self.cluster.secret("peers").unwrap()),
            tls: None,
            settings: Settings::default(),
        };
        let told = format!("{command:?}");
        let output =
            consensus::testing::command_output(&config, "register", &address, command, false);
        match output.await {
            Ok(said) => println!("             {told}: {}", said.trim()),
            Err(error) => {
                println!("             {told} was refused: {error}");
                return Err(error);
            }
        }
        Ok(())
    }
}

fn seconds(shared: &Shared) -> f64 {
    Duration::from_nanos(shared.history.now().unsigned_abs()).as_secs_f64()
}
