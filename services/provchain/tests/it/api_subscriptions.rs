//! Subscriptions by webhook: who is sent what, when, and signed with what.

use provchain::subscription::sign;
use reqwest::Method;
use serde_json::json;

use super::cluster::{Ledger, answer, until};
use super::cluster_erasure::{self, Erasing, driven_by};
use super::subscriber::{
    allow_receivers_here, event, id, ids, ledger, ledger_with, long_ago, party,
};
use super::webhook::{Behaviour, Receiver};

#[tokio::test]
async fn a_webhook_gets_exactly_what_matches_and_its_owner_may_see_signed_and_in_order() {
    let ledger = ledger(3).await;
    let farm = party(&ledger, "farm", "farmer");
    let shop = party(&ledger, "shop", "consumer");
    let receiver = Receiver::start().await;
    farm.capture(&[event(1, "shipping")], "public").await;
    shop.define("shipped", json!({ "EQ_bizStep": ["shipping"] }))
        .await;
    let token = "13df38d8275b13f05704629e5f1cf3d45d6132d5";
    let asked = json!({ "dest": receiver.url(), "signatureToken": token, "stream": true });
    let path = "/queries/shipped/subscriptions";
    let request = ledger.request(Method::POST, shop.node, path);
    let made = request.bearer_auth(&shop.token).json(&asked).send().await;
    let made = made.expect("an answer");
    assert_eq!(made.status(), 201);
    let location = made.headers()["location"]
        .to_str()
        .expect("text")
        .to_owned();
    let made: serde_json::Value = made.json().await.expect("JSON");
    let own = made["subscriptionID"].as_str().expect("an id");
    assert_eq!(location, format!("{path}/{own}"));

    let partners = json!({ "partners": ["shop"] });
    for (number, step, visibility) in [
        (2, "shipping", "private"),
        (3, "shipping", "partner"),
        (4, "packing", "public"),
        (5, "shipping", "public"),
    ] {
        farm.capture(&[event(number, step)], visibility).await;
    }
    assert_eq!(receiver.until_id(&id(5)).await, ids([5]));
    // From then on it sees what is shown to partners.
    let set = "/api/v1/parties/farm/partners";
    let set = farm.ask(Method::PUT, set, Some(partners)).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let many: Vec<_> = (6..300).map(|number| event(number, "shipping")).collect();
    farm.capture(&many[..100], "partner").await;
    farm.capture(&many[100..], "public").await;
    let delivered = receiver.until_id(&id(299)).await;
    assert_eq!(delivered, ids([5].into_iter().chain(6..300)));
    for delivery in receiver.taken() {
        assert_eq!(delivery.signature, Some(sign(token, &delivery.body)));
        let document = delivery.json();
        assert_eq!(document["type"], "EPCISQueryDocument");
        let results = &document["epcisBody"]["queryResults"];
        assert_eq!(results["queryName"], "shipped");
        assert_eq!(results["subscriptionID"], own);
        assert!(delivery.ids().len() <= 100);
    }
    // How it is getting on is shown; the token is not.
    let shown = shop
        .shown(&location, |shown| shown["lastNotifiedAt"].is_string())
        .await;
    assert_eq!(shown["stream"], true);
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["dest"], receiver.url());
    for body in [&made, &shown, &shop.get(path).await.json()] {
        assert!(!body.to_string().contains(token), "{body}");
    }
    for line in [
        "provchain_subscriptions_served 1",
        "provchain_deliveries_total{outcome=\"delivered\"}",
        "provchain_delivered_events_total",
        "provchain_subscription_lag_entries 0",
    ] {
        until(&format!("a node tells {line}"), async || {
            let mut told = false;
            for node in ledger.nodes.nodes() {
                let metrics = ledger.request_at("metrics", Method::GET, node, "/metrics");
                let metrics = answer(metrics).await.expect("metrics").text();
                told |=
                    metrics.contains("provchain_subscriptions_served 1") && metrics.contains(line);
            }
            told
        })
        .await;
    }
    // Without its subscription nothing comes any more.
    assert_eq!(shop.delete(&location).await.status, 204);
    shop.get(&location).await.problem(404);
    shop.delete(&location).await.problem(404);
    let other = Receiver::start().await;
    let asked = json!({ "dest": other.url(), "stream": true });
    shop.subscribe("shipped", asked).await;
    farm.capture(&[event(400, "shipping")], "public").await;
    other.until_id(&id(400)).await;
    assert_eq!(receiver.ids().len(), 295);
    assert_eq!(other.taken()[0].signature, None);
    // Nor without its query.
    assert_eq!(shop.delete("/queries/shipped").await.status, 204);
    shop.get(path).await.problem(404);
    shop.define("shipped", json!({})).await;
    assert_eq!(shop.get(path).await.json(), json!([]));
}

#[tokio::test]
async fn a_subscription_may_begin_in_the_past() {
    let ledger = ledger(1).await;
    let farm = party(&ledger, "farm", "farmer");
    let receiver = Receiver::start().await;
    let many: Vec<_> = (1..=150).map(|number| event(number, "shipping")).collect();
    farm.capture(&many, "private").await;
    farm.define("all", json!({})).await;
    let asked = json!({ "dest": receiver.url(), "stream": true, "initialRecordTime": long_ago() });
    let path = farm.subscribe("all", asked).await;
    farm.capture(&[event(151, "packing")], "private").await;
    assert_eq!(receiver.until_id(&id(151)).await, ids(1..=151));
    let shown = farm.get(&path).await.json();
    assert!(shown["initialRecordTime"].is_string(), "{shown}");
    // And in the future: until then nothing comes.
    let late = Receiver::start().await;
    let asked = json!({
        "dest": late.url(), "stream": true, "initialRecordTime": "2100-01-01T00:00:00Z",
    });
    farm.subscribe("all", asked).await;
    farm.capture(&[event(152, "packing")], "private").await;
    receiver.until_id(&id(152)).await;
    assert_eq!(late.calls(), 0);
}

#[tokio::test]
async fn what_is_personal_is_delivered_whole_and_once_erased_to_nobody() {
    let erasing = Erasing::start_with(1, allow_receivers_here).await;
    let (ledger, node) = (&erasing.ledger, erasing.ledger.first());
    let shop = party(ledger, "shop", "consumer");
    shop.define("all", json!({})).await;
    let told = [
        cluster_erasure::event(1, &driven_by("Ann Miller"), "a"),
        cluster_erasure::event(2, &driven_by("Bob Smith"), "b"),
    ];
    let receiver = Receiver::start().await;
    let asked = json!({ "dest": receiver.url(), "stream": true });
    shop.subscribe("all", asked).await;
    erasing.capture(node, &told).await;
    let [ann, bob] = told
        .each_ref()
        .map(|event| event["eventID"].as_str().expect("an id"));
    assert_eq!(receiver.until_id(bob).await, [ann, bob]);
    let delivered: Vec<_> = receiver
        .taken()
        .iter()
        .map(|one| one.json().to_string())
        .collect();
    assert!(delivered.concat().contains("Ann Miller"), "{delivered:?}");
    // Who subscribes from long ago after the erasure gets what is left.
    let erased = erasing.erase_driver(node, "Ann Miller").await;
    erasing.complete(node, &erased).await;
    let late = Receiver::start().await;
    let asked = json!({ "dest": late.url(), "stream": true, "initialRecordTime": long_ago() });
    shop.subscribe("all", asked).await;
    assert_eq!(late.until_id(bob).await, [bob]);
    let delivered: Vec<_> = late
        .taken()
        .iter()
        .map(|one| one.json().to_string())
        .collect();
    assert!(!delivered.concat().contains("Ann Miller"), "{delivered:?}");
}

#[tokio::test]
async fn what_cannot_be_a_subscription_is_refused_and_changes_nothing() {
    let ledger = ledger(1).await;
    let farm = party(&ledger, "farm", "farmer");
    farm.define("all", json!({})).await;
    farm.define("few", json!({ "maxEventCount": 3 })).await;
    let dest = "http://127.0.0.1:9/";
    let path = "/queries/all/subscriptions";
    for body in [
        json!({ "dest": dest }),
        json!({ "dest": dest, "stream": false }),
        json!({ "dest": dest, "stream": true, "schedule": { "hour": "1" } }),
        json!({ "dest": dest, "stream": true, "reportIfEmpty": true }),
        json!({ "dest": dest, "stream": true, "initialRecordTime": "yesterday" }),
        json!({ "dest": dest, "schedule": {} }),
        json!({ "dest": dest, "schedule": { "hour": "25" } }),
        json!({ "dest": dest, "schedule": { "month": "2", "dayOfMonth": "30" } }),
        json!({ "dest": dest, "stream": true, "signatureToken": "x".repeat(513) }),
        json!({ "dest": "ftp://127.0.0.1/", "stream": true }),
        json!({ "dest": "http://a:b@127.0.0.1/", "stream": true }),
        json!({ "dest": "callback", "stream": true }),
    ] {
        let problem = farm.post(path, body.clone()).await.problem(400);
        assert_eq!(
            problem["type"], "epcisException:SubscriptionControlsException",
            "{body}"
        );
    }
    let asked = json!({ "dest": dest, "stream": true });
    farm.post("/queries/few/subscriptions", asked.clone())
        .await
        .problem(400);
    farm.post("/queries/none/subscriptions", asked.clone())
        .await
        .problem(404);
    assert_eq!(farm.get(path).await.json(), json!([]));
    // A party has so many, and no more.
    for _ in 0..100 {
        farm.subscribe("all", asked.clone()).await;
    }
    farm.post(path, asked).await.problem(409);
    let page = farm.get(&format!("{path}?perPage=1000")).await.json();
    assert_eq!(page.as_array().expect("a list").len(), 100);
}

#[tokio::test]
async fn without_leave_nothing_is_sent_to_private_addresses_nor_in_the_clear() {
    let ledger = Ledger::start(1).await;
    let farm = party(&ledger, "farm", "farmer");
    farm.define("all", json!({})).await;
    let receiver = Receiver::start().await;
    let port = receiver.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.168.1.1",
        "0.0.0.0",
    ] {
        for scheme in ["http", "https"] {
            let dest = format!("{scheme}://{host}:{port}/callback");
            let asked = json!({ "dest": dest, "stream": true });
            farm.post("/queries/all/subscriptions", asked)
                .await
                .problem(400);
        }
    }
    let asked = json!({ "dest": "http://client.example.com/", "stream": true });
    farm.post("/queries/all/subscriptions", asked)
        .await
        .problem(400);
    farm.capture(&[event(1, "shipping")], "public").await;
    assert_eq!(receiver.calls(), 0);
}

#[tokio::test]
async fn a_scheduled_query_tells_what_came_since_the_last_time() {
    let ledger = ledger(1).await;
    let farm = party(&ledger, "farm", "farmer");
    let [receiver, quiet, never] = [(); 3].map(|()| Receiver::start());
    let (receiver, quiet, never) = (receiver.await, quiet.await, never.await);
    farm.define("shipped", json!({ "EQ_bizStep": ["shipping"] }))
        .await;
    let schedule = json!({ "second": "0/1" });
    let asked = json!({ "dest": receiver.url(), "schedule": schedule });
    farm.subscribe("shipped", asked).await;
    let asked = json!({ "dest": quiet.url(), "schedule": schedule, "reportIfEmpty": true });
    let path = farm.subscribe("shipped", asked).await;
    let asked = json!({ "dest": never.url(), "schedule": { "month": "2", "dayOfMonth": "29" } });
    farm.subscribe("shipped", asked).await;
    // Times without events are told to whom it may concern.
    quiet.until_called(2).await;
    assert_eq!(receiver.calls(), 0);
    assert!(quiet.ids().is_empty());
    for number in 1..=5 {
        farm.capture(
            &[event(number, "shipping"), event(100 + number, "packing")],
            "private",
        )
        .await;
    }
    assert_eq!(receiver.until_id(&id(5)).await, ids(1..=5));
    assert_eq!(quiet.until_id(&id(5)).await, ids(1..=5));
    let shown = farm.get(&path).await.json();
    assert_eq!(shown["schedule"], schedule);
    assert_eq!(shown["reportIfEmpty"], true);
    assert!(shown["stream"].is_null(), "{shown}");
    assert_eq!(never.calls(), 0);
}

#[tokio::test]
async fn a_subscription_is_its_partys_and_ends_with_its_user() {
    let ledger = ledger_with(
        1,
        &[("PROVCHAIN_ADMIN_PASSWORD", "staple of the first hour")],
    )
    .await;
    let admin = party(&ledger, "office", "admin");
    let [ann, bob] = [(); 2].map(|()| Receiver::start());
    let (ann, bob) = (ann.await, bob.await);
    let password = "correct horse battery";
    for name in ["ann", "bob"] {
        let user = json!({ "name": name, "role": "farmer", "party": "farm", "password": password });
        until("the ledger has users", async || {
            let made = admin.post("/api/v1/users", user.clone()).await;
            [201, 409].contains(&made.status)
        })
        .await;
    }
    let login = |name: &str| {
        let body = json!({ "user": name, "password": password });
        let admin = admin.clone();
        async move {
            let answer = admin.post("/auth/login", body).await.json();
            let mut who = admin;
            who.token = answer["access_token"].as_str().expect("a token").to_owned();
            who
        }
    };
    let (anns, bobs) = (login("ann").await, login("bob").await);
    anns.define("all", json!({})).await;
    let asked = |receiver: &Receiver| json!({ "dest": receiver.url(), "stream": true });
    let of_ann = anns.subscribe("all", asked(&ann)).await;
    let of_bob = bobs.subscribe("all", asked(&bob)).await;
    // Nobody else's.
    let shop = party(&ledger, "shop", "retailer");
    for path in [&of_ann, "/queries/all/subscriptions"] {
        shop.get(path).await.problem(404);
        shop.get(&format!("{path}?party=farm")).await.problem(404);
    }
    shop.delete(&of_ann).await.problem(404);
    shop.delete(&format!("{of_ann}?party=farm"))
        .await
        .problem(404);
    shop.post("/queries/all/subscriptions", asked(&ann))
        .await
        .problem(404);
    let auditor = party(&ledger, "office", "auditor");
    assert_eq!(
        auditor.get(&format!("{of_ann}?party=farm")).await.status,
        200
    );
    auditor
        .delete(&format!("{of_ann}?party=farm"))
        .await
        .problem(404);

    bobs.capture(&[event(1, "shipping")], "private").await;
    ann.until_id(&id(1)).await;
    bob.until_id(&id(1)).await;
    // Shut out, she is sent nothing more, until she is let in again.
    let shut = json!({ "disabled": true });
    let changed = admin
        .ask(Method::PATCH, "/api/v1/users/ann", Some(shut))
        .await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    bobs.capture(&[event(2, "shipping")], "private").await;
    bob.until_id(&id(2)).await;
    assert_eq!(ann.ids(), ids([1]));
    let open = json!({ "disabled": false });
    admin
        .ask(Method::PATCH, "/api/v1/users/ann", Some(open))
        .await;
    assert_eq!(ann.until_id(&id(2)).await, ids([1, 2]));
    // Removed, she has no subscriptions, and neither has another one of her name.
    assert_eq!(admin.delete("/api/v1/users/ann").await.status, 204);
    bobs.get(&of_ann).await.problem(404);
    bobs.capture(&[event(3, "shipping")], "private").await;
    bob.until_id(&id(3)).await;
    assert_eq!(ann.ids(), ids([1, 2]));
    // Of another party now, he is not sent what is this one's.
    let moved = json!({ "party": "shop" });
    admin
        .ask(Method::PATCH, "/api/v1/users/bob", Some(moved))
        .await;
    let farm = party(&ledger, "farm", "farmer");
    farm.capture(&[event(4, "shipping")], "private").await;
    let own = Receiver::start().await;
    farm.subscribe(
        "all",
        json!({
            "dest": own.url(), "stream": true, "initialRecordTime": long_ago(),
        }),
    )
    .await;
    own.until_id(&id(4)).await;
    assert_eq!(bob.ids(), ids(1..=3));
    let removed = admin.delete(&format!("{of_bob}?party=farm")).await;
    assert_eq!(removed.status, 204, "{}", removed.text());
}

#[tokio::test]
async fn a_receiver_that_takes_one_event_at_a_time_gets_them_so() {
    let ledger = ledger(1).await;
    let farm = party(&ledger, "farm", "farmer");
    let receiver = Receiver::start().await;
    receiver.behave(Behaviour::One);
    farm.define("all", json!({})).await;
    let asked = json!({ "dest": receiver.url(), "stream": true });
    let path = farm.subscribe("all", asked).await;
    let many: Vec<_> = (1..=20).map(|number| event(number, "shipping")).collect();
    farm.capture(&many, "private").await;
    assert_eq!(receiver.until_id(&id(20)).await, ids(1..=20));
    let shown = farm
        .shown(&path, |shown| shown["lastNotifiedAt"].is_string())
        .await;
    assert_eq!(shown["failures"], 0);
}
