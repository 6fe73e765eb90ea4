import { join } from 'node:path';
import { LogDirectory } from '../../audit/directory.mjs';
import { encodeDetails } from '../../audit/details.mjs';
import { encodeBundle } from '../../audit/entry.mjs';
import { CompactRange } from '../../audit/merkle.mjs';
import { parseCheckpoint, splitNote, vkey } from '../../audit/note.mjs';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import type { Database } from '../persistence/database.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { type LedgerKeys, requireLogName } from './keys.js';
import { hashesAt, type LogPlace } from './log-path.js';
import { asBuffer, type LogRow, NO_HASH, readHashes, readRows } from './log-rows.js';
import { StoredLog } from './stored-log.js';
import { releasedWriters, writerKeysText } from './writer-release.js';

/** What the checkpoint of a log says, and its note. */
export interface PublishedCheckpoint {
  readonly note: string;
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** What stands at one index of a log; null for what is not there. */
export interface StoredRecord {
  /** 32 zero bytes where there is none. */
  readonly leaf: Buffer;
  readonly record: Buffer | null;
  readonly mac: Buffer | null;
  readonly detail: Buffer | null;
}

const NOTHING = Buffer.alloc(0);

/**
 * A log as the files of c2sp.org/tlog-tiles, made of what is stored: leaves, nodes, entries and details in the database,
 * checkpoints beside it, and in the archive the entries of months that the database has dropped. Rows go out as they are,
 * unchecked and unrepaired: an entry that is not there becomes one of length zero, tiles are made of the stored hashes and
 * not of the records, so that the verifier can tell which of the two was changed.
 */
export class LogFiles {
  constructor(
    /** A role that may read the ledger's tables. */
    readonly database: Database,
    readonly store: CheckpointStore,
    readonly keys: LedgerKeys,
    /** Holds a directory for each log that has archived months; null: nothing is archived. */
    private readonly archiveDirectory: string | null,
  ) {}

  /** The published checkpoint, with cosignatures where there are some; null for a log without one. */
  checkpoint(log: string): Promise<string | null> {
    return this.store.readPublished(log);
  }

  /** The same, read; throws for a note that is no checkpoint. */
  async published(log: string): Promise<PublishedCheckpoint | null> {
    const note = await this.checkpoint(log);
    return note === null ? null : { note, ...parseCheckpoint(splitNote(note).text) };
  }

  /** The verifier key of the log, as the one who signs has it. */
  vkey(log: string): string {
    const { name, privateKey } = this.keys.signer(log);
    return vkey(name, privateKey);
  }

  /** The keys of writers that have ended and whose keys were released, as the file `writer.keys`; null for none. */
  async writerKeys(log: string): Promise<string | null> {
    return writerKeysText(this.keys.macKey, log, await releasedWriters(this.database, log));
  }

  /** The index of the first entry that must be there: those below were pruned from the archive after their retention. */
  async minimum(log: string): Promise<number> {
    return Number((await this.archive(log)?.text('minimum'))?.trim() ?? 0);
  }

  /** A file at the root of the log; null for one that it does not have. */
  async text(log: string, name: string): Promise<string | null> {
    if (name === 'checkpoint') return this.checkpoint(log);
    if (name === 'log.vkey') return `${this.vkey(log)}\n`;
    if (name === 'writer.keys') return this.writerKeys(log);
    if (name !== 'minimum') return null;
    const minimum = await this.minimum(log);
    return minimum === 0 ? null : `${minimum}\n`;
  }

  /**
   * The hashes of a tile: place i holds tile(level, index)[i]. A hash above the leaves that is not stored is computed from
   * the level below. Where one is missing for good stand 32 zero bytes; at the end they are left out.
   */
  async hashes(log: string, level: number, index: number, width: number): Promise<Buffer[]> {
    const first = index * TILE_WIDTH;
    const stored = await readHashes(this.database, log, level, first, width);
    const hashes: Buffer[] = [];
    for (let place = first; place < first + width; place++) {
      hashes.push(stored.get(place) ?? (level === 0 ? NO_HASH : await this.rootOfTile(log, level - 1, place)));
    }
    while (hashes.at(-1) === NO_HASH) hashes.pop();
    return hashes;
  }

  /** What belongs to the entries of a bundle, exactly `width` of them. */
  async records(log: string, index: number, width: number): Promise<StoredRecord[]> {
    const rows = await this.rows(log, index * TILE_WIDTH, width);
    return rows.map(({ leaf, entry, mac, detail }) => ({
      leaf,
      record: entry === null ? null : entry.subarray(NO_HASH.length),
      mac,
      detail,
    }));
  }

  /** The rows from index `first` on, exactly `count`; what the database has dropped comes from the archive. */
  async rows(log: string, first: number, count: number): Promise<LogRow[]> {
    const rows = await readRows(this.database, log, first, count);
    const archive = this.archive(log);
    if (archive === null || rows.every(({ row }) => row !== null)) return rows;
    for (let bundle = Math.floor(first / TILE_WIDTH); bundle * TILE_WIDTH < first + count; bundle++) {
      const start = bundle * TILE_WIDTH;
      const missing = Array.from({ length: TILE_WIDTH }, (_, at) => start + at - first).filter(
        (at) => rows[at]?.row === null,
      );
      if (missing.length > 0) await fillFrom(archive, bundle, rows, missing, first);
    }
    return rows;
  }

  /** The bytes of a file, whether or not a checkpoint covers it. */
  async bytes(log: string, { kind, level, index, width }: LogPlace): Promise<Buffer> {
    if (kind === 'tile') return encodeHashes(await this.hashes(log, level, index, width), width);
    const rows = await this.rows(log, index * TILE_WIDTH, width);
    return encodeRows(kind, rows);
  }

  /** The bytes of a file that the published checkpoint covers and that was not pruned; null for any other. */
  async covered(log: string, place: LogPlace): Promise<Buffer | null> {
    const size = (await this.published(log))?.size ?? 0;
    if (place.index * TILE_WIDTH + place.width > hashesAt(size, place.level)) return null;
    if (place.kind !== 'tile' && place.index * TILE_WIDTH < (await this.minimum(log))) return null;
    return this.bytes(log, place);
  }

  /** What the verifier reads: the log under this checkpoint, or under the one that is published when it first asks. */
  source(log: string, inspect?: (index: number, row: LogRow) => void, note?: string): StoredLog {
    return new StoredLog(this, log, inspect, note);
  }

  private archive(log: string): LogDirectory | null {
    return this.archiveDirectory === null ? null : new LogDirectory(join(this.archiveDirectory, requireLogName(log)));
  }

  private async rootOfTile(log: string, level: number, index: number): Promise<Buffer> {
    const hashes = await this.hashes(log, level, index, TILE_WIDTH);
    if (hashes.length < TILE_WIDTH || hashes.includes(NO_HASH)) return NO_HASH;
    const range = new CompactRange();
    for (const hash of hashes) range.append(hash);
    return asBuffer(range.root());
  }
}

/** Hashes as a file: those that are missing at the end are zero, so that the file has the length of its width. */
export function encodeHashes(hashes: readonly Buffer[], width: number): Buffer {
  return Buffer.concat(hashes, width * NO_HASH.length);
}

/** What belongs to the entries of a bundle, as the file of its kind. */
export function encodeRows(kind: 'entries' | 'mac' | 'detail', rows: readonly LogRow[]): Buffer {
  if (kind === 'entries') return asBuffer(encodeBundle(rows.map(({ entry }) => entry ?? NOTHING)));
  if (kind === 'mac') return Buffer.concat(rows.map(({ mac }) => mac ?? NO_HASH));
  return asBuffer(encodeDetails(rows.map(({ detail }) => detail)));
}

/** Puts what the archive has of a bundle into the rows at these places. `first` is the index of the first row. */
async function fillFrom(
  archive: LogDirectory,
  bundle: number,
  rows: LogRow[],
  missing: readonly number[],
  first: number,
): Promise<void> {
  const found = await archive.bundle(bundle, TILE_WIDTH);
  if (found === null) return;
  const [macs, details] = await Promise.all([archive.macs(bundle, TILE_WIDTH), archive.details(bundle, TILE_WIDTH)]);
  for (const at of missing) {
    const row = rows[at];
    const place = first + at - bundle * TILE_WIDTH;
    const entry = found.entries[place];
    if (row === undefined || entry === undefined || entry.length === 0) continue;
    const [mac, detail] = [macs?.[place] ?? null, details?.[place] ?? null];
    rows[at] = {
      ...row,
      entry: asBuffer(entry),
      mac: mac === null ? null : asBuffer(mac),
      detail: detail === null ? null : asBuffer(detail),
    };
  }
}
