import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import path from 'node:path';
import { totpCode } from '../../src/identity/totp.js';
import type { Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { fileLedgerKeys } from '../../src/ledger/keys.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { verifyLog } from '../../src/ledger/verification.js';
import { Details, type SealedRecord, subjectOfKey } from '../../src/operation/details.js';
import type { DetailDocument } from '../../src/operation/detail-text.js';
import { TEST_USE } from '../support/memory-vault.js';
import { SATISFY } from '../support/export.js';
import { codeOf } from '../support/outcome.js';
import { admit, represented } from '../support/person.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const DETAIL =
  'query($index: Int!, $challengeId: ID) { ledgerDetail(index: $index, challengeId: $challengeId) ' +
  '{ index state address variables changes { type id field state before after } } }';
const ERASE =
  'mutation($patientId: ID!, $challengeId: ID) { eraseLedgerDetails(patientId: $patientId, challengeId: $challengeId) }';
const UPDATE =
  'mutation($id: ID!, $version: Int!, $input: UpdatePatientInput!) { updatePatient(id: $id, version: $version, input: $input) { id version } }';
const REASON = { 'x-reason': 'complaint 4711 about a wrong number' };
/** What may stand in no record, log, error or ciphertext. */
const CANARIES = ['13812345678', '13987654321', '110105194912310021', '王小明', 'CANARY-reason'];

let system: TestSystem;
let clock: ManualClock;
let patient: string;
let reference: string;

beforeAll(async () => {
  clock = new ManualClock(Date.now());
  system = await testSystem({ clock });
  patient = await admit(system, { name: '王小明', birthDate: '1970-01-01', phone: '13812345678' }, ['Ward 1']);
  reference = await referenceOf(patient);
  const input = { phone: '13987654321', nationalId: '110105194912310021' };
  expect(codeOf(await system.ask('front_desk', UPDATE, { variables: { id: patient, version: 1, input } }))).toBe(
    'none',
  );
});
afterAll(() => system.close());

async function referenceOf(id: string): Promise<string> {
  const { rows } = await system.database.owner.query<{ subject_reference: string }>(
    'SELECT subject_reference FROM patient WHERE id = $1',
    [id],
  );
  return String(rows[0]?.subject_reference);
}

interface Stored {
  readonly index: number;
  readonly record: Loose;
  readonly ciphertext: Buffer | null;
}
/** Every sequenced record of the log with its details, read without the code under test. */
async function stored(log = 'T-CN'): Promise<Stored[]> {
  await system.composition.ledger.sequencer.drain(5_000);
  const { rows } = await system.database.owner.query<{ idx: string; record: Buffer; ciphertext: Buffer | null }>(
    `SELECT leaf.idx, entry.record, detail.ciphertext FROM ledger_leaf leaf
       JOIN ledger_entry entry ON entry.id = leaf.entry_id AND entry.recorded_at = leaf.recorded_at
       LEFT JOIN ledger_detail detail ON (detail.log, detail.writer, detail.number, detail.recorded_at) = (entry.log, entry.writer, entry.number, entry.recorded_at)
      WHERE leaf.log = $1 ORDER BY leaf.idx`,
    [log],
  );
  return rows.map((row) => ({
    index: Number(row.idx),
    record: JSON.parse(String(row.record)),
    ciphertext: row.ciphertext,
  }));
}
/** The newest record of an operation that has details: of a write, and not of the reading of its answer. */
async function lastOf(operation: string, log?: string): Promise<Stored> {
  const found = (await stored(log)).findLast(({ record }) => record['operation'] === operation && 'sealed' in record);
  if (found === undefined) throw new Error(`There is no ${operation}.`);
  return found;
}
const named = ({ record }: Stored): string[] =>
  (record['accesses'] as Loose[]).flatMap((one) => one['subjects'] as string[]);

/** Opens details with the keys of the running system, whoever may see them. */
async function opened({ record, ciphertext }: Stored): Promise<DetailDocument> {
  const { vault } = system.composition;
  const sealed = record as unknown as SealedRecord;
  const subject = subjectOfKey(sealed.sealed.key);
  const { rows } = await system.database.owner.query<{ id: string }>(
    'SELECT id FROM patient WHERE subject_reference = $1',
    [subject],
  );
  const id = rows[0]?.id ?? null;
  if (id !== null) await vault.loadSubjectKeys(sealed.log, [id], TEST_USE);
  return new Details(vault).open(sealed, ciphertext ?? Buffer.alloc(0), id);
}

/** Asks as the privacy officer, with a reason and the second factor for this very request. */
async function officer(document: string, purpose: string, variables: Loose, headers: Loose = REASON): Promise<Answer> {
  const user = system.demo.users.find((one) => one.role === 'privacy_officer' && one.tenant === 'T-CN');
  const signedIn = await system.send('mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }', {
    variables: { input: { tenant: 'T-CN', email: user?.email, password: user?.password } },
  });
  const token = String(signedIn.data['signIn'].accessToken);
  const ask = (text: string, values: Loose) => system.send(text, { token, purpose, variables: values, headers });
  const id = (await ask(document, variables)).errors[0]?.extensions['challenge']?.id as string;
  clock.advance(30_000);
  await ask(SATISFY, { input: { id, code: totpCode(user?.totpSecret ?? '', clock.milliseconds()) } });
  return ask(document, { ...variables, challengeId: id });
}
const open = async (index: number) => {
  const answer = await officer(DETAIL, 'HCOMPL', { index });
  expect(codeOf(answer)).toBe('none');
  return answer.data['ledgerDetail'] as Loose;
};
const changeOf = (detail: Loose, field: string) => (detail['changes'] as Loose[]).find((one) => one['field'] === field);

describe('the details of an entry', () => {
  it('keep the old value of what was changed, for the privacy officer to read', async () => {
    const { index } = await lastOf('updatePatient');
    const detail = await open(index);
    expect(detail).toMatchObject({ index, state: 'CLEAR', address: '127.0.0.1' });
    expect(changeOf(detail, 'phone')).toEqual({
      type: 'Patient',
      id: patient,
      field: 'phone',
      state: 'CLEAR',
      before: '13812345678',
      after: '13987654321',
    });
    expect(detail['changes']).toHaveLength(2);
    // What the policy masks is masked wherever it stands.
    expect(changeOf(detail, 'nationalId')).toMatchObject({ state: 'MASKED', before: null });
    expect(JSON.parse(detail['variables'])).toEqual([
      {
        operation: 'updatePatient',
        input: {
          id: patient,
          version: 1,
          input: { phone: '13987654321', nationalId: changeOf(detail, 'nationalId')?.['after'] },
        },
      },
    ]);
    expect(JSON.stringify(detail)).not.toContain('110105194912310021');
  });

  it('are read on record: the entry names the patient and the fields, and stands in the patient’s report', async () => {
    const { index } = await lastOf('createPatient');
    const detail = await open(index);
    expect(changeOf(detail, 'phone')).toMatchObject({ before: null, after: '13812345678' });
    const reading = await lastOf('ledgerDetail');
    expect(reading.record).toMatchObject({
      kind: 'LEDGER_READ',
      outcome: 'success',
      role: 'privacy_officer',
      reason: true,
    });
    expect(new Set(named(reading))).toEqual(new Set([reference]));
    expect(reading.record['sealed'].key).toBe(`subject:${reference}`);
    const self = await represented(system, 'patient', patient);
    const report = await self.ask(
      `{ accessReport(patientId: "${patient}", first: 50) { entries { operation role fields { type field state } } } }`,
    );
    const entry = (report.data['accessReport'].entries as Loose[]).find((one) => one['operation'] === 'ledgerDetail');
    expect(entry).toMatchObject({ role: 'privacy_officer' });
    expect(entry?.['fields']).toContainEqual({ type: 'Patient', field: 'phone', state: 'CLEAR' });
    expect(entry?.['fields']).toContainEqual({ type: 'LedgerDetail', field: 'variables', state: 'CLEAR' });
  });

  it('are for nobody else, for no other purpose, and not without reason and second factor', async () => {
    const { index } = await lastOf('updatePatient');
    const variables = { index };
    for (const role of ['physician', 'front_desk', 'billing', 'auditor', 'security_admin', 'integrator'] as Role[]) {
      const purpose = system.composition.policy.purposesOf(role)[0] ?? '';
      const answer = await system.ask(role, DETAIL, { variables, purpose, headers: REASON });
      expect([role, codeOf(answer), answer.data['ledgerDetail']]).toEqual([role, 'FORBIDDEN', undefined]);
    }
    expect(codeOf(await system.ask('privacy_officer', DETAIL, { variables, purpose: 'PATRQT', headers: REASON }))).toBe(
      'FORBIDDEN',
    );
    expect(codeOf(await system.ask('privacy_officer', DETAIL, { variables, purpose: 'HCOMPL', headers: REASON }))).toBe(
      'STEP_UP_REQUIRED',
    );
    expect(codeOf(await officer(DETAIL, 'HCOMPL', variables, {}))).toBe('FORBIDDEN');
    expect(codeOf(await officer(DETAIL, 'HCOMPL', { index: 999_999 }))).toBe('NOT_FOUND');
    expect(codeOf(await officer(DETAIL, 'HCOMPL', { index: -1 }))).toBe('NOT_FOUND');
  });

  it('of a row in a compartment, and of types that the officer has no rule for, show names and nothing else', async () => {
    const diagnosis = 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }';
    for (const code of ['F32.1', 'E11.9']) {
      await system.ask('physician', diagnosis, {
        variables: { input: { patientId: patient, code, display: 'CANARY-illness' } },
      });
      const detail = await open((await lastOf('recordDiagnosis')).index);
      expect(detail['state']).toBe('CLEAR');
      expect(changeOf(detail, 'code')).toMatchObject({ type: 'Diagnosis', state: 'HIDDEN', before: null, after: null });
      expect(JSON.stringify(detail)).not.toMatch(/F32|E11|CANARY/);
      expect(JSON.parse(detail['variables'])[0].input).toMatchObject({ patientId: patient, code: null });
    }
  });

  it('are one ciphertext a document: a list under the tenant’s key, one patient under the patient’s own', async () => {
    await system.ask(
      'front_desk',
      '{ patients(first: 5) { edges { node { name visits(first: 2) { edges { node { id } } } } } } }',
    );
    const list = await lastOf('patients Patient.visits');
    expect(list.record['sealed'].key).toBe('tenant');
    expect((await opened(list)).variables).toEqual([
      { operation: 'patients', input: { first: 5 } },
      { operation: 'Patient.visits', input: { first: 2 } },
    ]);
    await system.ask('front_desk', `{ patient(id: "${patient}") { name } }`);
    const one = await lastOf('patient');
    expect(one.record['sealed'].key).toBe(`subject:${reference}`);
    expect(await opened(one)).toMatchObject({
      address: '127.0.0.1',
      changes: [],
      variables: [{ input: { id: patient } }],
    });
    const lookup = '{ patientLookup(input: { phone: "+86 138 0000 1111" }) { id } }';
    expect(codeOf(await system.ask('front_desk', lookup))).toBe('NOT_FOUND');
    const refused = await lastOf('patientLookup');
    expect((await opened(refused)).variables).toEqual([
      { operation: 'patientLookup', input: { phone: '+86 138 0000 1111' } },
    ]);
  });

  it('of a write hold its own input and not that of its neighbours', async () => {
    const other = await admit(system, { name: '李四', phone: '13700000001' });
    const both = `mutation($one: UpdatePatientInput!, $other: UpdatePatientInput!) {
      one: updatePatient(id: "${patient}", version: 2, input: $one) { id } other: updatePatient(id: "${other}", version: 1, input: $other) { id } }`;
    const variables = { one: { email: 'one@canary.example' }, other: { email: 'other@canary.example' } };
    expect(codeOf(await system.ask('front_desk', both, { variables }))).toBe('none');
    const writes = (await stored()).filter(
      ({ record }) => record['kind'] === 'UPDATE' && record['operation'] === 'updatePatient',
    );
    for (const [write, own, foreign] of [
      [writes.at(-2), 'one@', 'other@'],
      [writes.at(-1), 'other@', 'one@'],
    ] as const) {
      if (write === undefined) throw new Error('There is no such write.');
      const text = JSON.stringify(await opened(write));
      expect([text.includes(own), text.includes(foreign)]).toEqual([true, false]);
    }
  });

  it('never hold who signed in with what, nor any code, token or password', async () => {
    const { email, password } = system.demo.users.find((one) => one.role === 'billing') ?? { email: '', password: '' };
    await system.send(
      `mutation { signIn(input: { tenant: "T-CN", email: "${email}", password: "CANARY-password", code: "987123" }) { expiresAt } }`,
    );
    await system.send('mutation($code: String!) { confirmTotp(code: $code) { codes } }', {
      token: await system.token('billing'),
      variables: { code: '987123' },
    });
    await system.send('mutation { refresh(refreshToken: "CANARY-token") { expiresAt } }');
    expect((await opened(await lastOf('signIn'))).variables).toEqual([
      { operation: 'signIn', input: { tenant: 'T-CN' } },
    ]);
    expect(await opened(await lastOf('refresh', 'system'))).toEqual({
      address: '127.0.0.1',
      changes: [],
      v: 1,
      variables: [],
    });
    let seen = 0;
    for (const log of ['T-CN', 'T-US', 'system']) {
      for (const one of await stored(log)) {
        if (one.ciphertext === null) continue;
        expect(hash('sha256', one.ciphertext, 'hex')).toBe(one.record['sealed'].sha256);
        const text = JSON.stringify(await opened(one));
        expect(text).not.toMatch(/CANARY-password|CANARY-token|987123|challengeId|"password"|"code":"\d{6}"/);
        if (email !== '') expect(text.includes(email) || text.includes(password)).toBe(false);
        seen += 1;
      }
    }
    expect(seen).toBeGreaterThan(50);
  });

  it('leave no value in clear in a record, a ciphertext, a log line or an answer to somebody else', async () => {
    await system.ask('front_desk', UPDATE, {
      variables: { id: patient, version: 1, input: { phone: '13987654321' } },
      headers: { 'x-reason': 'CANARY-reason that is long enough' },
    });
    const { rows } = await system.database.owner.query<{ bytes: Buffer }>(
      'SELECT record AS bytes FROM ledger_entry UNION ALL SELECT ciphertext FROM ledger_detail',
    );
    const bytes = Buffer.concat(rows.map((row) => row.bytes));
    for (const canary of CANARIES) {
      expect([canary, bytes.includes(canary), system.logged().includes(canary)]).toEqual([canary, false, false]);
    }
  });
});

/** What a stranger's verifier says of the log: `OK`, or the index and the class of the first fault. */
async function verdict(): Promise<string> {
  const { composition, database } = system;
  await composition.ledger.settle(5_000);
  const keys = fileLedgerKeys(path.join(database.directory, 'keys'));
  const files = new LogFiles(database.auditor, composition.checkpoints, keys, null);
  const { bad } = await verifyLog(files, 'T-CN');
  return bad === null ? 'OK' : `${bad.index} ${bad.class}`;
}

describe('details that were tampered with', () => {
  it('open as nothing: neither changed, nor another’s, nor gone', async () => {
    const { owner } = system.database;
    const { index, record, ciphertext } = await lastOf('createPatient');
    const where = 'WHERE log = $1 AND writer = $2 AND number = $3';
    const key = [record['log'], record['writer'], record['number']];
    const other = await lastOf('updatePatient');
    const changed = Buffer.from(ciphertext ?? '');
    changed[20] = (changed[20] ?? 0) ^ 1;
    for (const bytes of [changed, other.ciphertext]) {
      await owner.query(`UPDATE ledger_detail SET ciphertext = $4 ${where}`, [...key, bytes]);
      expect(codeOf(await officer(DETAIL, 'HCOMPL', { index }))).toBe('INTEGRITY_FAILED');
      expect(await verdict()).toBe(`${index} detail`);
    }
    await owner.query(`UPDATE ledger_detail SET ciphertext = $4 ${where}`, [...key, ciphertext]);
    expect((await open(index))['state']).toBe('CLEAR');
    const { rows } = await owner.query(`DELETE FROM ledger_detail ${where} RETURNING *`, key);
    expect(codeOf(await officer(DETAIL, 'HCOMPL', { index }))).toBe('INTEGRITY_FAILED');
    await owner.query('INSERT INTO ledger_detail SELECT * FROM json_populate_recordset(NULL::ledger_detail, $1)', [
      JSON.stringify(
        rows.map((row: Loose) => ({ ...row, ciphertext: `\\x${(ciphertext ?? Buffer.alloc(0)).toString('hex')}` })),
      ),
    ]);
    expect(await verdict()).toBe('OK');
    expect((await open(index))['state']).toBe('CLEAR');
  });

  it('cannot be read or changed by the running system, only deleted, and by no other tenant', async () => {
    const { app } = system.database;
    for (const text of [
      'SELECT ciphertext FROM ledger_detail LIMIT 1',
      'SELECT key FROM ledger_detail LIMIT 1',
      `UPDATE ledger_detail SET ciphertext = '\\x00'`,
      'TRUNCATE ledger_detail',
    ]) {
      await expect(app.query(null, { text, values: [] })).rejects.toThrow();
    }
    const of = (tenant: string | null, text: string) => app.query(tenant, { text, values: [] });
    expect(await of('T-CN', `SELECT number FROM ledger_detail WHERE log = 'T-CN' LIMIT 1`)).toHaveLength(1);
    for (const tenant of [null, 'T-US']) {
      expect(await of(tenant, `SELECT number FROM ledger_detail WHERE log = 'T-CN' LIMIT 1`)).toEqual([]);
      expect(await of(tenant, `DELETE FROM ledger_detail WHERE log = 'T-CN' RETURNING number`)).toEqual([]);
    }
  });
});

describe('the erasure of details', () => {
  it('is for the privacy officer, at the request of a patient, with reason and second factor', async () => {
    const variables = { patientId: patient };
    for (const role of ['physician', 'front_desk', 'security_admin'] as Role[]) {
      expect(codeOf(await system.ask(role, ERASE, { variables, headers: REASON }))).toBe('FORBIDDEN');
    }
    expect(codeOf(await system.ask('privacy_officer', ERASE, { variables, purpose: 'HCOMPL', headers: REASON }))).toBe(
      'FORBIDDEN',
    );
    expect(codeOf(await system.ask('privacy_officer', ERASE, { variables, purpose: 'PATRQT', headers: REASON }))).toBe(
      'STEP_UP_REQUIRED',
    );
    expect(codeOf(await officer(ERASE, 'PATRQT', variables, {}))).toBe('FORBIDDEN');
    const foreign = { patientId: system.demo.patients['T-US']?.['PT1'] };
    expect(codeOf(await officer(ERASE, 'PATRQT', foreign))).toBe('NOT_FOUND');
  });

  it('happens with its record or not at all', async () => {
    const { owner } = system.database;
    const before = (await stored()).filter((one) => one.ciphertext !== null && named(one).includes(reference)).length;
    await owner.query(`CREATE FUNCTION refuse_erase() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF position('"kind":"ERASE"'::bytea IN NEW.record) > 0 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$`);
    await owner.query(
      'CREATE TRIGGER refuse_erase BEFORE INSERT ON ledger_entry FOR EACH ROW EXECUTE FUNCTION refuse_erase()',
    );
    expect(codeOf(await officer(ERASE, 'PATRQT', { patientId: patient }))).toMatch(/AUDIT_UNAVAILABLE/);
    await owner.query('DROP TRIGGER refuse_erase ON ledger_entry');
    const after = (await stored()).filter((one) => one.ciphertext !== null && named(one).includes(reference)).length;
    expect(before).toBeGreaterThan(5);
    expect(after).toBe(before);
  });

  it('takes the details of everything that names the patient, and of nothing else', async () => {
    const all = await stored();
    const erasable = all.filter((one) => one.ciphertext !== null && named(one).includes(reference));
    const answer = await officer(ERASE, 'PATRQT', { patientId: patient });
    expect([codeOf(answer), answer.data['eraseLedgerDetails']]).toEqual(['none', erasable.length]);
    const now = await stored();
    const gone = new Set(erasable.map(({ index }) => index));
    for (const one of all) {
      const kept = now.find(({ index }) => index === one.index);
      expect(kept?.record).toEqual(one.record);
      expect(kept?.ciphertext ?? null).toEqual(gone.has(one.index) ? null : one.ciphertext);
    }
    const { record } = await lastOf('eraseLedgerDetails');
    expect(record).toMatchObject({ kind: 'ERASE', outcome: 'success', purpose: 'PATRQT', reason: true });
    expect(record['accesses']).toEqual([
      {
        type: 'LedgerDetail',
        rows: erasable.length,
        fields: { address: 'ERASED', changes: 'ERASED', variables: 'ERASED' },
        subjects: [reference],
      },
    ]);
    const kept = all.findLast((one) => one.ciphertext !== null && !named(one).includes(reference));
    expect((await open(kept?.index ?? -1))['state']).toBe('CLEAR');
    const erased = await open(erasable.find((one) => one.record['operation'] === 'updatePatient')?.index ?? -1);
    expect(erased).toMatchObject({ state: 'ERASED', address: null, variables: null, changes: [] });
    expect(await verdict()).toBe('OK');
  });

  it('covers what it names and nothing else: another detail that goes missing is found', async () => {
    const missing = (await stored()).find((one) => one.ciphertext !== null && !named(one).includes(reference));
    const { log, writer, number } = missing?.record ?? {};
    await system.database.owner.query('DELETE FROM ledger_detail WHERE log = $1 AND writer = $2 AND number = $3', [
      log,
      writer,
      number,
    ]);
    expect(await verdict()).toBe(`${missing?.index} detail`);
  });

  it('can be repeated until nothing is left', async () => {
    await system.ask('front_desk', `{ patient(id: "${patient}") { name } }`);
    const counts: unknown[] = [];
    for (let call = 0; call < 3; call += 1) {
      counts.push((await officer(ERASE, 'PATRQT', { patientId: patient })).data['eraseLedgerDetails']);
    }
    expect(counts[0]).toBeGreaterThan(0);
    expect(counts.slice(1)).toEqual([0, 0]);
    expect(
      (await stored()).filter(
        (one) => one.ciphertext !== null && named(one).includes(reference) && one.record['kind'] !== 'ERASE',
      ),
    ).toEqual([]);
  });
});
