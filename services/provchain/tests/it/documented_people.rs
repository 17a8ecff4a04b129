//! Examples for the OpenAPI document of what is done for people: keys, subjects, users and tokens.

use reqwest::Method;
use serde_json::json;

use super::documented::{Asker, Example, GET, POST};
use super::epcis_fixtures::{document, object_event};

pub async fn keys(asker: &mut Asker, admin: &str) {
    let rotate = "/api/v1/keys/rotate";
    asker
        .ask(Example::new(POST, rotate, rotate, 200).by(admin))
        .await;
    let keys = "/api/v1/keys";
    let listed = Example::new(GET, keys, "/api/v1/keys?format=json", 200);
    let listed = asker.ask(listed).await;
    assert!(listed["keys"][0]["succession"].is_string(), "{listed}");
    let evidence = "/api/v1/evidence";
    asker
        .ask(Example::new(GET, evidence, evidence, 200).by(admin))
        .await;
}

pub async fn subjects(asker: &mut Asker, admin: &str, farm: &str) {
    const FIELD: &str = "https://farm.example/driver";
    let personal = "/api/v1/personal";
    let put = |status| Example::new(Method::PUT, personal, personal, status).by(admin);
    let party = "urn:epc:id:pgln:4012345.00777";
    asker
        .ask(put(200).with(json!({ "fields": [FIELD], "parties": [party] })))
        .await;
    asker
        .ask(put(400).with(json!({ "parties": ["nobody"] })))
        .await;
    asker
        .ask(Example::new(GET, personal, personal, 200).by(admin))
        .await;
    let mut event = object_event();
    event["eventID"] = json!("urn:uuid:4b0a6f5e-8f2d-4f0b-9a2b-1d2c3e4f5a6b");
    event["ext:driver"] = json!("Bob Miller");
    let mut capture = document(&json!([event]));
    capture["@context"] = json!([
        "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
        { "ext": "https://farm.example/" }
    ]);
    let captured = Example::new(POST, "/capture", "/capture", 202).by(farm);
    let captured = asker.ask(captured.with(capture)).await;
    let erase = "/api/v1/subjects/erase";
    let who = |value: &str| json!({ "field": FIELD, "value": value });
    let erased = Example::new(POST, erase, erase, 200).by(admin);
    let erased = asker.ask(erased.with(who("Bob Miller"))).await;
    assert_eq!(erased["erasures"][0]["entries"], 1, "{erased}");
    for part in ["event", "statements"] {
        let route = format!("/api/v1/entries/{{index}}/{part}");
        let path = format!("/api/v1/entries/{}/{part}", captured["entries"][0]);
        asker
            .ask(Example::new(GET, &route, path, 410).by(admin))
            .await;
    }
    let unknown = Example::new(POST, erase, erase, 404).by(admin);
    asker.ask(unknown.with(who("nobody"))).await;
    let subject = "/api/v1/subjects/{subject}";
    let pseudonym = erased["subject"].as_str().expect("a pseudonym");
    for (path, status) in [
        (format!("/api/v1/subjects/{pseudonym}"), 200),
        (format!("/api/v1/subjects/{}", "0".repeat(64)), 404),
    ] {
        asker
            .ask(Example::new(GET, subject, path, status).by(admin))
            .await;
    }
}

pub async fn people(asker: &mut Asker, admin: &str, farm: &str) {
    const PASSWORD: &str = "a long enough password";
    let users = "/api/v1/users";
    let user = |name: &str| json!({ "name": name, "role": "farmer", "password": PASSWORD });
    let make = |status| Example::new(POST, users, users, status).by(admin);
    asker.ask(make(201).with(user("anna"))).await;
    asker.ask(make(409).with(user("anna"))).await;
    asker.ask(make(422).with(json!({ "name": "x" }))).await;
    asker
        .ask(Example::new(GET, users, users, 200).by(admin))
        .await;
    let one = |method, status| {
        Example::new(method, "/api/v1/users/{name}", "/api/v1/users/anna", status).by(admin)
    };
    asker
        .ask(one(Method::PATCH, 200).with(json!({ "party": "farm" })))
        .await;

    let login = |body, status| Example::new(POST, "/auth/login", "/auth/login", status).with(body);
    let good = json!({ "user": "anna", "password": PASSWORD });
    let tokens = asker.ask(login(good.clone(), 200)).await;
    asker
        .ask(login(json!({ "user": "anna", "password": "wrong" }), 401))
        .await;
    let refresh = json!({ "refresh_token": tokens["refresh_token"] });
    let refreshed = Example::new(POST, "/auth/refresh", "/auth/refresh", 200).with(refresh);
    let tokens = asker.ask(refreshed).await;
    let token = tokens["access_token"].as_str().expect("a token");
    asker
        .ask(Example::new(GET, "/auth/me", "/auth/me", 200).by(token))
        .await;

    let keys = "/api/v1/api-keys";
    let new = json!({ "label": "gate", "expiresIn": 3600 });
    let made = asker
        .ask(Example::new(POST, keys, keys, 201).by(token).with(new))
        .await;
    asker
        .ask(Example::new(GET, keys, keys, 200).by(token))
        .await;
    let path = format!("{keys}/{}", made["id"].as_str().expect("an id"));
    for status in [204, 404] {
        let key = Example::new(
            Method::DELETE,
            "/api/v1/api-keys/{id}",
            path.clone(),
            status,
        );
        asker.ask(key.by(token)).await;
    }

    let (partners, path) = (
        "/api/v1/parties/{party}/partners",
        "/api/v1/parties/farm/partners",
    );
    let named = json!({ "partners": ["shop"] });
    asker
        .ask(
            Example::new(Method::PUT, partners, path, 200)
                .by(farm)
                .with(named),
        )
        .await;
    asker
        .ask(Example::new(GET, partners, path, 200).by(farm))
        .await;

    let (password, passwords) = (
        "/auth/password",
        json!({ "current": PASSWORD, "new": "another long one" }),
    );
    asker
        .ask(
            Example::new(POST, password, password, 204)
                .by(token)
                .with(passwords),
        )
        .await;
    let again = json!({ "user": "anna", "password": "another long one" });
    let tokens = asker.ask(login(again, 200)).await;
    let token = tokens["access_token"].as_str().expect("a token");
    let out = json!({ "refresh_token": tokens["refresh_token"] });
    asker
        .ask(
            Example::new(POST, "/auth/logout", "/auth/logout", 204)
                .by(token)
                .with(out),
        )
        .await;

    let revoke = "/api/v1/tokens/revoke";
    let taken_back = asker.ledger.token_for("lost", "farmer");
    let taken_back = json!({ "token": taken_back });
    asker
        .ask(
            Example::new(POST, revoke, revoke, 204)
                .by(admin)
                .with(taken_back),
        )
        .await;
    let audit = Example::new(GET, "/api/v1/audit", "/api/v1/audit?limit=5", 200);
    asker.ask(audit.by(admin)).await;
    asker.ask(one(Method::DELETE, 204)).await;
    asker.ask(one(Method::DELETE, 404)).await;
}
