import { hash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** One batch of keys that a key agent was asked for. */
export interface UnwrapEntry {
  /** RFC 3339, by the agent's clock. */
  readonly time: string;
  readonly tenant: string;
  /** For what: `KeyUse.id`; of a tenant's key `tenant-key:<purpose>:<key id>`. */
  readonly use: string;
  /** Whose keys, by their names in the ledger; none for a tenant's key. */
  readonly references: readonly string[];
  /** Why none of them was given out; absent where they were. */
  readonly refused?: string;
}

/** A line of the log: numbered from 1 without a gap, and naming the SHA-256 (hexadecimal) of the line before. */
export interface UnwrapLine extends UnwrapEntry {
  readonly n: number;
  readonly previous: string;
}

/** Where a reader is: the last line that it has read, and its SHA-256. */
export interface LogPosition {
  readonly n: number;
  readonly hash: string;
}

export const LOG_BEGIN: LogPosition = { n: 0, hash: '0'.repeat(64) };

const FILE = /^unwraps-(\d{15})\.log$/;
/** Bytes that one reading takes from the file. */
const PIECE = 1024 * 1024;
const LINE_FEED = 0x0a;

export function logFileName(first: number): string {
  return `unwraps-${String(first).padStart(15, '0')}.log`;
}

/** Numbers of the first lines of the log's files, ascending; none where there is no log. */
export async function logFiles(directory: string): Promise<number[]> {
  const names = await readdir(directory).catch(() => []);
  return names
    .flatMap((name) => (FILE.exec(name)?.[1] === undefined ? [] : [Number(FILE.exec(name)?.[1])]))
    .sort((one, other) => one - other);
}

export function hashOfLine(line: string | Buffer): string {
  return hash('sha256', line, 'hex');
}

/** Reads a key agent's log from its files. What a crash left of a line is no line. */
export class UnwrapLogReader {
  /** Where the line after the last one that was handed out begins. */
  private at: { readonly n: number; readonly file: number; readonly offset: number } | null = null;

  constructor(private readonly directory: string) {}

  /** Whole lines after number `after` as they are in the files, about a mebibyte at most; none where there are no more. */
  async after(after: number): Promise<string[]> {
    let place = this.at?.n === after ? this.at : await this.begin(after);
    const lines: string[] = [];
    while (place !== null && lines.length === 0) {
      const bytes = await this.read(place.file, place.offset);
      const end = bytes.lastIndexOf(LINE_FEED) + 1;
      let { n } = place;
      for (let from = 0; from < end;) {
        const to = bytes.indexOf(LINE_FEED, from);
        n += 1;
        if (n > after) lines.push(bytes.toString('utf8', from, to));
        from = to + 1;
      }
      if (end > 0) place = { ...place, n, offset: place.offset + end };
      else place = await this.nextFile(place);
      if (place !== null) this.at = place;
    }
    return lines;
  }

  private async begin(after: number) {
    const file = (await logFiles(this.directory)).findLast((first) => first <= after + 1);
    return file === undefined ? null : { n: file - 1, file, offset: 0 };
  }

  private async nextFile({ n, file }: { n: number; file: number }) {
    const next = (await logFiles(this.directory)).find((first) => first > file && first === n + 1);
    return next === undefined ? null : { n, file: next, offset: 0 };
  }

  private async read(file: number, offset: number): Promise<Buffer> {
    const handle = await open(join(this.directory, logFileName(file)), 'r');
    try {
      const bytes = Buffer.alloc(PIECE);
      const { bytesRead } = await handle.read(bytes, 0, PIECE, offset);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }
}

/** The lines that follow a position, and where that leads. Throws a RangeError where the chain is broken. */
export function chained(position: LogPosition, lines: readonly string[]): [UnwrapLine[], LogPosition] {
  let at = position;
  const read = lines.map((text) => {
    const line = JSON.parse(text) as UnwrapLine;
    if (line.n !== at.n + 1 || line.previous !== at.hash) {
      throw new RangeError(`The log of the key agent does not go on from line ${at.n}.`);
    }
    at = { n: line.n, hash: hashOfLine(text) };
    return line;
  });
  return [read, at];
}
