//! `provchain witness`, as ledgers and their readers see it.

use std::os::unix::fs::PermissionsExt as _;

use ed25519_dalek::SigningKey;
use provchain::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use provchain::ledger::merkle::root_of;
use provchain::ledger::note::{Note, SignatureType, SignerKey, VerifierKey};
use provchain::ledger::succession::Succession;
use serde_json::json;

use super::cluster::until;
use super::ledger_evidence::{checkpoint, leaves};
use super::ledger_fixture::{ORIGIN, log_key, trusted};
use super::witness_fixture::{Manner, MemoryLog, Witness, body, root};

const HONEST: u64 = u64::MAX;

fn keys() -> Vec<String> {
    trusted().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_a_ledger_shows_is_cosigned_as_it_grows_and_verifies_with_the_key_of_the_witness() {
    let log = MemoryLog::serve(5).await;
    let witness = Witness::of(&log).await;
    let own: VerifierKey = witness.get("/key").await.text().trim().parse().unwrap();
    assert_eq!(own.signature_type(), SignatureType::Cosignature);
    for size in [5, 6, 8, 200] {
        log.show(size, HONEST);
        let cosigned = witness.cosigned(size).await;
        let known = [trusted(), vec![own.clone()]].concat();
        let signers = cosigned.verify(&known).unwrap();
        assert_eq!(signers.witnesses, [&own]);
        assert_eq!(cosigned.checkpoint().root, root_of(&leaves(size, HONEST)));
    }
    assert!(
        witness.told().contains(&own.to_string()),
        "{}",
        witness.told()
    );
    let health = witness.json("/health").await;
    assert_eq!(health["status"], "pass", "{health}");
    assert_eq!(witness.get("/readyz").await.status, 200);
    let metrics = witness.get("/metrics").await.text();
    assert!(
        metrics.contains("provchain_witness_cosigned_total{origin="),
        "{metrics}"
    );
    assert!(witness.get("/checkpoints/00/checkpoint").await.status == 404);
}

#[tokio::test]
async fn add_checkpoint_answers_with_every_status_of_the_specification() {
    let log = MemoryLog::serve(5).await;
    log.change(|stage| stage.manner = Manner::Says(b"nothing".to_vec()));
    let witness = Witness::of(&log).await;
    let (five, nine) = (leaves(5, HONEST), leaves(9, HONEST));
    let hash = witness.ledger().await["checkpoint"]
        .as_str()
        .unwrap()
        .to_owned();
    witness.get(&hash).await.problem(404);

    let cosigned = witness.ask(0, &five).await;
    assert_eq!(
        (cosigned.status, &*cosigned.kind),
        (200, "text/plain; charset=utf-8")
    );
    let note = format!("{}{}", checkpoint(&five), cosigned.text());
    let own: VerifierKey = witness.get("/key").await.text().trim().parse().unwrap();
    let signed = SignedCheckpoint::parse(&note).unwrap();
    assert_eq!(
        signed
            .verify(&[trusted(), vec![own]].concat())
            .unwrap()
            .witnesses
            .len(),
        1
    );
    assert_eq!(witness.get(&hash).await.text().lines().nth(1), Some("5"));

    for malformed in [
        String::new(),
        "old 5\n".into(),
        body(5, &nine).replace("old 5", "old x"),
    ] {
        witness.add(malformed).await.problem(400);
    }
    let larger = body(5, &nine).replace("old 5", "old 10");
    witness.add(larger).await.problem(400);
    let huge = format!("old 5\n{}", "x".repeat(1 << 20));
    witness.add(huge).await.problem(413);
    let foreign = body(5, &nine).replace(ORIGIN, "ledger.example/unknown");
    witness.add(foreign).await.problem(404);
    let broken = body(5, &nine).replacen("\n9\n", "\n10\n", 1);
    witness.add(broken).await.problem(403);
    let unsigned = body(5, &nine).replace("\u{2014} ledger", "\u{2014} other");
    witness.add(unsigned).await.problem(403);

    for old in [0, 4] {
        let conflict = witness.ask(old, &nine).await;
        assert_eq!(
            (conflict.status, &*conflict.kind),
            (409, "text/x.tlog.size")
        );
        assert_eq!(conflict.text(), "5\n");
    }
    let unproven = format!("old 5\n\n{}", checkpoint(&nine));
    witness.add(unproven).await.problem(422);
    let other = body(4, &nine).replace("old 4", "old 5");
    witness.add(other).await.problem(422);
    assert_eq!(witness.ledger().await["size"], 5, "nothing of that counted");

    assert_eq!(witness.ask(5, &nine).await.status, 200);
    assert_eq!(
        witness.ask(9, &nine).await.status,
        200,
        "the same one again"
    );
    assert_eq!(witness.ask(5, &nine).await.status, 409);
}

#[tokio::test]
async fn a_second_root_of_one_size_is_kept_shown_proven_and_the_ledger_is_cosigned_no_more() {
    let log = MemoryLog::serve(9).await;
    let mut witness = Witness::of(&log).await;
    witness.cosigned(9).await;
    let forked = leaves(9, 4);
    // The two are proof enough, whatever the ledger shows of its tree.
    log.change(|stage| stage.manner = Manner::WithoutTiles);
    witness.ask(9, &forked).await.problem(422);
    let evidence = witness.evidence().await;
    log.change(|stage| stage.manner = Manner::Honest);
    assert_eq!(evidence.len(), 1, "{evidence:?}");
    assert_eq!(
        (&evidence[0]["kind"], &evidence[0]["proof"]),
        (&json!("same-size"), &json!(true))
    );
    let id = evidence[0]["id"].as_str().unwrap().to_owned();
    let (status, report) = witness.verify(&id, &keys()).await;
    assert_eq!(
        (status, &report["verdict"]),
        (0, &json!("authentic")),
        "{report}"
    );
    assert_eq!(
        report["first"]["root"],
        root(&leaves(9, HONEST)),
        "{report}"
    );
    assert_eq!(report["second"]["root"], root(&forked), "{report}");
    let (status, _) = witness.verify(&id, &[]).await;
    assert_eq!(status, 3, "without a key anyone could have made it");

    for restarted in [false, true] {
        if restarted {
            witness.kill();
            witness.run().await;
        }
        // Neither history is vouched for any more, though the first one goes on.
        log.show(12, HONEST);
        let refused = witness.ask(9, &leaves(12, HONEST)).await.problem(403);
        assert!(
            refused["detail"]
                .as_str()
                .unwrap()
                .contains("two histories"),
            "{refused}"
        );
        witness.says(ORIGIN, "two histories").await;
        let health = witness.json("/health").await;
        assert_eq!(
            (&health["status"], &health["checks"]["evidence"]["status"]),
            (&json!("warn"), &json!("warn"))
        );
        let metrics = witness.get("/metrics").await.text();
        assert!(metrics.contains("provchain_evidence 1"), "{metrics}");
        assert_eq!(witness.ledger().await["size"], 9);
        assert_eq!(witness.evidence().await.len(), 1);
    }
}

#[tokio::test]
async fn a_larger_tree_that_begins_otherwise_is_found_when_it_is_looked_at() {
    let log = MemoryLog::serve(8).await;
    let witness = Witness::of(&log).await;
    witness.cosigned(8).await;
    log.show(13, 7);
    let evidence = witness.evidence().await;
    assert_eq!(evidence[0]["kind"], "inconsistent", "{evidence:?}");
    let (status, report) = witness
        .verify(evidence[0]["id"].as_str().unwrap(), &keys())
        .await;
    assert_eq!(status, 0, "{report}");
    assert_eq!(witness.ledger().await["size"], 8);
}

#[tokio::test]
async fn an_older_checkpoint_of_another_history_that_a_reader_was_shown_is_found_by_sending_it() {
    let log = MemoryLog::serve(20).await;
    let witness = Witness::of(&log).await;
    witness.cosigned(20).await;
    // An older one of the same history is none.
    assert_eq!(witness.ask(0, &leaves(10, HONEST)).await.status, 409);
    assert_eq!(witness.ask(0, &leaves(12, 5)).await.status, 409);
    let evidence = witness.evidence().await;
    assert_eq!(evidence.len(), 1, "{evidence:?}");
    let (status, report) = witness
        .verify(evidence[0]["id"].as_str().unwrap(), &keys())
        .await;
    assert_eq!(
        (status, &report["first"]["size"]),
        (0, &json!(12)),
        "{report}"
    );
}

#[tokio::test]
async fn what_was_cosigned_is_not_gone_behind_after_a_kill_and_a_smaller_tree_is_kept_as_a_doubt() {
    let log = MemoryLog::serve(9).await;
    let mut witness = Witness::of(&log).await;
    witness.cosigned(9).await;
    witness.kill();
    log.show(5, HONEST);
    witness.run().await;
    witness.says(ORIGIN, "5 entries after 9").await;
    assert_eq!(witness.ledger().await["size"], 9);
    let conflict = witness.ask(0, &leaves(5, HONEST)).await;
    assert_eq!((conflict.status, conflict.text().as_str()), (409, "9\n"));
    let evidence = witness.evidence().await;
    assert_eq!(
        (&evidence[0]["kind"], &evidence[0]["proof"]),
        (&json!("rollback"), &json!(false))
    );
    let (status, report) = witness
        .verify(evidence[0]["id"].as_str().unwrap(), &keys())
        .await;
    assert_eq!(
        (status, &report["verdict"]),
        (3, &json!("unauthenticated")),
        "{report}"
    );
    // It was a node that is behind: when it has caught up, it is cosigned again.
    log.show(11, HONEST);
    witness.cosigned(11).await;
    assert_eq!(witness.evidence().await.len(), 1, "it is kept for all that");
}

#[tokio::test]
async fn hostile_ledgers_get_nothing_cosigned_and_the_witness_lives() {
    let log = MemoryLog::serve(9).await;
    let elsewhere = MemoryLog::serve(30).await;
    let witness = Witness::of(&log).await;
    witness.cosigned(9).await;
    let stranger = SigningKey::from_bytes(&[0x66; 32]);
    let stranger = SignerKey::new(ORIGIN, SignatureType::Ed25519, stranger).unwrap();
    let thirty = Checkpoint::new(ORIGIN, 30, root_of(&leaves(30, HONEST))).unwrap();
    let stranger = thirty.sign(&stranger).unwrap().to_string();
    let broken = checkpoint(&leaves(30, HONEST))
        .to_string()
        .replacen("\n30\n", "\n31\n", 1);
    let many = checkpoint(&leaves(30, HONEST)).to_string();
    let line = many.lines().last().unwrap().to_owned();
    let many = format!("{many}{}", format!("{line}\n").repeat(100));
    for (manner, part) in [
        (Manner::Endless, "more than 65536 bytes"),
        (Manner::Silent, "error"),
        (Manner::Says(vec![0xff; 10]), "UTF-8"),
        (Manner::Says(b"\n\n\n".to_vec()), "checkpoint"),
        (
            Manner::Says(stranger.into_bytes()),
            "no signature by a known key",
        ),
        (Manner::Says(broken.into_bytes()), "does not verify"),
        (Manner::Says(many.into_bytes()), "more than 64 signatures"),
        (
            Manner::Redirects(format!("{}/checkpoint", elsewhere.url)),
            "307",
        ),
        (Manner::TileBytes(1 << 20), "more than 960 bytes"),
        (Manner::TileBytes(31), "31 bytes"),
        (Manner::TileBytes(960), "does not hold"),
        (Manner::WithoutTiles, "404"),
    ] {
        println!("{manner:?}");
        log.show(30, HONEST);
        log.change(|stage| stage.manner = manner.clone());
        witness.says(ORIGIN, part).await;
        assert_eq!(witness.ledger().await["size"], 9, "{manner:?}");
        // Between two attacks it is honest, and forgets its doubts.
        log.show(9, HONEST);
        log.change(|stage| stage.manner = Manner::Honest);
        witness.says(ORIGIN, "cosigned 9 entries").await;
    }
    let evidence = witness.json("/evidence").await;
    assert!(
        !evidence.to_string().contains("\"proof\":true"),
        "no noise convicts anybody: {evidence}"
    );
    log.show(30, HONEST);
    witness.cosigned(30).await;
}

#[tokio::test]
async fn a_key_that_a_trusted_one_handed_over_to_is_believed_and_no_other_is() {
    let log = MemoryLog::serve(5).await;
    let witness = Witness::of(&log).await;
    witness.cosigned(5).await;
    let next = SigningKey::from_bytes(&[0x0e; 32]);
    let next = SignerKey::new(ORIGIN, SignatureType::Ed25519, next).unwrap();
    let eight = Checkpoint::new(ORIGIN, 8, root_of(&leaves(8, HONEST))).unwrap();
    let stranger = SigningKey::from_bytes(&[0x66; 32]);
    let stranger = SignerKey::new(ORIGIN, SignatureType::Ed25519, stranger).unwrap();
    let list = |note: String| json!({ "keys": [{ "succession": note }, { "succession": null }] });
    log.show(8, HONEST);
    log.change(|stage| {
        stage.note = Some(eight.sign(&next).unwrap().to_string());
        // Signed by both, and nobody trusts the first.
        stage.keys = list(Succession::sign(1, &stranger, &next).unwrap());
    });
    witness.says(ORIGIN, "no signature by a known key").await;
    assert_eq!(witness.ledger().await["size"], 5);
    log.change(|stage| stage.keys = list(Succession::sign(1, &log_key(), &next).unwrap()));
    let cosigned = witness.cosigned(8).await;
    assert!(cosigned.verify(&[next.verifier()]).is_ok());
    // Whoever asks for a cosignature is measured by the same keys.
    let nine = Checkpoint::new(ORIGIN, 9, root_of(&leaves(9, HONEST))).unwrap();
    let nine = nine.sign(&next).unwrap();
    let asked = body(8, &leaves(9, HONEST));
    let (head, _) = asked.split_once("\n\n").unwrap();
    assert_eq!(witness.add(format!("{head}\n\n{nine}")).await.status, 200);
}

#[tokio::test]
async fn signatures_that_nobody_verified_are_not_passed_on() {
    let log = MemoryLog::serve(5).await;
    log.change(|stage| stage.manner = Manner::WithoutTiles);
    let witness = Witness::of(&log).await;
    witness.cosigned(5).await;
    let nine = leaves(9, HONEST);
    let mut note = Note::parse(&checkpoint(&nine).to_string()).unwrap();
    let other = SigningKey::from_bytes(&[0x66; 32]);
    let other = SignerKey::new("stranger.example", SignatureType::Ed25519, other).unwrap();
    note.add(other.sign(note.text(), 0));
    let asked = body(5, &nine);
    let (head, _) = asked.split_once("\n\n").unwrap();
    assert_eq!(witness.add(format!("{head}\n\n{note}")).await.status, 200);
    let cosigned = witness.cosigned(9).await.to_string();
    assert!(!cosigned.contains("stranger"), "{cosigned}");
    assert_eq!(
        cosigned
            .lines()
            .filter(|line| line.starts_with('\u{2014}'))
            .count(),
        2
    );
}

#[tokio::test]
async fn a_witness_has_one_key_and_its_folder_to_itself() {
    let log = MemoryLog::serve(5).await;
    let mut witness = Witness::of(&log).await;
    witness.cosigned(5).await;
    let file = witness.data_dir().join("witness.key");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = witness.get("/key").await.text();
    let printed = witness.command().arg("key").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&printed.stdout), key);
    let second = witness
        .command()
        .args(["--set", "port=0"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another witness"), "{told}");

    witness.kill();
    let renamed = witness
        .command()
        .args(["--set", "name=other.example"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&renamed.stderr).into_owned();
    assert!(
        !renamed.status.success() && told.contains("other.example"),
        "{told}"
    );
    // What it cosigned is never begun anew because a file cannot be read.
    let checkpoints = witness.data_dir().join("checkpoints");
    let stored = std::fs::read_dir(&checkpoints)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let note = std::fs::read_to_string(stored.path()).unwrap();
    std::fs::write(stored.path(), note.replacen("\n5\n", "\n4\n", 1)).unwrap();
    let damaged = witness.command().output().unwrap();
    let told = String::from_utf8_lossy(&damaged.stderr).into_owned();
    assert!(
        !damaged.status.success() && told.contains("cosigned last"),
        "{told}"
    );
    std::fs::write(stored.path(), note).unwrap();
    witness.run().await;
    assert_eq!(witness.get("/key").await.text(), key);
}

#[tokio::test]
async fn settings_of_a_witness_are_checked_and_the_example_loads() {
    let log = MemoryLog::serve(5).await;
    let witness = Witness::of(&log).await;
    let run = |arguments: &[&str]| {
        let output = witness.command().args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let (good, told) = run(&["check-config"]);
    assert!(good && told.contains("witness.example/w1"), "{told}");
    for (set, part) in [
        ("name=two words", "name"),
        (
            "ledgers=[{origin=\"a\", url=\"http://a\", keys=[]}]",
            "no key is trusted",
        ),
        ("ledgers=[{origin=\"a\", url=\"a\", keys=[]}]", "http://"),
        ("interval_seconds=0", "interval_seconds"),
        ("legders=[]", "ledgers"),
    ] {
        let (good, told) = run(&["check-config", "--set", set]);
        assert!(!good && told.contains(part), "{set}: {told}");
    }
    let (good, example) = run(&["example-config"]);
    assert!(
        good && example.contains("PROVCHAIN_WITNESS_NAME"),
        "{example}"
    );
    let path = witness.data_dir().join("example.toml");
    std::fs::write(&path, example).unwrap();
    let named = "name=witness.example/w2";
    let path = path.to_str().unwrap();
    let mut command = std::process::Command::new(super::cluster::PROVCHAIN);
    let output = command
        .env_clear()
        .args(["witness", "check-config", "--config", path, "--set", named])
        .output();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    until("the witness still lives", async || {
        witness.get("/livez").await.status == 200
    })
    .await;
}
