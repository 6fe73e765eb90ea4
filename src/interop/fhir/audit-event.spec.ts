import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { KINDS, OUTCOMES } from '../../../audit/entry.mjs';
import { bareDraft, encodeRecord, type Access, type RecordDraft } from '../../ledger/record.js';
import { auditEvents } from './audit-event.js';

/* eslint-disable-next-line @typescript-eslint/no-explicit-any */
type Loose = Record<string, any>;

const ORIGIN = 'hospital.example/ledger';
const [ANNA, BERTA] = ['a'.repeat(32), 'b'.repeat(32)];
const ACTOR = 'c'.repeat(32);

const access = (type: string, subjects: readonly string[], fields: Access['fields'] = { name: 'CLEAR' }): Access => {
  return { type, rows: 1, fields, subjects };
};

function eventsOf(draft: Partial<RecordDraft>): Loose[] {
  const whole = { ...bareDraft('T-CN', 'patients', 'READ', 'request-1'), ...draft } as RecordDraft;
  const stamp = { incarnation: 1, writer: '0123456789abcdef', number: 7, time: '2026-11-21T12:00:00.000Z' };
  const statement =
    whole.kind === 'START'
      ? { suite: 'sha256-ed25519', origin: ORIGIN }
      : whole.kind === 'WRITER'
        ? { commitment: '0'.repeat(64) }
        : {};
  const record = JSON.parse(encodeRecord(whole, stamp, statement).toString()) as Record<string, unknown>;
  const entry = { index: 41, record, recordHash: 'd'.repeat(64), leaf: 'e'.repeat(64) };
  return auditEvents(entry, ORIGIN).map((text) => JSON.parse(text) as Loose);
}

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const ENTITY_TYPE = 'http://terminology.hl7.org/CodeSystem/audit-entity-type';
const PROFILE = 'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.';

/** What a profile of BALP 1.1 fixes: subtype, action, and the types of client, server and user. */
const PATTERNS: Readonly<Record<string, readonly [string, string, string, string, readonly string[]]>> = {
  Read: ['read', 'R', '110152', '110153', ['IRCP']],
  Query: ['search', 'E', '110153', '110152', ['IRCP']],
  Create: ['create', 'C', '110153', '110152', ['AUT', 'INF', 'CST']],
  Update: ['update', 'U', '110153', '110152', ['AUT', 'INF', 'CST']],
  Delete: ['delete', 'D', '110150', 'custodian', ['AUT', 'INF', 'CST']],
};

const sliced = (items: readonly Loose[], code: string) =>
  items.filter((item) => (item['type'].coding?.[0] ?? item['type']).code === code);

/** The slices of one profile, each as often as it may be there. */
function checkProfile(event: Loose, name: string): void {
  const patient = name.startsWith('Patient');
  const [subtype, action, client, server, users] = PATTERNS[patient ? name.slice('Patient'.length) : name] ?? [];
  expect(event['type'].code).toBe('rest');
  expect(event['subtype'].map((one: Loose) => one['code'])).toEqual([subtype]);
  expect([event['action'], event['outcome']]).toEqual([action, '0']);
  for (const type of [client, server]) {
    const agents = sliced(event['agent'], String(type));
    expect(agents).toHaveLength(1);
    expect([agents[0]?.['who'], agents[0]?.['network']]).toEqual([expect.anything(), expect.anything()]);
    expect(agents[0]).not.toHaveProperty('media');
  }
  const user = event['agent'].filter((one: Loose) => one['type'].coding[0].system.endsWith('v3-ParticipationType'));
  expect(user.length).toBeLessThanOrEqual(1);
  for (const one of user as Loose[]) {
    expect(users).toContain(one['type'].coding[0].code);
    expect([one['requestor'], one['network'], one['who']]).toEqual([true, undefined, expect.anything()]);
  }
  const entities = event['entity'] as Loose[];
  const [content, ...more] = entities.filter((one) => one['type'].system === ENTITY_TYPE && one['type'].code === '2');
  expect(more).toEqual([]);
  if (subtype === 'search') {
    expect(content?.['role'].code).toBe('24');
    expect(Buffer.from(content?.['query'], 'base64').toString()).toMatch(/^POST \/graphql\n/);
    for (const forbidden of ['what', 'lifecycle', 'detail', 'name']) expect(content).not.toHaveProperty(forbidden);
  } else {
    expect(['3', '4', '20']).toContain(content?.['role'].code);
    expect(content?.['what']).toEqual(expect.anything());
    if (subtype === 'delete') expect(content).not.toHaveProperty('detail');
  }
  const transactions = sliced(entities, 'XrequestId');
  expect(transactions.map((one) => one['what'].identifier.value)).toEqual(['request-1']);
  const persons = entities.filter((one) => one['type'].system === ENTITY_TYPE && one['type'].code === '1');
  expect(persons).toHaveLength(patient ? 1 : 0);
  for (const one of persons) expect([one['role'].code, one['what'].type]).toEqual(['1', 'Patient']);
}

/** What FHIR R4 demands of every AuditEvent, and what JSON of FHIR may not hold. */
function checkResource(event: Loose): void {
  expect(event['resourceType']).toBe('AuditEvent');
  expect(event['id']).toMatch(/^[A-Za-z0-9\-.]{1,64}$/);
  expect(event['type']).toMatchObject({ system: expect.any(String), code: expect.any(String) });
  expect(event['recorded']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(['C', 'R', 'U', 'D', 'E']).toContain(event['action']);
  expect(['0', '4', '8', '12']).toContain(event['outcome']);
  expect(event['source']).toMatchObject({ observer: expect.anything() });
  expect(event['agent'].length).toBeGreaterThanOrEqual(2);
  for (const agent of event['agent'] as Loose[]) expect(typeof agent['requestor']).toBe('boolean');
  expect((event['agent'] as Loose[]).filter((one) => one['requestor'])).toHaveLength(1);
  // sev-1: a name or a query, not both.
  for (const entity of event['entity'] as Loose[]) expect('name' in entity && 'query' in entity).toBe(false);
  const empty = (value: unknown): boolean =>
    value === '' ||
    value === null ||
    (typeof value === 'object' && (Object.keys(value).length === 0 || Object.values(value).some(empty)));
  expect(empty(event)).toBe(false);
}

const drafts: fc.Arbitrary<Partial<RecordDraft>> = fc.record({
  kind: fc.constantFrom(...KINDS),
  outcome: fc.constantFrom(...OUTCOMES),
  code: fc.constantFrom(null, 'FORBIDDEN', 'INTERNAL_SERVER_ERROR'),
  actor: fc.constantFrom(null, ACTOR),
  role: fc.constantFrom(null, 'physician'),
  session: fc.constantFrom(null, 'session-1'),
  purpose: fc.constantFrom(null, 'TREAT', 'CAREMGT.EDU', '??', 'a<b>'),
  document: fc.constantFrom(null, 'f'.repeat(64)),
  accesses: fc.array(
    fc.constantFrom(access('Patient', [ANNA]), access('Diagnosis', [ANNA, BERTA], {}), access('CareTeam', [])),
    { maxLength: 3 },
  ),
});

describe('an entry as AuditEvent', () => {
  test('is a FHIR R4 AuditEvent, and what it says to be of BALP, for every kind and outcome', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(drafts, (draft) => {
        const subjects = new Set((draft.accesses ?? []).flatMap((one) => one.subjects));
        const events = eventsOf(draft);
        expect(events).toHaveLength(Math.max(1, subjects.size));
        expect(new Set(events.map((event) => event['id'])).size).toBe(events.length);
        for (const event of events) {
          checkResource(event);
          const [profile] = (event['meta']?.profile ?? []) as string[];
          expect(event['outcome'] === '0').toBe(draft.outcome === 'success');
          if (profile === undefined) continue;
          const name = profile.slice(PROFILE.length);
          seen.add(name);
          if (name in PATTERNS || name.startsWith('Patient')) checkProfile(event, name);
        }
      }),
      { numRuns: 600 },
    );
    const names = Object.keys(PATTERNS);
    expect([...seen].sort()).toEqual(
      [...names, ...names.map((name) => `Patient${name}`), 'PrivacyDisclosure.Source'].sort(),
    );
  });

  test('is one for each patient, with what concerned that patient alone', () => {
    const accesses = [
      access('Patient', [ANNA, BERTA], { name: 'CLEAR' }),
      access('Diagnosis', [BERTA], { code: 'MASKED', note: 'HIDDEN' }),
    ];
    const [anna, berta] = eventsOf({ kind: 'READ', actor: ACTOR, accesses });
    const detail = (event: Loose | undefined) => event?.['entity'][0].detail;
    const patient = (event: Loose | undefined) => event?.['entity'][1].what.identifier;
    expect(patient(anna)).toEqual({ system: `https://${ORIGIN}/T-CN/subject`, value: ANNA });
    expect(detail(anna)).toEqual([{ type: 'Patient', valueString: 'name CLEAR' }]);
    expect(patient(berta)?.value).toBe(BERTA);
    expect(detail(berta)).toEqual([
      { type: 'Patient', valueString: 'name CLEAR' },
      { type: 'Diagnosis', valueString: 'code MASKED, note HIDDEN' },
    ]);
    expect(JSON.stringify(anna)).not.toContain(BERTA);
  });

  test('says who, in what role and why, and leads back to the entry', () => {
    const [event] = eventsOf({ kind: 'SEARCH', actor: ACTOR, role: 'nurse', purpose: 'CAREMGT.EDU', session: 's-1' });
    const reason = { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'CAREMGT' }] };
    expect(event?.['agent'].at(-1)).toMatchObject({
      who: { identifier: { value: ACTOR } },
      role: [{ coding: [{ code: 'nurse' }] }],
      purposeOfUse: [reason],
    });
    expect(event?.['purposeOfEvent']).toEqual([reason]);
    expect(event?.['entity']).toContainEqual(
      expect.objectContaining({
        what: { identifier: { system: `https://${ORIGIN}/T-CN/entry`, value: '41' } },
        description: `Record SHA-256 ${'d'.repeat(64)}, leaf ${'e'.repeat(64)}`,
      }),
    );
  });

  test('of something that was refused or failed has an OperationOutcome, and claims no profile of successes', () => {
    for (const [outcome, code, number, issue] of [
      ['denied', 'FORBIDDEN', '4', 'forbidden'],
      ['failed', 'VERSION_CONFLICT', '4', 'processing'],
      ['failed', 'AUDIT_UNAVAILABLE', '8', 'exception'],
    ] as const) {
      const [event] = eventsOf({ kind: 'UPDATE', outcome, code });
      expect([event?.['outcome'], event?.['outcomeDesc'], event?.['meta']]).toEqual([number, code, undefined]);
      expect(event?.['contained']).toEqual([
        expect.objectContaining({
          resourceType: 'OperationOutcome',
          id: 'outcome',
          issue: [{ severity: 'error', code: issue, details: { text: code } }],
        }),
      ]);
      expect(event?.['entity'].at(-1).what).toEqual({ reference: '#outcome' });
    }
  });

  test('of a disclosure names the server as its source, as the audit source it is', () => {
    const [event] = eventsOf({ kind: 'DISCLOSE', actor: ACTOR, accesses: [access('Disclosure', [ANNA])] });
    expect(event?.['meta'].profile).toEqual([`${PROFILE}PrivacyDisclosure.Source`]);
    expect([event?.['type'].code, event?.['subtype'][0].code, event?.['action']]).toEqual(['110106', 'disclose', 'R']);
    const [source] = sliced(event?.['agent'], '110153');
    expect(source?.['who']).toEqual(event?.['source'].observer);
    expect(sliced(event?.['agent'], '110152')).toEqual([
      expect.objectContaining({ who: expect.anything(), network: expect.anything() }),
    ]);
    expect(DCM).toBe(source?.['type'].coding[0].system);
  });
});
