//! Users, sessions and keys, as people and machines meet them.

use kit::settings::Secret;
use kit::tokens::Keys;
use reqwest::Method;
use serde_json::{Value, json};

use super::cluster::{Answer, Ledger, PROVCHAIN, answer};
use super::epcis_fixtures::{document, object_event};

const PASSWORD: &str = "correct horse battery";
const ADMIN_PASSWORD: &str = "staple of the first hour";

async fn ledger() -> Ledger {
    Ledger::start_with(1, |nodes| {
        nodes.env("PROVCHAIN_ADMIN_PASSWORD", ADMIN_PASSWORD)
    })
    .await
}

/// Asks as somebody, with a body if there is one.
async fn ask(ledger: &Ledger, method: Method, path: &str, token: &str, body: Value) -> Answer {
    let request = ledger.request(method, ledger.first(), path);
    let request = if token.is_empty() {
        request
    } else {
        request.bearer_auth(token)
    };
    let request = if body.is_null() {
        request
    } else {
        request.json(&body)
    };
    answer(request).await.expect("an answer")
}

async fn post(ledger: &Ledger, path: &str, token: &str, body: Value) -> Answer {
    ask(ledger, Method::POST, path, token, body).await
}

async fn login(ledger: &Ledger, user: &str, password: &str) -> Answer {
    let body = json!({ "user": user, "password": password });
    post(ledger, "/auth/login", "", body).await
}

fn text(answer: &Answer, member: &str) -> String {
    answer.json()[member].as_str().expect("a text").to_owned()
}

/// The user who was made with the ledger.
async fn admin(ledger: &Ledger) -> String {
    let mut made = login(ledger, "admin", ADMIN_PASSWORD).await;
    super::cluster::until("the administrator exists", async || {
        made = login(ledger, "admin", ADMIN_PASSWORD).await;
        made.status == 200
    })
    .await;
    text(&made, "access_token")
}

async fn make_user(ledger: &Ledger, admin: &str, name: &str, role: &str, party: &str) {
    let user = json!({ "name": name, "role": role, "party": party, "password": PASSWORD });
    let made = post(ledger, "/api/v1/users", admin, user).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

async fn who(ledger: &Ledger, token: &str) -> Answer {
    ask(ledger, Method::GET, "/auth/me", token, Value::Null).await
}

#[tokio::test]
async fn a_session_lasts_until_it_is_ended_and_its_stolen_tokens_end_it() {
    let ledger = ledger().await;
    let admin = admin(&ledger).await;
    make_user(&ledger, &admin, "ann", "farmer", "farm").await;

    let first = login(&ledger, "ann", PASSWORD).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let token = text(&first, "access_token");
    let me = who(&ledger, &token).await.json();
    assert_eq!(
        me,
        json!({ "user": "ann", "role": "farmer", "party": "farm" })
    );

    // Refreshing gives new tokens, and uses the old one up.
    let stolen = text(&first, "refresh_token");
    let refresh = async |token: &str| {
        let body = json!({ "refresh_token": token });
        post(&ledger, "/auth/refresh", "", body).await
    };
    let second = refresh(&stolen).await;
    assert_eq!(second.status, 200, "{}", second.text());
    let problem = refresh(&stolen).await.problem(401);
    assert!(
        problem["detail"].to_string().contains("used before"),
        "{problem}"
    );
    // The session is over for both.
    refresh(&text(&second, "refresh_token")).await.problem(401);
    refresh("never given").await.problem(401);

    // Logging out takes the access token back at once.
    let third = login(&ledger, "ann", PASSWORD).await;
    let token = text(&third, "access_token");
    let ended = json!({ "refresh_token": text(&third, "refresh_token") });
    let left = post(&ledger, "/auth/logout", &token, ended).await;
    assert_eq!(left.status, 204, "{}", left.text());
    who(&ledger, &token).await.problem(401);
    refresh(&text(&third, "refresh_token")).await.problem(401);
    post(&ledger, "/auth/logout", "", json!({}))
        .await
        .problem(400);

    // What was done stands in the log, for auditors.
    let log = ask(
        &ledger,
        Method::GET,
        "/api/v1/audit?limit=1000",
        &ledger.token_of("auditor"),
        Value::Null,
    )
    .await
    .json();
    let done: Vec<_> = log["audit"].as_array().expect("lines").iter().collect();
    let is_made = |line: &&&Value| line["action"] == "user.create" && line["target"] == "ann";
    let made = done.iter().find(is_made).expect("it was made");
    assert_eq!(made["detail"], "role farmer, party farm", "{log}");
    for action in [
        "user.create",
        "session.open",
        "session.refresh",
        "session.reuse",
        "session.end",
        "token.revoke",
    ] {
        let found = done.iter().any(|line| line["action"] == action);
        assert!(found, "{action} is missing in {log}");
    }
}

#[tokio::test]
async fn nobody_is_told_whether_the_name_or_the_password_was_wrong_and_guessing_is_slow() {
    let ledger = ledger().await;
    let admin = admin(&ledger).await;
    make_user(&ledger, &admin, "ann", "farmer", "farm").await;
    let wrong = login(&ledger, "ann", "wrong horse battery")
        .await
        .problem(401);
    let unknown = login(&ledger, "eve", PASSWORD).await.problem(401);
    assert_eq!(wrong, unknown);
    let long = "x".repeat(100_000);
    login(&ledger, "ann", &long).await.problem(401);
    let mut statuses = Vec::new();
    for guess in 0..30 {
        let guessed = login(&ledger, "ann", &format!("guess number {guess}")).await;
        statuses.push(guessed.status);
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    // The right one does not come through either, from here.
    login(&ledger, "ann", PASSWORD).await.problem(429);
}

/// Guesses until there were too many.
async fn guesses_end(what: &str, mut guess: impl AsyncFnMut(usize) -> Answer) {
    for number in 0..100 {
        let guessed = guess(number).await;
        if guessed.status == 429 {
            return;
        }
        assert_eq!(guessed.status, 401, "{what}: {}", guessed.text());
    }
    panic!("{what} is guessed for ever");
}

#[tokio::test]
async fn guessing_ends_where_it_comes_from_and_shuts_nobody_out_elsewhere() {
    let ledger = Ledger::start_with(1, |nodes| {
        nodes
            .env("PROVCHAIN_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("PROVCHAIN_TRUSTED_PROXIES", "127.0.0.1")
    })
    .await;
    let admin = admin(&ledger).await;
    make_user(&ledger, &admin, "ann", "farmer", "farm").await;
    let from = async |address: &str, path: &str, body: Value| {
        let request = ledger.request(Method::POST, ledger.first(), path);
        let request = request.header("x-forwarded-for", address).json(&body);
        answer(request).await.expect("an answer")
    };
    let login = async |address: &str, user: &str, password: &str| {
        let body = json!({ "user": user, "password": password });
        from(address, "/auth/login", body).await
    };
    guesses_end("a password", async |_| {
        login("192.0.2.1", "ann", "wrong horse battery").await
    })
    .await;
    guesses_end("every user's password", async |number| {
        let user = format!("user{number}");
        login("192.0.2.2", &user, "wrong horse battery").await
    })
    .await;
    guesses_end("a refresh token", async |number| {
        let body = json!({ "refresh_token": format!("{number:064x}") });
        from("192.0.2.3", "/auth/refresh", body).await
    })
    .await;
    let tokens = login("192.0.2.4", "ann", PASSWORD).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    let token = text(&tokens, "access_token");
    guesses_end("the password of a session", async |number| {
        let guess = format!("guess number {number}");
        let body = json!({ "current": guess, "new": "another horse battery" });
        post(&ledger, "/auth/password", &token, body).await
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_with_the_password_the_role_and_the_user_that_it_was_given_for() {
    let ledger = ledger().await;
    let admin = admin(&ledger).await;
    let patch = async |name: &str, body: Value| {
        let path = format!("/api/v1/users/{name}");
        ask(&ledger, Method::PATCH, &path, &admin, body).await
    };
    for name in ["ann", "bob", "cat", "dan"] {
        make_user(&ledger, &admin, name, "farmer", "farm").await;
    }
    let mut tokens = Vec::new();
    for name in ["ann", "bob", "cat", "dan"] {
        let token = text(&login(&ledger, name, PASSWORD).await, "access_token");
        assert_eq!(who(&ledger, &token).await.status, 200);
        tokens.push(token);
    }
    let new = json!({ "current": PASSWORD, "new": "another horse battery" });
    let changed = post(&ledger, "/auth/password", &tokens[0], new).await;
    assert_eq!(changed.status, 204, "{}", changed.text());
    let short = json!({ "current": PASSWORD, "new": "short" });
    post(&ledger, "/auth/password", &tokens[1], short)
        .await
        .problem(400);
    assert_eq!(patch("bob", json!({ "role": "auditor" })).await.status, 200);
    assert_eq!(patch("cat", json!({ "disabled": true })).await.status, 200);
    let path = "/api/v1/users/dan";
    let gone = ask(&ledger, Method::DELETE, path, &admin, Value::Null).await;
    assert_eq!(gone.status, 204);
    for token in &tokens {
        who(&ledger, token).await.problem(401);
    }
    // The new password lets in, in the same second too.
    let again = login(&ledger, "ann", "another horse battery").await;
    assert_eq!(
        who(&ledger, &text(&again, "access_token")).await.status,
        200
    );
    login(&ledger, "ann", PASSWORD).await.problem(401);
    login(&ledger, "cat", PASSWORD).await.problem(401);

    patch("nobody", json!({ "disabled": true }))
        .await
        .problem(404);
    patch("ann", json!({ "role": "king" })).await.problem(422);
    let twice = json!({ "name": "ann", "role": "farmer" });
    post(&ledger, "/api/v1/users", &admin, twice)
        .await
        .problem(409);
    let named = json!({ "name": "a b", "role": "farmer" });
    post(&ledger, "/api/v1/users", &admin, named)
        .await
        .problem(400);
    // Somebody has to be left to administer.
    patch("admin", json!({ "role": "auditor" }))
        .await
        .problem(409);
    patch("admin", json!({ "disabled": true }))
        .await
        .problem(409);
    let path = "/api/v1/users/admin";
    ask(&ledger, Method::DELETE, path, &admin, Value::Null)
        .await
        .problem(409);
}

#[tokio::test]
async fn a_machine_acts_with_its_key_until_it_is_taken_away() {
    let ledger = ledger().await;
    let admin = admin(&ledger).await;
    let user = json!({ "name": "scanner", "role": "transporter", "party": "carrier" });
    assert_eq!(
        post(&ledger, "/api/v1/users", &admin, user).await.status,
        201
    );
    // Without a password it has no other way in.
    login(&ledger, "scanner", "").await.problem(401);
    let new = json!({ "user": "scanner", "label": "gate 4" });
    let made = post(&ledger, "/api/v1/api-keys", &admin, new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let (key, id) = (text(&made, "key"), text(&made, "id"));

    let capture = async |name: &str, value: &str| {
        let request = ledger.request(Method::POST, ledger.first(), "/capture");
        let request = request.header(name, value);
        let request = request.json(&document(&json!([object_event()])));
        answer(request).await.expect("an answer")
    };
    assert_eq!(capture("x-api-key", &key).await.status, 202);
    assert_eq!(
        capture("authorization", &format!("Bearer {key}"))
            .await
            .status,
        202
    );
    let mut other = key.clone();
    let last = if key.ends_with('0') { '1' } else { '0' };
    other.pop();
    other.push(last);
    for wrong in [&other, "pck_", "pck_00_00", "", "text"] {
        capture("x-api-key", wrong).await.problem(401);
    }
    // It makes keys for nobody else, and sees nobody else's.
    let for_admin = json!({ "user": "admin" });
    post(&ledger, "/api/v1/api-keys", &key, for_admin)
        .await
        .problem(403);
    let listed = ask(
        &ledger,
        Method::GET,
        "/api/v1/api-keys",
        &admin,
        Value::Null,
    )
    .await;
    assert!(!listed.text().contains(&key), "a key is shown once");
    assert!(listed.text().contains("gate 4"), "{}", listed.text());
    let path = "/api/v1/api-keys";
    for (token, sees) in [(&key, true), (&ledger.token_of("auditor"), false)] {
        let own = ask(&ledger, Method::GET, path, token, Value::Null).await;
        assert_eq!(own.status, 200, "{}", own.text());
        assert_eq!(own.text().contains("gate 4"), sees, "{}", own.text());
    }

    let short = json!({ "user": "scanner", "expiresIn": 0 });
    let short = post(&ledger, "/api/v1/api-keys", &admin, short).await;
    capture("x-api-key", &text(&short, "key"))
        .await
        .problem(401);

    let path = format!("/api/v1/api-keys/{id}");
    let stranger = ledger.token_of("farmer");
    ask(&ledger, Method::DELETE, &path, &stranger, Value::Null)
        .await
        .problem(404);
    let gone = ask(&ledger, Method::DELETE, &path, &admin, Value::Null).await;
    assert_eq!(gone.status, 204);
    capture("x-api-key", &key).await.problem(401);
}

#[tokio::test]
async fn the_first_administrator_is_made_once_with_the_clusters_secret() {
    let ledger = Ledger::start(1).await;
    let url = ledger.first().url("api").expect("a port");
    let secret = ledger.nodes.secret("jwt").expect("a secret");
    let bootstrap = async |secret: &str| {
        let output = tokio::process::Command::new(PROVCHAIN)
            .args(["admin", "bootstrap", "--url", &url, "--user", "root"])
            .env("JWT_SECRET", secret)
            .output();
        output.await.expect("it runs")
    };
    let refused = bootstrap(&"x".repeat(40)).await;
    assert!(!refused.status.success());
    let made = bootstrap(secret).await;
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let output = String::from_utf8(made.stdout).expect("text");
    let password = output
        .split("password: ")
        .nth(1)
        .expect("a password")
        .trim();
    let logged_in = login(&ledger, "root", password).await;
    assert_eq!(logged_in.json()["role"], "admin", "{}", logged_in.text());
    let again = bootstrap(secret).await;
    let error = String::from_utf8_lossy(&again.stderr);
    assert!(
        !again.status.success() && error.contains("already"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_that_was_signed_outside_is_taken_back_like_any_other() {
    let ledger = ledger().await;
    let admin = admin(&ledger).await;
    let revoke = json!({ "token": ledger.token });
    let path = "/api/v1/tokens/revoke";
    assert_eq!(who(&ledger, &ledger.token).await.status, 200);
    assert_eq!(post(&ledger, path, &admin, revoke).await.status, 204);
    who(&ledger, &ledger.token).await.problem(401);
    // A login's token that is signed with the wrong issuer's name is none.
    let keys = Keys::new(&Secret::new(ledger.nodes.secret("jwt").expect("a secret")));
    let keys = keys
        .expect("long enough")
        .between("provchain login", "another network");
    let foreign = keys.issue("admin", "admin", std::time::Duration::from_secs(60));
    who(&ledger, &foreign.expect("signed")).await.problem(401);
    post(&ledger, path, &admin, json!({ "token": "text" }))
        .await
        .problem(400);
}

#[tokio::test]
async fn the_administrator_of_the_settings_does_not_come_back_once_removed() {
    let ledger = ledger().await;
    let admin = admin(&ledger).await;
    make_user(&ledger, &admin, "root", "admin", "us").await;
    let path = "/api/v1/users/admin";
    let root = text(&login(&ledger, "root", PASSWORD).await, "access_token");
    let gone = ask(&ledger, Method::DELETE, path, &root, Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let name = ledger.first().name().to_owned();
    ledger
        .nodes
        .rolling_restart(&[name.as_str()])
        .await
        .expect("restarted");
    // The settings still name a password for it. Once the node has taken an event and sealed it, whatever
    // is done at a start has been done.
    let document = document(&json!([object_event()]));
    ledger.capture(ledger.first(), &document).await;
    ledger.sealed(ledger.first()).await;
    login(&ledger, "admin", ADMIN_PASSWORD).await.problem(401);
    assert_eq!(login(&ledger, "root", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_token_that_was_signed_outside_ends_with_its_user() {
    let ledger = ledger().await;
    let admin = admin(&ledger).await;
    make_user(&ledger, &admin, "ann", "farmer", "farm").await;
    let keys = Keys::new(&Secret::new(ledger.nodes.secret("jwt").expect("a secret")));
    let keys = keys.expect("long enough");
    let signed = keys.issue("ann", "farmer", std::time::Duration::from_secs(600));
    let signed = signed.expect("signed");
    assert_eq!(who(&ledger, &signed).await.status, 200);
    // What a login gives is for one network, though another should have the same secret.
    for (network, status) in [("development", 200), ("staging", 401)] {
        let login = keys.between("provchain login", network);
        let token = login.issue("ann", "farmer", std::time::Duration::from_secs(600));
        let token = token.expect("signed");
        assert_eq!(who(&ledger, &token).await.status, status, "{network}");
    }
    let path = "/api/v1/users/ann";
    let shut = json!({ "disabled": true });
    let out = ask(&ledger, Method::PATCH, path, &admin, shut).await;
    assert_eq!(out.status, 200, "{}", out.text());
    who(&ledger, &signed).await.problem(401);
}

#[tokio::test]
async fn each_caller_has_a_rate_of_its_own_and_is_told_when_to_come_again() {
    let ledger = Ledger::start_with(1, |nodes| {
        nodes
            .env("PROVCHAIN_RATE_PER_SECOND", "1")
            .env("PROVCHAIN_RATE__BURST", "10")
    })
    .await;
    let eager = ledger.token_for("ann", "farmer");
    let other = ledger.token_for("bob", "farmer");
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(who(&ledger, &eager).await.status);
    }
    assert!(statuses.contains(&200), "{statuses:?}");
    let last = who(&ledger, &eager).await;
    last.problem(429);
    let wait = last.retry_after.as_ref().map(|seconds| seconds.parse());
    assert!(matches!(wait, Some(Ok(1..=2_u64))), "{wait:?}");
    // Somebody else is not held up by it.
    assert_eq!(who(&ledger, &other).await.status, 200);
}
