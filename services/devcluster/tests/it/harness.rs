//! The toy system and where its parts lie.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devcluster::{Builder, Catalogue, Cluster, Node};
use serde_json::Value;
use tempfile::TempDir;

/// The catalogue entry of the toy system.
pub const TOY_CATALOGUE: &str = include_str!("../toy.json");

/// The executable of the toy system: an example of this crate, which cargo builds for the tests.
pub fn toynode() -> PathBuf {
    let devcluster = Path::new(env!("CARGO_BIN_EXE_devcluster"));
    let path = devcluster.with_file_name("examples").join("toynode");
    assert!(
        path.is_file(),
        "build it with `cargo build -p devcluster --example toynode`"
    );
    path
}

pub fn toy_catalogue() -> Catalogue {
    Catalogue::parse(TOY_CATALOGUE, "toy.json").expect("a valid catalogue")
}

/// A toy cluster in a folder of its own.
pub fn toy(dir: &TempDir) -> Builder {
    Cluster::builder(&toy_catalogue(), "toy")
        .dir(dir.path())
        .root(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
        .binary(toynode())
        .patience(Duration::from_secs(30))
}

/// What a test waits for comes in an instant, or it is broken.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("nothing happened for long")
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// How often the node was started with the data that it has.
pub async fn starts(node: &Node) -> u64 {
    let answer = node.wait_healthy().await.expect("healthy");
    answer.health.checks["starts"].as_u64().expect("a number")
}

/// The addresses that the node was told of.
pub async fn peers(node: &Node) -> Vec<String> {
    let answer = node.wait_healthy().await.expect("healthy");
    serde_json::from_value(answer.health.checks["peers"].clone()).expect("a list")
}

/// Lets one node call another, as its peers call it.
pub async fn call(from: &Node, to: &Node) -> Result<Value, String> {
    let (from, to) = (
        from.url("api").expect("a port"),
        to.advertised("api").expect("a port"),
    );
    kit::tls::install_provider();
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let answer = soon(client.get(format!("{from}/call?to={to}")).send())
        .await
        .expect("it answers");
    let good = answer.status().is_success();
    let body: Value = answer.json().await.expect("JSON");
    if good {
        Ok(body)
    } else {
        Err(body["error"].to_string())
    }
}
