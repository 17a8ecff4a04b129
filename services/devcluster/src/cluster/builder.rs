//! Making a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::plan::{NodePlan, Plan};
use super::{Cluster, PATIENCE};
use crate::catalogue::{Catalogue, System};
use crate::error::{Error, Result, at};
use crate::health::Prober;
use crate::network::Network;
use crate::node::Node;
use crate::ports::{self, Hosts, PortPlan};
use crate::process::Lifetime;
use crate::secret;

/// What a cluster is to be. Only the folder and the binaries have no default.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    name: String,
    system: Result<System, String>,
    replicas: BTreeMap<String, u16>,
    first_role: Option<u16>,
    dir: PathBuf,
    secrets_dir: Option<PathBuf>,
    root: PathBuf,
    binary: Option<PathBuf>,
    binaries: BTreeMap<String, PathBuf>,
    environment: BTreeMap<String, String>,
    ports: PortPlan,
    proxied: bool,
    patience: Duration,
}

impl Cluster {
    /// Begins a cluster of a system of the catalogue.
    pub fn builder(catalogue: &Catalogue, system: &str) -> Builder {
        Builder {
            name: system.to_owned(),
            system: catalogue.system(system).cloned().map_err(|_| {
                catalogue
                    .systems
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ")
            }),
            replicas: BTreeMap::new(),
            first_role: None,
            dir: PathBuf::new(),
            secrets_dir: None,
            root: PathBuf::from("."),
            binary: None,
            binaries: BTreeMap::new(),
            environment: BTreeMap::new(),
            ports: PortPlan::default(),
            proxied: false,
            patience: PATIENCE,
        }
    }
}

impl Builder {
    /// How many nodes of the role that is started first; the catalogue's number by default.
    pub fn nodes(mut self, count: u16) -> Self {
        self.first_role = Some(count);
        self
    }

    /// How many nodes of a role; the catalogue's number by default.
    pub fn replicas(mut self, role: &str, count: u16) -> Self {
        self.replicas.insert(role.to_owned(), count);
        self
    }

    /// The folder that gets one folder a node; made when it does not exist.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    /// Where secrets are kept; `secrets` in the cluster's folder by default.
    pub fn secrets_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.secrets_dir = Some(dir.into());
        self
    }

    /// What `{root}` stands for, and where the commands of the sample run.
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    /// The executable of the role that is started first: for most systems the only one.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// An executable by its name in the catalogue.
    pub fn binary_named(mut self, name: &str, path: impl Into<PathBuf>) -> Self {
        self.binaries.insert(name.to_owned(), path.into());
        self
    }

    /// A variable for every node; it wins over the catalogue's.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// How ports are chosen; [`PortPlan::Ephemeral`] by default.
    pub fn ports(mut self, plan: PortPlan) -> Self {
        self.ports = plan;
        self
    }

    /// Whether nodes reach each other through proxies that can fail on demand.
    pub fn through_proxies(mut self, proxied: bool) -> Self {
        self.proxied = proxied;
        self
    }

    /// How long any node is waited for before that is an error; a minute by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts the processes, which end with the returned value or with this process. They are not
    /// waited for.
    ///
    /// # Errors
    /// The system is unknown, a port is taken, or a binary cannot be started.
    pub async fn start(self) -> Result<Cluster> {
        let cluster = self.build(Lifetime::Attached)?;
        cluster.start_stopped().await?;
        Ok(cluster)
    }

    /// Starts processes that outlive this one, and records them in the cluster's folder, where
    /// [`Cluster::open`] finds them. They are not waited for.
    ///
    /// # Errors
    /// As those of [`start`](Self::start), or the record cannot be written. Proxies cannot be
    /// asked for: they live in this process.
    pub async fn start_detached(self) -> Result<Cluster> {
        if self.proxied {
            return Err(Error::NoProxies { system: self.name });
        }
        let cluster = self.build(Lifetime::Detached)?;
        // Every port before the first process: a half-started cluster helps nobody.
        for node in &cluster.nodes {
            ports::check_free(node.name(), node.host(), &node.plan.ports)?;
        }
        let started = cluster.start_stopped().await;
        cluster.save()?;
        started?;
        Ok(cluster)
    }

    fn build(self, lifetime: Lifetime) -> Result<Cluster> {
        let (patience, nodes) = (self.patience, self.counts()?);
        let plan = self.plan()?;
        let nodes = plan.nodes(&nodes)?;
        Cluster::assemble(plan, nodes, lifetime, patience)
    }

    /// How many nodes of which role.
    fn counts(&self) -> Result<BTreeMap<String, u16>> {
        let mut counts = self.replicas.clone();
        if let (Ok(system), Some(count)) = (&self.system, self.first_role) {
            counts.entry(system.start_order[0].clone()).or_insert(count);
            if let Some(role) = counts.keys().find(|role| !system.roles.contains_key(*role)) {
                return Err(Error::UnknownRole {
                    system: self.name.clone(),
                    role: role.clone(),
                });
            }
        }
        Ok(counts)
    }

    /// What the nodes share, with the secrets read or made.
    fn plan(self) -> Result<Plan> {
        let name = self.name;
        let system = self.system.map_err(|known| Error::UnknownSystem {
            system: name.clone(),
            known,
        })?;
        std::fs::create_dir_all(&self.dir).map_err(at("create", &self.dir))?;
        let dir = self.dir.canonicalize().map_err(at("read", &self.dir))?;
        let secrets_dir = self.secrets_dir.unwrap_or_else(|| dir.join("secrets"));
        let mut secrets = BTreeMap::new();
        for (secret, &bytes) in &system.development.secrets {
            let file = secrets_dir.join(secret);
            let value = secret::read_or_create(&file, bytes)?;
            secrets.insert(secret.clone(), (file, value));
        }
        let mut binaries = self.binaries;
        if let Some(path) = self.binary {
            binaries.insert(system.roles[&system.start_order[0]].binary.clone(), path);
        }
        let own_hosts = self.proxied || self.ports == PortPlan::Ephemeral;
        Ok(Plan {
            name,
            system,
            root: self.root,
            dir,
            ports: self.ports,
            hosts: if own_hosts {
                Hosts::own()
            } else {
                Hosts::Shared
            },
            proxied: self.proxied,
            binaries,
            secrets,
            environment: self.environment,
        })
    }

    /// Adds executables under names that have none yet.
    pub(super) fn remember_binaries(&mut self, recorded: BTreeMap<String, PathBuf>) {
        for (name, path) in recorded {
            self.binaries.entry(name).or_insert(path);
        }
    }

    /// Puts recorded nodes together again.
    pub(super) fn reassemble(self, hosts: Hosts, nodes: Vec<NodePlan>) -> Result<Cluster> {
        let patience = self.patience;
        let plan = Plan {
            hosts,
            ..self.plan()?
        };
        Cluster::assemble(plan, nodes, Lifetime::Detached, patience)
    }
}

impl Cluster {
    fn assemble(
        plan: Plan,
        nodes: Vec<NodePlan>,
        lifetime: Lifetime,
        patience: Duration,
    ) -> Result<Self> {
        let network = plan.proxied.then(Network::new).transpose()?;
        let plan = Arc::new(plan);
        let prober = Prober::new();
        let mut cluster = Self {
            plan,
            nodes: Vec::new(),
            network,
            prober,
            lifetime,
            patience,
            captured: None,
        };
        for node in nodes {
            cluster.add(node)?;
        }
        Ok(cluster)
    }

    /// Adds a node that is not started, with its proxies.
    pub(super) fn add(&mut self, plan: NodePlan) -> Result<()> {
        if let Some(network) = &mut self.network {
            require_source(&self.plan, &plan.role)?;
            network.add(&plan.place())?;
        }
        let shared = Arc::clone(&self.plan);
        let prober = self.prober.clone();
        self.nodes.push(Node::new(
            plan,
            shared,
            prober,
            self.lifetime,
            self.patience,
        ));
        Ok(())
    }
}

/// Proxies tell callers apart by the address they dial from, so there has to be a setting for it.
fn require_source(plan: &Plan, role_name: &str) -> Result<()> {
    let variables = plan.role(role_name)?.environment.values();
    let mut values = variables.filter_map(|variable| variable.value.as_ref());
    if values.any(|value| value.placeholders().any(|name| name == "source")) {
        return Ok(());
    }
    Err(Error::NoSourceAddress {
        system: plan.name.clone(),
        role: role_name.to_owned(),
    })
}
