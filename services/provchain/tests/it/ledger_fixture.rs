//! A small ledger in memory, and a canonicalisation that needs no JSON-LD: one statement for each
//! member of a flat JSON object.

use std::collections::BTreeMap;

use ed25519_dalek::{SigningKey, VerifyingKey};
use provchain::ledger::Digest;
use provchain::ledger::block::{Block, Tip};
use provchain::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use provchain::ledger::entry::{NewEntry, SealedEntry};
use provchain::ledger::identity::{Identifying, Identity, LedgerSecret};
use provchain::ledger::key::{Custody, EntryKey, SubjectKey};
use provchain::ledger::leaf::{Kind, Leaf};
use provchain::ledger::merkle::{Appender, TileSource, leaf_hash};
use provchain::ledger::note::{SignatureType, SignerKey, VerifierKey};
use provchain::ledger::payload::{ContentType, Payload};
use provchain::verify::{BlockRecord, EntryRecord, LedgerReader, SubjectKeyState};

pub const ORIGIN: &str = "ledger.example/cold-chain";
pub const SUBJECT: &str = "farm-7";

pub fn secret() -> LedgerSecret {
    LedgerSecret::from_random([0x5e; 32])
}

pub fn subject_key() -> SubjectKey {
    SubjectKey::from_random([0x50; 32])
}

pub fn node_key() -> SigningKey {
    SigningKey::from_bytes(&[0x0d; 32])
}

pub fn log_key() -> SignerKey {
    SignerKey::new(ORIGIN, SignatureType::Ed25519, node_key()).unwrap()
}

pub fn trusted() -> Vec<VerifierKey> {
    vec![log_key().verifier()]
}

pub fn entry_key(index: u64) -> EntryKey {
    EntryKey::from_random(Digest::of(&[b"entry key", &index.to_be_bytes()]).0)
}

/// `{"epc":"urn:1","time":"2024"}` states `<urn:event> <urn:epc> "urn:1" .` and the like, sorted.
pub fn statements_of(document: &[u8]) -> Result<Vec<String>, String> {
    let members: BTreeMap<String, String> =
        serde_json::from_slice(document).map_err(|error| error.to_string())?;
    let state = |(name, value)| format!("<urn:event> <urn:{name}> \"{value}\" .");
    Ok(members.into_iter().map(state).collect())
}

pub fn identifying_of(document: &[u8]) -> Result<Identifying, String> {
    let statements = statements_of(document)?;
    Ok(Identifying {
        statements,
        ..Identifying::default()
    })
}

pub fn document(index: u64) -> String {
    format!(
        r#"{{"epc":"urn:epc:{index}","place":"dock {index}","step":"shipping","temperature":"4.2"}}"#
    )
}

pub fn new_entry(index: u64) -> NewEntry {
    let document = document(index).into_bytes();
    NewEntry {
        kind: Kind::Event,
        time_ms: 1_700_000_000_000 + index,
        statements: statements_of(&document).unwrap(),
        payload: Payload {
            content_type: ContentType::JsonLd,
            submitter: "alice".to_owned(),
            document,
        },
    }
}

pub fn sealed_entry(index: u64) -> SealedEntry {
    new_entry(index)
        .seal(entry_key(index), Custody::Plain)
        .unwrap()
}

#[derive(Clone, Default)]
pub struct Tiles(pub BTreeMap<(u8, u64), Vec<u8>>);

impl Tiles {
    pub fn write(&mut self, tree: &mut Appender) {
        for tile in tree.take_tiles() {
            self.0.insert((tile.level, tile.index), tile.encode());
        }
    }
}

impl TileSource for Tiles {
    type Error = provchain::ledger::Error;

    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.0.get(&(level, index)).cloned())
    }
}

/// A ledger as it would be stored, every part open to damage.
#[derive(Clone)]
pub struct Ledger {
    pub size: u64,
    pub entries: Vec<EntryRecord>,
    pub blocks: Vec<BlockRecord>,
    pub tiles: Tiles,
    pub checkpoints: Vec<String>,
    pub node_keys: Vec<VerifyingKey>,
    pub identities: Vec<(Digest, u64)>,
    pub subject_key: SubjectKeyState,
    /// Entries that the storage fails to read.
    pub unreadable: Vec<u64>,
}

impl Ledger {
    /// A good ledger of `size` entries in blocks of `block` entries; what is left over at the end
    /// is not in a block yet. Every tenth entry is wrapped under the subject's key.
    pub fn new(size: u64, block: u64) -> Self {
        Self::resealed(size, block, |index| (index, node_key()))
    }

    /// A ledger that holds, of which `told` says for each index which event it has, and who seals
    /// the block that ends with it.
    pub fn resealed(size: u64, block: u64, told: impl Fn(u64) -> (u64, SigningKey)) -> Self {
        let sealer = |index| told(index).1;
        Self::build(size, block, sealer, |index| {
            let event = told(index).0;
            let subject = subject_key();
            let custody = match index % 10 {
                9 => Custody::Subject {
                    subject: SUBJECT,
                    key: &subject,
                    nonce: [9; 24],
                },
                _ => Custody::Plain,
            };
            let sealed = new_entry(event).seal(entry_key(event), custody).unwrap();
            let mut event = identifying_of(document(event).as_bytes()).unwrap();
            // The first entries are from before there were owners.
            let owner = if index < 3 { "" } else { "farm" };
            owner.clone_into(&mut event.owner);
            EntryRecord {
                index,
                leaf: sealed.leaf.encode().to_vec(),
                payload: Some(sealed.payload.as_bytes().to_vec()),
                key: Some(sealed.key.encode()),
                identity: Some(Identity::new(&secret(), &event).unwrap()),
                owner: owner.to_owned(),
            }
        })
    }

    /// A good ledger whose entries are all erased: cheap enough to be large.
    pub fn erased(size: u64, block: u64) -> Self {
        Self::build(
            size,
            block,
            |_| node_key(),
            |index| {
                let leaf = Leaf {
                    kind: Kind::Event,
                    time_ms: index,
                    submitter: Digest([1; 32]),
                    statement_root: Digest([2; 32]),
                    statement_count: 1,
                    payload_hash: Digest([3; 32]),
                };
                let leaf = leaf.encode().to_vec();
                EntryRecord {
                    index,
                    leaf,
                    payload: None,
                    key: None,
                    identity: None,
                    owner: String::new(),
                }
            },
        )
    }

    fn build(
        size: u64,
        block: u64,
        sealer: impl Fn(u64) -> SigningKey,
        record: impl Fn(u64) -> EntryRecord,
    ) -> Self {
        let (mut tree, mut tiles) = (Appender::default(), Tiles::default());
        let mut tip = Tip::of_new_ledger(ORIGIN);
        let entries: Vec<EntryRecord> = (0..size).map(record).collect();
        let mut blocks = Vec::new();
        for entry in &entries {
            tree.append(leaf_hash(&entry.leaf));
            if tree.size().is_multiple_of(block) {
                let (now, key) = (1_700_000_000_000 + entry.index, sealer(entry.index));
                let header = tip
                    .next(tree.size(), tree.root(), now, &key.verifying_key())
                    .unwrap();
                tip = Tip::after(&header);
                let block = header.sign(&key);
                blocks.push(BlockRecord {
                    height: header.height,
                    block: block.encode().to_vec(),
                });
                tiles.write(&mut tree);
            }
        }
        tiles.write(&mut tree);
        let identity = |entry: &EntryRecord| Some((entry.identity?.key, entry.index));
        let mut identities: Vec<(Digest, u64)> = entries.iter().filter_map(identity).collect();
        identities.sort_unstable();
        Self {
            size,
            entries,
            blocks,
            checkpoints: vec![checkpoint(size, tree.root()).to_string()],
            tiles,
            node_keys: vec![node_key().verifying_key()],
            identities,
            subject_key: SubjectKeyState::Known(subject_key()),
            unreadable: Vec::new(),
        }
    }

    pub fn block(&self, height: usize) -> Block {
        Block::decode(&self.blocks[height].block).unwrap()
    }
}

pub fn checkpoint(size: u64, root: Digest) -> SignedCheckpoint {
    Checkpoint::new(ORIGIN, size, root)
        .unwrap()
        .sign(&log_key())
        .unwrap()
}

impl LedgerReader for Ledger {
    type Error = String;

    fn origin(&mut self) -> Result<String, String> {
        Ok(ORIGIN.to_owned())
    }

    fn size(&mut self) -> Result<u64, String> {
        Ok(self.size)
    }

    fn node_keys(&mut self) -> Result<Vec<VerifyingKey>, String> {
        Ok(self.node_keys.clone())
    }

    fn checkpoints(&mut self) -> Result<Vec<String>, String> {
        Ok(self.checkpoints.clone())
    }

    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<EntryRecord>, String> {
        let page = self
            .entries
            .iter()
            .filter(|entry| entry.index >= from)
            .take(limit);
        page.map(|entry| match self.unreadable.contains(&entry.index) {
            true => Err("the disk is gone".to_owned()),
            false => Ok(entry.clone()),
        })
        .collect()
    }

    fn blocks(&mut self, from: u64, limit: usize) -> Result<Vec<BlockRecord>, String> {
        let page = self
            .blocks
            .iter()
            .filter(|block| block.height >= from)
            .take(limit);
        Ok(page.cloned().collect())
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, String> {
        Ok(self.tiles.0.get(&(level, index)).cloned())
    }

    fn tile_count(&mut self) -> Result<u64, String> {
        Ok(self.tiles.0.len() as u64)
    }

    fn identities(
        &mut self,
        after: Option<(Digest, u64)>,
        limit: usize,
    ) -> Result<Vec<(Digest, u64)>, String> {
        let behind = |pair: &&(Digest, u64)| after.is_none_or(|after| **pair > after);
        Ok(self
            .identities
            .iter()
            .filter(behind)
            .take(limit)
            .copied()
            .collect())
    }

    fn subject_key(&mut self, _: &str) -> Result<SubjectKeyState, String> {
        Ok(self.subject_key.clone())
    }
}
