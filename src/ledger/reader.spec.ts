import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import type { Database } from '../persistence/database.js';
import { instantText } from '../kernel/clock.js';
import type { LedgerFilter } from './entry-filter.js';
import { LedgerReader } from './reader.js';
import { bareDraft, encodeRecord, type RecordDraft } from './record.js';
import { ReferenceFollower, ReferenceIndexer, SPAN } from './references.js';
import type { ArchivedRecords } from './stored-entries.js';
import { CLOCK_TOLERANCE, TimeRange } from './time-range.js';

const LOG = 'T-CN';
const START = Date.UTC(2026, 9, 30);
const SIZE = 5_000;
/** One entry every ten minutes: the log crosses two ends of a month. */
const STEP = 600_000;
/** Entries below have no row any more: only the archive has their records. */
const ARCHIVED = 1_300;

const reference = (number: number) => number.toString(16).padStart(32, '0');
const RARE = reference(0xabc);
const WRITER = 'a'.repeat(16);

let database: TestDatabase;
const drafts: RecordDraft[] = [];
const times: string[] = [];
const bytes: Buffer[] = [];
let bundlesRead = 0;
const archive: ArchivedRecords = {
  records: (log, index, width) => {
    bundlesRead += 1;
    return Promise.resolve(
      bytes.slice(index * 256, index * 256 + width).map((record) => ({ record: log === LOG ? record : null })),
    );
  },
};

function draftOf(index: number): RecordDraft {
  const pick = <Value>(values: readonly Value[], by: number) => values[(index * 7 + by) % values.length] as Value;
  const subjects = [reference(index % 23), ...(index % 997 === 0 ? [RARE] : [])];
  // Fields that are called as members of a record are, and values that look like others.
  const fields = { kind: 'CLEAR', outcome: 'MASKED', purpose: 'CLEAR', actor: 'HIDDEN', time: 'CLEAR' } as const;
  return {
    ...bareDraft(
      LOG,
      pick(['patients', 'patient', 'patients careTeams', 'updatePatient'], 1),
      'READ',
      `request-${index}`,
    ),
    kind: pick(['READ', 'SEARCH', 'UPDATE'], 2),
    outcome: pick(['success', 'success', 'denied', 'failed'], 3),
    purpose: pick(['TREAT', 'PATADMIN', null], 4),
    actor: index % 11 === 0 ? null : reference(1_000 + (index % 5)),
    accesses: index % 3 === 0 ? [] : [{ type: 'Consent', rows: 1, fields, subjects }],
  };
}

beforeAll(async () => {
  database = await testDatabase();
  for (let index = 0; index < SIZE; index += 1) {
    // Clocks differ by up to two minutes either way.
    const time = START + index * STEP + ((index * 7_919) % 240_000) - 120_000;
    drafts.push(draftOf(index));
    times.push(instantText(time));
    bytes.push(
      encodeRecord(drafts[index] as RecordDraft, {
        incarnation: 1,
        writer: WRITER,
        number: index + 1,
        time: times[index] as string,
      }),
    );
  }
  const live = bytes.map((_, index) => index).filter((index) => index >= ARCHIVED);
  await database.owner.query(
    `INSERT INTO ledger_entry (id, log, xid, writer, number, recorded_at, record, record_hash, mac) OVERRIDING SYSTEM VALUE
     SELECT i, $1, '1', $2, i + 1, t, r, sha256(r), sha256(r)
     FROM unnest($3::bigint[], $4::timestamptz[], $5::bytea[]) AS row (i, t, r)`,
    [LOG, WRITER, live, live.map((index) => times[index]), live.map((index) => bytes[index])],
  );
  await database.owner.query(
    `INSERT INTO ledger_leaf (log, idx, entry_id, leaf, recorded_at)
     SELECT $1, i - 1, i - 1, sha256(''), t FROM unnest($2::timestamptz[]) WITH ORDINALITY AS row (t, i)`,
    [LOG, times],
  );
  await database.owner.query(
    `INSERT INTO ledger_head (log, size, last_leaf, compact_range, incarnation, mac) VALUES ($1, $2, sha256(''), '', 1, sha256(''))`,
    [LOG, SIZE],
  );
});
afterAll(() => database.close());

const reader = () => new LedgerReader(database.auditor, undefined, archive);

/** All pages of a search, and the most that any of them had. */
async function whole(filter: LedgerFilter, count: number, from = SIZE): Promise<number[]> {
  const found: number[] = [];
  let before: number | null = from;
  while (before !== null) {
    const page = await reader().entries(LOG, filter, before, count);
    expect(page.entries.length).toBeLessThanOrEqual(count);
    expect(page.before ?? -1).toBeLessThan(before);
    found.push(...page.entries.map((entry) => entry.index));
    before = page.before;
  }
  return found;
}

/** The same from the drafts, by the words of the filter. */
function expected(filter: LedgerFilter): number[] {
  return drafts
    .flatMap((draft, index) => {
      const time = times[index] as string;
      const same = (['actor', 'purpose', 'outcome', 'kind'] as const).every(
        (name) => filter[name] == null || draft[name] === filter[name],
      );
      const operation = filter.operation == null || draft.operation.split(' ').includes(filter.operation);
      const subject =
        filter.subject == null || draft.accesses.some((one) => one.subjects.includes(filter.subject ?? ''));
      const inTime = (filter.from == null || time >= filter.from) && (filter.to == null || time < filter.to);
      return same && operation && subject && inTime ? [index] : [];
    })
    .reverse();
}

const filters = fc.record(
  {
    subject: fc.constantFrom(reference(3), reference(22), RARE, reference(99)),
    actor: fc.constantFrom(reference(1_001), reference(1_004)),
    purpose: fc.constantFrom('TREAT', 'CLEAR', 'PATADMIN'),
    operation: fc.constantFrom('patients', 'careTeams', 'patient', 'updatePatient'),
    outcome: fc.constantFrom('success', 'denied', 'MASKED'),
    kind: fc.constantFrom('READ', 'UPDATE', 'CLEAR'),
    from: fc.integer({ min: -10, max: SIZE + 10 }).map((at) => instantText(START + at * STEP)),
    to: fc.integer({ min: -10, max: SIZE + 10 }).map((at) => instantText(START + at * STEP)),
  },
  { requiredKeys: [] },
);

async function finds(runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(filters, fc.integer({ min: 1, max: 50 }), async (filter, count) => {
      expect(await whole(filter, Math.max(count, expected(filter).length > 500 ? 50 : 1))).toEqual(expected(filter));
    }),
    { numRuns: runs },
  );
}

describe('a search in the ledger', () => {
  test('finds every entry once, newest first, by any filter: without an index of references', () => finds(12), 30_000);

  test('finds the same while the index covers a part', async () => {
    expect(await new ReferenceIndexer(database.sequencer, archive).step()).toBe(true);
    await finds(12);
  }, 30_000);

  test('finds the same once the index has caught up, and reads little for it', async () => {
    const indexer = new ReferenceIndexer(database.sequencer, archive);
    while (await indexer.step());
    await finds(20);
    const statements: string[] = [];
    const counted = {
      query: (tenant: null, statement: Parameters<Database['query']>[1]) => {
        statements.push(statement.name ?? '');
        return database.auditor.query(tenant, statement);
      },
    } as unknown as Database;
    bundlesRead = 0;
    const page = await new LedgerReader(counted, undefined, archive).entries(LOG, { subject: RARE }, SIZE, 2);
    expect(page.entries).toHaveLength(2);
    expect(statements).toEqual(['ledger_extent', 'ledger_scan_s', 'ledger_places', 'ledger_entries_at']);
    expect(bundlesRead).toBe(0);
  }, 30_000);

  test('shows the bytes that the record hash and the leaf are of', async () => {
    for (const index of [0, ARCHIVED - 1, ARCHIVED, SIZE - 1]) {
      const entry = await reader().entry(LOG, index);
      expect(entry?.bytes).toEqual(bytes[index]);
      expect(entry?.recordHash).toBe(hash('sha256', bytes[index] as Buffer, 'hex'));
      expect(entry?.record).toMatchObject({ number: index + 1, time: times[index] });
    }
    expect(await reader().entry(LOG, SIZE)).toBeNull();
    expect(await reader().entry('T-US', 0)).toBeNull();
    expect((await reader().tail(LOG, 3)).map((entry) => entry.index)).toEqual([SIZE - 3, SIZE - 2, SIZE - 1]);
  });

  test('leads from a writer and a number to the entry, in the database and in the archive', async () => {
    for (const number of [1, 700, ARCHIVED, ARCHIVED + 1, SIZE]) {
      expect((await reader().receipted(LOG, WRITER, number))?.index).toBe(number - 1);
    }
    expect(await reader().receipted(LOG, WRITER, SIZE + 1)).toBeNull();
    expect(await reader().receipted(LOG, 'b'.repeat(16), 1)).toBeNull();
    expect(await reader().receipted('T-US', WRITER, 1)).toBeNull();
  });

  test('of an empty log is over at once', async () => {
    expect(await reader().entries('T-US', {}, 10, 5)).toEqual({ entries: [], before: null, unread: 0 });
  });

  test('waits until what was committed before is sequenced, and fails where it cannot be', async () => {
    const broken = new LedgerReader(database.auditor, () => Promise.reject(new Error('not sequenced')));
    await expect(broken.end(LOG)).rejects.toThrow('not sequenced');
  });

  test('leaves out what is no record any more, and goes on', async () => {
    const client = await database.owner.connect();
    try {
      await client.query('BEGIN');
      await client.query('SET LOCAL session_replication_role = replica');
      await client.query(`UPDATE ledger_entry SET record = '\\x7b' WHERE id = $1`, [SIZE - 2]);
      await client.query('COMMIT');
      expect(await whole({}, 50)).toEqual(expected({}).filter((index) => index !== SIZE - 2));
    } finally {
      await client.query('BEGIN');
      await client.query('SET LOCAL session_replication_role = replica');
      await client.query('UPDATE ledger_entry SET record = $2 WHERE id = $1', [SIZE - 2, bytes[SIZE - 2]]);
      await client.query('COMMIT');
      client.release();
    }
  });
});

describe('the index of references', () => {
  test('has every reference of every span, and nothing above it; a second time it changes nothing', async () => {
    const rows = async () =>
      (await database.owner.query<{ text: string }>('SELECT r::text AS text FROM ledger_reference r ORDER BY 1')).rows;
    const before = await rows();
    const { rows: subjects } = await database.owner.query<{ first: string; offsets: number[] }>(
      `SELECT first, offsets FROM ledger_reference WHERE log = $1 AND role = 'S' AND reference = $2::uuid ORDER BY first`,
      [LOG, reference(3)],
    );
    const covered = SPAN * Math.floor(SIZE / SPAN);
    expect(subjects.flatMap(({ first, offsets }) => offsets.map((offset) => Number(first) + offset))).toEqual(
      expected({ subject: reference(3) })
        .filter((index) => index < covered)
        .reverse(),
    );
    // As after a crash between the last row of a span and the mark.
    await database.owner.query('UPDATE ledger_indexed SET size = 1024');
    const indexer = new ReferenceIndexer(database.sequencer, archive);
    while (await indexer.step());
    expect(await rows()).toEqual(before);
    expect((await database.owner.query('SELECT log, size FROM ledger_indexed')).rows).toEqual([
      { log: LOG, size: String(covered) },
    ]);
  });

  test('is kept by the leader alone, and goes on after a failure', async () => {
    let leads = false;
    let steps = 0;
    const indexer = {
      step: () => {
        steps += 1;
        return steps === 1 ? Promise.resolve(true) : Promise.reject(new Error('broken'));
      },
    } as unknown as ReferenceIndexer;
    const idle = new ReferenceFollower(indexer, () => leads);
    idle.start();
    await idle.stop();
    expect(steps).toBe(0);
    leads = true;
    const follower = new ReferenceFollower(indexer, () => leads);
    follower.start();
    await new Promise((resolve) => setTimeout(resolve, 60));
    await follower.stop();
    expect(steps).toBe(2);
  });
});

describe('the range of a time', () => {
  let logs = 0;
  /** A log of its own whose entries have these times. */
  async function leaves(instants: readonly number[]): Promise<string> {
    const log = `times-${(logs += 1)}`;
    await database.owner.query(
      `INSERT INTO ledger_leaf (log, idx, entry_id, leaf, recorded_at)
       SELECT $1, i - 1, -1000000 * $2::bigint - i, sha256(''), to_timestamp(t / 1000.0)
       FROM unnest($3::float8[]) WITH ORDINALITY AS row (t, i)`,
      [log, logs, instants],
    );
    return log;
  }
  const range = () => new TimeRange(database.auditor);

  test('holds every entry of the time, however clocks differed within the tolerance', async () => {
    const steps = fc.array(fc.tuple(fc.nat(600_000), fc.integer({ min: 0, max: CLOCK_TOLERANCE })), {
      minLength: 1,
      maxLength: 400,
    });
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(), fc.nat(3_600_000), async (step, at, length) => {
        let now = START;
        const instants = step.map(([later, ahead]) => (now += later) + ahead);
        const from = START + (at % (now - START + 1));
        const log = await leaves(instants);
        const low = await range().from(log, instants.length, instantText(from));
        const high = await range().before(log, instants.length, instantText(from + length));
        instants.forEach((instant, index) => {
          if (instant >= from) expect(index).toBeGreaterThanOrEqual(low);
          if (instant < from + length) expect(index).toBeLessThan(high);
        });
      }),
      { numRuns: 60 },
    );
  });

  test('is narrow in a long log', async () => {
    const log = await leaves(Array.from({ length: 50_000 }, (_, index) => START + index * 10_000));
    const from = START + 300_000_000;
    const low = await range().from(log, 50_000, instantText(from));
    const high = await range().before(log, 50_000, instantText(from + 60_000));
    expect(high - low).toBeLessThan(2 * 64 + (2 * CLOCK_TOLERANCE + 60_000) / 10_000);
  });
});
