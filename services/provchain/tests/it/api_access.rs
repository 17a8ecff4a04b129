//! Whom routes serve, and who reads what: a negative test for every route and role, and one for
//! every way in which a private event could get out.

use provchain::access::Role;
use provchain::api::Who;
use provchain::api::routes;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::cluster::{Answer, Ledger, answer};
use super::epcis_fixtures::{document, object_event};
use super::subscriber::{event, party};

fn token(ledger: &Ledger, subject: &str, role: &str) -> String {
    ledger.token_for(subject, role)
}

fn ask_as(
    ledger: &Ledger,
    (method, path): (Method, &str),
    token: Option<&str>,
    body: Option<Value>,
) -> RequestBuilder {
    let mut request = ledger.request(method, ledger.first(), path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    request
}

async fn ask(
    ledger: &Ledger,
    asked: (Method, &str),
    token: Option<&str>,
    body: Option<Value>,
) -> Answer {
    answer(ask_as(ledger, asked, token, body))
        .await
        .expect("an answer")
}

async fn get(ledger: &Ledger, path: &str, token: Option<&str>) -> Answer {
    ask(ledger, (Method::GET, path), token, None).await
}

#[tokio::test]
async fn every_route_serves_its_roles_and_turns_all_others_away() {
    let ledger = Ledger::start(1).await;
    let roles = Role::ALL.map(Some).into_iter().chain([None]);
    for role in roles {
        for route in routes::all() {
            // One of its own for each: logging out is among what is done.
            let token = role.map(|role| token(&ledger, "somebody", role.as_str()));
            let path = route
                .path
                .replace("{party}", "somebody")
                .replace("{index}", "0");
            let path = path.replace(|c| "{}".contains(c), "");
            let body = (route.method != Method::GET).then(|| json!({}));
            let request = ask_as(
                &ledger,
                (route.method.clone(), &path),
                token.as_deref(),
                body,
            );
            // Without what follows: it may be a stream.
            let status = request.send().await.expect("an answer").status().as_u16();
            let told = format!("{} {path} as {role:?}: {status}", route.method);
            match (route.who.includes(role), role) {
                (true, _) => assert!(![401, 403].contains(&status), "{told}"),
                (false, None) => assert_eq!(status, 401, "{told}"),
                (false, Some(_)) => assert_eq!(status, 403, "{told}"),
            }
        }
    }
    // A token that is not valid is refused where none is needed, too.
    for route in routes::all()
        .iter()
        .filter(|route| route.who == Who::Anybody)
    {
        let asked = (route.method.clone(), "/checkpoint");
        if route.path == asked.1 {
            ask(&ledger, asked, Some("x.y.z"), None).await.problem(401);
        }
    }
}

#[test]
fn the_documented_routes_are_those_that_are_served() {
    const README: &str = include_str!("../../README.md");
    let (_, after) = README
        .split_once("<!-- routes: begin -->\n")
        .expect("a place for it");
    let (documented, _) = after.split_once("<!-- routes: end -->").expect("its end");
    let served = routes::table();
    assert_eq!(documented, served, "write this into the README:\n{served}");
}

/// An event of a farm, that another party, a partner and strangers try to get at.
struct Secretive {
    ledger: Ledger,
    id: &'static str,
    epc: String,
    entry: u64,
}

const MARK: &str = "trade secret";

impl Secretive {
    async fn captured(visibility: &str) -> Self {
        let ledger = Ledger::start(1).await;
        let id = "urn:uuid:6f0c3b1e-8a55-4a43-9d3f-0e2c7f1b9a10";
        let mut event = object_event();
        event["eventID"] = json!(id);
        event["ext:note"] = json!(MARK);
        let farm = token(&ledger, "farm", "farmer");
        let request = ledger.request(Method::POST, ledger.first(), "/capture");
        let request = request
            .bearer_auth(farm)
            .header("provchain-visibility", visibility);
        let taken = answer(request.json(&document(&json!([event]))))
            .await
            .expect("an answer");
        assert_eq!(taken.status, 202, "{}", taken.text());
        let entry = taken.json()["entries"][0].as_u64().expect("an entry");
        let epc = event["epcList"][0].as_str().expect("an item").to_owned();
        Self {
            ledger,
            id,
            epc,
            entry,
        }
    }

    /// Every way out, and what it gives to whom does not see the event.
    fn ways(&self) -> Vec<(String, u16)> {
        let encode = |text: &str| {
            let bytes = text.bytes();
            bytes.map(|byte| format!("%{byte:02X}")).collect::<String>()
        };
        let (id, epc, entry) = (encode(self.id), encode(&self.epc), self.entry);
        vec![
            (format!("/events/{id}"), 404),
            (format!("/api/v1/entries/{entry}/event"), 404),
            (format!("/api/v1/entries/{entry}/statements"), 404),
            (format!("/api/v1/recall/{epc}"), 404),
            (format!("/api/v1/trace/{epc}?direction=up"), 404),
            (
                format!("/api/v1/trace/{epc}?direction=down&proofs=true"),
                404,
            ),
            (format!("/api/v1/proofs/entries?indices={entry}"), 200),
        ]
    }

    async fn is_seen_by(&self, token: Option<&str>) -> bool {
        let mut seen = Vec::new();
        for (way, hidden) in self.ways() {
            let answer = get(&self.ledger, &way, token).await;
            // A refusal may say what was asked for.
            let told = answer.text();
            let shows = answer.status == 200 && (told.contains(MARK) || told.contains(self.id));
            assert_eq!(answer.status, if shows { 200 } else { hidden }, "{way}");
            seen.push(shows);
        }
        assert!(
            seen.iter().all(|shows| *shows == seen[0]),
            "{seen:?} of {:?}",
            self.ways()
        );
        seen[0]
    }
}

#[tokio::test]
async fn a_private_event_is_read_by_its_owner_and_by_those_who_oversee() {
    let secret = Secretive::captured("private").await;
    let ledger = &secret.ledger;
    let partners = json!({ "partners": ["shop"] });
    let path = (Method::PUT, "/api/v1/parties/farm/partners");
    let farm = token(ledger, "farm", "farmer");
    let set = ask(ledger, path, Some(&farm), Some(partners)).await;
    assert_eq!(set.status, 200, "{}", set.text());
    for (subject, role, sees) in [
        ("farm", "farmer", true),
        ("farm", "consumer", true),
        ("other", "auditor", true),
        ("other", "admin", true),
        ("shop", "retailer", false),
        ("other", "farmer", false),
        ("other", "consumer", false),
    ] {
        let token = token(ledger, subject, role);
        assert_eq!(
            secret.is_seen_by(Some(&token)).await,
            sees,
            "{subject} {role}"
        );
    }
    assert!(!secret.is_seen_by(None).await);
    // By its id it is as if it were not there, and of its entry nothing is disclosed.
    let unknown = "urn:uuid:6f0c3b1e-8a55-4a43-9d3f-0e2c7f1b9a11";
    let mut told = Vec::new();
    for id in [secret.id, unknown] {
        let problem = get(ledger, &format!("/events/{id}"), None)
            .await
            .problem(404);
        told.push(problem["detail"].to_string().replace(id, ""));
    }
    assert_eq!(told[0], told[1]);
    for shown in ["", "&statements=0&submitter=true"] {
        let path = format!("/api/v1/proofs/entries?indices={}{shown}", secret.entry);
        let file = get(ledger, &path, None).await.json();
        let disclosed = &file["entries"][0]["disclosed"];
        assert_eq!(*disclosed, json!({ "nothing": {} }), "{path}");
    }
}

#[tokio::test]
async fn what_is_for_partners_is_read_by_whom_the_owner_names_for_as_long_as_it_does() {
    let secret = Secretive::captured("partner").await;
    let ledger = &secret.ledger;
    let farm = token(ledger, "farm", "farmer");
    let shop = token(ledger, "shop", "retailer");
    let path = "/api/v1/parties/farm/partners";
    let set = async |token: &str, partners: Value| {
        let body = Some(json!({ "partners": partners }));
        ask(ledger, (Method::PUT, path), Some(token), body).await
    };
    assert!(!secret.is_seen_by(Some(&shop)).await);
    set(&shop, json!(["shop"])).await.problem(403);
    assert!(!secret.is_seen_by(Some(&shop)).await);
    assert_eq!(set(&farm, json!(["shop", "carrier"])).await.status, 200);
    assert!(secret.is_seen_by(Some(&shop)).await);
    assert!(
        !secret
            .is_seen_by(Some(&token(ledger, "other", "retailer")))
            .await
    );
    assert!(!secret.is_seen_by(None).await);
    let listed = get(ledger, path, Some(&farm)).await.json();
    assert_eq!(listed["partners"], json!(["carrier", "shop"]));
    get(ledger, path, Some(&shop)).await.problem(403);
    assert_eq!(set(&farm, json!(["carrier"])).await.status, 200);
    assert!(!secret.is_seen_by(Some(&shop)).await);
    set(&farm, json!(["not a name"])).await.problem(400);
}

#[tokio::test]
async fn nobody_learns_from_a_refusal_that_another_party_recorded_the_same() {
    let secret = Secretive::captured("private").await;
    let ledger = &secret.ledger;
    // The same id, with other content and with the same: both are taken, and are the other's own.
    let mut event = object_event();
    event["eventID"] = json!(secret.id);
    let other = token(ledger, "other", "farmer");
    let request = ledger.request(Method::POST, ledger.first(), "/capture");
    let request = request.bearer_auth(&other).json(&document(&json!([event])));
    let taken = answer(request).await.expect("an answer");
    assert_eq!(taken.status, 202, "{}", taken.text());
    assert_eq!(taken.json()["repeated"], 0);
    let own = taken.json()["entries"][0].as_u64().expect("an entry");
    assert_ne!(own, secret.entry);
    // To the same party it is still a conflict.
    event["disposition"] = json!("in_transit");
    let request = ledger.request(Method::POST, ledger.first(), "/capture");
    let request = request.bearer_auth(&other).json(&document(&json!([event])));
    let problem = answer(request).await.expect("an answer").problem(409);
    assert_eq!(problem["conflicts"][0]["entry"], own, "{problem}");
    // What became of a capture is told to its party.
    let location = format!(
        "/capture/{}",
        taken.json()["captureID"].as_str().expect("an id")
    );
    assert_eq!(get(ledger, &location, Some(&other)).await.status, 200);
    let farm = token(ledger, "farm", "farmer");
    get(ledger, &location, Some(&farm)).await.problem(404);
}

#[tokio::test]
async fn what_the_asker_may_not_see_does_not_count() {
    let ledger = Ledger::start(1).await;
    let (farm, shop) = (
        party(&ledger, "farm", "farmer"),
        party(&ledger, "shop", "retailer"),
    );
    let hidden = [1, 2].map(|number| event(number, "shipping"));
    farm.capture(&hidden, "private").await;
    farm.capture(&[event(3, "shipping")], "public").await;
    for (who, most, status) in [(&farm, 3, 200), (&farm, 2, 413), (&shop, 1, 200)] {
        let path = format!("/events?EQ_bizStep=shipping&maxEventCount={most}");
        let found = who.get(&path).await;
        assert_eq!(found.status, status, "{path}: {}", found.text());
    }
}

#[tokio::test]
async fn a_visibility_that_does_not_exist_is_refused() {
    let ledger = Ledger::start(1).await;
    let tree = ledger.tree(ledger.first()).await;
    for visibility in ["secret", "", "Public"] {
        let request = ledger.request(Method::POST, ledger.first(), "/capture");
        let request = request
            .bearer_auth(&ledger.token)
            .header("provchain-visibility", visibility)
            .json(&document(&json!([object_event()])));
        answer(request).await.expect("an answer").problem(400);
    }
    assert_eq!(ledger.tree(ledger.first()).await, tree);
}

#[tokio::test]
async fn where_nodes_are_and_how_much_room_they_have_is_told_to_those_who_oversee() {
    let ledger = Ledger::start(1).await;
    for (role, told) in [
        ("", false),
        ("farmer", false),
        ("auditor", true),
        ("admin", true),
    ] {
        let token = (!role.is_empty()).then(|| token(&ledger, role, role));
        let answer = get(&ledger, "/api/v1/cluster", token.as_deref()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let status = answer.json();
        assert!(status["leader"].is_string(), "{status}");
        assert!(status["members"][0]["name"].is_string(), "{status}");
        for inner in [
            &status["members"][0]["address"],
            &status["disk_free_bytes"],
            &status["state_bytes"],
        ] {
            assert_eq!(!inner.is_null(), told, "{role}: {status}");
        }
    }
}
