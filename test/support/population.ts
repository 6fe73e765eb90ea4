import type { TestSystem } from './system.js';

/** What is told of people who are counted. */
export interface Crowd {
  readonly region: string;
  readonly gender: string;
  readonly birthYear: number | null;
  readonly status?: string;
  /** Decisions by purpose. */
  readonly consents: Readonly<Record<string, 'PERMIT' | 'DENY'>>;
}

/** Makes many people by writing copies of a patient of the demo organisation into the table. */
export async function settle({ database, demo }: TestSystem, people: number, crowd: Crowd): Promise<void> {
  const consents = Object.entries(crowd.consents).map(([purpose, decision]) => [
    purpose,
    { decision, until: null, at: '2026-01-01T00:00:00.000Z', id: '01900000-0000-7000-8000-000000000001' },
  ]);
  const columns = {
    region: crowd.region,
    gender: crowd.gender,
    birth_year: crowd.birthYear,
    status: crowd.status ?? 'active',
    consents: Object.fromEntries(consents),
  };
  await database.owner.query(
    `INSERT INTO patient SELECT (jsonb_populate_record(p, $2::jsonb || jsonb_build_object(
       'id', gen_random_uuid(), 'subject_reference', replace(gen_random_uuid()::text, '-', '')))).*
     FROM patient p, generate_series(1, $3) WHERE p.id = $1`,
    [demo.patients['T-CN']?.['PT1'], JSON.stringify(columns), people],
  );
}
