import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { testSystem, type TestSystem } from '../support/system.js';

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
});
afterAll(() => system.close());

const LIST = '{ patients(first: 10) { edges { node { id name phone birthDate nationalId notes } } } }';

describe('who sees what of the same patient', () => {
  it('shows an agent with HOPERAT masks and nothing in clear', async () => {
    const { data, errors } = await system.ask('call_center_agent', LIST, { purpose: 'HOPERAT' });
    expect(errors).toEqual([]);
    const nodes = data['patients'].edges.map((edge: { node: { id: string } }) => edge.node);
    expect(nodes).toHaveLength(7);
    const first = nodes.find((node: { id: string }) => node.id === system.demo.patients['T-CN']?.['PT1']);
    expect(first).toMatchObject({
      name: '王**',
      phone: '138****5678',
      birthDate: '1949',
      nationalId: null,
      notes: null,
    });
  });

  it('shows a physician with TREAT the own patients in clear, and no others', async () => {
    const { data } = await system.ask('physician', LIST);
    const ids = data['patients'].edges.map((edge: { node: { id: string } }) => edge.node.id);
    const { PT1, PT2, PT3, PT4, PT5, PT6, PT7 } = system.demo.patients['T-CN'] ?? {};
    expect(ids.sort()).toEqual([PT1, PT2, PT3, PT6, PT7].sort());
    expect(ids).not.toContain(PT4);
    expect(ids).not.toContain(PT5);
    const first = data['patients'].edges.find((edge: { node: { id: string } }) => edge.node.id === PT1).node;
    expect(first).toMatchObject({ name: '王小明', birthDate: '1949-12-31', phone: '138****5678' });
  });
});
