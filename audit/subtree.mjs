/**
 * Subtrees of a Merkle tree and their proofs (draft-ietf-plants-merkle-tree-certs), for readers of logs that use them.
 *
 * @module
 */
import { EMPTY_ROOT, nodeHash, requireHashes, sameBytes, verifyConsistency, verifyInclusion } from './merkle.mjs';

/**
 * The root over the entries from start to before end is a node of the tree when it begins at a multiple of the smallest
 * power of two that holds it (draft-ietf-plants-merkle-tree-certs, section Subtrees).
 * @param {bigint} start
 * @param {bigint} end
 * @returns {void}
 */
function requireSubtree(start, end) {
  if (start < 0n || start >= end) throw new Error('The subtree has no leaf.');
  let width = 1n;
  while (width < end - start) width *= 2n;
  if (start % width !== 0n) throw new Error('The range is not a subtree.');
}

/**
 * Verifies that a leaf is in a subtree: the inclusion proof of a tree that begins where the subtree does.
 * @param {{index: number | bigint, start: number | bigint, end: number | bigint, leafHash: Uint8Array,
 *   proof: readonly Uint8Array[], root: Uint8Array}} statement
 * @returns {void}
 * @throws {Error} with one sentence when the proof does not hold
 */
export function verifySubtreeInclusion({ index, start, end, leafHash: leaf, proof, root }) {
  const [first, last] = [BigInt(start), BigInt(end)];
  requireSubtree(first, last);
  verifyInclusion({ index: BigInt(index) - first, size: last - first, leafHash: leaf, proof, root });
}

/**
 * Verifies that a subtree is a part of a tree (draft-ietf-plants-merkle-tree-certs, section Subtree Consistency Proofs).
 * From start 0 this is the consistency proof of RFC 9162; a subtree without leaves is a part of every tree.
 * @param {{start: number | bigint, end: number | bigint, size: number | bigint, subtreeRoot: Uint8Array,
 *   root: Uint8Array, proof: readonly Uint8Array[]}} statement
 * @returns {void}
 * @throws {Error} with one sentence when the proof does not hold
 */
export function verifySubtreeConsistency({ start, end, size, subtreeRoot: part, root, proof }) {
  if (start === end && end <= size) {
    if (proof.length > 0) throw new Error('The proof is too long.');
    if (!sameBytes(part, EMPTY_ROOT)) throw new Error('The subtree without leaves has another root.');
    return;
  }
  requireSubtree(BigInt(start), BigInt(end));
  if (BigInt(start) === 0n) return verifyConsistency({ from: end, to: size, fromRoot: part, toRoot: root, proof });
  requireHashes([part, root, ...proof]);
  if (BigInt(end) > BigInt(size)) throw new Error('The subtree lies outside of the tree.');
  let [first, node, last] = [BigInt(start), BigInt(end) - 1n, BigInt(size) - 1n];
  while (first !== node && (node === last || node % 2n === 1n))
    [first, node, last] = [first / 2n, node / 2n, last / 2n];
  const [begin, ...rest] = first === node ? [part, ...proof] : proof;
  if (begin === undefined) throw new Error('The proof is too short.');
  /** @type {[Uint8Array, Uint8Array]} */
  let [partHash, hash] = [begin, begin];
  for (const sibling of rest) {
    if (last === 0n) throw new Error('The proof is too long.');
    if (node % 2n === 1n || node === last) {
      if (first < node) partHash = nodeHash(sibling, partHash);
      hash = nodeHash(sibling, hash);
      while (node % 2n === 0n) [first, node, last] = [first / 2n, node / 2n, last / 2n];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [first, node, last] = [first / 2n, node / 2n, last / 2n];
  }
  if (last !== 0n) throw new Error('The proof is too short.');
  if (!sameBytes(partHash, part)) throw new Error('The proof leads to another subtree.');
  if (!sameBytes(hash, root)) throw new Error('The proof leads to another root.');
}
