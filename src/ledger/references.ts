import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../persistence/database.js';
import { textArray } from './binary-array.js';
import type { ArchivedRecords, ParsedRecord } from './stored-entries.js';
import { StoredEntries } from './stored-entries.js';

/** S: named as a subject. A: the actor. W: the writer. */
export type ReferenceRole = 'S' | 'A' | 'W';

/** Entries of one row of the index: whole spans are indexed, what is above the last one is searched. */
export const SPAN = 1_024;
/** Entries that one statement reads: a step holds the process for a few milliseconds. */
const SLICE = 256;
/** Rows of one INSERT: while it runs, the sequencer cannot pass its transaction. */
const LARGEST_INSERT = 2_000;
const REFERENCE = /^[0-9a-f]{32}$/;
const WRITER = /^[0-9a-f]{16}$/;

/** A writer's 16 digits as the index holds them. */
export function writerReference(writer: string): string {
  return writer.padEnd(32, '0');
}

/**
 * Keeps `ledger_reference` behind the log, span by span. Every INSERT is a transaction of its own, and `ledger_indexed`
 * moves after the last one of a span: a crash in between leaves rows that the next attempt finds there. Nothing here is
 * evidence: emptied by the owner of the tables, both are made again from the records.
 */
export class ReferenceIndexer {
  private readonly stored: StoredEntries;

  constructor(
    private readonly sequencer: Database,
    archive: ArchivedRecords | null,
  ) {
    this.stored = new StoredEntries(sequencer, archive);
  }

  /** Indexes the next span of every log that has one. False when no log has. */
  async step(): Promise<boolean> {
    const logs = await this.sequencer.query<{ log: string; indexed: string }>(null, {
      name: 'ledger_indexable',
      text:
        'SELECT log, coalesce(indexed.size, 0) AS indexed FROM ledger_head AS head ' +
        'LEFT JOIN ledger_indexed AS indexed USING (log) WHERE head.size >= coalesce(indexed.size, 0) + $1',
      values: [SPAN],
    });
    for (const { log, indexed } of logs) await this.indexSpan(log, Number(indexed));
    return logs.length > 0;
  }

  private async indexSpan(log: string, first: number): Promise<void> {
    const named = new Map<string, number[]>();
    for (let low = first; low < first + SPAN; low += SLICE) {
      for (const { index, record } of await this.stored.recordsBetween(log, low, low + SLICE, { bundles: Infinity })) {
        for (const key of referencesIn(record)) {
          const offsets = named.get(key);
          if (offsets === undefined) named.set(key, [index - first]);
          else offsets.push(index - first);
        }
      }
    }
    // In the order of the table's key: neighbours go to the same pages.
    const rows = [...named].sort(([left], [right]) => (left < right ? -1 : 1));
    for (let at = 0; at < rows.length; at += LARGEST_INSERT) {
      await this.insert(log, first, rows.slice(at, at + LARGEST_INSERT));
    }
    await this.sequencer.query(null, {
      name: 'ledger_indexed_move',
      text:
        'INSERT INTO ledger_indexed (log, size) VALUES ($1, $2) ' +
        'ON CONFLICT (log) DO UPDATE SET size = excluded.size WHERE ledger_indexed.size < excluded.size',
      values: [log, first + SPAN],
    });
  }

  private async insert(log: string, first: number, rows: readonly (readonly [string, number[]])[]): Promise<void> {
    await this.sequencer.query(null, {
      name: 'ledger_reference_insert',
      text:
        'INSERT INTO ledger_reference (log, role, reference, first, offsets) ' +
        'SELECT $1, role::"char", reference::uuid, $2, offsets::smallint[] ' +
        'FROM unnest($3::text[], $4::text[], $5::text[]) AS named (role, reference, offsets) ON CONFLICT DO NOTHING',
      values: [
        log,
        first,
        textArray(rows.map(([key]) => key.slice(-1))),
        textArray(rows.map(([key]) => key.slice(0, -1))),
        textArray(rows.map(([, offsets]) => `{${offsets.join()}}`)),
      ],
    });
  }
}

/** The references of a record, each once, with its role after it. */
export function referencesIn(record: ParsedRecord): Set<string> {
  const keys = new Set<string>();
  const add = (role: ReferenceRole, value: unknown, pattern: RegExp) => {
    if (typeof value === 'string' && pattern.test(value)) keys.add(writerReference(value) + role);
  };
  for (const { subjects } of record.accesses) for (const subject of subjects) add('S', subject, REFERENCE);
  add('A', record['actor'], REFERENCE);
  add('W', record['writer'], WRITER);
  return keys;
}

const IDLE_MILLISECONDS = 1_000;
const SHORTEST_PAUSE = 10;
/** It rests this many times as long as a step took. */
const RESTS = 3;
const AFTER_FAILURE = 5_000;

/**
 * Runs the indexer in the process that leads, and nowhere else: two would only do the same work twice. It gives way
 * to the sequencer: under a load that it cannot follow it falls behind, searches look through more, and it catches up later.
 */
export class ReferenceFollower {
  private readonly ending = new AbortController();
  private running: Promise<void> | null = null;

  constructor(
    private readonly indexer: ReferenceIndexer,
    private readonly leads: () => boolean,
  ) {}

  start(): void {
    this.running ??= this.run();
  }

  /** Ends after the step that runs. */
  async stop(): Promise<void> {
    this.ending.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.ending.signal.aborted) await this.rest(this.leads() ? await this.work() : IDLE_MILLISECONDS);
  }

  /** One step; the milliseconds to rest after it. What fails is tried again: until then searches look through more. */
  private async work(): Promise<number> {
    const began = performance.now();
    try {
      const more = await this.indexer.step();
      return more ? Math.max(SHORTEST_PAUSE, RESTS * (performance.now() - began)) : IDLE_MILLISECONDS;
    } catch {
      return AFTER_FAILURE;
    }
  }

  private async rest(milliseconds: number): Promise<void> {
    await pause(milliseconds, undefined, { signal: this.ending.signal }).catch(() => undefined);
  }
}
