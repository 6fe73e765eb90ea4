import { hash, type KeyObject } from 'node:crypto';
import { LARGEST_RECORD } from '../../audit/entry.mjs';
import type { Statement } from '../persistence/statement.js';
import { LedgerFault } from './fault.js';
import { MAC_FRAME, RecordMac, writerKey } from './writer-key.js';

/** The sequencer's place in the order of (xid, id). Ids up to `restoredId` had their index before a declared restore. */
export interface Position {
  readonly xid: string;
  readonly id: string;
  readonly restoredId: string;
}

/** One committed entry without an index. */
export interface UnsequencedRow {
  readonly id: string;
  readonly xid: string;
  readonly log: string;
  readonly writer: string;
  readonly number: string;
  /** Seconds since the Unix epoch; with 52 bits of fraction they tell every microsecond. */
  readonly at: string;
  /** Null: it is this process's own, and its bytes in the database have the hash that stands beside them. */
  readonly record: string | null;
  /** Hash and MAC, hexadecimal. */
  readonly proof: string;
}

/** How a record crosses the wire. As text it is half as long and costs PostgreSQL a tenth, but not all bytes are text. */
export type RecordForm = 'text' | 'hex';

/** How entries are read. `restored`: in a database that was restored from a dump, while nobody writes to it. */
export interface Reading {
  readonly form: RecordForm;
  readonly restored: boolean;
  /** The writer whose records are not fetched as long as they have their hash; empty: all are fetched. */
  readonly own: string;
}

/**
 * Entries behind the position, of transactions below the watermark only: every transaction with a lower id has ended,
 * so nothing can appear behind the position any more. In a restored database the ids are another cluster's, and there
 * is no watermark to compare them with.
 */
export function unsequencedAfter(position: Position, { form, restored, own }: Reading, limit: number): Statement {
  const record = form === 'text' ? "convert_from(record, 'UTF8')" : "encode(record, 'hex')";
  const watermark = restored ? '' : 'AND xid < pg_snapshot_xmin(pg_current_snapshot()) ';
  return {
    name: `ledger_unsequenced_${form}${restored ? '_restored' : ''}`,
    text:
      "SELECT id::text, xid::text, log, writer, number::text, date_part('epoch', recorded_at)::text AS at, " +
      `CASE WHEN writer = $5::text AND record_hash = sha256(record) THEN NULL ELSE ${record} END AS record, ` +
      "encode(record_hash || mac, 'hex') AS proof FROM ledger_entry " +
      `WHERE (xid, id) > ($1::xid8, $2::bigint) ${watermark}AND id > $3::bigint ` +
      'ORDER BY ledger_entry.xid, ledger_entry.id LIMIT $4',
    values: [position.xid, position.id, position.restoredId, limit, own],
  };
}

const MOST_KEYS = 1_000;
const LEAF_FRAME = 33;
const LEAF_START = MAC_FRAME - LEAF_FRAME;
/** 64 bytes before the record, for what a MAC or a leaf puts there; one more than a record has, to notice a longer one. */
const framed = Buffer.alloc(MAC_FRAME + LARGEST_RECORD + 1);

/** Re-hashes rows before they are sealed for good. Holds the keys of the writers that it met. */
export class RowCheck {
  private readonly keys = new Map<string, RecordMac>();
  private readonly before: RecordMac;
  private last: { readonly log: string; readonly writer: string; readonly mac: RecordMac };

  constructor(private readonly macKey: KeyObject) {
    this.before = new RecordMac(macKey.export());
    this.last = { log: '', writer: '', mac: this.before };
  }

  /**
   * The leaf over the leaf before and the record, 32 bytes as Latin-1. Throws a {@link LedgerFault} when these are not the
   * bytes that the writer made, in the row that it made.
   */
  leaf(row: UnsequencedRow, form: RecordForm, lastLeaf: Buffer, index: number): string {
    const fetched = row.record ?? '';
    const length = framed.write(fetched, MAC_FRAME, form === 'text' ? 'utf8' : 'hex');
    const end = MAC_FRAME + length;
    const record = framed.subarray(MAC_FRAME, end);
    if (length > LARGEST_RECORD || hash('sha256', record, 'hex') !== row.proof.slice(0, 64)) {
      throw damaged(row, index, 'does not match its hash');
    }
    const mac = row.proof.slice(64);
    const rest = framed.subarray(0, end);
    // Records that were written before writers had keys of their own may still wait for their index. No comparison in
    // constant time: the first wrong MAC stops the sequencer.
    if (this.keyOf(row).ofRest(rest) !== mac && this.before.ofRest(rest) !== mac) {
      throw damaged(row, index, 'does not match its MAC');
    }
    // In canonical JSON these members stand in this order, and no quote inside a text is without a backslash. What follows is
    // the operation, or before it the obligations where there were some.
    const text = form === 'text' ? fetched : record.toString('latin1');
    const place = `,"log":"${row.log}","number":${row.number},"o`;
    if (!text.includes(place) || !text.endsWith(`,"writer":"${row.writer}"}`)) {
      throw damaged(row, index, 'is not where its record says');
    }
    return leafBefore(end, lastLeaf);
  }

  /** The same over the bytes of this process's own record. */
  ownLeaf(record: Buffer, lastLeaf: Buffer): string {
    return leafBefore(MAC_FRAME + record.copy(framed, MAC_FRAME), lastLeaf);
  }

  private keyOf({ log, writer }: UnsequencedRow): RecordMac {
    if (this.last.log === log && this.last.writer === writer) return this.last.mac;
    const name = `${writer} ${log}`;
    if (this.keys.size >= MOST_KEYS) this.keys.clear();
    const mac = this.keys.get(name) ?? new RecordMac(writerKey(this.macKey, log, writer));
    this.keys.set(name, mac);
    this.last = { log, writer, mac };
    return mac;
  }
}

/** The leaf over the record that ends there. */
function leafBefore(end: number, lastLeaf: Buffer): string {
  framed[LEAF_START] = 0;
  lastLeaf.copy(framed, LEAF_START + 1);
  return hash('sha256', framed.subarray(LEAF_START, end), 'binary');
}

function damaged(row: UnsequencedRow, index: number, what: string): LedgerFault {
  return new LedgerFault(row.log, index, 'record', `Entry row ${row.id} of log ${row.log} ${what}.`);
}
