import { DatabaseFault } from '../persistence/sqlstate.js';
import type { Queryable } from '../persistence/statement.js';
import type { MonthRange } from './manifest.js';

/** What a month that is still in the database holds of one log. */
export interface MonthOfLog extends MonthRange {
  readonly log: string;
  readonly entries: number;
  /** How many of them have an index. */
  readonly sequenced: number;
  /** What was archived of it before. */
  readonly archived: { readonly entries: number; readonly manifest: Buffer } | null;
}

interface MonthRow {
  readonly log: string;
  readonly entries: string;
  readonly sequenced: string;
  readonly first: string | null;
  readonly last: string | null;
  readonly archived: string | null;
  readonly manifest: Buffer | null;
}

const PARTITION = /^ledger_entry_y(\d{4})m(\d{2})$/;
const LOCK_ATTEMPTS = 5;

/** The months that have a partition of their own, the oldest first. What lies in the default partition is never dropped. */
export async function monthPartitions(owner: Queryable): Promise<string[]> {
  const rows = await owner.query<{ name: string }>({
    text:
      'SELECT child.relname AS name FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid ' +
      "WHERE inhparent = 'ledger_entry'::regclass ORDER BY child.relname",
    values: [],
  });
  return rows.flatMap(({ name }) => {
    const [, year, month] = PARTITION.exec(name) ?? [];
    return month === undefined ? [] : [`${year}-${month}`];
  });
}

/** What a month holds, a row for each log; reads the whole month. */
export async function readMonth(owner: Queryable, month: string): Promise<MonthOfLog[]> {
  const rows = await owner.query<MonthRow>({
    text:
      'SELECT own.*, archive.entries AS archived, archive.manifest FROM (' +
      'SELECT entry.log, count(*) AS entries, count(leaf.idx) AS sequenced, min(leaf.idx) AS first, max(leaf.idx) AS last ' +
      `FROM ${partition('entry', month)} AS entry ` +
      'LEFT JOIN ledger_leaf AS leaf ON leaf.entry_id = entry.id AND leaf.log = entry.log GROUP BY entry.log) AS own ' +
      'LEFT JOIN ledger_archive AS archive ON archive.log = own.log AND archive.month = $1 ORDER BY own.log',
    values: [month],
  });
  return rows.map((row) => ({
    log: row.log,
    month,
    entries: Number(row.entries),
    sequenced: Number(row.sequenced),
    firstIndex: Number(row.first ?? 0),
    lastIndex: Number(row.last ?? 0),
    archived: row.manifest === null ? null : { entries: Number(row.archived), manifest: row.manifest },
  }));
}

/**
 * Drops a month in one transaction, or says why it stays. Between the last look and the drop nobody can add to it. What the
 * database still has to know of it is kept: its writers, and when it left.
 */
export async function dropMonth(owner: Queryable, month: string, now: Date): Promise<string | null> {
  for (let attempt = 1; ; attempt++) {
    try {
      await owner.query({ text: 'BEGIN', values: [] });
      const obstacle = await dropWithin(owner, month, now);
      await owner.query({ text: obstacle === null ? 'COMMIT' : 'ROLLBACK', values: [] });
      return obstacle;
    } catch (error) {
      await owner.query({ text: 'ROLLBACK', values: [] }).catch(() => undefined);
      // The lock on the whole table holds every writer up, so it is not waited for long; requests go on in between.
      const held = error instanceof DatabaseFault && (error.kind === 'timeout' || error.retryable);
      if (!held || attempt === LOCK_ATTEMPTS) throw error;
    }
  }
}

async function dropWithin(owner: Queryable, month: string, now: Date): Promise<string | null> {
  const [entries, details] = [partition('entry', month), partition('detail', month)];
  await owner.query({ text: "SET LOCAL lock_timeout = '3s'", values: [] });
  await owner.query({ text: `LOCK TABLE ${entries}, ${details} IN SHARE MODE`, values: [] });
  for (const { log, entries: found, sequenced, archived } of await readMonth(owner, month)) {
    if (archived === null) return `log ${log} is not archived yet`;
    if (archived.entries !== found || sequenced !== found) return `log ${log} has more entries than were archived`;
  }
  const [held] = await owner.query<{ log: string }>({
    text: `SELECT log FROM ledger_retention WHERE hold AND log IN (SELECT log FROM ${entries}) ORDER BY log LIMIT 1`,
    values: [],
  });
  if (held !== undefined) return `log ${held.log} is under a legal hold`;
  await owner.query({
    text:
      'INSERT INTO ledger_writer (log, writer, last_recorded_at, registered) ' +
      `SELECT log, writer, max(recorded_at), bool_or(number = 1 AND position('"commitment":"'::bytea IN record) > 0) ` +
      `FROM ${entries} GROUP BY log, writer ON CONFLICT (log, writer) DO UPDATE SET ` +
      'last_recorded_at = greatest(ledger_writer.last_recorded_at, excluded.last_recorded_at), ' +
      'registered = ledger_writer.registered OR excluded.registered',
    values: [],
  });
  await owner.query({ text: 'UPDATE ledger_archive SET dropped_at = $2 WHERE month = $1', values: [month, now] });
  await owner.query({ text: `DROP TABLE ${entries}, ${details}`, values: [] });
  // A log is started when it has no entry: one that was started long ago must keep some.
  const [empty] = await owner.query<{ log: string }>({
    text:
      'SELECT log FROM ledger_head AS head WHERE size > 0 ' +
      'AND NOT EXISTS (SELECT 1 FROM ledger_entry AS entry WHERE entry.log = head.log) LIMIT 1',
    values: [],
  });
  return empty === undefined ? null : `log ${empty.log} would have no entry in the database any more`;
}

function partition(what: 'entry' | 'detail', month: string): string {
  const [year, number] = month.split('-');
  return `ledger_${what}_y${year}m${number}`;
}
