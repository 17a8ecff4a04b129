//! What two signed checkpoints show, worked out from trees that are built here.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use provchain::ledger::Digest;
use provchain::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use provchain::ledger::evidence::{Evidence, Kind, Shown};
use provchain::ledger::merkle::{Leaves, leaf_hash, prove_consistency, root_of};
use provchain::ledger::note::{SignatureType, SignerKey};
use provchain::ledger::proof::Verdict;
use provchain::witness::{Refusal, Request, contradiction, judge};

use super::ledger_fixture::{ORIGIN, log_key, trusted};

/// Leaves of a history that goes its own way from leaf `fork` on.
pub fn leaves(size: u64, fork: u64) -> Vec<Digest> {
    let leaf = |index: u64| {
        let history = u8::from(index >= fork);
        leaf_hash(&[&[history][..], &index.to_be_bytes()].concat())
    };
    (0..size).map(leaf).collect()
}

const HONEST: u64 = u64::MAX;

pub fn checkpoint(leaves: &[Digest]) -> SignedCheckpoint {
    let checkpoint = Checkpoint::new(ORIGIN, leaves.len() as u64, root_of(leaves)).unwrap();
    checkpoint.sign(&log_key()).unwrap()
}

fn shown(leaves: &[Digest], from: u64) -> Shown {
    let path = prove_consistency(&mut Leaves(leaves), from, leaves.len() as u64).unwrap();
    Shown {
        root: root_of(&leaves[..from as usize]),
        path,
    }
}

fn verdict(evidence: &Evidence) -> Verdict {
    evidence.verify(&trusted()).verdict
}

#[test]
fn two_roots_of_one_size_are_a_proof_by_themselves() {
    let (one, other) = (checkpoint(&leaves(7, HONEST)), checkpoint(&leaves(7, 3)));
    let evidence = Evidence::new(Kind::SameSize, &one, &other);
    assert_eq!(verdict(&evidence), Verdict::Authentic);
    assert_eq!(evidence.verify(&[]).verdict, Verdict::Unauthenticated);
    // The file reads back as it was, and nothing is added to it.
    let file = evidence.to_json();
    assert_eq!(Evidence::from_json(file.as_bytes()), Ok(evidence));
    let more = file.replacen('{', "{\"more\": 1,", 1);
    assert!(Evidence::from_json(more.as_bytes()).is_err());
    assert!(Evidence::from_json(file.replace("-evidence", "-proof").as_bytes()).is_err());

    let same = Evidence::new(Kind::SameSize, &one, &one);
    assert_eq!(verdict(&same), Verdict::Refuted, "{:?}", same.verify(&[]));
}

#[test]
fn evidence_counts_only_by_keys_that_are_trusted_for_that_ledger() {
    let (one, other) = (leaves(7, HONEST), leaves(7, 3));
    let stranger = SigningKey::from_bytes(&[0x66; 32]);
    let stranger = SignerKey::new(ORIGIN, SignatureType::Ed25519, stranger).unwrap();
    let forged = Checkpoint::new(ORIGIN, 7, root_of(&other)).unwrap();
    let forged = forged.sign(&stranger).unwrap();
    let evidence = Evidence::new(Kind::SameSize, &checkpoint(&one), &forged);
    assert_eq!(verdict(&evidence), Verdict::Refuted);

    let elsewhere = SignerKey::new(
        "elsewhere",
        SignatureType::Ed25519,
        super::ledger_fixture::node_key(),
    );
    let elsewhere = elsewhere.unwrap();
    let foreign = Checkpoint::new("elsewhere", 7, root_of(&other)).unwrap();
    let foreign = foreign.sign(&elsewhere).unwrap();
    let evidence = Evidence::new(Kind::SameSize, &checkpoint(&one), &foreign);
    let both = [trusted(), vec![elsewhere.verifier()]].concat();
    assert_eq!(evidence.verify(&both).verdict, Verdict::Refuted);

    // A signature that does not verify is none, though the key is a trusted one.
    let broken = checkpoint(&other).to_string().replacen("\n7\n", "\n8\n", 1);
    let broken = SignedCheckpoint::parse(&broken).unwrap();
    let evidence = Evidence::new(Kind::Rollback, &checkpoint(&one), &broken);
    assert_eq!(verdict(&evidence), Verdict::Refuted);
}

#[test]
fn a_path_of_the_larger_tree_proves_that_it_begins_otherwise_whichever_sizes_they_have() {
    for (small, large) in [
        (1, 2),
        (3, 7),
        (4, 7),
        (4, 8),
        (5, 6),
        (8, 300),
        (255, 257),
        (256, 600),
    ] {
        let honest = checkpoint(&leaves(small, HONEST));
        let forked = leaves(large, small - 1);
        let second = checkpoint(&forked);
        let path = shown(&forked, small);
        let found = contradiction(&honest, &second, &path).expect("a contradiction");
        assert_eq!(found.kind, Kind::Inconsistent);
        assert_eq!(verdict(&found), Verdict::Authentic, "{small} {large}");
        // Whichever came first.
        let turned = contradiction(&second, &honest, &path).expect("a contradiction");
        assert_eq!(
            (&turned.first, &turned.second),
            (&found.first, &found.second)
        );
        assert_eq!(turned.id(), found.id());
        // The tree that does continue it is no evidence, whatever is claimed.
        let grown = leaves(large, HONEST);
        assert_eq!(
            contradiction(&honest, &checkpoint(&grown), &shown(&grown, small)),
            None
        );
        let claimed = Evidence::new(Kind::Inconsistent, &honest, &checkpoint(&grown));
        let claimed = claimed.with_shown(Some(shown(&grown, small)));
        assert_eq!(verdict(&claimed), Verdict::Refuted, "{small} {large}");
    }
}

#[test]
fn two_sizes_without_a_path_that_holds_are_no_more_than_a_reason_to_look() {
    let honest = checkpoint(&leaves(5, HONEST));
    let second = checkpoint(&leaves(9, 2));
    let bare = Evidence::new(Kind::Unproven, &honest, &second);
    assert_eq!(verdict(&bare), Verdict::Unauthenticated);
    let mut wrong = shown(&leaves(9, HONEST), 5);
    let of_neither = bare.clone().with_shown(Some(wrong.clone()));
    assert_eq!(verdict(&of_neither), Verdict::Unauthenticated);
    assert!(of_neither.verify(&[]).says.contains("belongs to neither"));
    wrong.path.truncate(1);
    assert_eq!(
        verdict(&bare.with_shown(Some(wrong))),
        Verdict::Unauthenticated
    );
    let empty = Evidence::new(Kind::Rollback, &checkpoint(&[]), &honest);
    assert_eq!(verdict(&empty), Verdict::Refuted);
}

fn request(old_size: u64, proof: Vec<Digest>, signed: &SignedCheckpoint) -> Request {
    Request {
        old_size,
        proof,
        signed: signed.clone(),
    }
}

#[test]
fn a_request_that_continues_what_was_cosigned_passes_and_its_body_is_read_back() {
    let (old, new) = (leaves(5, HONEST), leaves(9, HONEST));
    let path = shown(&new, 5).path;
    let body = format!(
        "old 5\n{}\n{}",
        path.iter()
            .map(|hash| hash.to_base64() + "\n")
            .collect::<String>(),
        checkpoint(&new)
    );
    let read = Request::parse(body.as_bytes()).unwrap();
    assert_eq!(read, request(5, path, &checkpoint(&new)));
    assert_eq!(judge(&read, Some(&checkpoint(&old)), &trusted()), Ok(()));
    let first = request(0, Vec::new(), &checkpoint(&new));
    assert_eq!(judge(&first, None, &trusted()), Ok(()));
    let again = request(9, Vec::new(), &checkpoint(&new));
    assert_eq!(judge(&again, Some(&checkpoint(&new)), &trusted()), Ok(()));
}

#[test]
fn requests_are_refused_by_the_first_rule_that_they_break() {
    let (old, new) = (leaves(5, HONEST), leaves(9, HONEST));
    let (cosigned, signed) = (checkpoint(&old), checkpoint(&new));
    let path = shown(&new, 5).path;
    let ask =
        |request: &Request, newest: Option<&SignedCheckpoint>| judge(request, newest, &trusted());
    let newest = Some(&cosigned);

    let untrusted = judge(&request(5, path.clone(), &signed), newest, &[]);
    assert!(
        matches!(untrusted, Err(Refusal::Untrusted(_))),
        "{untrusted:?}"
    );
    let larger = ask(&request(10, Vec::new(), &signed), newest);
    assert!(matches!(larger, Err(Refusal::Malformed(_))), "{larger:?}");
    for (old_size, newest, answer) in [(4, newest, 5), (0, newest, 5), (7, newest, 5), (5, None, 0)]
    {
        let refused = ask(&request(old_size, path.clone(), &signed), newest);
        assert_eq!(refused, Err(Refusal::Conflict(answer)));
    }
    for (request, newest) in [
        (request(0, path.clone(), &signed), None),
        (request(5, Vec::new(), &signed), newest),
        (request(5, path[1..].to_vec(), &signed), newest),
        (
            request(5, [path.clone(), path.clone()].concat(), &signed),
            newest,
        ),
        (request(5, path.clone(), &cosigned), newest),
    ] {
        let refused = ask(&request, newest);
        assert!(matches!(refused, Err(Refusal::Unproven(_))), "{refused:?}");
    }
    let hollow = Checkpoint::new(ORIGIN, 0, Digest([1; 32])).unwrap();
    let hollow = hollow.sign(&log_key()).unwrap();
    let refused = ask(&request(0, Vec::new(), &hollow), None);
    assert!(matches!(refused, Err(Refusal::Unproven(_))), "{refused:?}");

    // The forger's own proof convicts him: of one size, and of two.
    let forked = leaves(9, 3);
    let refused = ask(
        &request(5, shown(&forked, 5).path, &checkpoint(&forked)),
        newest,
    );
    assert!(
        matches!(refused, Err(Refusal::Contradicts(_))),
        "{refused:?}"
    );
    let refused = ask(&request(5, Vec::new(), &checkpoint(&leaves(5, 3))), newest);
    assert!(
        matches!(refused, Err(Refusal::Contradicts(_))),
        "{refused:?}"
    );
}

#[test]
fn bodies_in_any_other_form_are_malformed() {
    let signed = checkpoint(&leaves(9, HONEST));
    let hash = Digest([7; 32]).to_base64();
    for wrong in [
        String::new(),
        signed.to_string(),
        format!("old 5\n{signed}"),
        format!("old 05\n\n{signed}"),
        format!("old -1\n\n{signed}"),
        format!("old  5\n\n{signed}"),
        format!("Old 5\n\n{signed}"),
        format!("old 5\nAAAA\n\n{signed}"),
        format!("old 5\n{hash} \n\n{signed}"),
        format!("old 5\n{}\n{signed}", format!("{hash}\n").repeat(64)),
        "old 5\n\nno note".to_owned(),
    ] {
        let refused = Request::parse(wrong.as_bytes());
        assert!(matches!(refused, Err(Refusal::Malformed(_))), "{wrong:.80}");
    }
    assert!(
        Request::parse(format!("old 5\n{}\n{signed}", format!("{hash}\n").repeat(63)).as_bytes())
            .is_ok()
    );
    assert!(Request::parse(&[0xff, 0xfe]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sizes_and_no_path_make_a_contradiction_of_one_history(
        small in 1..80_u64, more in 0..80_u64, noise in proptest::collection::vec(any::<[u8; 32]>(), 0..8)
    ) {
        let grown = leaves(small + more, HONEST);
        let (first, second) = (checkpoint(&grown[..small as usize]), checkpoint(&grown));
        let honest = shown(&grown, small);
        prop_assert_eq!(contradiction(&first, &second, &honest), None);
        let noise = Shown { root: Digest([3; 32]), path: noise.into_iter().map(Digest).collect() };
        prop_assert_eq!(contradiction(&first, &second, &noise), None);
    }

    #[test]
    fn no_body_is_too_strange_to_be_refused(body in ".{0,200}") {
        drop(Request::parse(body.as_bytes()));
    }
}
