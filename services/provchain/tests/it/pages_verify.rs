//! The browser checks proofs by itself, and finds what the node's own verifier finds.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::api_trace::percent_encoded;
use super::cluster::{Ledger, answer};
use super::pages::browser;
use super::pages_browser::Browser;

const FORMATS: &str = include_str!("../../FORMATS.md");

/// What the worked example says under a name, in hexadecimal.
fn example(name: &str) -> String {
    let (_, after) = FORMATS
        .split_once(&format!("\n{name}\n    "))
        .expect("it is there");
    let digits = after
        .lines()
        .take_while(|line| line.trim().chars().all(|c| c.is_ascii_hexdigit()));
    digits.map(str::trim).collect()
}

#[tokio::test]
async fn the_worked_example_comes_out_in_the_browser_as_it_is_written() {
    let ledger = Ledger::start(1).await;
    let mut browser = browser(&ledger).await;
    browser.open("#/verify").await;
    let (_, after) = FORMATS
        .split_once("ledger.example/demo\n1\n")
        .expect("a checkpoint");
    let (rest, _) = after.split_once("```").expect("its end");
    let note = format!("ledger.example/demo\n1\n{rest}");
    let key = FORMATS
        .split_whitespace()
        .find(|word| word.starts_with("ledger.example/demo+"));
    let script = format!(
        "(async () => {{
          const [bytes, cipher, merkle, note, verify] = await Promise.all(
            ['bytes', 'cipher', 'merkle', 'note', 'verify'].map((name) => import(`/pages/${{name}}.js`)));
          const key = bytes.fromHex({entry_key});
          const stored = verify.sealPayload(key, 'alice', '{{\"type\":\"ObjectEvent\",\"action\":\"OBSERVE\",\"bizStep\":\"shipping\"}}');
          const leaf = bytes.fromHex({leaf});
          const commitments = {commitments}.map(bytes.fromHex);
          const signed = note.parseNote({note});
          const found = await note.signers(signed, [note.parseKey({key})], 'ledger.example/demo');
          let forged = 'believed';
          try {{ await note.signers({{ ...signed, text: signed.text.replace('\\n1\\n', '\\n2\\n') }}, [note.parseKey({key})], 'ledger.example/demo'); }} catch (error) {{ forged = error.message; }}
          return {{
            'stored payload': bytes.toHex(stored), 'payload hash': bytes.toHex(cipher.sha256(stored)),
            'submitter salt': bytes.toHex(verify.submitterSalt(key)),
            'statement root': bytes.toHex(merkle.rootOf(commitments.map(merkle.leafHash))),
            'leaf hash': bytes.toHex(merkle.leafHash(leaf)), signers: found.length, forged,
            time: verify.readLeaf(leaf).timeMs,
          }};
        }})()",
        entry_key = Value::from(example("entry key")),
        leaf = Value::from(example("leaf")),
        commitments = json!([example("commitment 0"), example("commitment 1"), example("commitment 2")]),
        note = Value::from(note),
        key = Value::from(key),
    );
    let found = browser.run(&script).await;
    for name in [
        "stored payload",
        "payload hash",
        "submitter salt",
        "statement root",
        "leaf hash",
    ] {
        assert_eq!(found[name], example(name), "{name}");
    }
    assert_eq!(found["signers"], 1);
    assert_eq!(found["time"], 1_700_000_000_000_u64);
    assert!(
        found["forged"].to_string().contains("does not verify"),
        "{found}"
    );
    browser.expect_no_complaint().await;
}

/// In the page: the verdict on a file, and on each file in which one fact is another one.
const FORGERIES: &str = r"async (given, keys) => {
  const { verify } = await import('/pages/verify.js');
  const { parseKeys } = await import('/pages/note.js');
  const trusted = parseKeys(keys);
  const facts = (value, at) => (value !== null && typeof value === 'object'
    ? Object.entries(value).flatMap(([name, one]) => facts(one, [...at, name])) : [at]);
  const others = (value) => {
    if (typeof value === 'number') return [value + 1];
    // At the beginning, in the middle, and where a signature ends.
    return [0, value.length >> 1, Math.max(0, value.length - 4)].map((at) =>
      value.slice(0, at) + (value[at] === 'A' ? 'Q' : 'A') + value.slice(at + 1));
  };
  const file = JSON.parse(given);
  const unfound = [];
  const all = facts(file, []);
  for (const at of all) {
    const forged = structuredClone(file);
    const holder = at.slice(0, -1).reduce((one, name) => one[name], forged);
    for (const other of others(holder[at.at(-1)])) {
      holder[at.at(-1)] = other;
      const { verdict } = await verify(JSON.stringify(forged), trusted);
      if (verdict !== 'refuted') unfound.push(`${at.join('/')} as ${other}`);
    }
  }
  // Nor may a member be left out or added anywhere, or a list be another one.
  const places = (value, at) => (value !== null && typeof value === 'object'
    ? [at, ...Object.entries(value).flatMap(([name, one]) => places(one, [...at, name]))] : []);
  for (const at of places(file, [])) {
    const reach = (whole) => at.reduce((one, name) => one[name], whole);
    for (const name of [...Object.keys(reach(file)), undefined]) {
      const forged = structuredClone(file);
      const holder = reach(forged);
      if (Array.isArray(holder)) {
        if (name === undefined) holder.push(structuredClone(holder[0] ?? file.entries[0].leaf));
        else holder.splice(Number(name), 1);
      } else if (name === undefined) holder.more = 1;
      else delete holder[name];
      const { verdict } = await verify(JSON.stringify(forged), trusted);
      if (verdict !== 'refuted') unfound.push(`${at.join('/')} ${name}`);
    }
  }
  const report = await verify(given, trusted);
  const alone = await verify(given, []);
  return { verdict: report.verdict, faults: report.faults, alone: alone.verdict, tried: all.length, unfound };
}";

async fn forgeries(browser: &mut Browser, file: &Value, keys: &str) -> Value {
    let (file, keys) = (Value::from(file.to_string()), Value::from(keys));
    browser.run(&format!("({FORGERIES})({file}, {keys})")).await
}

#[tokio::test]
async fn a_proof_is_authentic_and_with_any_fact_changed_refuted() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    ledger.capture_sample(23, 81).await;
    let earlier = ledger.get(node, "/checkpoint?fresh=true").await.text();
    ledger.capture_sample(30, 82).await;
    let keys = ledger.get(node, "/api/v1/keys").await.text();
    let mut browser = browser(&ledger).await;
    browser.open("#/verify").await;
    let proofs = async |question: &str| {
        ledger
            .json(node, &format!("/api/v1/proofs/entries?{question}"))
            .await
    };
    let mut grown = proofs("indices=3,40&closed=true").await;
    let path = ledger
        .json(node, "/api/v1/proofs/consistency?from=23")
        .await["path"]
        .clone();
    grown["consistency"] = json!({ "checkpoint": earlier, "path": path });
    for (file, optional) in [
        (proofs("indices=0,17,52").await, vec![]),
        // Whoever leaves the submitter out, or a statement, tells less, and nothing that is wrong.
        (
            proofs("indices=7&statements=1,4&submitter=true").await,
            vec![
                "entries/0/disclosed/parts submitter",
                "entries/0/disclosed/parts/statements 0",
                "entries/0/disclosed/parts/statements 1",
                "entries/0/disclosed/parts/statements undefined",
            ],
        ),
        // An earlier checkpoint less, too.
        (grown, vec![" consistency"]),
    ] {
        let found = forgeries(&mut browser, &file, &keys).await;
        assert_eq!(found["verdict"], "authentic", "{found}");
        assert_eq!(found["alone"], "unauthenticated");
        assert!(found["tried"].as_u64() > Some(12), "{found}");
        let unfound = found["unfound"].as_array().expect("a list").iter();
        let mut unfound: Vec<&str> = unfound.map(|one| one.as_str().expect("a text")).collect();
        // Nor is one entry of several less.
        let several = file["entries"].as_array().map(Vec::len) > Some(1);
        let fewer =
            |one: &str| several && one.starts_with("entries ") && one != "entries undefined";
        unfound.retain(|one| !optional.contains(one) && !fewer(one));
        assert!(unfound.is_empty(), "not found: {unfound:?}");
    }
    browser.expect_no_complaint().await;
}

/// Every size to every size, as the node proves it.
#[tokio::test]
async fn every_path_that_a_node_gives_leads_to_its_root() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    ledger.capture_sample(19, 83).await;
    let mut cases = Vec::new();
    for size in 1..=19 {
        for entry in 0..size {
            let path = format!("/api/v1/proofs/inclusion?entry={entry}&size={size}");
            cases.push(ledger.json(node, &path).await);
        }
    }
    let mut grown = Vec::new();
    for to in 1..=19 {
        for from in 1..=to {
            let path = format!("/api/v1/proofs/consistency?from={from}&to={to}");
            grown.push(ledger.json(node, &path).await);
        }
    }
    let mut browser = browser(&ledger).await;
    browser.open("#/verify").await;
    let script = format!(
        "(async () => {{
          const {{ checkInclusion, checkConsistency }} = await import('/pages/merkle.js');
          const {{ fromBase64 }} = await import('/pages/bytes.js');
          const told = [];
          const wrong = (check, ...given) => {{ try {{ check(...given); return false; }} catch {{ return true; }} }};
          for (const one of {}) {{
            const [path, root, leaf] = [one.path.map(fromBase64), fromBase64(one.root), fromBase64(one.leafHash)];
            const [index, size] = [BigInt(one.entry), BigInt(one.size)];
            checkInclusion(index, size, leaf, path, root);
            if (!wrong(checkInclusion, index, size, leaf, [...path, root], root)) told.push(['longer', one]);
            if (path.length > 0 && !wrong(checkInclusion, index, size, leaf, path.slice(1), root)) told.push(['shorter', one]);
            if (size > 1n && !wrong(checkInclusion, index ^ 1n, size, leaf, path, root)) told.push(['elsewhere', one]);
            if (!wrong(checkInclusion, index, size * 2n, leaf, path, root)) told.push(['larger', one]);
          }}
          for (const one of {}) {{
            const [path, first, second] = [one.path.map(fromBase64), fromBase64(one.fromRoot), fromBase64(one.toRoot)];
            const [from, to] = [BigInt(one.from), BigInt(one.to)];
            checkConsistency(from, to, path, first, second);
            if (!wrong(checkConsistency, from, to, [...path, first], first, second)) told.push(['longer', one]);
            if (from < to && !wrong(checkConsistency, from, to, path.slice(0, -1), first, second)) told.push(['shorter', one]);
            if (from < to && !wrong(checkConsistency, from, to, path, second, second)) told.push(['another', one]);
            if (!wrong(checkConsistency, from, to * 2n, path, first, second)) told.push(['larger', one]);
          }}
          return told;
        }})()",
        Value::from(cases),
        Value::from(grown)
    );
    assert_eq!(browser.run(&script).await, json!([]));
}

/// Chooses a file and keys on the page, and gives the verdict in its words.
async fn verdict(browser: &mut Browser, file: &Path, keys: &str) -> String {
    browser.open("#/verify").await;
    let document = browser.send("DOM.getDocument", json!({})).await;
    let asked = json!({ "nodeId": document["root"]["nodeId"], "selector": "input[type=file]" });
    let input = browser.send("DOM.querySelector", asked).await["nodeId"].clone();
    let chosen = json!({ "nodeId": input, "files": [file] });
    browser.send("DOM.setFileInputFiles", chosen).await;
    browser.until_read("KiB").await;
    browser.fill("Verifier keys that you trust", keys).await;
    browser.click("Check").await;
    browser.until("document.getElementById('verdict')").await;
    browser
        .text("document.getElementById('verdict').innerText")
        .await
}

#[tokio::test]
async fn the_verify_page_says_in_words_what_a_file_is_worth() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let sample = ledger.capture_sample(200, 84).await;
    let keys = ledger.get(node, "/api/v1/keys").await.text();
    let folder = ledger.scratch("files");
    let written = |name: &str, value: &Value| {
        let path = folder.join(name);
        std::fs::write(&path, value.to_string()).expect("written");
        path
    };
    let proof = ledger
        .json(node, "/api/v1/proofs/entries?indices=2,5")
        .await;
    let good = written("proof.json", &proof);
    let mut browser = browser(&ledger).await;
    assert_eq!(verdict(&mut browser, &good, &keys).await, "Authentic");
    let seen = browser.read().await;
    assert!(
        seen.contains("2 of 2 entries hold") && seen.contains("Not done here"),
        "{seen}"
    );
    let focused = "document.activeElement.id";
    assert_eq!(browser.text(focused).await, "verdict");
    browser.picture("verify-authentic").await;
    let alone = verdict(&mut browser, &good, "").await;
    assert!(alone.contains("nobody vouches"), "{alone}");
    browser.picture("verify-unauthenticated").await;

    let mut forged = proof.clone();
    let document = forged["entries"][0]["disclosed"]["whole"]["document"]
        .as_str()
        .expect("a text");
    forged["entries"][0]["disclosed"]["whole"]["document"] =
        document.replacen("2026", "2025", 1).into();
    let forged = written("forged.json", &forged);
    for keys in [&*keys, ""] {
        assert_eq!(verdict(&mut browser, &forged, keys).await, "Refuted");
    }
    let seen = browser.read().await;
    assert!(
        seen.contains("entry 2: document: it is not the one that was recorded"),
        "{seen}"
    );
    assert!(seen.contains("1 of 2 entries hold"), "{seen}");
    browser.picture("verify-refuted").await;
    // A key of somebody else's.
    let stranger = "ledger.example/demo+ffed5b2a+ASFS+NGbeR0kRTJC4V8uq2y3z/p7al7TAJeWDgaYgdsS";
    assert_eq!(verdict(&mut browser, &good, stranger).await, "Refuted");

    let recalled = percent_encoded(&sample.truth().recalled.urn);
    let dossier = ledger
        .json(node, &format!("/api/v1/recall/{recalled}"))
        .await;
    let file = written("dossier.json", &dossier);
    let told = verdict(&mut browser, &file, &keys).await;
    assert!(
        told.contains("lists around them were not checked here"),
        "{told}"
    );
    browser.picture("verify-dossier").await;
    for (member, value) in [
        ("epc", json!("urn:epc:id:sscc:0614141.1234567890")),
        ("treeSize", json!(199)),
        ("depth", json!(3)),
    ] {
        let mut forged = dossier.clone();
        forged["trace"][member] = value;
        let forged = written("forged-dossier.json", &forged);
        assert_eq!(
            verdict(&mut browser, &forged, &keys).await,
            "Refuted",
            "{member}"
        );
    }
    // A browser that cannot check signatures, as over plain HTTP from elsewhere, finds nothing authentic.
    browser.open("#/verify?entry=3").await;
    browser
        .run("Object.defineProperty(crypto, 'subtle', { value: undefined })")
        .await;
    browser.fill("Verifier keys that you trust", &keys).await;
    browser.click("Check").await;
    browser
        .until_read("cannot check Ed25519 signatures here")
        .await;
    let told = browser
        .text("document.getElementById('verdict').innerText")
        .await;
    assert!(told.contains("nobody vouches"), "{told}");
    // What is no proof at all, and keys that are none.
    let nothing = written("nothing.json", &json!({ "format": "letter" }));
    assert_eq!(verdict(&mut browser, &nothing, "").await, "Refuted");
    browser.open("#/verify?entry=3").await;
    browser.fill("Verifier keys that you trust", "no key").await;
    browser.click("Check").await;
    browser.until_read("is no verifier key").await;
    browser.click("Take the keys that this node names").await;
    browser
        .until_read("a node that lies would name its own")
        .await;
    browser.click("Check").await;
    browser
        .until("document.getElementById('verdict')?.innerText === 'Authentic'")
        .await;
    browser.expect_no_complaint().await;
}

#[tokio::test]
async fn a_page_gives_the_proof_of_some_statements_and_hands_a_dossier_on() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let sample = ledger.capture_sample(120, 85).await;
    let mut browser = browser(&ledger).await;
    let folder = ledger.scratch("downloads");
    let allow = json!({ "behavior": "allow", "downloadPath": folder });
    browser.send("Browser.setDownloadBehavior", allow).await;
    browser.open("#/entries/4").await;
    browser.click("Disclose only some statements").await;
    browser
        .until("document.querySelectorAll('.statements input').length > 3")
        .await;
    browser
        .run("document.querySelectorAll('.statements input')[2].click()")
        .await;
    browser.click("Download the proof of these").await;
    browser.until_read("and nothing of them").await;
    let file = folder.join("entry-4-parts.json");
    super::cluster::until("the file is there", async || file.is_file()).await;
    let proof: Value = serde_json::from_slice(&std::fs::read(&file).expect("read")).expect("JSON");
    let statements = &proof["entries"][0]["disclosed"]["parts"]["statements"];
    assert_eq!(statements.as_array().map(Vec::len), Some(1), "{proof}");
    assert_eq!(statements[0]["index"], 2);

    let recalled = percent_encoded(&sample.truth().recalled.urn);
    browser.go(&format!("#/recall?epc={recalled}")).await;
    browser.until_read("found and proven in").await;
    browser.click("Check it in this browser").await;
    browser.until_read("as it was just shown").await;
    browser.click("Take the keys that this node names").await;
    browser.until_read("a node that lies").await;
    browser.click("Check").await;
    browser
        .until_read("lists around them were not checked here")
        .await;
    let request = ledger.request(Method::GET, node, &format!("/api/v1/recall/{recalled}"));
    let dossier = answer(request).await.expect("an answer").json();
    let entries = dossier["trace"]["proof"]["entries"]
        .as_array()
        .expect("entries")
        .len();
    browser
        .until_read(&format!("{entries} of {entries} entries hold"))
        .await;
    browser.expect_no_complaint().await;
}
