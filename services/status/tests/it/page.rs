//! The status page in a browser.

use crate::browser::Browser;
use crate::harness::{folder, front_door, good_and_bad, start_again};
use crate::history::targets;

#[tokio::test]
async fn the_page_shows_health_and_history_and_says_when_either_cannot_be_had() {
    let dir = folder();
    let (good_at, bad_at) = good_and_bad().await;
    let file = dir.path().join("targets.json");
    std::fs::write(&file, targets(&good_at, &bad_at)).expect("written");
    let cluster = front_door(dir.path(), &[])
        .env("STATUS_TARGETS_FILE", &file.display().to_string())
        .env("STATUS_INTERVAL_MS", "200")
        .env("STATUS_FAILURES_MAX", "2")
        .start()
        .await
        .expect("started");
    cluster.wait_ready().await.expect("ready");
    let url = cluster
        .node("balancer")
        .expect("there")
        .url("http")
        .expect("a port");
    let mut browser = Browser::start(&url).await;
    browser.open("").await;

    browser.until_read("Not all is well: toy.").await;
    browser.until_read("toy / n2").await;
    let read = browser.read().await;
    for words in [
        "Works in part",
        "1 of 2 nodes answer",
        "Does not answer",
        "still open",
        "Pages of toy",
    ] {
        assert!(read.contains(words), "{words:?} in {read}");
    }
    let bars = browser
        .run("document.querySelectorAll('.days li').length")
        .await;
    assert_eq!(bars, 90, "a bar each day");
    let accessible = browser.accessible().await;
    let told = |words: &str| accessible.iter().any(|(_, name)| name.contains(words));
    assert!(
        told("toy, last 90 days") && told("of questions answered"),
        "{accessible:?}"
    );
    for (width, dark) in [(390, false), (390, true), (1280, true)] {
        browser.screen(width, 844, dark).await;
        let wider = browser
            .run("document.documentElement.scrollWidth > innerWidth")
            .await;
        assert_eq!(wider, false, "nothing sticks out at {width} pixels");
        browser.picture(&format!("status-{width}-{dark}")).await;
    }

    let database = cluster.node("database").expect("there");
    database.kill().await.expect("killed");
    browser.until_read("History is missing").await;
    let read = browser.read().await;
    for words in [
        "1 of 2 nodes answer",
        "Its last days cannot be shown",
        "They cannot be shown",
    ] {
        assert!(read.contains(words), "{words:?} in {read}");
    }
    start_again(database).await;
    browser
        .until("!document.body.innerText.includes('History is missing')")
        .await;
    browser.until_read("toy / n2").await;

    let status = cluster.node("status").expect("there");
    status.kill().await.expect("killed");
    browser
        .until_read("The status service cannot be reached")
        .await;
    browser.until_read("what it said last").await;
    status.start().await.expect("started again");
    browser
        .until("!document.body.innerText.includes('cannot be reached')")
        .await;
    browser.expect_no_complaint().await;
}
