// The RFC 6962 tree: hashes, roots, and the verification of paths (RFC 9162, section 2.1).
// Positions are `BigInt`: the operators on bits of a Number end at 32.

import { equal } from "./bytes.js";
import { sha256 } from "./cipher.js";

export const leafHash = (leaf) => sha256(Uint8Array.of(0), leaf);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

/** The root over these leaf hashes, of which there is one at least. */
export function rootOf(hashes) {
  let level = hashes;
  while (level.length > 1) {
    const above = [];
    for (let at = 0; at + 1 < level.length; at += 2) above.push(nodeHash(level[at], level[at + 1]));
    // An odd one goes up as it is: so the largest complete subtree stands on the left.
    if (level.length % 2 === 1) above.push(level.at(-1));
    level = above;
  }
  return level[0];
}

function trailingZeros(number) {
  let zeros = 0n;
  while (((number >> zeros) & 1n) === 0n) zeros += 1n;
  return zeros;
}

/** Throws unless `leaf` is the leaf hash at `index` of the tree of `size` leaves under `root`. */
export function checkInclusion(index, size, leaf, path, root) {
  if (index >= size) throw new Error("the index is outside the tree");
  let [node, last, hash] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (last === 0n) throw new Error("the path is too long");
    if ((node & 1n) === 1n || node === last) {
      hash = nodeHash(sibling, hash);
      // The right edge has no sibling at the heights where its node is a left one.
      const skipped = trailingZeros(node);
      [node, last] = [node >> skipped, last >> skipped];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last !== 0n) throw new Error("the path is too short");
  if (!equal(hash, root)) throw new Error("the path does not lead to the root");
}

/** Throws unless the tree of `size1` leaves under `root1` is the beginning of that of `size2`. */
export function checkConsistency(size1, size2, path, root1, root2) {
  if (size1 === 0n) throw new Error("the first tree is empty");
  if (size1 > size2) throw new Error("the first tree is larger than the second");
  let [node, last] = [size1 - 1n, size2 - 1n];
  // Where the proof begins: the largest complete subtree on the right edge of the first tree.
  while (node !== last ? (node & 1n) === 1n : node > 0n) [node, last] = [node >> 1n, last >> 1n];
  const rest = path.slice();
  if (node !== 0n && rest.length === 0) throw new Error("the path is too short");
  const seed = node === 0n ? root1 : rest.shift();
  let [first, second] = [seed, seed];
  for (const sibling of rest) {
    if (last === 0n) throw new Error("the path is too long");
    if ((node & 1n) === 1n || node === last) {
      first = nodeHash(sibling, first);
      second = nodeHash(sibling, second);
      const skipped = trailingZeros(node);
      [node, last] = [node >> skipped, last >> skipped];
    } else {
      second = nodeHash(second, sibling);
    }
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last !== 0n) throw new Error("the path is too short");
  if (!equal(first, root1)) throw new Error("the path does not lead to the first root");
  if (!equal(second, root2)) throw new Error("the path does not lead to the second root");
}
