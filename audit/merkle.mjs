/**
 * The Merkle tree of RFC 6962 section 2.1 and RFC 9162 section 2.1 with SHA-256: hashes, the right edge of a growing
 * tree, proofs and their verification.
 *
 * @module
 */
import { hasBytesAt } from './bytes.mjs';
import { allocate, HASH_SIZE, sha256 } from './hash.mjs';

export { HASH_SIZE, sha256 };

const LARGEST_ENTRY = 65_535;

/** The root of the empty tree: SHA-256 of nothing. */
export const EMPTY_ROOT = sha256(new Uint8Array(0));

// Reused inputs: both functions are synchronous and the hash copies before it returns.
const leafInput = allocate(1 + LARGEST_ENTRY);
const nodeInput = allocate(1 + 2 * HASH_SIZE);
nodeInput[0] = 1;

/**
 * SHA-256(0x00 ‖ entry).
 * @param {Uint8Array} entry
 * @returns {Buffer}
 */
export function leafHash(entry) {
  const input = entry.length > LARGEST_ENTRY ? allocate(1 + entry.length) : leafInput.subarray(0, 1 + entry.length);
  input.set(entry, 1);
  return sha256(input);
}

/**
 * SHA-256(0x01 ‖ left ‖ right).
 * @param {Uint8Array} left
 * @param {Uint8Array} right
 * @returns {Buffer}
 */
export function nodeHash(left, right) {
  if (left.length !== HASH_SIZE || right.length !== HASH_SIZE) throw new Error('A hash has 32 bytes.');
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_SIZE);
  return sha256(nodeInput);
}

/**
 * The right edge of a tree: the roots of its complete subtrees, one per set bit of its size. With it a log of any
 * length grows and knows its root in O(log n) memory.
 */
export class CompactRange {
  /**
   * @param {number} [size] number of leaves
   * @param {readonly Buffer[]} [hashes] subtree roots, from the largest to the smallest
   */
  constructor(size = 0, hashes = []) {
    if (!Number.isSafeInteger(size) || size < 0) throw new Error('The size of a tree is a whole number.');
    if (hashes.length !== setBits(size)) throw new Error(`A tree of ${size} leaves has ${setBits(size)} subtrees.`);
    if (hashes.some((hash) => hash.length !== HASH_SIZE)) throw new Error('A hash has 32 bytes.');
    /** @type {number} */
    this.size = size;
    /** @type {Buffer[]} */
    this.hashes = [...hashes];
  }

  /**
   * @param {Buffer} leaf the hash of the next leaf
   * @returns {void}
   */
  append(leaf) {
    let hash = leaf;
    for (let rest = this.size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      hash = nodeHash(/** @type {Buffer} */ (this.hashes.pop()), hash);
    }
    this.hashes.push(hash);
    this.size += 1;
  }

  /** @returns {Buffer} */
  root() {
    let root = this.hashes.at(-1);
    if (root === undefined) return EMPTY_ROOT;
    for (let index = this.hashes.length - 2; index >= 0; index--) {
      root = nodeHash(/** @type {Buffer} */ (this.hashes[index]), root);
    }
    return root;
  }

  /** @returns {CompactRange} */
  clone() {
    return new CompactRange(this.size, this.hashes);
  }
}

/**
 * @param {number} size
 * @returns {number}
 */
function setBits(size) {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}

/**
 * The largest power of two below a size of at least two.
 * @param {number} size
 * @returns {number}
 */
function split(size) {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

/**
 * @param {readonly Buffer[]} leafHashes
 * @param {number} start
 * @param {number} end
 * @returns {Buffer}
 */
function subtreeRoot(leafHashes, start, end) {
  const range = new CompactRange();
  for (let index = start; index < end; index++) range.append(/** @type {Buffer} */ (leafHashes[index]));
  return range.root();
}

/**
 * PATH(index, D[0:size]) of RFC 9162 section 2.1.3.1.
 * @param {readonly Buffer[]} leafHashes
 * @param {number} index
 * @param {number} size
 * @returns {Buffer[]} from the leaf's sibling up to the root's child
 */
export function inclusionProof(leafHashes, index, size) {
  if (!(index >= 0 && index < size && size <= leafHashes.length))
    throw new Error('The index lies outside of the tree.');
  /** @type {Buffer[]} */
  const path = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      path.push(subtreeRoot(leafHashes, middle, end));
      end = middle;
    } else {
      path.push(subtreeRoot(leafHashes, start, middle));
      start = middle;
    }
  }
  return path.reverse();
}

/**
 * PROOF(from, D[0:to]) of RFC 9162 section 2.1.4.1.
 * @param {readonly Buffer[]} leafHashes
 * @param {number} from size of the older tree, at least 1
 * @param {number} to size of the newer tree
 * @returns {Buffer[]}
 */
export function consistencyProof(leafHashes, from, to) {
  if (!(from >= 1 && from <= to && to <= leafHashes.length)) throw new Error('The sizes lie outside of the tree.');
  /** @type {Buffer[]} */
  const path = [];
  let [start, end] = [0, to];
  while (end !== from) {
    const middle = start + split(end - start);
    if (from <= middle) {
      path.push(subtreeRoot(leafHashes, middle, end));
      end = middle;
    } else {
      path.push(subtreeRoot(leafHashes, start, middle));
      start = middle;
    }
  }
  // The older tree's own last subtree is left out only where it is the whole older tree, whose root the reader has.
  if (start !== 0) path.push(subtreeRoot(leafHashes, start, end));
  return path.reverse();
}

/**
 * @param {Uint8Array | undefined} left
 * @param {Uint8Array | undefined} right
 * @returns {boolean}
 */
export function sameBytes(left, right) {
  return left !== undefined && left.length === right?.length && hasBytesAt(left, 0, right);
}

/**
 * @param {readonly Uint8Array[]} hashes
 * @returns {void}
 */
export function requireHashes(hashes) {
  if (hashes.some((hash) => hash.length !== HASH_SIZE)) throw new Error('A hash has 32 bytes.');
}

/**
 * Verifies an inclusion proof (RFC 9162 section 2.1.3.2).
 * @param {{index: number | bigint, size: number | bigint, leafHash: Uint8Array, proof: readonly Uint8Array[],
 *   root: Uint8Array}} statement
 * @returns {void}
 * @throws {Error} with one sentence when the proof does not hold
 */
export function verifyInclusion({ index, size, leafHash: leaf, proof, root }) {
  requireHashes([leaf, root, ...proof]);
  let node = BigInt(index);
  if (node < 0n || node >= BigInt(size)) throw new Error('The index lies outside of the tree.');
  let last = BigInt(size) - 1n;
  /** @type {Uint8Array} */
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0n) throw new Error('The proof is too long.');
    if (node % 2n === 1n || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2n === 0n && node !== 0n) [node, last] = [node / 2n, last / 2n];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [node / 2n, last / 2n];
  }
  if (last !== 0n) throw new Error('The proof is too short.');
  if (!sameBytes(hash, root)) throw new Error('The proof leads to another root.');
}

/**
 * Verifies a consistency proof (RFC 9162 section 2.1.4.2).
 * @param {{from: number | bigint, to: number | bigint, fromRoot: Uint8Array, toRoot: Uint8Array,
 *   proof: readonly Uint8Array[]}} statement
 * @returns {void}
 * @throws {Error} with one sentence when the proof does not hold; always for an older tree without leaves
 */
export function verifyConsistency({ from, to, fromRoot, toRoot, proof }) {
  const [older, newer] = [BigInt(from), BigInt(to)];
  if (older <= 0n) throw new Error('Nothing follows from an empty tree.');
  if (older > newer) throw new Error('The older tree is larger than the newer one.');
  if (older === newer) {
    if (proof.length > 0) throw new Error('The proof is too long.');
    if (!sameBytes(fromRoot, toRoot)) throw new Error('Two trees of one size have different roots.');
    return;
  }
  requireHashes([fromRoot, toRoot, ...proof]);
  const complete = (older & (older - 1n)) === 0n;
  const [first, ...rest] = complete ? [fromRoot, ...proof] : proof;
  if (first === undefined) throw new Error('The proof is too short.');
  let [node, last] = [older - 1n, newer - 1n];
  while (node % 2n === 1n) [node, last] = [node / 2n, last / 2n];
  /** @type {[Uint8Array, Uint8Array]} */
  let [oldHash, newHash] = [first, first];
  for (const hash of rest) {
    if (last === 0n) throw new Error('The proof is too long.');
    if (node % 2n === 1n || node === last) {
      [oldHash, newHash] = [nodeHash(hash, oldHash), nodeHash(hash, newHash)];
      while (node % 2n === 0n && node !== 0n) [node, last] = [node / 2n, last / 2n];
    } else {
      newHash = nodeHash(newHash, hash);
    }
    [node, last] = [node / 2n, last / 2n];
  }
  if (last !== 0n) throw new Error('The proof is too short.');
  if (!sameBytes(oldHash, fromRoot)) throw new Error('The proof leads to another older root.');
  if (!sameBytes(newHash, toRoot)) throw new Error('The proof leads to another newer root.');
}
