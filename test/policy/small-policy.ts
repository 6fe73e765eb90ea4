import { afterAll } from '@jest/globals';
import type { Actor } from '../../src/kernel/actor.js';
import { AttributeRegistry, type AttributeDeclaration } from '../../src/kernel/attribute.js';
import type { Decision, PolicyAction } from '../../src/policy/decision.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { Workbench } from './workbench.js';

export const TEAM = '01900000-0000-7000-8000-0000000000aa';
/** The person for whom the actor speaks. */
export const SELF_ID = '01900000-0000-7000-8000-0000000000ad';
export const ACTOR: Actor = {
  id: '01900000-0000-7000-8000-0000000000ab',
  tenant: 'T-CN',
  role: 'physician',
  sessionId: '01900000-0000-7000-8000-0000000000ac',
  reference: '0'.repeat(32),
  careTeamIds: [TEAM],
  patientIds: [SELF_ID],
  emergencyPatientIds: [],
  compartmentGrants: [],
  factorMissing: false,
  country: 'CN',
  timeZone: 'Asia/Shanghai',
};
export const CONTEXT = { now: new Date('2026-11-21T20:00:00Z'), timeZone: 'Asia/Shanghai' };

function attribute(field: string, rest: Partial<AttributeDeclaration>): AttributeDeclaration {
  return {
    field,
    kind: 'text',
    group: 'identity',
    level: 'L3',
    mask: 'M_NULL',
    sealed: false,
    column: rest.sealed === true ? null : field,
    blindIndex: null,
    indexes: [],
    derivedFrom: [],
    computed: null,
    filter: 'equality',
    sortable: true,
    maximum: 100,
    ...rest,
  };
}

/** A person with a secret name, facets of it, and letters to the person. */
export function smallRegistry(): AttributeRegistry {
  const registry = new AttributeRegistry();
  const person = [
    attribute('id', { kind: 'id', group: 'public', mask: 'M_SAME' }),
    attribute('birth', { sealed: true, mask: 'M_DOB' }),
    attribute('year', { derivedFrom: ['birth'], mask: 'M_DOB', group: 'record' }),
    attribute('decade', { derivedFrom: ['birth'], mask: 'M_SAME', group: 'record', column: null, computed: 'ageBand' }),
    attribute('phone', {
      sealed: true,
      mask: 'M_PHONE',
      group: 'contact',
      blindIndex: 'phone_index',
      indexes: ['exact'],
    }),
    attribute('note', { sealed: true, mask: 'M_TEXT', group: 'notes' }),
  ];
  for (const one of person) registry.addAttribute('Person', one);
  registry.addNoun({
    type: 'Person',
    table: 'person',
    subject: 'self',
    facts: [
      { name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' },
      { name: 'status', source: 'column', column: 'status', kind: 'text' },
      { name: 'owner', source: 'column', column: 'owner', kind: 'uuid' },
      { name: 'isMe', source: 'listed', column: 'id', actorAttribute: 'patientIds' },
      { name: 'consent', source: 'consent', column: 'consents' },
      { name: 'inTeam', source: 'overlap', column: 'teams', actorAttribute: 'careTeamIds' },
      {
        name: 'today',
        source: 'today',
        table: 'letter',
        foreignKey: 'person_id',
        column: 'sent_at',
        only: { column: 'kind', equals: 'open' },
      },
    ],
  } as never);
  registry.addAttribute('Letter', attribute('id', { kind: 'id', group: 'public', mask: 'M_SAME' }));
  registry.addAttribute('Letter', attribute('text', { sealed: true, group: 'notes', mask: 'M_TEXT' }));
  registry.addNoun({
    type: 'Letter',
    table: 'letter',
    subject: { parent: 'Person', foreignKey: 'person_id' },
    facts: [
      { name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' },
      { name: 'secret', source: 'column', column: 'secret', kind: 'boolean' },
    ],
  } as never);
  return registry;
}

const bench = new Workbench({ empty: true });
afterAll(() => bench.clean());
const METADATA = 'metadata: { id: a-test, version: 3, owners: [a], reviewBy: 2027-01-01 }';
const file = (kind: string, rest: string) => `apiVersion: crm.policy/v1\nkind: ${kind}\n${rest}\n`;
const ROLE_LINES = [
  'nurse',
  'front_desk',
  'call_center_agent',
  'marketer',
  'complaint_handler',
  'researcher',
  'billing',
  'department_head',
  'auditor',
  'privacy_officer',
  'security_admin',
  'integrator',
  'patient',
  'guardian',
  'reminder_service',
].map((role) => `  ${role}: [PATADMIN]`);

interface Setting {
  readonly person: string;
  readonly letter?: string;
  readonly guardrails?: string;
  readonly classes?: string;
}

export function load({ person, letter = '[]', guardrails = '[]', classes = '{}' }: Setting): PolicyEngine {
  bench.write('bundle.yaml', file('Bundle', `${METADATA}\noperations: { people: { action: read, type: Person } }`));
  const purposes = 'purposes: { TREAT: { display: a, hl7: [TREAT] }, PATADMIN: { display: b, hl7: [PATADMIN] } }';
  bench.write(
    'vocabulary.yaml',
    file('Vocabulary', `${purposes}\nroles:\n  physician: [TREAT]\n${ROLE_LINES.join('\n')}`),
  );
  bench.write('classification.yaml', file('Classification', `fields: ${classes}`));
  bench.write('guardrails.yaml', file('Guardrails', `${METADATA}\nguardrails: ${guardrails}`));
  bench.write(
    'person.yaml',
    file('Policy', `${METADATA}\nsubject: Person\nindexes: { phone: [exact] }\nrules: ${person}`),
  );
  bench.write('letter.yaml', file('Policy', `${METADATA}\nsubject: Letter\nrules: ${letter}`));
  return PolicyEngine.load(bench.source(), smallRegistry());
}

/** One permit of the physician for TREAT, in YAML's flow form. */
export const permit = (id: string, rest: string, action: PolicyAction = 'read') =>
  `{ id: ${id}, effect: permit, roles: [physician], purposes: [TREAT], actions: [${action}], ${rest} }`;
export const FACTS = {
  tenant: 'T-CN',
  status: 'active',
  owner: ACTOR.id,
  inTeam: false,
  isMe: false,
  today: false,
  'consent.TREAT': 'NONE',
  'consent.PATADMIN': 'NONE',
};
export const statesOf = (decision: Decision, facts: Record<string, unknown> = FACTS) =>
  Object.fromEntries(
    [...decision.visibility(decision.bitsOf(facts)).fields].map(([field, { state, mask }]) => [field, mask ?? state]),
  );

export interface Rendered {
  readonly text: string;
  readonly values: readonly unknown[];
}
export function rendered(make: (bind: (value: unknown) => string) => string): Rendered {
  const values: unknown[] = [];
  return { text: make((value) => `$${values.push(value)}`), values };
}
export const SELF = { self: 's', subject: 's' };
export const CHILD = { self: 's', subject: 'p' };
