import type { LogSource } from '../../audit/source.mjs';
import { parseCheckpoint, splitNote } from '../../audit/note.mjs';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import type { LogFiles, PublishedCheckpoint } from './log-files.js';
import { type LogRow, NO_HASH } from './log-rows.js';

/** Rows that are read at once: the parts of a bundle are asked for one by one, and the next bundle while one is checked. */
const PAGE = 8 * TILE_WIDTH;
const PAGES_KEPT = 3;
const NOTHING = Buffer.alloc(0);

/**
 * A log in the database as the verifier reads one (audit/source.mjs), without files in between. Keeps to the checkpoint
 * that it saw first, so that a log that goes on growing is verified up to there. Memory does not grow with the log.
 */
export class StoredLog implements LogSource {
  private readonly pages = new Map<number, Promise<LogRow[]>>();
  private reading: Promise<unknown> = Promise.resolve();
  private seen: Promise<PublishedCheckpoint | null> | null = null;
  private minimum: Promise<number> | null = null;

  constructor(
    private readonly files: LogFiles,
    private readonly log: string,
    /** Is shown every row once, in order, when it is read. */
    private readonly inspect: (index: number, row: LogRow) => void = () => undefined,
    /** The checkpoint to keep to. */
    private readonly note?: string,
  ) {}

  async text(name: string): Promise<string | null> {
    if (name === 'checkpoint') return (await this.checkpoint())?.note ?? null;
    return this.files.text(this.log, name);
  }

  async tile(level: number, index: number, width: number): Promise<Buffer[]> {
    if (level === 0) return (await this.bundleRows(index, width)).map(({ leaf }) => leaf);
    const hashes = await this.files.hashes(this.log, level, index, width);
    while (hashes.length < width) hashes.push(NO_HASH);
    return hashes;
  }

  /** Null where the entries were pruned after their retention. */
  async bundle(index: number, width: number): Promise<{ entries: Buffer[]; surplus: boolean } | null> {
    if ((index + 1) * TILE_WIDTH <= (await (this.minimum ??= this.files.minimum(this.log)))) return null;
    const rows = await this.bundleRows(index, width);
    return { entries: rows.map(({ entry }) => entry ?? NOTHING), surplus: false };
  }

  async macs(index: number, width: number): Promise<Buffer[]> {
    return (await this.bundleRows(index, width)).map(({ mac }) => mac ?? NO_HASH);
  }

  async details(index: number, width: number): Promise<(Buffer | null)[]> {
    return (await this.bundleRows(index, width)).map(({ detail }) => detail);
  }

  hasDetails(): Promise<boolean> {
    return Promise.resolve(true);
  }

  /** Every bundle under the checkpoint is there; what is missing are entries. */
  async highestBundle(): Promise<number> {
    return Math.ceil(((await this.checkpoint())?.size ?? 0) / TILE_WIDTH) - 1;
  }

  private checkpoint(): Promise<PublishedCheckpoint | null> {
    return (this.seen ??= this.note === undefined ? this.files.published(this.log) : Promise.resolve(read(this.note)));
  }

  private async bundleRows(index: number, width: number): Promise<LogRow[]> {
    const first = index * TILE_WIDTH;
    const page = Math.floor(first / PAGE);
    let rows = this.pages.get(page);
    if (rows === undefined) {
      // One after the other, also when several are asked for at once: the rows are inspected in their order.
      this.pages.set(page, (rows = this.reading.then(() => this.read(page))));
      this.reading = rows.catch(() => undefined);
      const [oldest] = this.pages.keys();
      if (this.pages.size > PAGES_KEPT && oldest !== undefined) this.pages.delete(oldest);
    }
    const start = first - page * PAGE;
    return (await rows).slice(start, start + width);
  }

  private async read(page: number): Promise<LogRow[]> {
    const first = page * PAGE;
    const size = (await this.checkpoint())?.size ?? 0;
    const rows = await this.files.rows(this.log, first, Math.min(PAGE, size - first));
    rows.forEach((row, at) => this.inspect(first + at, row));
    return rows;
  }
}

function read(note: string): PublishedCheckpoint {
  return { note, ...parseCheckpoint(splitNote(note).text) };
}
