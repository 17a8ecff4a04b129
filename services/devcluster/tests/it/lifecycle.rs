//! Starting, stopping and hurting single nodes.

use std::process::{Command, Stdio};
use std::time::Duration;

use devcluster::{Error, PortPlan, Signal};

use crate::it::harness::{call, folder, soon, starts, toy};

#[tokio::test]
async fn a_cluster_comes_up_with_its_nodes_told_of_those_before_them() {
    let dir = folder();
    let cluster = toy(&dir).start().await.expect("started");
    cluster.wait_ready().await.expect("ready");
    let nodes = cluster.nodes();
    assert_eq!(nodes.len(), 3, "the catalogue's number");
    let addresses: Vec<_> = nodes
        .iter()
        .map(|node| node.advertised("api").expect("a port"))
        .collect();
    assert_eq!(
        crate::it::harness::peers(&nodes[0]).await,
        Vec::<String>::new()
    );
    assert_eq!(crate::it::harness::peers(&nodes[2]).await, addresses[..2]);
    assert_eq!(
        cluster.leader().await.expect("there is one").name(),
        "node1"
    );
    let health = nodes[1].health().await.expect("an answer").health;
    assert_eq!(
        (health.node.as_str(), health.leader.as_deref()),
        ("node2", Some("node1"))
    );
    assert_eq!(
        health.checks["secret_length"], 32,
        "16 bytes in hexadecimal digits"
    );
    assert_eq!(cluster.secret("toy").map(str::len), Some(32));
}

#[tokio::test]
async fn a_node_is_prepared_once_and_configured_at_every_start() {
    let dir = folder();
    let cluster = toy(&dir).nodes(2).start().await.expect("started");
    let [node, other] = cluster.nodes() else {
        panic!("two nodes")
    };
    let config = node.data_dir().join("toy.conf");
    std::fs::write(&config, "by hand").expect("written");
    node.restart().await.expect("started again");
    let [one, two] = [node, other].map(|node| node.advertised("api").expect("a port"));
    let rendered = std::fs::read_to_string(&config).expect("readable");
    assert_eq!(
        rendered,
        format!("name node1; ${{kept}}; nodes {one},{two};\n")
    );
    let first = std::fs::read_to_string(node.data_dir().join("first-start")).expect("made");
    assert_eq!(first, "node1\n", "once");
}

#[tokio::test]
async fn a_node_that_cannot_be_prepared_is_not_started_and_says_why() {
    let dir = folder();
    let refused = toy(&dir).env("TOY_PREPARED", "no").start().await;
    let error = refused.expect_err("not started").to_string();
    for words in [
        "node1: cannot fail when told to",
        "exit status: 3",
        "it was told to fail",
    ] {
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn clusters_run_side_by_side() {
    let (one_dir, other_dir) = (folder(), folder());
    let one = toy(&one_dir).nodes(2).start().await.expect("started");
    let other = toy(&other_dir).nodes(2).start().await.expect("started");
    one.wait_ready().await.expect("ready");
    other.wait_ready().await.expect("ready");
    assert_ne!(
        one.nodes()[0].url("api").expect("a port"),
        other.nodes()[0].url("api").expect("a port")
    );
}

#[tokio::test]
async fn a_stopped_node_ends_in_good_order_and_keeps_its_data() {
    let dir = folder();
    let cluster = toy(&dir).nodes(1).start().await.expect("started");
    let node = &cluster.nodes()[0];
    assert_eq!(starts(node).await, 1);
    assert!(node.stop().await.expect("stopped"), "by itself");
    assert!(!node.is_running() && node.pid().is_none());
    assert!(
        node.logs()
            .expect("a log")
            .contains("stopped in good order")
    );
    node.start().await.expect("started again");
    assert_eq!(starts(node).await, 2);
    assert_eq!(
        node.logs().expect("a log").matches("node1 starts").count(),
        2,
        "one log for all"
    );
}

#[tokio::test]
async fn a_killed_node_does_not_end_in_good_order() {
    let dir = folder();
    let cluster = toy(&dir).nodes(1).start().await.expect("started");
    let node = &cluster.nodes()[0];
    node.wait_healthy().await.expect("healthy");
    node.kill().await.expect("killed");
    assert!(!node.is_running());
    assert!(
        !node
            .logs()
            .expect("a log")
            .contains("stopped in good order")
    );
    node.kill().await.expect("a second time is harmless");
}

#[tokio::test]
async fn a_node_that_does_not_stop_in_time_is_killed_and_that_is_said() {
    let dir = folder();
    let cluster = toy(&dir)
        .nodes(1)
        .env("TOY_STUBBORN", "yes")
        .start()
        .await
        .expect("started");
    let node = &cluster.nodes()[0];
    node.wait_healthy().await.expect("healthy");
    assert!(
        !node
            .stop_within(Duration::from_millis(200))
            .await
            .expect("stopped")
    );
    assert!(!node.is_running());
    assert!(
        node.logs()
            .expect("a log")
            .contains("does not want to stop")
    );
}

#[tokio::test]
async fn a_paused_node_answers_only_after_it_is_resumed() {
    let dir = folder();
    let cluster = toy(&dir).nodes(2).start().await.expect("started");
    cluster.wait_ready().await.expect("ready");
    let [asking, paused] = cluster.nodes() else {
        panic!("two nodes")
    };
    paused.pause().await.expect("paused");
    assert!(paused.is_running());
    let answer = call(asking, paused);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => panic!("a paused node answered: {answer:?}"),
        () = tokio::time::sleep(Duration::from_millis(300)) => {}
    }
    paused.resume().await.expect("resumed");
    assert_eq!(soon(answer).await.expect("an answer")["node"], "node2");
}

#[tokio::test]
async fn a_paused_node_can_be_stopped_in_good_order() {
    let dir = folder();
    let cluster = toy(&dir).nodes(1).start().await.expect("started");
    let node = &cluster.nodes()[0];
    node.wait_healthy().await.expect("healthy");
    node.pause().await.expect("paused");
    assert!(node.stop().await.expect("stopped"), "by itself");
}

#[tokio::test]
async fn a_wiped_node_has_forgotten_and_keeps_its_old_empty_peer_list() {
    let dir = folder();
    let cluster = toy(&dir).nodes(2).start().await.expect("started");
    let first = &cluster.nodes()[0];
    assert_eq!(starts(first).await, 1);
    assert!(
        matches!(first.wipe(), Err(Error::WrongState { .. })),
        "not while it runs"
    );
    first.kill().await.expect("killed");
    first.wipe().expect("wiped");
    first.start().await.expect("started");
    assert_eq!(starts(first).await, 1);
    assert!(crate::it::harness::peers(first).await.is_empty());
}

#[tokio::test]
async fn a_node_that_dies_while_starting_is_reported_with_its_last_lines() {
    let dir = folder();
    let cluster = toy(&dir)
        .nodes(1)
        .env("TOY_FAIL", "the disk is made of cheese")
        .start()
        .await
        .expect("started");
    let error = cluster.wait_ready().await.expect_err("it dies");
    assert!(matches!(error, Error::Died { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("node1 ended (exit status: 3)"), "{text}");
    assert!(
        text.contains("    toynode: the disk is made of cheese"),
        "{text}"
    );
}

#[tokio::test]
async fn a_dead_node_is_reported_at_once_while_another_is_still_waited_for() {
    let dir = folder();
    let patience = Duration::from_secs(3600);
    let cluster = toy(&dir)
        .nodes(2)
        .patience(patience)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let [silent, dead] = cluster.nodes() else {
        panic!("two nodes")
    };
    silent.pause().await.expect("paused");
    dead.kill().await.expect("killed");
    let error = soon(cluster.wait_ready())
        .await
        .expect_err("one is dead")
        .to_string();
    assert!(
        error.contains("node2 ended (signal: 9 (SIGKILL))"),
        "{error}"
    );
}

#[tokio::test]
async fn a_node_that_never_gets_ready_is_reported_with_its_last_answer() {
    let dir = folder();
    let patience = Duration::from_millis(300);
    let builder = toy(&dir)
        .nodes(1)
        .env("TOY_UNREADY", "yes")
        .patience(patience);
    let cluster = builder.start().await.expect("started");
    let error = cluster
        .wait_ready()
        .await
        .expect_err("never ready")
        .to_string();
    assert!(error.contains("node1 is not ready after 300ms"), "{error}");
}

#[tokio::test]
async fn a_taken_port_is_reported_with_the_process_that_has_it() {
    let (one_dir, other_dir) = (folder(), folder());
    let one = toy(&one_dir).nodes(1).start().await.expect("started");
    one.wait_ready().await.expect("ready");
    let holder = &one.nodes()[0];
    // On 127.0.0.1, where the plan with a base puts its nodes.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let error = toy(&other_dir)
        .nodes(1)
        .ports(PortPlan::Base(port))
        .start()
        .await
        .expect_err("taken");
    let text = error.to_string();
    assert!(
        text.contains(&format!("port {port} on 127.0.0.1, the api port of node1")),
        "{text}"
    );
    assert!(
        text.contains(&format!("pid {}", std::process::id())),
        "{text}"
    );

    let pid = holder.pid().expect("it runs");
    let taken = holder.start().await.expect_err("it runs");
    assert!(taken.to_string().contains("stop it first"), "{taken}");
    assert_eq!(holder.pid(), Some(pid));
}

#[tokio::test]
async fn a_missing_binary_is_named() {
    let dir = folder();
    let error = toy(&dir)
        .binary("/nowhere/toynode")
        .start()
        .await
        .expect_err("missing")
        .to_string();
    assert!(
        error.contains("no binary `toynode`: /nowhere/toynode is not a file"),
        "{error}"
    );
}

#[tokio::test]
async fn the_processes_end_with_the_cluster() {
    let dir = folder();
    let cluster = toy(&dir).start().await.expect("started");
    cluster.wait_ready().await.expect("ready");
    let pids: Vec<u32> = cluster
        .nodes()
        .iter()
        .filter_map(devcluster::Node::pid)
        .collect();
    drop(cluster);
    for pid in pids {
        assert!(
            devcluster::Identity::of(pid).is_err(),
            "pid {pid} is still there"
        );
    }
}

/// The name under which this test binary runs again, as the process that is killed.
const DOOMED: &str = "DEVCLUSTER_DOOMED_DIR";

/// Runs only inside the next test, which kills it: starts a cluster, says so, and sleeps.
#[tokio::test]
async fn doomed_harness() {
    let Some(dir) = std::env::var_os(DOOMED) else {
        return;
    };
    let dir = tempfile::Builder::new().tempdir_in(dir).expect("a folder");
    let cluster = toy(&dir).nodes(2).start().await.expect("started");
    cluster.wait_ready().await.expect("ready");
    let pids: Vec<String> = cluster
        .nodes()
        .iter()
        .filter_map(|node| node.pid())
        .map(|pid| pid.to_string())
        .collect();
    std::fs::write(
        dir.path().parent().expect("a parent").join("pids"),
        pids.join(" "),
    )
    .expect("written");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_processes_end_with_a_killed_harness() {
    let dir = folder();
    let mut harness = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "it::lifecycle::doomed_harness", "--nocapture"])
        .env(DOOMED, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let pids = loop {
        if let Ok(pids) = std::fs::read_to_string(dir.path().join("pids"))
            && pids.split(' ').count() == 2
        {
            break pids;
        }
        assert!(
            harness.try_wait().expect("ours").is_none(),
            "it ended by itself"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let nodes: Vec<devcluster::Process> = pids
        .split(' ')
        .map(|pid| devcluster::Identity::of(pid.parse().expect("a pid")).expect("it runs"))
        .filter_map(|identity| devcluster::Process::adopt(&identity).expect("ours"))
        .collect();
    assert_eq!(nodes.len(), 2);
    harness.kill().expect("killed");
    harness.wait().expect("gone");
    for node in nodes {
        soon(node.ended()).await;
    }
}

#[tokio::test]
async fn a_signal_reaches_an_adopted_process() {
    let mut child = Command::new("sleep").arg("1000").spawn().expect("started");
    let identity = devcluster::Identity::of(child.id()).expect("it runs");
    let adopted = devcluster::Process::adopt(&identity)
        .expect("ours")
        .expect("it runs");
    adopted.signal(Signal::TERM).expect("sent");
    soon(adopted.ended()).await;
    assert!(!child.wait().expect("ours").success());
    assert!(
        devcluster::Process::adopt(&identity)
            .expect("ours")
            .is_none()
    );
}
