//! The Merkle tree against the definitions of RFC 6962, written down once more as they stand there.

use proptest::prelude::*;
use provchain::ledger::merkle::{
    Appender, HashSource as _, Leaves, TILE_WIDTH, Tile, TileHashes, TileSource, empty_root,
    leaf_hash, node_hash, prove_consistency, prove_inclusion, root_at, root_of, verify_consistency,
    verify_inclusion, verify_subtree_consistency,
};
use provchain::ledger::{Digest, Error};

use super::ledger_fixture::Tiles;

fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

fn grown(leaves: &[Digest]) -> (Appender, Tiles) {
    let (mut tree, mut tiles) = (Appender::default(), Tiles::default());
    for leaf in leaves {
        tree.append(*leaf);
    }
    tiles.write(&mut tree);
    (tree, tiles)
}

/// The largest power of two smaller than `n`.
fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// `MTH` of RFC 6962 §2.1.
fn mth(d: &[Digest]) -> Digest {
    match d {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => node_hash(&mth(&d[..k(d.len())]), &mth(&d[k(d.len())..])),
    }
}

/// `PATH` of RFC 6962 §2.1.1.
fn path(m: usize, d: &[Digest]) -> Vec<Digest> {
    if d.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = d.split_at(k(d.len()));
    let (mut path, sibling) = if m < left.len() {
        (path(m, left), right)
    } else {
        (path(m - left.len(), right), left)
    };
    path.push(mth(sibling));
    path
}

/// `SUBTREE_SUBPROOF` of draft-ietf-plants-merkle-tree-certs §4.4; from 0 it is the `SUBPROOF` of
/// RFC 6962 §2.1.2.
fn subproof(start: usize, end: usize, d: &[Digest], whole: bool) -> Vec<Digest> {
    if (start, end) == (0, d.len()) {
        return if whole { Vec::new() } else { vec![mth(d)] };
    }
    let (left, right) = d.split_at(k(d.len()));
    let k = left.len();
    let (mut path, sibling) = if end <= k {
        (subproof(start, end, left, whole), right)
    } else if k <= start {
        (subproof(start - k, end - k, right, whole), left)
    } else {
        (subproof(0, end - k, right, false), left)
    };
    path.push(mth(sibling));
    path
}

#[test]
fn roots_are_those_of_the_definition_at_every_size() {
    let all = leaves(600);
    let mut tree = Appender::default();
    for size in 0..=all.len() {
        assert_eq!(tree.root(), mth(&all[..size]), "size {size}");
        assert_eq!(root_of(&all[..size]), tree.root());
        if let Some(leaf) = all.get(size) {
            tree.append(*leaf);
        }
    }
}

#[test]
fn known_roots_of_the_certificate_transparency_tests() {
    // The leaves and roots that RFC 6962 implementations share (certificate-transparency-go,
    // transparency-dev/merkle `testonly/constants.go`).
    let data: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let all: Vec<Digest> = data
        .iter()
        .map(|d| leaf_hash(&hex::decode(d).unwrap()))
        .collect();
    for (size, root) in [
        (
            0,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            1,
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        ),
        (
            3,
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        ),
        (
            8,
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ] {
        assert_eq!(root_of(&all[..size]).to_string(), root, "size {size}");
    }
}

#[test]
fn proofs_are_those_of_the_definition_for_every_index_and_size() {
    let all = leaves(40);
    let mut source = Leaves(&all);
    for size in 1..=all.len() {
        let tree = &all[..size];
        let root = mth(tree);
        for (index, leaf) in tree.iter().enumerate() {
            let proof = prove_inclusion(&mut source, index as u64, size as u64).unwrap();
            assert_eq!(proof, path(index, tree), "leaf {index} of {size}");
            verify_inclusion(index as u64, size as u64, leaf, &proof, &root).unwrap();
        }
        for first in 1..=size {
            let proof = prove_consistency(&mut source, first as u64, size as u64).unwrap();
            assert_eq!(proof, subproof(0, first, tree, true), "{first} to {size}");
            let old = mth(&all[..first]);
            verify_consistency(first as u64, size as u64, &proof, &old, &root).unwrap();
        }
    }
}

#[test]
fn every_subtree_of_a_tree_verifies_as_part_of_it_and_no_other_range_does() {
    for size in 1..=20_usize {
        let all = leaves(size as u64);
        let root = mth(&all);
        for end in 1..=size {
            for start in 0..end {
                let subtree = &all[start..end];
                let (start, end) = (start as u64, end as u64);
                let is_subtree = start.is_multiple_of((end - start).next_power_of_two());
                let proof = match is_subtree {
                    true => subproof(start as usize, end as usize, &all, true),
                    false => Vec::new(),
                };
                let part = mth(subtree);
                let verify = |proof: &[Digest], part: &Digest, root: &Digest| {
                    verify_subtree_consistency(start, end, size as u64, proof, part, root)
                };
                let verified = verify(&proof, &part, &root);
                assert_eq!(
                    verified.is_ok(),
                    is_subtree,
                    "{start}..{end} of {size}: {verified:?}"
                );
                if is_subtree && (start, end) != (0, size as u64) {
                    assert!(
                        verify(&proof, &root, &root).is_err(),
                        "{start}..{end} of {size}"
                    );
                    assert!(
                        verify(&proof, &part, &part).is_err(),
                        "{start}..{end} of {size}"
                    );
                    assert!(
                        verify(&proof[1..], &part, &root).is_err(),
                        "{start}..{end} of {size}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_tree_of_seventy_thousand_leaves_has_the_tiles_that_the_specification_counts() {
    let (_, tiles) = grown(&leaves(70_000));
    let widths = |level| {
        let of_level = tiles.0.range((level, 0)..(level + 1, 0));
        of_level
            .map(|(_, bytes)| bytes.len() / 32)
            .collect::<Vec<_>>()
    };
    assert_eq!(widths(0).iter().filter(|width| **width == 256).count(), 273);
    assert_eq!(widths(0)[273..], [112]);
    assert_eq!(widths(1), [256, 17]);
    assert_eq!(widths(2), [1]);
    assert!(widths(3).is_empty());
}

#[test]
fn tile_paths_are_those_of_the_specification() {
    let tile = |index, width| Tile {
        level: 0,
        index,
        hashes: vec![empty_root(); width],
    };
    assert_eq!(tile(1_234_067, 256).path(), "tile/0/x001/x234/067");
    assert_eq!(tile(273, 112).path(), "tile/0/273.p/112");
    assert_eq!(
        Tile {
            level: 63,
            index: 0,
            hashes: vec![empty_root()]
        }
        .path(),
        "tile/63/000.p/1"
    );
}

/// Counts what is read.
struct Counting(Tiles, usize);

impl TileSource for &mut Counting {
    type Error = Error;

    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
        self.1 += 1;
        self.0.tile(level, index)
    }
}

#[test]
fn a_proof_reads_at_most_two_tiles_a_level() {
    let size = 70_000;
    let (tree, tiles) = grown(&leaves(size));
    for index in [0, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let mut counting = Counting(tiles.clone(), 0);
        let mut hashes = TileHashes::new(&mut counting);
        let proof = prove_inclusion(&mut hashes, index, size).unwrap();
        let leaf = leaf_hash(&index.to_be_bytes());
        verify_inclusion(index, size, &leaf, &proof, &tree.root()).unwrap();
        assert!(counting.1 <= 6, "leaf {index}: {} tiles", counting.1);
    }
}

#[test]
fn a_missing_or_short_tile_is_an_error_and_no_wrong_proof() {
    let size = 70_000;
    let (_, good) = grown(&leaves(size));
    let mut tiles = good.clone();
    tiles.0.remove(&(1, 1));
    let missing = prove_inclusion(&mut TileHashes::new(tiles), 69_999, size);
    assert_eq!(missing, Err(Error::TileMissing { level: 1, index: 1 }));

    let mut tiles = good;
    tiles.0.get_mut(&(0, 273)).unwrap().truncate(32 * 100);
    let short = prove_inclusion(&mut TileHashes::new(tiles), 69_999, size);
    assert_eq!(
        short,
        Err(Error::TileMissing {
            level: 0,
            index: 273
        })
    );
}

#[test]
fn indices_and_sizes_outside_the_tree_are_refused() {
    let all = leaves(4);
    let mut source = Leaves(&all);
    assert!(prove_inclusion(&mut source, 4, 4).is_err());
    assert!(prove_inclusion(&mut source, 0, 0).is_err());
    assert!(prove_inclusion(&mut source, 0, 5).is_err());
    assert!(prove_consistency(&mut source, 0, 4).is_err());
    assert!(prove_consistency(&mut source, 4, 3).is_err());
    assert!(source.hash(63, u64::MAX).is_err());
}

#[test]
fn tiles_of_another_length_are_not_read() {
    for len in [0, 1, 31, 33, 32 * (TILE_WIDTH + 1)] {
        assert!(Tile::decode(0, 0, &vec![0; len]).is_err(), "{len} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_and_restarts_do_not_change_the_tree(
        batches in prop::collection::vec(1_u64..700, 1..6),
    ) {
        let all = leaves(batches.iter().sum());
        let (mut tree, mut tiles) = (Appender::default(), Tiles::default());
        let mut rest = all.as_slice();
        for batch in batches {
            let (now, later) = rest.split_at(batch as usize);
            rest = later;
            for leaf in now {
                tree.append(*leaf);
            }
            tiles.write(&mut tree);
            tree = Appender::resume(tree.size(), &mut tiles).unwrap();
        }
        let (whole, written_at_once) = grown(&all);
        prop_assert_eq!(tree.root(), whole.root());
        prop_assert_eq!(tiles.0, written_at_once.0);
    }

    #[test]
    fn every_earlier_tree_is_proven_from_the_tiles_of_a_later_one(
        size in 1_u64..3000, first in 1_u64..3000, index in 0_u64..3000,
    ) {
        let all = leaves(3000);
        let (first, index) = (first.min(size), index % size);
        let mut hashes = TileHashes::new(grown(&all).1);
        let root = root_of(&all[..size as usize]);
        prop_assert_eq!(root_at(&mut hashes, size).unwrap(), root);

        let proof = prove_inclusion(&mut hashes, index, size).unwrap();
        prop_assert_eq!(&proof, &path(index as usize, &all[..size as usize]));
        verify_inclusion(index, size, &all[index as usize], &proof, &root).unwrap();

        let proof = prove_consistency(&mut hashes, first, size).unwrap();
        prop_assert_eq!(&proof, &subproof(0, first as usize, &all[..size as usize], true));
        let old = root_of(&all[..first as usize]);
        verify_consistency(first, size, &proof, &old, &root).unwrap();
    }

    #[test]
    fn a_changed_proof_does_not_verify(
        size in 2_u64..200, index in 0_u64..200, first in 1_u64..200, place in any::<usize>(), bit in 0_u8..8,
    ) {
        let all = leaves(size);
        let (index, first) = (index % size, 1 + first % (size - 1));
        let mut source = Leaves(&all);
        let root = root_of(&all);
        let flip = |proof: &[Digest]| {
            let mut proof = proof.to_vec();
            let at = place % (proof.len() * 32);
            proof[at / 32].0[at % 32] ^= 1_u8 << bit;
            proof
        };

        let leaf = all[index as usize];
        let proof = prove_inclusion(&mut source, index, size).unwrap();
        let longer = [proof.clone(), vec![leaf]].concat();
        for wrong in [flip(&proof), proof[1..].to_vec(), proof[..proof.len() - 1].to_vec(), longer] {
            prop_assert!(verify_inclusion(index, size, &leaf, &wrong, &root).is_err());
        }
        let other = (index + 1) % size;
        prop_assert!(verify_inclusion(other, size, &leaf, &proof, &root).is_err());

        let old = root_of(&all[..first as usize]);
        let proof = prove_consistency(&mut source, first, size).unwrap();
        let longer = [proof.clone(), vec![root]].concat();
        for wrong in [flip(&proof), proof[1..].to_vec(), proof[..proof.len() - 1].to_vec(), longer] {
            prop_assert!(verify_consistency(first, size, &wrong, &old, &root).is_err());
        }
        prop_assert!(verify_consistency(first, size, &proof, &root, &old).is_err());
    }

    #[test]
    fn verification_of_anything_ends_without_a_panic(
        a in any::<u64>(), b in any::<u64>(), len in 0_usize..140,
    ) {
        let path = vec![empty_root(); len];
        let hash = empty_root();
        prop_assert!(verify_inclusion(a, b, &hash, &path, &hash).is_err() || (b == 1 && len == 0));
        let consistent = verify_consistency(a, b, &path, &hash, &hash);
        prop_assert!(consistent.is_err() || (a == b && len == 0));
    }
}
