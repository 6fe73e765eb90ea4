import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../../kernel/failure.js';
import { readBundle, type MappedBundle } from './bundle.js';
import { stableJson } from './content.js';

const SYSTEM = 'https://hospital.example/mrn';
const patient = (id: string, members: object = {}) => ({ resourceType: 'Patient', id, ...members });
const visit = (reference: string | object, members: object = {}) => ({
  resourceType: 'Encounter',
  id: 'visit',
  status: 'finished',
  period: { start: '2020-01-01T10:00:00Z' },
  subject: typeof reference === 'string' ? { reference } : reference,
  ...members,
});
const text = (...entry: object[]) => JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry });
const read = (...resources: object[]) => readBundle(text(...resources.map((resource) => ({ resource }))));

function subjectIn({ resources }: MappedBundle): string | undefined {
  for (const one of resources) if (one.type === 'Encounter') return one.mapped.references.subject;
  return undefined;
}

describe('source keys', () => {
  it('are the medical record number, else the official identifier, else the first, else the id', () => {
    const first = { system: 'a', value: '1' };
    const official = { system: 'b', value: '2', use: 'official' };
    const record = { system: SYSTEM, value: '3', type: { coding: [{ code: 'MR' }] } };
    const keyOf = (...identifier: object[]) => read(patient('x', { identifier })).resources[0]?.key;
    expect(keyOf(first, official, record)).toBe(`${SYSTEM}|3`);
    expect(keyOf(first, official)).toBe('b|2');
    expect(keyOf(first)).toBe('a|1');
    expect(keyOf({ value: 'no system' }, { ...first, use: 'old' })).toBe('urn:resource-id|x');
  });

  it('come from the full URL of a resource without an id, and are required', () => {
    expect(readBundle(text({ fullUrl: 'urn:uuid:u', resource: { resourceType: 'Patient' } })).resources[0]?.key).toBe(
      'urn:resource-id|u',
    );
    expect(() => read({ resourceType: 'Patient' })).toThrow('entry 1 (Patient): id is missing');
  });
});

describe('references', () => {
  const identifier = [{ system: SYSTEM, value: '7' }];
  it.each<[string, string | object]>([
    ['full URL', 'urn:uuid:p'],
    ['relative', 'Patient/p'],
    ['relative with version', 'Patient/p/_history/2'],
    ['conditional', `Patient?identifier=${SYSTEM}|7`],
    ['conditional, encoded', `Patient?identifier=${encodeURIComponent(`${SYSTEM}|7`)}`],
    ['by identifier alone', { identifier: identifier[0] }],
  ])('%s: finds the patient of the bundle', (_, reference) => {
    const entry = { fullUrl: 'urn:uuid:p', resource: patient('p', { identifier }) };
    expect(subjectIn(readBundle(text(entry, { resource: visit(reference) })))).toBe(`${SYSTEM}|7`);
  });

  it('name what may have been imported before, when it is not in the bundle', () => {
    expect(subjectIn(read(visit('urn:uuid:q')))).toBe('urn:resource-id|q');
    expect(subjectIn(read(visit('https://server.example/fhir/Patient/q')))).toBe('urn:resource-id|q');
    expect(subjectIn(read(visit(`Patient?identifier=${SYSTEM}|8`)))).toBe(`${SYSTEM}|8`);
  });

  it('reject what means two entries, or none that could be', () => {
    const shared = [{ system: 'family', value: '1' }];
    const two = ['a', 'b'].map((id) => patient(id, { identifier: [{ system: SYSTEM, value: id }, ...shared] }));
    expect(read(...two).resources).toHaveLength(2);
    expect(() => read(...two, visit('Patient?identifier=family|1'))).toThrow('means more than one entry');
    expect(() => read(patient('a', { identifier: [{ system: 's', value: '1' }] }), patient('a'))).toThrow(
      'another entry of the bundle',
    );
    expect(() => read(visit('Group/1'))).toThrow('subject is not a patient');
    expect(() => read(visit('#inside'))).toThrow('subject is missing');
    expect(() => read(visit('nobody'))).toThrow('is not a reference');
    expect(() => read(visit('Patient?identifier=%'))).toThrow('is not encoded');
  });
});

describe('what is left out', () => {
  it('is counted by type; a type that FHIR does not know is not repeated', () => {
    const refuted = { resourceType: 'Condition', verificationStatus: { coding: [{ code: 'refuted' }] } };
    const { skipped, resources } = read({ resourceType: 'Observation' }, { resourceType: 'Jane Doe' }, {}, refuted);
    expect(skipped).toEqual({ Observation: 1, unknown: 2, Condition: 1 });
    expect(resources).toEqual([]);
  });

  it('a resource that is said twice counts once', () => {
    expect(read(patient('a'), patient('a'))).toMatchObject({
      repeated: { Patient: 1 },
      resources: [{ key: 'urn:resource-id|a' }],
    });
  });
});

describe('whatever comes in', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      tie('list'),
      tie('object'),
    ),
    list: fc.array(tie('any'), { maxLength: 3 }),
    object: fc.dictionary(
      fc.constantFrom(
        ...[
          'name',
          'identifier',
          'value',
          'system',
          'coding',
          'code',
          'text',
          'reference',
          'subject',
          'period',
          'start',
        ],
      ),
      tie('any'),
    ),
  }));

  it('is a bundle or a refusal that repeats nothing of it', () => {
    const resource = fc.record({
      resourceType: fc.constantFrom('Patient', 'Encounter', 'Condition', 'Practitioner', 'Organization'),
      id: fc.constantFrom('canary-1', 'canary-2'),
      ...Object.fromEntries(
        [
          'name',
          'identifier',
          'telecom',
          'address',
          'code',
          'subject',
          'period',
          'participant',
          'status',
          'birthDate',
        ].map((member) => [member, fc.oneof(fc.constant('canary'), fc.constant(undefined), value.any)]),
      ),
    });
    fc.assert(
      fc.property(fc.array(resource, { maxLength: 4 }), (resources) => {
        try {
          expect(read(...resources).resources.length).toBeLessThanOrEqual(resources.length);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          expect(error).toMatchObject({
            code: 'BAD_USER_INPUT',
            message: expect.stringMatching(/^(bundle|entry \d+( \([A-Z]\w+\))?): [\w .,()-]+\.$/),
          });
          expect(String((error as Failure).message)).not.toContain('canary');
        }
      }),
      { numRuns: 500 },
    );
  });

  it('has the same content in whatever order its members come', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const reversed = Object.fromEntries(Object.entries(object).reverse());
        expect(stableJson(reversed)).toBe(stableJson(object));
        expect(JSON.parse(stableJson(object))).toEqual(JSON.parse(JSON.stringify(object)));
      }),
    );
  });
});
