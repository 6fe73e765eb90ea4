import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { decodeBundle, decodeEntry } from '../../audit/entry.mjs';
import type { ManualClock } from '../../src/kernel/clock.js';
import { exportLog } from '../../src/ledger/export.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { Exporter } from './export.js';
import { ledgerOptions } from './ledger.js';
import { Subscriber, until } from './subscriber.js';
import type { Loose, TestSystem } from './system.js';

const CHANGED = 'subscription($id: ID!) { appointmentChanged(patientId: $id) { id status } }';
const BOOK = 'mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { id } }';
const LOOKUP = 'query($input: PatientLookupInput!) { patientLookup(input: $input) { id name } }';
const UPDATE = 'mutation($input: UpdatePatientInput!) { updatePatient(input: $input) { id name } }';
const CONSENT = 'mutation($input: RecordConsentInput!) { recordConsent(input: $input) { id } }';
const DIAGNOSE = 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }';

/** One of everything that a day in the demo organisation of T-CN leaves in the ledger. */
export async function mixedLoad(system: TestSystem, clock: ManualClock): Promise<void> {
  const { PT1 = '', PT2 = '', PT3 = '', PT4 = '' } = system.demo.patients['T-CN'] ?? {};
  // Reads: of one, of many, nested, in an emergency.
  for (const id of [PT1, PT2, PT1]) await system.ask('physician', `{ patient(id: "${id}") { name phone nationalId } }`);
  await system.ask('physician', `{ patient(id: "${PT1}") { name diagnoses { edges { node { code } } } } }`);
  await system.ask('physician', `{ patient(id: "${PT1}") { name } }`, { purpose: 'ETREAT' });
  await system.ask(
    'front_desk',
    '{ patients(first: 50) { edges { node { name visits { edges { node { start } } } } } } }',
  );
  await system.ask('call_center_agent', '{ patients { edges { node { name } } } }', { purpose: 'HOPERAT' });
  await system.ask(
    'department_head',
    '{ patients(first: 5) { edges { node { id } } } careTeams { edges { node { id } } } }',
  );
  clock.advance(1_000);
  // Lookups: one that finds, one that does not.
  for (const phone of ['13812345678', '13900000000']) {
    await system.ask('front_desk', LOOKUP, { variables: { input: { phone } } });
  }
  clock.advance(1_000);
  // Writes.
  const version = Number(
    (await system.ask('front_desk', `{ patient(id: "${PT1}") { version } }`)).data['patient'].version,
  );
  await system.ask('front_desk', UPDATE, { variables: { input: { id: PT1, version, phone: '13812345678' } } });
  await system.ask('physician', DIAGNOSE, { variables: { input: { patientId: PT1, code: 'E11.9' } } });
  await system.ask('front_desk', CONSENT, {
    variables: { input: { patientId: PT2, purpose: 'CAREMGT', decision: 'PERMIT' } },
  });
  clock.advance(1_000);
  // What is refused or fails.
  for (const id of [PT3, PT4, 'x']) await system.ask('nurse', `{ patient(id: "${id}") { name } }`);
  await system.ask('nurse', '{ patients { edges { node { name } } } }', { purpose: 'PATADMIN' });
  await system.ask('marketer', `{ patient(id: "${PT1}") { name } }`);
  await system.ask('front_desk', UPDATE, { variables: { input: { id: PT1, version, phone: '13812345679' } } });
  clock.advance(1_000);
  await subscribe(system, PT1);
  const officer = new Exporter(system, clock);
  const job = await officer.request();
  await officer.until(job, 'READY');
  await (await officer.download(job)).arrayBuffer();
}

/** A subscription with one push. */
async function subscribe(system: TestSystem, patientId: string): Promise<void> {
  const token = await system.token('front_desk');
  const subscriber = new Subscriber(system.endpoint, {
    parameters: { Authorization: `Bearer ${token}`, 'X-Purpose-Of-Use': 'PATADMIN' },
  });
  const watching = (await subscriber.settled()).watch(CHANGED, { id: patientId });
  const start = system.composition.clock.milliseconds() + 5 * 86_400_000;
  let booked = 0;
  await until(async () => {
    const [from, to] = [start + booked * 3_600_000, start + booked * 3_600_000 + 1_800_000];
    const input = {
      patientId,
      start: new Date(from).toISOString(),
      end: new Date(to).toISOString(),
      department: 'Ward',
    };
    if (booked++ % 20 === 0) await system.ask('front_desk', BOOK, { variables: { input } });
    return watching.pushes.length > 0;
  }, 'The push');
  await subscriber.close();
}

/** The log as files that anybody could fetch. */
export function filesOf(system: TestSystem): LogFiles {
  const { keys, store } = ledgerOptions(system.database);
  return new LogFiles(system.database.auditor, store, keys, null);
}

/** Every record of a log in its order, read from an export by nothing but the format. */
export async function exportedRecords(system: TestSystem, log = 'T-CN'): Promise<Loose[]> {
  await system.composition.ledger.settle(10_000);
  const directory = path.join(system.database.directory, 'recount', String(process.hrtime.bigint()));
  await exportLog(filesOf(system), log, directory);
  const folder = path.join(directory, 'tile', 'entries');
  const bundles = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const places = bundles.map((one) => path.relative(folder, path.join(one.parentPath, one.name)));
  // x001/234.p/56 stands for bundle 1234.
  const order = (place: string) => Number(place.replace(/\.p.*$/, '').replaceAll(/[^0-9]/g, ''));
  return places
    .sort((left, right) => order(left) - order(right))
    .flatMap((place) => decodeBundle(readFileSync(path.join(folder, place))))
    .map((entry) => JSON.parse(decodeEntry(entry).record.toString()) as Loose);
}
