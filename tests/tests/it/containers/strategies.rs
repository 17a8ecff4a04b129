//! The ways in which the ledger is run in containers: one node with everything around it, and three
//! nodes on one machine. Up, healthy, broken, healed and removed.

use std::time::Duration;

use serde_json::Value;

use super::cluster::eventually;
use super::compose::{Project, certificates, standin};
use super::image::Ledger;

/// Somebody who speaks HTTP to one address.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    pub fn at(base: &str, ledger: &Ledger) -> Self {
        Self::of(reqwest::Client::builder(), base, ledger)
    }

    fn of(builder: reqwest::ClientBuilder, base: &str, ledger: &Ledger) -> Self {
        kit::tls::install_provider();
        let builder = builder.timeout(Duration::from_secs(20));
        Self {
            http: builder.build().expect("a client"),
            base: base.to_owned(),
            token: ledger.token(),
        }
    }

    async fn status(&self, path: &str) -> Result<u16, String> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await;
        answer
            .map(|answer| answer.status().as_u16())
            .map_err(|error| error.to_string())
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }

    /// Captures a document, again and again until it is acknowledged: what came of a try that broke off
    /// is known by the ids of the events.
    pub async fn capture(&self, document: &Value) {
        eventually("a capture is acknowledged", async || {
            let sent = self
                .http
                .post(format!("{}/capture", self.base))
                .bearer_auth(&self.token)
                .header("Provchain-Visibility", "public")
                .json(document)
                .send();
            let answer = sent.await.map_err(|error| error.to_string())?;
            match answer.status().as_u16() {
                202 => Ok(()),
                status => Err(format!(
                    "{status}: {}",
                    answer.text().await.unwrap_or_default()
                )),
            }
        })
        .await;
    }

    /// Size and root of the tree, once it has so many entries.
    pub async fn tree(&self, size: u64) -> (u64, String) {
        eventually("the tree has grown", async || {
            let ledger = self.get("/api/v1/ledger").await?;
            let tree = (
                ledger["size"].as_u64().unwrap_or_default(),
                ledger["root"].as_str().unwrap_or_default().to_owned(),
            );
            if tree.0 == size {
                Ok(tree)
            } else {
                Err(format!("{ledger}"))
            }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_of_the_compose_file_lose_no_acknowledged_event_to_a_killed_leader() {
    if super::engine().await.is_none() {
        return;
    }
    let ledger = Ledger::build();
    let project = Project::new("provchain/docker-compose.3node.yml", ledger, "127.83.0.1");
    project.up();
    let healthy = "running healthy".to_owned();
    assert_eq!(
        project.states(),
        ["node1", "node2", "node3"].map(|name| (name.to_owned(), healthy.clone()))
    );
    // The ports that the document prints.
    let nodes =
        [8080, 8081, 8082].map(|port| Client::at(&format!("http://127.83.0.1:{port}"), ledger));
    let documents = ledger.sample(20, 5);
    for (node, document) in nodes.iter().zip(&documents) {
        node.capture(document).await;
    }
    let tree = nodes[0].tree(15).await;

    let cluster = nodes[0].get("/api/v1/cluster").await.expect("a cluster");
    let leader = cluster["leader"].as_str().expect("a leader").to_owned();
    project.run(&["kill", &leader]);
    let killed = ["node1", "node2", "node3"]
        .iter()
        .position(|name| *name == leader);
    let killed = killed.expect("one of the three");
    let others = nodes
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != killed);
    for (_, node) in others.clone() {
        node.capture(&documents[3]).await;
    }
    for (_, node) in others {
        assert_ne!(node.tree(20).await, tree);
    }
    project.up();
    let whole = nodes[killed].tree(20).await;
    for node in &nodes {
        assert_eq!(node.tree(20).await, whole);
    }
    assert_eq!(project.down(), "", "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_behind_tls_outlives_its_cache_and_is_restored_from_its_backup() {
    if super::engine().await.is_none() {
        return;
    }
    let (ledger, standin) = (Ledger::build(), standin());
    let folder = tempfile::tempdir().expect("a folder");
    let authority = certificates(folder.path(), "ledger.test");
    let bind = "127.83.0.2";
    let project = Project::new("provchain/docker-compose.production.yml", ledger, bind)
        .with("NGINX_IMAGE", &standin)
        .with("REDIS_IMAGE", &standin)
        .with("CERTIFICATES", folder.path().to_str().expect("a path"))
        .with("DRILL_SCHEDULE", "* * * * * *");
    project.up();
    let states = project.states();
    for service in ["nginx", "provchain-org", "redis"] {
        assert!(
            states.contains(&(service.into(), "running healthy".into())),
            "{states:?}"
        );
    }
    let client = |port: u16| {
        let authority = reqwest::Certificate::from_pem(authority.as_bytes()).expect("PEM");
        reqwest::Client::builder()
            .resolve(
                "ledger.test",
                (bind.parse::<std::net::IpAddr>().expect("an address"), port).into(),
            )
            .add_root_certificate(authority)
            .redirect(reqwest::redirect::Policy::none())
    };
    let shop = Client::of(client(443), "https://ledger.test", ledger);
    let plain = Client::of(client(80), "http://ledger.test", ledger);
    assert_eq!(plain.status("/health").await, Ok(308));
    assert_eq!(shop.status("/health").await, Ok(200));
    for kept_in in ["/metrics", "/trivet.consensus.v1.Peer/Greet"] {
        assert_eq!(shop.status(kept_in).await, Ok(404), "{kept_in}");
    }
    let documents = ledger.sample(20, 5);
    shop.capture(&documents[0]).await;
    project.run(&["kill", "redis"]);
    shop.capture(&documents[1]).await;
    let tree = shop.tree(10).await;

    project.run(&[
        "exec",
        "--no-TTY",
        "provchain-org",
        "/usr/bin/provchain",
        "backup",
        "now",
    ]);
    eventually("a drill", async || {
        let told = project.run(&["logs", "--no-color", "backup"]);
        if told.contains("restored in a drill") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    shop.capture(&documents[2]).await;
    project.run(&["rm", "--stop", "--force", "provchain-org"]);
    project.remove_volume("data");
    let restore = [
        "run",
        "--rm",
        "--no-deps",
        "provchain-org",
        "backup",
        "restore",
    ];
    project.run(&[&restore[..], &["--into", "/var/lib/provchain"]].concat());
    project.up();
    assert_eq!(shop.tree(10).await, tree, "as of the backup");
    shop.capture(&documents[2]).await;
    assert_eq!(project.down(), "", "nothing is left");
}
