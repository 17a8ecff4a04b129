#![doc = include_str!("../FORMATS.md")]
//!
//! # The modules
//! They follow the document: [`key`], [`commitment`], [`payload`] and [`leaf`] make an [`entry`];
//! [`identity`] tells repetitions; [`merkle`], [`block`], [`note`] and [`checkpoint`] make the tree
//! and who vouches for it; [`proof`] is what is handed out. All of it is pure: time and randomness
//! are parameters.
//!
//! ```
//! use provchain::ledger::checkpoint::Checkpoint;
//! use provchain::ledger::entry::{self, NewEntry};
//! use provchain::ledger::key::{Custody, EntryKey};
//! use provchain::ledger::leaf::Kind;
//! use provchain::ledger::merkle::Appender;
//! use provchain::ledger::note::{SignatureType, SignerKey};
//! use provchain::ledger::payload::{ContentType, Payload};
//! use provchain::ledger::proof::{Disclose, ProofFile, ProvenEntry, Verdict};
//!
//! // The canonicalisation is given from outside; this one knows one document.
//! let statements_of = |_: &[u8]| Ok(vec!["<urn:e> <urn:step> \"shipping\" .".to_owned()]);
//! let document = br#"{"step":"shipping"}"#.to_vec();
//!
//! // The proposer seals the entry under a fresh key: 32 bytes of the system's random generator.
//! let key = EntryKey::from_random([7; 32]);
//! let submitter = "alice".to_owned();
//! let new = NewEntry {
//!     kind: Kind::Event,
//!     time_ms: 1_700_000_000_000,
//!     statements: statements_of(&document)?,
//!     payload: Payload { content_type: ContentType::JsonLd, submitter, document },
//! };
//! let sealed = new.seal(key, Custody::Plain)?;
//!
//! // Every node takes its leaf into the tree; one of them signs a checkpoint.
//! let mut tree = Appender::default();
//! tree.append(sealed.leaf.hash());
//! let node = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
//! let node = SignerKey::new("ledger.example/demo", SignatureType::Ed25519, node)?;
//! let checkpoint = Checkpoint::new("ledger.example/demo", tree.size(), tree.root())?.sign(&node)?;
//!
//! // A reader of the ledger discloses one statement, and anyone can verify it.
//! let key = sealed.key.unwrap(&[])?;
//! let opened = entry::open(&sealed.leaf, &sealed.payload, &key, &statements_of)?;
//! let disclose = Disclose { key: &key, entry: &opened };
//! let proven = ProvenEntry {
//!     index: 0,
//!     leaf: sealed.leaf.encode().to_vec(),
//!     inclusion: Vec::new(), // the only entry is the root
//!     disclosed: disclose.parts(false, |_, statement| statement.contains("step"))?,
//! };
//! let proof = ProofFile::new(checkpoint.to_string(), vec![proven]);
//! let report = proof.verify(&[node.verifier()], &statements_of);
//! assert_eq!(report.verdict(), Verdict::Authentic);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod block;
pub mod checkpoint;
mod codec;
pub mod commitment;
pub mod cosigner;
pub mod declaration;
pub mod entry;
mod error;
pub mod evidence;
mod hash;
pub mod identity;
pub mod key;
pub mod leaf;
pub mod merkle;
pub mod note;
pub mod payload;
pub mod proof;
pub mod succession;

pub use error::Error;
pub use hash::Digest;
