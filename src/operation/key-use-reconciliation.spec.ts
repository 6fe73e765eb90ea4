import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ManualClock } from '../kernel/clock.js';
import type { ParsedRecord } from '../ledger/stored-entries.js';
import { hashOfLine, LOG_BEGIN, type LogPosition, type UnwrapEntry } from '../vault/agent-log-reader.js';
import { KeyUseReconciliation, type ReconciledPosition, type UnexplainedUse } from './key-use-reconciliation.js';

const BEGAN = Date.parse('2026-11-21T00:00:00Z');
const PERSONS = Array.from({ length: 8 }, (_, at) => String(at).repeat(32));
const [ANNA = '', BERT = ''] = PERSONS;

let clock: ManualClock;
/** An agent's log and a ledger in memory; `sequenced` is how many of the ledger's records have an index. */
let lines: string[];
let end: LogPosition;
let ledger: Map<string, ParsedRecord[]>;
let sequenced: number;
let reads: number;
let told: UnexplainedUse[];
let run: KeyUseReconciliation;

function begin(from?: ReconciledPosition): KeyUseReconciliation {
  const agent = { after: (n: number) => Promise.resolve(lines.slice(n, n + 3)) };
  const reader = {
    end: (log: string) => Promise.resolve(Math.min(sequenced, ledger.get(log)?.length ?? 0)),
    records: (log: string, low: number, high: number) => {
      reads += 1;
      return Promise.resolve((ledger.get(log) ?? []).slice(low, high));
    },
    indexFrom: (log: string, time: string) =>
      Promise.resolve((ledger.get(log) ?? []).findIndex((one) => String(one['time']) >= time) >>> 0),
  };
  // -1 as an unsigned number is larger than any index: no record is that young.
  const bounded = {
    ...reader,
    indexFrom: async (log: string, time: string) =>
      Math.min(await reader.indexFrom(log, time), ledger.get(log)?.length ?? 0),
  };
  return new KeyUseReconciliation(agent, bounded, clock, from);
}

beforeEach(() => {
  clock = new ManualClock(BEGAN);
  lines = [];
  end = LOG_BEGIN;
  ledger = new Map();
  sequenced = Infinity;
  reads = 0;
  told = [];
  run = begin();
});

function unwrap(use: string, references: readonly string[], more: Partial<UnwrapEntry> = {}): void {
  const entry = { time: clock.now().toISOString(), tenant: 'T-CN', use, references, ...more };
  const line = JSON.stringify({ n: end.n + 1, ...entry, previous: end.hash });
  end = { n: end.n + 1, hash: hashOfLine(line) };
  lines.push(line);
}

function record(decision: string, subjects: readonly string[], log = 'T-CN'): void {
  const accesses = [{ type: 'Patient', rows: subjects.length, fields: {}, subjects }];
  const records = ledger.get(log) ?? [];
  records.push({ time: clock.now().toISOString(), decision, accesses });
  ledger.set(log, records);
}

async function turns(count: number, seconds = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await run.turn((found) => Promise.resolve(void told.push(...found)));
    clock.advance(seconds * 1_000);
  }
}

const toldKeys = () =>
  told.flatMap(({ tenant, use, references }) => references.map((one) => `${tenant} ${use} ${one}`));

describe('unwraps and records', () => {
  test('that belong together are silent, within the grace and long after it', async () => {
    unwrap('one', [ANNA, BERT]);
    await turns(4);
    record('one', [BERT, ANNA]);
    unwrap('two', [ANNA]);
    record('two', [ANNA]);
    unwrap('', [], { use: 'tenant-key:index' });
    unwrap('three', [ANNA], { refused: 'RATE_LIMITED' });
    await turns(20);
    expect(told).toEqual([]);
    // Work that goes on after its record, as a download does.
    unwrap('two', [ANNA]);
    await turns(12);
    expect(told).toEqual([]);
  });

  test('that do not are told within 60 s, each once', async () => {
    record('stolen', [ANNA]);
    unwrap('stolen', [BERT]);
    unwrap('made-up', [ANNA]);
    unwrap('elsewhere', [ANNA], { tenant: 'T-US' });
    record('elsewhere', [ANNA], 'T-CN');
    await turns(9);
    expect(told).toEqual([]);
    await turns(3);
    expect(toldKeys().sort()).toEqual([`T-CN made-up ${ANNA}`, `T-CN stolen ${BERT}`, `T-US elsewhere ${ANNA}`]);
    await turns(20);
    expect(told).toHaveLength(3);
  });

  test('are told again when nobody took the alarm', async () => {
    unwrap('made-up', [ANNA]);
    await turns(2);
    clock.advance(60_000);
    await expect(run.turn(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await turns(1);
    expect(told).toHaveLength(1);
  });

  test('of a ledger that lags are matched when it has caught up', async () => {
    sequenced = 0;
    unwrap('one', [ANNA]);
    record('one', [ANNA]);
    await turns(8);
    sequenced = Infinity;
    await turns(10);
    expect(told).toEqual([]);
  });

  test('cost no reading of the ledger while nothing waits', async () => {
    unwrap('one', [ANNA]);
    record('one', [ANNA]);
    await turns(3);
    const before = reads;
    for (let at = 0; at < 2_000; at += 1) record(`quiet ${at}`, [BERT]);
    await turns(20);
    expect(reads).toBe(before);
  });

  test('of a log that was changed or cut are no longer matched', async () => {
    unwrap('one', [ANNA]);
    unwrap('two', [ANNA]);
    await turns(1);
    lines[2] = lines[1] ?? '';
    await expect(run.turn(() => Promise.resolve())).rejects.toThrow(RangeError);
  });

  test('are told exactly when nothing explains them, whatever the order, the pauses and the starts', async () => {
    const step = fc.record({
      use: fc.integer({ min: 0, max: 5 }),
      persons: fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 4 }),
      honest: fc.boolean(),
      delay: fc.integer({ min: 0, max: 30 }),
      restart: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        [clock, lines, end, ledger, told] = [new ManualClock(BEGAN), [], LOG_BEGIN, new Map(), []];
        run = begin();
        const rogue = new Set<string>();
        for (const [at, { use, persons, honest, delay, restart }] of steps.entries()) {
          const references = persons.map((one) => PERSONS[one] ?? '');
          // A use of its own for each step, so that what one records explains no other.
          const id = `use-${at}-${use}`;
          unwrap(id, references);
          if (delay > 10) await turns(1, delay - 10);
          if (honest) record(id, references);
          else {
            record(id, references.slice(1));
            rogue.add(`T-CN ${id} ${references[0]}`);
          }
          if (restart) run = begin(JSON.parse(JSON.stringify(run.position)) as ReconciledPosition);
          await turns(1, Math.min(delay, 10));
        }
        await turns(14);
        expect(new Set(toldKeys())).toEqual(rogue);
      }),
      { numRuns: 20 },
    );
  });
});
