//! Captures as EPCIS 2.0 has them: all or nothing, or what is good; and what became of them.

use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::{Answer, Ledger, answer};
use super::epcis_fixtures::{document, object_event};

fn event(number: u32) -> Value {
    let mut event = object_event();
    event["eventID"] = json!(format!("urn:uuid:00000000-0000-4000-8000-{number:012}"));
    event
}

async fn capture(ledger: &Ledger, token: &str, behaviour: &str, events: &Value) -> Answer {
    let request = ledger.request(Method::POST, ledger.first(), "/capture");
    let request = request
        .bearer_auth(token)
        .header("GS1-Capture-Error-Behaviour", behaviour)
        .json(&document(events));
    answer(request).await.expect("an answer")
}

async fn get(ledger: &Ledger, token: &str, path: &str) -> Answer {
    let request = ledger.request(Method::GET, ledger.first(), path);
    answer(request.bearer_auth(token)).await.expect("an answer")
}

#[tokio::test]
async fn a_capture_that_proceeds_leaves_out_what_is_wrong_and_says_which_and_why() {
    let ledger = Ledger::start(1).await;
    let token = ledger.token.clone();
    let mut wrong = event(2);
    wrong["action"] = json!("MAYBE");
    let mut poison = event(3);
    let part = json!({ "ext:part": vec![json!({ "ext:size": {} }); 12] });
    poison["ext:parts"] = json!([part, part]);
    let mut taken = event(1);
    taken["disposition"] = json!("in_transit");
    let events = json!([event(1), wrong, poison, taken, event(4)]);

    let refused = capture(&ledger, &token, "rollback", &events).await;
    assert_eq!(refused.problem(400)["issues"][0]["event"], 1);
    assert_eq!(ledger.tree(ledger.first()).await.size, 0);

    let proceeded = capture(&ledger, &token, "proceed", &events).await;
    assert_eq!(proceeded.status, 202, "{}", proceeded.text());
    let receipt = proceeded.json();
    assert_eq!(
        (&receipt["success"], &receipt["running"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(receipt["captureErrorBehaviour"], "proceed");
    assert_eq!(receipt["entries"], json!([0, 1]), "{receipt}");
    let errors = receipt["errors"].as_array().expect("errors");
    let told: Vec<_> = errors
        .iter()
        .map(|error| (&error["event"], &error["rule"]))
        .collect();
    let [one, two, three] = [json!(1), json!(2), json!(3)];
    let [value, limit, conflict] = [json!("value"), json!("limit"), json!("conflict")];
    assert_eq!(
        told,
        [(&one, &value), (&two, &limit), (&three, &conflict)],
        "{receipt}"
    );
    assert!(
        errors[0]["message"].to_string().contains("MAYBE"),
        "{receipt}"
    );
    assert_eq!(errors[2]["eventID"], event(1)["eventID"]);
    assert_eq!(ledger.tree(ledger.first()).await.size, 2);

    // The job says so too, later, without a word of what the events said.
    let id = receipt["captureID"].as_str().expect("an id");
    let job = get(&ledger, &token, &format!("/capture/{id}")).await;
    assert!(!job.text().contains("MAYBE"), "{}", job.text());
    let job = job.json();
    assert_eq!(
        (&job["success"], &job["events"]),
        (&json!(false), &json!(2))
    );
    let events: Vec<_> = job["errors"].as_array().expect("errors").iter().collect();
    let events: Vec<_> = events.iter().map(|error| &error["event"]).collect();
    assert_eq!(events, [&one, &two, &three]);

    // Again it is all there, and nothing good is left out.
    let again = capture(&ledger, &token, "proceed", &json!([event(1), event(4)]))
        .await
        .json();
    assert_eq!(again["repeated"], 2, "{again}");
    assert_eq!(
        (&again["success"], &again["errors"]),
        (&json!(true), &json!([]))
    );
    // What is wrong with the document itself is no matter of an event.
    capture(&ledger, &token, "proceed", &json!("none"))
        .await
        .problem(400);
    // Nothing that is good is a capture all the same.
    let mut none = event(9);
    none["action"] = json!("MAYBE");
    let none = capture(&ledger, &token, "proceed", &json!([none])).await;
    assert_eq!((none.status, &none.json()["entries"]), (202, &json!([])));
}

#[tokio::test]
async fn captures_are_listed_to_their_party_the_newest_first_page_by_page() {
    let ledger = Ledger::start(1).await;
    let [farm, shop] = ["farm", "shop"].map(|party| ledger.token_for(party, "retailer"));
    let mut ids = Vec::new();
    for number in 0..5 {
        let taken = capture(&ledger, &farm, "rollback", &json!([event(number)])).await;
        ids.push(taken.json()["captureID"].clone());
    }
    let shops = capture(&ledger, &shop, "rollback", &json!([event(7)])).await;
    let shops = shops.json()["captureID"].clone();
    ids.reverse();

    let mut path = "/capture?perPage=2".to_owned();
    let mut listed = Vec::new();
    let mut pages = 0;
    loop {
        let request = ledger.request(Method::GET, ledger.first(), &path);
        let response = request.bearer_auth(&farm).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        let link = response
            .headers()
            .get("link")
            .map(|link| link.to_str().expect("text"));
        let next = link.map(|link| {
            let (next, rel) = link.split_once('>').expect("a link");
            assert_eq!(rel, "; rel=\"next\"");
            next.trim_start_matches('<').to_owned()
        });
        let page: Vec<Value> = response.json().await.expect("a list");
        listed.extend(page.into_iter().map(|job| job["captureID"].clone()));
        pages += 1;
        match next {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!((listed, pages), (ids.clone(), 3));
    let all = get(&ledger, &ledger.token_of("auditor"), "/capture")
        .await
        .json();
    assert_eq!(all.as_array().map(Vec::len), Some(6));
    assert_eq!(all[0]["captureID"], shops);
    let none = get(
        &ledger,
        &ledger.token_for("stranger", "consumer"),
        "/capture",
    )
    .await;
    assert_eq!(none.json(), json!([]));
    get(&ledger, &farm, "/capture?perPage=0").await.problem(400);

    let options = ledger.request(Method::OPTIONS, ledger.first(), "/capture");
    let options = options.send().await.expect("an answer");
    assert_eq!(options.status(), 204);
    for (name, value) in [
        ("gs1-epcis-version", "2.0.0"),
        ("gs1-epcis-capture-limit", "5000"),
        ("gs1-capture-error-behaviour", "rollback"),
    ] {
        assert_eq!(options.headers()[name], value);
    }
}
