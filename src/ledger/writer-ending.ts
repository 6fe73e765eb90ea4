import type { Queryable } from '../persistence/statement.js';
import { LedgerFault } from './fault.js';

/** After this time without a record, a writer that no process has any more counts as ended. */
const QUIET_MILLISECONDS = 24 * 3_600_000;
const SESSION = 'custodia sequencer';

/** How a process names the session of its sequencer, so that everybody sees that its writer lives. */
export function writerSession(writer: string): string {
  return `${SESSION} ${writer}`;
}

/**
 * Refuses records of writers whose keys are public: anybody can make their MACs now. For the sequencer, in the transaction
 * in which it read the rows: whoever was given a key was given it after the release was committed.
 */
export async function refuseReleased(
  session: Queryable,
  rows: readonly { readonly log: string; readonly writer: string; readonly id: string }[],
): Promise<void> {
  const writers = new Map(rows.map((row) => [`${row.log} ${row.writer}`, row]));
  const [released] = await session.query<{ log: string; writer: string }>({
    name: 'ledger_refuse_released',
    text:
      'SELECT log, writer FROM unnest($1::text[], $2::text[]) AS row (log, writer) ' +
      'JOIN ledger_writer USING (log, writer) WHERE released_at IS NOT NULL LIMIT 1',
    values: [[...writers.values()].map(({ log }) => log), [...writers.values()].map(({ writer }) => writer)],
  });
  if (released === undefined) return;
  const { log, writer } = released;
  const id = writers.get(`${log} ${writer}`)?.id;
  throw new LedgerFault(log, 0, 'record', `Entry row ${id} of log ${log} names writer ${writer}, whose key is public.`);
}

/**
 * Writers of a log that have ended and are not released: registered, without a record for 24 hours, and no session of a
 * process bears their name. The session is the sequencer's role's, which sees the names of its own kind; everything that was
 * committed must be sequenced.
 */
export async function endedWriters(session: Queryable, log: string, now: Date): Promise<string[]> {
  const writers = await session.query<{ writer: string; last: Date; registered: boolean }>({
    text: WRITERS,
    values: [log],
  });
  const sessions = await session.query<{ name: string }>({
    text: 'SELECT application_name AS name FROM pg_stat_activity WHERE application_name IS NOT NULL',
    values: [],
  });
  const living = new Set(sessions.map(({ name }) => name));
  const quiet = now.getTime() - QUIET_MILLISECONDS;
  return writers
    .filter(({ registered, last }) => registered && last.getTime() < quiet)
    .map(({ writer }) => writer)
    .filter((writer) => !living.has(writerSession(writer)));
}

/** Makes writers' keys public, as the database owner: from the commit on the sequencer takes no record of theirs. */
export async function releaseWriters(
  owner: Queryable,
  log: string,
  writers: readonly string[],
  now: Date,
): Promise<void> {
  await owner.query({
    text:
      'INSERT INTO ledger_writer (log, writer, last_recorded_at, registered, released_at) ' +
      'SELECT $1::text, writer, $3::timestamptz, true, $3::timestamptz FROM unnest($2::text[]) AS row (writer) ' +
      'ON CONFLICT (log, writer) DO UPDATE SET released_at = coalesce(ledger_writer.released_at, excluded.released_at)',
    values: [log, writers, now],
  });
}

/** The writers of a log that are in the database, and those that left it with their months, unless they are released. */
const WRITERS = `
WITH RECURSIVE present (writer) AS (
  (SELECT writer FROM ledger_entry WHERE log = $1 ORDER BY writer LIMIT 1)
  UNION ALL
  SELECT (SELECT entry.writer FROM ledger_entry AS entry
           WHERE log = $1 AND entry.writer > present.writer ORDER BY entry.writer LIMIT 1)
    FROM present WHERE present.writer IS NOT NULL
), known AS (
  SELECT writer,
         (SELECT recorded_at FROM ledger_entry AS entry
           WHERE log = $1 AND entry.writer = present.writer ORDER BY number DESC LIMIT 1) AS last,
         EXISTS (SELECT 1 FROM ledger_entry AS entry
                  WHERE log = $1 AND entry.writer = present.writer AND number = 1
                    AND position('"commitment":"'::bytea IN record) > 0) AS registered
    FROM present WHERE writer IS NOT NULL
  UNION ALL
  SELECT writer, last_recorded_at, registered FROM ledger_writer WHERE log = $1
)
SELECT writer, max(last) AS last, bool_or(registered) AS registered FROM known
 WHERE writer NOT IN (SELECT writer FROM ledger_writer WHERE log = $1 AND released_at IS NOT NULL)
 GROUP BY writer ORDER BY writer`;
