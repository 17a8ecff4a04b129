//! The pages of a real node, in a real browser.

use reqwest::Method;
use serde_json::{Value, json};

use super::api_trace::percent_encoded;
use super::cluster::{Ledger, until};
use super::epcis_fixtures::{document, object_event};
use super::pages_browser::Browser;

pub const ADMIN_PASSWORD: &str = "staple of the first hour";

/// A ledger with an administrator.
pub async fn ledger() -> Ledger {
    Ledger::start_with(1, |nodes| {
        nodes.env("PROVCHAIN_ADMIN_PASSWORD", ADMIN_PASSWORD)
    })
    .await
}

pub async fn browser(ledger: &Ledger) -> Browser {
    Browser::start(&ledger.first().url("api").expect("a port")).await
}

/// Logs somebody in, once they exist.
pub async fn log_in(browser: &mut Browser, ledger: &Ledger, user: &str, password: &str) {
    until("the user exists", async || {
        let body = json!({ "user": user, "password": password });
        let request = ledger.request(Method::POST, ledger.first(), "/auth/login");
        let answer = request.json(&body).send().await.expect("an answer");
        answer.status() == 200
    })
    .await;
    browser.go("#/account").await;
    browser.fill("User", user).await;
    browser.fill("Password", password).await;
    browser.press("Enter").await;
    browser.until_read("Log out").await;
}

#[tokio::test]
async fn a_browser_gets_the_pages_and_a_program_what_it_can_ask_for() {
    let ledger = Ledger::start(1).await;
    let get = async |path: &str, name: &str, value: &str| {
        let request = ledger.request(Method::GET, ledger.first(), path);
        request.header(name, value).send().await.expect("an answer")
    };
    let page = get("/", "accept", "text/html,application/xml;q=0.9,*/*;q=0.8").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text");
    for part in [
        "default-src 'none'",
        "script-src 'self';",
        "style-src 'self';",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    assert_eq!(page.headers()["vary"], "accept");

    for accept in ["*/*", "application/json"] {
        let listed = get("/", "accept", accept).await;
        let listed: Value = listed.json().await.expect("JSON");
        let resources = listed["resources"].as_array().expect("a list");
        assert!(resources.contains(&"/events".into()), "{listed}");
        assert!(resources.contains(&"/api/v1/ledger".into()), "{listed}");
    }

    let script = get("/pages/verify.js", "accept", "*/*").await;
    assert_eq!(
        script.headers()["content-type"],
        "text/javascript; charset=utf-8"
    );
    assert_eq!(script.headers()["cache-control"], "no-cache");
    let tag = script.headers()["etag"].to_str().expect("text").to_owned();
    let known = get(
        "/pages/verify.js",
        "if-none-match",
        &format!("\"other\", {tag}"),
    )
    .await;
    assert_eq!(known.status(), 304);
    assert_eq!(known.text().await.expect("a body"), "");
    let changed = get("/pages/verify.js", "if-none-match", "\"other\"").await;
    assert_eq!(changed.status(), 200);
    for path in [
        "/pages/none.js",
        "/pages/../README.md",
        "/pages/%2e%2e%2fREADME.md",
    ] {
        ledger.get(ledger.first(), path).await.problem(404);
    }
}

#[tokio::test]
async fn the_state_of_the_ledger_changes_on_the_page_as_it_changes() {
    let ledger = Ledger::start(1).await;
    let mut browser = browser(&ledger).await;
    browser.open("#/").await;
    browser.until_read("Live").await;
    browser.until_read("No event has been recorded yet").await;
    let mut event = object_event();
    event["bizStep"] = json!("shipping");
    ledger
        .capture(ledger.first(), &document(&json!([event])))
        .await;
    browser.until_read("shipping").await;
    browser.until("[...document.querySelectorAll('.figures dd')].slice(0, 2).every((one) => one.innerText === '1')").await;
    // The block is one that can be looked at.
    browser.until("document.querySelector('.figures a')").await;
    browser
        .run("document.querySelector('.figures a').click()")
        .await;
    browser.until_read("Public key of the signer").await;
    let seen = browser.read().await;
    assert!(seen.contains("shipping"), "{seen}");
    browser.expect_no_complaint().await;
}

/// A picture that would run a script, if a text of the ledger became markup.
const MARKUP: &str = "<img src=x onerror=\"window.hacked=1\">";

#[tokio::test]
async fn what_stands_in_the_ledger_is_shown_as_text_and_never_run() {
    let ledger = ledger().await;
    let serial = format!(
        "https://id.gs1.org/01/04012345123456/21/{}",
        percent_encoded("<img/onerror=1>")
    );
    let mut event = object_event();
    event["epcList"] = json!([serial]);
    event["ext:note"] = json!(MARKUP);
    event["ilmd"] = json!({ "ext:grade": MARKUP });
    event["bizTransactionList"] =
        json!([{ "bizTransaction": "urn:epcglobal:cbv:bt:4012345000009:%3Cimg%20onerror%3E" }]);
    ledger
        .capture(ledger.first(), &document(&json!([event])))
        .await;
    let mut browser = browser(&ledger).await;
    browser.open("#/").await;
    log_in(&mut browser, &ledger, "admin", ADMIN_PASSWORD).await;
    browser.go("#/keys").await;
    browser.fill("Label", MARKUP).await;
    browser.click("Make a key").await;
    browser.until_read("the only time").await;
    let id = event["eventID"].as_str().expect("an id");
    let epc = percent_encoded(&serial);
    for address in [
        "#/".to_owned(),
        "#/blocks/0".to_owned(),
        "#/events".to_owned(),
        "#/events?find=img".to_owned(),
        format!("#/events?find={epc}"),
        format!("#/events?find={}", percent_encoded(MARKUP)),
        "#/entries/0".to_owned(),
        format!("#/ids/{id}"),
        format!("#/trace?epc={epc}"),
        format!("#/trace?epc={}", percent_encoded(MARKUP)),
        format!("#/recall?epc={epc}"),
        "#/keys".to_owned(),
        "#/audit".to_owned(),
        format!("#/{}", percent_encoded(MARKUP)),
    ] {
        browser.go(&address).await;
        let seen = "[document.querySelectorAll('main img').length, typeof window.hacked]";
        assert_eq!(
            browser.run(seen).await,
            json!([0, "undefined"]),
            "{address}"
        );
    }
    browser.go("#/entries/0").await;
    browser.click("The whole event as JSON").await;
    let seen = browser.read().await;
    assert!(seen.contains("<img/onerror=1>"), "{seen}");
    assert!(seen.contains("onerror=\\\"window.hacked=1\\\""), "{seen}");
    browser.go("#/keys").await;
    let seen = browser.read().await;
    assert!(seen.contains(MARKUP), "{seen}");
    browser.expect_no_complaint().await;
}

#[tokio::test]
async fn an_administrator_says_who_may_come_in_and_each_sees_what_is_theirs() {
    let ledger = ledger().await;
    let farm = ledger.token_for("farm", "farmer");
    let mut event = object_event();
    event["bizStep"] = json!("destroying");
    let request = ledger.request(Method::POST, ledger.first(), "/capture");
    let request = request
        .bearer_auth(farm)
        .header("provchain-visibility", "private");
    let taken = request.json(&document(&json!([event]))).send().await;
    assert_eq!(taken.expect("an answer").status(), 202);

    let mut browser = browser(&ledger).await;
    browser.open("#/entries/0").await;
    browser.until_read("not for you to read").await;
    browser.go("#/users").await;
    browser.until_read("This is for users of the ledger").await;
    browser.go("#/account").await;
    browser.fill("User", "admin").await;
    browser.fill("Password", "a wrong password").await;
    browser.click("Log in").await;
    browser
        .until_read("the user or the password is wrong")
        .await;
    log_in(&mut browser, &ledger, "admin", ADMIN_PASSWORD).await;

    browser.go("#/users").await;
    browser.fill("Name", "ann").await;
    browser.fill("Party", "farm").await;
    browser.fill("Password", "too short").await;
    browser
        .run(
            "document.querySelectorAll('input').forEach((one) => one.removeAttribute('minlength'))",
        )
        .await;
    browser.click("Make the user").await;
    browser.until_read("at least 12 characters").await;
    browser.fill("Password", "correct horse battery").await;
    browser.click("Make the user").await;
    browser
        .until("document.querySelector('[aria-label=\"Change ann\"]')")
        .await;
    browser.picture("users").await;

    browser.go("#/keys").await;
    browser.fill("Label", "gate 4").await;
    browser.fill("Acts as", "ann").await;
    browser.click("Make a key").await;
    browser.until_read("the only time").await;
    let key = browser
        .text("document.querySelector('.told code').innerText")
        .await;
    assert!(key.starts_with("pck_"), "{key}");
    let asked = ledger.request(Method::GET, ledger.first(), "/auth/me");
    let me = asked
        .header("x-api-key", &key)
        .send()
        .await
        .expect("an answer");
    assert_eq!(me.json::<Value>().await.expect("JSON")["user"], "ann");
    browser.go("#/partners?party=farm").await;
    browser.fill("Partners, one a line", "shop").await;
    browser.click("Save").await;
    browser.until_read("Saved: shop.").await;
    browser.go("#/audit").await;
    for action in ["user.create", "partners.set", "session.open"] {
        browser.until_read(action).await;
    }
    browser.picture("audit").await;
    browser.go("#/account").await;
    browser.click("Log out").await;
    browser.until_read("Who you are").await;

    // Ann reads what her party captured, over a new load and a token that has ended.
    log_in(&mut browser, &ledger, "ann", "correct horse battery").await;
    let sections = browser
        .text("document.querySelector('.sections').innerText")
        .await;
    assert!(
        !sections.contains("Users") && !sections.contains("Audit"),
        "{sections}"
    );
    let refresh = "JSON.parse(sessionStorage.getItem('provchain.session')).refresh";
    let first = browser.text(refresh).await;
    browser
        .run("(() => { const kept = JSON.parse(sessionStorage.getItem('provchain.session'));
              sessionStorage.setItem('provchain.session', JSON.stringify({ ...kept, ends: 0 })); })()")
        .await;
    browser.open("#/entries/0").await;
    browser.until_read("destroying").await;
    assert_ne!(browser.text(refresh).await, first);

    // Disabled, she is nobody: the page says so, and goes on without her.
    let admin = ledger.token_of("admin");
    let request = ledger.request(Method::PATCH, ledger.first(), "/api/v1/users/ann");
    let disabled = request
        .bearer_auth(admin)
        .json(&json!({ "disabled": true }))
        .send()
        .await;
    assert_eq!(disabled.expect("an answer").status(), 200);
    browser.go("#/keys").await;
    browser.until_read("Unauthorized").await;
    browser
        .until("document.getElementById('account').innerText === 'Log in'")
        .await;
    browser.go("#/entries/0").await;
    browser.until_read("not for you to read").await;
    browser.expect_no_complaint().await;
}
