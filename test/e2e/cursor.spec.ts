import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type TestSystem } from '../support/system.js';

const LIST = `query($first: Int! = 2, $after: String, $filter: PatientFilter, $sort: [PatientSort!]) {
  patients(first: $first, after: $after, filter: $filter, sort: $sort) { edges { cursor node { id } } }
}`;
const NESTED = `query($after: String) {
  patients(first: 50) { edges { node { id visits(first: 1, after: $after) { edges { cursor node { id } } } } } }
}`;
const SEALED = ['name', 'birthDate', 'phone', 'email', 'address', 'nationalId', 'insuranceNumber', 'notes'] as const;
const enumName = (field: string) => field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
});
afterAll(() => system.close());

describe('a field that the caller does not see in clear', () => {
  it.each([
    ['front_desk', 'PATADMIN', [...SEALED, 'region', 'ageBand']],
    ['call_center_agent', 'HOPERAT', [...SEALED, 'region', 'gender', 'birthYear']],
    ['call_center_agent', 'CAREMGT', [...SEALED, 'region', 'gender', 'birthYear']],
    ['department_head', 'HQUALIMP', [...SEALED, 'region', 'gender', 'birthYear']],
    ['physician', 'TREAT', [...SEALED, 'region']],
  ] as const)('is neither filtered nor sorted by: %s for %s', async (role, purpose, fields) => {
    for (const field of fields) {
      const criterion = { [field]: { eq: field === 'birthYear' ? 1949 : '王小明' } };
      const sorted = { field: enumName(field), direction: 'DESC' };
      for (const variables of [
        { filter: criterion },
        { filter: { not: criterion } },
        { filter: { or: [{}, { and: [{ not: { not: criterion } }] }] } },
        { filter: { [field]: { in: [] } } },
        { filter: { not: { [field]: {} } } },
        { sort: [sorted] },
        { sort: [{ field: 'CREATED_AT', direction: 'ASC' }, sorted] },
      ]) {
        const answer = await system.ask(role, LIST, { purpose, variables });
        expect([variables, codeOf(answer)]).toEqual([variables, 'FIELD_NOT_FILTERABLE']);
        expect(answer.data['patients'] ?? null).toBeNull();
        expect(answer.text).not.toContain('王小明');
      }
    }
  });

  it('leaves a denied record and none that says that something was read', async () => {
    await system.token('front_desk');
    const before = (await recordsOf(system, 'T-CN')).length;
    await system.ask('front_desk', LIST, { variables: { filter: { phone: { eq: '13812345678' } } } });
    const records = (await recordsOf(system, 'T-CN')).slice(before);
    expect(records.map((one) => [one['outcome'], one['code']])).toEqual([['denied', 'FIELD_NOT_FILTERABLE']]);
    expect(JSON.stringify(records)).not.toContain('13812345678');
  });
});

describe('a cursor', () => {
  let cursor: string;
  beforeAll(async () => {
    cursor = (await system.ask('front_desk', LIST)).data['patients'].edges[1].cursor;
    expect(codeOf(await system.ask('front_desk', LIST, { variables: { after: cursor } }))).toBe('none');
  });

  const refused = async (role: Parameters<TestSystem['ask']>[0], document: string, options: object) => {
    const answer = await system.ask(role, document, options);
    expect(codeOf(answer).split(' ')).toContain('CURSOR_INVALID');
    expect(answer.text).not.toContain('"node":{"id"');
  };

  it('belongs to one account, even within a purpose', async () => {
    await refused('integrator', LIST, { purpose: 'PATADMIN', variables: { after: cursor } });
    await refused('front_desk', LIST, { tenant: 'T-US', variables: { after: cursor } });
  });

  it('belongs to one purpose', async () => {
    const { data } = await system.ask('call_center_agent', LIST, { purpose: 'HOPERAT' });
    const own = data['patients'].edges[0].cursor as string;
    expect(codeOf(await system.ask('call_center_agent', LIST, { purpose: 'HOPERAT', variables: { after: own } }))).toBe(
      'none',
    );
    await refused('call_center_agent', LIST, { purpose: 'CAREMGT', variables: { after: own } });
  });

  it('belongs to one list with its filter and order', async () => {
    await refused('front_desk', LIST, { variables: { after: cursor, filter: { status: { eq: 'active' } } } });
    await refused('front_desk', LIST, {
      variables: { after: cursor, sort: [{ field: 'CREATED_AT', direction: 'DESC' }] },
    });
    const teams = 'query($after: String) { careTeams(after: $after) { edges { node { id } } } }';
    await refused('front_desk', teams, { variables: { after: cursor } });
    const { data } = await system.ask('front_desk', NESTED);
    const nested = data['patients'].edges[0].node.visits.edges[0].cursor as string;
    await refused('front_desk', LIST, { variables: { after: nested } });
    const crossed = await system.ask('front_desk', NESTED, { variables: { after: cursor } });
    expect(codeOf(crossed)).toContain('CURSOR_INVALID');
  });

  it('is sealed: changed, cut, made up or empty, it opens nothing', async () => {
    const bytes = Buffer.from(cursor, 'base64url');
    for (const at of [0, 5, 13, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await refused('front_desk', LIST, { variables: { after: changed.toString('base64url') } });
    }
    const made = Buffer.from(JSON.stringify(['2026-01-01T00:00:00.000Z', system.demo.patients['T-CN']?.['PT1']]));
    for (const after of ['', 'x', cursor.slice(0, -4), `${cursor}AAAA`, made.toString('base64')]) {
      await refused('front_desk', LIST, { variables: { after } });
    }
  });

  it('does not show what it holds', () => {
    const text = Buffer.from(cursor, 'base64url').toString('latin1');
    expect(text).not.toMatch(/20\d\d-\d\d/);
    for (const id of Object.values(system.demo.patients['T-CN'] ?? {})) expect(text).not.toContain(id);
  });
});
