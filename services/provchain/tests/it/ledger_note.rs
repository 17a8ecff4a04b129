//! Signed notes and checkpoints against the examples of their specifications.

use proptest::prelude::*;
use provchain::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use provchain::ledger::note::{Note, SIGNATURES_MAX, SignatureType, SignerKey, VerifierKey};
use provchain::ledger::{Digest, Error};

use super::ledger_fixture::{ORIGIN, checkpoint, log_key, trusted};

// C2SP signed-note, "Example".
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

// C2SP signed-note, introduction; the text has an empty line.
const POEM: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n\
ed è subito sera.\n\n\u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+\
EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

// C2SP tlog-cosignature, introduction.
const COSIGNED: &str = "example.com/behind-the-sofa\n20852163\n\
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1\
gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2o\
yin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

// The key pair and the note of the tests of Go's golang.org/x/mod/sumdb/note.
const GO_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_SIGNER: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
then you don't know what your problem is.\n\n\
\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6R\
yyBwJnAM=\n";

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

#[test]
fn the_example_of_the_note_specification_verifies_and_a_changed_one_does_not() {
    let known = [key(EXAMPLE_KEY)];
    let note = Note::parse(EXAMPLE_NOTE).unwrap();
    assert_eq!(note.verify(&known).unwrap(), [&known[0]]);
    assert_eq!(note.text(), "This is an example message.\n");

    let changed = Note::parse(&EXAMPLE_NOTE.replace("message", "massage")).unwrap();
    assert_eq!(
        changed.verify(&known),
        Err(Error::Signature {
            key: "example.com/foo".into()
        })
    );
    assert_eq!(
        note.verify(&[key(GO_VERIFIER)]),
        Err(Error::NoKnownSignature)
    );
}

#[test]
fn the_examples_of_the_specifications_read_and_write_back() {
    for note in [EXAMPLE_NOTE, POEM, COSIGNED, GO_NOTE] {
        assert_eq!(Note::parse(note).unwrap().to_string(), note);
    }
    let poem = Note::parse(POEM).unwrap();
    assert!(poem.text().ends_with("sole:\n\ned è subito sera.\n"));
    assert_eq!(poem.signatures().len(), 1);
}

#[test]
fn a_signer_key_of_go_signs_what_go_signs() {
    let signer: SignerKey = GO_SIGNER.parse().unwrap();
    assert_eq!(signer.verifier(), key(GO_VERIFIER));
    assert_eq!(signer.expose(), GO_SIGNER);
    let expected = Note::parse(GO_NOTE).unwrap();
    let mut note = Note::new(expected.text().to_owned()).unwrap();
    note.add(signer.sign(note.text(), 0));
    assert_eq!(note.to_string(), GO_NOTE);
    note.verify(&[key(GO_VERIFIER)]).unwrap();
}

#[test]
fn the_example_checkpoint_reads_with_its_cosignature() {
    let signed = SignedCheckpoint::parse(COSIGNED).unwrap();
    let Checkpoint {
        origin,
        size,
        root,
        extensions,
    } = signed.checkpoint();
    assert_eq!(
        (origin.as_str(), *size),
        ("example.com/behind-the-sofa", 20_852_163)
    );
    assert_eq!(
        root.to_base64(),
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    );
    assert!(extensions.is_empty());
    let cosignature = &signed.note().signatures()[1];
    assert_eq!(cosignature.name, "witness.example.com/w1");
    // 8 bytes of time, the one that the specification signs as `time 1679315147`.
    assert_eq!(cosignature.bytes[..8], 1_679_315_147_u64.to_be_bytes());
    assert_eq!(cosignature.bytes.len(), 72);
    assert_eq!(signed.to_string(), COSIGNED);
}

#[test]
fn verifier_keys_write_back_and_wrong_ones_are_refused() {
    for text in [EXAMPLE_KEY, GO_VERIFIER] {
        assert_eq!(key(text).to_string(), text);
    }
    for wrong in [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "exam ple+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
    assert!(GO_VERIFIER.parse::<SignerKey>().is_err());
    assert!(
        GO_SIGNER
            .replace("c74f20a3", "c74f20a4")
            .parse::<SignerKey>()
            .is_err()
    );
}

#[test]
fn notes_in_any_other_form_are_refused() {
    let line = EXAMPLE_NOTE.split_once("\n\n").unwrap().1;
    for wrong in [
        String::new(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        format!("text\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("text\n\n{line}\n"),
        format!("text\n\n{line} "),
        format!("text\r\n\n{line}"),
        format!("te\txt\n\n{line}"),
        format!("text\n\n{}", line.replace('\u{2014}', "-")),
        format!("text\n\n{}", line.replace("example.com/foo", "example+com")),
        format!("text\n\n{}", line.replace("example.com/foo", "")),
        "text\n\n\u{2014} name AAAA\n".to_owned(),
        "text\n\n\u{2014} name AAAAAA==\n".to_owned(),
        format!("text\n\n{}", line.repeat(SIGNATURES_MAX + 1)),
        format!("{}\n\n{line}", "x".repeat(1 << 20)),
    ] {
        assert!(Note::parse(&wrong).is_err(), "{wrong:.60}");
    }
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(16))).is_ok());
}

#[test]
fn two_signatures_by_one_key_are_refused_though_one_is_good() {
    let line = EXAMPLE_NOTE.split_once("\n\n").unwrap().1;
    let note = Note::parse(&format!(
        "{EXAMPLE_NOTE}{}",
        line.replace("Uw2QOkn8", "Uw2QOkn9")
    ));
    assert!(note.unwrap().verify(&[key(EXAMPLE_KEY)]).is_err());
}

#[test]
fn checkpoints_in_any_other_form_are_refused() {
    let root = Digest([7; 32]).to_base64();
    assert!(Checkpoint::parse(&format!("o\n1\n{root}\n")).is_ok());
    assert!(Checkpoint::parse(&format!("o\n0\n{root}\nextension\n")).is_ok());
    for wrong in [
        String::new(),
        "\n".to_owned(),
        "o\n1\n".to_owned(),
        format!("o\n1\n{root}"),
        format!("\n1\n{root}\n"),
        format!("o\n01\n{root}\n"),
        format!("o\n+1\n{root}\n"),
        format!("o\n-1\n{root}\n"),
        format!("o\n1 \n{root}\n"),
        format!("o\n18446744073709551616\n{root}\n"),
        format!("o\n1\n{}\n", &root[..40]),
        format!("o\n1\n{}=\n", &root[..42]),
        format!("o\n1\n{root}\n\n"),
        format!("o\n1\n{root}\n\nextension\n"),
        format!("o\r\n1\n{root}\n"),
    ] {
        assert!(Checkpoint::parse(&wrong).is_err(), "{wrong:?}");
    }
    assert!(Checkpoint::new("two\nlines", 1, Digest([7; 32])).is_err());
}

#[test]
fn a_witness_cosigns_and_its_signature_is_kept_and_verified() {
    let seed = ed25519_dalek::SigningKey::from_bytes(&[0x77; 32]);
    let witness = SignerKey::new("witness.example/w", SignatureType::Cosignature, seed).unwrap();
    let mut signed = checkpoint(5, Digest([5; 32]));
    signed.cosign(&witness, 1_700_000_000);
    let signed = SignedCheckpoint::parse(&signed.to_string()).unwrap();

    let known = [trusted().remove(0), witness.verifier()];
    let signers = signed.verify(&known).unwrap();
    assert_eq!(
        (signers.log, signers.witnesses),
        (vec![&known[0]], vec![&known[1]])
    );
    // Unknown witnesses are passed over; a witness alone makes no checkpoint.
    assert!(signed.verify(&known[..1]).unwrap().witnesses.is_empty());
    assert_eq!(signed.verify(&known[1..]), Err(Error::NoKnownSignature));

    // The time is signed: it is the four last bytes of the eight behind the key's id.
    let mut note = signed.note().clone();
    let mut cosignature = note.signatures()[1].clone();
    cosignature.bytes[7] ^= 1;
    note.add(cosignature);
    assert!(note.verify(&known).is_err());
}

#[test]
fn a_cosignature_as_of_a_time_beyond_the_specification_is_refused() {
    let seed = ed25519_dalek::SigningKey::from_bytes(&[0x77; 32]);
    let witness = SignerKey::new("witness.example/w", SignatureType::Cosignature, seed).unwrap();
    let known = [trusted().remove(0), witness.verifier()];
    for (time_s, accepted) in [(0, true), (i64::MAX as u64, true), (1 << 63, false)] {
        let mut signed = checkpoint(5, Digest([5; 32]));
        signed.cosign(&witness, time_s);
        assert_eq!(signed.verify(&known).is_ok(), accepted, "{time_s}");
    }
}

#[test]
fn only_an_ed25519_key_with_the_name_of_the_origin_signs_as_the_log() {
    let seed = ed25519_dalek::SigningKey::from_bytes(&[0x77; 32]);
    let checkpoint = Checkpoint::new(ORIGIN, 1, Digest([1; 32])).unwrap();
    for (name, signature_type) in [
        ("other.example", SignatureType::Ed25519),
        (ORIGIN, SignatureType::Cosignature),
    ] {
        let key = SignerKey::new(name, signature_type, seed.clone()).unwrap();
        assert!(checkpoint.sign(&key).is_err());
        // Signed all the same, as a forger would, it is not the log's.
        let mut note = Note::new(checkpoint.to_string()).unwrap();
        note.add(key.sign(note.text(), 1));
        let signed = SignedCheckpoint::parse(&note.to_string()).unwrap();
        assert_eq!(
            signed.verify(&[key.verifier()]),
            Err(Error::NoKnownSignature)
        );
    }
}

#[test]
fn the_same_checkpoint_is_the_same_size_and_root_whoever_signed() {
    let a = Checkpoint::new(ORIGIN, 3, Digest([3; 32])).unwrap();
    let mut b = a.clone();
    b.extensions.push("note".to_owned());
    assert!(a.same_tree(&b));
    assert!(!a.same_tree(&Checkpoint::new(ORIGIN, 4, Digest([3; 32])).unwrap()));
    assert!(!a.same_tree(&Checkpoint::new(ORIGIN, 3, Digest([4; 32])).unwrap()));
    assert!(!a.same_tree(&Checkpoint::new("other", 3, Digest([3; 32])).unwrap()));
}

proptest! {
    #[test]
    fn checkpoints_write_and_read_back(
        origin in "[^\\x00-\\x1f]{1,40}", size in any::<u64>(), root in any::<[u8; 32]>(),
        extensions in prop::collection::vec("[^\\x00-\\x1f]{1,20}", 0..3),
    ) {
        let mut checkpoint = Checkpoint::new(&origin, size, Digest(root)).unwrap();
        checkpoint.extensions = extensions;
        prop_assert_eq!(Checkpoint::parse(&checkpoint.to_string()).unwrap(), checkpoint);
    }

    #[test]
    fn a_signed_checkpoint_with_any_byte_changed_is_refused(at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = checkpoint(123_456, Digest([9; 32])).to_string().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let changed = String::from_utf8(bytes).ok().and_then(|note| SignedCheckpoint::parse(&note).ok());
        prop_assert!(changed.is_none_or(|signed| signed.verify(&trusted()).is_err()));
    }

    #[test]
    fn reading_any_text_ends_without_a_panic(text in any::<String>()) {
        let _ = Note::parse(&text);
        let _ = Checkpoint::parse(&text);
        let _ = text.parse::<VerifierKey>();
        let _ = text.parse::<SignerKey>();
    }
}

#[test]
fn signer_keys_do_not_show_in_debug_output() {
    assert_eq!(
        format!("{:?}", log_key()),
        format!("SignerKey({ORIGIN}, …)")
    );
}
