//! A cluster that speaks etcd's interface: etcd, or our store.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use devcluster::{Catalogue, Cluster, Node, PortPlan};
use tests::bench::process;
use tonic::transport::{Channel, Endpoint};

use self::etcdserverpb::kv_client::KvClient;
use self::etcdserverpb::maintenance_client::MaintenanceClient;
use self::etcdserverpb::{PutRequest, StatusRequest};

#[allow(
    missing_docs,
    reason = "generated; the interface is described in etcd_kv.proto"
)]
pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}

/// The system that ours is measured beside.
pub const ETCD: &str = "etcd";
/// How long a cluster may take to come to itself, and a node to fetch a large database.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long it must have kept its leader to be taken for settled.
const SETTLED: Duration = Duration::from_millis(500);
const ASK_INTERVAL: Duration = Duration::from_millis(50);
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Processes of one store.
pub struct Store {
    pub name: &'static str,
    cluster: Cluster,
}

impl Store {
    /// Starts so many nodes of this system of the benchmark's catalogue, and waits until they serve.
    pub async fn start(
        name: &'static str,
        nodes: u16,
        binary: &Path,
        dir: &Path,
        environment: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let catalogue =
            Catalogue::parse(include_str!("catalogue.json"), "the benchmark's catalogue")?;
        let mut builder = Cluster::builder(&catalogue, name)
            .dir(dir.join(name))
            .nodes(nodes)
            .binary(binary)
            .patience(PATIENCE);
        if name == ETCD {
            // Each member is told the addresses of all, in the catalogue.
            let base = catalogue.system(name)?.development.port_base;
            builder = builder.ports(PortPlan::Base(base));
        }
        for (variable, value) in environment {
            builder = builder.env(variable, value);
        }
        let cluster = builder.start().await?;
        cluster.wait_ready().await?;
        Ok(Self { name, cluster })
    }

    pub fn nodes(&self) -> &[Node] {
        self.cluster.nodes()
    }

    /// Freezes all nodes, so that another store has the machine to itself.
    pub async fn pause(&self) -> anyhow::Result<()> {
        for node in self.nodes() {
            node.pause().await?;
        }
        // What it left to write would be written on the other's time.
        let synced = tokio::process::Command::new("sync").status().await?;
        anyhow::ensure!(synced.success(), "sync: {synced}");
        Ok(())
    }

    /// Lets all nodes run on, and waits until they have a leader that takes writes and stays.
    /// Returns its position.
    pub async fn resume(&self) -> anyhow::Result<usize> {
        for node in self.nodes() {
            node.resume().await?;
        }
        self.settle().await
    }

    /// As [`resume`](Self::resume), for nodes that run.
    pub async fn settle(&self) -> anyhow::Result<usize> {
        let begun = Instant::now();
        let mut since: Option<(usize, Instant)> = None;
        while begun.elapsed() < PATIENCE {
            since = match (self.serving_leader().await, since) {
                (Some(leader), Some((same, at))) if leader == same => {
                    if at.elapsed() >= SETTLED {
                        return Ok(leader);
                    }
                    Some((same, at))
                }
                (Some(leader), _) => Some((leader, Instant::now())),
                (None, _) => None,
            };
            tokio::time::sleep(ASK_INTERVAL).await;
        }
        bail!("{} has had no lasting leader for {PATIENCE:?}", self.name)
    }

    /// The node that says it leads, once it has taken a write.
    async fn serving_leader(&self) -> Option<usize> {
        let mut leaders = Vec::new();
        for at in 0..self.nodes().len() {
            if self.says_it_leads(at).await.unwrap_or(false) {
                leaders.push(at);
            }
        }
        let [leader] = leaders[..] else { return None };
        let mut client = KvClient::new(self.channel(leader).await.ok()?);
        let put = client.put(PutRequest {
            key: "settled".into(),
            value: "yes".into(),
        });
        tokio::time::timeout(CALL_TIMEOUT, put).await.ok()?.ok()?;
        Some(leader)
    }

    async fn says_it_leads(&self, at: usize) -> anyhow::Result<bool> {
        let asked = async {
            let channel = self.channel(at).await?;
            let answer = MaintenanceClient::new(channel)
                .status(StatusRequest {})
                .await?;
            anyhow::Ok(answer.into_inner())
        };
        let answer = tokio::time::timeout(CALL_TIMEOUT, asked).await??;
        let member = answer
            .header
            .context("a status without its header")?
            .member_id;
        Ok(member != 0 && member == answer.leader)
    }

    /// A new connection to a node.
    pub async fn channel(&self, at: usize) -> anyhow::Result<Channel> {
        let url = self.nodes()[at].url("api")?;
        let endpoint = Endpoint::from_shared(url)?.connect_timeout(CALL_TIMEOUT);
        Ok(endpoint.connect().await?)
    }

    /// Processor time of all nodes so far, in microseconds.
    pub fn cpu_micros(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for node in self.nodes() {
            sum += process::cpu_micros(node.pid().context("a node has ended")?)?;
        }
        Ok(sum)
    }

    /// Resident memory of the largest node that runs, in bytes.
    pub fn resident_max(&self) -> anyhow::Result<u64> {
        let mut max = 0;
        for node in self.nodes() {
            if let Some(pid) = node.pid() {
                max = max.max(process::memory(pid)?.resident);
            }
        }
        Ok(max)
    }
}
