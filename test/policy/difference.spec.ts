import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newId, newReference } from '../../src/kernel/identifier.js';
import { policyDifference, sentenceOf } from '../../src/operation/policy-difference.js';
import { ensureTenants } from '../../src/persistence/tenant.store.js';
import { changedQuestions } from '../../src/policy/difference.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { PolicySource } from '../../src/policy/source.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { registry } from './nouns.js';

const NOW = new Date('2026-11-21T04:00:00Z');
const TENANT = 'T-CN';
const shipped = PolicySource.directory('policies');
const before = PolicyEngine.load(shipped, registry, { lazy: true });

/** The shipped policies with texts of a file replaced. */
function edited(file: string, ...edits: readonly (readonly [string, string])[]): PolicyEngine {
  let text = shipped.texts.get(file) ?? '';
  for (const [from, to] of edits) {
    if (!text.includes(from)) throw new Error(`${file} does not contain: ${from}`);
    text = text.replace(from, () => to);
  }
  return PolicyEngine.load(shipped.with(file, text), registry, { lazy: true });
}

let database: TestDatabase;

async function account(tenant: string, role: string, disabled = false): Promise<string> {
  const id = newId();
  await database.owner.query(
    `INSERT INTO account (tenant_id, id, email_index, reference, role, password_hash, disabled_at, created_at)
     VALUES ($1, $2::uuid, decode(replace($2::uuid::text, '-', ''), 'hex'), $3, $4, '$argon2id$x', $5, $6)`,
    [tenant, id, newReference(), role, disabled ? NOW : null, NOW],
  );
  return id;
}

async function patients(tenant: string, count: number, teams: readonly string[]): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    await database.owner.query(
      `INSERT INTO patient (id, version, status, created_at, tenant_id, subject_reference, care_team_ids)
       VALUES ($1, 1, 'active', $2, $3, $4, $5)`,
      [newId(), NOW, tenant, newReference(), teams],
    );
  }
}

beforeAll(async () => {
  database = await testDatabase();
  const tenants = [TENANT, 'T-US'].map((id) => ({ id, name: id, country: id.slice(2), timeZone: 'Asia/Shanghai' }));
  await ensureTenants(database.urls.owner, tenants, NOW);
  for (let number = 0; number < 3; number += 1) await account(TENANT, 'call_center_agent');
  await account(TENANT, 'call_center_agent', true);
  await account('T-US', 'call_center_agent');
  const teams = [newId(), newId()] as const;
  for (const id of teams) {
    await database.owner.query(
      `INSERT INTO care_team (id, created_at, tenant_id, name) VALUES ($1, $2, $3, $1::uuid::text)`,
      [id, NOW, TENANT],
    );
  }
  for (const team of [teams[0], teams[0], teams[1]]) {
    const nurse = await account(TENANT, 'nurse');
    await database.owner.query(
      'INSERT INTO care_team_member (tenant_id, care_team_id, account_id) VALUES ($1, $2, $3)',
      [TENANT, team, nurse],
    );
  }
  await patients(TENANT, 4, [teams[0]]);
  await patients(TENANT, 2, [teams[1]]);
  await patients(TENANT, 5, []);
  await patients('T-US', 7, []);
}, 60_000);

afterAll(async () => {
  await database?.close();
});

const sentences = async (after: PolicyEngine, from = before) =>
  (await policyDifference(database.app, TENANT, { before: from, after }, NOW)).changes.map(sentenceOf);

describe('the difference between two policies', () => {
  it('is nothing where nothing changes, and asks the database nothing', async () => {
    expect(changedQuestions(before, before, registry)).toEqual([]);
    expect(
      await sentences(edited('patient.yaml', ['metadata:\n  id: patient\n', 'metadata:\n  id: patients\n'])),
    ).toEqual([]);
  });

  it('counts who gains what on how many rows of the tenant, and of no other', async () => {
    const clear = edited('patient.yaml', [
      '      clear: [public]\n      masked: [identity, contact]\n',
      '      clear: [public]\n      masked: [identity, contact]\n    fields: { clear: [phone] }\n',
    ]);
    expect(await sentences(clear)).toEqual([
      '3 call_center_agent accounts gain clear phone on 11 patients (HOPERAT, read; MASKED M_PHONE to CLEAR)',
    ]);
    expect(await sentences(before, clear)).toEqual([
      '3 call_center_agent accounts lose phone on 11 patients (HOPERAT, read; CLEAR to MASKED M_PHONE)',
    ]);
  });

  it('counts for each account where the rows depend on who asks', async () => {
    const after = edited('patient.yaml', ['clear: [public, identity, notes]', 'clear: [public, identity]']);
    const { changes } = await policyDifference(database.app, TENANT, { before, after }, NOW);
    const notes = changes.find((one) => one.role === 'nurse' && one.purpose === 'TREAT');
    // Two nurses have four patients each, one has two.
    expect(notes).toMatchObject({ accounts: 3, rows: { least: 2, most: 4 }, sum: 10, from: 'CLEAR', to: 'HIDDEN' });
    expect(sentenceOf(notes as never)).toBe(
      '3 nurse accounts lose notes on 2 to 4 patients, 10 summed over the accounts (TREAT, read; CLEAR to HIDDEN)',
    );
  });

  it('counts groups alone for whoever made up the rules: a condition that one patient meets looks like one that none does', async () => {
    const probe = (where: string) =>
      edited('patient.yaml', [
        '  - id: patient-registration\n',
        `  - id: probe\n    effect: permit\n    roles: [auditor]\n    purposes: [HCOMPL]\n    actions: [read]\n    where: ${where}\n    show: { clear: [public] }\n  - id: patient-registration\n`,
      ]);
    const coarse = async (where: string) => {
      const engines = { before, after: probe(where) };
      return (await policyDifference(database.app, TENANT, engines, NOW, { coarse: true })).changes;
    };
    await database.owner.query(
      "UPDATE patient SET status = 'inactive' WHERE id = (SELECT id FROM patient WHERE tenant_id = $1 LIMIT 1)",
      [TENANT],
    );
    const one = await coarse('{ status: inactive }');
    expect(one.length).toBeGreaterThan(0);
    for (const { rows, sum } of one) expect([rows, sum]).toEqual([{ least: 0, most: 0 }, 0]);
    expect(one.map(sentenceOf)[0]).toContain(' on fewer than 11 patients (');
    await database.owner.query("UPDATE patient SET status = 'active' WHERE status = 'inactive'");
    expect(await coarse('{ status: inactive }')).toEqual(one);
    const all = await coarse('{ status: active }');
    expect(all.map(({ rows }) => rows)).toEqual(all.map(() => ({ least: 11, most: 11 })));
    expect(all.map(sentenceOf)[0]).toContain(' on at least 11 patients (');
  });

  it('tells of writes, lookups and obligations without a row', async () => {
    const after = edited(
      'patient.yaml',
      ['    write: { groups: [identity, contact, government] }', '    write: { groups: [identity, contact] }'],
      ['    obligations: [{ type: stepUp }]\n', ''],
    );
    const { grants, changes } = await policyDifference(database.app, TENANT, { before, after }, NOW);
    expect(changes).toEqual([]);
    expect(grants.flatMap((one) => one.grants.map((words) => `${one.role} ${one.action}: ${words}`))).toEqual([
      'front_desk create: may no longer write nationalId',
      'front_desk create: may no longer write insuranceNumber',
      'front_desk update: may no longer write nationalId',
      'front_desk update: may no longer write insuranceNumber',
      'privacy_officer export: need no longer give stepUp',
    ]);
  });
});
