//! Nodes as processes, and a client that asks them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devcluster::{Builder, Cluster, Node, Workspace};
use kit::settings::Secret;
use kit::tokens::Keys;
use provchain::sample::Sample;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

/// The executable under test.
pub const PROVCHAIN: &str = env!("CARGO_BIN_EXE_provchain");

/// How long what has to happen is waited for; it bounds failures only.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// A ledger on its own nodes, in a folder of its own. All of it ends with the value.
pub struct Ledger {
    pub nodes: Cluster,
    pub token: String,
    client: reqwest::Client,
    folder: TempDir,
}

/// What a node answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub challenge: Option<String>,
    pub grpc_status: Option<String>,
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

/// Size and root of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    pub size: u64,
    pub root: String,
}

impl Ledger {
    /// Starts `count` nodes and waits until the ledger is founded.
    pub async fn start(count: u16) -> Self {
        Self::start_with(count, |nodes| nodes).await
    }

    /// Starts nodes that `prepare` has a say in.
    pub async fn start_with(count: u16, prepare: impl FnOnce(Builder) -> Builder) -> Self {
        kit::tls::install_provider();
        let workspace = Workspace::find(env!("CARGO_MANIFEST_DIR")).expect("the repository");
        let folder = tempfile::tempdir().expect("a folder");
        let nodes = Cluster::builder(workspace.catalogue(), "provchain")
            .dir(folder.path().join("cluster"))
            .nodes(count)
            // What a test says nothing of is to be read without a token.
            .env("PROVCHAIN_VISIBILITY_DEFAULT", "public")
            .binary(PROVCHAIN)
            .patience(PATIENCE);
        let nodes = prepare(nodes).start().await.expect("the nodes start");
        nodes.wait_ready().await.expect("the nodes get ready");
        let ledger = Self {
            token: token(&nodes, "test", "processor"),
            nodes,
            client: reqwest::Client::builder()
                .no_proxy()
                .timeout(ANSWER)
                .build()
                .expect("a client"),
            folder,
        };
        for node in ledger.nodes.nodes() {
            ledger.founded(node).await;
        }
        ledger
    }

    /// The first node.
    pub fn first(&self) -> &Node {
        &self.nodes.nodes()[0]
    }

    /// A folder for what a test writes.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        path
    }

    /// A token with another role.
    pub fn token_of(&self, role: &str) -> String {
        token(&self.nodes, "test", role)
    }

    /// A token of somebody who acts for the party of its own name.
    pub fn token_for(&self, subject: &str, role: &str) -> String {
        token(&self.nodes, subject, role)
    }

    /// A request without a token.
    pub fn request(&self, method: Method, node: &Node, path: &str) -> RequestBuilder {
        self.request_at("api", method, node, path)
    }

    /// A request to another port than the API's.
    pub fn request_at(
        &self,
        port: &str,
        method: Method,
        node: &Node,
        path: &str,
    ) -> RequestBuilder {
        let url = node.url(port).expect("a port");
        self.client.request(method, format!("{url}{path}"))
    }

    pub async fn get(&self, node: &Node, path: &str) -> Answer {
        let request = self.request(Method::GET, node, path);
        answer(request)
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The JSON at `path`, which must be there.
    pub async fn json(&self, node: &Node, path: &str) -> Value {
        let answer = self.get(node, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Sends a document, whatever comes of it.
    pub async fn try_capture(&self, node: &Node, document: &Value) -> reqwest::Result<Answer> {
        let request = self.request(Method::POST, node, "/capture");
        answer(request.bearer_auth(&self.token).json(document)).await
    }

    /// Sends a document that must be taken; gives the receipt.
    pub async fn capture(&self, node: &Node, document: &Value) -> Value {
        let answer = self.try_capture(node, document).await.expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()
    }

    /// Sends a document that must be refused with `status`; gives the problem.
    pub async fn refused(&self, node: &Node, document: &Value, status: u16) -> Value {
        let answer = self.try_capture(node, document).await.expect("an answer");
        answer.problem(status)
    }

    /// Captures a whole sample, a hundred events at a time.
    pub async fn capture_sample(&self, events: usize, seed: u64) -> Sample {
        let mut sample = Sample::new(events, seed);
        let documents: Vec<Value> = sample.documents(100).collect();
        for (document, node) in documents.iter().zip(self.nodes.nodes().iter().cycle()) {
            self.capture(node, document).await;
        }
        sample
    }

    /// Size and root of the tree, as `node` has it.
    pub async fn tree(&self, node: &Node) -> Tree {
        let ledger = self.json(node, "/api/v1/ledger").await;
        Tree {
            size: ledger["size"].as_u64().expect("a size"),
            root: ledger["root"].as_str().expect("a root").to_owned(),
        }
    }

    /// The tree that all nodes have.
    pub async fn common_tree(&self) -> Tree {
        let tree = self.tree(self.first()).await;
        for node in self.nodes.nodes() {
            assert_eq!(self.tree(node).await, tree, "{}", node.name());
        }
        tree
    }

    /// Waits until the blocks cover every entry, so that the folders' checkpoints do, too.
    pub async fn sealed(&self, node: &Node) {
        until("every entry is in a block", async || {
            let ledger = self.json(node, "/api/v1/ledger").await;
            let last = ledger["block"]["lastEntry"].as_u64();
            last.map_or(0, |last| last + 1) == ledger["size"].as_u64().expect("a size")
        })
        .await;
    }

    async fn founded(&self, node: &Node) {
        until(
            "the ledger is founded and the node's key known",
            async || {
                let keys = self.get(node, "/api/v1/keys").await;
                keys.status == 200 && keys.text().lines().count() == self.nodes.nodes().len()
            },
        )
        .await;
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The problem document (RFC 9457) that this must be, with this status.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.kind, "application/problem+json", "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        for member in ["type", "title", "detail"] {
            let text = problem[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {member} in {problem}");
        }
        problem
    }
}

/// Sends a request.
pub async fn answer(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().expect("a header is text").to_owned())
    };
    let (kind, challenge) = (header("content-type"), header("www-authenticate"));
    let grpc_status = header("grpc-status");
    let retry_after = header("retry-after");
    Ok(Answer {
        status: response.status().as_u16(),
        kind: kind.unwrap_or_default(),
        challenge,
        grpc_status,
        retry_after,
        body: response.bytes().await?.to_vec(),
    })
}

/// Waits until `holds`; a test that waits for ever says what for.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

fn token(nodes: &Cluster, subject: &str, role: &str) -> String {
    let secret = Secret::new(nodes.secret("jwt").expect("a secret"));
    let keys = Keys::new(&secret).expect("long enough");
    keys.issue(subject, role, Duration::from_secs(3600))
        .expect("signed")
}
