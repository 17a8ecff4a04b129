//! How the pages look and are reached: on a desk, in the dark, on a phone, by keyboard, by ear.

use serde_json::{Value, json};

use super::api_trace::percent_encoded;
use super::pages::{ADMIN_PASSWORD, browser, ledger, log_in};
use super::pages_browser::Browser;

/// Text and what is behind it must differ by so much (WCAG 2.2, success criterion 1.4.3).
const CONTRAST: &str = r"(() => {
  const colour = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const found = colour(getComputedStyle(one).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!own || !node.checkVisibility() || node.closest('svg, .unseen, .skip')) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(colour(style.color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${node.tagName}.${node.className} ${node.innerText.slice(0, 30)}`);
  }
  return faint.join('\n');
})()";

/// What a page that is well made has once, and nothing that is wider than the screen.
const SHAPE: &str = "[
  document.documentElement.scrollWidth,
  document.querySelectorAll('h1').length,
  document.querySelectorAll('main').length,
  document.querySelectorAll('nav[aria-label=\"Pages\"]').length,
  [...document.querySelectorAll('[id]')].length === new Set([...document.querySelectorAll('[id]')].map((one) => one.id)).size,
  document.title.length > 12,
]";

/// Roles that mean nothing without a name.
const NAMED: [&str; 12] = [
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "radio",
    "table",
    "navigation",
    "region",
    "heading",
    "spinbutton",
];

async fn expect_well_made(browser: &mut Browser, page: &str) {
    // Not `innerWidth`: a phone zooms out until a page that is too wide fits.
    let shape = browser.run(SHAPE).await;
    let width = browser.width;
    assert_eq!(shape, json!([width, 1, 1, 1, true, true]), "{page}");
    let faint = browser.text(CONTRAST).await;
    assert!(faint.is_empty(), "{page}: too faint:\n{faint}");
    for (role, name) in browser.accessible().await {
        let nameless = NAMED.contains(&&*role) && name.trim().is_empty();
        assert!(!nameless, "{page}: a {role} without a name");
    }
}

#[tokio::test]
async fn every_page_is_whole_on_a_desk_in_the_dark_and_on_a_phone() {
    let ledger = ledger().await;
    let sample = ledger.capture_sample(300, 71).await;
    ledger.sealed(ledger.first()).await;
    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let farthest = percent_encoded(&sample.truth().longest.to);
    let mut browser = browser(&ledger).await;
    browser.open("#/").await;
    log_in(&mut browser, &ledger, "admin", ADMIN_PASSWORD).await;
    let pages = [
        ("status", "#/".to_owned(), "Newest events"),
        (
            "blocks",
            "#/blocks".to_owned(),
            "Each seals a run of entries",
        ),
        ("block", "#/blocks/0".to_owned(), "Public key of the signer"),
        (
            "events",
            "#/events".to_owned(),
            "events, and there are more",
        ),
        ("search", format!("#/events?find={recalled}"), "Recorded"),
        ("names", "#/events?find=9521".to_owned(), "identifiers hold"),
        ("entry", "#/entries/12".to_owned(), "What the tree holds"),
        (
            "trace-down",
            format!("#/trace?epc={recalled}&direction=down"),
            "All items",
        ),
        (
            "trace-up",
            format!("#/trace?epc={farthest}&direction=up"),
            "All items",
        ),
        (
            "recall",
            format!("#/recall?epc={recalled}"),
            "found and proven in",
        ),
        (
            "verify",
            "#/verify?entry=12".to_owned(),
            "The proof of entry 12",
        ),
        ("account", "#/account".to_owned(), "Log out"),
        ("keys", "#/keys".to_owned(), "A new key"),
        ("partners", "#/partners".to_owned(), "Partners of admin"),
        ("users", "#/users".to_owned(), "A new user"),
        ("audit", "#/audit".to_owned(), "session.open"),
        ("nowhere", "#/nowhere".to_owned(), "leads nowhere"),
    ];
    for (screen, width, height, dark) in [
        ("desk", 1280, 900, false),
        ("dark", 1280, 900, true),
        ("phone", 360, 740, false),
    ] {
        browser.screen(width, height, dark).await;
        for (name, address, words) in &pages {
            browser.go(address).await;
            browser.until_read(words).await;
            let page = format!("{name}-{screen}");
            browser.picture(&page).await;
            expect_well_made(&mut browser, &page).await;
        }
    }
    // Nobody's pages: who is not logged in, and a thing that nobody knows.
    browser.go("#/account").await;
    browser.click("Log out").await;
    browser.until_read("Who you are").await;
    expect_well_made(&mut browser, "login").await;
    browser.picture("login-phone").await;
    for address in [
        "#/trace?epc=urn:epc:id:sscc:0614141.9999999999",
        "#/recall?epc=carrots",
        "#/entries/999999",
    ] {
        browser.go(address).await;
        browser
            .until("document.querySelector('[role=alert]')")
            .await;
        expect_well_made(&mut browser, address).await;
    }
    // The dossier without what is not for paper.
    browser.screen(1280, 900, false).await;
    browser.go(&format!("#/recall?epc={recalled}")).await;
    browser
        .send("Emulation.setEmulatedMedia", json!({ "media": "print" }))
        .await;
    let hidden =
        "[...document.querySelectorAll('.top, .noprint')].every((one) => !one.checkVisibility())";
    assert_eq!(browser.run(hidden).await, true);
    browser.picture("recall-print").await;
    browser.expect_no_complaint().await;
}

/// What has the focus, in words.
const FOCUSED: &str = "(() => { const one = document.activeElement;
  return `${one.tagName} ${one.getAttribute('aria-label') ?? one.innerText ?? ''} ${one.id}`; })()";

#[tokio::test]
async fn everything_is_reached_by_keyboard_the_graph_included() {
    let ledger = ledger().await;
    let sample = ledger.capture_sample(200, 72).await;
    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let mut browser = browser(&ledger).await;
    browser
        .open(&format!("#/trace?epc={recalled}&direction=down"))
        .await;
    browser.until_read("All items").await;
    // The way past the navigation comes first.
    browser.press("Tab").await;
    assert!(
        browser
            .text(FOCUSED)
            .await
            .starts_with("A Skip to the content")
    );
    let mark = "document.activeElement.dataset.reached = 1";
    browser.run(mark).await;
    let controls = browser.run("document.querySelectorAll('a, button, input, select, summary, [tabindex=\"0\"]').length").await;
    for _ in 0..controls.as_u64().expect("a number") {
        browser.press("Tab").await;
        browser.run(mark).await;
    }
    let missed = "[...document.querySelectorAll('a, button, input:not([type=radio]), select, textarea, summary, [tabindex=\"0\"]')]
      .filter((one) => one.checkVisibility() && !one.dataset.reached).map((one) => one.outerHTML).join()";
    let missed = browser.text(missed).await;
    assert!(missed.is_empty(), "not reached: {missed}");

    browser
        .run("document.querySelector('.box[tabindex=\"0\"]').focus()")
        .await;
    let start = browser.text(FOCUSED).await;
    assert!(start.contains("the start"), "{start}");
    browser.press("ArrowRight").await;
    let next = browser.text(FOCUSED).await;
    assert!(next.contains("1 step from the start"), "{next}");
    browser.press("Enter").await;
    browser
        .until("document.querySelector('.panel tbody tr')")
        .await;
    let chosen = browser
        .text("document.querySelector('.panel h2').innerText")
        .await;
    assert!(next.contains(&chosen), "{next} is not {chosen}");
    browser
        .run("document.querySelector('.box.chosen').focus()")
        .await;
    browser.press("ArrowLeft").await;
    assert_eq!(browser.text(FOCUSED).await, start);
    let scale = "document.querySelector('svg.graph > g').getAttribute('transform')";
    let before = browser.text(scale).await;
    browser.press("+").await;
    assert_ne!(browser.text(scale).await, before);
    // By pointer, too: a drag moves the picture, a click chooses.
    let drag = "(() => { const frame = document.querySelector('svg.graph');
      const say = (kind, x, y) => frame.dispatchEvent(new PointerEvent(kind, { pointerId: 1, clientX: x, clientY: y, bubbles: true }));
      try { say('pointerdown', 10, 10); say('pointermove', 13, 10); } finally { say('pointerup', 13, 10); } })()";
    let before = browser.text(scale).await;
    browser.run(drag).await;
    assert_ne!(browser.text(scale).await, before);

    // On a phone the ways are behind a button that says whether they are open.
    browser.screen(360, 740, false).await;
    browser.click("Menu").await;
    let open = "[document.getElementById('menu').getAttribute('aria-expanded'), document.getElementById('ways').checkVisibility()]";
    assert_eq!(browser.run(open).await, json!(["true", true]));
    browser.press("Escape").await;
    assert_eq!(browser.run(open).await, json!(["false", false]));
    browser.expect_no_complaint().await;
}

/// A trace of many items in layers, with circles in it: each item is made of some before it.
const TANGLE: &str = "(async () => {
  const { layout, BOX, BOXES_MAX } = await import('/pages/graph.js');
  let seed = 7;
  const below = (most) => { seed = (seed * 48271) % 2147483647; return seed % most; };
  const name = (at) => `https://id.gs1.org/01/0401234512${String(3456 + (at % 9)).padStart(4, '0')}/${at % 3 ? '21' : '10'}/${at}`;
  const told = [];
  for (const count of [1, 2, 40, 61, 700, 5000]) {
    const items = Array.from({ length: count }, (_, at) => ({ item: name(at), depth: Math.ceil(Math.log2(at + 1)) }));
    const steps = items.slice(1).flatMap((_, at) => [below(at + 1), below(count)].map((other) =>
      ({ from: name(other), to: name(at + 1), via: 'transformation', entry: at })));
    const { boxes, edges, left, width, height } = layout({ items, steps });
    if (boxes.length > BOXES_MAX) told.push(`${count}: ${boxes.length} boxes`);
    if (left === 0 && boxes.flatMap((box) => box.items).length !== count) told.push(`${count}: items are missing`);
    for (const [at, one] of boxes.entries()) {
      if (!(one.x >= 0 && one.top >= 0 && one.x + BOX.width <= width && one.top + BOX.height <= height + 1)) told.push(`${count}: ${one.key} is outside`);
      for (const other of boxes.slice(at + 1)) {
        if (Math.abs(one.x - other.x) < BOX.width && Math.abs(one.top - other.top) < BOX.height) told.push(`${count}: ${one.key} is on ${other.key}`);
      }
    }
    for (const edge of edges) {
      if (!edge.back && edge.source.x >= edge.target.x) told.push(`${count}: an arrow goes back`);
    }
  }
  return told.slice(0, 10);
})()";

#[tokio::test]
async fn a_graph_of_any_size_is_drawn_without_one_box_on_another() {
    let ledger = ledger().await;
    let mut browser = browser(&ledger).await;
    browser.open("#/trace").await;
    assert_eq!(browser.run(TANGLE).await, json!([]));
}

#[tokio::test]
async fn the_table_of_a_trace_says_what_its_graph_shows() {
    let ledger = ledger().await;
    let sample = ledger.capture_sample(200, 73).await;
    let recalled = &sample.truth().recalled.urn;
    let mut browser = browser(&ledger).await;
    let path = format!("/api/v1/trace/{}?direction=down", percent_encoded(recalled));
    let answer = ledger.json(ledger.first(), &path).await;
    // Through the form, as a person asks.
    browser.open("#/trace").await;
    browser.fill("Item, batch or pallet", recalled).await;
    browser.press("Enter").await;
    browser.until_read("All items").await;
    let items = answer["items"].as_array().expect("items").len();
    let shown = "(() => { const rows = document.querySelectorAll('table')[0].querySelectorAll('tbody tr').length;
      const boxes = [...document.querySelectorAll('.box text.value')].map((one) => one.textContent.match(/^([0-9,]+) ×/)?.[1].replace(',', '') ?? 1);
      return [rows, boxes.reduce((sum, one) => sum + Number(one), 0)]; })()";
    assert_eq!(browser.run(shown).await, json!([items.min(200), items]));
    let counted = browser.read().await;
    assert!(counted.contains(&format!("{items} items")), "{counted}");

    // Narrowed down by steps, it says less.
    browser
        .click("Limit by steps, time and business step")
        .await;
    browser.fill("Steps at most", "1").await;
    browser.press("Enter").await;
    browser.until("location.hash.includes('depth=1')").await;
    let fewer = ledger
        .json(ledger.first(), &format!("{path}&depth=1"))
        .await;
    let fewer = fewer["items"].as_array().expect("items").len();
    assert!(fewer < items);
    // The page asks anew, and shows the last answer until the next one comes.
    let rows = "document.querySelectorAll('table')[0]?.querySelectorAll('tbody tr').length";
    browser.until(&format!("{rows} === {fewer}")).await;
    assert_eq!(browser.run(shown).await, json!([fewer, fewer]));
    let now: Value = browser
        .run("document.querySelector('[name=depth]').value")
        .await;
    assert_eq!(now, "1");
    browser.expect_no_complaint().await;
}
