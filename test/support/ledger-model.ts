import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { encodeEntry, ZERO_LEAF } from '../../audit/entry.mjs';
import { CompactRange, leafHash } from '../../audit/merkle.mjs';
import { parseCheckpoint, verifyNote, vkey } from '../../audit/note.mjs';
import type { LedgerKeys } from '../../src/ledger/keys.js';
import type { TestDatabase } from './postgres.js';

interface KnownLog {
  readonly range: CompactRange;
  last: Buffer;
  /** Roots of full tiles, each from its own leaves. */
  readonly tiles: Buffer[];
  tile: CompactRange;
  readonly roots: Map<number, Buffer>;
}

/**
 * What a ledger must be, computed from its records alone, and compared with what is stored again and again while it grows.
 * What was once seen stays the beginning: a root that was signed is compared with the only history that there is.
 */
export class LedgerModel {
  private readonly known = new Map<string, KnownLog>();
  private readonly seen = new Map<string, string>();

  constructor(
    private readonly database: TestDatabase,
    private readonly keys: LedgerKeys,
    /** Of the checkpoint store. */
    private readonly directory: string,
  ) {}

  /** Every note that was ever found in the store. */
  notes(log: string): string[] {
    return [...this.seen].flatMap(([name, note]) => (name.startsWith(`${log} `) ? [note] : []));
  }

  /**
   * Throws unless every committed entry has exactly one index, all are dense, chain, heads and nodes are what the records
   * make them, and whatever is signed is a root of that. Returns the sizes.
   */
  async check(): Promise<Record<string, number>> {
    const { owner } = this.database;
    const { rows: heads } = await owner.query<{ log: string; size: string; last_leaf: Buffer; compact_range: Buffer }>(
      'SELECT log, size, last_leaf, compact_range FROM ledger_head ORDER BY log',
    );
    let total = 0;
    const sizes: Record<string, number> = {};
    for (const head of heads) {
      const { log } = head;
      const own = this.known.get(log) ?? begin();
      this.known.set(log, own);
      const signed = this.signed(log);
      await this.grow(log, own, new Set(signed.map(({ size }) => size)));
      const { size } = own.range;
      for (const note of signed) {
        if (note.size > size || !own.roots.get(note.size)?.equals(note.root)) {
          throw new Error(`The note of ${log} for ${note.size} entries has another root.`);
        }
      }
      const same = head.last_leaf.equals(own.last) && head.compact_range.equals(Buffer.concat(own.range.hashes));
      if (Number(head.size) !== size || !same) throw new Error(`The head of ${log} is wrong at ${head.size}.`);
      await this.compareTiles(log, own);
      total += size;
      sizes[log] = size;
    }
    const { rows } = await owner.query<{ entries: string; leaves: string }>(
      'SELECT (SELECT count(*) FROM ledger_entry) AS entries, (SELECT count(*) FROM ledger_leaf) AS leaves',
    );
    const counts = [rows[0]?.entries, rows[0]?.leaves].map(Number);
    if (counts.some((count) => count !== total))
      throw new Error(`${counts.join(' entries, ')} leaves, ${total} indexes`);
    return sizes;
  }

  private async grow(log: string, own: KnownLog, wanted: ReadonlySet<number>): Promise<void> {
    const { rows } = await this.database.owner.query<{ idx: string; leaf: Buffer; record: Buffer }>(
      'SELECT l.idx, l.leaf, e.record FROM ledger_leaf l JOIN ledger_entry e ON e.id = l.entry_id ' +
        'AND e.recorded_at = l.recorded_at AND e.log = l.log WHERE l.log = $1 AND l.idx >= $2 ORDER BY l.idx',
      [log, own.range.size],
    );
    for (const row of rows) {
      const leaf = leafHash(encodeEntry(own.last, row.record));
      if (Number(row.idx) !== own.range.size || !row.leaf.equals(leaf))
        throw new Error(`Leaf ${row.idx} of ${log} is wrong.`);
      own.last = Buffer.from(leaf);
      own.range.append(leaf);
      own.tile.append(leaf);
      if (own.tile.size === 256) {
        own.tiles.push(Buffer.from(own.tile.root()));
        own.tile = new CompactRange();
      }
      if (wanted.has(own.range.size)) own.roots.set(own.range.size, Buffer.from(own.range.root()));
    }
  }

  private async compareTiles(log: string, own: KnownLog): Promise<void> {
    const { rows } = await this.database.owner.query<{ idx: string; hash: Buffer }>(
      'SELECT idx, hash FROM ledger_node WHERE log = $1 AND level = 1 ORDER BY idx',
      [log],
    );
    const same = rows.every(({ idx, hash }, at) => Number(idx) === at && own.tiles[at]?.equals(hash));
    if (rows.length !== own.tiles.length || !same) throw new Error(`${rows.length} nodes of ${log} are not its tiles.`);
  }

  /** Size and root of every note that is stored, under whatever name. */
  private signed(log: string): { size: number; root: Buffer }[] {
    const folder = path.join(this.directory, log);
    const { name, privateKey } = this.keys.signer(log);
    const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
    const whole = names.filter((file) => /^(checkpoint|published|history\/\d+)$/.test(file));
    return whole.flatMap((file) => {
      const note = readFileSync(path.join(folder, file), 'utf8');
      // Those with their size in the name never change.
      if (this.seen.get(`${log} ${file}`) === note) return [];
      this.seen.set(`${log} ${file}`, note);
      const { size, root } = parseCheckpoint(verifyNote(note, [vkey(name, privateKey)]).text);
      if (file.startsWith('history/') && file !== `history/${size}`) throw new Error(`${file} is of ${size} entries.`);
      return [{ size, root: Buffer.from(root) }];
    });
  }
}

function begin(): KnownLog {
  return { range: new CompactRange(), last: ZERO_LEAF, tiles: [], tile: new CompactRange(), roots: new Map() };
}
