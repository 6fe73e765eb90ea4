import { describe, expect, it } from '@jest/globals';
import { proposedFiles } from '../../src/operation/policy-proposal.js';
import { PolicyDocument } from '../../src/policy/document.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { PolicyError } from '../../src/policy/error.js';
import { checkProposal, type ProposalOutcome } from '../../src/policy/proposal-check.js';
import { prove } from '../../src/policy/proofs.js';
import { removalsOf } from '../../src/policy/removals.js';
import { PolicySource, SCHEMA } from '../../src/policy/source.js';
import { registry } from './nouns.js';

const source = PolicySource.directory('policies');
const shipped = Object.fromEntries(source.texts);
const text = (name: string) => shipped[name] ?? '';

/** What the check of a proposal finds in its first pieces of work: reading, and loading with all proofs. */
function checked(sent: Readonly<Record<string, string | null>>, pieces = 2): ProposalOutcome | 'goes on' {
  const files = Object.entries(sent).map(([name, to]) => ({ name, text: to }));
  const proposed = proposedFiles({ shipped: source }, shipped, files);
  const run = checkProposal({ proposed, base: shipped, shipped }, registry);
  for (let piece = 0; piece < pieces; piece += 1) {
    const step = run.next();
    if (step.done === true) return step.value;
  }
  return 'goes on';
}
const messages = (outcome: ProposalOutcome | 'goes on') =>
  outcome === 'goes on' ? outcome : outcome.problems.map(({ message }) => message);
const edited = (name: string, from: string, to: string) => {
  if (!text(name).includes(from)) throw new Error(`${name} does not have it.`);
  return text(name).replace(from, () => to);
};

describe('the schema of a proposal', () => {
  it.each(['true', '{', 'null', '{"type":"nonsense"}', `${text(SCHEMA)} `])(
    'is the shipped one, not another (%#)',
    (other) => {
      expect(messages(checked({ [SCHEMA]: other }))).toEqual([
        expect.stringMatching(/schema is a part of the software/),
      ]);
    },
  );

  it('may be left out, and is there all the same', () => {
    const proposed = proposedFiles({ shipped: source }, { ...shipped, [SCHEMA]: 'of an older software' }, [
      { name: SCHEMA, text: null },
    ]);
    expect(proposed[SCHEMA]).toBe(text(SCHEMA));
    expect(messages(checked({ '_schema/other.json': '{}' }))).toEqual([
      expect.stringMatching(/schema is a part of the software/),
    ]);
  });

  it('is not what makes a permit a permit and a forbid a forbid', () => {
    const open = source.with(SCHEMA, '{"$schema":"https://json-schema.org/draft/2020-12/schema"}');
    const permit = edited(
      'patient.yaml',
      'id: patient-erasure\n    effect: permit',
      'id: patient-erasure\n    effect: forbid',
    );
    const forbid = edited(
      'guardrails.yaml',
      'id: compartments-need-a-grant\n    effect: forbid',
      'id: compartments-need-a-grant\n    effect: permit',
    );
    for (const [name, lies] of [
      ['patient.yaml', permit],
      ['guardrails.yaml', forbid],
    ] as const)
      expect(() => PolicyEngine.load(open.with(name, lies), registry, { lazy: true })).toThrow(/write "effect: /);
    expect(() => PolicyEngine.load(source.with(SCHEMA, '{'), registry)).toThrow(PolicyError);
  });
});

describe('the size of a proposal', () => {
  it.each([
    ['a file', { 'patient.yaml': `${text('patient.yaml')}#${'x'.repeat(200_000)}` }, /more than 131072 characters/],
    ['all files', Object.fromEntries([...Array(20).keys()].map((n) => [`f${n}.yaml`, '#'.repeat(120_000)])), /2097152/],
    ['files', Object.fromEntries([...Array(300).keys()].map((n) => [`f${n}.yaml`, ''])), /more than 200 files/],
    [
      'keys',
      { 'patient.yaml': text('patient.yaml') + [...Array(1_100).keys()].map((n) => `k${n}: 1\n`).join('') },
      /1000 keys/,
    ],
    [
      'values of a condition',
      {
        'guardrails.yaml': edited(
          'guardrails.yaml',
          '{ compartment: UNMAPPED }',
          `{ compartment: { $in: [${[...Array(501).keys()].map((n) => `v${n}`).join(', ')}] } }`,
        ),
      },
      /500 values at most/,
    ],
    ['levels', { 'patient.yaml': `${text('patient.yaml')}x: ${'['.repeat(20_000)}${']'.repeat(20_000)}\n` }, /./],
  ] as const)('is bounded: %s', (_, files, message) => {
    const found = messages(checked(files));
    expect(found).toEqual([expect.stringMatching(message)]);
  });

  it('is told of in fifty problems at most, and quickly', () => {
    const since = performance.now();
    const many = [...Array(900).keys()].map((n) => `k${n}: 1\n`).join('');
    expect(messages(checked({ 'patient.yaml': text('patient.yaml') + many }))).toHaveLength(50);
    expect(performance.now() - since).toBeLessThan(5_000);
  });

  it('has each key once', () => {
    const read = PolicyDocument.read('a.yaml', 'a: 1\nb: { c: 1, c: 2 }\na: 2\n');
    expect(Array.isArray(read) && read.map(({ line, message }) => [line, message])).toEqual([
      [3, 'Map keys must be unique'],
      [2, 'Map keys must be unique'],
    ]);
  });
});

describe('the invariants of the software', () => {
  const clear = edited(
    'patient.yaml',
    'fields: { clear: [insuranceNumber], masked: [phone, nationalId] }',
    'fields: { clear: [insuranceNumber, nationalId], masked: [phone] }',
  );

  it('hold where a release leaves them out', () => {
    const found = messages(checked({ 'invariants.yaml': null, 'patient.yaml': clear }));
    expect(found).toContainEqual(expect.stringMatching(/"national-number-never-clear" does not hold: billing/));
    const released = PolicySource.of('release', new Map(Object.entries({ ...shipped, 'patient.yaml': clear })), source);
    const none = released.with(
      'invariants.yaml',
      text('invariants.yaml').replace(/invariants:\n[^]*/, 'invariants: []\n'),
    );
    expect(() => PolicyEngine.load(none, registry)).toThrow();
  });

  it('are proven of a release that leaves them out', () => {
    const texts = new Map(Object.entries({ ...shipped, 'patient.yaml': clear }));
    texts.delete('invariants.yaml');
    const run = prove(PolicySource.of('policies', texts, source), registry, 'INVARIANTS');
    for (let step = run.next(); ; step = run.next()) {
      if (step.done !== true) continue;
      expect(step.value.failed).toBeGreaterThan(0);
      break;
    }
  });

  it('are not changed under their own name', () => {
    const weaker = edited(
      'invariants.yaml',
      'never: { types: [Patient], fields: [nationalId], state: clear, actions: [read, export, openLedgerDetail] }',
      'never: { types: [Patient], fields: [nationalId], state: clear, actions: [openLedgerDetail] }',
    );
    const outcome = checked({ 'invariants.yaml': weaker });
    expect(messages(outcome)).toEqual([
      expect.stringMatching(/"national-number-never-clear" is an invariant of the software/),
    ]);
  }, 60_000);
});

describe('what a release takes away', () => {
  const without = (...names: string[]) =>
    Object.fromEntries(Object.entries(shipped).filter(([name]) => !names.includes(name)));

  it('is told: cases, rows and invariants', () => {
    expect(removalsOf(shipped, shipped, shipped)).toEqual([]);
    const count = (PolicyDocument.read('a', text('cases/visit.yaml')) as PolicyDocument).value as { cases: unknown[] };
    const { length } = count.cases;
    expect(removalsOf(shipped, without('cases/visit.yaml'), shipped)).toEqual([
      `removes ${length} of ${length} cases of visit.yaml`,
    ]);
    const cases = edited(
      'cases/patient.yaml',
      'clinicians read their own patients, contact',
      'clinicians read, contact',
    );
    expect(removalsOf(shipped, { ...shipped, 'cases/patient.yaml': cases }, shipped)).toEqual([
      expect.stringMatching(/^removes or changes 1 of \d+ cases of patient\.yaml$/),
    ]);
    const rows = edited('cases/patient.yaml', '  own: { status: active,', '  own: { status: inactive,');
    expect(removalsOf(shipped, { ...shipped, 'cases/patient.yaml': rows }, shipped)).toEqual([
      'changes the rows that the cases of patient.yaml ask about',
    ]);
    const removed = removalsOf(shipped, without('invariants.yaml'), shipped);
    expect(removed).toContain(
      'removes the invariant "national-number-never-clear", which applies as the software has it',
    );
    expect(removalsOf(shipped, without('invariants.yaml'), {})).toContain(
      'removes the invariant "national-number-never-clear"',
    );
  });

  it('is not told of more cases, comments and another layout', () => {
    const more = `# a comment\n${text('cases/visit.yaml')}  - { name: one more, roles: [nurse], purposes: [TREAT], actions: [erase], expect: refused }\n`;
    expect(removalsOf(shipped, { ...shipped, 'cases/visit.yaml': more }, shipped)).toEqual([]);
  });

  it('costs a mutation of every rule that its cases were about', () => {
    const outcome = checked({ 'cases/related-person.yaml': null }, Infinity);
    expect(messages(outcome)).toContainEqual(expect.stringMatching(/^No case would notice: /));
  }, 60_000);
});
