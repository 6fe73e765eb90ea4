import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  buildClientSchema,
  extendSchema,
  getIntrospectionQuery,
  parse,
  type GraphQLSchema,
  type IntrospectionQuery,
} from 'graphql';
import { refuseUndeclared } from '../../src/api/boot-check.js';
import { compose } from '../../src/composition.js';
import { readConfiguration } from '../../src/config/configuration.js';
import { listPatients } from '../../src/domain/patient/list-patients.js';
import type { Actor, Role } from '../../src/kernel/actor.js';
import { newId } from '../../src/kernel/identifier.js';
import { serve } from '../../src/main.js';
import { Document } from '../../src/operation/document.js';
import { selectFields } from '../../src/operation/selection.js';
import { POLICY_ACTIONS } from '../../src/policy/decision.js';
import { Log } from '../../src/telemetry/log.js';
import { bytesOf, codesOf, missingId, nodesOf, patientId } from '../support/probe.js';
import { testSystem, type Loose, type TestSystem } from '../support/system.js';

const policies = mkdtempSync(path.join(tmpdir(), 'custodia-policies-'));
let system: TestSystem;

/** A copy of the policies in which some texts of some files are replaced. Every text must be there. */
function changedPolicies(
  name: string,
  changes: Record<string, readonly (readonly [string | RegExp, string])[]>,
): string {
  const directory = path.join(policies, name);
  cpSync(path.resolve('policies'), directory, { recursive: true });
  for (const [file, replacements] of Object.entries(changes)) {
    const target = path.join(directory, file);
    let text = readFileSync(target, 'utf8');
    for (const [from, to] of replacements) {
      const changed = text.replace(from, to);
      if (changed === text) throw new Error(`${file} has no ${String(from)}.`);
      text = changed;
    }
    writeFileSync(target, text);
  }
  return directory;
}

/** The text of one rule, from its id to the next rule or to the end. */
const rule = (id: string) => new RegExp(`  - id: ${id}\\n(?:    .*\\n|\\n(?=    ))*`);

beforeAll(async () => {
  const directory = changedPolicies('running', {
    'patient.yaml': [
      [rule('patient-for-service-calls'), ''],
      [rule('patient-lookup-by-front-desk'), ''],
      [rule('patient-search-by-front-desk'), ''],
      [
        /(- id: patient-registration\n(?:.*\n)*?      clear: )\[public, identity\](\n      masked: )\[contact, government\]/,
        '$1[public]$2[identity, contact, government]',
      ],
      ['fields: { clear: [phone] }', 'fields: { clear: [phone, gender, birthDate, birthYear] }'],
      [
        'rules:\n',
        'rules:\n  - id: patient-made-by-marketing\n    effect: permit\n    roles: [marketer]\n    purposes: [HMARKT]\n    actions: [create]\n    write: { fields: [name, phone] }\n',
      ],
    ],
    'visit.yaml': [[rule('visit-for-billing'), '']],
    'organization.yaml': [['        complaint_handler,\n', '']],
    'classification.yaml': [
      ['fields: {}', 'fields:\n  Patient.region: { sealed: true }\n  Patient.status: { sealed: true }'],
    ],
    'vocabulary.yaml': [['  complaint_handler: [HOPERAT]', '  complaint_handler: [HTEST]']],
  });
  system = await testSystem({ policies: directory });
});
afterAll(async () => {
  await system.close();
  rmSync(policies, { recursive: true, force: true });
});

/** Starts a second API over the database of the running system. What started is stopped again. */
async function boot(directory: string): Promise<void> {
  const { urls, directory: data } = system.database;
  const configuration = readConfiguration({
    CUSTODIA_PORT: '0',
    CUSTODIA_DATA_DIRECTORY: path.join(data, 'data'),
    CUSTODIA_KEY_DIRECTORY: path.join(data, 'keys'),
    CUSTODIA_CHECKPOINT_DIRECTORY: path.join(data, 'checkpoints'),
  });
  const composition = await compose(
    configuration,
    { appUrl: urls.app, sequencerUrl: urls.sequencer, auditorUrl: urls.auditor },
    { policies: directory },
  );
  try {
    const api = await serve(configuration, composition, new Log('error', { write: () => undefined }));
    await api.close();
  } finally {
    await composition.close();
  }
}

describe('the start', () => {
  it('succeeds with the policies as they are', async () => {
    await boot(path.resolve('policies'));
  });

  it.each(['patients', 'patient', 'patientLookup', 'createVisit', 'assignCareTeam', 'careTeams'])(
    'is refused when the policies do not list the operation %s',
    async (operation) => {
      const directory = changedPolicies(`without-${operation}`, {
        'bundle.yaml': [[new RegExp(`  ${operation}: .*\\n`), '']],
      });
      await expect(boot(directory)).rejects.toThrow(`the policies do not list ${operation} as`);
    },
  );

  it('is refused when the policies list an operation as another question', async () => {
    for (const [from, to] of [
      ['patients: { action: read, type: Patient }', 'patients: { action: read, type: CareTeam }'],
      ['deactivatePatient: { action: deactivate,', 'deactivatePatient: { action: update,'],
    ] as const) {
      const directory = changedPolicies(`other-${to.length}`, { 'bundle.yaml': [[from, to]] });
      await expect(boot(directory)).rejects.toThrow('the policies do not list');
    }
  });

  it.each(['patient', 'visit', 'diagnosis', 'care-team', 'care-team-assignment', 'practitioner', 'organization'])(
    'is refused without the policy file of a noun: %s',
    async (name) => {
      const directory = changedPolicies(`no-${name}`, {});
      rmSync(path.join(directory, `${name}.yaml`));
      await expect(boot(directory)).rejects.toThrow(/has no policy file/);
    },
  );

  it.each<[string, string, string | RegExp, string]>([
    ['a role that is not declared', 'patient.yaml', 'roles: [billing]', 'roles: [ghost]'],
    ['a purpose that is not declared', 'patient.yaml', 'purposes: [HPAYMT]', 'purposes: [SNOOPING]'],
    ['a purpose that the role may not state', 'patient.yaml', 'purposes: [HPAYMT]', 'purposes: [HMARKT]'],
    ['a field that is not declared', 'patient.yaml', 'fields: { clear: [insuranceNumber]', 'fields: { clear: [salary]'],
    [
      'a group that is not declared',
      'patient.yaml',
      'show: { clear: [public, identity] }',
      'show: { clear: [public, secrets] }',
    ],
    ['a fact that is not declared', 'patient.yaml', 'where: { inCareTeam: true }', 'where: { isFriend: true }'],
    [
      'an operator that is not declared',
      'patient.yaml',
      'where: { inCareTeam: true }',
      'where: { status: { $regex: a } }',
    ],
    ['an action that is not declared', 'patient.yaml', 'actions: [lookup]', 'actions: [browse]'],
    ['a key that is not declared', 'patient.yaml', 'effect: permit', 'effect: permit\n    also: everything'],
    ['an effect that is not declared', 'patient.yaml', 'effect: permit', 'effect: allow'],
    ['a rule with no roles', 'patient.yaml', 'roles: [billing]', 'roles: []'],
    ['a wildcard', 'patient.yaml', 'roles: [billing]', 'roles: ["*"]'],
    [
      'a guardrail for a type that is not declared',
      'guardrails.yaml',
      /subjects: \[Visit, Diagnosis.*\]/,
      'subjects: [Visit, Diagnoses]',
    ],
    ['a class that is loosened', 'classification.yaml', 'fields: {}', 'fields:\n  Patient.phone: { mask: M_SAME }'],
    ['a level that is lowered', 'classification.yaml', 'fields: {}', 'fields:\n  Patient.phone: { level: L1 }'],
    ['a role without purposes', 'vocabulary.yaml', '  marketer: [HMARKT]\n', ''],
    [
      'a role of its own invention',
      'vocabulary.yaml',
      '  marketer: [HMARKT]',
      '  marketer: [HMARKT]\n  ghost: [TREAT]',
    ],
    ['YAML that says a key twice', 'patient.yaml', 'subject: Patient', 'subject: Patient\nsubject: Visit'],
    ['no YAML', 'patient.yaml', 'subject: Patient', 'subject: [Patient'],
  ])('is refused for %s', async (what, file, from, to) => {
    const directory = changedPolicies(`bad-${what.replaceAll(' ', '-')}`, { [file]: [[from, to]] });
    await expect(boot(directory)).rejects.toMatchObject({ name: 'PolicyError' });
  });

  it.each(['bundle', 'vocabulary', 'guardrails', 'classification'])('is refused without the file %s', async (name) => {
    const directory = changedPolicies(`lacks-${name}`, {});
    rmSync(path.join(directory, `${name}.yaml`));
    await expect(boot(directory)).rejects.toMatchObject({ name: 'PolicyError' });
  });
});

describe('a schema that grew', () => {
  let schema: GraphQLSchema;
  beforeAll(async () => {
    const answer = await system.ask('physician', getIntrospectionQuery());
    schema = buildClientSchema(answer.data as unknown as IntrospectionQuery);
  });
  const grown = (text: string) => () => refuseUndeclared(extendSchema(schema, parse(text)), system.composition.policy);

  it('is accepted as it is', () => {
    expect(() => refuseUndeclared(schema, system.composition.policy)).not.toThrow();
  });

  it.each([
    ['a field of a noun', 'extend type Patient { shoeSize: String }', 'Patient.shoeSize has no class'],
    ['a field of a child noun', 'extend type Diagnosis { freeText: String }', 'Diagnosis.freeText has no class'],
    ['a relation', 'extend type Patient { relatives: [Patient] }', 'Patient.relatives has no class'],
    ['a query', 'extend type Query { patientDump: String }', 'patientDump is no declared operation'],
    ['a mutation', 'extend type Mutation { purge: Boolean }', 'purge is no declared operation'],
    [
      'a query with the name of a command',
      'extend type Query { importBundle2: String }',
      'importBundle2 is no declared operation',
    ],
    [
      'a field beside the nodes of a list',
      'extend type PatientConnection { phones: [String] }',
      'PatientConnection.phones',
    ],
    ['a field of an edge', 'extend type PatientEdge { phone: String }', 'PatientEdge.phone'],
    ['a field of the session', 'extend type Me { email: String }', 'Me.email'],
    ['a type of its own', 'extend type Query { x: Dump } type Dump { phone: String }', 'Dump'],
  ])('by %s is refused', (_what, text, expected) => {
    expect(grown(text)).toThrow(expected);
  });
});

describe('a rule that was taken away', () => {
  it('denies the list, and makes every patient look missing', async () => {
    const options = { purpose: 'HOPERAT' };
    const list = await system.ask('call_center_agent', '{ patients { totalCount } }', options);
    expect(codesOf(list)).toEqual(['FORBIDDEN']);
    const one = (id: string) =>
      system.ask('call_center_agent', `query($id: ID!) { patient(id: $id) { name } }`, {
        ...options,
        variables: { id },
      });
    expect(bytesOf(await one(patientId(system, 'PT1')))).toBe(bytesOf(await one(missingId())));
    expect(codesOf(await one(patientId(system, 'PT1')))).toEqual(['NOT_FOUND']);
    const others = await system.ask('call_center_agent', '{ patients { totalCount } }', { purpose: 'CAREMGT' });
    expect(others.data['patients'].totalCount).toBe(1);
  });

  it('denies the lookup, even to a role that keeps the reading', async () => {
    const lookup = await system.ask('front_desk', '{ patientLookup(input: { phone: "13812345678" }) { id } }');
    expect(codesOf(lookup)).toEqual(['FORBIDDEN']);
    const agent = await system.ask('call_center_agent', '{ patientLookup(input: { phone: "13812345678" }) { id } }', {
      purpose: 'HOPERAT',
    });
    expect(agent.data['patientLookup'] ?? null).toBeNull();
    expect(agent.errors).toHaveLength(1);
  });

  it('hides the nested list, and names it once', async () => {
    const answer = await system.ask(
      'billing',
      '{ patients { edges { node { id visits { edges { node { start department } } } } } } }',
    );
    expect(answer.errors).toEqual([]);
    for (const node of nodesOf(answer)) expect(node['visits']).toBeNull();
    expect(answer.extensions['policy'].hidden).toContainEqual({ path: 'Patient.visits' });
  });

  it('leaves a role with other purposes with nothing to say for the old one', async () => {
    for (const purpose of ['HOPERAT', 'TREAT']) {
      expect(codesOf(await system.ask('complaint_handler', '{ patients { totalCount } }', { purpose }))).toEqual([
        'PURPOSE_NOT_PERMITTED',
      ]);
    }
    const me = await system.ask('complaint_handler', '{ me { purposes } }');
    expect(me.data['me'].purposes).toEqual(['HTEST']);
    expect(codesOf(await system.ask('complaint_handler', '{ patients { totalCount } }', { purpose: 'HTEST' }))).toEqual(
      ['FORBIDDEN'],
    );
  });

  it('and a class that was tightened refuse filters and sorts on what is shown in clear', async () => {
    for (const filter of [
      { status: { eq: 'active' } },
      { region: { eq: '北京市' } },
      { not: { status: { eq: 'active' } } },
    ]) {
      const answer = await system.ask(
        'physician',
        'query($filter: PatientFilter) { patients(filter: $filter) { totalCount } }',
        { variables: { filter } },
      );
      expect(codesOf(answer)).toEqual(['FIELD_NOT_FILTERABLE']);
    }
    const sorted = await system.ask(
      'physician',
      '{ patients(sort: [{ field: STATUS, direction: ASC }]) { totalCount } }',
    );
    expect(codesOf(sorted)).toEqual(['FIELD_NOT_FILTERABLE']);
  });
});

describe('a field that is clear on some rows only', () => {
  const LIST =
    'query($filter: PatientFilter) { patients(first: 50, filter: $filter) { totalCount edges { node { id gender birthYear fieldAccess { field state } } } } }';
  const list = (filter: Loose) => system.ask('front_desk', LIST, { variables: { filter } });
  const clear = (node: Loose) => node['fieldAccess'].find((one: Loose) => one['field'] === 'gender').state === 'CLEAR';

  it('is filtered by on those rows alone, however the filter is turned', async () => {
    const all = nodesOf(await list({}));
    const shown = all.filter(clear).map((node) => node['id']);
    expect(all).toHaveLength(7);
    expect(shown.sort()).toEqual([patientId(system, 'PT2'), patientId(system, 'PT5')].sort());
    for (const filter of [
      { gender: { eq: 'female' } },
      { not: { gender: { eq: 'female' } } },
      { gender: { in: ['male', 'female'] } },
      { not: { gender: { in: [] } } },
      { not: { not: { gender: { eq: 'male' } } } },
      { or: [{ gender: { eq: 'male' } }, { not: { gender: { eq: 'male' } } }] },
      { not: { and: [{ gender: { eq: 'male' } }, { gender: { eq: 'female' } }] } },
      { birthYear: { gt: 0 } },
      { not: { birthYear: { gt: 3000 } } },
      { not: { or: [{ birthYear: { lt: 1 } }, { gender: { eq: 'x' } }] } },
    ]) {
      const answer = await list(filter);
      expect([filter, ...codesOf(answer)]).toEqual([filter]);
      const found = nodesOf(answer);
      for (const node of found) expect([filter, shown]).toEqual([filter, expect.arrayContaining([node['id']])]);
      expect(answer.data['patients'].totalCount).toBe(found.length);
    }
    expect(nodesOf(await list({ gender: { eq: 'female' } })).map((node) => node['id'])).toEqual([
      patientId(system, 'PT2'),
    ]);
    expect(nodesOf(await list({ not: { gender: { eq: 'female' } } })).map((node) => node['id'])).toEqual([
      patientId(system, 'PT5'),
    ]);
  });

  it('is never sorted by', async () => {
    for (const field of ['GENDER', 'BIRTH_YEAR']) {
      const answer = await system.ask(
        'front_desk',
        `{ patients(sort: [{ field: ${field}, direction: ASC }]) { totalCount } }`,
      );
      expect(codesOf(answer)).toEqual(['FIELD_NOT_FILTERABLE']);
    }
  });
});

describe('a role that may write and not read', () => {
  it('gets back of what it made the public fields, by no way more', async () => {
    const document =
      'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id version status createdAt name phone notes fieldAccess { field state } visits { totalCount } } }';
    const options = {
      variables: { input: { name: 'Prospect', phone: '13700009999' } },
      headers: { 'idempotency-key': 'one' },
    };
    for (let round = 0; round < 2; round += 1) {
      const answer = await system.ask('marketer', document, options);
      expect(answer.errors).toEqual([]);
      const { id, fieldAccess, ...rest } = answer.data['createPatient'];
      expect(typeof id).toBe('string');
      expect(rest).toMatchObject({ version: 1, status: 'active', name: null, phone: null, notes: null, visits: null });
      expect(fieldAccess.filter((one: Loose) => one['state'] === 'HIDDEN').length).toBe(12);
      expect(answer.text).not.toContain('Prospect');
    }
    const conflict = await system.ask('marketer', document, { ...options, variables: { input: { name: 'Other' } } });
    expect(codesOf(conflict)).toEqual(['IDEMPOTENCY_CONFLICT']);
    expect(codesOf(await system.ask('marketer', '{ patients { totalCount } }'))).toEqual(['FORBIDDEN']);
  });

  it('cannot write what it was not given', async () => {
    for (const input of [
      { name: 'x', email: 'a@example.org' },
      { name: 'x', notes: 'n' },
      { name: 'x', nationalId: '123456' },
      { name: 'x', birthDate: null },
    ]) {
      const answer = await system.ask(
        'marketer',
        'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }',
        { variables: { input } },
      );
      expect([input, ...codesOf(answer)]).toEqual([input, 'FORBIDDEN']);
    }
  });
});

describe('a purpose or a role that nobody declared', () => {
  it.each([
    'SNOOPING',
    'treat',
    'TREAT,HMARKT',
    'TREAT TREAT',
    '*',
    '__proto__',
    'constructor',
    'toString',
    'T',
    'TREAT.X',
    'BTG',
  ])('is refused: purpose %s', async (purpose) => {
    const answer = await system.ask('physician', '{ patients { totalCount } }', { purpose });
    expect(codesOf(answer)).toEqual(['PURPOSE_NOT_PERMITTED']);
    expect(answer.text).not.toContain('SNOOPING');
  });

  it.each(['', '   ', null])('is asked for when it is missing: %p', async (purpose) => {
    expect(codesOf(await system.ask('physician', '{ patients { totalCount } }', { purpose }))).toEqual([
      'PURPOSE_REQUIRED',
    ]);
  });

  it('is not made up for by other headers', async () => {
    const headers = {
      'x-break-glass': 'BTG',
      'x-reason': 'a very good reason indeed',
      'x-purpose': 'TREAT',
      'x-role': 'physician',
      'x-tenant': 'T-US',
    };
    expect(codesOf(await system.ask('marketer', '{ patients { totalCount } }', { headers }))).toEqual(['FORBIDDEN']);
    expect(
      codesOf(await system.ask('physician', `{ patient(id: "${patientId(system, 'PT4')}") { id } }`, { headers })),
    ).toEqual(['NOT_FOUND']);
    expect(codesOf(await system.ask('physician', '{ patients { totalCount } }', { purpose: null, headers }))).toEqual([
      'PURPOSE_REQUIRED',
    ]);
  });

  it('is denied: role', async () => {
    const { policy, operations } = system.composition;
    for (const role of [
      'ghost',
      '',
      '__proto__',
      'constructor',
      'toString',
      'PHYSICIAN',
      'PATIENT',
      'guardian ',
    ] as string[] as Role[]) {
      const actor: Actor = {
        id: newId(),
        tenant: 'T-CN',
        role,
        sessionId: newId(),
        reference: '0'.repeat(32),
        careTeamIds: [],
        patientIds: [],
        emergencyPatientIds: [],
        compartmentGrants: [],
        factorMissing: false,
        country: 'CN',
        timeZone: 'Asia/Shanghai',
      };
      for (const purpose of ['TREAT', 'PATADMIN', 'PATRQT']) {
        for (const action of POLICY_ACTIONS)
          expect([role, purpose, action, policy.decide(actor, purpose, action, 'Patient').allowed]).toEqual([
            role,
            purpose,
            action,
            false,
          ]);
        const facts = { requestId: newId(), purpose, reason: null, idempotencyKey: null, clientAddress: '127.0.0.1' };
        const run = operations.run(listPatients, new Document(actor, facts, null), {}, selectFields('name'));
        await expect(run).rejects.toMatchObject({
          name: 'Failure',
          code: expect.stringMatching(/^(PURPOSE_NOT_PERMITTED|FORBIDDEN)$/),
        });
      }
    }
  });

  it('is refused by the table of accounts: role', async () => {
    const insert = system.database.owner.query(`UPDATE account SET role = 'ghost' WHERE role = 'marketer'`);
    await expect(insert).rejects.toMatchObject({ code: '23514' });
  });
});
