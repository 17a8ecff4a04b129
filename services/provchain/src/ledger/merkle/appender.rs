//! Growing a tree and yielding its tiles.

use super::super::Digest;
use super::frontier::Frontier;
use super::tile::{TILE_HEIGHT, TILE_WIDTH, Tile, TileSource, Tree, width_at};

/// A growing tree with the partial tiles of its right edge.
///
/// Append a batch, then write what [`take_tiles`](Self::take_tiles) returns in the transaction
/// that stores the batch. If that transaction fails, throw the appender away and
/// [`resume`](Self::resume) from what is stored.
#[derive(Clone, Debug, Default)]
pub struct Appender {
    frontier: Frontier,
    /// The partial tile at the right end of each level; `edge[l]` holds `(size >> 8l) % 256`.
    edge: Vec<Vec<Digest>>,
    /// Tiles that have become full since the last take.
    full: Vec<Tile>,
    /// The size at the last take.
    taken: u64,
}

impl Appender {
    /// Continues a tree of `size` leaves from its stored tiles: one read for each level that has a
    /// partial tile.
    ///
    /// # Errors
    /// Those of the source; and for a stored tile [`TileMissing`](crate::ledger::Error::TileMissing)
    /// and [`Malformed`](crate::ledger::Error::Malformed).
    pub fn resume<S: TileSource>(size: u64, tiles: &mut S) -> Result<Self, S::Error> {
        let mut edge = Vec::new();
        let mut peaks = Vec::new();
        let mut level = 0_u8;
        while width_at(size, level) > 0 {
            let width = (width_at(size, level) % TILE_WIDTH as u64) as usize;
            let index = width_at(size, level) / TILE_WIDTH as u64;
            let mut hashes = Vec::with_capacity(TILE_WIDTH);
            if width > 0 {
                let tile = Tile::load(tiles, level, index, width)?;
                hashes.extend_from_slice(&tile.hashes[..width]);
            }
            peaks.push(Tree::new(&hashes).peaks());
            edge.push(hashes);
            level += 1;
        }
        // The highest level holds the largest subtrees.
        let peaks = peaks.into_iter().rev().flatten().collect();
        let frontier = Frontier::from_peaks(size, peaks);
        Ok(Self {
            frontier,
            edge,
            full: Vec::new(),
            taken: size,
        })
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree as it is now.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// Appends a leaf hash. Amortised two SHA-256 computations, no input or output.
    pub fn append(&mut self, leaf: Digest) {
        let Self {
            frontier,
            edge,
            full,
            ..
        } = self;
        let position = frontier.size();
        frontier.push(leaf, |height, hash| {
            if height % TILE_HEIGHT != 0 {
                return;
            }
            let level = (height / TILE_HEIGHT) as usize;
            if edge.len() == level {
                edge.push(Vec::with_capacity(TILE_WIDTH));
            }
            edge[level].push(hash);
            if edge[level].len() == TILE_WIDTH {
                let hashes = std::mem::replace(&mut edge[level], Vec::with_capacity(TILE_WIDTH));
                let index = position.checked_shr(height + TILE_HEIGHT).unwrap_or(0);
                full.push(Tile {
                    level: level as u8,
                    index,
                    hashes,
                });
            }
        });
    }

    /// The tiles to write since the last call: those that have become full, and the partial tiles
    /// that have grown. A partial tile replaces the narrower one of the same level and index.
    pub fn take_tiles(&mut self) -> Vec<Tile> {
        let size = self.size();
        let mut tiles = std::mem::take(&mut self.full);
        for (level, hashes) in (0_u8..).zip(&self.edge) {
            let grown = width_at(size, level) != width_at(self.taken, level);
            if grown && !hashes.is_empty() {
                let index = width_at(size, level) / TILE_WIDTH as u64;
                tiles.push(Tile {
                    level,
                    index,
                    hashes: hashes.clone(),
                });
            }
        }
        self.taken = size;
        tiles
    }

    /// The partial tiles of the right edge, those that are not empty.
    pub fn partial_tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        (0_u8..)
            .zip(&self.edge)
            .filter(|(_, hashes)| !hashes.is_empty())
            .map(|(level, hashes)| {
                let index = width_at(self.size(), level) / TILE_WIDTH as u64;
                Tile {
                    level,
                    index,
                    hashes: hashes.clone(),
                }
            })
    }
}
