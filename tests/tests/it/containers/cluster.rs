//! Nodes in containers on a network of their own, and what can happen to them. Containers and
//! network are removed when the cluster is dropped, by a panic too.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::ContainerInspectResponse;
use testcontainers::bollard::query_parameters::{InspectContainerOptions, KillContainerOptions};
use testcontainers::core::{CmdWaitFor, ExecCommand, IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _};

use super::image::{JWT_SECRET, Ledger};

/// What is awaited comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a node keeps a write that it cannot get acknowledged.
const ANSWER: Duration = Duration::from_secs(30);
/// The catalogue's `api`.
const PORT: u16 = 8080;

/// A connection to the engine.
pub async fn docker() -> Docker {
    const START: &str = "start an engine with infra/scripts/docker.sh, or set TEST_CONTAINERS=no";
    let docker = Docker::connect_with_defaults()
        .unwrap_or_else(|error| panic!("no Docker engine ({error}): {START}"));
    docker
        .negotiate_version()
        .await
        .unwrap_or_else(|error| panic!("no Docker engine answers ({error}): {START}"))
}

/// An image is named by name and tag; an id has the same form.
fn generic(ledger: &Ledger) -> GenericImage {
    let (name, tag) = ledger.image.split_once(':').expect("sha256:…");
    GenericImage::new(name, tag)
}

/// Nodes that know each other.
pub struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// Starts `size` nodes at a time, each with those before it as peers, and waits until the
    /// image's own check finds them healthy and they are ready to serve.
    pub async fn start(docker: &Docker, ledger: &Ledger, size: usize) -> Self {
        kit::tls::install_provider();
        let client = reqwest::Client::builder()
            .timeout(ANSWER)
            .build()
            .expect("a client");
        let token = ledger.token();
        let network = network_name();
        let names: Vec<String> = (1..=size)
            .map(|index| format!("{network}-node{index}"))
            .collect();
        let starting: Vec<_> = (0..size)
            .map(|index| {
                let node = request(ledger, &network, &names[index], &names[..index]);
                tokio::spawn(node.start())
            })
            .collect();
        // All of them, before one that failed ends the test: what still starts is not removed.
        let mut started = Vec::new();
        for container in starting {
            started.push(container.await.expect("no panic"));
        }
        let node = |(name, container): (String, Result<_, _>)| Node {
            container: container.expect("a healthy node"),
            name,
            docker: docker.clone(),
            client: client.clone(),
            token: token.clone(),
        };
        let nodes: Vec<Node> = names.into_iter().zip(started).map(node).collect();
        for node in &nodes {
            node.ready().await;
        }
        Self { nodes }
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// All but one.
    pub fn without(&self, left_out: &Node) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.name != left_out.name)
    }

    /// The node that its followers call their leader.
    pub async fn leader(&self) -> &Node {
        eventually("all nodes name one leader", async || {
            let mut leaders = Vec::new();
            for node in &self.nodes {
                let status: Value = node.get("/api/v1/cluster").await;
                leaders.push(status["leader"].as_str().unwrap_or_default().to_owned());
            }
            leaders.dedup();
            let leader = self
                .nodes
                .iter()
                .find(|node| leaders == [node.name.as_str()]);
            leader.ok_or_else(|| format!("{leaders:?}"))
        })
        .await
    }
}

/// A name that no other run has.
fn network_name() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("trivet-{}-{count}", std::process::id())
}

fn request(
    ledger: &Ledger,
    network: &str,
    name: &str,
    peers: &[String],
) -> ContainerRequest<GenericImage> {
    let peers: Vec<String> = peers.iter().map(|peer| format!("{peer}:{PORT}")).collect();
    generic(ledger)
        .with_exposed_port(PORT.tcp())
        .with_wait_for(WaitFor::healthcheck())
        .with_startup_timeout(PATIENCE)
        .with_network(network)
        .with_container_name(name)
        // By default a node is reached at its name, which is the container's here.
        .with_env_var("PROVCHAIN_NODE_NAME", name)
        .with_env_var("PROVCHAIN_PEERS", peers.join(","))
        .with_env_var("JWT_SECRET", JWT_SECRET)
}

/// One container.
pub struct Node {
    name: String,
    container: ContainerAsync<GenericImage>,
    docker: Docker,
    client: reqwest::Client,
    token: String,
}

/// What a checkpoint says of the tree: lines 1 to 3 of the note (C2SP tlog-checkpoint).
#[derive(Debug, PartialEq, Eq)]
pub struct Tree {
    pub origin: String,
    pub size: u64,
    pub root: String,
}

impl Node {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `kill -9`, and gone.
    pub async fn kill(&self) {
        let signal = KillContainerOptions {
            signal: "KILL".into(),
        };
        self.docker
            .kill_container(self.container.id(), Some(signal))
            .await
            .expect("killed");
        eventually("the container ends", async || {
            let running = self.container.is_running().await.expect("an engine");
            if running { Err("it runs") } else { Ok(()) }
        })
        .await;
    }

    /// With the data that it had.
    pub async fn start_again(&self) {
        self.container
            .start()
            .await
            .expect("a container that starts");
    }

    /// Asks it to stop, and returns its exit status; 137 is that of a node that had to be killed.
    pub async fn stop(&self) -> i64 {
        self.container
            .stop_with_timeout(Some(30))
            .await
            .expect("an engine");
        let status = self.container.exit_code().await.expect("an engine");
        status.expect("a container that has stopped")
    }

    /// Drops every packet to and from everything but the host, which goes on asking: connections
    /// stay open and nothing comes through them.
    pub async fn cut_off(&self) {
        let settings = self.inspect().await.network_settings.expect("settings");
        let networks = settings.networks.expect("networks");
        let gateway = networks
            .into_values()
            .find_map(|network| network.gateway)
            .expect("a gateway");
        self.iptables(&["-A", "INPUT", "!", "-i", "lo", "!", "-s"], &gateway)
            .await;
        self.iptables(&["-A", "OUTPUT", "!", "-o", "lo", "!", "-d"], &gateway)
            .await;
    }

    /// Lets every packet through.
    pub async fn heal(&self) {
        for chain in ["INPUT", "OUTPUT"] {
            self.in_network(&["iptables", "-F", chain]).await;
        }
    }

    async fn iptables(&self, rule: &[&str], gateway: &str) {
        self.in_network(&[&["iptables"], rule, &[gateway, "-j", "DROP"]].concat())
            .await;
    }

    /// Runs a program of this machine, as root, in the container's network.
    async fn in_network(&self, command: &[&str]) {
        let pid = self
            .inspect()
            .await
            .state
            .and_then(|state| state.pid)
            .expect("a process");
        let enter = ["nsenter", &format!("--net=/proc/{pid}/ns/net")];
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let words: Vec<&str> = ["sudo", "--non-interactive"]
            .iter()
            .skip(if is_root { 2 } else { 0 })
            .chain(&enter)
            .chain(command)
            .copied()
            .collect();
        let output = Command::new(words[0])
            .args(&words[1..])
            .output()
            .expect("a program");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {complaint}", words.join(" "));
    }

    /// Whether a program of the image can be run in the container, and succeeds.
    pub async fn runs(&self, command: &[&str]) -> bool {
        let command =
            ExecCommand::new(command.iter().copied()).with_cmd_ready_condition(CmdWaitFor::exit());
        match self.container.exec(command).await {
            Ok(result) => result.exit_code().await.expect("an engine") == Some(0),
            Err(_) => false,
        }
    }

    /// What the engine knows of the container.
    pub async fn inspect(&self) -> ContainerInspectResponse {
        let id = self.container.id();
        let inspected = self
            .docker
            .inspect_container(id, None::<InspectContainerOptions>)
            .await;
        inspected.expect("a container")
    }

    /// Where the host reaches a path; the port is another one after each start.
    async fn url(&self, path: &str) -> String {
        let host = self.container.get_host().await.expect("a host");
        let port = self
            .container
            .get_host_port_ipv4(PORT)
            .await
            .expect("a published port");
        format!("http://{host}:{port}{path}")
    }

    /// Waits until it is a caught-up member of a cluster with a leader.
    pub async fn ready(&self) {
        eventually(&format!("{} is ready", self.name), async || {
            self.answer(self.client.get(self.url("/readyz").await))
                .await
        })
        .await;
    }

    /// The answer's body if it succeeds, else its status and body.
    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<String, String> {
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(format!("{status}: {body}"))
        }
    }

    async fn text(&self, path: &str) -> String {
        eventually(&format!("{} answers {path}", self.name), async || {
            // What was captured is for its party, unless its capture says otherwise.
            let request = self.client.get(self.url(path).await);
            self.answer(request.bearer_auth(&self.token)).await
        })
        .await
    }

    /// The JSON at a path.
    pub async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).expect("JSON")
    }

    /// What this node says of the tree.
    pub async fn tree(&self) -> Tree {
        let note = self.text("/checkpoint?fresh=true").await;
        let mut lines = note.lines().map(str::to_owned);
        let mut line = || lines.next().expect("three lines");
        Tree {
            origin: line(),
            size: line().parse().expect("a number"),
            root: line(),
        }
    }

    /// Sends a document; its events once they are acknowledged, else why they are not.
    pub async fn capture(&self, document: &Value) -> Result<Vec<Value>, String> {
        let request = self.client.post(self.url("/capture").await);
        self.answer(request.bearer_auth(&self.token).json(document))
            .await?;
        let events = document["epcisBody"]["eventList"].as_array();
        Ok(events.expect("events").clone())
    }

    /// Sends a document until it is acknowledged: capturing twice captures once.
    pub async fn capture_until_acknowledged(&self, document: &Value) -> Vec<Value> {
        eventually(&format!("{} acknowledges", self.name), async || {
            self.capture(document).await
        })
        .await
    }
}

/// Tries until it succeeds.
pub async fn eventually<T, E: std::fmt::Debug>(
    what: &str,
    attempt: impl AsyncFn() -> Result<T, E>,
) -> T {
    const PAUSE: Duration = Duration::from_millis(200);
    let begin = Instant::now();
    loop {
        match attempt().await {
            Ok(outcome) => return outcome,
            Err(error) if begin.elapsed() > PATIENCE => panic!("{what}: never, {error:?}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
