import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bytesOf, codeOf } from '../support/outcome.js';
import { testSystem, type Answer, type TestSystem } from '../support/system.js';

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
});
afterAll(() => system.close());

describe('the status of an answer', () => {
  it('is 200 for what a document may meet, 401 without a session, 400 for what is no document where the media type can say so', async () => {
    const list = '{ patients(first: 1) { totalCount } }';
    const statusOf = async (answer: Promise<Answer>) => (await answer).status;
    expect(await statusOf(system.ask('front_desk', list))).toBe(200);
    expect(await statusOf(system.ask('front_desk', list, { purpose: null }))).toBe(200);
    expect(await statusOf(system.ask('auditor', list))).toBe(200);
    expect(await statusOf(system.ask('front_desk', '{ patients(first: 51) { totalCount } }'))).toBe(200);
    expect(await statusOf(system.send(list, { purpose: 'PATADMIN' }))).toBe(401);
    for (const broken of ['{ nothing }', '{ patients(first: "x") { totalCount } }', '{']) {
      const headers = { accept: 'application/graphql-response+json' };
      expect(await statusOf(system.ask('front_desk', broken, { headers }))).toBe(400);
      expect(await statusOf(system.ask('front_desk', broken))).toBe(200);
    }
  });

  it('is 503 when the ledger cannot be written, and no data leaves', async () => {
    const query = '{ patients(first: 5) { edges { node { id name } } } }';
    await system.token('front_desk');
    const patients = async () => (await system.database.owner.query('SELECT count(*) FROM patient')).rows;
    const before = await patients();
    await system.database.owner.query('REVOKE INSERT ON ledger_entry FROM custodia_app');
    try {
      for (const document of [
        query,
        'mutation { createPatient(input: { name: "Unrecorded" }) { id name } }',
        '{ me { id } }',
      ]) {
        const answer = await system.ask('front_desk', document);
        expect([document, answer.status, codeOf(answer)]).toEqual([document, 503, 'AUDIT_UNAVAILABLE']);
        expect(Object.values(answer.data).filter((value) => value !== null)).toEqual([]);
      }
    } finally {
      await system.database.owner.query('GRANT INSERT ON ledger_entry TO custodia_app');
    }
    expect(await patients()).toEqual(before);
    expect(codeOf(await system.ask('front_desk', query))).toBe('none');
  });
});

describe('a patient that is missing, forbidden or foreign', () => {
  it('is answered with exactly the same bytes, whatever is asked of it', async () => {
    const ids = [
      '01900000-0000-7000-8000-000000000000',
      system.demo.patients['T-CN']?.['PT4'],
      system.demo.patients['T-US']?.['PT1'],
      system.demo.patients['T-CN']?.['PT1']?.toUpperCase(),
      "' OR 1=1 --",
      '',
    ];
    const documents = [
      'query($id: ID!) { patient(id: $id) { id name fieldAccess { field state } visits { totalCount } } }',
      'mutation($id: ID!) { updatePatient(id: $id, version: 1, input: { notes: "x" }) { id } }',
      'mutation($id: ID!) { recordDiagnosis(input: { patientId: $id, code: "I10" }) { id } }',
    ];
    for (const document of documents) {
      const answers: Answer[] = [];
      for (const id of ids) answers.push(await system.ask('physician', document, { variables: { id } }));
      expect(answers.map((one) => [one.status, codeOf(one)])).toEqual(answers.map(() => [200, 'NOT_FOUND']));
      expect(new Set(answers.map(bytesOf)).size).toBe(1);
    }
  });
});

describe('the request id', () => {
  it('is echoed when it can be one, and made when not', async () => {
    const of = async (id: string) =>
      (await system.ask('front_desk', '{ me { id } }', { headers: { 'x-request-id': id } })).headers.get(
        'x-request-id',
      );
    expect(await of('trace-42')).toBe('trace-42');
    for (const bad of ['with space', '<script>', 'x'.repeat(65)]) expect(await of(bad)).toMatch(/^[0-9a-f-]{36}$/);
    const refused = await system.send('{ patients { totalCount } }', { headers: { 'x-request-id': 'trace-43' } });
    expect(refused.headers.get('x-request-id')).toBe('trace-43');
    const invalid = await system.send('{', { headers: { 'x-request-id': 'trace-44' } });
    expect(invalid.headers.get('x-request-id')).toBe('trace-44');
  });
});
