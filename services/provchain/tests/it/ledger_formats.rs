//! The worked example of `FORMATS.md`: every value in it is what the code computes.
//!
//! The values in the document were computed by another implementation, from its text alone.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use provchain::ledger::block::{Tip, genesis};
use provchain::ledger::checkpoint::Checkpoint;
use provchain::ledger::commitment::{Commitments, commit_submitter};
use provchain::ledger::entry::NewEntry;
use provchain::ledger::identity::{Identifying, Identity, LedgerSecret, Subject};
use provchain::ledger::key::{Custody, EntryKey, Keeper, SubjectKey, WrappedKey};
use provchain::ledger::leaf::{Kind, Leaf};
use provchain::ledger::merkle;
use provchain::ledger::note::{SignatureType, SignerKey};
use provchain::ledger::payload::{ContentType, Payload};
use provchain::subject::KeyId;

const FORMATS: &str = include_str!("../../FORMATS.md");
const ORIGIN: &str = "ledger.example/demo";
const DOCUMENT: &str = r#"{"type":"ObjectEvent","action":"OBSERVE","bizStep":"shipping"}"#;

/// The fenced blocks of the worked example.
fn example() -> Vec<&'static str> {
    let section = FORMATS.split_once("## Worked example").unwrap().1;
    let section = section.split_once("## Sources").unwrap().0;
    section
        .split("```")
        .skip(1)
        .step_by(2)
        .map(|block| block.strip_prefix("text\n").unwrap())
        .collect()
}

/// The values of the second block, by name: a line with the name, then indented lines of hex.
fn documented() -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut name = "";
    for line in example()[1].lines() {
        match line.strip_prefix("    ") {
            Some(hex) => values.entry(name.to_owned()).or_default().push_str(hex),
            None => name = line,
        }
    }
    values
}

fn entry_key() -> EntryKey {
    EntryKey::from_random(std::array::from_fn(|i| i as u8))
}

fn entry() -> NewEntry {
    NewEntry {
        kind: Kind::Event,
        time_ms: 1_700_000_000_000,
        payload: Payload {
            content_type: ContentType::JsonLd,
            submitter: "alice".to_owned(),
            document: DOCUMENT.as_bytes().to_vec(),
        },
        statements: example()[0].lines().map(str::to_owned).collect(),
    }
}

#[test]
fn every_value_of_the_worked_example_is_what_the_code_computes() {
    let key = entry_key();
    let derived = key.derive();
    let entry = entry();
    let mut computed: BTreeMap<String, String> = BTreeMap::new();
    let mut put = |name: &str, bytes: &[u8]| {
        computed.insert(name.to_owned(), hex::encode(bytes));
    };

    put("entry key", key.expose());
    let commitments = Commitments::new(&derived, &entry.statements).unwrap();
    for (i, commitment) in (0..).zip(commitments.digests()) {
        put(&format!("salt {i}"), &derived.statement_salt(i));
        put(&format!("commitment {i}"), commitment.as_bytes());
    }
    put("statement root", commitments.root().as_bytes());
    put("submitter salt", &derived.submitter_salt());
    put(
        "submitter commitment",
        commit_submitter(&derived.submitter_salt(), "alice").as_bytes(),
    );
    // The payload key never leaves the code: this is what the document says of it.
    let mut payload_key = [0; 32];
    let hkdf = Hkdf::<sha2::Sha256>::from_prk(key.expose()).unwrap();
    hkdf.expand(b"provchain/v1 payload key", &mut payload_key)
        .unwrap();
    put("payload key", &payload_key);

    let sealed = entry.seal(key, Custody::Plain).unwrap();
    put("stored payload", sealed.payload.as_bytes());
    put("payload hash", sealed.payload.hash().as_bytes());
    put("leaf", &sealed.leaf.encode());
    put("leaf hash", sealed.leaf.hash().as_bytes());
    put("wrapped key", &sealed.key.encode());

    let node = SigningKey::from_bytes(&[0x42; 32]);
    put("genesis", genesis(ORIGIN).as_bytes());
    put("node public key", node.verifying_key().as_bytes());
    let root = merkle::root_of(&[sealed.leaf.hash()]);
    let tip = Tip::of_new_ledger(ORIGIN);
    let header = tip
        .next(1, root, 1_700_000_001_000, &node.verifying_key())
        .unwrap();
    put("block", &header.sign(&node).encode());
    put("block hash", header.hash().as_bytes());

    put("ledger secret", &[0x5e; 32]);
    let mut event = Identifying {
        statements: entry.statements,
        ..Identifying::default()
    };
    let secret = LedgerSecret::from_random([0x5e; 32]);
    put(
        "identity by content, without an owner",
        Identity::new(&secret, &event).unwrap().key.as_bytes(),
    );
    event.event_id = Some("urn:uuid:1".to_owned());
    put(
        "identity by event id, without an owner",
        Identity::new(&secret, &event).unwrap().key.as_bytes(),
    );
    event.owner = "farm".to_owned();
    put(
        "identity by event id, of the owner farm",
        Identity::new(&secret, &event).unwrap().key.as_bytes(),
    );
    event.event_id = None;
    put(
        "identity by content, of the owner farm",
        Identity::new(&secret, &event).unwrap().key.as_bytes(),
    );

    subjects(&secret, &mut put);
    assert_eq!(documented(), computed);

    let key = SignerKey::new(ORIGIN, SignatureType::Ed25519, node).unwrap();
    let signed = Checkpoint::new(ORIGIN, 1, root)
        .unwrap()
        .sign(&key)
        .unwrap();
    assert_eq!(example()[2], signed.to_string());
    assert_eq!(example()[3], format!("{}\n", key.verifier()));
}

/// The pseudonyms of two subjects, and the entry key under the key of one, and under those of both.
fn subjects(secret: &LedgerSecret, put: &mut impl FnMut(&str, &[u8])) {
    let of_field = secret.pseudonym(&Subject::Field {
        name: "https://ns.example.com/ext/driver",
        value: "Ann",
    });
    let of_party = secret.pseudonym(&Subject::Party("https://id.gs1.org/417/0614141007776"));
    put("pseudonym of the field", of_field.as_bytes());
    put("pseudonym of the party", of_party.as_bytes());
    let name = |subject, number| {
        let id = KeyId {
            subject,
            generation: 0,
            id: [number; 16],
        };
        id.to_string()
    };
    let (field, party) = (name(of_field, 0x70), name(of_party, 0x71));
    let keys = [0x50, 0x51].map(|byte| SubjectKey::from_random([byte; 32]));
    let keeper = |subject, place: usize| Keeper {
        subject,
        key: &keys[place],
        nonce: [[0x60; 24], [0x61; 24]][place],
    };
    let one = keeper(&field, 0);
    let custody = Custody::Subject {
        subject: one.subject,
        key: one.key,
        nonce: one.nonce,
    };
    let wrapped = WrappedKey::wrap(&entry_key(), custody).unwrap();
    put("wrapped key, one subject", &wrapped.encode());
    let both = [keeper(&party, 1), one];
    let wrapped = WrappedKey::wrap(&entry_key(), Custody::Subjects(&both)).unwrap();
    put("wrapped key, two subjects", &wrapped.encode());
}

#[test]
fn the_documented_offsets_of_the_leaf_are_where_its_fields_are() {
    let sealed = entry().seal(entry_key(), Custody::Plain).unwrap();
    let bytes = sealed.leaf.encode();
    let documented = FORMATS
        .split_once("\n## Leaf\n")
        .unwrap()
        .1
        .split_once("\n## ")
        .unwrap()
        .0;
    let rows = documented.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (offset, size) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
        Some((offset, size, cells.next()?))
    });
    let rows: Vec<(usize, usize, &str)> = rows.collect();
    let fields: [(&str, &[u8]); 7] = [
        ("version", &[1]),
        ("kind", &[1]),
        ("time", &sealed.leaf.time_ms.to_be_bytes()),
        ("submitter", &sealed.leaf.submitter.0),
        ("statement root", &sealed.leaf.statement_root.0),
        (
            "number of statements",
            &sealed.leaf.statement_count.to_be_bytes(),
        ),
        ("payload hash", &sealed.leaf.payload_hash.0),
    ];
    assert_eq!(rows.len(), fields.len());
    for ((offset, size, described), (name, value)) in rows.into_iter().zip(fields) {
        assert!(described.starts_with(name), "{described}");
        assert_eq!(&bytes[offset..offset + size], value, "{name}");
    }
    assert_eq!(bytes.len(), Leaf::LEN);
}
