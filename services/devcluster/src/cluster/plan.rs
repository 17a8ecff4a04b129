//! From the catalogue to the command line of one node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Role, System, Values, Which};
use crate::error::{Error, Result};
use crate::network::Place;
use crate::ports::{self, Hosts, PortPlan};
use crate::process::{Launch, NODE_DIR, User};
use crate::program::find_program;

/// What every process may inherit: where programs and homes are, language and time, and what Rust
/// programs read for debugging. Everything else would make one machine unlike another.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "LLVM_PROFILE_FILE",
];

/// Everything that the nodes of a cluster share.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) system: System,
    /// The repository, or wherever `{root}` points.
    pub(crate) root: PathBuf,
    /// The folder with one folder a node.
    pub(crate) dir: PathBuf,
    pub(crate) ports: PortPlan,
    pub(crate) hosts: Hosts,
    pub(crate) proxied: bool,
    /// Executables by their names in the catalogue.
    pub(crate) binaries: BTreeMap<String, PathBuf>,
    /// Secrets by name, with the files that hold them.
    pub(crate) secrets: BTreeMap<String, (PathBuf, String)>,
    /// Variables that win over those of the catalogue.
    pub(crate) environment: BTreeMap<String, String>,
}

/// What makes a node this node; kept over its restarts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodePlan {
    pub(crate) name: String,
    pub(crate) role: String,
    /// Its number among the nodes of its role, from 1.
    pub(crate) index: u16,
    /// Its number among the nodes of all roles, from 0.
    pub(crate) ordinal: u8,
    pub(crate) host: IpAddr,
    pub(crate) advertised_host: IpAddr,
    pub(crate) ports: BTreeMap<String, u16>,
    /// Whom it was told of when it was made; like a real configuration, it does not change.
    pub(crate) peers: Vec<String>,
    /// The addresses of all nodes that were there when it was made, by role and port: what
    /// `{nodes.role.port}` stands for.
    #[serde(default)]
    pub(crate) others: BTreeMap<String, String>,
}

impl NodePlan {
    /// Where proxies have to stand in front of it.
    pub(crate) fn place(&self) -> Place {
        Place {
            name: self.name.clone(),
            host: self.host,
            advertised_host: self.advertised_host,
            ports: self.ports.values().copied().collect(),
        }
    }
}

impl Plan {
    pub(crate) fn role(&self, name: &str) -> Result<&Role> {
        self.system
            .roles
            .get(name)
            .ok_or_else(|| Error::UnknownRole {
                system: self.name.clone(),
                role: name.to_owned(),
            })
    }

    /// A node without peers yet.
    pub(crate) fn node(
        &self,
        role_name: &str,
        index: u16,
        ordinal: u8,
        name: Option<&str>,
    ) -> Result<NodePlan> {
        let role = self.role(role_name)?;
        let named = [
            ("system", &self.name),
            ("role", &role_name.to_owned()),
            ("index", &index.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .into();
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.render(&role.node_name, &named, "node_name")?,
        };
        let host = self.hosts.host(ordinal);
        let advertised_host = if self.proxied {
            self.hosts.advertised(ordinal)
        } else {
            host
        };
        let mut listened = vec![host];
        if self.proxied {
            listened.push(advertised_host);
        }
        let ports = ports::choose(self.ports, &self.system, role, &name, ordinal, &listened)?;
        Ok(NodePlan {
            name,
            role: role_name.to_owned(),
            index,
            ordinal,
            host,
            advertised_host,
            ports,
            peers: Vec::new(),
            others: BTreeMap::new(),
        })
    }

    /// The addresses of nodes, by role and port.
    pub(crate) fn addresses<'a>(
        nodes: impl IntoIterator<Item = &'a NodePlan>,
    ) -> BTreeMap<String, String> {
        let mut addresses: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in nodes {
            for (port, number) in &node.ports {
                let of_role = addresses.entry(format!("{}.{port}", node.role));
                let address = format!("{}:{number}", node.advertised_host);
                of_role.or_default().push(address);
            }
        }
        let joined = |(name, all): (String, Vec<String>)| (name, all.join(","));
        addresses.into_iter().map(joined).collect()
    }

    /// The addresses of those of `nodes` that a node of this role is told of.
    pub(crate) fn peers<'a>(
        role: &Role,
        nodes: impl IntoIterator<Item = &'a NodePlan>,
    ) -> Vec<String> {
        let Some(peers) = &role.peers else {
            return Vec::new();
        };
        nodes
            .into_iter()
            .filter(|node| peers.roles.contains(&node.role))
            .map(|node| format!("{}:{}", node.advertised_host, node.ports[&peers.port]))
            .collect()
    }

    /// All nodes of a new cluster, in the order in which they start.
    pub(crate) fn nodes(&self, replicas: &BTreeMap<String, u16>) -> Result<Vec<NodePlan>> {
        let mut nodes: Vec<NodePlan> = Vec::new();
        for (name, role) in self.system.roles_in_order() {
            for index in 1..=replicas.get(name).copied().unwrap_or(role.replicas) {
                nodes.push(self.node(name, index, ordinal(nodes.len(), name)?, None)?);
            }
        }
        let told: Vec<Vec<String>> = nodes
            .iter()
            .map(|node| {
                let role = &self.system.roles[&node.role];
                let all = role
                    .peers
                    .as_ref()
                    .is_some_and(|peers| peers.which == Which::All);
                Self::peers(
                    role,
                    nodes
                        .iter()
                        .filter(|other| all || other.ordinal < node.ordinal),
                )
            })
            .collect();
        let others = Self::addresses(&nodes);
        for (node, peers) in nodes.iter_mut().zip(told) {
            node.peers = peers;
            node.others.clone_from(&others);
        }
        Ok(nodes)
    }

    pub(crate) fn node_dir(&self, node: &NodePlan) -> PathBuf {
        self.dir.join(&node.name)
    }

    pub(crate) fn data_dir(&self, node: &NodePlan) -> PathBuf {
        self.node_dir(node).join("data")
    }

    /// The executable of a role.
    pub(crate) fn binary(&self, role: &Role) -> Result<&PathBuf> {
        self.binaries
            .get(&role.binary)
            .ok_or_else(|| Error::NoBinary {
                binary: role.binary.clone(),
                reason: "no path was given for it".to_owned(),
            })
    }

    /// What the placeholders stand for when they speak of this node.
    pub(crate) fn values(&self, node: &NodePlan) -> Values {
        let role = &self.system.roles[&node.role];
        let mut values = Values::new();
        let mut set = |name: &str, value: String| values.insert(name.to_owned(), value);
        set("system", self.name.clone());
        set("role", node.role.clone());
        set("name", node.name.clone());
        set("index", node.index.to_string());
        set("host", node.host.to_string());
        set("data_dir", self.data_dir(node).display().to_string());
        set("work_dir", self.dir.join("work").display().to_string());
        set("root", self.root.display().to_string());
        if let Some(peers) = &role.peers {
            let written = |form: &String| {
                let each = node.peers.iter().map(|peer| form.replace('%', peer));
                each.collect::<Vec<_>>().join(" ")
            };
            let plain = || node.peers.join(",");
            set("peers", peers.written.as_ref().map_or_else(plain, written));
        }
        for (name, addresses) in &node.others {
            set(&format!("nodes.{name}"), addresses.clone());
        }
        if self.proxied {
            set("source", node.host.to_string());
        }
        if let Some(path) = self.binaries.get(&role.binary) {
            set("binary", path.display().to_string());
        }
        for (name, port) in &node.ports {
            let scheme = &role.ports[name].scheme;
            set(&format!("port.{name}"), port.to_string());
            set(
                &format!("url.{name}"),
                format!("{scheme}://{}:{port}", node.host),
            );
            set(
                &format!("advertise.{name}"),
                format!("{}:{port}", node.advertised_host),
            );
        }
        for (name, (file, secret)) in &self.secrets {
            set(&format!("secret.{name}"), secret.clone());
            set(&format!("secret_file.{name}"), file.display().to_string());
        }
        values
    }

    /// How the node is started.
    pub(crate) fn launch(&self, node: &NodePlan) -> Result<Launch> {
        let role = self.role(&node.role)?;
        let values = self.values(node);
        let render = |template| self.render(template, &values, &role.binary);
        let mut environment = self.inherited();
        for (name, variable) in &role.environment {
            // A placeholder without a value leaves the variable unset.
            if let Some(Ok(value)) = variable.value.as_ref().map(|value| value.render(&values)) {
                environment.insert(name.clone(), value);
            }
        }
        environment.extend(self.environment.clone());
        environment.insert(
            NODE_DIR.to_owned(),
            self.node_dir(node).display().to_string(),
        );
        Ok(Launch {
            program: self.binary(role)?.clone(),
            args: role.args.iter().map(render).collect::<Result<_>>()?,
            environment,
            working_dir: self.node_dir(node),
            log: self.node_dir(node).join("log"),
            user: role
                .refuses_root
                .then(|| User::instead_of_root(&role.user))
                .flatten(),
            forks: role.forks,
        })
    }

    /// A program by its name: a binary of the system, or one that is installed.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        match self.binaries.get(name) {
            Some(path) => Ok(path.clone()),
            None => find_program(name, &self.system.development.path),
        }
    }

    /// What a process of this system gets from the shell.
    pub(crate) fn inherited(&self) -> BTreeMap<String, String> {
        let named = self.system.development.inherit.iter().map(String::as_str);
        INHERITED
            .iter()
            .copied()
            .chain(named)
            .filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?.into_string().ok()?)))
            .collect()
    }

    /// Renders what has to have a value; the catalogue was checked, so only an optional
    /// placeholder (`{source}`) in a place where nothing is optional can fail.
    pub(crate) fn render(
        &self,
        template: &crate::catalogue::Template,
        values: &Values,
        place: &str,
    ) -> Result<String> {
        template
            .render(values)
            .map_err(|missing| Error::CatalogueContent {
                origin: crate::Catalogue::PATH.to_owned(),
                problem: format!(
                    "{}: {place} needs {{{missing}}}, which is not set here",
                    self.name
                ),
            })
    }
}

/// The ordinal of the next node; loopback addresses have room for 127.
pub(crate) fn ordinal(next: usize, node: &str) -> Result<u8> {
    u8::try_from(next)
        .ok()
        .filter(|&next| next < 127)
        .ok_or_else(|| Error::NoPorts {
            node: node.to_owned(),
            reason: "a cluster has at most 127 nodes".to_owned(),
        })
}
