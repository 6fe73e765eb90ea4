import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { askRoleMatrix, type AskAs, type CellResult } from '../../src/demo/role-matrix.js';
import { registry } from '../../src/kernel/attribute.js';
import { readRoleMatrix } from '../../src/policy/role-matrix.js';
import { testSystem, type TestSystem } from '../support/system.js';

const TENANT = 'T-CN';
let system: TestSystem;
let results: CellResult[];

beforeAll(async () => {
  system = await testSystem();
  const patients = system.demo.patients[TENANT] ?? {};
  const record = 'mutation($input: RecordConsentInput!) { recordConsent(input: $input) { id } }';
  const input = { patientId: patients['PT1'], purpose: 'HRESCH', decision: 'PERMIT' };
  expect((await system.ask('front_desk', record, { variables: { input } })).errors).toEqual([]);
  const ask: AskAs = async (role, purpose, document, variables) => {
    const answer = await system.ask(role, document, { purpose, variables });
    return answer.data;
  };
  const classOf = system.composition.policy.classOf.bind(system.composition.policy);
  results = await askRoleMatrix(readRoleMatrix('policies', registry), ask, TENANT, patients, classOf, ['PT1']);
}, 120_000);
afterAll(() => system.close());

describe('the role matrix', () => {
  it('is what a running server does, in every cell that can be asked', () => {
    const wrong = results.flatMap(({ cell, differences }) =>
      differences.map((difference) => `${cell.role} ${cell.purpose} ${cell.group}: ${difference}`),
    );
    expect(wrong).toEqual([]);
  });

  it('was asked: no cell is equal because nothing was compared', () => {
    const idle = results.filter(({ cell, compared }) => cell.waits === null && compared === 0);
    expect(idle.map(({ cell }) => `${cell.role} ${cell.purpose} ${cell.group}`)).toEqual([]);
    expect(results.reduce((sum, { compared }) => sum + compared, 0)).toBeGreaterThan(1_500);
  });

  it('has a cell for each role, each of its purposes and each group', () => {
    const { policy } = system.composition;
    const cells = new Set(results.map(({ cell }) => `${cell.role} ${cell.purpose} ${cell.group}`));
    const roles = [...new Set(results.map(({ cell }) => cell.role))];
    const missing = roles.flatMap((role) =>
      policy
        .purposesOf(role)
        .flatMap((purpose) => Array.from({ length: 13 }, (_, index) => `${role} ${purpose} FG${index + 1}`))
        .filter((cell) => !cells.has(cell)),
    );
    expect(missing).toEqual([]);
    expect(roles).toHaveLength(15);
  });
});
