//! Making proofs from the hashes of complete subtrees.

use super::super::{Digest, Error};
use super::{empty_root, node_hash, root_of};

/// The hashes of complete subtrees.
pub trait HashSource {
    /// What reading can fail with.
    type Error: From<Error>;

    /// The root of the complete subtree of `2^height` leaves that begins at leaf
    /// `index * 2^height`. Asked for subtrees that the tree contains, and for no others.
    ///
    /// # Errors
    /// Those of the storage.
    fn hash(&mut self, height: u32, index: u64) -> Result<Digest, Self::Error>;
}

/// Leaf hashes in memory: for small trees, every inner hash is computed when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Leaves<'a>(pub &'a [Digest]);

impl HashSource for Leaves<'_> {
    type Error = Error;

    fn hash(&mut self, height: u32, index: u64) -> Result<Digest, Error> {
        let subtree = || {
            let width = 1_usize.checked_shl(height)?;
            let start = width.checked_mul(usize::try_from(index).ok()?)?;
            self.0.get(start..start.checked_add(width)?)
        };
        subtree()
            .map(root_of)
            .ok_or(Error::Proof("a leaf is missing"))
    }
}

/// The root of the tree over the first `size` leaves.
///
/// # Errors
/// Those of the source.
pub fn root_at<S: HashSource>(source: &mut S, size: u64) -> Result<Digest, S::Error> {
    if size == 0 {
        return Ok(empty_root());
    }
    range_root(source, 0, size)
}

/// The inclusion proof of leaf `index` in the tree over the first `size` leaves, from the leaf's
/// sibling upward (`PATH` of RFC 9162 §2.1.3.1).
///
/// # Errors
/// [`Error::Proof`] unless `index < size`, and those of the source.
pub fn prove_inclusion<S: HashSource>(
    source: &mut S,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, S::Error> {
    if index >= size {
        return Err(Error::Proof("the index is not below the tree size").into());
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(source, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof between the trees over the first `size1` and the first `size2` leaves
/// (`PROOF` of RFC 9162 §2.1.4.1); empty between equal sizes.
///
/// # Errors
/// [`Error::Proof`] unless `0 < size1 <= size2`, and those of the source.
pub fn prove_consistency<S: HashSource>(
    source: &mut S,
    size1: u64,
    size2: u64,
) -> Result<Vec<Digest>, S::Error> {
    if size1 == 0 || size1 > size2 {
        return Err(Error::Proof("the sizes are not 0 < first <= second").into());
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size2);
    while size1 != end {
        let middle = start + split(end - start);
        if size1 <= middle {
            path.push(range_root(source, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(source, start, middle)?);
            start = middle;
        }
    }
    // The verifier knows the first root: it is left out where the old tree is a whole subtree.
    if start > 0 {
        path.push(range_root(source, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two below `width`, for a width of at least two: where RFC 6962 splits.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// The root of the leaves `start..end`, a range that the tree's own splitting leads to: `start`
/// is a multiple of the width rounded up to a power of two.
fn range_root<S: HashSource>(source: &mut S, start: u64, end: u64) -> Result<Digest, S::Error> {
    let width = end - start;
    if width.is_power_of_two() {
        let height = width.ilog2();
        return source.hash(height, start >> height);
    }
    let middle = start + split(width);
    let left = range_root(source, start, middle)?;
    let right = range_root(source, middle, end)?;
    Ok(node_hash(&left, &right))
}
