import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { recordConsent } from '../../src/domain/consent/record-consent.js';
import { withdrawConsent } from '../../src/domain/consent/withdraw-consent.js';
import { listPatients } from '../../src/domain/patient/list-patients.js';
import type { Actor } from '../../src/kernel/actor.js';
import { newId } from '../../src/kernel/identifier.js';
import { Document } from '../../src/operation/document.js';
import type { OperationDefinition } from '../../src/operation/operation.js';
import { selectFields } from '../../src/operation/selection.js';
import type { View } from '../../src/operation/view.js';
import { bytesOf, codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { admit, represented, type Person } from '../support/person.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const FIELDS = 'id version purpose decision status recordedAt recordedByRole expiresAt withdrawnAt withdrawnByRole';
const RECORD = `mutation($input: RecordConsentInput!) { recordConsent(input: $input) { ${FIELDS} } }`;
const WITHDRAW = `mutation($id: ID!) { withdrawConsent(id: $id) { ${FIELDS} } }`;
const AGENT_LIST = '{ patients { totalCount edges { node { id name } } } }';
const asAgent = { purpose: 'CAREMGT' };

let system: TestSystem;
let patients: Readonly<Record<string, string>>;
let own: string;
let patient: Person;
beforeAll(async () => {
  system = await testSystem();
  patients = system.demo.patients['T-CN'] ?? {};
  own = await admit(system, { name: '王小明', birthDate: '1970-01-01' }, ['Follow-up calls', 'Ward 1']);
  patient = await represented(system, 'patient', own);
});
afterAll(() => system.close());

const input = (decision: string, purpose = 'CAREMGT', more: Loose = {}) => ({
  input: { patientId: own, purpose, decision, ...more },
});
async function recorded(decision: string, purpose = 'CAREMGT', more: Loose = {}): Promise<Loose> {
  const answer = await patient.ask(RECORD, input(decision, purpose, more));
  expect(codeOf(answer)).toBe('none');
  return answer.data['recordConsent'];
}
async function withdrawn(id: unknown): Promise<Loose> {
  const answer = await patient.ask(WITHDRAW, { id });
  expect(codeOf(answer)).toBe('none');
  return answer.data['withdrawConsent'];
}
async function history(asOf?: string, purpose = 'CAREMGT'): Promise<Loose[]> {
  const argument = asOf === undefined ? '' : `, asOf: "${asOf}"`;
  const answer = await patient.ask(
    `{ patient(id: "${own}") { consents(first: 50${argument}) { edges { node { ${FIELDS} } } } } }`,
  );
  return nodesOf(answer.data['patient'].consents).filter((one) => one['purpose'] === purpose);
}
/** What the patient's row repeats of a purpose. */
async function state(patientId = own, purpose = 'CAREMGT'): Promise<Loose | undefined> {
  const { rows } = await system.database.owner.query<{ consents: Loose }>(
    'SELECT consents FROM patient WHERE id = $1',
    [patientId],
  );
  return rows[0]?.consents[purpose] as Loose | undefined;
}

describe('a consent', () => {
  it('that is withdrawn takes the patient out of the next list, count and single read', async () => {
    const given = await recorded('PERMIT');
    expect(given).toMatchObject({ decision: 'PERMIT', status: 'active', recordedByRole: 'patient', withdrawnAt: null });
    const before = (await system.ask('call_center_agent', AGENT_LIST, asAgent)).data['patients'];
    expect(nodesOf(before)).toContainEqual({ id: own, name: '王小明' });
    const gone = await withdrawn(given['id']);
    expect(gone).toMatchObject({ status: 'inactive', withdrawnByRole: 'patient', decision: 'PERMIT' });
    const list = await system.ask('call_center_agent', AGENT_LIST, asAgent);
    expect(idsOf(list.data['patients'])).not.toContain(own);
    expect(list.data['patients'].totalCount).toBe(before.totalCount - 1);
    const single = (id?: string) => system.ask('call_center_agent', `{ patient(id: "${id}") { name } }`, asAgent);
    expect(codeOf(await single(own))).toBe('CONSENT_WITHDRAWN');
    // Who would not see the row anyway hears nothing of consents.
    expect(codeOf(await single(patients['PT2']))).toBe('NOT_FOUND');
    expect(await state()).toMatchObject({ decision: 'DENY', until: null, id: given['id'] });
    await withdrawn((await recorded('DENY'))['id']);
    expect(await state()).toBeUndefined();
    expect((await system.ask('call_center_agent', AGENT_LIST, asAgent)).data['patients']).toEqual(before);
  });

  it('opens where silence means no, and closes again', async () => {
    const count = async () =>
      Number((await system.ask('researcher', '{ patients { totalCount } }')).data['patients'].totalCount);
    expect(await count()).toBe(0);
    const given = await recorded('PERMIT', 'HRESCH');
    expect(await count()).toBe(1);
    await withdrawn(given['id']);
    expect(await count()).toBe(0);
  });

  it('is gone when it expires, without anybody doing anything', async () => {
    const expiresAt = new Date(Date.now() + 1_500).toISOString();
    const given = await recorded('DENY', 'CAREMGT', { expiresAt });
    expect(given['expiresAt']).toBe(expiresAt);
    const count = async () =>
      (await system.ask('call_center_agent', AGENT_LIST, asAgent)).data['patients'].totalCount as number;
    const denied = await count();
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    expect(await count()).toBe(denied + 1);
  });

  it('has a history that shows what was in force at any instant', async () => {
    const purpose = 'HMARKT';
    const moments: string[] = [];
    const moment = async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      moments.push(new Date().toISOString());
      await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await moment();
    const first = await recorded('PERMIT', purpose);
    await moment();
    const second = await recorded('DENY', purpose);
    await moment();
    await withdrawn(second['id']);
    await moment();
    const third = await recorded('PERMIT', purpose, { expiresAt: new Date(Date.now() + 60_000).toISOString() });
    await moment();
    // An older one that is withdrawn later changes nothing of what is in force.
    await withdrawn(first['id']);
    const inForce = async (at: string | undefined) => (await history(at, purpose)).map((one) => one['id']);
    expect(await inForce(moments[0])).toEqual([]);
    expect(await inForce(moments[1])).toEqual([first['id']]);
    expect(await inForce(moments[2])).toEqual([second['id']]);
    expect(await inForce(moments[3])).toEqual([]);
    expect(await inForce(moments[4])).toEqual([third['id']]);
    expect(await inForce(new Date(Date.now() + 120_000).toISOString())).toEqual([]);
    expect(await state(own, purpose)).toMatchObject({ decision: 'PERMIT', id: third['id'] });
    expect(await inForce(undefined)).toEqual([third['id'], second['id'], first['id']]);
    expect((await history(undefined, purpose)).map((one) => one['decision'])).toEqual(['PERMIT', 'DENY', 'PERMIT']);
  });

  it('is paged, and a cursor of one instant is none of another', async () => {
    const page = (rest: string) =>
      patient.ask(
        `{ patient(id: "${own}") { consents(first: 1${rest}) { edges { node { id } } pageInfo { endCursor hasNextPage } } } }`,
      );
    const first = (await page('')).data['patient'].consents;
    expect(first.pageInfo.hasNextPage).toBe(true);
    const next = (await page(`, after: "${first.pageInfo.endCursor}"`)).data['patient'].consents;
    expect(idsOf(next)).not.toEqual(idsOf(first));
    const other = await page(`, after: "${first.pageInfo.endCursor}", asOf: "${new Date().toISOString()}"`);
    expect(codeOf(other)).toBe('CURSOR_INVALID');
  });

  it.each([
    ['an expiry in the past', { expiresAt: '2020-01-01T00:00:00Z' }],
    ['an expiry without a zone', { expiresAt: '2030-01-01T00:00:00' }],
    ['an expiry beyond all calendars', { expiresAt: '9999-12-31T23:59:59-14:00' }],
    ['an unknown purpose', { purpose: 'PurposeOfUse' }],
    ['no purpose', { purpose: '' }],
    ['a decision that is none', { decision: 'MAYBE' }],
  ])('with %s is refused', async (_what, more) => {
    const before = await state();
    expect(codeOf(await patient.ask(RECORD, input('PERMIT', 'CAREMGT', more)))).toBe('BAD_USER_INPUT');
    expect(await state()).toEqual(before);
  });

  it('as of something that is no instant is refused', async () => {
    const document = `{ patient(id: "${own}") { consents(asOf: "yesterday") { edges { node { id } } } } }`;
    expect(codeOf(await patient.ask(document))).toBe('BAD_USER_INPUT');
  });

  it('is recorded once for one Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'consent once' };
    const answers = await Promise.all([1, 2, 3].map(() => patient.ask(RECORD, input('DENY', 'HOUTCOMS'), headers)));
    expect(new Set(answers.map((answer) => answer.data['recordConsent']?.id)).size).toBe(1);
    expect(await history(undefined, 'HOUTCOMS')).toHaveLength(1);
  });

  it('is withdrawn once; nobody else can, and nobody learns that it is there', async () => {
    const given = await recorded('PERMIT', 'TREATDS');
    const other = await represented(system, 'patient', patients['PT5'] ?? '');
    const nobody = '01900000-0000-7000-8000-000000000000';
    const foreign = await other.ask(WITHDRAW, { id: given['id'] });
    expect(bytesOf(foreign)).toBe(bytesOf(await other.ask(WITHDRAW, { id: nobody })));
    expect(codeOf(foreign)).toBe('NOT_FOUND');
    const abroad = await system.ask('front_desk', WITHDRAW, { tenant: 'T-US', variables: { id: given['id'] } });
    expect(codeOf(abroad)).toBe('NOT_FOUND');
    for (const role of ['physician', 'nurse', 'call_center_agent', 'integrator'] as const) {
      expect(codeOf(await system.ask(role, WITHDRAW, { variables: { id: given['id'] } }))).toBe('FORBIDDEN');
    }
    const both = await Promise.all([1, 2].map(() => patient.ask(WITHDRAW, { id: given['id'] })));
    expect(both.map(codeOf).filter((code) => code === 'none')).toHaveLength(1);
    expect(codeOf(await patient.ask(WITHDRAW, { id: given['id'] }))).toBe('BAD_USER_INPUT');
    expect(await state(own, 'TREATDS')).toMatchObject({ decision: 'DENY' });
  });

  it('is taken down by the front desk, read by the treating team, and by nobody else', async () => {
    const answer = await system.ask('front_desk', RECORD, { variables: input('DENY', 'HMARKT.SCORE') });
    expect(answer.data['recordConsent']).toMatchObject({ recordedByRole: 'front_desk', decision: 'DENY' });
    const read = (role: 'physician' | 'billing') =>
      system.ask(role, `{ patient(id: "${own}") { consents { edges { node { purpose } } } } }`);
    const seen = nodesOf((await read('physician')).data['patient'].consents).map((one) => one['purpose']);
    expect(seen).toContain('HMARKT.SCORE');
    expect((await read('billing')).data['patient'].consents).toBeNull();
    expect(codeOf(await system.ask('physician', RECORD, { variables: input('PERMIT') }))).toBe('FORBIDDEN');
  });

  it('is named in the ledger by patient and fields, never by its content', async () => {
    const given = await recorded('DENY', 'MLTRAINING');
    const records = await recordsOf(system, 'T-CN');
    const last = records.findLast((one) => one['operation'] === 'recordConsent' && one['kind'] === 'CREATE');
    const { rows } = await system.database.owner.query<{ subject_reference: string }>(
      'SELECT subject_reference FROM patient WHERE id = $1',
      [own],
    );
    expect(last).toMatchObject({ outcome: 'success', role: 'patient', purpose: 'PATRQT' });
    expect(last?.['accesses']).toEqual([
      {
        type: 'Consent',
        rows: 1,
        fields: { purpose: 'WRITTEN', decision: 'WRITTEN', expiresAt: 'WRITTEN' },
        subjects: [rows[0]?.subject_reference],
      },
    ]);
    expect(JSON.stringify(last)).not.toContain('MLTRAINING');
    expect(given['purpose']).toBe('MLTRAINING');
  });

  it('can be neither changed nor deleted by the API’s own database role', async () => {
    const { app } = system.composition;
    for (const text of [
      `UPDATE consent SET decision = 'PERMIT'`,
      `UPDATE consent SET recorded_at = now()`,
      'DELETE FROM consent',
    ]) {
      await expect(app.query('T-CN', { text, values: [] })).rejects.toMatchObject({ sqlstate: '42501' });
    }
  });
});

describe('a minor', () => {
  const year = new Date().getUTCFullYear();
  const permit = (patientId: string) => ({ input: { patientId, purpose: 'CAREMGT', decision: 'PERMIT' } });

  it.each([
    ['of 13', `${year - 13}-01-01`, 'GUARDIAN_CONSENT_REQUIRED'],
    ['of an age that nobody knows', undefined, 'GUARDIAN_CONSENT_REQUIRED'],
    ['of 14 years and more', `${year - 15}-01-01`, 'none'],
  ])('%s permits by a guardian alone', async (_what, birthDate, expected) => {
    const id = await admit(system, { name: '周敏', birthDate: birthDate });
    const child = await represented(system, 'patient', id);
    expect(codeOf(await child.ask(RECORD, permit(id)))).toBe(expected);
    expect(codeOf(await system.ask('front_desk', RECORD, { variables: permit(id) }))).toBe(expected);
    const no = await child.ask(RECORD, { input: { ...permit(id).input, decision: 'DENY' } });
    expect(codeOf(no)).toBe('none');
    // To take a refusal back is to permit.
    expect(codeOf(await child.ask(WITHDRAW, { id: no.data['recordConsent'].id }))).toBe(expected);
    if (expected === 'none') return;
    const guardian = await represented(system, 'guardian', id);
    const yes = await guardian.ask(RECORD, permit(id));
    expect(yes.data['recordConsent']).toMatchObject({ recordedByRole: 'guardian', decision: 'PERMIT' });
    expect(await state(id)).toMatchObject({ decision: 'PERMIT' });
    expect(codeOf(await child.ask(WITHDRAW, { id: yes.data['recordConsent'].id }))).toBe('none');
    expect(await state(id)).toMatchObject({ decision: 'DENY' });
  });

  it.each([
    ['T-EU', 15, 'GUARDIAN_CONSENT_REQUIRED'],
    ['T-EU', 17, 'none'],
    ['T-US', 17, 'GUARDIAN_CONSENT_REQUIRED'],
    ['T-US', 19, 'none'],
  ])('in %s is who the law of the country says (%i years)', async (tenant, age, expected) => {
    const id = await admit(system, { name: 'Kim Young', birthDate: `${year - age}-01-01` }, [], tenant);
    expect(codeOf(await system.ask('front_desk', RECORD, { tenant, variables: permit(id) }))).toBe(expected);
  });
});

describe('many decisions at once', () => {
  let desk: Actor;
  let agent: Actor;
  beforeAll(async () => {
    desk = await actor('front_desk');
    agent = await actor('call_center_agent');
  });
  async function actor(role: string): Promise<Actor> {
    const user = system.demo.users.find((one) => one.role === role && one.tenant === 'T-CN');
    if (user === undefined) throw new Error(`There is no ${role}.`);
    const document = new Document(null, facts(null), null);
    const { actor: found } = await system.composition.sessions.signIn(document, user);
    await system.composition.answering.settle(document, null);
    return found;
  }
  function facts(purpose: string | null) {
    return { requestId: newId(), purpose, reason: null, idempotencyKey: null, clientAddress: '127.0.0.1' };
  }
  /** One operation by the door, its record durable before the answer: what every transport does. */
  async function run<Arguments, Result>(
    who: Actor,
    purpose: string,
    operation: OperationDefinition<Arguments, Result>,
    argument: Arguments,
    fields: readonly string[] = ['id'],
  ): Promise<Result> {
    const document = new Document(who, facts(purpose), null);
    try {
      return await system.composition.operations.run(operation, document, argument, selectFields(...fields));
    } finally {
      await system.composition.answering.settle(document, null);
    }
  }
  const decide = (patientId: string, decision: 'PERMIT' | 'DENY'): Promise<View> =>
    run(desk, 'PATADMIN', recordConsent, { patientId, purpose: 'CAREMGT', decision });
  const withdraw = (id: string): Promise<View> => run(desk, 'PATADMIN', withdrawConsent, { id });

  it('leave the newest one in force, whatever the order in which they are committed', async () => {
    for (let round = 0; round < 4; round += 1) {
      const id = await admit(system, { name: '周敏', birthDate: '1970-01-01' });
      const decisions = Array.from({ length: 24 }, (_, at) => ((at + round) % 3 === 0 ? ('DENY' as const) : 'PERMIT'));
      await Promise.all(
        decisions.map(async (decision, at) => {
          const made = await decide(id, decision);
          if (at % 4 === round) await withdraw(made.id);
        }),
      );
      const { rows } = await system.database.owner.query<{ id: string; decision: string; withdrawn: boolean }>(
        `SELECT id, decision, withdrawn_at IS NOT NULL AS withdrawn FROM consent WHERE patient_id = $1 ORDER BY recorded_at DESC, id DESC`,
        [id],
      );
      expect(rows).toHaveLength(24);
      const [newest] = rows;
      const expected = { id: newest?.id, decision: newest?.withdrawn ? 'DENY' : newest?.decision };
      if (newest?.withdrawn && newest.decision === 'DENY') expect(await state(id)).toBeUndefined();
      else expect(await state(id)).toMatchObject(expected);
    }
  });

  /**
   * A read that begins after the answer to a withdrawal arrived, and ends before the next permission is asked for, never
   * shows the patient; one between a permission and the next withdrawal always does.
   */
  it('give 0 stale answers in 10,000 reads around withdrawals', async () => {
    const TRIES = 10_000;
    const id = own;
    let epoch = 0;
    let settled: 'visible' | 'withdrawn' | 'changing' = 'changing';
    let [started, judged, stale] = [0, 0, 0];
    let changes = 0;
    const more = () => started < TRIES;
    const readOnce = async (document: Document) => {
      started += 1;
      const before = { epoch, settled };
      const { operations } = system.composition;
      const list = await operations.run(listPatients, document, { first: 20 }, selectFields('id'));
      // What was settled when the read began must show, unless a change was asked for before it ended.
      if (before.settled === 'changing' || before.epoch !== epoch) return;
      judged += 1;
      if (list.edges.some((edge) => edge.node.id === id) !== (before.settled === 'visible')) stale += 1;
    };
    /** Ten reads a document: their record is one, and what is tried here is the reading. */
    const reader = async () => {
      while (more()) {
        const document = new Document(agent, facts('CAREMGT'), null);
        for (let at = 0; at < 10; at += 1) await readOnce(document);
        await system.composition.answering.settle(document, null);
      }
    };
    const patientDecides = async () => {
      while (more()) {
        [epoch, settled] = [epoch + 1, 'changing'];
        const made = await decide(id, 'PERMIT');
        settled = 'visible';
        await new Promise((resolve) => setTimeout(resolve, 30));
        [epoch, settled] = [epoch + 1, 'changing'];
        await withdraw(made.id);
        settled = 'withdrawn';
        changes += 1;
        await new Promise((resolve) => setTimeout(resolve, 80));
      }
    };
    await Promise.all([patientDecides(), ...Array.from({ length: 12 }, reader)]);
    expect(stale).toBe(0);
    expect(started).toBeGreaterThanOrEqual(TRIES);
    expect(changes).toBeGreaterThan(10);
    expect(judged).toBeGreaterThan(TRIES / 10);
  }, 120_000);
});
