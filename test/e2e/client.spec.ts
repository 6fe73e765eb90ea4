import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { CustodiaClient, RequestRefused } from '../../examples/web-client/client.js';
import { FILE, generated } from '../../examples/web-client/generate.mjs';
import { ChangePatientDocument, ReadPatientDocument } from '../../examples/web-client/generated.js';
import { changes, isEditable, shown, stateOf } from '../../examples/web-client/governed.js';
import { line, patientsOf } from '../../examples/web-client/patients.js';
import type { Role } from '../../src/kernel/actor.js';
import { patientId } from '../support/probe.js';
import { testSystem, type TestSystem } from '../support/system.js';

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
});
afterAll(() => system.close());

/** What a browser does with cookies and origins, for one page. */
function browser(): typeof fetch {
  let cookie = '';
  return async (input, init) => {
    const headers = { ...(init?.headers as Record<string, string>), origin: new URL(system.endpoint).origin, cookie };
    const response = await fetch(input, { ...init, headers });
    const [change] = response.headers.getSetCookie();
    if (change !== undefined) cookie = change.includes('Max-Age=0') ? '' : (change.split(';')[0] ?? '');
    return response;
  };
}

async function signedIn(role: Role): Promise<CustodiaClient> {
  const client = new CustodiaClient(system.endpoint, { fetch: browser() });
  const { email = '', password = '' } =
    system.demo.users.find((one) => one.role === role && one.tenant === 'T-CN') ?? {};
  const me = await client.signIn({ tenant: 'T-CN', email, password });
  expect(me).toMatchObject({ tenant: 'T-CN', role });
  client.purpose = system.composition.policy.purposesOf(role).at(role === 'call_center_agent' ? -1 : 0) ?? null;
  return client;
}

describe('the typed client', () => {
  it('is generated from today’s schema and documents', async () => {
    expect(readFileSync(FILE, 'utf8')).toBe(await generated());
  });

  it('lists every patient once, page by page, and says of each value how it is shown', async () => {
    const client = await signedIn('front_desk');
    const patients = [];
    for await (const patient of patientsOf(client, 2)) patients.push(patient);
    expect(patients.length).toBeGreaterThan(2);
    expect(new Set(patients.map(({ id }) => id)).size).toBe(patients.length);
    const first = patients.find(({ id }) => id === patientId(system, 'PT1'));
    expect(first && [stateOf(first, 'name'), stateOf(first, 'phone'), isEditable(first, 'phone')]).toEqual([
      'CLEAR',
      'MASKED',
      false,
    ]);
    expect(first && line(first)).toMatch(/^[^*()]+ · \d{4}-\d{2}-\d{2} · 138\*{4}\d{4} \(masked\)$/);
  });

  it('tells what is withheld from what is empty', async () => {
    const client = await signedIn('front_desk');
    const { patient } = await client.ask(ReadPatientDocument, { id: patientId(system, 'PT1') });
    expect(patient?.notes).toBeNull();
    expect(patient && shown(patient, 'notes')).toBe('(withheld)');
    const empty = { address: null, fieldAccess: [{ field: 'address', state: 'CLEAR' as const, mask: null }] };
    expect(shown(empty, 'address')).toBe('(none)');
  });

  it('saves a form without its masks: what is behind them stays', async () => {
    const client = await signedIn('front_desk');
    const id = patientId(system, 'PT1');
    const { patient } = await client.ask(ReadPatientDocument, { id });
    if (patient === null) throw new Error('PT1 is not shown.');
    const form = { name: `${patient.name}一`, phone: patient.phone, notes: patient.notes };
    expect(changes(patient, form)).toEqual({ name: form.name });
    const phone = async () =>
      (await system.ask('physician', 'query($id: ID!) { patient(id: $id) { phone } }', { variables: { id } })).data;
    const before = await phone();
    const { updatePatient } = await client.ask(ChangePatientDocument, {
      id,
      version: patient.version,
      input: changes(patient, form),
    });
    expect(updatePatient).toMatchObject({ version: patient.version + 1, name: form.name, phone: patient.phone });
    expect(await phone()).toEqual(before);
  });

  it('hands a refusal over as a code and a next step', async () => {
    const client = await signedIn('front_desk');
    client.purpose = 'HMARKT';
    const refused = await client
      .ask(ReadPatientDocument, { id: patientId(system, 'PT1') })
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RequestRefused);
    expect(refused).toMatchObject({ code: 'PURPOSE_NOT_PERMITTED', retryAfterSeconds: null });
  });

  it('goes on after its access token ended, by the cookie alone, and not after signing out', async () => {
    const client = await signedIn('front_desk');
    const read = () => client.ask(ReadPatientDocument, { id: patientId(system, 'PT1') });
    (client as unknown as { accessToken: string }).accessToken = 'ended';
    const answers = await Promise.all([read(), read(), read()]);
    expect(answers.map(({ patient }) => patient?.id)).toEqual(Array(3).fill(patientId(system, 'PT1')));
    await client.signOut();
    await expect(read()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await client.refresh()).toBe(false);
  });
});
