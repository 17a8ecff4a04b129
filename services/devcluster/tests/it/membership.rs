//! What is done to a whole cluster, and nodes that come and go.

use std::io::ErrorKind;
use std::time::Duration;

use devcluster::Error;
use tokio::net::TcpStream;

use crate::it::harness::{folder, peers, soon, starts, toy};

#[tokio::test]
async fn a_replaced_node_starts_empty_and_is_told_of_all_others() {
    let dir = folder();
    let mut cluster = toy(&dir)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let first = &cluster.nodes()[0];
    first.restart().await.expect("restarted");
    assert_eq!(starts(first).await, 2);
    let (old_address, old_pid) = (first.address("api").expect("a port"), first.pid());
    let others: Vec<_> = cluster.nodes()[1..]
        .iter()
        .map(|node| node.advertised("api").expect("a port"))
        .collect();

    let new = cluster.replace("node1", None).await.expect("replaced");
    assert_eq!(
        (new.name(), new.address("api").expect("a port")),
        ("node1", old_address)
    );
    assert_ne!(new.pid(), old_pid);
    assert_eq!(starts(new).await, 1);
    assert_eq!(peers(new).await, others);
    let names: Vec<_> = cluster.nodes().iter().map(devcluster::Node::name).collect();
    assert_eq!(names, ["node1", "node2", "node3"]);
    let [new, second, _] = cluster.nodes() else {
        panic!("three nodes")
    };
    let called = crate::it::harness::call(second, new).await;
    assert_eq!(called.expect("reachable")["node"], "node1");
}

#[tokio::test]
async fn a_node_can_be_replaced_under_a_new_name() {
    let dir = folder();
    let mut cluster = toy(&dir)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let old = cluster.node("node2").expect("there");
    let (old_dir, old_address) = (old.dir(), old.advertised("api").expect("a port"));
    let new = cluster
        .replace("node2", Some("node2b"))
        .await
        .expect("replaced");
    assert_eq!(new.wait_ready().await.expect("ready").health.node, "");
    assert_eq!(new.health().await.expect("an answer").health.node, "node2b");
    assert!(!old_dir.exists());
    assert!(matches!(
        cluster.node("node2"),
        Err(Error::UnknownNode { .. })
    ));
    let [first, new, _] = cluster.nodes() else {
        panic!("three nodes")
    };
    assert_eq!(
        crate::it::harness::call(first, new)
            .await
            .expect("reachable")["node"],
        "node2b"
    );

    let nobody_there = async {
        // A proxy that still listened would accept, or reset.
        while !matches!(TcpStream::connect(&old_address).await, Err(error) if error.kind() == ErrorKind::ConnectionRefused)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(nobody_there).await;

    let error = cluster
        .replace("node2b", Some("node3"))
        .await
        .expect_err("taken")
        .to_string();
    assert!(error.contains("already has a node `node3`"), "{error}");
}

#[tokio::test]
async fn an_added_node_is_told_of_all_others() {
    let dir = folder();
    let mut cluster = toy(&dir).nodes(2).start().await.expect("started");
    let there: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| node.advertised("api").expect("a port"))
        .collect();
    let added = cluster.add_node("node").await.expect("added");
    assert_eq!(added.name(), "node3");
    assert_eq!(peers(added).await, there);
    assert!(matches!(
        cluster.add_node("nod").await,
        Err(Error::UnknownRole { .. })
    ));
}

#[tokio::test]
async fn a_rolling_restart_restarts_each_node_once_in_the_order_given() {
    let dir = folder();
    let cluster = toy(&dir).start().await.expect("started");
    cluster.wait_ready().await.expect("ready");
    cluster
        .rolling_restart(&["node3", "node1", "node2"])
        .await
        .expect("restarted");
    for node in cluster.nodes() {
        assert_eq!(starts(node).await, 2, "{}", node.name());
    }
    let began = |node: usize| {
        let pid = cluster.nodes()[node].pid().expect("it runs");
        devcluster::Identity::of(pid)
            .expect("it runs")
            .started_ticks
    };
    assert!(began(2) <= began(0) && began(0) <= began(1));
}

#[tokio::test]
async fn stopping_a_cluster_ends_the_leader_last() {
    let dir = folder();
    let cluster = toy(&dir).start().await.expect("started");
    cluster.wait_ready().await.expect("ready");
    // A leader that ends first would be missed: the others would name nobody.
    let killed = cluster.stop().await.expect("stopped");
    assert!(killed.is_empty(), "{killed:?}");
    let ended = |node: &devcluster::Node| {
        node.log_path()
            .metadata()
            .expect("a log")
            .modified()
            .expect("a time")
    };
    let [leader, others @ ..] = cluster.nodes() else {
        panic!("nodes")
    };
    assert!(others.iter().all(|other| ended(other) <= ended(leader)));
}

#[tokio::test]
async fn killing_all_leaves_nobody_and_all_start_again() {
    let dir = folder();
    let cluster = toy(&dir).start().await.expect("started");
    cluster.wait_ready().await.expect("ready");
    cluster.kill_all().await.expect("killed");
    assert!(cluster.nodes().iter().all(|node| !node.is_running()));
    assert_eq!(cluster.start_stopped().await.expect("started"), 3);
    cluster.wait_ready().await.expect("ready");
    assert_eq!(starts(&cluster.nodes()[1]).await, 2);
}

#[tokio::test]
async fn without_a_majority_behind_it_nobody_is_the_leader() {
    let dir = folder();
    let patience = Duration::from_secs(2);
    let cluster = toy(&dir).patience(patience).start().await.expect("started");
    cluster.wait_ready().await.expect("ready");
    cluster.nodes()[1].kill().await.expect("killed");
    assert_eq!(
        cluster.leader().await.expect("two of three").name(),
        "node1"
    );
    cluster.nodes()[2].kill().await.expect("killed");
    let error = cluster
        .leader()
        .await
        .expect_err("one of three")
        .to_string();
    assert!(
        error.contains("no single leader") && error.contains("node1 names `node1`"),
        "{error}"
    );
}
