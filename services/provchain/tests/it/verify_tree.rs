//! Whole ledgers: damage to the tree and to the chain, which is no entry's.

use ed25519_dalek::SigningKey;
use provchain::ledger::Digest;
use provchain::ledger::block::Block;
use provchain::ledger::merkle::TileSource as _;
use provchain::verify::{Damage, Finding};

use super::ledger_fixture::{Ledger, node_key};
use super::verify::{findings, verify};

/// Three tiles, the last one partial; 25 entries are behind the last block.
fn ledger() -> Ledger {
    Ledger::erased(625, 100)
}

#[test]
fn every_tile_of_a_tree_of_three_levels_is_compared() {
    let good = Ledger::erased(65_536 + 300, 10_000);
    let report = verify(&good);
    assert_eq!(report.findings, []);
    assert_eq!(report.erased, 65_836);
    for place in [(0, 257), (1, 0), (2, 0)] {
        let mut ledger = good.clone();
        ledger.tiles.0.get_mut(&place).unwrap()[31] ^= 1;
        let (level, index) = place;
        let report = verify(&ledger);
        assert_eq!(
            report.findings,
            [Finding::Elsewhere(Damage::Tile { level, index })]
        );
    }
}

#[test]
fn a_damaged_tile_is_damage_elsewhere_and_no_entry_is_blamed() {
    let good = ledger();
    let places: Vec<(u8, u64)> = good.tiles.0.keys().copied().collect();
    assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0)]);
    for (level, index) in places {
        let expected = Damage::Tile { level, index }.to_string();
        let len = good.tiles.0[&(level, index)].len();
        for at in [0, len - 1] {
            let mut flipped = good.clone();
            flipped.tiles.0.get_mut(&(level, index)).unwrap()[at] ^= 1;
            assert_eq!(
                findings(&flipped),
                [expected.as_str()],
                "byte {at} of {len}"
            );
        }
        let mut short = good.clone();
        short
            .tiles
            .0
            .get_mut(&(level, index))
            .unwrap()
            .truncate(len - 32);
        assert_eq!(findings(&short), [expected.as_str()]);

        let mut missing = good.clone();
        missing.tiles.0.remove(&(level, index));
        let count = "tiles: 3 are stored, the tree has 4";
        assert_eq!(findings(&missing), [expected.as_str(), count]);
    }
    let mut stray = good;
    let tile = stray.tiles.tile(0, 0).unwrap().unwrap();
    stray.tiles.0.insert((5, 5), tile);
    assert_eq!(findings(&stray), ["tiles: 5 are stored, the tree has 4"]);
}

#[test]
fn a_damaged_entry_and_a_damaged_tile_are_told_apart() {
    let mut ledger = ledger();
    ledger.entries[300].leaf[9] ^= 1;
    ledger.tiles.0.get_mut(&(0, 0)).unwrap()[0] ^= 1;
    assert_eq!(
        findings(&ledger),
        [
            "tile 0/0: missing, or not the one that the entries make",
            "entry 300: leaf: it is not the one in the tree"
        ]
    );
}

#[test]
fn any_flipped_byte_of_a_block_is_found_in_that_block() {
    let good = ledger();
    for height in [0, 3, 5] {
        for at in 0..Block::LEN {
            let mut ledger = good.clone();
            ledger.blocks[height].block[at] ^= 1;
            let found = findings(&ledger);
            assert_eq!(found.len(), 1, "byte {at}: {found:?}");
            assert!(
                found[0].starts_with(&format!("block {height}: ")),
                "byte {at}: {found:?}"
            );
        }
    }
}

#[test]
fn a_missing_block_is_named() {
    let mut ledger = ledger();
    ledger.blocks.remove(2);
    assert_eq!(findings(&ledger), ["block 2: it is missing"]);
}

#[test]
fn a_block_by_a_stranger_or_out_of_the_chain_is_named() {
    let good = ledger();
    let stranger = SigningKey::from_bytes(&[0x66; 32]);
    let mut foreign = good.clone();
    let mut header = good.block(3).header;
    header.signer = stranger.verifying_key().to_bytes();
    foreign.blocks[3].block = header.sign(&stranger).encode().to_vec();
    assert_eq!(
        findings(&foreign),
        ["block 3: its signer is no node of the ledger"]
    );

    let mut broken = good.clone();
    let mut header = good.block(3).header;
    header.previous = Digest([1; 32]);
    let signed = header.sign(&node_key());
    broken.blocks[3].block = signed.encode().to_vec();
    let found = findings(&broken);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("the previous hash is not that of the block before"),
        "{found:?}"
    );

    let mut wrong_root = good.clone();
    let mut header = good.block(5).header;
    header.tree_root = Digest([1; 32]);
    let signed = header.sign(&node_key());
    wrong_root.blocks[5].block = signed.encode().to_vec();
    assert_eq!(
        findings(&wrong_root),
        ["block 5: its root is not that of the entries"]
    );
}

#[test]
fn a_block_in_the_place_of_another_is_named_even_behind_a_bad_one() {
    let mut ledger = ledger();
    ledger.blocks[2].block[60] ^= 1;
    ledger.blocks[3].block = ledger.blocks[4].block.clone();
    let found = findings(&ledger);
    assert!(found[0].starts_with("block 2: "), "{found:?}");
    assert_eq!(found[1..], ["block 3: it says that it is block 4"]);
}
