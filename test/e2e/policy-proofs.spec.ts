import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { registry } from '../../src/kernel/attribute.js';
import { newId } from '../../src/kernel/identifier.js';
import { policyDifference, sentenceOf } from '../../src/operation/policy-difference.js';
import { loadBundle } from '../../src/policy/bundle.js';
import { loadCases } from '../../src/policy/cases.js';
import { coverageOf } from '../../src/policy/coverage.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { explain, simulate } from '../../src/policy/explanation.js';
import { readInvariants } from '../../src/policy/invariant.js';
import { contentOf, textOf } from '../../src/policy/release.js';
import { approvalRow, releaseRow } from '../../src/policy/release.store.js';
import { PolicySource } from '../../src/policy/source.js';
import { bytesOf, codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const PROOF = `query($hash: String, $proof: PolicyProofKind!, $rule: String) {
  policyProof(hash: $hash, proof: $proof, rule: $rule) { hash version proof rule state done total passed failed equivalent
    refused score minimum holds findings { text file line rule } } }`;
const DIFF = `query($before: String!, $after: String) { policyDiff(before: $before, after: $after) { before after
  changes { role purpose action type field direction from to accounts rows { least most atLeast } sum sentence }
  grants { role accounts grants sentence } notices } }`;
const SIMULATE = `query($role: Role!, $purpose: String, $action: PolicyAction, $type: String) {
  policySimulation(role: $role, purpose: $purpose, action: $action, type: $type) { purpose action type field state } }`;
const EXPLAIN = `query($role: Role!, $purpose: String!, $facts: [PolicyFactInput!]) {
  policyExplanation(role: $role, purpose: $purpose, facts: $facts) }`;
const ACCESS = `query($patientId: ID!, $accountId: ID!, $purpose: String!) {
  explainAccess(patientId: $patientId, accountId: $accountId, purpose: $purpose) { role purpose policy version allowed reached
    keptBack rules { id verdict effect file line consent } fields { field state mask } obligations } }`;
const THINNED = 'related-person-registered';

const shipped = PolicySource.directory('policies');
let system: TestSystem;
let broken: string;
let changed: string;

beforeAll(async () => {
  system = await testSystem();
  const bundle = (version: number) =>
    (shipped.texts.get('bundle.yaml') ?? '').replace(/^ {2}version: \d+/m, `  version: ${version}`);
  // A guardrail fewer, and no case any more for a rule that nothing else asks about.
  const guardrails = shipped.texts.get('guardrails.yaml') ?? '';
  const cases = shipped.texts.get(`cases/related-person.yaml`) ?? '';
  broken = await store(
    shipped
      .with('bundle.yaml', bundle(901))
      .with('guardrails.yaml', guardrails.replace(/ {2}- id: compartments-need-a-grant\n(?: {4}.*\n)+/, ''))
      .with('cases/related-person.yaml', cases.replace(/ {2}- name: the front desk registers\n(?: {4}.*\n)+/, '')),
  );
  const patient = (shipped.texts.get('patient.yaml') ?? '').split(
    '      clear: [public]\n      masked: [identity, contact]\n  - id: patient-lookup-by-agent',
  );
  expect(patient).toHaveLength(2);
  const hiding =
    '      clear: [public]\n      masked: [identity, contact]\n    fields: { hidden: [birthDate, birthYear] }\n  - id: patient-lookup-by-agent';
  changed = await store(shipped.with('bundle.yaml', bundle(902)).with('patient.yaml', patient.join(hiding)));
}, 120_000);
afterAll(() => system.close());

/** Stores a release as it is after a proposal; also one that this software would not have let through. */
async function store({ texts }: PolicySource): Promise<string> {
  const { releases } = system.composition.policy;
  if (releases === null) throw new Error('There are no releases.');
  const engine = PolicyEngine.load(PolicySource.of('policies', texts), registry, { lazy: true });
  const files = Object.fromEntries(texts);
  const unsigned = {
    ...{ hash: engine.hash, version: Number(engine.version), files, content: contentOf(files) },
    ...{ author: { id: newId(), tenant: 'T-CN' }, proposedAt: system.composition.clock.now(), note: 'a test' },
  };
  const row = releaseRow({ ...unsigned, signature: releases.key.sign(textOf.release(unsigned)) });
  const columns = Object.keys(row);
  await system.database.owner.query(
    `INSERT INTO policy_release (${columns.join(', ')}) VALUES (${columns.map((_, at) => `$${at + 1}`).join(', ')})`,
    Object.values(row),
  );
  return engine.hash;
}
/** As somebody else than its author does. */
async function approve(hash: string): Promise<void> {
  const { releases } = system.composition.policy;
  if (releases === null) throw new Error('There are no releases.');
  const approver = { id: newId(), tenant: 'T-CN' };
  const unsigned = { hash, approver, approvedAt: system.composition.clock.now(), challenge: 'a test' };
  const row = approvalRow({
    ...unsigned,
    signature: releases.key.sign(textOf.approval(unsigned, await releases.signed(hash))),
  });
  const columns = Object.keys(row);
  await system.database.owner.query(
    `INSERT INTO policy_approval (${columns.join(', ')}) VALUES (${columns.map((_, at) => `$${at + 1}`).join(', ')})`,
    Object.values(row),
  );
}
const officer = (document: string, variables: Loose): Promise<Answer> =>
  system.ask('security_admin', document, { variables });

/** Asks until the proof is over. */
async function proved(variables: Loose): Promise<Loose> {
  for (;;) {
    const answer = await officer(PROOF, variables);
    expect(codeOf(answer)).toBe('none');
    const proof = answer.data['policyProof'];
    if (proof.state !== 'RUNNING' && proof.state !== 'WAITING') return proof;
    await pause(100);
  }
}
const accountId = (role: string, tenant = 'T-CN') =>
  system.demo.users.find((one) => one.role === role && one.tenant === tenant)?.id;

describe('the proofs of the policies in force', () => {
  it('count what the commands count', async () => {
    const engine = PolicyEngine.load(shipped, registry);
    const counts = { failed: 0, equivalent: 0, refused: 0, score: 1, holds: true, findings: [], state: 'DONE' };
    expect(await proved({ proof: 'CASES' })).toMatchObject({
      ...counts,
      ...{ hash: engine.hash, version: Number(engine.version), passed: loadCases(shipped, registry, engine).length },
    });
    const { length: covered } = coverageOf(shipped, registry);
    expect(await proved({ proof: 'COVERAGE' })).toMatchObject({ ...counts, passed: covered });
    const { length: claimed } = readInvariants(shipped, registry, loadBundle(shipped, registry).vocabulary);
    expect(await proved({ proof: 'INVARIANTS' })).toMatchObject({ ...counts, passed: claimed });
    const mutation = await proved({ proof: 'MUTATION', rule: THINNED });
    expect(mutation).toMatchObject({ failed: 0, score: 1, minimum: 0.9, holds: true, rule: THINNED });
    expect(mutation['passed']).toBeGreaterThan(0);
  });

  it('name no rule that there is not, and none where it means nothing', async () => {
    expect(codeOf(await officer(PROOF, { proof: 'MUTATION', rule: 'no-such-rule' }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await officer(PROOF, { proof: 'CASES', rule: THINNED }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await officer(PROOF, { proof: 'CASES', hash: '0'.repeat(64) }))).toBe('NOT_FOUND');
  });
});

describe('a release with a guardrail fewer', () => {
  it('has a broken invariant, at its line and with a row', async () => {
    const proof = await proved({ hash: broken, proof: 'INVARIANTS' });
    expect(proof).toMatchObject({ hash: broken, version: 901, state: 'DONE', holds: false });
    expect(proof['failed']).toBeGreaterThan(0);
    const texts = proof['findings'].map(({ text }: Loose) => text).join('\n');
    expect(texts).toContain('"compartments-never-without-a-grant-or-an-emergency" does not hold');
    expect(proof['findings'][0]).toMatchObject({ file: 'policies/invariants.yaml', line: expect.any(Number) });
  });

  it('does not load, and with cases left out has mutants that nobody notices', async () => {
    const cases = await proved({ hash: broken, proof: 'CASES' });
    expect(cases).toMatchObject({ state: 'REFUSED', passed: null, holds: false });
    expect(cases['findings'].length).toBeGreaterThan(0);
    const mutation = await proved({ hash: broken, proof: 'MUTATION', rule: THINNED });
    expect(mutation).toMatchObject({ state: 'DONE', holds: false });
    expect(mutation['failed']).toBeGreaterThan(0);
    expect(mutation['findings']).toContainEqual({
      ...{ text: `${THINNED}: rule dropped`, rule: THINNED, file: 'policies/related-person.yaml' },
      line: expect.any(Number),
    });
  });
});

describe('the difference to a release', () => {
  it('counts groups alone before somebody else has approved it, and names what is no longer watched over', async () => {
    const hash = system.composition.policy.hash;
    const { changes } = (await officer(DIFF, { before: hash, after: changed })).data['policyDiff'];
    expect(changes.find(({ field }: Loose) => field === 'birthYear')).toMatchObject({
      ...{ accounts: 1, sum: null, rows: { least: null, most: null, atLeast: true } },
      sentence: expect.stringContaining(' on fewer than 11 patients ('),
    });
    expect((await officer(DIFF, { before: hash, after: broken })).data['policyDiff'].notices).toEqual([
      expect.stringMatching(/^removes or changes 1 of \d+ cases of related-person\.yaml$/),
    ]);
  });

  it('is that of the command, for the tenant of the caller', async () => {
    const { policy, app, clock } = system.composition;
    const after = PolicySource.of(
      'policies',
      new Map(Object.entries((await policy.releases?.signed(changed))?.files ?? {})),
    );
    const engines = { before: policy.current, after: PolicyEngine.load(after, registry, { lazy: true }) };
    const { changes } = await policyDifference(app, 'T-CN', engines, clock.now());
    await approve(changed);
    const answer = await officer(DIFF, { before: policy.hash, after: changed });
    expect(codeOf(answer)).toBe('none');
    const found = answer.data['policyDiff'];
    expect(found).toMatchObject({ before: policy.hash, after: changed, grants: [] });
    expect(found.changes.map(({ sentence }: Loose) => sentence)).toEqual(changes.map(sentenceOf));
    const birthYear = found.changes.find(({ field }: Loose) => field === 'birthYear');
    expect(birthYear).toMatchObject({ role: 'call_center_agent', direction: 'LOSES', to: 'HIDDEN', accounts: 1 });
    expect(birthYear.rows.most).toBeGreaterThan(0);
    expect([birthYear.rows.atLeast, birthYear.sum]).toEqual([false, birthYear.rows.most]);
    const back = await officer(DIFF, { before: changed });
    expect(back.data['policyDiff'].changes.find(({ field }: Loose) => field === 'birthYear')).toMatchObject({
      ...{ direction: 'GAINS', from: 'HIDDEN' },
    });
    expect(codeOf(await officer(DIFF, { before: 'f'.repeat(64) }))).toBe('NOT_FOUND');
  });
});

describe('a question about the policies', () => {
  it('is answered as the commands answer it', async () => {
    const { current } = system.composition.policy;
    const asked = { role: 'front_desk', purpose: null, action: 'read' } as const;
    const all = (await officer(SIMULATE, { role: 'front_desk' })).data['policySimulation'];
    expect(all).toEqual(simulate(current, registry, asked));
    const one = await officer(SIMULATE, { role: 'front_desk', type: 'Patient', purpose: 'PATADMIN' });
    const { length } = one.data['policySimulation'];
    expect(length).toBeGreaterThan(5);
    expect(length).toBeLessThan(all.length);
    const question = { role: 'call_center_agent', purpose: 'CAREMGT' } as const;
    const facts = [
      { name: 'inCareTeam', value: 'true' },
      { name: 'consent.CAREMGT', value: 'DENY' },
    ];
    const lines = (await officer(EXPLAIN, { ...question, facts })).data['policyExplanation'];
    const given = { inCareTeam: true, 'consent.CAREMGT': 'DENY' };
    expect(lines).toEqual(explain(current.bundle, current, { ...question, action: 'read', type: 'Patient' }, given));
    expect(lines).toContain('  the row is not reached: the patient denied consent');
    expect(codeOf(await officer(EXPLAIN, { ...question, facts: [{ name: 'name', value: 'true' }] }))).toBe(
      'BAD_USER_INPUT',
    );
    expect(codeOf(await officer(SIMULATE, { role: 'front_desk', type: 'Nothing' }))).toBe('BAD_USER_INPUT');
  });
});

describe('what an account would see of a patient', () => {
  const REASON = { 'x-reason': 'complaint 4711 about a wrong number' };
  const asks = (patientId: unknown, account = accountId('physician'), purpose = 'TREAT', headers = REASON) =>
    system.ask('privacy_officer', ACCESS, {
      ...{ variables: { patientId, accountId: account, purpose }, purpose: 'HCOMPL', headers },
    });

  it('is not told without a reason, and not to the security team', async () => {
    const { PT1: patientId } = system.demo.patients['T-CN'] ?? {};
    const bare = await asks(patientId, undefined, 'TREAT', {} as typeof REASON);
    expect([codeOf(bare), bare.errors[0]?.message]).toEqual(['FORBIDDEN', 'This needs more than a purpose: reason.']);
    const variables = { patientId, accountId: accountId('physician'), purpose: 'TREAT' };
    expect(codeOf(await system.ask('security_admin', ACCESS, { variables, headers: REASON }))).toBe('FORBIDDEN');
  });

  it('is what it does see, with the rules that say so', async () => {
    const { PT1 } = system.demo.patients['T-CN'] ?? {};
    const seen = await system.ask(
      'physician',
      'query($id: ID!) { patient(id: $id) { name phone nationalId birthDate fieldAccess { field state mask } } }',
      { variables: { id: PT1 }, purpose: 'TREAT' },
    );
    const answer = await asks(PT1);
    expect(codeOf(answer)).toBe('none');
    const explained = answer.data['explainAccess'];
    expect(explained).toMatchObject({
      ...{ role: 'physician', purpose: 'TREAT', policy: system.composition.policy.hash, allowed: true, reached: true },
      keptBack: null,
    });
    const { fieldAccess } = seen.data['patient'];
    expect(fieldAccess.length).toBeGreaterThan(3);
    for (const { field, state, mask } of fieldAccess) expect(explained.fields).toContainEqual({ field, state, mask });
    expect(explained.rules).toContainEqual(
      expect.objectContaining({ id: 'patient-own-for-treatment', verdict: 'permitted by', effect: 'permit' }),
    );
    expect(answer.text).not.toContain(String(seen.data['patient'].name));
  });

  it('is nothing where no rule reaches the patient', async () => {
    const { PT1 } = system.demo.patients['T-CN'] ?? {};
    const marketer = (await asks(PT1, accountId('marketer'), 'TREAT')).data['explainAccess'];
    expect(marketer).toMatchObject({ allowed: false, reached: false, fields: [] });
    const patients = await system.database.owner.query<{ id: string }>(
      "SELECT id FROM patient WHERE tenant_id = 'T-CN' AND care_team_ids = '{}' LIMIT 1",
    );
    const { rows } = patients;
    expect(rows).toHaveLength(1);
    const foreign = (await asks(rows[0]?.id)).data['explainAccess'];
    expect(foreign).toMatchObject({ allowed: true, reached: false, keptBack: null, fields: [] });
  });

  it('is not told of patients and accounts that are missing or of others: the same bytes', async () => {
    const { PT1 } = system.demo.patients['T-CN'] ?? {};
    const answers = [
      await asks(newId()),
      await asks('nobody'),
      await asks(system.demo.patients['T-US']?.['PT1']),
      await asks(PT1, newId()),
      await asks(PT1, accountId('physician', 'T-US')),
    ];
    expect(answers.map(codeOf)).toEqual(answers.map(() => 'NOT_FOUND'));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
  });

  it('is in the ledger under the name of the patient, with names of rules alone', async () => {
    const { PT1 } = system.demo.patients['T-CN'] ?? {};
    const { rows } = await system.database.owner.query<{ subject_reference: string }>(
      'SELECT subject_reference FROM patient WHERE id = $1',
      [PT1],
    );
    const records = (await recordsOf(system, 'T-CN')).filter(({ operation }) => operation === 'explainAccess');
    const [first] = records.filter(({ outcome }) => outcome === 'success');
    expect(first).toMatchObject({
      ...{ kind: 'READ', role: 'privacy_officer', rules: ['patient-access-explained'], obligations: ['reason'] },
      accesses: [{ type: 'AccessExplanation', rows: 1, subjects: [rows[0]?.subject_reference] }],
    });
    expect(records.filter(({ code }) => code === 'NOT_FOUND')).toHaveLength(5);
  });
});

describe('whoever is not of the security or the privacy office', () => {
  it.each(['physician', 'auditor'] as const)('%s is refused all of it, and the refusals are recorded', async (role) => {
    const hash = system.composition.policy.hash;
    const asked: [string, Loose][] = [
      [PROOF, { proof: 'CASES' }],
      [DIFF, { before: hash }],
      [SIMULATE, { role }],
      [EXPLAIN, { role, purpose: 'TREAT' }],
      [ACCESS, { patientId: system.demo.patients['T-CN']?.['PT1'], accountId: accountId('nurse'), purpose: 'TREAT' }],
    ];
    for (const [document, variables] of asked)
      expect([document, codeOf(await system.ask(role, document, { variables }))]).toEqual([document, 'FORBIDDEN']);
    const denied = (await recordsOf(system, 'T-CN')).filter(
      (one) => one['role'] === role && one['code'] === 'FORBIDDEN',
    );
    expect(denied.map(({ operation }) => operation)).toEqual([
      ...['policyProof', 'policyDiff', 'policySimulation', 'policyExplanation', 'explainAccess'],
    ]);
  });

  it('and whoever is, only so often', async () => {
    const { hash } = system.composition.policy;
    const asked: [string, Loose][] = [
      [PROOF, { proof: 'CASES' }],
      [DIFF, { before: hash }],
      [SIMULATE, { role: 'nurse' }],
      [EXPLAIN, { role: 'nurse', purpose: 'TREAT' }],
      ['{ explainDecision(index: 0) { operation } }', {}],
    ];
    const codes = async () => {
      const found: string[] = [];
      for (const [document, variables] of asked) found.push(codeOf(await officer(document, variables)));
      return found;
    };
    expect(await codes()).toEqual(asked.map(() => 'none'));
    await system.database.owner.query('UPDATE rate_limit SET uses = 1000000');
    expect(await codes()).toEqual(asked.map(() => 'RATE_LIMITED'));
    await system.database.owner.query('DELETE FROM rate_limit');
  });

  it('but the privacy office may', async () => {
    const answer = await system.ask('privacy_officer', SIMULATE, { variables: { role: 'nurse' }, purpose: 'HCOMPL' });
    expect(codeOf(answer)).toBe('none');
  });
});
