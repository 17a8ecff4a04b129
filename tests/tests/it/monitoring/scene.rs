//! Nodes that run, what they export, and something for them to do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::Router;
use axum::routing::get;
use devcluster::{Cluster, Workspace};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::files::{root, rules};
use super::programs::{PATIENCE, client, until};
use super::stack::{Alertmanager, Prometheus};

/// What Prometheus itself has.
const OF_PROMETHEUS: &[&str] = &["up", "ALERTS"];

/// What a node exports from the first time on that it happens. Each stands in the source.
const ON_OCCASION: &[&str] = &[
    "backup_last_failure_timestamp_seconds",
    "consensus_log_errors_total",
    "consensus_snapshots_installed_total",
    "consensus_snapshots_sent_total",
    "http_handler_panics_total",
    "provchain_deliveries_total",
    "provchain_logins_total",
    "tls_certificate_expiry_seconds",
];

/// What the status service exports, by agreement: a healthy web tier and one system.
const OF_STATUS: &str = "\
# TYPE status_node_up gauge
status_node_up{system=\"provchain\",node=\"node1\"} 1
# TYPE status_probe_seconds histogram
status_probe_seconds_bucket{system=\"provchain\",le=\"0.1\"} COUNT
status_probe_seconds_bucket{system=\"provchain\",le=\"+Inf\"} COUNT
status_probe_seconds_sum{system=\"provchain\"} COUNT
status_probe_seconds_count{system=\"provchain\"} COUNT
# TYPE status_probes_total counter
status_probes_total{system=\"provchain\",node=\"node1\",result=\"ok\"} COUNT
# TYPE status_history_available gauge
status_history_available 1
# TYPE status_web_server_up gauge
status_web_server_up{server=\"web1\"} 1
# TYPE http_requests_total counter
http_requests_total{method=\"GET\",route=\"/api/status\",status=\"200\"} COUNT
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{method=\"GET\",route=\"/api/status\",status=\"200\",le=\"0.1\"} COUNT
http_request_duration_seconds_bucket{method=\"GET\",route=\"/api/status\",status=\"200\",le=\"+Inf\"} COUNT
";

/// A ledger in a folder of its own.
pub struct Scene {
    pub cluster: Cluster,
    _folder: TempDir,
}

impl Scene {
    pub async fn start(nodes: u16) -> Self {
        let workspace = Workspace::find(root()).expect("the repository");
        let folder = tempfile::tempdir().expect("a folder");
        let backups = folder.path().join("backups").display().to_string();
        let mut cluster = Cluster::builder(workspace.catalogue(), "provchain")
            .dir(folder.path().join("cluster"))
            .nodes(nodes)
            .root(root())
            .env("BACKUP_TARGET", &backups)
            .binary(built("provchain"))
            .start()
            .await
            .expect("the nodes start");
        cluster.wait_ready().await.expect("the nodes get ready");
        cluster.load_sample(|_| ()).await.expect("a sample");
        Self {
            cluster,
            _folder: folder,
        }
    }

    /// The metrics of all nodes, by name.
    async fn exported(&self) -> BTreeSet<String> {
        let client = client();
        let mut names = BTreeSet::new();
        for node in self.cluster.nodes() {
            let url = format!("{}/metrics", node.url("metrics").expect("a port"));
            let answer = client.get(&url).send().await.expect("an answer");
            let text = answer.text().await.expect("text");
            names.extend(text.lines().filter_map(name_of));
        }
        names
    }

    /// Waits until all of these are exported: much is told when it happens for the first time.
    pub async fn must_export(&self, wanted: &BTreeSet<String>) {
        let mut strange = wanted.clone();
        let waiting = async {
            while !strange.is_empty() {
                self.ask().await;
                let known = known(self.exported().await);
                strange = wanted.difference(&known).cloned().collect();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "nothing exports {strange:?}");
    }

    /// Asks every node something.
    async fn ask(&self) {
        let client = client();
        for node in self.cluster.nodes() {
            let url = node.url("api").expect("a port");
            for path in ["/api/v1/ledger", "/health", "/events?perPage=1"] {
                let answer = client.get(format!("{url}{path}")).send().await;
                answer.expect("an answer");
            }
        }
    }

    /// A Prometheus that scrapes the nodes; beside an Alertmanager, those only.
    pub async fn prometheus(&self, alertmanager: Option<&Alertmanager>) -> Prometheus {
        let nodes = self.cluster.nodes().iter();
        let nodes = nodes.map(|node| node.address("metrics").expect("an address"));
        let mut targets = vec![("provchain", nodes.collect())];
        if alertmanager.is_none() {
            targets.push(("web", vec![status().await]));
        }
        Prometheus::start(&targets, alertmanager).await
    }

    /// Writes and asks, until Prometheus has seen that all of it happens.
    pub async fn use_it(&mut self, prometheus: &Prometheus) {
        for happening in [
            "job:http_requests:rate5m{job=\"provchain\"} > 0",
            "rate(consensus_log_sync_seconds_count[5m]) > 0",
        ] {
            until(&format!("there is {happening}"), async || {
                // Known events are written again, as repeated ones.
                self.cluster.load_sample(|_| ()).await.expect("a sample");
                self.ask().await;
                (!prometheus.query(happening).await.is_empty()).then_some(())
            })
            .await;
        }
        // Nodes make a checkpoint once there is nothing else to do.
        let checkpoint = "rate(consensus_checkpoint_seconds_count[15m]) > 0";
        prometheus
            .until_some("there is a checkpoint", checkpoint)
            .await;
    }
}

/// The binary beside the tests: cargo builds it before it runs the tests of the workspace, and not
/// when only this crate's are asked for.
fn built(binary: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a path");
    let path = tests
        .ancestors()
        .nth(2)
        .expect("cargo's folder")
        .join(binary);
    assert!(
        path.exists(),
        "run cargo test --workspace: {path:?} is missing"
    );
    path
}

/// A stand-in for the status service, which counts how often it is scraped.
async fn status() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let scrapes = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(1));
    let tell = move || async move {
        let count = scrapes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        OF_STATUS.replace("COUNT", &count.to_string())
    };
    let router = Router::new().route("/metrics", get(tell));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address.to_string()
}

/// The name that a line of an exposition is about.
fn name_of(line: &str) -> Option<String> {
    let end = line.find(['{', ' '])?;
    (!line.starts_with('#')).then(|| line[..end].to_owned())
}

/// Every name that an expression may ask for, with these exported.
fn known(exported: BTreeSet<String>) -> BTreeSet<String> {
    let mut known = exported;
    known.extend(OF_PROMETHEUS.iter().map(|name| (*name).to_owned()));
    known.extend(OF_STATUS.lines().filter_map(name_of));
    let recorded = rules().into_iter();
    known.extend(recorded.filter_map(|rule| rule["record"].as_str().map(str::to_owned)));
    for name in ON_OCCASION {
        assert!(
            is_in_the_sources(name),
            "no source of a service names {name}"
        );
        known.insert((*name).to_owned());
    }
    known
}

fn is_in_the_sources(name: &str) -> bool {
    let literal = format!("\"{name}\"");
    let sources = ignore::Walk::new(root().join("services"));
    sources
        .map(|entry| entry.expect("an entry").into_path())
        .filter(|path| path.extension().is_some_and(|one| one == "rs"))
        .any(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(&literal)))
}
