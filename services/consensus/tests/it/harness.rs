//! Fields of nodes, and waiting for what is to come.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use consensus::{NodeConfig, Settings};
use kit::settings::Secret;
use tempfile::TempDir;

pub use crate::node::{Node, Seat};
use crate::wires::{self, Wires};

/// How long a condition is waited for; nothing is asserted about time.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const SECRET: &str = "a secret of the test cluster, long enough";
pub const NETWORK: &str = "test";

/// A folder with nodes in it.
pub struct Field {
    pub nodes: Vec<Node>,
    pub wires: Option<Wires>,
    dir: TempDir,
}

/// The executable of `examples/register_node.rs`, which cargo builds beside the tests.
pub fn register_node() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    let path = target.join("examples").join("register_node");
    assert!(
        path.is_file(),
        "build it with `cargo build --workspace --examples`"
    );
    path
}

/// An address that stays free while no node listens on it: below the ports that a system gives
/// to whoever asks for any, of which an outgoing connection may take one while a node is down.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(port < 30_000, "every port was given out");
    // Nobody else listens there, and two test processes do not meet. To try it by listening would be
    // in the way: another thread that starts a process then holds the socket for a moment longer.
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    format!("127.77.{high}.{low}:{port}")
}

pub fn quick() -> Settings {
    Settings {
        heartbeat_ms: 50,
        election_timeout_ms_min: 300,
        election_timeout_ms_max: 600,
        formation_wait_ms: 100,
        ..Settings::default()
    }
}

impl Field {
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            wires: None,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A field of `n` running nodes, the first of which formed the cluster.
    pub fn formed(n: usize) -> Self {
        Self::formed_with(n, &quick())
    }

    pub fn formed_with(n: usize, settings: &Settings) -> Self {
        let mut field = Self::new();
        for _ in 0..n {
            field.add_node(settings.clone());
        }
        field.start_all();
        field
    }

    /// A field whose nodes reach each other by wires that can be cut.
    pub fn wired(n: usize) -> Self {
        let mut field = Self::laid(n);
        field.start_all();
        field
    }

    /// The same, before any of the nodes is started.
    pub fn laid(n: usize) -> Self {
        let mut field = Self::new();
        let wires = Wires::new();
        for place in 0..n {
            let settings = Settings {
                source_address: Some(wires::source(place)),
                ..quick()
            };
            let node = field.add_node(settings);
            let real: SocketAddr = node.config.address.parse().unwrap();
            node.listens = Some(real);
            node.config.address = wires.lay(place, real).to_string();
        }
        field.wires = Some(wires);
        field
    }

    pub fn wires(&self) -> &Wires {
        self.wires.as_ref().expect("the field is wired")
    }

    /// A node that forms the cluster if it is the first, and joins through the others else.
    pub fn add_node(&mut self, settings: Settings) -> &mut Node {
        let peers = self
            .nodes
            .iter()
            .map(|node| node.config.address.clone())
            .collect();
        let config = self.config(&format!("n{}", self.nodes.len() + 1), Some(peers), settings);
        self.nodes.push(Node::new(config));
        self.nodes.last_mut().unwrap()
    }

    /// A configuration with a data directory in the field.
    pub fn config(&self, name: &str, peers: Option<Vec<String>>, settings: Settings) -> NodeConfig {
        NodeConfig {
            data_dir: self.dir.path().join(name),
            name: name.to_owned(),
            address: free_address(),
            peers,
            network: NETWORK.into(),
            secret: Secret::new(SECRET),
            tls: None,
            settings,
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts what is down, and waits until all can be sent work and vote.
    pub fn start_all(&mut self) {
        for node in &mut self.nodes {
            if !node.is_running() {
                node.start();
            }
        }
        self.wait_ready();
    }

    /// Waits until all can be sent work and vote, and none of them is needed for the others' sake:
    /// while the members change, it takes both majorities to elect.
    pub fn wait_ready(&self) {
        for node in &self.nodes {
            node.wait_ready();
        }
        for node in &self.nodes {
            node.wait_for("the members are settled", |cluster| {
                !cluster.status().changing
            });
        }
    }

    pub fn crash_all(&mut self) {
        for node in &mut self.nodes {
            node.crash();
        }
    }

    /// The place of the node that leads, once there is one that can.
    pub fn leader(&self) -> usize {
        self.leader_among(|_| true)
    }

    /// The place of the leader among the running nodes that `counts`.
    pub fn leader_among(&self, counts: impl Fn(usize) -> bool) -> usize {
        let mut found = None;
        let what = || {
            let running = self.nodes.iter().filter(|node| node.is_running());
            let told = running.map(|node| {
                let cluster = node.cluster();
                format!("{:?} {:?}", cluster.unready(), cluster.status())
            });
            format!("a single leader: {:#?}", told.collect::<Vec<_>>())
        };
        eventually_told(what, || {
            let leads: Vec<usize> = (0..self.nodes.len())
                .filter(|at| counts(*at) && self.nodes[*at].is_running())
                .filter(|at| self.nodes[*at].cluster().leads())
                .collect();
            if let [leader] = leads[..]
                && self.nodes[leader].cluster().unready().is_none()
            {
                found = Some(leader);
            }
            found.is_some()
        });
        found.unwrap()
    }

    /// A place whose node follows.
    pub fn follower(&self) -> usize {
        (self.leader() + 1) % self.nodes.len()
    }

    /// Waits until all running nodes have applied the same index and hold the same rows.
    pub fn assert_equal(&self) {
        let mut states = Vec::new();
        eventually("the nodes hold the same", || {
            states = self
                .nodes
                .iter()
                .filter(|node| node.is_running() && node.cluster().status().halted.is_none())
                .map(|node| {
                    let digest = node.read_local(consensus::digest);
                    (node.cluster().status().applied_index, digest)
                })
                .collect();
            states.windows(2).all(|pair| pair[0] == pair[1])
        });
    }
}

/// Waits until `reached`.
pub fn eventually(what: &str, reached: impl FnMut() -> bool) {
    eventually_told(|| what.to_owned(), reached);
}

/// Waits until `reached`, and says in the end `what` stood in the way.
fn eventually_told(what: impl Fn() -> String, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "waited in vain: {}", what());
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at a condition, on a test's thread"
)]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// A database, from outside of a node.
#[expect(clippy::disallowed_methods, reason = "to look at it, and to damage it")]
pub fn database(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}
