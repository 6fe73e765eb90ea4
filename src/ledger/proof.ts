import { CompactRange, EMPTY_ROOT, nodeHash, verifyInclusion } from '../../audit/merkle.mjs';
import { formatProof } from '../../audit/proof.mjs';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import { Failure } from '../kernel/failure.js';
import type { LogFiles } from './log-files.js';
import { hashesAt } from './log-path.js';
import { asBuffer, NO_HASH } from './log-rows.js';

/** What proofs are made of: {@link LogFiles}, or the same of somebody else's log. */
export type HashTiles = Pick<LogFiles, 'hashes'>;

/**
 * The proof that the entry `index` is in the tree of the first `size` entries: PATH(index, D[0:size]) of RFC 9162 section
 * 2.1.3.1, from the leaf's sibling up. One statement for each tile on the way, two a level at most, whatever the size.
 * Throws NOT_FOUND for an index outside of the tree, INTEGRITY_FAILED where a hash is missing.
 */
export async function inclusionProof(files: HashTiles, log: string, index: number, size: number): Promise<Buffer[]> {
  if (!isCount(index) || !isCount(size) || index >= size) {
    throw new Failure('NOT_FOUND', `There is no entry ${index} below ${size}.`, 'Ask for an index below the size.');
  }
  const tree = new Tree(files, log, size);
  const siblings: Promise<Buffer>[] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      siblings.push(tree.root(middle, end));
      end = middle;
    } else {
      siblings.push(tree.root(start, middle));
      start = middle;
    }
  }
  return Promise.all(siblings.reverse());
}

/**
 * The proof that the tree of `to` entries goes on from the tree of `from` entries: PROOF(from, D[0:to]) of RFC 9162 section
 * 2.1.4.1. Empty for equal sizes. Throws BAD_USER_INPUT for sizes between which there is none.
 */
export async function consistencyProof(files: HashTiles, log: string, from: number, to: number): Promise<Buffer[]> {
  if (!isCount(from) || !isCount(to) || from === 0 || from > to) {
    throw new Failure('BAD_USER_INPUT', `Nothing leads from ${from} entries to ${to}.`, 'Give 1 <= from <= to.');
  }
  const tree = new Tree(files, log, to);
  const roots: Promise<Buffer>[] = [];
  let [start, end] = [0, to];
  while (end !== from) {
    const middle = start + split(end - start);
    if (from <= middle) {
      roots.push(tree.root(middle, end));
      end = middle;
    } else {
      roots.push(tree.root(start, middle));
      start = middle;
    }
  }
  // The older tree's own last subtree is left out only where it is the whole older tree, whose root the reader has.
  if (start !== 0) roots.push(tree.root(start, end));
  return Promise.all(roots.reverse());
}

/** The root of the tree of the first `size` entries, of the stored hashes. */
export function rootAt(files: HashTiles, log: string, size: number): Promise<Buffer> {
  return new Tree(files, log, size).root(0, size);
}

/**
 * One entry with its proof and the published checkpoint as a text that is verified without the log
 * (c2sp.org/tlog-proof). The leaf before it is the `extra` line: with it a record alone becomes an entry. Throws NOT_FOUND
 * for an entry that no checkpoint covers yet, INTEGRITY_FAILED where the stored hashes do not lead to the signed root.
 */
export async function proofText(files: LogFiles, log: string, index: number): Promise<string> {
  const published = await files.published(log);
  if (published === null || !(isCount(index) && index < published.size)) {
    throw new Failure('NOT_FOUND', `No checkpoint covers entry ${index} of the log.`, 'Ask again in a few seconds.');
  }
  const { note, size, root } = published;
  const [proof, leaf, previous] = await Promise.all([
    inclusionProof(files, log, index, size),
    leafAt(files, log, index),
    index === 0 ? NO_HASH : leafAt(files, log, index - 1),
  ]);
  try {
    verifyInclusion({ index, size, leafHash: leaf, proof, root });
  } catch {
    throw damaged();
  }
  return formatProof({ index, extra: previous, hashes: proof, note });
}

async function leafAt(files: HashTiles, log: string, index: number): Promise<Buffer> {
  const at = index % TILE_WIDTH;
  const leaf = (await files.hashes(log, 0, Math.floor(index / TILE_WIDTH), at + 1))[at];
  if (leaf === undefined) throw damaged();
  return leaf;
}

/** Reads each tile once, at the width that a tree of this size has there. */
class Tree {
  private readonly tiles = new Map<string, Promise<Buffer[]>>();

  constructor(
    private readonly files: HashTiles,
    private readonly log: string,
    private readonly size: number,
  ) {}

  /** The root over the entries from `start` to before `end`: a subtree as RFC 9162 splits the tree. */
  async root(start: number, end: number): Promise<Buffer> {
    if (start === end) return asBuffer(EMPTY_ROOT);
    const length = end - start;
    for (let level = 0, step = 1; step <= length; level += 1, step *= TILE_WIDTH) {
      // Within one tile of this level: whole hashes of it, a power of two of them.
      const places = length / step;
      if (places <= TILE_WIDTH / 2 && Number.isInteger(Math.log2(places)))
        return this.within(level, start / step, places);
    }
    const middle = start + split(length);
    const [left, right] = await Promise.all([this.root(start, middle), this.root(middle, end)]);
    return asBuffer(nodeHash(left, right));
  }

  private async within(level: number, first: number, count: number): Promise<Buffer> {
    const index = Math.floor(first / TILE_WIDTH);
    const at = first - index * TILE_WIDTH;
    const hashes = (await this.tile(level, index)).slice(at, at + count);
    if (hashes.length < count || hashes.includes(NO_HASH)) throw damaged();
    const range = new CompactRange();
    for (const hash of hashes) range.append(hash);
    return asBuffer(range.root());
  }

  private tile(level: number, index: number): Promise<Buffer[]> {
    const key = `${level} ${index}`;
    let tile = this.tiles.get(key);
    if (tile === undefined) {
      const width = Math.min(TILE_WIDTH, hashesAt(this.size, level) - index * TILE_WIDTH);
      this.tiles.set(key, (tile = this.files.hashes(this.log, level, index, width)));
    }
    return tile;
  }
}

/** The largest power of two below a size of at least two. */
function split(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function damaged(): Failure {
  return new Failure(
    'INTEGRITY_FAILED',
    'The stored hashes of the log do not lead to its signed root.',
    'Verify the whole log with audit:verify: it names what was changed.',
  );
}
