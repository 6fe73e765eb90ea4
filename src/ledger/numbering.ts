import { hash, type KeyObject, randomBytes } from 'node:crypto';
import type { Clock } from '../kernel/clock.js';
import type { PreparedRecord } from './entry-statement.js';
import { bareDraft, encodeRecord, type LedgerStatement, type RecordDraft } from './record.js';
import { commitmentOf, RecordMac, writerKey } from './writer-key.js';

/** This writer in one log. */
interface Place {
  readonly mac: RecordMac;
  readonly commitment: string;
  /** The number that was given out last; number 1 is the registration. */
  number: number;
  registered: boolean;
  /** When the registration was first tried: every later try must meet it under the unique key. */
  registeringAt: Date | null;
}

export interface NumberingOptions {
  readonly clock: Clock;
  readonly macKey: KeyObject;
  readonly incarnation: number;
  /** Called with every record that is made. */
  readonly made?: (record: PreparedRecord) => void;
}

/**
 * The name of a writer, its numbers in every log, and the final bytes of its records. The name is random for every start
 * of the process, so that numbers are dense from 1 whatever became of the process before.
 */
export class Numbering {
  /** 16 hexadecimal digits. */
  readonly writer = randomBytes(8).toString('hex');
  private readonly places = new Map<string, Place>();
  private time: { milliseconds: number; at: Date; text: string } | null = null;

  constructor(private readonly options: NumberingOptions) {}

  registered(log: string): boolean {
    return this.places.get(log)?.registered === true;
  }

  /** To be called when the registration is durable. */
  confirm(log: string): void {
    this.placeIn(log).registered = true;
  }

  /**
   * Number 1 of the log: WRITER, or START for a log that this writer starts. A try whose answer was lost may have got in;
   * made anew, even as the other of the two, it has the same number and `recordedAt`, so that the unique key lets in one.
   */
  registration(log: string, start?: LedgerStatement): PreparedRecord {
    const place = this.placeIn(log);
    const draft =
      start === undefined ? bareDraft(log, 'ledger.writer', 'WRITER', '-') : bareDraft(log, 'start', 'START', '-');
    const record = this.seal(draft, place, 1, { ...start, commitment: place.commitment });
    place.registeringAt ??= record.recordedAt;
    return { ...record, recordedAt: place.registeringAt };
  }

  /** Takes the next number of a log in which the writer is registered. Without taking one throws BULK_LIMIT. */
  take(draft: RecordDraft, statement?: LedgerStatement): PreparedRecord {
    const place = this.placeIn(draft.log);
    const record = this.seal(draft, place, place.number + 1, statement);
    place.number += 1;
    return record;
  }

  /** What takes the number of a record whose statement was rolled back. */
  void({ log, number, recordedAt, bytes }: PreparedRecord): PreparedRecord {
    const { request, operation } = JSON.parse(bytes.toString()) as RecordDraft;
    const draft = { ...bareDraft(log, operation, 'VOID', request), outcome: 'failed', code: 'ROLLED_BACK' } as const;
    // In the row's month of the record that it closes: the unique key compares the two only there.
    return { ...this.seal(draft, this.placeIn(log), number), recordedAt };
  }

  private placeIn(log: string): Place {
    const known = this.places.get(log);
    if (known !== undefined) return known;
    const key = writerKey(this.options.macKey, log, this.writer);
    const mac = new RecordMac(key);
    const place: Place = { mac, commitment: commitmentOf(key), number: 1, registered: false, registeringAt: null };
    this.places.set(log, place);
    return place;
  }

  private seal(draft: RecordDraft, place: Place, number: number, statement?: LedgerStatement): PreparedRecord {
    const { at, text } = this.now();
    const { writer } = this;
    const stamp = { incarnation: this.options.incarnation, writer, number, time: text };
    const bytes = encodeRecord(draft, stamp, statement);
    const record = {
      log: draft.log,
      writer,
      number,
      bytes,
      hash: Buffer.from(hash('sha256', bytes, 'binary'), 'binary'),
      mac: place.mac.of(bytes),
      recordedAt: at,
      sealed: draft.sealed ?? null,
    };
    this.options.made?.(record);
    return record;
  }

  private now(): { at: Date; text: string } {
    const milliseconds = this.options.clock.milliseconds();
    if (this.time?.milliseconds === milliseconds) return this.time;
    const at = this.options.clock.now();
    this.time = { milliseconds, at, text: at.toISOString() };
    return this.time;
  }
}
