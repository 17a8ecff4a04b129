//! Every binary format: what is written reads back, and nothing else reads.

use std::fmt::Debug;

use proptest::prelude::*;
use provchain::ledger::block::{Block, Header, Tip, genesis};
use provchain::ledger::key::{Custody, EntryKey, Keeper, SubjectKey, WrappedKey};
use provchain::ledger::leaf::{Kind, Leaf};
use provchain::ledger::merkle::Tile;
use provchain::ledger::payload::{ContentType, Payload, StoredPayload};
use provchain::ledger::{Digest, Error};

use super::ledger_fixture::{ORIGIN, node_key};

/// The rules of all encodings of a fixed form: one value, one encoding; no byte may be missing or
/// left over; another version is named as such; a changed bit gives another value or none.
fn strict<T: PartialEq + Debug>(
    value: &T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, Error>,
) {
    let bytes = encode(value);
    assert_eq!(decode(&bytes).as_ref(), Ok(value));
    for len in 0..bytes.len() {
        assert!(
            decode(&bytes[..len]).is_err(),
            "{len} of {} bytes",
            bytes.len()
        );
    }
    assert!(
        decode(&[&bytes[..], &[0]].concat()).is_err(),
        "a byte too many"
    );
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        match decode(&changed) {
            Ok(other) => {
                assert_ne!(&other, value, "bit {bit}");
                assert_eq!(
                    encode(&other),
                    changed,
                    "bit {bit}: two encodings of one value"
                );
            }
            Err(error) if bit < 8 => assert!(matches!(error, Error::Version { .. }), "{error}"),
            Err(_) => {}
        }
        assert!(
            bit >= 8 || decode(&changed).is_err(),
            "another version was read"
        );
    }
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

prop_compose! {
    fn leaf()(
        erasure: bool, time_ms: u64, submitter in digest(), statement_root in digest(),
        statement_count in 1_u32..=65_536, payload_hash in digest(),
    ) -> Leaf {
        let kind = if erasure { Kind::Erasure } else { Kind::Event };
        Leaf { kind, time_ms, submitter, statement_root, statement_count, payload_hash }
    }
}

prop_compose! {
    fn header()(
        height: u64, first_entry in 0_u64..u64::MAX / 2, more in 0_u64..u64::MAX / 2,
        previous in digest(), tree_root in digest(), time_ms: u64,
    ) -> Header {
        let last_entry = first_entry + more;
        let signer = node_key().verifying_key().to_bytes();
        Header { height, first_entry, last_entry, previous, tree_root, time_ms, signer }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn leaves_are_strict(leaf in leaf()) {
        strict(&leaf, |leaf| leaf.encode().to_vec(), Leaf::decode);
    }

    #[test]
    fn blocks_are_strict(header in header()) {
        let block = header.sign(&node_key());
        block.verify_signature().unwrap();
        strict(&block, |block| block.encode().to_vec(), Block::decode);
    }

    #[test]
    fn a_block_with_any_bit_changed_is_not_signed(header in header(), bit in 0..Block::LEN * 8) {
        let mut bytes = header.sign(&node_key()).encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = Block::decode(&bytes);
        prop_assert!(changed.is_err() || changed.unwrap().verify_signature().is_err());
    }

    #[test]
    fn wrapped_keys_are_strict(
        key: [u8; 32], subject in ".{1,30}", subject_key: [u8; 32], nonce: [u8; 24],
    ) {
        let key = EntryKey::from_random(key);
        let plain = WrappedKey::wrap(&key, Custody::Plain).unwrap();
        strict(&plain, WrappedKey::encode, WrappedKey::decode);
        prop_assert_eq!(&plain.unwrap(&[]).unwrap(), &key);

        let subject_key = SubjectKey::from_random(subject_key);
        let custody = Custody::Subject { subject: &subject, key: &subject_key, nonce };
        let wrapped = WrappedKey::wrap(&key, custody).unwrap();
        strict(&wrapped, WrappedKey::encode, WrappedKey::decode);
        prop_assert_eq!(wrapped.subjects(), std::slice::from_ref(&subject));
        prop_assert_eq!(wrapped.unwrap(std::slice::from_ref(&subject_key)).unwrap(), key);
    }

    #[test]
    fn a_key_wrapped_for_a_subject_opens_with_nothing_else(key: [u8; 32], bit in 0..8_u8) {
        let subject_key = SubjectKey::from_random([1; 32]);
        let custody = Custody::Subject { subject: "farm", key: &subject_key, nonce: [2; 24] };
        let wrapped = WrappedKey::wrap(&EntryKey::from_random(key), custody).unwrap();
        prop_assert!(wrapped.unwrap(&[]).is_err());
        prop_assert!(wrapped.unwrap(&[SubjectKey::from_random([3; 32])]).is_err());
        // The version and the scheme are the first two bytes; everything behind is authenticated.
        for at in 2..wrapped.encode().len() {
            let mut bytes = wrapped.encode();
            bytes[at] ^= 1 << bit;
            let changed = WrappedKey::decode(&bytes);
            prop_assert!(changed.is_err() || changed.unwrap().unwrap(std::slice::from_ref(&subject_key)).is_err());
        }
    }

    #[test]
    fn payloads_open_with_their_key_and_no_byte_of_them_changes_unseen(
        key: [u8; 32], submitter in ".{1,30}", document: Vec<u8>, at: usize, bit in 0..8_u8,
    ) {
        let payload = Payload { content_type: ContentType::JsonLd, submitter, document };
        let derived = EntryKey::from_random(key).derive();
        let stored = payload.seal(&derived).unwrap();
        prop_assert_eq!(&payload.seal(&derived).unwrap(), &stored, "sealing is deterministic");
        prop_assert_eq!(stored.open(&derived).unwrap(), payload);

        let mut other = key;
        other[at % 32] ^= 1 << bit;
        prop_assert!(stored.open(&EntryKey::from_random(other).derive()).is_err());
        let mut changed = stored.as_bytes().to_vec();
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        prop_assert!(StoredPayload::from_bytes(changed.clone()).open(&derived).is_err());
        changed.truncate(at);
        prop_assert!(StoredPayload::from_bytes(changed).open(&derived).is_err());
    }

    #[test]
    fn tiles_write_and_read_back(hashes in prop::collection::vec(digest(), 1..=256)) {
        let tile = Tile { level: 1, index: 2, hashes };
        prop_assert_eq!(Tile::decode(1, 2, &tile.encode()).unwrap(), tile);
    }

    #[test]
    fn decoding_any_bytes_ends_without_a_panic(bytes: Vec<u8>) {
        let _ = Leaf::decode(&bytes);
        let _ = Block::decode(&bytes);
        let _ = WrappedKey::decode(&bytes);
        let _ = Tile::decode(0, 0, &bytes);
        let _ = EntryKey::from_slice(&bytes);
        let _ = StoredPayload::from_bytes(bytes).open(&EntryKey::from_random([0; 32]).derive());
    }
}

#[test]
fn a_leaf_of_no_statements_or_of_more_than_the_limit_is_refused() {
    let hash = Digest([1; 32]);
    for (statement_count, readable) in [(0, false), (1, true), (65_536, true), (65_537, false)] {
        let (submitter, statement_root, payload_hash) = (hash, hash, hash);
        let (kind, time_ms) = (Kind::Event, 0);
        let leaf = Leaf {
            kind,
            time_ms,
            submitter,
            statement_root,
            statement_count,
            payload_hash,
        };
        assert_eq!(
            Leaf::decode(&leaf.encode()).is_ok(),
            readable,
            "{statement_count}"
        );
    }
}

#[test]
fn a_key_under_several_subjects_opens_with_all_of_their_keys_and_nothing_less() {
    let entry = EntryKey::from_random([7; 32]);
    let names: Vec<String> = (10..74).map(|number| format!("subject {number}")).collect();
    let keys: Vec<SubjectKey> = (0..64).map(|n| SubjectKey::from_random([n; 32])).collect();
    let keepers: Vec<Keeper<'_>> = names
        .iter()
        .zip(&keys)
        .map(|(subject, key)| Keeper {
            subject,
            key,
            nonce: [9; 24],
        })
        .collect();
    for count in [2, 3, 64] {
        let wrapped = WrappedKey::wrap(&entry, Custody::Subjects(&keepers[..count])).unwrap();
        let bytes = wrapped.encode();
        assert_eq!(WrappedKey::decode(&bytes).unwrap(), wrapped);
        assert_eq!(wrapped.subjects(), &names[..count]);
        assert_eq!(wrapped.unwrap(&keys[..count]).unwrap(), entry);
        // One that is missing, wrong or in another place is enough.
        assert!(wrapped.unwrap(&keys[1..count]).is_err());
        for place in [0, count - 1] {
            let mut wrong = keys[..count].to_vec();
            wrong[place] = SubjectKey::from_random([0xee; 32]);
            assert!(wrapped.unwrap(&wrong).is_err());
        }
        let mut turned = keys[..count].to_vec();
        turned.swap(0, 1);
        assert!(wrapped.unwrap(&turned).is_err());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let opened = WrappedKey::decode(&changed).and_then(|key| key.unwrap(&keys[..count]));
            assert!(opened.is_err(), "byte {at} of {count} subjects");
        }
        assert!(WrappedKey::decode(&bytes[..bytes.len() - 1]).is_err());
    }
    let turned = [keepers[1], keepers[0]];
    let twice = [keepers[0], keepers[0]];
    for wrong in [&keepers[..0], &keepers[..1], &turned, &twice] {
        assert!(WrappedKey::wrap(&entry, Custody::Subjects(wrong)).is_err());
    }
    let more: Vec<_> = keepers.iter().chain(&keepers[..1]).copied().collect();
    assert!(WrappedKey::wrap(&entry, Custody::Subjects(&more)).is_err());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let key = EntryKey::from_random([0xab; 32]);
    let wrapped = WrappedKey::wrap(&key, Custody::Plain).unwrap();
    let shown = format!(
        "{key:?} {wrapped:?} {:?}",
        SubjectKey::from_random([0xab; 32])
    );
    assert!(!shown.contains("171") && !shown.contains("ab"), "{shown}");
}

#[test]
fn names_that_are_empty_or_too_long_are_refused_when_written() {
    let key = EntryKey::from_random([1; 32]);
    let subject_key = SubjectKey::from_random([1; 32]);
    for name in [String::new(), "x".repeat(65_536)] {
        let custody = Custody::Subject {
            subject: &name,
            key: &subject_key,
            nonce: [0; 24],
        };
        assert!(WrappedKey::wrap(&key, custody).is_err());
        let document = Vec::new();
        let payload = Payload {
            content_type: ContentType::JsonLd,
            submitter: name,
            document,
        };
        assert!(payload.seal(&key.derive()).is_err());
    }
}

#[test]
fn a_chain_begins_at_the_genesis_of_its_ledger_and_continues_block_by_block() {
    let (key, root) = (node_key(), Digest([1; 32]));
    let start = Tip::of_new_ledger(ORIGIN);
    assert_ne!(start, Tip::of_new_ledger("ledger.example/other"));
    assert_eq!(
        start.next(0, root, 5, &key.verifying_key()),
        None,
        "no block without entries"
    );

    let first = start.next(10, root, 5, &key.verifying_key()).unwrap();
    assert_eq!(
        (first.height, first.first_entry, first.last_entry),
        (0, 0, 9)
    );
    assert_eq!(first.previous, genesis(ORIGIN));
    start.check(&first).unwrap();

    let tip = Tip::after(&first);
    let second = tip.next(11, root, 3, &key.verifying_key()).unwrap();
    assert_eq!(
        (second.height, second.first_entry, second.last_entry),
        (1, 10, 10)
    );
    assert_eq!(
        (second.previous, second.time_ms),
        (first.hash(), 5),
        "time does not go back"
    );
    tip.check(&second).unwrap();

    let broken: [fn(&mut Header); 5] = [
        |header| header.height += 1,
        |header| header.first_entry -= 1,
        |header| header.last_entry = header.first_entry - 1,
        |header| header.previous.0[0] ^= 1,
        |header| header.time_ms -= 1,
    ];
    for (rule, change) in broken.into_iter().enumerate() {
        let mut header = second;
        change(&mut header);
        assert!(
            matches!(tip.check(&header), Err(Error::Chain { .. })),
            "rule {rule}"
        );
    }
    assert!(start.check(&second).is_err());
}
