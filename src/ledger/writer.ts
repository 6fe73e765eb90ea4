import type { KeyObject } from 'node:crypto';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { DatabaseFault, databaseFault } from '../persistence/sqlstate.js';
import type { Statement } from '../persistence/statement.js';
import {
  type Bind,
  detailInsertionText,
  insertEntries,
  insertionText,
  insertMissingEntries,
  type PreparedRecord,
} from './entry-statement.js';
import { Numbering } from './numbering.js';
import type { LedgerStatement, Receipt, RecordDraft } from './record.js';

/** What the writer needs of the API role's Database. */
export interface EntryDatabase {
  query<Row>(tenant: null, statement: Statement): Promise<Row[]>;
}

export interface LedgerWriterOptions {
  readonly database: EntryDatabase;
  readonly clock: Clock;
  readonly macKey: KeyObject;
  readonly incarnation: number;
  /** Whether nothing new is to be recorded at the moment, because what was recorded does not get its place in time. */
  readonly refusing?: () => boolean;
  /** Called with every record that is made, before it is written anywhere. */
  readonly made?: (record: PreparedRecord) => void;
  /** Called after entries became durable, so that the sequencer of this process need not wait for its next look. */
  readonly committed?: () => void;
}

interface Waiting {
  readonly record: PreparedRecord;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (failure: Failure) => void;
}

const LARGEST_FLUSH = 1_024;
const FLUSHES_IN_FLIGHT = 3;
const LONGEST_QUEUE = 20_000;
const MOST_OPEN_VOIDS = 1_000;
const FLUSH_MILLISECONDS = 5_000;
const VOID_PAUSES = [100, 300, 1_000, 3_000, 5_000];

/**
 * Writes the records of this process. Owns the numbers: dense from 1 for each log, under a name that is random for
 * every start, so that a row that vanishes before it is sequenced leaves a gap that the verifier names. Number 1 of a log
 * registers the writer there; until it is durable the log takes no other record of this writer.
 *
 * A number that was given out always ends in the ledger while the process lives: as its record, or as a VOID record
 * with the same number. Both may be tried (an answer that was lost says nothing); the unique key on (log, writer,
 * number) lets one of them in. Numbers in flight when the process dies stay open; the verifier knows that from the
 * writer's records ending there.
 */
export class LedgerWriter {
  private readonly numbering: Numbering;
  private readonly registering = new Map<string, Promise<void>>();
  private readonly queue: Waiting[] = [];
  private readonly voids: PreparedRecord[] = [];
  private inFlight = 0;
  private scheduled = false;
  private voiding: Promise<void> | null = null;
  private closing = false;
  private idle: (() => void) | null = null;

  constructor(private readonly options: LedgerWriterOptions) {
    this.numbering = new Numbering(options);
  }

  /** 16 hexadecimal digits, new for every start of the process. */
  get writer(): string {
    return this.numbering.writer;
  }

  /**
   * Registers this writer in a log: a WRITER record with the commitment to its key, or, given what it states, the START
   * record of a log that this writer starts. Durable when it resolves; further calls do nothing. Rejects with
   * AUDIT_UNAVAILABLE: then call it again. Number 1 is never closed by a VOID record: the same row is tried until it is
   * there.
   */
  async register(log: string, start?: LedgerStatement): Promise<void> {
    if (this.numbering.registered(log)) return;
    const running = this.registering.get(log) ?? this.writeRegistration(log, start);
    this.registering.set(log, running);
    await running.finally(() => this.registering.delete(log));
  }

  /** Whether this writer may write to a log. */
  registered(log: string): boolean {
    return this.numbering.registered(log);
  }

  /**
   * Takes the next number of the log and makes the final bytes. From here on the number must be closed: insert the
   * record, or call {@link void}. Throws without taking a number: BULK_LIMIT for a record that no entry can hold,
   * AUDIT_UNAVAILABLE while nothing can be recorded, and for a log in which this writer is not registered.
   */
  prepare(draft: RecordDraft, statement?: LedgerStatement): PreparedRecord {
    if (!this.numbering.registered(draft.log) || this.refuses()) throw unavailable();
    return this.numbering.take(draft, statement);
  }

  /** The INSERT of a prepared record for the statement of a business transaction; see {@link insertionText}. */
  insertion(record: PreparedRecord, bind: Bind, from?: string): string {
    return insertionText(record, bind, from);
  }

  /** The INSERT of its sealed details, for the same statement; null for a record without. */
  detailInsertion(record: PreparedRecord, bind: Bind, from?: string): string | null {
    return detailInsertionText(record, bind, from);
  }

  /**
   * Writes a record that belongs to no transaction (a read, a denial, a sign-in). Durable when it resolves. Rejects with
   * AUDIT_UNAVAILABLE: then the caller releases nothing. The record may be in the ledger all the same, if only the
   * answer was lost: the ledger may name an access that did not happen, never the reverse.
   */
  append(draft: RecordDraft, statement?: LedgerStatement): Promise<Receipt> {
    if (!this.numbering.registered(draft.log) || this.queue.length >= LONGEST_QUEUE || this.refuses()) {
      return Promise.reject(unavailable());
    }
    return new Promise((resolve, reject) => {
      this.queue.push({ record: this.numbering.take(draft, statement), resolve, reject });
      if (this.scheduled || this.inFlight >= FLUSHES_IN_FLIGHT) return;
      this.scheduled = true;
      // After this turn of the event loop, so that requests that end in one turn share a flush.
      setImmediate(() => {
        this.scheduled = false;
        this.flushQueue();
      });
    });
  }

  /** The statement of a prepared record was rolled back or had nothing to do: a VOID record takes its number. */
  void(record: PreparedRecord): void {
    this.voids.push(this.numbering.void(record));
    this.voiding ??= this.writeVoids();
  }

  /** Records that wait for a flush, and numbers that wait for their VOID record. */
  load(): { queued: number; voids: number } {
    return { queued: this.queue.length, voids: this.voids.length };
  }

  /** Refuses new records, flushes what is queued, tries once more to close open numbers. */
  async close(): Promise<void> {
    this.closing = true;
    if (this.queue.length > 0 || this.inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
    }
    await this.voiding;
  }

  private refuses(): boolean {
    return this.closing || this.voids.length >= MOST_OPEN_VOIDS || this.options.refusing?.() === true;
  }

  private async writeRegistration(log: string, start?: LedgerStatement): Promise<void> {
    try {
      await this.send(insertMissingEntries([this.numbering.registration(log, start)]));
    } catch {
      throw unavailable();
    }
    this.numbering.confirm(log);
    this.options.committed?.();
  }

  /** Starts a flush with all that is queued while a place is free. Batches follow load: no timer, no target size. */
  private flushQueue(): void {
    while (this.inFlight < FLUSHES_IN_FLIGHT && this.queue.length > 0) {
      this.inFlight += 1;
      void this.flush(this.queue.splice(0, LARGEST_FLUSH)).then(() => {
        this.inFlight -= 1;
        if (this.inFlight === 0 && this.queue.length === 0) this.idle?.();
        this.flushQueue();
      });
    }
  }

  private async flush(batch: readonly Waiting[]): Promise<void> {
    const records = batch.map(({ record }) => record);
    let written = true;
    try {
      await this.send(insertEntries(records));
    } catch (error) {
      written = databaseFault(error).kind === 'connection' && (await this.writtenAfterAll(records));
    }
    if (written) this.options.committed?.();
    for (const { record, resolve, reject } of batch) {
      if (written) {
        resolve({ writer: record.writer, number: record.number, recordHash: record.hash.toString('hex') });
      } else {
        this.void(record);
        reject(unavailable());
      }
    }
  }

  /**
   * A lost connection leaves open whether the flush happened. The same rows are sent once more, leaving out those
   * that are there: their numbers can only be taken by themselves, since no VOID record for them exists yet. If the
   * lost statement still runs, this one waits for its end.
   */
  private async writtenAfterAll(records: readonly PreparedRecord[]): Promise<boolean> {
    try {
      await this.send(insertMissingEntries(records));
      return true;
    } catch {
      return false;
    }
  }

  /** Writes open VOID records until there are none; while it runs, `voiding` is set. Gives up only when closing. */
  private async writeVoids(): Promise<void> {
    for (let attempt = 0; this.voids.length > 0;) {
      const batch = this.voids.slice(0, LARGEST_FLUSH);
      try {
        await this.send(insertMissingEntries(batch));
        this.voids.splice(0, batch.length);
        attempt = 0;
        this.options.committed?.();
      } catch {
        if (this.closing) break;
        await new Promise((resolve) => setTimeout(resolve, VOID_PAUSES[Math.min(attempt++, VOID_PAUSES.length - 1)]));
      }
    }
    this.voiding = null;
  }

  /** Sends one statement; after five seconds it counts as failed, whatever becomes of it. */
  private async send<Row>(statement: Statement): Promise<Row[]> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(tooSlow()), FLUSH_MILLISECONDS);
    });
    try {
      return await Promise.race([this.options.database.query<Row>(null, statement), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function tooSlow(): DatabaseFault {
  return new DatabaseFault('timeout', null, null, 'PostgreSQL took too long to write to the ledger.');
}

function unavailable(): Failure {
  return new Failure('AUDIT_UNAVAILABLE', 'The audit ledger cannot be written at the moment.', 'Try again later.');
}
