//! Subscriptions when something goes wrong: leaders that die, receivers that are slow, broken or gone.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::cluster::until;
use super::subscriber::{Party, event, id, ids, ledger, ledger_with, party};
use super::webhook::{Behaviour, Delivery, Receiver};

/// The first time that each id comes.
fn firsts(delivered: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let firsts = delivered.iter().filter(|id| seen.insert((*id).clone()));
    firsts.cloned().collect()
}

/// That nothing came again but what had come last: a batch is marked before the next one is sent.
fn only_the_last_batch_came_again(taken: &[Delivery]) {
    let mut places = HashMap::new();
    for (place, delivery) in taken.iter().enumerate() {
        for id in delivery.ids() {
            if let Some(before) = places.insert(id.clone(), place) {
                assert_eq!(before + 1, place, "{id} came again");
            }
        }
    }
}

#[tokio::test]
async fn the_next_leader_goes_on_where_a_killed_one_was_and_loses_nothing() {
    let ledger = ledger(3).await;
    let receiver = Receiver::start().await;
    let farm = party(&ledger, "farm", "farmer");
    farm.define("all", json!({})).await;
    let asked = json!({ "dest": receiver.url(), "stream": true });
    let path = farm.subscribe("all", asked).await;
    let mut number = 0;
    for _ in 0..2 {
        let leader = ledger.nodes.leader().await.expect("a leader");
        let follower = ledger
            .nodes
            .nodes()
            .iter()
            .find(|node| node.name() != leader.name());
        let node = follower.expect("a follower");
        let there = Party {
            node,
            ..farm.clone()
        };
        let before = number;
        for _ in 0..20 {
            number += 1;
            there.capture(&[event(number, "shipping")], "private").await;
        }
        // In the middle of it.
        receiver.until_id(&id(before + 1)).await;
        leader.kill().await.expect("killed");
        let next = event(number + 1, "shipping");
        until("there is another leader", async || {
            let document = super::epcis_fixtures::document(&json!([next]));
            let request = ledger.request(reqwest::Method::POST, node, "/capture");
            let request = request.bearer_auth(&farm.token).json(&document);
            let taken = super::cluster::answer(request).await;
            taken.is_ok_and(|answer| answer.status == 202)
        })
        .await;
        number += 1;
        let delivered = receiver.until_id(&id(number)).await;
        // At least once, and each behind all that were before it.
        assert_eq!(firsts(&delivered), ids(1..=number));
        leader.start().await.expect("started");
        leader.wait_ready().await.expect("back again");
    }
    only_the_last_batch_came_again(&receiver.taken());
    let shown = farm.shown(&path, |shown| shown["failures"] == 0).await;
    assert_eq!(shown["state"], "active");
}

#[tokio::test]
async fn receivers_that_hang_or_talk_for_ever_hold_up_nobody_else() {
    let ledger = ledger_with(1, &[("PROVCHAIN_SUBSCRIPTION_TIMEOUT_MS", "3000")]).await;
    let farm = party(&ledger, "farm", "farmer");
    farm.define("all", json!({})).await;
    let [good, endless, hung] = [(); 3].map(|()| Receiver::start());
    let (good, endless, hung) = (good.await, endless.await, hung.await);
    endless.behave(Behaviour::Endless);
    hung.behave(Behaviour::Hang);
    let asked = |receiver: &Receiver| json!({ "dest": receiver.url(), "stream": true });
    // More than may be under way at a time.
    let mut stuck = Vec::new();
    for _ in 0..90 {
        stuck.push(farm.subscribe("all", asked(&hung)).await);
    }
    farm.subscribe("all", asked(&endless)).await;
    farm.subscribe("all", asked(&good)).await;
    for number in 1..=10 {
        farm.capture(&[event(number, "shipping")], "private").await;
    }
    assert_eq!(good.until_id(&id(10)).await, ids(1..=10));
    assert_eq!(firsts(&endless.until_id(&id(10)).await), ids(1..=10));
    for stuck in &stuck {
        let failed = |shown: &Value| shown["failures"].as_u64() > Some(0);
        let shown = farm.shown(stuck, failed).await;
        assert_eq!(shown["lastError"], "the receiver did not answer in time");
    }
    // By now they have only the places that are for those who are slow.
    let hanging = hung.hanging_at_most(32).await;
    assert!((1..=16).contains(&hanging), "{hanging} at a time");
    // Once it answers, it gets all of it.
    hung.behave(Behaviour::Answer(204));
    hung.until_id(&id(10)).await;
    farm.shown(&stuck[89], |shown| {
        shown["failures"] == 0 && shown["lastError"].is_null()
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_recovers_gets_everything_in_order() {
    let ledger = ledger(1).await;
    let farm = party(&ledger, "farm", "farmer");
    farm.define("all", json!({})).await;
    let receiver = Receiver::start().await;
    receiver.behave(Behaviour::Answer(500));
    let asked = json!({ "dest": receiver.url(), "stream": true });
    let path = farm.subscribe("all", asked).await;
    farm.capture(&[event(1, "shipping")], "private").await;
    farm.capture(&[event(2, "shipping")], "private").await;
    let shown = farm
        .shown(&path, |shown| shown["failures"].as_u64() >= Some(2))
        .await;
    assert_eq!(shown["lastError"], "the receiver answered 500");
    assert!(shown["lastNotifiedAt"].is_null(), "{shown}");
    farm.capture(&[event(3, "shipping")], "private").await;
    receiver.behave(Behaviour::Answer(200));
    assert_eq!(receiver.until_id(&id(3)).await, ids(1..=3));
    let shown = farm.shown(&path, |shown| shown["failures"] == 0).await;
    assert!(shown["lastError"].is_null(), "{shown}");
}

#[tokio::test]
async fn what_a_receiver_does_not_take_for_long_is_given_up() {
    let ledger = ledger_with(1, &[("PROVCHAIN_SUBSCRIPTION_FAILURES_MAX", "2")]).await;
    let farm = party(&ledger, "farm", "farmer");
    farm.define("all", json!({})).await;
    let [broken, gone, moved, elsewhere] = [(); 4].map(|()| Receiver::start());
    let (broken, gone, moved) = (broken.await, gone.await, moved.await);
    let elsewhere = elsewhere.await;
    broken.behave(Behaviour::Answer(503));
    moved.behave(Behaviour::Redirect(elsewhere.url()));
    let asked = |dest: String| json!({ "dest": dest, "stream": true });
    let broken_path = farm.subscribe("all", asked(broken.url())).await;
    let moved_path = farm.subscribe("all", asked(moved.url())).await;
    let gone_path = farm.subscribe("all", asked(gone.url())).await;
    // Nobody listens there any more.
    drop(gone);
    farm.capture(&[event(1, "shipping")], "private").await;
    for (path, reason) in [
        (&broken_path, "503"),
        (&moved_path, "redirects are not followed"),
        (&gone_path, "no connection"),
    ] {
        let shown = farm.shown(path, |shown| shown["state"] == "disabled").await;
        assert_eq!(shown["failures"], 2);
        let told = shown["lastError"].as_str().expect("a reason");
        assert!(told.contains(reason), "{told}");
    }
    assert_eq!((broken.calls(), moved.calls()), (2, 2));
    assert_eq!(elsewhere.calls(), 0);
    // Given up is given up.
    broken.behave(Behaviour::Answer(200));
    let other = Receiver::start().await;
    farm.subscribe("all", asked(other.url())).await;
    farm.capture(&[event(2, "shipping")], "private").await;
    other.until_id(&id(2)).await;
    assert_eq!(broken.calls(), 2);
}
