import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from '../src/config/refusal.js';
import { workingDirectory, type Installation } from './installation.js';
import { governedSide, seedList } from './read-list.js';
import { compare, type Pace } from './rounds.js';

/** Both rules by which the front desk reads patients: permits join, so one without the clause would let all rows through. */
const RULES = ['- id: patient-registration\n', '- id: patient-phone-on-the-day-of-the-visit\n'];
const CLAUSE = '    consent: { scope: PATADMIN, onMissing: permit, onDeny: deny }\n';
const PURPOSES = [
  'TREAT',
  'CAREMGT',
  'CAREMGT.EDU',
  'PATADMIN',
  'HPAYMT',
  'HQUALIMP',
  'HOPERAT',
  'HMARKT',
  'HRESCH',
  'MLTRAINING',
];

/**
 * The list of `read-list` with a consent clause on its rule, against the same list under the shipped policies. Every patient
 * has decided about ten purposes, so that both sides carry the same rows.
 */
export async function consent(installation: Installation, patients: number, pace: Pace): Promise<number> {
  await seedList(installation, patients);
  await installation.alter(
    `UPDATE patient SET consents = (SELECT jsonb_object_agg(purpose, jsonb_build_object('decision', 'PERMIT', ` +
      `'until', '2099-01-01T00:00:00.000Z', 'at', '2026-01-01T00:00:00.000Z', 'id', gen_random_uuid())) ` +
      `FROM unnest(ARRAY[${PURPOSES.map((purpose) => `'${purpose}'`).join(', ')}]) AS purpose)`,
  );
  await installation.settle();
  const directory = withClause(path.join(installation.directory, 'with-clause'));
  const clause = await governedSide(installation, 'clause', null, patients, directory);
  const shipped = await governedSide(installation, 'shipped', null, patients);
  return compare([clause, shipped], pace);
}

/** A working directory of the benchmarks that differs from the others in one line of one policy. */
function withClause(directory: string): string {
  const file = path.join(workingDirectory(directory), 'policies', 'patient.yaml');
  const clauses = RULES.reduce(withClauseOn, readFileSync(file, 'utf8'));
  writeFileSync(file, clauses);
  return directory;
}

function withClauseOn(text: string, rule: string): string {
  const actions = '    actions: [read]\n';
  const at = text.indexOf(rule);
  const place = at < 0 ? -1 : text.indexOf(actions, at);
  if (place < 0) throw new Refusal('policies/patient.yaml has another form than this figure expects.');
  return text.slice(0, place + actions.length) + CLAUSE + text.slice(place + actions.length);
}
