import type { PreparedRecord } from './entry-statement.js';

/** Together the records may take this many bytes: a minute's worth, when PostgreSQL holds them up. */
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * What this process wrote, until it has its place in the log, so that the leader need not fetch from the database what it
 * has itself. It only spares work: what is not here is read and checked like another process's, and the database must
 * show for every row that it still holds the bytes of this hash.
 */
export class OwnRecords {
  private readonly logs = new Map<string, Map<number, PreparedRecord>>();
  private bytes = 0;

  /** @param writer the name of this process's writer; empty: nothing is kept */
  constructor(readonly writer: string) {}

  /** The newest record of a number: a VOID record takes the place of the one that it closes. */
  keep(record: PreparedRecord): void {
    if (this.bytes > MOST_BYTES) this.clear();
    let numbers = this.logs.get(record.log);
    if (numbers === undefined) this.logs.set(record.log, (numbers = new Map()));
    this.bytes += sizeOf(record) - sizeOf(numbers.get(record.number));
    numbers.set(record.number, record);
  }

  /** The bytes of the record with this hash and MAC (one after the other, hexadecimal); null when they are not here. */
  find(log: string, number: number, proof: string): Buffer | null {
    const record = this.logs.get(log)?.get(number);
    if (record === undefined) return null;
    return proof === record.hash.toString('hex') + record.mac.toString('hex') ? record.bytes : null;
  }

  /** It has its place. */
  forget(log: string, number: number): void {
    const numbers = this.logs.get(log);
    this.bytes -= sizeOf(numbers?.get(number));
    numbers?.delete(number);
  }

  clear(): void {
    this.logs.clear();
    this.bytes = 0;
  }
}

function sizeOf(record: PreparedRecord | undefined): number {
  return record === undefined ? 0 : record.bytes.length + (record.sealed?.ciphertext.length ?? 0);
}
