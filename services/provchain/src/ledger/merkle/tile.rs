//! Tiles: 256 hashes of complete subtrees side by side.

use std::collections::BTreeMap;

use super::super::{Digest, Error};
use super::node_hash;
use super::prove::HashSource;
use super::tile_path::TilePath;

/// The height of the tree that a tile spans.
pub const TILE_HEIGHT: u32 = 8;

/// The number of hashes in a full tile.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;

/// Tile `index` of `level`: hash `i` is the root of the complete subtree over the leaves
/// `(index * 256 + i) * 256^level ..` of width `256^level`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// 0 for leaf hashes; each level above is one hash for a full tile below.
    pub level: u8,
    /// The position in the level, from 0.
    pub index: u64,
    /// 1 to 256 hashes; 256 make the tile full and final.
    pub hashes: Vec<Digest>,
}

impl Tile {
    /// The hashes one after the other: 32 to 8192 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// Reads what [`encode`](Self::encode) writes.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless there are 1 to 256 whole hashes.
    pub fn decode(level: u8, index: u64, bytes: &[u8]) -> Result<Self, Error> {
        let (hashes, rest) = bytes.as_chunks::<{ Digest::LEN }>();
        if !rest.is_empty() || hashes.is_empty() || hashes.len() > TILE_WIDTH {
            return Err(Error::malformed("tile", format!("{} bytes", bytes.len())));
        }
        let hashes = hashes.iter().copied().map(Digest).collect();
        Ok(Self {
            level,
            index,
            hashes,
        })
    }

    /// The path below a log's prefix at which `tlog-tiles` serves this tile, such as
    /// `tile/0/x001/x234/067` or `tile/0/004.p/17`.
    #[must_use]
    pub fn path(&self) -> String {
        let path = TilePath {
            level: Some(self.level),
            index: self.index,
            width: self.hashes.len(),
        };
        format!("tile/{path}")
    }

    /// The root of the subtree that a full tile spans: its hash in the level above.
    #[must_use]
    pub fn root(&self) -> Digest {
        super::root_of(&self.hashes)
    }

    /// Reads a tile of at least `width` hashes.
    pub(super) fn load<S: TileSource>(
        tiles: &mut S,
        level: u8,
        index: u64,
        width: usize,
    ) -> Result<Self, S::Error> {
        let bytes = tiles
            .tile(level, index)?
            .ok_or(Error::TileMissing { level, index })?;
        let tile = Self::decode(level, index, &bytes)?;
        if tile.hashes.len() < width {
            return Err(Error::TileMissing { level, index }.into());
        }
        Ok(tile)
    }
}

/// The number of hashes in all tiles of a level, for a tree of `size` leaves.
pub(super) fn width_at(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * TILE_HEIGHT)
        .unwrap_or(0)
}

/// Where tiles are stored.
pub trait TileSource {
    /// What reading can fail with.
    type Error: From<Error>;

    /// The bytes of the widest stored tile at this place, or nothing.
    ///
    /// # Errors
    /// Those of the storage.
    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// The hashes of all complete subtrees, read from tiles. Each tile is read once and kept, so that
/// many proofs from one `TileHashes` share their reads; make a new one for each request.
#[derive(Debug)]
pub struct TileHashes<S> {
    source: S,
    trees: BTreeMap<(u8, u64), Tree>,
}

impl<S: TileSource> TileHashes<S> {
    /// Hashes from this source.
    pub const fn new(source: S) -> Self {
        Self {
            source,
            trees: BTreeMap::new(),
        }
    }
}

impl<S: TileSource> HashSource for TileHashes<S> {
    type Error = S::Error;

    fn hash(&mut self, height: u32, index: u64) -> Result<Digest, S::Error> {
        // The subtree is a node at height `above` inside the tile, over 2^above of its hashes.
        let (level, above) = ((height / TILE_HEIGHT) as u8, height % TILE_HEIGHT);
        let tile = index >> (TILE_HEIGHT - above);
        let position = (index % (1 << (TILE_HEIGHT - above))) as usize;
        let known = |tree: &Tree| tree.node(above, position);
        if let Some(hash) = self.trees.get(&(level, tile)).and_then(known) {
            return Ok(hash);
        }
        let tree = Tree::new(&Tile::load(&mut self.source, level, tile, 1)?.hashes);
        let hash = known(&tree);
        self.trees.insert((level, tile), tree);
        hash.ok_or_else(|| Error::TileMissing { level, index: tile }.into())
    }
}

/// All complete subtrees over the hashes of one tile: `rows[h]` those of height `h`.
#[derive(Debug)]
pub(super) struct Tree {
    rows: Vec<Vec<Digest>>,
}

impl Tree {
    pub(super) fn new(hashes: &[Digest]) -> Self {
        let mut rows = vec![hashes.to_vec()];
        while let Some(row) = rows.last()
            && row.len() > 1
        {
            rows.push(
                row.as_chunks()
                    .0
                    .iter()
                    .map(|[l, r]| node_hash(l, r))
                    .collect(),
            );
        }
        Self { rows }
    }

    fn node(&self, height: u32, index: usize) -> Option<Digest> {
        self.rows.get(height as usize)?.get(index).copied()
    }

    /// The roots of the subtrees that the hashes decompose into, largest first.
    pub(super) fn peaks(&self) -> Vec<Digest> {
        let odd = self.rows.iter().filter(|row| row.len() % 2 == 1);
        odd.rev().filter_map(|row| row.last().copied()).collect()
    }
}
