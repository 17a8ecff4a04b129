//! Which address and ports each node gets, and who has a port that is taken.

pub(crate) mod owner;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Role, System};
use crate::error::{Error, Result};

/// How ports are chosen.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PortPlan {
    /// Free ports on loopback addresses that this cluster alone uses: any number of clusters run
    /// side by side.
    #[default]
    Ephemeral,
    /// The blocks of ports that the catalogue states, from this number on.
    Base(u16),
}

/// Ports are drawn from below the range that the kernel gives to outgoing connections (32768 and up
/// unless configured otherwise), so that no connection takes the port of a node that is down.
const DRAWN_FROM: std::ops::Range<u16> = 10_000..32_768;

/// How often a port is drawn before giving up.
const DRAWS: usize = 64;

/// The last octet of the first node's address, and of its proxy's.
const FIRST_HOST: u8 = 1;
const FIRST_ADVERTISED: u8 = 128;

/// The loopback addresses of a cluster.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hosts {
    /// All nodes on 127.0.0.1.
    Shared,
    /// Each node on an address of its own in 127.a.b.0/24: on Linux all of 127.0.0.0/8 is local.
    Own(u8, u8),
}

impl Hosts {
    /// Addresses that no other cluster is likely to use.
    pub(crate) fn own() -> Self {
        let mut rng = rand::rng();
        Self::Own(rng.random_range(1..=255), rng.random())
    }

    /// The address that the node listens on and dials from.
    pub(crate) fn host(self, ordinal: u8) -> IpAddr {
        match self {
            Self::Shared => Ipv4Addr::LOCALHOST.into(),
            Self::Own(a, b) => Ipv4Addr::new(127, a, b, FIRST_HOST + ordinal).into(),
        }
    }

    /// The address at which a proxy stands for the node.
    pub(crate) fn advertised(self, ordinal: u8) -> IpAddr {
        match self {
            Self::Shared => Ipv4Addr::LOCALHOST.into(),
            Self::Own(a, b) => Ipv4Addr::new(127, a, b, FIRST_ADVERTISED + ordinal).into(),
        }
    }
}

/// The ports of the node with that ordinal among the nodes of all roles.
pub(crate) fn choose(
    plan: PortPlan,
    system: &System,
    role: &Role,
    node: &str,
    ordinal: u8,
    hosts: &[IpAddr],
) -> Result<BTreeMap<String, u16>> {
    let failed = |reason: String| Error::NoPorts {
        node: node.to_owned(),
        reason,
    };
    let mut chosen = BTreeMap::new();
    for (name, port) in &role.ports {
        let number = match plan {
            PortPlan::Base(base) => {
                let development = &system.development;
                if u16::from(ordinal) >= development.nodes_max {
                    let room = development.nodes_max;
                    return Err(failed(format!("the block has room for {room} nodes")));
                }
                let offset = u16::from(ordinal) * development.port_stride + port.development_offset;
                base.checked_add(offset)
                    .ok_or_else(|| failed(format!("base {base} is too near to the last port")))?
            }
            PortPlan::Ephemeral => draw(hosts, &chosen)
                .ok_or_else(|| failed("none of those tried is free".to_owned()))?,
        };
        chosen.insert(name.clone(), number);
    }
    Ok(chosen)
}

fn draw(hosts: &[IpAddr], taken: &BTreeMap<String, u16>) -> Option<u16> {
    let free = |port: &u16| {
        taken.values().all(|other| other != port)
            && hosts
                .iter()
                .all(|&host| TcpListener::bind((host, *port)).is_ok())
    };
    std::iter::repeat_with(|| rand::rng().random_range(DRAWN_FROM))
        .take(DRAWS)
        .find(free)
}

/// Whether a node could listen there.
///
/// # Errors
/// Somebody already does; the error says who.
pub(crate) fn check_free(node: &str, host: IpAddr, ports: &BTreeMap<String, u16>) -> Result<()> {
    for (name, &port) in ports {
        if let Err(error) = TcpListener::bind((host, port)) {
            let owner = match error.kind() {
                std::io::ErrorKind::AddrInUse => owner::of(host, port).to_string(),
                _ => format!("nobody, but cannot be used ({error})"),
            };
            return Err(Error::PortTaken {
                host: host.to_string(),
                port,
                name: name.clone(),
                node: node.to_owned(),
                owner,
            });
        }
    }
    Ok(())
}
