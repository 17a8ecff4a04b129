//! Cosigning keys and successions, against vectors of an independent implementation (Python's
//! `cryptography`), and what is not to be believed.

use ed25519_dalek::SigningKey;
use provchain::ledger::checkpoint::SignedCheckpoint;
use provchain::ledger::cosigner;
use provchain::ledger::note::{Note, SignatureType, SignerKey, VerifierKey};
use provchain::ledger::succession::{self, Succession};

const ORIGIN: &str = "ledger.example/demo";

const CHECKPOINT: &str = "ledger.example/demo\n1\nAwkmcHytDNDZ6hR+L7SXpElbbOVpMgKrbmHPMZlWhcM=\n";

const COSIGNER: &str =
    "ledger.example/demo/node2+80c21513+BLlBaJBnS2Yt3deDhk5VdnybhfFlIoWrgwNYiq5aHqBy";
const COSIGNATURE: &str = "\u{2014} ledger.example/demo/node2 \
gMIVEwAAAABlU/EAgaor7ZW2pVWQmD+E5CHzL0iD98cetrJb48XnSO0YFQPx2DFrvTX2GdjRkJKGmq3lrU32PtEdjCAIHLwJDt1qAA==";

const SUCCESSION: &str = "provchain/v1 succession\n\
ledger.example/demo\n\
1700000000000\n\
ledger.example/demo+ffed5b2a+ASFS+NGbeR0kRTJC4V8uq2y3z/p7al7TAJeWDgaYgdsS\n\
ledger.example/demo+6571e804+ASL8KXeS8Lb/wL/P237bDAqhTgJaNl7A40Lobjgpy3S2\n\
\n\
\u{2014} ledger.example/demo /+1bKg2UJG5MSv8fCMqUtqrFM081/M6RFPjsyro67XQHdkqnBUyMOKiMeZCprtaYbDq5yRrqoEPMYzbY5HDMLzt/GA8=\n\
\u{2014} ledger.example/demo ZXHoBPP8XencBnfXvxn7cbyyNlEaVdiZqLKkh9PQ/fcCURYTpgQ/KC754Lni2ArJb3FoZE9SHtzOo3jpuri/kJcLfAI=\n";

fn key(seed: u8) -> SignerKey {
    named(ORIGIN, seed)
}

fn named(origin: &str, seed: u8) -> SignerKey {
    let seed = SigningKey::from_bytes(&[seed; 32]);
    SignerKey::new(origin, SignatureType::Ed25519, seed).unwrap()
}

fn handed_over(old: u8, new: u8) -> String {
    Succession::sign(1_700_000_000_000, &key(old), &key(new)).unwrap()
}

fn follow(trusted: &[u8], notes: &[String]) -> Result<Vec<VerifierKey>, String> {
    let trusted: Vec<VerifierKey> = trusted.iter().map(|seed| key(*seed).verifier()).collect();
    succession::follow(&trusted, notes.iter().map(String::as_str))
}

#[test]
fn a_node_cosigns_as_another_implementation_does() {
    let own = SigningKey::from_bytes(&[0x42; 32]);
    let signer = cosigner::signer(ORIGIN, "node2", &own).unwrap();
    assert_eq!(signer.verifier().to_string(), COSIGNER);
    let cosignature = signer.sign(CHECKPOINT, 1_700_000_000);
    assert_eq!(cosignature.to_string(), COSIGNATURE);
    let public = cosigner::derive(&own).verifying_key().to_bytes();
    assert_ne!(public, own.verifying_key().to_bytes());
    let verifier = cosigner::verifier(ORIGIN, "node2", &public).unwrap();
    assert_eq!(verifier.to_string(), COSIGNER);

    // Under a checkpoint it stands beside the signature of the log, and does not replace it.
    let note = format!("{CHECKPOINT}\n{COSIGNATURE}\n");
    let signed = SignedCheckpoint::parse(&note).unwrap();
    assert!(signed.verify(std::slice::from_ref(&verifier)).is_err());
    assert_eq!(
        signed.note().verify(std::slice::from_ref(&verifier)),
        Ok(vec![&verifier])
    );
    for changed in [
        note.replacen("demo\n1\n", "demo\n2\n", 1),
        note.replace("AAAABlU/EA", "AAAABlU/EB"),
    ] {
        let changed = Note::parse(&changed).unwrap();
        assert!(changed.verify(std::slice::from_ref(&verifier)).is_err());
    }
}

#[test]
fn a_succession_is_written_and_read_as_another_implementation_does() {
    assert_eq!(
        Succession::sign(1_700_000_000_000, &key(0x42), &key(0x43)).unwrap(),
        SUCCESSION
    );
    let read = Succession::parse(SUCCESSION).unwrap();
    assert_eq!(
        (read.origin.as_str(), read.time_ms),
        (ORIGIN, 1_700_000_000_000)
    );
    assert_eq!(
        (read.old, read.new),
        (key(0x42).verifier(), key(0x43).verifier())
    );
    assert!(SignedCheckpoint::parse(SUCCESSION).is_err());
}

#[test]
fn a_succession_that_both_keys_did_not_sign_as_it_stands_is_refused() {
    let lines: Vec<&str> = SUCCESSION.lines().collect();
    let without = |place: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != place);
        kept.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    for wrong in [
        without(6), // Who has the new key alone cannot take a ledger over.
        without(7), // Who has the old key alone cannot hand over to a key of somebody else.
        without(2),
        SUCCESSION.replace("1700000000000", "1700000000001"),
        SUCCESSION.replace("1700000000000", "01700000000000"),
        SUCCESSION.replace("/v1 succession", "/v2 succession"),
        SUCCESSION.replacen(ORIGIN, "ledger.example/other", 1),
        String::new(),
    ] {
        assert!(Succession::parse(&wrong).is_err(), "{wrong}");
    }
    assert!(Succession::sign(0, &key(1), &key(1)).is_err(), "to itself");
    assert!(
        Succession::sign(0, &key(1), &named("ledger.example/other", 2)).is_err(),
        "of another ledger"
    );
}

#[test]
fn who_trusts_a_key_trusts_the_chain_that_begins_at_it_and_nothing_else() {
    let notes = [
        handed_over(3, 4),
        handed_over(1, 2),
        handed_over(8, 9),
        handed_over(2, 3),
    ];
    let keys = |seeds: &[u8]| -> Vec<VerifierKey> {
        seeds.iter().map(|seed| key(*seed).verifier()).collect()
    };
    assert_eq!(follow(&[1], &notes), Ok(keys(&[1, 2, 3, 4])));
    assert_eq!(follow(&[3], &notes), Ok(keys(&[3, 4])), "never back");
    assert_eq!(follow(&[7], &notes), Ok(keys(&[7])));
    assert_eq!(
        follow(&[], &notes),
        Ok(Vec::new()),
        "nobody vouches for a list"
    );
    assert_eq!(
        follow(&[1], &notes[..1]),
        Ok(keys(&[1])),
        "a link is missing"
    );
    // A ring ends.
    assert_eq!(
        follow(&[1], &[handed_over(1, 2), handed_over(2, 1)]),
        Ok(keys(&[1, 2]))
    );
}

#[test]
fn a_key_that_handed_over_to_two_is_followed_to_neither() {
    let notes = [handed_over(1, 2), handed_over(1, 3)];
    let refused = follow(&[1], &notes).unwrap_err();
    assert!(refused.contains("two successors"), "{refused}");
    let twice = [handed_over(1, 2), handed_over(1, 2)];
    assert_eq!(follow(&[1], &twice).map(|keys| keys.len()), Ok(2));
    assert!(follow(&[1], &["no note".to_owned()]).is_err());
}
