import { hash as digest } from 'node:crypto';
import { type CompactRange, HASH_SIZE, nodeHash } from '../../audit/merkle.mjs';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import type { Queryable } from '../persistence/statement.js';
import { bigintArray, byteaArray, textArray } from './binary-array.js';
import { LedgerFault } from './fault.js';

/** The root of a full tile: the hash at place `index` of tile level `level` (at least 1) of tlog-tiles. */
export interface TreeNode {
  readonly log: string;
  readonly level: number;
  readonly index: number;
  readonly hash: Buffer;
}

/** Levels that a log of up to 256^8 entries has above its leaves. */
const HIGHEST_LEVEL = 7;
const TILE_HEIGHT = 8;
/** Full tiles that one statement reads. */
const TILES_AT_ONCE = 64;

/** A full tile's root without its log. */
export type FilledTile = Omit<TreeNode, 'log'>;
const NONE: readonly FilledTile[] = [];

/**
 * Appends a leaf; answers the tiles that it fills, the lowest level first. A subtree of 256^n leaves is complete when the
 * carry has climbed 8n steps.
 */
export function appendLeaf(range: CompactRange, leaf: Buffer): readonly FilledTile[] {
  let filled = NONE;
  let hash = leaf;
  let height = 0;
  let rest = range.size;
  for (; rest % 2 === 1; rest = (rest - 1) / 2) {
    hash = joined(range.hashes.pop() as Buffer, hash);
    height += 1;
    if (height % TILE_HEIGHT !== 0) continue;
    filled = [...filled, { level: height / TILE_HEIGHT, index: (rest - 1) / 2, hash }];
  }
  range.hashes.push(hash);
  range.size += 1;
  return filled;
}

// Reused: the hash has read it before it returns.
const pair = Buffer.alloc(1 + 2 * HASH_SIZE, 1);

/** The same as nodeHash in two thirds of the time, for what runs once for every entry. */
function joined(left: Buffer, right: Buffer): Buffer {
  left.copy(pair, 1);
  right.copy(pair, 1 + HASH_SIZE);
  return Buffer.from(digest('sha256', pair, 'binary'), 'binary');
}

async function insertNodes(session: Queryable, nodes: readonly TreeNode[]): Promise<void> {
  if (nodes.length === 0) return;
  await session.query({
    name: 'ledger_insert_nodes',
    text:
      'INSERT INTO ledger_node (log, level, idx, hash) ' +
      'SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[])',
    values: [
      textArray(nodes.map((node) => node.log)),
      bigintArray(nodes.map((node) => node.level)),
      bigintArray(nodes.map((node) => node.index)),
      byteaArray(nodes.map((node) => node.hash)),
    ],
  });
}

/**
 * Makes the nodes that are missing, level by level from the leaves: in a database whose leaves are older than its nodes.
 * For the leader before its first pass: passes write nodes with their leaves, so what is missing is always the end of a
 * level, and a crash in here leaves a shorter end.
 */
export async function completeNodes(session: Queryable): Promise<void> {
  const levels = await session.query<{ log: string; level: number; width: string; made: string }>({
    name: 'ledger_missing_nodes',
    text:
      'SELECT head.log, tiles.level, head.size >> (8 * tiles.level) AS width, nodes.made FROM ledger_head AS head ' +
      `CROSS JOIN generate_series(1, ${HIGHEST_LEVEL}) AS tiles (level) ` +
      'CROSS JOIN LATERAL (SELECT coalesce(max(idx), -1) + 1 AS made FROM ledger_node AS node ' +
      'WHERE node.log = head.log AND node.level = tiles.level) AS nodes ' +
      'WHERE nodes.made < head.size >> (8 * tiles.level) ORDER BY head.log, tiles.level',
    values: [],
  });
  for (const { log, level, width, made } of levels) {
    for (let start = Number(made); start < Number(width); start += TILES_AT_ONCE) {
      await makeNodes(session, log, level, start, Math.min(start + TILES_AT_ONCE, Number(width)));
    }
  }
}

async function makeNodes(session: Queryable, log: string, level: number, start: number, end: number): Promise<void> {
  const below = await hashesBelow(session, log, level, start * TILE_WIDTH, end * TILE_WIDTH);
  const nodes = Array.from({ length: end - start }, (_, tile) => {
    return { log, level, index: start + tile, hash: rootOf(below.slice(tile * TILE_WIDTH, (tile + 1) * TILE_WIDTH)) };
  });
  await insertNodes(session, nodes);
}

async function hashesBelow(
  session: Queryable,
  log: string,
  level: number,
  from: number,
  to: number,
): Promise<Buffer[]> {
  const text =
    level === 1
      ? 'SELECT idx, leaf AS hash FROM ledger_leaf WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx'
      : `SELECT idx, hash FROM ledger_node WHERE log = $1 AND idx >= $2 AND idx < $3 AND level = ${level - 1} ORDER BY idx`;
  const rows = await session.query<{ idx: string; hash: Buffer }>({ text, values: [log, from, to] });
  const gap = rows.findIndex((row, place) => Number(row.idx) !== from + place);
  if (gap < 0 && rows.length === to - from) return rows.map((row) => row.hash);
  const index = (from + (gap < 0 ? rows.length : gap)) * TILE_WIDTH ** (level - 1);
  throw new LedgerFault(log, index, 'missing-entry', `Log ${log} has no hash of leaf ${index} at level ${level - 1}.`);
}

/** Of 256 hashes, pair by pair. */
function rootOf(hashes: readonly Buffer[]): Buffer {
  let row = hashes;
  while (row.length > 1) {
    row = Array.from({ length: row.length / 2 }, (_, pair) => {
      return nodeHash(row[2 * pair] as Buffer, row[2 * pair + 1] as Buffer);
    });
  }
  return row[0] as Buffer;
}
