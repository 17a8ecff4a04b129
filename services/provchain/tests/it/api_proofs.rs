//! Proofs, checkpoints and blocks from the API hold by the ledger's own arithmetic.

use provchain::ledger::Digest;
use provchain::ledger::merkle::{self, verify_consistency, verify_inclusion};
use provchain::ledger::note::{Note, VerifierKey};
use serde_json::Value;

use super::cluster::{Answer, Ledger, PROVCHAIN};

fn digest(value: &Value) -> Digest {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn digests(value: &Value) -> Vec<Digest> {
    value
        .as_array()
        .expect("a path")
        .iter()
        .map(digest)
        .collect()
}

#[tokio::test]
async fn inclusion_and_consistency_proofs_of_many_sizes_verify() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(300, 51).await;
    let node = ledger.first();
    let sizes = [1, 2, 3, 7, 8, 9, 100, 255, 256, 257, 299, 300];
    for size in sizes {
        for entry in [0, size / 3, size / 2, size - 1] {
            let path = format!("/api/v1/proofs/inclusion?entry={entry}&size={size}");
            let proof = ledger.json(node, &path).await;
            let (leaf, root) = (digest(&proof["leafHash"]), digest(&proof["root"]));
            let path = digests(&proof["path"]);
            assert_eq!(
                verify_inclusion(entry, size, &leaf, &path, &root),
                Ok(()),
                "{proof}"
            );
            if size > 1 {
                let elsewhere = (entry + 1) % size;
                verify_inclusion(elsewhere, size, &leaf, &path, &root).expect_err("another place");
            }
            let stored = ledger.json(node, &format!("/api/v1/entries/{entry}")).await;
            assert_eq!(stored["leafHash"], proof["leafHash"]);
        }
        for from in sizes.into_iter().filter(|from| *from <= size) {
            let path = format!("/api/v1/proofs/consistency?from={from}&to={size}");
            let proof = ledger.json(node, &path).await;
            let (old, new) = (digest(&proof["fromRoot"]), digest(&proof["toRoot"]));
            let path = digests(&proof["path"]);
            assert_eq!(
                verify_consistency(from, size, &path, &old, &new),
                Ok(()),
                "{proof}"
            );
        }
    }
}

#[tokio::test]
async fn three_nodes_sign_one_tree_each_with_its_key_and_blocks_cover_it() {
    let ledger = Ledger::start(3).await;
    ledger.capture_sample(150, 52).await;
    ledger.sealed(ledger.first()).await;
    ledger.capture_sample(150, 53).await;
    ledger.sealed(ledger.first()).await;
    let tree = ledger.common_tree().await;
    let keys = ledger.get(ledger.first(), "/api/v1/keys").await.text();
    let keys: Vec<VerifierKey> = keys
        .lines()
        .map(|line| line.parse().expect("a key"))
        .collect();
    let mut signers = Vec::new();
    for node in ledger.nodes.nodes() {
        let note = ledger.get(node, "/checkpoint?fresh=true").await.text();
        let signed = Note::parse(&note).expect("a signed note");
        let mut lines = note.lines().skip(1);
        assert_eq!(lines.next(), Some(tree.size.to_string().as_str()), "{note}");
        assert_eq!(lines.next(), Some(tree.root.as_str()), "{note}");
        let by = keys
            .iter()
            .position(|key| signed.verify(std::slice::from_ref(key)).is_ok());
        signers.push(by.unwrap_or_else(|| panic!("no known key signed {note}")));
    }
    signers.sort_unstable();
    assert_eq!(signers, [0, 1, 2]);

    let blocks = ledger
        .json(ledger.first(), "/api/v1/blocks?limit=1000")
        .await;
    let blocks = blocks["blocks"].as_array().expect("blocks");
    assert!(blocks.len() >= 2, "{blocks:?}");
    let mut next = 0;
    for (height, block) in blocks.iter().enumerate() {
        assert_eq!(
            (&block["height"], &block["firstEntry"]),
            (&height.into(), &next.into())
        );
        if height > 0 {
            assert_eq!(block["previous"], blocks[height - 1]["hash"]);
        }
        next = block["lastEntry"].as_u64().expect("a number") + 1;
        let path = format!("/api/v1/proofs/consistency?from={next}&to={}", tree.size);
        let proof = ledger.json(ledger.first(), &path).await;
        assert_eq!(proof["fromRoot"], block["treeRoot"]);
    }
    assert_eq!(next, tree.size);
}

/// What a client of `tlog-tiles` does, by nothing but the specification.
#[tokio::test]
async fn the_tree_and_its_leaves_are_served_as_tiles_under_every_checkpoint() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let tile = async |path: &str| ledger.get(node, &format!("/tile/{path}")).await;
    let hashes = |answer: &Answer| -> Vec<Digest> {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.kind, "application/octet-stream");
        let (hashes, rest) = answer.body.as_chunks::<32>();
        assert_eq!(rest.len(), 0);
        hashes.iter().copied().map(Digest).collect()
    };
    ledger.capture_sample(70, 54).await;
    let early = ledger.tree(node).await;
    let small = hashes(&tile("0/000.p/70").await);
    assert_eq!(merkle::root_of(&small), digest(&early.root.into()));

    ledger.capture_sample(530, 55).await;
    let tree = ledger.tree(node).await;
    assert_eq!(tree.size, 600);
    let full = [tile("0/000").await, tile("0/001").await];
    let mut leaves: Vec<Digest> = full.iter().flat_map(hashes).collect();
    leaves.extend(hashes(&tile("0/002.p/88").await));
    assert_eq!(merkle::root_of(&leaves), digest(&tree.root.into()));
    // A hash of level 1 is the root of a full tile; the partial one has none.
    let above = hashes(&tile("1/000.p/2").await);
    assert_eq!(
        above,
        [
            merkle::root_of(&leaves[..256]),
            merkle::root_of(&leaves[256..512])
        ]
    );
    // What was under the checkpoint of then is there still.
    assert_eq!(hashes(&tile("0/000.p/70").await), small);

    let mut bundled = Vec::new();
    for path in ["entries/000", "entries/001", "entries/002.p/88"] {
        let answer = tile(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let mut rest = &answer.body[..];
        while let [high, low, more @ ..] = rest {
            let (leaf, more) = more.split_at(u16::from_be_bytes([*high, *low]).into());
            bundled.push(merkle::leaf_hash(leaf));
            rest = more;
        }
    }
    assert_eq!(bundled, leaves);

    for absent in [
        "0/002",
        "0/002.p/89",
        "0/003.p/1",
        "1/000",
        "2/000.p/1",
        "entries/002",
        "entries/002.p/89",
        "entries/003.p/1",
        "0/x018/x446/x744/x073/x709/x551/615",
        "0/2.p/88",
        "text",
    ] {
        tile(absent).await.problem(404);
    }
}

#[tokio::test]
async fn some_statements_of_an_event_are_disclosed_and_verify_and_tell_nothing_of_the_others() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    ledger.capture_sample(20, 56).await;
    let listed = ledger.json(node, "/api/v1/entries/7/statements").await;
    let statements: Vec<&str> = listed["statements"]
        .as_array()
        .expect("statements")
        .iter()
        .map(|statement| statement.as_str().expect("a text"))
        .collect();
    assert!(statements.len() > 5, "{listed}");
    let event = ledger.get(node, "/api/v1/entries/7/event").await.text();

    let path = "/api/v1/proofs/entries?indices=7&statements=0,4";
    let proof = ledger.get(node, path).await;
    let folder = ledger.scratch("disclosed");
    std::fs::write(folder.join("proof.json"), &proof.body).expect("written");
    let keys = ledger.get(node, "/api/v1/keys").await.body;
    std::fs::write(folder.join("keys"), keys).expect("written");
    let verify = |file: &str| {
        let verified = std::process::Command::new(PROVCHAIN)
            .args(["verify", "--keys-file", "keys", file])
            .current_dir(&folder)
            .output();
        verified.expect("it runs")
    };
    let verified = verify("proof.json");
    assert!(verified.status.success(), "{verified:?}");

    let text = proof.text();
    let disclosed = &proof.json()["entries"][0]["disclosed"]["parts"];
    let told = disclosed["statements"].as_array().expect("statements");
    assert_eq!(told.len(), 2, "{disclosed}");
    for (which, one) in [(0, &told[0]), (4, &told[1])] {
        assert_eq!(
            (&one["index"], &one["statement"]),
            (&which.into(), &statements[which].into())
        );
    }
    assert!(disclosed.get("submitter").is_none(), "{disclosed}");
    for (index, statement) in statements
        .iter()
        .enumerate()
        .filter(|(at, _)| ![0, 4].contains(at))
    {
        assert!(
            !text.contains(&statement.replace('"', "\\\"")),
            "statement {index}"
        );
    }
    assert!(!text.contains("\"key\"") && !text.contains(&event));
    // Another statement in its place is found.
    let changed = text.replacen(
        &statements[4].replace('"', "\\\""),
        &statements[5].replace('"', "\\\""),
        1,
    );
    assert_ne!(changed, text);
    std::fs::write(folder.join("changed.json"), changed).expect("written");
    assert_eq!(verify("changed.json").status.code(), Some(1));

    let path = "/api/v1/proofs/entries?indices=7&statements=1&submitter=true";
    let with_submitter = ledger.json(node, path).await;
    let submitter = &with_submitter["entries"][0]["disclosed"]["parts"]["submitter"];
    assert_eq!(submitter["name"], "test");
    for question in [
        "indices=7&statements=99999",
        "indices=7&statements=-1",
        "indices=7,8&statements=0",
        "indices=7&statements=0&closed=true",
        "indices=7&submitter=true",
    ] {
        let path = format!("/api/v1/proofs/entries?{question}");
        ledger.get(node, &path).await.problem(400);
    }
}
