import type { Statement } from '../persistence/statement.js';
import { bigintArray, byteaArray, instantArray, textArray } from './binary-array.js';
import type { TreeNode } from './nodes.js';
import type { Position, UnsequencedRow } from './unsequenced.js';

/** A head as it is to be, and what it must still be for that. */
export interface HeadMove {
  readonly log: string;
  readonly size: number;
  readonly lastLeaf: Buffer;
  readonly range: Buffer;
  readonly mac: Buffer;
  readonly oldSize: number;
  readonly oldLeaf: Buffer;
}

/** Everything that one pass writes. `indexes` and `leaves` belong to the rows, in their order. */
export interface PassResult {
  readonly rows: readonly UnsequencedRow[];
  readonly indexes: readonly number[];
  readonly leaves: readonly Buffer[];
  readonly nodes: readonly TreeNode[];
  readonly heads: readonly HeadMove[];
  readonly from: Position;
  readonly to: { readonly xid: string; readonly id: string };
}

const TEXT =
  'WITH leaf AS (INSERT INTO ledger_leaf (log, idx, entry_id, recorded_at, leaf) SELECT unnest($1::text[]), ' +
  'unnest($2::bigint[]), unnest($3::bigint[]), unnest($4::timestamptz[]), unnest($5::bytea[])), ' +
  'node AS (INSERT INTO ledger_node (log, level, idx, hash) ' +
  'SELECT unnest($6::text[]), unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::bytea[])), ' +
  'head AS (UPDATE ledger_head AS head ' +
  'SET size = moved.size, last_leaf = moved.last_leaf, compact_range = moved.range, mac = moved.mac ' +
  'FROM unnest($10::text[], $11::bigint[], $12::bytea[], $13::bytea[], $14::bytea[], $15::bigint[], $16::bytea[]) ' +
  'AS moved (log, size, last_leaf, range, mac, old_size, old_leaf) ' +
  'WHERE head.log = moved.log AND head.size = moved.old_size AND head.last_leaf = moved.old_leaf RETURNING head.log), ' +
  'position AS (UPDATE ledger_sequence SET last_xid = $17::xid8, last_id = $18::bigint ' +
  'WHERE last_xid = $19::xid8 AND last_id = $20::bigint RETURNING last_id) ' +
  "SELECT (SELECT coalesce(array_agg(log), '{}') FROM head) AS moved, (SELECT count(*)::int FROM position) AS stepped";

/**
 * One statement, because each would wait for its turn in a process that serves requests as well. Compare-and-swap: heads
 * and position move only from where they were when the pass began. It answers one row, `moved` with the logs whose heads
 * did and `stepped` with 1 if the position did; whoever sent it must roll back unless all have.
 */
export function passStatement({ rows, indexes, leaves, nodes, heads, from, to }: PassResult): Statement {
  return {
    name: 'ledger_pass',
    text: TEXT,
    values: [
      textArray(rows.map((row) => row.log)),
      bigintArray(indexes),
      bigintArray(rows.map((row) => Number(row.id))),
      instantArray(rows.map((row) => Math.round(Number(row.at) * 1_000_000))),
      byteaArray(leaves),
      textArray(nodes.map((node) => node.log)),
      bigintArray(nodes.map((node) => node.level)),
      bigintArray(nodes.map((node) => node.index)),
      byteaArray(nodes.map((node) => node.hash)),
      textArray(heads.map((head) => head.log)),
      bigintArray(heads.map((head) => head.size)),
      byteaArray(heads.map((head) => head.lastLeaf)),
      byteaArray(heads.map((head) => head.range)),
      byteaArray(heads.map((head) => head.mac)),
      bigintArray(heads.map((head) => head.oldSize)),
      byteaArray(heads.map((head) => head.oldLeaf)),
      to.xid,
      to.id,
      from.xid,
      from.id,
    ],
  };
}
