//! Verifying proofs: pure functions of the proof, strict about its length.
//!
//! Both are stated for a *subtree* of a log, as draft-ietf-plants-merkle-tree-certs §4 does; the
//! tree over all leaves from the first is the subtree that starts at 0, for which the steps are
//! those of RFC 9162 §2.1.3.2 and §2.1.4.2.

use super::super::{Digest, Error};
use super::{empty_root, node_hash};

/// Verifies that `leaf` is the leaf hash at `index` of the tree of `size` leaves under `root`.
///
/// # Errors
/// [`Error::Proof`] with the first rule broken.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Digest,
    path: &[Digest],
    root: &Digest,
) -> Result<(), Error> {
    verify_subtree_inclusion(index, 0, size, leaf, path, root)
}

/// Verifies that `leaf` is the leaf hash at `index` of the log, within the subtree over the
/// leaves `start..end` under `root`.
///
/// # Errors
/// [`Error::Proof`] with the first rule broken.
pub fn verify_subtree_inclusion(
    index: u64,
    start: u64,
    end: u64,
    leaf: &Digest,
    path: &[Digest],
    root: &Digest,
) -> Result<(), Error> {
    check_subtree(start, end)?;
    if !(start..end).contains(&index) {
        return Err(Error::Proof("the index is outside the tree"));
    }
    let (mut node, mut last) = (index - start, end - start - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(Error::Proof("the path is too long"));
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // The right edge has no sibling at the heights where its node is a left one.
            let skipped = node.trailing_zeros();
            (node, last) = (node >> skipped, last >> skipped);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(Error::Proof("the path is too short"));
    }
    matches(&hash, root, "the path does not lead to the root")
}

/// Verifies that the tree of `size1` leaves under `root1` is the beginning of the tree of `size2`
/// leaves under `root2`.
///
/// # Errors
/// [`Error::Proof`] with the first rule broken; a size of 0 is refused, since every tree continues
/// the empty one.
pub fn verify_consistency(
    size1: u64,
    size2: u64,
    path: &[Digest],
    root1: &Digest,
    root2: &Digest,
) -> Result<(), Error> {
    if size1 == 0 {
        return Err(Error::Proof("the first tree is empty"));
    }
    verify_subtree_consistency(0, size1, size2, path, root1, root2)
}

/// Verifies that the subtree over the leaves `start..end` under `subroot` is part of the tree of
/// `size` leaves under `root`. An empty subtree is part of every tree.
///
/// # Errors
/// [`Error::Proof`] with the first rule broken.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    path: &[Digest],
    subroot: &Digest,
    root: &Digest,
) -> Result<(), Error> {
    check_subtree(start, end)?;
    if end > size {
        return Err(Error::Proof("the first tree is larger than the second"));
    }
    if start == end {
        if !path.is_empty() {
            return Err(Error::Proof("the path is too long"));
        }
        return matches(subroot, &empty_root(), "the empty tree has another root");
    }
    let (sub, whole) = led_to(start, end, size, path, subroot)?;
    matches(&sub, subroot, "the path does not lead to the first root")?;
    matches(&whole, root, "the path does not lead to the second root")
}

/// The root over the first `size1` leaves of the very tree of `size2` leaves under `root2`, as a
/// consistency path shows it. Where it is not the root that a log signed for `size1`, the path proves
/// that the two are of different histories. `root1` is the candidate, which a path leaves out where
/// the first tree is a whole subtree of the second.
///
/// # Errors
/// [`Error::Proof`] for a path that does not lead to `root2`: it shows nothing.
pub fn beginning_of(
    size1: u64,
    size2: u64,
    path: &[Digest],
    root1: &Digest,
    root2: &Digest,
) -> Result<Digest, Error> {
    if size1 == 0 || size1 > size2 {
        return Err(Error::Proof("the sizes are not 0 < first <= second"));
    }
    let (sub, whole) = led_to(0, size1, size2, path, root1)?;
    matches(&whole, root2, "the path does not lead to the second root")?;
    Ok(sub)
}

/// The roots of the subtree `start..end`, which is not empty, and of the tree, to which a path leads.
fn led_to(
    start: u64,
    end: u64,
    size: u64,
    path: &[Digest],
    subroot: &Digest,
) -> Result<(Digest, Digest), Error> {
    // The first and last leaf of the subtree and the last leaf of the tree, as nodes at the height
    // where the proof begins: the largest complete subtree on the subtree's right edge.
    let (mut first, mut node, mut last) = (start, end - 1, size - 1);
    let shift = if node == last {
        u64::BITS - (first ^ node).leading_zeros()
    } else {
        node.trailing_ones()
            .min(u64::BITS - (first ^ node).leading_zeros())
    };
    (first, node, last) = (shr(first, shift), shr(node, shift), shr(last, shift));

    let mut path = path.iter();
    let seed = if first == node {
        *subroot
    } else {
        *path.next().ok_or(Error::Proof("the path is too short"))?
    };
    let (mut sub, mut whole) = (seed, seed);
    for sibling in path {
        if last == 0 {
            return Err(Error::Proof("the path is too long"));
        }
        if node & 1 == 1 || node == last {
            if first < node {
                sub = node_hash(sibling, &sub);
            }
            whole = node_hash(sibling, &whole);
            let skipped = node.trailing_zeros();
            (first, node, last) = (first >> skipped, node >> skipped, last >> skipped);
        } else {
            whole = node_hash(&whole, sibling);
        }
        (first, node, last) = (first >> 1, node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(Error::Proof("the path is too short"));
    }
    Ok((sub, whole))
}

/// A subtree is one that the tree's own splitting can contain, or an empty one.
fn check_subtree(start: u64, end: u64) -> Result<(), Error> {
    let aligned = match end.checked_sub(start) {
        None => false,
        Some(0) => true,
        Some(width) => width
            .checked_next_power_of_two()
            .map_or(start == 0, |w| start.is_multiple_of(w)),
    };
    if aligned {
        Ok(())
    } else {
        Err(Error::Proof("not a subtree"))
    }
}

const fn shr(value: u64, bits: u32) -> u64 {
    if bits < u64::BITS { value >> bits } else { 0 }
}

fn matches(computed: &Digest, expected: &Digest, reason: &'static str) -> Result<(), Error> {
    if computed == expected {
        Ok(())
    } else {
        Err(Error::Proof(reason))
    }
}
