import { hash } from 'node:crypto';
import type pg from 'pg';
import { databaseFault } from './sqlstate.js';

/** The driver's connection, with what its types leave out (pg 8.23, lib/connection.js). */
type Wire = pg.Connection & {
  sendCopyFromChunk(bytes: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
};

const BATCH_BYTES = 256 * 1024;
/** Signature, flags and length of the extension: what stands before the first row (PostgreSQL, COPY, binary format). */
const HEADER_BYTES = 19;
const TRAILER_BYTES = 2;
/** Batches that wait for the reader before the server is made to wait. */
const MOST_WAITING = 4;

/**
 * The bytes of `COPY … TO STDOUT`, as fast as they are taken: memory does not grow with the table. Read it once and to its
 * end; who leaves before that loses the connection, because the server would go on sending. Failures are DatabaseFaults.
 */
export class CopyOut implements AsyncIterable<Buffer> {
  /** As the server counted them; right when the iteration has ended. */
  rows = 0;
  private readonly sums = new Uint32Array(8);
  private begun = false;
  private wire: Wire | null = null;
  private batch = Buffer.allocUnsafe(BATCH_BYTES);
  private used = 0;
  private readonly waiting: Buffer[] = [];
  private over = false;
  private error: Error | null = null;
  private wake: () => void = () => undefined;

  constructor(
    client: pg.Client,
    private readonly text: string,
  ) {
    client.query(this);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        const next = this.waiting.shift();
        if (next !== undefined) {
          if (this.waiting.length === 0) this.wire?.stream.resume();
          yield next;
        } else if (this.error !== null) {
          throw this.error;
        } else if (this.over) {
          return;
        } else {
          await new Promise<void>((resolve) => (this.wake = resolve));
        }
      }
    } finally {
      if (!this.over) this.wire?.stream.destroy();
    }
  }

  /**
   * Hexadecimal; the same for the same rows in any order, because a table that is loaded need not keep the order of the file.
   * The words of the SHA-256 of each row, added up: it tells errors, and relies on the sealed file against deceit.
   */
  get digest(): string {
    return [...this.sums].map((sum) => sum.toString(16).padStart(8, '0')).join('');
  }

  submit(connection: pg.Connection): void {
    this.wire = connection as Wire;
    connection.query(this.text);
  }

  /** A row, with the header before the first one. The driver writes its next messages over it: what is kept is copied now. */
  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    this.add(this.begun ? chunk : chunk.subarray(HEADER_BYTES));
    this.begun = true;
    if (chunk.length > this.batch.length - this.used) this.flush();
    if (chunk.length > this.batch.length) this.give(Buffer.from(chunk));
    else this.used += chunk.copy(this.batch, this.used);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.rows = Number(text.replace('COPY ', ''));
    this.flush();
  }

  handleReadyForQuery(): void {
    this.over = true;
    this.wake();
  }

  handleError(error: unknown): void {
    this.error = databaseFault(error);
    this.handleReadyForQuery();
  }

  private add(row: Buffer): void {
    if (row.length <= TRAILER_BYTES) return;
    const digest = hash('sha256', row, 'buffer');
    for (let word = 0; word < this.sums.length; word++) {
      this.sums[word] = (this.sums[word] ?? 0) + digest.readUInt32BE(4 * word);
    }
  }

  private flush(): void {
    if (this.used === 0) return;
    this.give(this.batch.subarray(0, this.used));
    this.batch = Buffer.allocUnsafe(BATCH_BYTES);
    this.used = 0;
  }

  private give(bytes: Buffer): void {
    this.waiting.push(bytes);
    if (this.waiting.length >= MOST_WAITING) this.wire?.stream.pause();
    this.wake();
  }
}

/**
 * Feeds the source to `COPY … FROM STDIN`. Resolves with the number of rows; a source that throws makes the server take
 * nothing, and its error is thrown on.
 */
export function copyIn(client: pg.Client, text: string, source: AsyncIterable<Buffer>): Promise<number> {
  return new Promise((resolve, reject) => client.query(new CopyIn(text, source, resolve, reject)));
}

class CopyIn {
  private rows = 0;
  private over = false;
  private cause: unknown = null;
  private goOn: () => void = () => undefined;

  constructor(
    private readonly text: string,
    private readonly source: AsyncIterable<Buffer>,
    private readonly resolve: (rows: number) => void,
    private readonly reject: (error: unknown) => void,
  ) {}

  submit(connection: pg.Connection): void {
    connection.query(this.text);
  }

  handleCopyInResponse(connection: pg.Connection): void {
    void this.send(connection as Wire);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.rows = Number(text.replace('COPY ', ''));
  }

  handleReadyForQuery(): void {
    this.over = true;
    this.resolve(this.rows);
  }

  /** The server drops what still comes of a COPY that it has refused (PostgreSQL, protocol flow, COPY operations). */
  handleError(error: unknown): void {
    this.over = true;
    this.goOn();
    this.reject(this.cause ?? databaseFault(error));
  }

  private async send(wire: Wire): Promise<void> {
    try {
      for await (const bytes of this.source) {
        if (this.over) return;
        wire.sendCopyFromChunk(bytes);
        if (wire.stream.writableNeedDrain) {
          await new Promise<void>((resolve) => {
            this.goOn = resolve;
            wire.stream.once('drain', resolve);
          });
        }
      }
      if (!this.over) wire.endCopyFrom();
    } catch (error) {
      this.cause = error;
      if (!this.over) wire.sendCopyFail('the source failed');
    }
  }
}
