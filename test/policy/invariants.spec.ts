import { describe, expect, it } from '@jest/globals';
import { AllDecisions } from '../../src/policy/all-decisions.js';
import { loadBundle } from '../../src/policy/bundle.js';
import { derivabilityProblems, residualsOf } from '../../src/policy/derivability.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { counterExamples, problemOf, readInvariants } from '../../src/policy/invariant.js';
import { applyMask } from '../../src/policy/mask.js';
import { PolicySource } from '../../src/policy/source.js';
import { registry } from './nouns.js';
import { problemsOf } from './workbench.js';

const shipped = PolicySource.directory('policies');

function opened(source: PolicySource) {
  const bundle = loadBundle(source, registry);
  return { source, bundle, decisions: new AllDecisions(bundle, registry, PolicyEngine.of(bundle, registry)) };
}
const original = opened(shipped);

/** The shipped policies with a text of a file replaced. */
function edited(file: string, from: string, to: string): PolicySource {
  const text = shipped.texts.get(file) ?? '';
  if (!text.includes(from)) throw new Error(`${file} does not contain: ${from}`);
  return shipped.with(
    file,
    text.replace(from, () => to),
  );
}

function brokenBy(source: PolicySource): string[] {
  const { bundle, decisions } = opened(source);
  const invariants = readInvariants(source, registry, bundle.vocabulary);
  return counterExamples(invariants, bundle.vocabulary, decisions).map((one) => problemOf(one).message);
}

describe('the invariants', () => {
  it('hold for the shipped policies, and are about something', () => {
    expect(brokenBy(shipped)).toEqual([]);
    const invariants = readInvariants(shipped, registry, original.bundle.vocabulary);
    expect(invariants.length).toBeGreaterThan(5);
  });

  it('show a row, a role, a purpose and rules where one does not hold', () => {
    const [found = ''] = brokenBy(
      edited(
        'patient.yaml',
        'fields: { clear: [insuranceNumber], masked: [phone, nationalId] }',
        'fields: { clear: [insuranceNumber, nationalId], masked: [phone] }',
      ),
    );
    expect(found).toMatch(
      /"national-number-never-clear" does not hold: billing for HPAYMT, read: Patient\.nationalId is CLEAR/,
    );
    expect(found).toMatch(/rules .*patient-for-billing/);
  });

  it('need one row only: a compartment that opens to whoever treats', () => {
    const found = brokenBy(edited('guardrails.yaml', 'isGranted: { $ne: true } }', 'isGranted: { $eq: true } }'));
    expect(found.join('\n')).toMatch(
      /compartments-never-without.*physician for TREAT.*compartment SUD, isGranted false/,
    );
  });

  it('are proven for every state of the clock and the network', () => {
    const found = brokenBy(
      edited(
        'patient.yaml',
        'rules:\n',
        'rules:\n  - id: planted\n    effect: permit\n    roles: [marketer]\n    purposes: [HMARKT]\n    actions: [read]\n' +
          '    when: { time: { tz: UTC, days: [7], from: "03:00", to: "03:01" } }\n    show: { clear: [public, contact] }\n',
      ),
    );
    expect(found.join('\n')).toMatch(/marketer for HMARKT, read: Patient\.\w+ is CLEAR/);
  });

  it('stop the load, and name file and line of what they cannot say', () => {
    const load = (source: PolicySource) => problemsOf(() => PolicyEngine.load(source, registry)).map((one) => one);
    const broken = load(
      edited(
        'patient.yaml',
        'write: { groups: [identity, contact, government] }',
        'write: { groups: [identity, contact, government, notes] }',
      ),
    );
    expect(broken).toEqual([
      {
        file: 'policies/invariants.yaml',
        line: expect.any(Number),
        message: expect.stringMatching(/"notes-written-by-physicians-alone" does not hold: front_desk/),
      },
      {
        file: 'policies/invariants.yaml',
        line: expect.any(Number),
        message: expect.stringMatching(/update: Patient.notes is WRITTEN/),
      },
    ]);
    const unknown = load(edited('invariants.yaml', 'fields: [nationalId]', 'fields: [nationalIds]'));
    expect(unknown).toHaveLength(1);
    expect(unknown[0]).toMatchObject({
      file: 'policies/invariants.yaml',
      message: 'Patient has no field "nationalIds".',
    });
  });
});

describe('what is shown together', () => {
  it('leaves at least eleven values of everything that is masked or hidden', () => {
    const residuals = residualsOf(original.bundle, registry, original.decisions);
    expect(residuals.length).toBeGreaterThan(10);
    expect(Math.min(...residuals.map((one) => one.candidates))).toBeGreaterThanOrEqual(11);
    expect(
      residuals.find(({ field, audience }) => field === 'nationalId' && audience === 'physician for TREAT, read'),
    ).toMatchObject({
      state: 'MASKED M_ID4',
      // 2844 counties, one in eleven numbers with the check digit that is shown.
      candidates: 259,
    });
  });

  it('is refused where an identity number shows its first six and last four characters beside a birth date', () => {
    const sixAndFour = (mask: string, value: string) =>
      mask === 'M_ID4'
        ? `${value.slice(0, 6)}********${value.slice(-4)}`
        : applyMask(mask as never, value, { now: new Date(0) });
    const problems = derivabilityProblems(shipped, original.bundle, registry, original.decisions, sixAndFour);
    expect(problems.map((one) => one.message).join('\n')).toMatch(
      /physician for TREAT, read: Patient\.nationalId is MASKED M_ID4, but birthDate CLEAR .* beside it leave 1 possible value, fewer than 11/,
    );
    const residuals = residualsOf(original.bundle, registry, original.decisions, sixAndFour);
    // A band of five years: 1826 days, one in eleven of them with the check digit.
    expect(residuals.filter(({ candidates }) => candidates === 1).map(({ field }) => field)).toContain('nationalId');
  });

  it('stops the load where a number in clear tells the birth date that stands masked beside it', () => {
    const source = edited(
      'patient.yaml',
      '      clear: [public]\n      masked: [identity, contact]\n',
      '      clear: [public]\n      masked: [identity, contact]\n    fields: { clear: [insuranceNumber] }\n',
    );
    const [problem] = problemsOf(() => PolicyEngine.load(source, registry)).filter(({ message }) =>
      message.includes('birthDate'),
    );
    expect(problem?.file).toBe('policies/patient.yaml');
    expect(problem?.message).toMatch(
      /call_center_agent for HOPERAT, read: Patient\.birthDate is MASKED M_DOB, but .*insuranceNumber CLEAR beside it leave 1 possible value/,
    );
  });

  it('is measured by the threshold of the vocabulary', () => {
    const source = edited('vocabulary.yaml', 'kind: Vocabulary\n', 'kind: Vocabulary\nderivability: { k: 300 }\n');
    const messages = problemsOf(() => PolicyEngine.load(source, registry)).map((one) => one.message);
    expect(messages.join('\n')).toMatch(/nationalId is MASKED M_ID4.* leave 259 possible values, fewer than 300/);
  });
});
