import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ACTOR, permit, smallRegistry } from '../../test/policy/small-policy.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { ROLES } from '../kernel/actor.js';
import { PolicyEngine } from './engine.js';
import { Policies } from './policies.js';
import { PolicyKey } from './policy-key.js';
import { contentOf, digestOf, SYSTEM, textOf, verifyHistory, type Activation, type Release } from './release.js';
import { ReleaseLoader, type LoaderOptions } from './release-loader.js';
import { activationRow, approvalRow, releaseRow, ReleaseStore, type Row } from './release.store.js';
import { PolicySource } from './source.js';

const AT = new Date('2026-11-22T08:00:00Z');
const AUTHOR = { id: 'author', tenant: 'T-CN' };
const registry = smallRegistry();
const schema = readFileSync('policies/_schema/policy.schema.json', 'utf8');

let database: TestDatabase;
let key: PolicyKey;
/** What every process of the installation stands on. */
let options: LoaderOptions;
let running: Policies[];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  await tamper('TRUNCATE policy_release, policy_approval, policy_activation, policy_shadow');
  const directory = mkdtempSync(path.join(database.directory, 'installation-'));
  key = PolicyKey.open(path.join(directory, 'keys'), true);
  options = {
    store: new ReleaseStore(database.app),
    key,
    registry,
    shipped: source(3),
    head: path.join(directory, 'policy-head.json'),
    adopts: false,
    stopgap: false,
  };
  running = [];
});
afterEach(async () => {
  for (const one of running) await one.stop();
});

/** Policies of a version; what they show of a person says which one. */
function source(version: number, shown: 'clear' | 'masked' = 'clear'): PolicySource {
  const metadata = `metadata: { id: a-test, version: ${version}, owners: [a], reviewBy: 2027-01-01 }`;
  const file = (kind: string, rest: string) => `apiVersion: crm.policy/v1\nkind: ${kind}\n${rest}\n`;
  const roles = ROLES.map((role) => `  ${role}: [${role === 'physician' ? 'TREAT' : 'PATADMIN'}]`).join('\n');
  const purposes = 'purposes: { TREAT: { display: a, hl7: [TREAT] }, PATADMIN: { display: b, hl7: [PATADMIN] } }';
  const rules = `[${permit('a-rule', `show: { ${shown}: [contact] }`)}]`;
  const texts = {
    '_schema/policy.schema.json': schema,
    'bundle.yaml': file('Bundle', `${metadata}\noperations: { people: { action: read, type: Person } }`),
    'vocabulary.yaml': file('Vocabulary', `${purposes}\nroles:\n${roles}`),
    'classification.yaml': file('Classification', 'fields: {}'),
    'guardrails.yaml': file('Guardrails', `${metadata}\nguardrails: []`),
    'person.yaml': file('Policy', `${metadata}\nsubject: Person\nrules: ${rules}`),
    'letter.yaml': file('Policy', `${metadata}\nsubject: Letter\nrules: []`),
  };
  return PolicySource.of('policies', new Map(Object.entries(texts)));
}
const phoneIn = (engine: Pick<PolicyEngine, 'decide'>) =>
  engine.decide(ACTOR, 'TREAT', 'read', 'Person').visibility(0).fields.get('phone')?.state;

async function insert(table: string, row: Row): Promise<void> {
  const columns = Object.keys(row);
  const places = columns.map((_, index) => `$${index + 1}`).join(', ');
  await database.app.query(null, {
    text: `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places})`,
    values: Object.values(row),
  });
}
const tamper = (statement: string) => database.owner.query(statement);

/** Stores a release as the running system would. */
async function stored(from: PolicySource, { by = key, author = AUTHOR, approver = 'approver' as string | null } = {}) {
  const engine = PolicyEngine.load(from, registry);
  const files = Object.fromEntries(from.texts);
  const { hash } = engine;
  const version = Number(engine.version);
  const unsigned = { hash, version, files, content: contentOf(files), author, proposedAt: AT, note: 'a change' };
  const release: Release = { ...unsigned, signature: by.sign(textOf.release(unsigned)) };
  await insert('policy_release', releaseRow(release));
  if (approver !== null) {
    const approval = { hash, approver: { id: approver, tenant: 'T-CN' }, approvedAt: AT, challenge: 'c' };
    await insert(
      'policy_approval',
      approvalRow({ ...approval, signature: by.sign(textOf.approval(approval, release)) }),
    );
  }
  return release;
}
async function activated({ hash, version, author }: Release, rest: Partial<Activation> = {}, by = key): Promise<void> {
  const all = await options.store.history();
  const last = verifyHistory(all, key).activations.at(-1) ?? null;
  const unsigned = {
    ...{ sequence: all.length + 1, cause: 'activate' as const, hash, version, author: author.id, approver: 'approver' },
    ...{
      replaces: last?.hash ?? null,
      previous: last === null ? null : digestOf(last),
      actor: AUTHOR,
      activatedAt: AT,
    },
    ...rest,
  };
  await insert('policy_activation', activationRow({ ...unsigned, signature: by.sign(textOf.activation(unsigned)) }));
}
/** Version 3, which came with the software. */
async function installed(): Promise<Release> {
  const release = await stored(options.shipped, { author: SYSTEM, approver: null });
  await activated(release, { cause: 'install', approver: null });
  return release;
}
async function started(rest: Partial<LoaderOptions> = {}): Promise<Policies> {
  const policies = await Policies.open(new ReleaseLoader({ ...options, ...rest }));
  running.push(policies);
  return policies;
}

describe('what is in force', () => {
  it('is the shipped directory until a release is stored, then what the releases say', async () => {
    const first = await started();
    expect([first.version, first.unsettled]).toEqual(['3', 'install']);
    await installed();
    await first.refresh();
    expect([first.version, first.unsettled, first.health.problem]).toEqual(['3', null, null]);
    await activated(await stored(source(4, 'masked')));
    await first.refresh();
    expect([first.version, phoneIn(first)]).toEqual(['4', 'MASKED']);
    expect((await started()).hash).toBe(first.hash);
  });

  it('reaches a process that polls within five seconds, with a record first; without it, nothing changes', async () => {
    const release = await installed();
    const policies = await started();
    const recorded: string[] = [];
    let refusing = true;
    policies.start(async (hash) => {
      if (refusing) throw new Error('no ledger');
      recorded.push(hash);
    });
    const next = await stored(source(4, 'masked'));
    await activated(next);
    await policies.refresh();
    expect([policies.hash, policies.health.problem]).toEqual([release.hash, 'looking for changes failed']);
    refusing = false;
    const since = performance.now();
    while (policies.hash !== next.hash && performance.now() - since < 5_000) await new Promise(setImmediate);
    expect([policies.hash, recorded, policies.health.problem]).toEqual([next.hash, [next.hash], null]);
  });

  it('stays what a document began with, to its end', async () => {
    await installed();
    const policies = await started();
    const document = policies.governing(() => 'id');
    await activated(await stored(source(4, 'masked')));
    await policies.refresh();
    expect([phoneIn(document), phoneIn(policies.governing(() => 'id'))]).toEqual(['CLEAR', 'MASKED']);
  });

  it('may go back by a rollback alone', async () => {
    const three = await installed();
    await activated(await stored(source(4, 'masked')));
    const policies = await started();
    await activated(three);
    await policies.refresh();
    expect(policies.version).toBe('4');
    expect(policies.health.problem).toContain('not higher');
    await activated(three, { cause: 'rollback', approver: null });
    await policies.refresh();
    expect(policies.version).toBe('3');
  });

  it('is asked beside the shadow, which is told of and decides nothing', async () => {
    await installed();
    const next = await stored(source(4, 'masked'), { approver: null });
    const unsigned = { sequence: 1, hash: next.hash, actor: AUTHOR, startedAt: AT };
    const policies = await started();
    const told: unknown[] = [];
    policies.onDifference((difference) => told.push(difference));
    const row = { sequence: 1, hash: next.hash, actor: 'author', actor_tenant: 'T-CN', started_at: AT };
    await insert('policy_shadow', { ...row, signature: key.sign(textOf.shadowing(unsigned)) });
    await policies.refresh();
    const document = policies.governing(() => 'the id');
    expect([phoneIn(document), phoneIn(document), document.hash]).toEqual(['CLEAR', 'CLEAR', policies.hash]);
    document.decide(ACTOR, 'TREAT', 'create', 'Person');
    expect(told).toEqual([
      {
        ...{ decisionId: 'the id', type: 'Person', action: 'read', purpose: 'TREAT', role: 'physician' },
        ...{ fields: ['phone'], rules: [] },
      },
    ]);
  });
});

/** What the superuser of the database does, to put something in force that two people did not sign, or to go back unseen. */
const ATTACKS: Record<string, () => Promise<unknown>> = {
  'an activation without a signature': async () =>
    tamper(`INSERT INTO policy_activation SELECT 3, 'activate', r.hash, r.version, a.hash, a.previous, r.author, 'approver', 'a',
            'T-CN', now(), decode(repeat('00', 64), 'hex') FROM policy_release r, policy_activation a
            WHERE r.version = 5 AND a.sequence = 2`),
  'an activation that another key signed': async () => {
    const other = PolicyKey.open(path.join(database.directory, 'other'), true);
    const [five] = await options.store.releases(null, 1);
    if (five !== undefined) await activated(five, {}, other);
  },
  'a signed activation again, under another number': async () =>
    tamper(`INSERT INTO policy_activation SELECT 3, cause, hash, version, replaces, previous, author, approver, actor, actor_tenant,
            activated_at, signature FROM policy_activation WHERE sequence = 1`),
  'the last activation taken out': async () => tamper('DELETE FROM policy_activation WHERE sequence = 2'),
  'the whole history taken out': async () => tamper('DELETE FROM policy_activation'),
  'the last activation spoilt': async () =>
    tamper(`UPDATE policy_activation SET signature = decode(repeat('00', 64), 'hex') WHERE sequence = 2`),
  'the last activation pointed at another release': async () =>
    tamper(
      `UPDATE policy_activation SET hash = (SELECT hash FROM policy_release WHERE version = 5) WHERE sequence = 2`,
    ),
  'a rule changed in the release in force': async () =>
    tamper(`UPDATE policy_release SET files = jsonb_set(files, '{person.yaml}',
            to_jsonb(replace(files->>'person.yaml', 'masked', 'clear'))) WHERE version = 4`),
  'a rule changed, with the digest of the content': async () => {
    const files = Object.fromEntries(source(4, 'clear').texts);
    await database.owner.query('UPDATE policy_release SET files = $1, content = $2 WHERE version = 4', [
      JSON.stringify(files),
      contentOf(files),
    ]);
  },
  'the signature of the release stripped': async () =>
    tamper(`UPDATE policy_release SET signature = decode(repeat('00', 64), 'hex') WHERE version = 4`),
  'the files of the release truncated': async () =>
    tamper(`UPDATE policy_release SET files = files - 'guardrails.yaml' WHERE version = 4`),
  'the approval taken out': async () => tamper('DELETE FROM policy_approval'),
  'the approval given to the author': async () => tamper(`UPDATE policy_approval SET approver = 'author'`),
};

describe('the superuser of the database', () => {
  it.each(Object.keys(ATTACKS))('puts nothing in force: %s', async (attack) => {
    await installed();
    await activated(await stored(source(4, 'masked')));
    await stored(source(5, 'clear'), { approver: null });
    const before = await started();
    await ATTACKS[attack]!();
    await before.refresh();
    expect([before.version, phoneIn(before)]).toEqual(['4', 'MASKED']);
    // A process that starts afterwards has the same in force, or nothing at all.
    const after = await started().catch((error: unknown) => error);
    if (after instanceof Policies) {
      expect([after.version, phoneIn(after), after.health.problem !== null]).toEqual(['4', 'MASKED', true]);
    } else expect(after).toMatchObject({ name: 'Refusal' });
  });
});

describe('a process that starts', () => {
  it('refuses where a release was made by nobody who has the key, and where the key is another one', async () => {
    const other = PolicyKey.open(path.join(database.directory, 'other'), true);
    const forged = await stored(options.shipped, { by: other, author: SYSTEM, approver: null });
    await activated(forged, { cause: 'install', approver: null }, other);
    await expect(started()).rejects.toThrow('No release of the policies holds.');
  });

  it('refuses where the history ends before what it knew, until somebody who has its files says so', async () => {
    await installed();
    await activated(await stored(source(4, 'masked')));
    await started();
    await tamper('DELETE FROM policy_activation WHERE sequence = 2');
    await expect(started()).rejects.toThrow('policy-head.json');
    rmSync(options.head);
    expect((await started()).version).toBe('3');
  });

  it('does not look at the directory again in production, says that it differs, and adopts higher versions for trying out', async () => {
    const three = await installed();
    const production = await started({ shipped: source(9, 'masked') });
    expect([production.hash, production.differs]).toEqual([three.hash, true]);
    expect((await started()).differs).toBe(false);
    const trial = await started({ shipped: source(9, 'masked'), adopts: true });
    expect([trial.version, trial.unsettled]).toEqual(['9', 'install']);
    const same = await started({ shipped: source(3, 'masked'), adopts: true });
    expect([same.hash, same.differs]).toEqual([three.hash, true]);
  });

  it('names the next step where the release does not fit the software, and lets commands work by the shipped policies', async () => {
    await installed();
    await activated(await stored(source(4, 'masked')));
    const upgraded = smallRegistry();
    upgraded.addAttribute('Note', { ...upgraded.attribute('Person', 'id') });
    upgraded.addNoun({ ...upgraded.noun('Person'), type: 'Note', table: 'note', facts: upgraded.noun('Letter').facts });
    const shipped = source(5);
    const withNote = shipped.with('note.yaml', (shipped.texts.get('letter.yaml') ?? '').replace('Letter', 'Note'));
    await expect(started({ registry: upgraded, shipped: withNote })).rejects.toThrow('npm run policy -- propose');
    const stopgap = await started({ registry: upgraded, shipped: withNote, stopgap: true });
    expect([stopgap.version, stopgap.unsettled]).toEqual(['5', 'stopgap']);
    expect(stopgap.health.problem).toContain('does not fit this software');
  });
});
