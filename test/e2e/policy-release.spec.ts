import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { compose, type Composition } from '../../src/composition.js';
import { readConfiguration } from '../../src/config/configuration.js';
import { totpCode } from '../../src/identity/totp.js';
import type { Role } from '../../src/kernel/actor.js';
import { newId } from '../../src/kernel/identifier.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { DecisionReplay, recordedDecision, type RecordedDecision } from '../../src/operation/decision-replay.js';
import { redecided, type Redecided } from '../../src/operation/decision-redecision.js';
import { SATISFY } from '../support/export.js';
import { codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const RELEASE = '{ hash version state note author approver files { name } problems { file line message } notices }';
const PROPOSE = `mutation($input: ProposePolicyInput!) { proposePolicy(input: $input) ${RELEASE} }`;
const APPROVE = `mutation($hash: String!, $challengeId: ID) { approvePolicy(hash: $hash, challengeId: $challengeId) ${RELEASE} }`;
const ACTIVATE = `mutation($hash: String!, $challengeId: ID) { activatePolicy(hash: $hash, challengeId: $challengeId) ${RELEASE} }`;
const ROLLBACK = `mutation($toHash: String!, $challengeId: ID) { rollbackPolicy(toHash: $toHash, challengeId: $challengeId) ${RELEASE} }`;
const SHADOW = `mutation($hash: String, $challengeId: ID) { shadowPolicy(hash: $hash, challengeId: $challengeId) ${RELEASE} }`;
const YEARS = '{ patients(first: 5) { edges { node { id birthYear fieldAccess { field state } } } } }';
/** What a change may take in every process. */
const REACHED_WITHIN = 5_000;

let system: TestSystem;
let second: Composition;
let clock: ManualClock;
let shipped: string;
let changed: string;
const tokens = new Map<string, string>();

beforeAll(async () => {
  clock = new ManualClock(Date.now());
  system = await testSystem({ clock });
  shipped = system.composition.policy.hash;
  const { app, sequencer, auditor } = system.database.urls;
  const configuration = readConfiguration({
    CUSTODIA_DATA_DIRECTORY: path.join(system.database.directory, 'data'),
    CUSTODIA_KEY_DIRECTORY: path.join(system.database.directory, 'keys'),
    CUSTODIA_CHECKPOINT_DIRECTORY: path.join(system.database.directory, 'checkpoints'),
  });
  second = await compose(configuration, { appUrl: app, sequencerUrl: sequencer, auditorUrl: auditor }, { clock });
}, 120_000);
afterAll(async () => {
  await second.close();
  await system.close();
});

const purposeOf: Record<string, string> = { security_admin: 'HSYSADMIN', privacy_officer: 'HCOMPL' };

/** Asks as an officer who has signed in once. */
async function ask(role: Role, text: string, variables: Loose): Promise<Answer> {
  const user = system.demo.users.find((one) => one.role === role && one.tenant === 'T-CN');
  let token = tokens.get(role);
  if (token === undefined) {
    const signedIn = await system.send('mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }', {
      variables: { input: { tenant: 'T-CN', email: user?.email, password: user?.password } },
    });
    token = String(signedIn.data['signIn'].accessToken);
    tokens.set(role, token);
  }
  return system.send(text, { token, variables, purpose: purposeOf[role] });
}
/** The challenge of a step, satisfied by the officer's code. */
async function challenge(role: Role, text: string, variables: Loose): Promise<string> {
  const user = system.demo.users.find((one) => one.role === role && one.tenant === 'T-CN');
  const refused = await ask(role, text, variables);
  expect(codeOf(refused)).toBe('STEP_UP_REQUIRED');
  const id = String(refused.errors[0]?.extensions['challenge']?.id);
  clock.advance(30_000);
  await ask(role, SATISFY, { input: { id, code: totpCode(user?.totpSecret ?? '', clock.milliseconds()) } });
  return id;
}
async function step(role: Role, text: string, variables: Loose): Promise<Answer> {
  const challengeId = await challenge(role, text, variables);
  const withChallenge =
    'input' in variables ? { input: { ...variables['input'], challengeId } } : { ...variables, challengeId };
  return ask(role, text, withChallenge);
}
async function inForce(hash: string): Promise<number> {
  const since = performance.now();
  while (second.policy.hash !== hash || system.composition.policy.hash !== hash) {
    if (performance.now() - since > 2 * REACHED_WITHIN) throw new Error('The change reached not every process.');
    await pause(50);
  }
  return performance.now() - since;
}
const text = (name: string) => readFileSync(path.resolve('policies', name), 'utf8');
const version = () => Number(/^ {2}version: (\d+)/m.exec(text('bundle.yaml'))?.[1]);
const bundle = (to: number) => text('bundle.yaml').replace(/^ {2}version: \d+/m, `  version: ${to}`);

/** Replaces a part of a shipped file that must be in it once. */
function edited(name: string, before: string, after: string): { name: string; text: string } {
  const parts = text(name).split(before);
  if (parts.length !== 2) throw new Error(`${name} does not have it once.`);
  return { name, text: parts.join(after) };
}
/** "The call centre should no longer see birth years", with the case that says so. */
const withoutBirthYears = () => [
  { name: 'bundle.yaml', text: bundle(version() + 1) },
  edited(
    'patient.yaml',
    '      clear: [public]\n      masked: [identity, contact]\n  - id: patient-lookup-by-agent',
    '      clear: [public]\n      masked: [identity, contact]\n    fields: { hidden: [birthDate, birthYear] }\n  - id: patient-lookup-by-agent',
  ),
  edited(
    'cases/patient.yaml',
    'show: { all: { clear: [public], masked: [identity, contact], hidden: [government, notes] } }',
    'show: { all: { clear: [public], masked: [identity, contact], hidden: [government, notes, birthDate, birthYear] } }',
  ),
];
const stateOfBirthYear = async (): Promise<string[]> => {
  const answer = await system.ask('call_center_agent', YEARS, { purpose: 'HOPERAT' });
  expect(codeOf(answer)).toBe('none');
  const nodes = answer.data['patients'].edges.map((edge: { node: Loose }) => edge.node);
  expect(nodes.length).toBeGreaterThan(0);
  return [
    ...new Set<string>(
      nodes.map(({ fieldAccess }: Loose) => fieldAccess.find(({ field }: Loose) => field === 'birthYear').state),
    ),
  ];
};

describe('the shipped policies', () => {
  it('are the first release, in the log of the system with their hash', async () => {
    const { data } = await ask('security_admin', `{ policyReleases { edges { node ${RELEASE} } } }`, {});
    expect(data['policyReleases'].edges.map(({ node }: Loose) => [node.hash, node.state, node.author])).toEqual([
      [shipped, 'ACTIVE', 'system'],
    ]);
    const installed = (await recordsOf(system, 'system')).filter((one) => one['operation'] === 'policy.install');
    expect(installed).toMatchObject([{ kind: 'POLICY', detail: { key: `policy:${version()}`, sha256: shipped } }]);
  });
});

describe('a change of the policies', () => {
  it('is refused with file and line, and not stored, where it does not load or fails its own cases', async () => {
    const broken = edited(
      'patient.yaml',
      'id: patient-for-service-calls\n    effect: permit',
      'id: patient-for-service-calls\n    effect: permits',
    );
    const unloaded = await step('security_admin', PROPOSE, { input: { files: [broken], note: 'a slip' } });
    expect(codeOf(unloaded)).toBe('none');
    expect(unloaded.data['proposePolicy']).toMatchObject({ hash: null, state: 'REFUSED' });
    expect(unloaded.data['proposePolicy'].problems[0]).toMatchObject({ file: 'policies/patient.yaml' });
    const schema = await step('security_admin', PROPOSE, {
      input: { files: [{ name: '_schema/policy.schema.json', text: '{' }], note: 'no schema' },
    });
    expect(schema.data['proposePolicy'].problems).toEqual([
      expect.objectContaining({ message: expect.stringMatching(/^The schema is a part of the software/) }),
    ]);
    const [head, rule] = withoutBirthYears();
    const untested = await step('security_admin', PROPOSE, { input: { files: [head, rule], note: 'no cases' } });
    const { state, problems } = untested.data['proposePolicy'];
    expect(state).toBe('REFUSED');
    expect(problems[0].file).toBe('policies/cases/patient.yaml');
    expect(problems[0].message).toContain('call_center_agent, HOPERAT, read Patient');
    const { rows } = await system.database.owner.query('SELECT hash FROM policy_release');
    expect(rows).toEqual([{ hash: shipped }]);
  });

  it('is proposed, changes nothing, and is not approved by its author or put in force unapproved', async () => {
    const proposed = await step('security_admin', PROPOSE, {
      input: { files: withoutBirthYears(), note: 'The call centre should no longer see birth years.' },
    });
    expect(proposed.data['proposePolicy']).toMatchObject({ state: 'PROPOSED', version: version() + 1, problems: [] });
    changed = proposed.data['proposePolicy'].hash;
    const notices = [expect.stringMatching(/^removes or changes \d of \d+ cases of patient\.yaml$/)];
    expect(proposed.data['proposePolicy'].notices).toEqual(notices);
    const seen = await ask('privacy_officer', `query($hash: String!) { policyRelease(hash: $hash) ${RELEASE} }`, {
      hash: changed,
    });
    expect(seen.data['policyRelease'].notices).toEqual(notices);
    expect(await stateOfBirthYear()).toEqual(['MASKED']);
    expect(codeOf(await ask('security_admin', APPROVE, { hash: changed }))).toBe('FORBIDDEN');
    expect(codeOf(await step('security_admin', ACTIVATE, { hash: changed }))).toBe('FORBIDDEN');
    expect(codeOf(await ask('call_center_agent', PROPOSE, { input: { files: [], note: 'mine' } }))).not.toBe('none');
  });

  it('is not approved by its author, whatever his role became', async () => {
    const { identity } = system.composition;
    const author = system.demo.users.find((one) => one.role === 'security_admin' && one.tenant === 'T-CN');
    await identity.changeRole('T-CN', author?.id ?? '', 'privacy_officer');
    purposeOf['security_admin'] = 'HCOMPL';
    const own = await step('security_admin', APPROVE, { hash: changed });
    purposeOf['security_admin'] = 'HSYSADMIN';
    await identity.changeRole('T-CN', author?.id ?? '', 'security_admin');
    expect([codeOf(own), own.errors[0]?.message]).toEqual(['FORBIDDEN', 'Nobody approves a release of his own.']);
    const { rows } = await system.database.owner.query('SELECT approver FROM policy_approval');
    expect(rows).toEqual([]);
  });

  it('is seen in shadow before it is in force: what would differ is logged by name, once for a document', async () => {
    expect(codeOf(await step('security_admin', SHADOW, { hash: changed }))).toBe('none');
    while (system.composition.policy.shadow?.hash !== changed) await pause(50);
    expect(await stateOfBirthYear()).toEqual(['MASKED']);
    const lines = system
      .logged()
      .split('\n')
      .filter((line) => line.includes('policies differ in shadow'));
    expect(lines.map((line) => JSON.parse(line) as Loose)).toMatchObject([
      {
        type: 'Patient',
        action: 'read',
        role: 'call_center_agent',
        purpose: 'HOPERAT',
        fields: ['birthYear', 'birthDate'].sort(),
      },
    ]);
    expect(lines.join('')).toMatch(/"decisionId":"[0-9a-f-]{36}"/);
    expect(codeOf(await step('security_admin', SHADOW, { hash: null }))).toBe('none');
  });

  it('is approved by another person, with a challenge that opens nothing else and nothing twice', async () => {
    const id = await challenge('privacy_officer', APPROVE, { hash: changed });
    expect(codeOf(await ask('privacy_officer', APPROVE, { hash: shipped, challengeId: id }))).toBe('STEP_UP_REQUIRED');
    expect(codeOf(await ask('privacy_officer', ACTIVATE, { hash: changed, challengeId: id }))).toBe('STEP_UP_REQUIRED');
    const approved = await ask('privacy_officer', APPROVE, { hash: changed, challengeId: id });
    expect(approved.data['approvePolicy']).toMatchObject({ state: 'APPROVED', hash: changed });
    expect(codeOf(await ask('privacy_officer', APPROVE, { hash: changed, challengeId: id }))).toBe('STEP_UP_REQUIRED');
    expect(await stateOfBirthYear()).toEqual(['MASKED']);
  });

  it('is in force in every process within five seconds, and challenges of the policies before are void', async () => {
    const stale = await challenge('privacy_officer', ROLLBACK, { toHash: shipped });
    expect(codeOf(await step('security_admin', ACTIVATE, { hash: changed }))).toBe('none');
    expect(await inForce(changed)).toBeLessThan(REACHED_WITHIN);
    expect(await stateOfBirthYear()).toEqual(['HIDDEN']);
    const answer = await ask('privacy_officer', ROLLBACK, { toHash: shipped, challengeId: stale });
    expect(codeOf(answer)).toBe('STEP_UP_REQUIRED');
  });

  it('is gone back from by a signed step that names what it goes back to', async () => {
    expect(codeOf(await step('security_admin', ACTIVATE, { hash: shipped }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await step('privacy_officer', ROLLBACK, { toHash: shipped }))).toBe('none');
    expect(await inForce(shipped)).toBeLessThan(REACHED_WITHIN);
    expect(await stateOfBirthYear()).toEqual(['MASKED']);
    for (const again of [
      await step('privacy_officer', ROLLBACK, { toHash: changed }),
      await step('security_admin', ACTIVATE, { hash: changed }),
    ]) {
      expect(codeOf(again)).toBe('BAD_USER_INPUT');
    }
    const steps = (await recordsOf(system, 'T-CN')).filter(
      (one) => one['kind'] === 'POLICY' && one['detail'] !== undefined && one['outcome'] === 'success',
    );
    expect(steps.map(({ operation, detail }) => [operation, detail.sha256])).toEqual([
      ['proposePolicy', changed],
      ['shadowPolicy', changed],
      ['shadowPolicy', shipped],
      ['approvePolicy', changed],
      ['activatePolicy', changed],
      ['rollbackPolicy', shipped],
    ]);
    expect(steps.every(({ outcome, rules }) => outcome === 'success' && rules.length === 1)).toBe(true);
  });
});

describe('what was decided', () => {
  it('is explained with the policies of its time, by names alone', async () => {
    const { ledgerReader } = system.composition;
    const size = await ledgerReader.end('T-CN');
    const page = await ledgerReader.entries('T-CN', { operation: 'patients' }, size, 100);
    const hidden = page.entries.find(
      ({ record }) => record['policy'] === changed && record['role'] === 'call_center_agent',
    );
    const answer = await ask(
      'security_admin',
      'query($index: Int!) { explainDecision(index: $index) { operation role purpose policy version differences ' +
        'rules { id effect subject file line consent } accesses { type rows fields { field state masks } } } }',
      { index: hidden?.index },
    );
    expect(codeOf(answer)).toBe('none');
    const explained = answer.data['explainDecision'];
    expect(explained).toMatchObject({
      ...{ operation: 'patients', role: 'call_center_agent', purpose: 'HOPERAT', policy: changed, differences: [] },
      version: version() + 1,
    });
    const rule = explained.rules.find(({ id }: Loose) => id === 'patient-for-service-calls');
    expect(rule).toMatchObject({ effect: 'permit', subject: 'Patient', consent: null });
    expect(rule.file).toMatch(/patient\.yaml$/);
    expect(explained.accesses[0].fields).toContainEqual({ field: 'birthYear', state: 'HIDDEN', masks: [] });
    const approvals = (await recordsOf(system, 'T-CN')).filter(({ operation }) => operation === 'approvePolicy');
    const done = approvals.filter(({ outcome }) => outcome === 'success');
    expect(done.length).toBeGreaterThan(0);
    for (const one of done) expect(one).toMatchObject({ acr: 'pwd+otp', obligations: ['stepUp'] });
    expect(approvals.some(({ code, obligations }) => code === 'STEP_UP_REQUIRED' && obligations !== undefined)).toBe(
      true,
    );
  });

  it('comes out the same again, every entry of the log, with the release of its time', async () => {
    const { ledgerReader, policy } = system.composition;
    if (policy.releases === null) throw new Error('There are no releases.');
    const all: Redecided[] = [];
    for await (const one of redecided(ledgerReader, policy.releases, 'T-CN', { from: null, to: null })) all.push(one);
    const decided = all.flatMap(({ index, verdict }) => (verdict === null ? [] : [{ index, ...verdict }]));
    expect(decided.length).toBeGreaterThan(20);
    expect(decided.filter((one) => one.differences.length > 0)).toEqual([]);
    const left = new Set(decided.flatMap((one) => one.incomparable ?? []));
    expect([...left].sort()).toEqual([...left].filter((why) => /are not kept|is sealed/.test(why)).sort());
  });

  it('is refused again where it was refused, and told where it would not be', async () => {
    const { ledgerReader, policy } = system.composition;
    const denied = await system.ask('call_center_agent', 'mutation { erasePatient(id: "x") { id } }', {
      purpose: 'HOPERAT',
    });
    expect(codeOf(denied)).not.toBe('none');
    await system.ask('call_center_agent', YEARS, { purpose: 'TREAT' });
    await system.ask('billing', '{ policyReleases { edges { node { hash } } } }', { purpose: 'HPAYMT' });
    const page = await ledgerReader.entries('T-CN', { outcome: 'denied' }, await ledgerReader.end('T-CN'), 20);
    const refused = page.entries.flatMap((entry) => recordedDecision(entry) ?? []);
    const of = (code: string) => refused.find((one) => one.code === code);
    const [purpose, rule] = [of('PURPOSE_NOT_PERMITTED'), of('FORBIDDEN')];
    if (purpose === undefined || rule === undefined) throw new Error('Nothing was refused.');
    const verdict = (recorded: RecordedDecision) => new DecisionReplay(policy.current, recorded).verdict();
    const same = { differences: [], incomparable: null };
    expect([verdict(purpose), verdict(rule)]).toEqual([same, same]);
    expect(verdict({ ...purpose, purpose: 'HOPERAT' }).differences).toEqual([
      'HOPERAT is a purpose of call_center_agent',
    ]);
    const permitted: RecordedDecision = { ...rule, role: 'security_admin', purpose: 'HSYSADMIN' };
    expect(verdict(permitted).differences[0]).toMatch(/^policyReleases is permitted by /);
    expect(verdict({ ...permitted, named: false })).toEqual({
      ...{ differences: [], incomparable: 'the facts of its row are not kept' },
    });
    expect(verdict({ ...rule, rules: ['patient-for-billing'] }).differences).toEqual([
      'the rule patient-for-billing is recorded and takes no part',
    ]);
    expect(verdict({ ...rule, operation: 'reveal' }).incomparable).toBe('what was asked for is sealed');
  });

  it('is found by the id that its answer told: every record of its document, the refused one with the rules it lacks', async () => {
    const EXPLAIN = `query($id: ID!) { explainDecisions(decisionId: $id) { operation outcome code decision acr consents
      obligations rules { id } lacking { id effect file line lacks { kind names } } differences } }`;
    const explained = async (id: string, role: Role = 'security_admin') => ask(role, EXPLAIN, { id });
    const both = `{ patients(first: 2) { edges { node { id name } } } policyReleases { edges { node { hash } } } }`;
    const told = await system.ask('call_center_agent', both, { purpose: 'HOPERAT' });
    const { decisionId } = told.extensions['policy'];
    const answer = await explained(decisionId);
    expect(codeOf(answer)).toBe('none');
    const found = answer.data['explainDecisions'] as Loose[];
    expect(found.map(({ operation, outcome }) => [operation, outcome]).sort()).toEqual([
      ['patients', 'success'],
      ['policyReleases', 'denied'],
    ]);
    expect(found.map(({ decision, acr, differences }) => [decision, acr, differences])).toEqual([
      [decisionId, 'pwd', []],
      [decisionId, 'pwd', []],
    ]);
    const refused = found.find(({ outcome }) => outcome === 'denied');
    expect(refused).toMatchObject({ code: 'FORBIDDEN', rules: [] });
    expect(refused?.['lacking'].length).toBeGreaterThan(0);
    const nearest: Loose | undefined = refused?.['lacking'][0];
    expect(nearest).toMatchObject({ effect: 'permit', lacks: [{ kind: 'role' }, { kind: 'purpose' }] });
    expect(nearest?.['file']).toMatch(/organization\.yaml$/);
    const foreign = await system.ask('call_center_agent', YEARS, { purpose: 'HOPERAT', tenant: 'T-US' });
    const ids = [foreign.extensions['policy'].decisionId, newId(), 'nothing', randomUUID()];
    const answers = await Promise.all(ids.map((id) => explained(String(id))));
    expect(new Set(answers.map((one) => JSON.stringify(one.data) + codeOf(one) + one.errors[0]?.message)).size).toBe(1);
    expect(answers.map(codeOf)).toEqual(ids.map(() => 'NOT_FOUND'));
  });

  it('is not taken for the same where rules, states or policies are others', async () => {
    const { ledgerReader, policy } = system.composition;
    const size = await ledgerReader.end('T-CN');
    const page = await ledgerReader.entries('T-CN', { operation: 'patients' }, size, 100);
    const recorded = page.entries.map(recordedDecision).find((one) => one?.policy === changed);
    if (recorded == null || policy.releases === null) throw new Error('Nothing was decided.');
    const engine = await policy.releases.loaded(changed);
    const differences = (change: Partial<RecordedDecision>) =>
      new DecisionReplay(engine, { ...recorded, ...change }).differences();
    const [access] = recorded.accesses;
    const withState = (field: string, state: 'CLEAR' | 'MASKED') => ({
      accesses: [{ ...access!, fields: { ...access?.fields, [field]: state } }],
    });
    expect(differences({})).toEqual([]);
    expect(differences({ rules: [] })).toHaveLength(recorded.rules.length);
    expect(differences({ rules: [...recorded.rules, 'patient-for-billing'] })).toEqual([
      'the rule patient-for-billing is recorded and takes no part',
    ]);
    expect(differences(withState('birthYear', 'MASKED'))).toEqual(['no row of Patient could be shown as recorded']);
    expect(differences(withState('phone', 'CLEAR'))).toEqual(['no row of Patient could be shown as recorded']);
    expect(new DecisionReplay(policy.current, recorded).differences()).not.toEqual([]);
  });
});
