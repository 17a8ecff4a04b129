//! The tree: where entries, tiles, blocks and checkpoints meet.

use super::entries::{Examined, Opened};
use super::{Damage, KeptCheckpoint, LedgerReader, Run};
use crate::ledger::Digest;
use crate::ledger::block::Header;
use crate::ledger::entry::EntryFault;
use crate::ledger::merkle::{self, TILE_WIDTH, Tile};

impl<R: LedgerReader> Run<'_, R> {
    /// Takes the entries of one tile into the tree, and says which of them are bad.
    pub(super) fn settle(&mut self, start: u64, mut group: Vec<Examined>) {
        let end = start + group.len() as u64;
        let blocks = self.blocks_until(start, end);
        let stored = self.stored_tile(0, start / TILE_WIDTH as u64);
        let stored = stored
            .map(|tile| tile.hashes)
            .filter(|hashes| hashes.len() == group.len());
        let own: Option<Vec<Digest>> = group.iter().map(|entry| entry.leaf_hash).collect();

        let hashes = match (stored, own) {
            (Some(stored), Some(own)) if stored == own => own,
            (Some(stored), Some(own)) if self.tile_is_bad(&stored, &own, &blocks) => {
                self.bad_tile(0, start / TILE_WIDTH as u64);
                own
            }
            (Some(stored), _) => {
                blame_entries(&stored, &mut group);
                stored
            }
            (None, Some(own)) => {
                self.bad_tile(0, start / TILE_WIDTH as u64);
                own
            }
            (None, None) => {
                self.bad_tile(0, start / TILE_WIDTH as u64);
                // Nothing is known of the missing leaf: the roots behind it cannot hold.
                group
                    .iter()
                    .map(|entry| entry.leaf_hash.unwrap_or(Digest([0; 32])))
                    .collect()
            }
        };
        for (index, entry) in (start..).zip(group) {
            match entry.opened {
                Ok(Opened::Whole) => self.report.opened += 1,
                Ok(Opened::Erased) => self.report.erased += 1,
                Ok(Opened::Locked) => self.report.locked += 1,
                Err(fault) => self.report.bad_entry(index, fault),
            }
        }
        self.grow(&hashes, &blocks);
    }

    /// Whether a third witness says that the leaves of the entries are right and the stored tile
    /// is wrong.
    fn tile_is_bad(&mut self, stored: &[Digest], own: &[Digest], blocks: &[Header]) -> bool {
        let last = stored
            .iter()
            .zip(own)
            .rposition(|(stored, own)| stored != own);
        let last_differing = self.tree.size() + last.unwrap_or(0) as u64;
        !self.proven(stored, blocks, last_differing) && self.proven(own, blocks, last_differing)
    }

    /// Whether a third witness says that these are the leaf hashes of the group, at least up to
    /// index `until`: the tile of the level above, or all signed blocks and checkpoints that end in
    /// the group.
    fn proven(&mut self, hashes: &[Digest], blocks: &[Header], until: u64) -> bool {
        if hashes.len() == TILE_WIDTH {
            let index = self.tree.size() / TILE_WIDTH as u64;
            let above = self.stored_tile(1, index / TILE_WIDTH as u64);
            let position = (index % TILE_WIDTH as u64) as usize;
            let expected = above.as_ref().and_then(|tile| tile.hashes.get(position));
            if expected == Some(&merkle::root_of(hashes)) {
                return true;
            }
        }
        let end = self.tree.size() + hashes.len() as u64;
        let mut roots: Vec<(u64, Digest)> = blocks
            .iter()
            .map(|block| (block.tree_size(), block.tree_root))
            .collect();
        let checkpoints = self.checkpoints.iter().map(|it| &it.checkpoint);
        let checkpoints = checkpoints.map(|it| (it.size, it.root));
        roots.extend(checkpoints.filter(|(size, _)| (self.tree.size() + 1..=end).contains(size)));
        roots.sort_unstable();

        let mut tree = self.tree.clone();
        let mut hashes = hashes.iter();
        roots.last().is_some_and(|(size, _)| *size > until)
            && roots.iter().all(|(size, root)| {
                while tree.size() < *size {
                    let Some(hash) = hashes.next() else {
                        return false;
                    };
                    tree.append(*hash);
                }
                tree.root() == *root
            })
    }

    /// Appends the hashes, and compares roots and tiles on the way.
    fn grow(&mut self, hashes: &[Digest], blocks: &[Header]) {
        let mut blocks = blocks.iter().peekable();
        for hash in hashes {
            self.tree.append(*hash);
            let size = self.tree.size();
            if let Some(block) = blocks.next_if(|block| block.tree_size() == size) {
                if block.tree_root != self.tree.root() {
                    let reason = "its root is not that of the entries".to_owned();
                    self.bad_block(block.height, reason);
                } else if self.blocks.vouches() {
                    self.report.authenticated = size;
                }
            }
            self.check_checkpoints();
        }
        for tile in self.tree.take_tiles() {
            if tile.level > 0 && tile.hashes.len() == TILE_WIDTH {
                self.compare_tile(&tile);
            }
        }
    }

    fn check_checkpoints(&mut self) {
        let size = self.tree.size();
        for at in 0..self.checkpoints.len() {
            let KeptCheckpoint {
                checkpoint,
                vouched,
            } = &self.checkpoints[at];
            if checkpoint.size != size {
                continue;
            }
            if checkpoint.root == self.tree.root() {
                // The tree only grows: a later one that holds covers all that an earlier one did.
                if *vouched {
                    self.report.authenticated = size;
                }
            } else {
                let reason = format!("its root over {size} entries is not that of the entries");
                self.report.damage(Damage::Checkpoint { reason });
            }
        }
    }

    /// What is left at the end: the empty tree's checkpoints, partial tiles and the count of all.
    pub(super) fn check_rest_of_tree(&mut self) {
        if self.tree.size() == 0 {
            self.check_checkpoints();
        }
        let partial: Vec<Tile> = self.tree.partial_tiles().collect();
        for tile in partial.iter().filter(|tile| tile.level > 0) {
            self.compare_tile(tile);
        }
        let mut expected = 0;
        let mut width = self.tree.size();
        while width > 0 {
            expected += width.div_ceil(TILE_WIDTH as u64);
            width /= TILE_WIDTH as u64;
        }
        let stored = self.reader.tile_count();
        if let Some(stored) = self.report.readable("tiles", stored)
            && stored != expected
        {
            self.report.damage(Damage::TileCount { stored, expected });
        }
    }

    fn compare_tile(&mut self, tile: &Tile) {
        if self.stored_tile(tile.level, tile.index).as_ref() != Some(tile) {
            self.bad_tile(tile.level, tile.index);
        }
    }

    /// A tile as it is stored; one that cannot be read is as good as missing.
    fn stored_tile(&mut self, level: u8, index: u64) -> Option<Tile> {
        let bytes = self.reader.tile(level, index).ok().flatten()?;
        Tile::decode(level, index, &bytes).ok()
    }

    fn bad_tile(&mut self, level: u8, index: u64) {
        self.report.damage(Damage::Tile { level, index });
    }
}

/// Marks the entries whose leaf is not the one in the tree. That says more than what was wrong
/// inside them: a changed leaf makes everything else look wrong.
fn blame_entries(stored: &[Digest], group: &mut [Examined]) {
    for (hash, entry) in stored.iter().zip(group) {
        let differs = entry.leaf_hash.is_some_and(|own| own != *hash);
        if differs && !matches!(entry.opened, Err(EntryFault::Leaf(_))) {
            entry.opened = Err(EntryFault::LeafHash);
        }
    }
}
