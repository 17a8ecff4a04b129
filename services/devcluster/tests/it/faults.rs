//! Faults of the network between real processes.

use std::time::Duration;

use devcluster::{Conditions, Error, Flow, Node};

use crate::it::harness::{call, folder, soon, toy};

/// The call is under way, and has no answer.
async fn hangs(from: &Node, to: &Node) -> bool {
    tokio::time::timeout(Duration::from_millis(300), call(from, to))
        .await
        .is_err()
}

#[tokio::test]
async fn nodes_reach_each_other_through_the_proxies_under_their_own_addresses() {
    let dir = folder();
    let cluster = toy(&dir)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    for from in cluster.nodes() {
        for to in cluster.nodes().iter().filter(|to| to.name() != from.name()) {
            assert_ne!(
                to.advertised("api").expect("a port"),
                to.address("api").expect("a port")
            );
            let answer = call(from, to).await.expect("an answer");
            assert_eq!(answer["node"], to.name());
            assert_eq!(answer["caller"], from.host().to_string());
        }
    }
    assert_eq!(
        cluster.leader().await.expect("there is one").name(),
        "node1"
    );
}

#[tokio::test]
async fn a_one_way_partition_stalls_one_direction_until_it_heals() {
    let dir = folder();
    let cluster = toy(&dir)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let [one, two, three] = cluster.nodes() else {
        panic!("three nodes")
    };
    cluster
        .partition_one_way("node1", "node2")
        .expect("there are proxies");

    let stalled = call(one, two);
    tokio::pin!(stalled);
    tokio::select! {
        answer = &mut stalled => panic!("the partition let {answer:?} through"),
        () = async {
            // Meanwhile every other direction works.
            call(two, one).await.expect("the other way");
            call(one, three).await.expect("another node");
            call(three, two).await.expect("another caller");
            while cluster.link("node1", "node2").expect("proxies").connections() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    cluster.heal().expect("there are proxies");
    assert_eq!(
        soon(stalled).await.expect("what was held back arrives")["node"],
        "node2"
    );
}

#[tokio::test]
async fn a_partition_stalls_both_directions() {
    let dir = folder();
    let cluster = toy(&dir)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let [one, two, three] = cluster.nodes() else {
        panic!("three nodes")
    };
    cluster
        .partition("node1", "node2")
        .expect("there are proxies");
    assert!(hangs(one, two).await && hangs(two, one).await);
    call(one, three).await.expect("the third is reached");
    call(three, two).await.expect("the third reaches");
}

#[tokio::test]
async fn an_isolated_node_can_only_be_asked_from_outside() {
    let dir = folder();
    let cluster = toy(&dir)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let [one, two, three] = cluster.nodes() else {
        panic!("three nodes")
    };
    cluster.isolate("node1").expect("there are proxies");
    assert!(hangs(one, two).await && hangs(two, one).await && hangs(three, one).await);
    call(two, three).await.expect("the others reach each other");
    let health = one.health().await.expect("past the proxies").health;
    assert!(health.is_leader(), "it does not know better");
    assert_eq!(two.health().await.expect("an answer").health.leader, None);
    cluster.heal().expect("there are proxies");
    assert_eq!(cluster.leader().await.expect("again").name(), "node1");
}

#[tokio::test]
async fn a_refused_link_resets_at_once() {
    let dir = folder();
    let cluster = toy(&dir)
        .nodes(2)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let [one, two] = cluster.nodes() else {
        panic!("two nodes")
    };
    let link = cluster.link("node1", "node2").expect("proxies");
    link.set(Conditions {
        flow: Flow::Refuse,
        ..Conditions::default()
    });
    let error = call(one, two).await.expect_err("refused");
    assert!(error.contains("ConnectionReset"), "{error}");
    call(two, one).await.expect("the other way works");
}

#[tokio::test]
async fn a_killed_node_refuses_through_its_proxy_and_is_back_after_its_start() {
    let dir = folder();
    let cluster = toy(&dir)
        .nodes(2)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let [one, two] = cluster.nodes() else {
        panic!("two nodes")
    };
    two.kill().await.expect("killed");
    call(one, two).await.expect_err("nobody is there");
    two.start().await.expect("started");
    two.wait_ready().await.expect("ready");
    call(one, two).await.expect("it is back");
}

#[tokio::test]
async fn a_caller_that_is_no_node_is_reset() {
    let dir = folder();
    let cluster = toy(&dir)
        .nodes(1)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let address = cluster.nodes()[0].advertised("api").expect("a port");
    kit::tls::install_provider();
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let error = client
        .get(format!("http://{address}/whoami"))
        .send()
        .await
        .expect_err("reset");
    assert!(
        format!("{error:?}").contains("ConnectionReset"),
        "{error:?}"
    );
}

#[tokio::test]
async fn faults_need_proxies_and_nodes_that_exist() {
    let dir = folder();
    let cluster = toy(&dir).nodes(1).start().await.expect("started");
    assert!(matches!(
        cluster.isolate("node1"),
        Err(Error::NoProxies { .. })
    ));
    assert!(matches!(cluster.heal(), Err(Error::NoProxies { .. })));
    let dir = folder();
    let cluster = toy(&dir)
        .nodes(1)
        .through_proxies(true)
        .start()
        .await
        .expect("started");
    assert!(matches!(
        cluster.partition("node1", "node9"),
        Err(Error::UnknownNode { .. })
    ));
}

#[tokio::test]
async fn a_system_that_cannot_choose_its_source_is_refused() {
    let text = crate::it::harness::TOY_CATALOGUE.replace("{source}", "{host}");
    let catalogue = devcluster::Catalogue::parse(&text, "toy.json").expect("valid");
    let dir = folder();
    let error = devcluster::Cluster::builder(&catalogue, "toy")
        .dir(dir.path())
        .binary(crate::it::harness::toynode())
        .through_proxies(true)
        .start()
        .await
        .expect_err("refused");
    assert!(matches!(error, Error::NoSourceAddress { .. }), "{error}");
}
