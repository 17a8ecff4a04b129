//! Exported trees: the files that a node serves, and no others, under a checkpoint that verifies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use provchain::ledger::Digest;
use provchain::ledger::checkpoint::SignedCheckpoint;
use provchain::ledger::merkle::{
    Tile, TileHashes, TilePath, TileSource, decode_bundle, leaf_hash, prove_inclusion,
    verify_inclusion,
};
use provchain::ledger::note::VerifierKey;
use provchain::ledger::proof::Verdict;
use provchain::verify::{
    BlockRecord, EntryRecord, LedgerReader, Report, SubjectKeyState, Verifier,
};

use super::cluster::Ledger;
use super::export::{exported, files, refused, text};

/// An exported tree, read as a ledger of which nothing but the leaves is left, and the keys of the
/// ledger's nodes.
struct Exported(BTreeMap<PathBuf, Vec<u8>>, Vec<VerifierKey>);

impl Exported {
    fn read(folder: &Path, trusted: &[VerifierKey]) -> Self {
        Self(files(folder), trusted.to_vec())
    }

    fn note(&self) -> String {
        String::from_utf8(self.0[Path::new("checkpoint")].clone()).expect("text")
    }

    fn size(&self) -> u64 {
        let signed = SignedCheckpoint::parse(&self.note()).expect("a checkpoint");
        signed.checkpoint().size
    }

    /// The widest file of a tile, or of a bundle.
    fn widest(&self, level: Option<u8>, index: u64) -> Option<&Vec<u8>> {
        (1..=256).rev().find_map(|width| {
            let path = TilePath {
                level,
                index,
                width,
            };
            self.0.get(Path::new(&format!("tile/{path}")))
        })
    }

    fn leaf(&self, entry: u64) -> Option<Vec<u8>> {
        let leaves = decode_bundle(self.widest(None, entry / 256)?).expect("a bundle");
        leaves.into_iter().nth((entry % 256) as usize)
    }

    fn verify(&mut self) -> Report {
        let trusted = self.1.clone();
        let verifier = Verifier {
            statements_of: &|_| Err("nothing of an entry is there".to_owned()),
            identities: None,
            trusted: &trusted,
        };
        verifier.verify(self, &mut |_| {})
    }
}

impl TileSource for &Exported {
    type Error = provchain::ledger::Error;

    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.widest(Some(level), index).cloned())
    }
}

impl LedgerReader for Exported {
    type Error = String;

    fn origin(&mut self) -> Result<String, String> {
        Ok(self.note().lines().next().unwrap_or_default().to_owned())
    }

    fn size(&mut self) -> Result<u64, String> {
        Ok(Self::size(self))
    }

    fn node_keys(&mut self) -> Result<Vec<VerifyingKey>, String> {
        Ok(self.1.iter().map(|key| *key.public_key()).collect())
    }

    fn checkpoints(&mut self) -> Result<Vec<String>, String> {
        Ok(vec![self.note()])
    }

    fn entries(&mut self, from: u64, limit: usize) -> Result<Vec<EntryRecord>, String> {
        let leaves = (from..Self::size(self)).take(limit).map(|index| {
            let leaf = self.leaf(index).ok_or("a leaf is missing")?;
            Ok(EntryRecord {
                index,
                leaf,
                payload: None,
                key: None,
                identity: None,
                owner: String::new(),
            })
        });
        leaves.collect()
    }

    fn blocks(&mut self, _: u64, _: usize) -> Result<Vec<BlockRecord>, String> {
        Ok(Vec::new())
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, String> {
        Ok(self.widest(Some(level), index).cloned())
    }

    fn tile_count(&mut self) -> Result<u64, String> {
        let tiles = self.0.keys().filter_map(|path| {
            let path = path.to_str()?.strip_prefix("tile/")?;
            TilePath::parse(path).expect("a path of a tile").level
        });
        Ok(tiles.count() as u64)
    }

    fn identities(
        &mut self,
        _: Option<(Digest, u64)>,
        _: usize,
    ) -> Result<Vec<(Digest, u64)>, String> {
        Ok(Vec::new())
    }

    fn subject_key(&mut self, _: &str) -> Result<SubjectKeyState, String> {
        Ok(SubjectKeyState::Unavailable)
    }
}

#[tokio::test]
async fn an_exported_tree_is_the_one_that_is_served_and_verifies_without_any_node() {
    let ledger = Ledger::start(1).await;
    let (node, scratch) = (ledger.first(), ledger.scratch("exports"));
    ledger.capture_sample(600, 45).await;
    let url = node.url("api").expect("a port");
    let keys = ledger.get(node, "/api/v1/keys").await.text();
    let trusted: Vec<VerifierKey> = keys
        .lines()
        .map(|key| key.parse().expect("a key"))
        .collect();
    for as_of in [None, Some(1), Some(256), Some(512), Some(555)] {
        let out = scratch.join(format!("{as_of:?}"));
        let size = as_of.unwrap_or(600);
        let size_text = size.to_string();
        let mut arguments = vec!["--format", "tiles", "--url", &url, "--out", text(&out)];
        if as_of.is_some() {
            arguments.extend(["--as-of", &size_text]);
        }
        exported(&arguments);
        let mut tree = Exported::read(&out, &trusted);
        for (path, bytes) in &tree.0 {
            if path != Path::new("checkpoint") {
                let served = ledger.get(node, &format!("/{}", text(path))).await;
                assert_eq!(
                    (served.status, &served.body),
                    (200, bytes),
                    "{}",
                    path.display()
                );
            }
        }
        let signed = SignedCheckpoint::parse(&tree.note()).expect("a checkpoint");
        signed.verify(&trusted).expect("signed by the node");
        let root = signed.checkpoint().root;
        assert_eq!(signed.checkpoint().size, size);

        let mut hashes = TileHashes::new(&tree);
        for entry in [0, size / 2, size - 1] {
            let path = prove_inclusion(&mut hashes, entry, size).expect("enough tiles");
            let leaf = leaf_hash(&tree.leaf(entry).expect("a leaf"));
            verify_inclusion(entry, size, &leaf, &path, &root).expect("it is in the tree");
        }
        let report = tree.verify();
        assert_eq!(report.findings, [], "{as_of:?}");
        assert_eq!(
            (report.size, report.root, report.erased),
            (size, root, size)
        );
        assert_eq!(report.verdict(), Verdict::Authentic);
    }
    // Any other byte in a tile or a bundle is found.
    let good = Exported::read(&scratch.join("None"), &trusted);
    for (path, bytes) in good.0.iter().filter(|(path, _)| path.starts_with("tile")) {
        let mut damaged = Exported(good.0.clone(), trusted.clone());
        let mut other = bytes.clone();
        let last = other.len() - 1;
        other[last] ^= 1;
        damaged.0.insert(path.clone(), other);
        assert!(!damaged.verify().is_good(), "{}", path.display());
    }
    let tile = Tile::decode(0, 0, &good.0[Path::new("tile/0/000")]).expect("a tile");
    assert_eq!(tile.hashes[7], leaf_hash(&good.leaf(7).expect("a leaf")));
}

#[tokio::test]
async fn a_tree_of_no_entry_and_one_that_is_not_there_yet_are_refused() {
    let ledger = Ledger::start(1).await;
    let url = ledger.first().url("api").expect("a port");
    let out = ledger.scratch("exports").join("tree");
    let arguments = ["--format", "tiles", "--url", &url, "--out", text(&out)];
    assert!(refused(&arguments).contains("nothing to export"));
    ledger.capture_sample(3, 46).await;
    let complaint = refused(&[&arguments[..], &["--as-of", "4"]].concat());
    assert!(complaint.contains("3 entries, not 4"), "{complaint}");
    assert!(!out.exists());
}
