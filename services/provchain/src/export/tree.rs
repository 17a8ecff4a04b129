//! The tree as the files that C2SP `tlog-tiles` lays out.

use crate::ledger::Digest;
use crate::ledger::merkle::{Appender, TILE_WIDTH, Tile, TilePath, encode_bundle, leaf_hash};

/// A file of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Where it lies below the log's prefix: `tile/…`.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Leaves on their way into the files of a tree. The tiles are made of the leaves, not copied: files
/// whose root is that of a checkpoint are what every node serves under it.
#[derive(Debug, Default)]
pub struct TreeFiles {
    tree: Appender,
}

impl TreeFiles {
    /// Takes the leaves of the next bundle in, 256 of them but for the last bundle; gives the files
    /// that are done.
    pub fn push(&mut self, leaves: &[Vec<u8>]) -> Vec<TreeFile> {
        let bundle = TilePath {
            level: None,
            index: self.tree.size() / TILE_WIDTH as u64,
            width: leaves.len(),
        };
        for leaf in leaves {
            self.tree.append(leaf_hash(leaf));
        }
        let tiles = self.tree.take_tiles();
        let full = tiles.iter().filter(|tile| tile.hashes.len() == TILE_WIDTH);
        let mut files: Vec<TreeFile> = full.map(file).collect();
        files.push(TreeFile {
            path: format!("tile/{bundle}"),
            bytes: encode_bundle(leaves),
        });
        files
    }

    /// The root of the tree over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// The tiles at the right edge, which are not full.
    #[must_use]
    pub fn edge(&self) -> Vec<TreeFile> {
        self.tree.partial_tiles().map(|tile| file(&tile)).collect()
    }
}

fn file(tile: &Tile) -> TreeFile {
    TreeFile {
        path: tile.path(),
        bytes: tile.encode(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_those_that_the_specification_lists_for_a_tree() {
        let size = 256 * 256 + 300;
        let leaves: Vec<Vec<u8>> = (0..size as u32)
            .map(|it| it.to_be_bytes().to_vec())
            .collect();
        let mut files = TreeFiles::default();
        let mut paths: Vec<String> = Vec::new();
        for bundle in leaves.chunks(TILE_WIDTH) {
            paths.extend(files.push(bundle).into_iter().map(|file| file.path));
        }
        paths.extend(files.edge().into_iter().map(|file| file.path));
        paths.sort_unstable();
        let mut expected: Vec<String> = Vec::new();
        for kind in ["0", "entries"] {
            expected.extend((0..257).map(|index| format!("tile/{kind}/{index:03}")));
            expected.push(format!("tile/{kind}/257.p/44"));
        }
        expected.extend(["tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"].map(str::to_owned));
        expected.sort_unstable();
        assert_eq!(paths, expected);
    }
}
