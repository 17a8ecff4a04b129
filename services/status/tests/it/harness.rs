//! The front door in a folder of its own, and those who ask it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use devcluster::{Builder, Cluster, Node, Workspace};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long what has to happen is waited for; it bounds failures only.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The front door with these numbers of its roles, and all others of the catalogue.
pub fn front_door(dir: &Path, replicas: &[(&str, u16)]) -> Builder {
    let workspace = Workspace::find(".").expect("the repository");
    let system = workspace.catalogue().system("web").expect("the front door");
    let mut builder = Cluster::builder(workspace.catalogue(), "web")
        .dir(dir)
        .root(workspace.root())
        .binary_named("status", env!("CARGO_BIN_EXE_status"));
    let installed = workspace.installed(system);
    let installed = installed.expect(
        "nginx and PostgreSQL: `infra/scripts/setup.sh nginx` and `… postgresql` install them",
    );
    for (name, path) in installed {
        builder = builder.binary_named(&name, path);
    }
    for (role, count) in replicas {
        builder = builder.replicas(role, *count);
    }
    builder
}

/// Nothing but the database.
pub const DATABASE_ONLY: &[(&str, u16)] = &[("web", 0), ("status", 0), ("balancer", 0)];

/// Where the database of a cluster is.
pub fn database(cluster: &Cluster) -> tokio_postgres::Config {
    let node = cluster.node("database").expect("a database");
    let address = node.address("postgres").expect("a port");
    let url = format!("postgres://cluster_user@{address}/clusterdb");
    let password = cluster.secret("database").expect("a secret").into();
    status::settings::database(&url, &password).expect("an address")
}

/// Starts a database again after it was killed: what is left of the old one may live a moment longer.
pub async fn start_again(node: &Node) {
    until("the database is back", async || {
        if !node.is_running() {
            node.start().await.ok()?;
        }
        node.wait_healthy().await.ok()
    })
    .await;
}

/// Asks again and again until there is something.
pub async fn until<T>(what: &str, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = asked().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, waiting).await;
    found.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

pub fn client() -> reqwest::Client {
    kit::tls::install_provider();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .expect("a client")
}

/// Waits until what is told under an address has something to say.
pub async fn until_told<T>(what: &str, url: &str, said: impl Fn(&Value) -> Option<T>) -> T {
    let client = client();
    until(what, async || {
        let answer = client.get(url).send().await.ok()?;
        said(&answer.json().await.ok()?)
    })
    .await
}

/// Waits until the balancer asks a web server, which it does not for a while after that has failed.
pub async fn until_asked(balancer: &str, server: &str) {
    let (client, mut page) = (client(), 0);
    until(&format!("{server} is asked"), async || {
        page += 1;
        let page = format!("{balancer}/?{server}.{page}");
        let answer = client.get(page).send().await.ok()?;
        (answer.headers().get("x-served-by")? == server).then_some(())
    })
    .await;
}

/// A port where somebody listens, and one where nobody does.
pub async fn good_and_bad() -> (String, String) {
    let bind = async || TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = |one: &TcpListener| one.local_addr().expect("bound").to_string();
    let (good, free) = (bind().await, bind().await);
    let addresses = (address(&good), address(&free));
    tokio::spawn(async move { while good.accept().await.is_ok() {} });
    addresses
}

/// People who ask for pages one after the other, each page of its own so that no cache can answer.
pub struct Load {
    asked: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    people: JoinSet<(BTreeMap<String, usize>, Vec<String>)>,
}

impl Load {
    /// Starts so many of them.
    pub fn start(url: &str, people: usize) -> Self {
        let (asked, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut all = JoinSet::new();
        for person in 0..people {
            let (asked, over, url) = (asked.clone(), over.clone(), url.to_owned());
            all.spawn(async move {
                // A connection each: one that is kept may be closed by a reload just as it is used
                // again, which browsers notice and try once more.
                let client = reqwest::Client::builder()
                    .no_proxy()
                    .pool_max_idle_per_host(0);
                let client = client.timeout(PATIENCE).build().expect("a client");
                let (mut servers, mut failures) = (BTreeMap::new(), Vec::new());
                for page in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let page = format!("{url}/?{person}.{page}");
                    match client.get(&page).send().await {
                        Ok(answer) if answer.status() == 200 => {
                            let server = answer.headers().get("x-served-by");
                            let server = server.and_then(|name| name.to_str().ok());
                            *servers.entry(server.unwrap_or("-").to_owned()).or_default() += 1;
                            if let Err(error) = answer.bytes().await {
                                failures.push(format!("{page} broke off: {error}"));
                            }
                        }
                        Ok(answer) => failures.push(format!("{page}: {}", answer.status())),
                        Err(error) => failures.push(format!("{page}: {error}")),
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                (servers, failures)
            });
        }
        Self {
            asked,
            over,
            people: all,
        }
    }

    /// Waits until so many more pages have been asked for.
    pub async fn more(&self, pages: usize) {
        let enough = self.asked.load(Ordering::Relaxed) + pages;
        until("enough pages were asked for", async || {
            (self.asked.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
    }

    /// Ends it: which server answered how often, and what failed.
    pub async fn end(self) -> (BTreeMap<String, usize>, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let (mut servers, mut failures) = (BTreeMap::new(), Vec::new());
        for (answered, failed) in self.people.join_all().await {
            for (server, count) in answered {
                *servers.entry(server).or_default() += count;
            }
            failures.extend(failed);
        }
        (servers, failures)
    }
}
