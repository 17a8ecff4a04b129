//! The Merkle tree of RFC 6962: growing it, storing it as tiles, proving and verifying.
//!
//! A tree of `n` leaves is kept as *complete subtrees* only: the roots of the subtrees of height
//! 0, 8, 16, … in [tiles](Tile) of 256, as C2SP `tlog-tiles` lays them out. A tile never changes
//! once it is full, and the tree at every earlier size can be proven from the tiles of a later one.
//!
//! - [`Appender`] takes leaf hashes and yields the tiles to write;
//! - [`prove_inclusion`] and [`prove_consistency`] read through a [`HashSource`], for stored tiles
//!   [`TileHashes`], for a few hashes in memory [`Leaves`];
//! - [`verify_inclusion`] and [`verify_consistency`] need nothing but the proof.
//!
//! Time: an append is amortised two hashes, a proof O(log n) hashes and at most two tiles a level
//! (six tiles at a million entries).
//!
//! Sources: [RFC 6962 §2.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1),
//! [RFC 9162 §2.1](https://www.rfc-editor.org/rfc/rfc9162#section-2.1),
//! [C2SP tlog-tiles](https://c2sp.org/tlog-tiles).

mod appender;
mod bundle;
mod frontier;
mod prove;
mod tile;
mod tile_path;
mod verify;

pub use appender::Appender;
pub use bundle::{decode_bundle, encode_bundle};
pub use frontier::Frontier;
pub use prove::{HashSource, Leaves, prove_consistency, prove_inclusion, root_at};
pub use tile::{TILE_HEIGHT, TILE_WIDTH, Tile, TileHashes, TileSource};
pub use tile_path::TilePath;
pub use verify::{
    beginning_of, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};

use super::Digest;

/// The hash of a leaf: `SHA-256(0x00 ‖ data)`.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest::of(&[&[0x00], data])
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of(&[&[0x01], left.as_bytes(), right.as_bytes()])
}

/// The root of the tree without leaves: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// The root of the tree over these leaf hashes.
#[must_use]
pub fn root_of(leaves: &[Digest]) -> Digest {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(*leaf, |_, _| {});
    }
    frontier.root()
}
