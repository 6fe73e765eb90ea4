import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  CompactRange,
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  nodeHash,
  sha256,
  verifyConsistency,
  verifyInclusion,
} from './merkle.mjs';
import { verifySubtreeConsistency, verifySubtreeInclusion } from './subtree.mjs';
import { itWithVectors, vectors } from './vectors.js';

const LARGEST = 130;
const leaves = Array.from({ length: LARGEST }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));

/** MTH of RFC 9162 section 2.1.1, word by word. */
function naiveRoot(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return sha256(Buffer.alloc(0));
  if (hashes.length === 1) return hashes[0]!;
  const split = 2 ** Math.ceil(Math.log2(hashes.length) - 1);
  return nodeHash(naiveRoot(hashes.slice(0, split)), naiveRoot(hashes.slice(split)));
}

const roots = Array.from({ length: LARGEST + 1 }, (_, size) => naiveRoot(leaves.slice(0, size)));
const base64 = (text: string | null | undefined): Buffer => Buffer.from(text ?? '', 'base64');

/** `expect(…).toThrow()` costs too much in the exhaustive loops. */
function refuses(verify: () => void): boolean {
  try {
    verify();
    return false;
  } catch {
    return true;
  }
}

/** Reads a vector with its whole numbers as bigint: some of them are near 2^64. */
function readVector(path: string): Record<string, never> {
  const quoted = vectors.text(path).replaceAll(/"(leafIdx|treeSize|size1|size2|start|end|size)": (\d+)/g, '"$1": "$2"');
  return JSON.parse(quoted) as Record<string, never>;
}

describe('Merkle tree', () => {
  // Tens of thousands of refusals: their stack traces would take longer than the proofs.
  const { stackTraceLimit } = Error;
  beforeAll(() => {
    Error.stackTraceLimit = 0;
  });
  afterAll(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });

  it('has the roots of the naive recursion at every size, from any saved right edge', () => {
    let range = new CompactRange();
    expect(EMPTY_ROOT.toString('base64')).toBe('47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');
    for (let size = 0; size <= LARGEST; size++) {
      expect(range.size).toBe(size);
      expect(range.root()).toEqual(roots[size]);
      range = size % 3 === 0 ? new CompactRange(range.size, range.hashes) : range.clone();
      if (size < LARGEST) range.append(leaves[size]!);
    }
  });

  it('refuses a right edge that does not fit its size', () => {
    expect(() => new CompactRange(3, [leaves[0]!])).toThrow('3 leaves has 2 subtrees');
    expect(() => new CompactRange(1, [Buffer.alloc(31)])).toThrow('32 bytes');
    expect(() => new CompactRange(-1)).toThrow('whole number');
  });

  it('leaves a clone untouched', () => {
    const range = new CompactRange(1, [leaves[0]!]);
    const clone = range.clone();
    range.append(leaves[1]!);
    expect(clone.root()).toEqual(roots[1]);
  });

  it('proves every index of every size, and the proof holds for nothing else', () => {
    const wrong: string[] = [];
    for (let size = 1; size <= LARGEST; size++) {
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(leaves, index, size);
        const claim = { index, size, leafHash: leaves[index]!, proof, root: roots[size]! };
        if (refuses(() => verifyInclusion(claim))) wrong.push(`${index} of ${size} refused`);
        if ((size + index) % 5 !== 0) continue;
        const others = [
          { ...claim, proof: [...proof, EMPTY_ROOT] },
          { ...claim, index: size },
        ];
        if (size > 1) others.push({ ...claim, index: (index + 1) % size }, { ...claim, proof: proof.slice(1) });
        if (!others.every((other) => refuses(() => verifyInclusion(other)))) wrong.push(`${index} of ${size} holds`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('proves every pair of sizes, and the proof holds for nothing else', () => {
    const wrong: string[] = [];
    for (let to = 1; to <= LARGEST; to++) {
      for (let from = 1; from <= to; from++) {
        const proof = consistencyProof(leaves, from, to);
        const claim = { from, to, fromRoot: roots[from]!, toRoot: roots[to]!, proof };
        if (refuses(() => verifyConsistency(claim))) wrong.push(`${from} to ${to} refused`);
        if ((from + to) % 5 !== 0) continue;
        const others = [
          { ...claim, fromRoot: EMPTY_ROOT },
          { ...claim, toRoot: EMPTY_ROOT },
          { ...claim, proof: [...proof, EMPTY_ROOT] },
          { ...claim, from: to + 1 },
        ];
        if (from < to) others.push({ ...claim, proof: proof.slice(1) }, { ...claim, from: from - 1 });
        if (!others.every((other) => refuses(() => verifyConsistency(other)))) wrong.push(`${from} to ${to} holds`);
      }
    }
    expect(wrong).toEqual([]);
    expect(() => consistencyProof(leaves, 0, 3)).toThrow('outside');
    expect(() => inclusionProof(leaves, 3, 3)).toThrow('outside');
  });

  it('finds a whole tree from its beginning to be a subtree, by the same proofs', () => {
    for (const [from, to] of [
      [1, 1],
      [3, 7],
      [4, 8],
      [6, 13],
    ] as const) {
      const proof = consistencyProof(leaves, from, to);
      verifySubtreeConsistency({ start: 0, end: from, size: to, subtreeRoot: roots[from]!, root: roots[to]!, proof });
      const index = from - 1;
      const inclusion = inclusionProof(leaves, index, to);
      verifySubtreeInclusion({
        index,
        start: 0,
        end: to,
        leafHash: leaves[index]!,
        proof: inclusion,
        root: roots[to]!,
      });
    }
  });

  it('refuses a proof with one bit changed', () => {
    const sizes = fc.integer({ min: 2, max: LARGEST }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)));
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(255), ([size, index], pick, bit) => {
        const flip = (hash: Buffer): Buffer => {
          const copy = Buffer.from(hash);
          copy[bit >> 3]! ^= 1 << (bit & 7);
          return copy;
        };
        const proof = inclusionProof(leaves, index, size);
        const claim = { index, size, leafHash: leaves[index]!, proof, root: roots[size]! };
        const bad = proof.with(pick % proof.length, flip(proof[pick % proof.length]!));
        expect(() => verifyInclusion({ ...claim, proof: bad })).toThrow();
        expect(() => verifyInclusion({ ...claim, leafHash: flip(claim.leafHash) })).toThrow();
        expect(() => verifyInclusion({ ...claim, root: flip(claim.root) })).toThrow();
      }),
    );
  });

  itWithVectors('has the published leaf, node and root hashes', () => {
    const constants = JSON.parse(vectors.text('transparency-dev-merkle/constants.json')) as Record<string, string[]>;
    const inputs = constants.leafInputsHex!.map((hex) => leafHash(Buffer.from(hex, 'hex')));
    const nodes = constants.nodeHashesHex as unknown as string[][];
    expect(inputs.map((hash) => hash.toString('hex'))).toEqual(nodes[0]);
    const published = constants.rootHashesHexBySize!;
    const range = new CompactRange();
    expect(range.root().toString('hex')).toBe(published[0]);
    inputs.forEach((hash, index) => {
      range.append(hash);
      expect(range.root().toString('hex')).toBe(published[index + 1]);
    });
  });

  itWithVectors('decides the published inclusion proofs', () => {
    const files = vectors.list('transparency-dev-merkle/inclusion', '.json');
    expect(files).toHaveLength(98);
    for (const file of files) {
      const vector = readVector(file);
      const verify = () =>
        verifyInclusion({
          index: BigInt(vector.leafIdx!),
          size: BigInt(vector.treeSize!),
          leafHash: base64(vector.leafHash),
          proof: ((vector.proof ?? []) as string[]).map(base64),
          root: base64(vector.root),
        });
      expect([file, refuses(verify)]).toEqual([file, vector.wantErr]);
    }
  });

  itWithVectors('decides the published consistency proofs', () => {
    const files = vectors.list('transparency-dev-merkle/consistency', '.json');
    expect(files).toHaveLength(98);
    for (const file of files) {
      const vector = readVector(file);
      const verify = () =>
        verifyConsistency({
          from: BigInt(vector.size1!),
          to: BigInt(vector.size2!),
          fromRoot: base64(vector.root1),
          toRoot: base64(vector.root2),
          proof: ((vector.proof ?? []) as string[]).map(base64),
        });
      expect([file, refuses(verify)]).toEqual([file, vector.wantErr]);
    }
  });

  itWithVectors('decides the published proofs of inclusion in a subtree', () => {
    const files = vectors.list('transparency-dev-merkle/subtreeinclusion', '.json');
    expect(files).toHaveLength(204);
    for (const file of files) {
      const vector = readVector(file);
      const verify = () =>
        verifySubtreeInclusion({
          index: BigInt(vector.leafIdx!),
          start: BigInt(vector.start!),
          end: BigInt(vector.end!),
          leafHash: base64(vector.leafHash),
          proof: ((vector.proof ?? []) as string[]).map(base64),
          root: base64(vector.root),
        });
      expect([file, refuses(verify)]).toEqual([file, vector.wantErr]);
    }
  });

  itWithVectors('decides the published proofs of consistency of a subtree', () => {
    const files = vectors.list('transparency-dev-merkle/subtreeconsistency', '.json');
    expect(files).toHaveLength(118);
    for (const file of files) {
      const vector = readVector(file);
      const verify = () =>
        verifySubtreeConsistency({
          start: BigInt(vector.start!),
          end: BigInt(vector.end!),
          size: BigInt(vector.size!),
          subtreeRoot: base64(vector.root1),
          root: base64(vector.root2),
          proof: ((vector.proof ?? []) as string[]).map(base64),
        });
      expect([file, refuses(verify)]).toEqual([file, vector.wantErr]);
    }
  });
});
