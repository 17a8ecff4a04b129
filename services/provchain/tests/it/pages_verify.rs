//! The browser checks proofs by itself, and finds what the node's own verifier finds.

use serde_json::{Value, json};

use super::cluster::Ledger;
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
