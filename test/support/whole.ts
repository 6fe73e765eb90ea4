import { setTimeout as pause } from 'node:timers/promises';
import type { Acknowledged, Load } from './load.js';
import { asSuperuser } from './process.js';

/** Rows and success records side by side, by the patient's reference; only what does not fit together comes back. */
const DISCREPANCIES = `
  WITH said AS (
    SELECT id, convert_from(record, 'UTF8')::jsonb AS record FROM ledger_entry
  ), written AS (
    SELECT subject, count(DISTINCT id) FILTER (WHERE record->>'kind' = 'CREATE')::int AS creations,
           count(DISTINCT id) FILTER (WHERE record->>'kind' = 'UPDATE')::int AS updates
      FROM said, jsonb_array_elements(record->'accesses') AS access, jsonb_array_elements_text(access->'subjects') AS subject
     WHERE record->>'outcome' = 'success' AND record->>'operation' IN ('createPatient', 'updatePatient') AND record->>'kind' <> 'READ'
     GROUP BY subject
  )
  SELECT patient.subject_reference AS row, version - 1 AS changes, coalesce(creations, 0) AS creations, coalesce(updates, 0) AS updates
    FROM patient FULL JOIN written ON subject = replace(subject_reference, '-', '')
   WHERE subject_reference IS NULL OR creations IS DISTINCT FROM 1 OR updates IS DISTINCT FROM version - 1`;

/** Other tables: as many rows as success records of what makes them. */
const MADE = {
  visit: 'createVisit',
  diagnosis: 'recordDiagnosis',
  care_team: 'createCareTeam',
  care_team_assignment: 'assignCareTeam',
};

/**
 * What contradicts the invariant; nothing does when it holds: what was acknowledged is recorded, and rows and success
 * records are one and the same history.
 */
export async function discrepancies(directory: string, { records, created }: Acknowledged): Promise<unknown[]> {
  return asSuperuser(directory, async (client) => {
    const { rows: entries } = await client.query<{ hash: string }>(
      "SELECT encode(record_hash, 'hex') AS hash FROM ledger_entry",
    );
    const recorded = new Set(entries.map(({ hash }) => hash));
    const found: unknown[] = [...records].filter((hash) => !recorded.has(hash));
    const { rows: patients } = await client.query<{ id: string }>('SELECT id FROM patient');
    const present = new Set(patients.map(({ id }) => id));
    found.push(...[...created].filter((id) => !present.has(id)));
    found.push(...(await client.query(DISCREPANCIES)).rows);
    for (const [table, operation] of Object.entries(MADE)) {
      const { rows } = await client.query<{ rows: number; records: number }>(
        `SELECT (SELECT count(*)::int FROM ${table}) AS rows, count(*)::int AS records FROM ledger_entry
          WHERE convert_from(record, 'UTF8')::jsonb @> jsonb_build_object('outcome', 'success', 'kind', 'CREATE', 'operation', $1::text)`,
        [operation],
      );
      if (rows[0]?.rows !== rows[0]?.records) found.push({ table, ...rows[0] });
    }
    return found;
  });
}

/** Waits until callers got so many more answers, and so many patients of theirs exist. */
export async function answered({ acknowledged }: Load, answers: number, created: number): Promise<void> {
  const until = [acknowledged.answers + answers, acknowledged.created.size + created] as const;
  for (let waited = 0; acknowledged.answers < until[0] || acknowledged.created.size < until[1]; waited += 10) {
    if (waited > 30_000) throw new Error(`Only ${acknowledged.answers} answers.`);
    await pause(10);
  }
}
