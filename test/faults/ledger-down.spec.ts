import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { asSuperuser, seededDirectory, startSystem, type Reply, type SystemProcess } from '../support/process.js';
import { verdictOf } from '../support/verdict.js';

let directory: string;
let system: SystemProcess;

beforeAll(async () => {
  directory = await seededDirectory();
  system = await startSystem(directory);
});
afterAll(() => system.stop());

const LIST = '{ patients(first: 3) { edges { node { id name } } } }';
const CREATE = 'mutation($i: CreatePatientInput!) { createPatient(input: $i) { id version name } }';
const UPDATE =
  'mutation($id: ID!, $v: Int!, $i: UpdatePatientInput!) { updatePatient(id: $id, version: $v, input: $i) { id version } }';
const LOOKUP = 'query($i: PatientLookupInput!) { patientLookup(input: $i) { id } }';

const patient = (name: string) => ({ i: { name, gender: 'male', birthDate: '1970-01-01', phone: '13900002222' } });

/** One request of every kind that leaves a record. */
async function askEverything(): Promise<(Reply | null)[]> {
  const id = system.demo.patients['T-CN']?.['PT1'];
  const agent = system.demo.users.find((user) => user.tenant === 'T-CN' && user.role === 'call_center_agent');
  const { tenant, email, password } = agent ?? { tenant: '', email: '', password: '' };
  const signIn = 'mutation($i: SignInInput!) { signIn(input: $i) { accessToken } }';
  return [
    await system.ask('call_center_agent', 'HOPERAT', LIST),
    await system.ask('physician', 'TREAT', 'query($id: ID!) { patient(id: $id) { name birthDate } }', { id }),
    await system.ask('call_center_agent', 'HOPERAT', LOOKUP, { i: { phone: '13812345678' } }),
    await system.ask('front_desk', 'PATADMIN', CREATE, patient('Down')),
    await system.ask('front_desk', 'PATADMIN', UPDATE, { id, v: 1, i: { address: 'Down Street' } }),
    await system.ask('call_center_agent', 'NOSUCH', LIST),
    await system.ask('physician', 'TREAT', '{ me { id tenant role } }'),
    await system.send(signIn, { i: { tenant, email, password } }),
    await system.send(signIn, { i: { tenant, email, password: 'not the password' } }),
    await system.send(signIn, { i: { tenant: 'T-XX', email, password: 'not the password' } }),
  ];
}

/** Every row that a request could have written, the ledger's own aside. */
async function state(client: pg.Client): Promise<unknown> {
  const { rows } = await client.query(
    `SELECT (SELECT jsonb_agg(to_jsonb(p) ORDER BY id) FROM patient p) AS patients, (SELECT count(*) FROM subject_key) AS keys,
            (SELECT count(*) FROM visit) AS visits, (SELECT count(*) FROM idempotency_key) AS idempotency`,
  );
  return rows;
}

/** What breaks, and how it is mended; both as PostgreSQL's superuser. */
const FAULTS: [string, string[], string[]][] = [
  [
    'the table is gone',
    ['ALTER TABLE ledger_entry RENAME TO ledger_entry_away'],
    ['ALTER TABLE ledger_entry_away RENAME TO ledger_entry'],
  ],
  [
    'the right to insert is gone',
    ['REVOKE INSERT ON ledger_entry FROM custodia_app'],
    ['GRANT INSERT (log, writer, number, recorded_at, record, record_hash, mac) ON ledger_entry TO custodia_app'],
  ],
  [
    'the disk is full',
    [
      `CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$`,
      'CREATE TRIGGER disk_full BEFORE INSERT ON ledger_entry FOR EACH ROW EXECUTE FUNCTION disk_full()',
    ],
    ['DROP TRIGGER disk_full ON ledger_entry', 'DROP FUNCTION disk_full()'],
  ],
  [
    'the rows vanish at COMMIT',
    [
      `CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$`,
      `CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON ledger_entry
       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_late()`,
    ],
    ['DROP TRIGGER refuse_late ON ledger_entry', 'DROP FUNCTION refuse_late()'],
  ],
];

/** Writers with numbers that are in no entry: those are tried again and again while the process lives. */
const OPEN_NUMBERS = 'SELECT writer FROM ledger_entry GROUP BY log, writer HAVING max(number) <> count(*)';

describe('the ledger cannot be written', () => {
  it.each(FAULTS)(
    '%s: every answer is AUDIT_UNAVAILABLE without data; once mended all is well',
    async (_, fault, mend) => {
      // Warm: signed in, statements prepared, keys in memory.
      expect((await askEverything())[0]?.errors).toEqual([]);
      const before = await asSuperuser(directory, async (client) => {
        const found = await state(client);
        for (const statement of fault) await client.query(statement);
        return found;
      });
      const answers = await askEverything();
      for (const answer of answers) {
        expect(answer?.errors.map(({ extensions }) => extensions.code)).toEqual(['AUDIT_UNAVAILABLE']);
        expect([answer?.status, answer?.data, answer?.extensions]).toEqual([503, {}, {}]);
      }
      await asSuperuser(directory, async (client) => {
        expect(await state(client)).toEqual(before);
        for (const statement of mend) await client.query(statement);
      });
      const created = await system.ask('front_desk', 'PATADMIN', CREATE, patient('Up'));
      expect(created).toMatchObject({ status: 200, errors: [] });
      expect((await system.ask('call_center_agent', 'HOPERAT', LIST))?.errors).toEqual([]);
      expect((await verdictOf(directory)).filter((line) => !line.startsWith('OK '))).toEqual([]);
    },
  );

  it('closed every number that was given out, with a VOID record where nothing else could be written', async () => {
    await asSuperuser(directory, async (client) => {
      const open = async () => (await client.query<{ writer: string }>(OPEN_NUMBERS)).rows;
      for (let waited = 0; (await open()).length > 0 && waited < 10_000; waited += 100) await pause(100);
      expect(await open()).toEqual([]);
      const { rows } = await client.query<{ count: number }>(
        "SELECT count(*)::int AS count FROM ledger_entry WHERE convert_from(record, 'UTF8')::jsonb->>'kind' = 'VOID'",
      );
      expect(rows[0]?.count).toBeGreaterThanOrEqual(FAULTS.length * 10);
    });
  });
});
