//! The right edge of a growing tree.

use super::super::Digest;
use super::{empty_root, node_hash};

/// The roots of the complete subtrees that a tree of `size` leaves decomposes into, one for each
/// bit of `size`, largest first: all that is needed to append and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash, and reports every subtree that it completes as `(height, hash)`, from
    /// the leaf (height 0) upward. Amortised one inner hash.
    pub fn push(&mut self, leaf: Digest, mut completed: impl FnMut(u32, Digest)) {
        completed(0, leaf);
        let mut hash = leaf;
        // Each trailing one bit of the size is a peak that the new leaf makes whole.
        for height in 1..=self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one peak for each bit of the size");
            hash = node_hash(&left, &hash);
            completed(height, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the tree as it is now. O(log n).
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// A frontier from its peaks, largest first: one for each bit of `size`.
    pub(super) fn from_peaks(size: u64, peaks: Vec<Digest>) -> Self {
        debug_assert_eq!(peaks.len(), size.count_ones() as usize);
        Self { size, peaks }
    }
}
