import 'graphql';
import { describe, expect, it } from '@jest/globals';
import { registry } from '../kernel/attribute.js';
import '../domain/nouns.js';
import type { LedgerReader } from '../ledger/reader.js';
import { PolicyEngine } from '../policy/engine.js';
import type { ReleaseLoader } from '../policy/release-loader.js';
import { PolicySource } from '../policy/source.js';
import '../domain/patient/list-patients.js';
import { redecided, type Redecided } from './decision-redecision.js';

const shipped = PolicySource.directory('policies').texts;

/** The shipped policies with a condition on the request at the rule of the call centre. */
function engineWith(when: string): PolicyEngine {
  const texts = new Map(shipped);
  const rule = 'id: patient-for-service-calls\n    effect: permit\n';
  const before = texts.get('patient.yaml') ?? '';
  if (!before.includes(rule)) throw new Error('The rule is not there.');
  texts.set('patient.yaml', before.replace(rule, `${rule}    when: ${when}\n`));
  const vocabulary = texts.get('vocabulary.yaml') ?? '';
  texts.set('vocabulary.yaml', `${vocabulary}networks: { ward: [10.0.0.0/8] }\n`);
  return PolicyEngine.load(PolicySource.of('with a condition', texts), registry, { lazy: true });
}

const refused = (time: string, rules: readonly string[] = []) => ({
  ...{ time, operation: 'patients', outcome: 'denied', code: 'FORBIDDEN', role: 'call_center_agent' },
  ...{ purpose: 'HOPERAT', policy: 'p', rules, accesses: [], decision: 'd' },
});
const shown = (time: string) => ({
  ...refused(time, ['patient-for-service-calls']),
  ...{
    outcome: 'success',
    code: null,
    accesses: [{ type: 'Patient', rows: 1, fields: { id: 'CLEAR' }, subjects: [] }],
  },
});

async function verdicts(engine: PolicyEngine, records: readonly object[]): Promise<Redecided['verdict'][]> {
  const entries = records.map((record, index) => ({ index, record }));
  const reader = { end: async () => entries.length, entries: async () => ({ entries, before: null }) };
  const loader = { loaded: async () => engine };
  const found: Redecided['verdict'][] = [];
  const all = redecided(reader as never as LedgerReader, loader as never as ReleaseLoader, 'T-CN', {
    from: null,
    to: null,
  });
  for await (const { verdict } of all) found.push(verdict);
  return found;
}

const SAME = { differences: [], incomparable: null };

describe('a decision that is made again', () => {
  it('under a rule that asks when is decided at the time of its record, each for itself', async () => {
    const engine = engineWith('{ time: { tz: UTC, days: [1, 2, 3, 4, 5, 6, 7], from: "08:00", to: "18:00" } }');
    const [day, night] = ['2026-03-02T12:00:00.000Z', '2026-03-02T22:00:00.000Z'];
    const found = await verdicts(engine, [shown(day), shown(night), refused(night), refused(day)]);
    expect(found[0]).toEqual(SAME);
    expect(found[1]?.differences).toContain('the rule patient-for-service-calls is recorded and takes no part');
    expect(found[2]).toEqual(SAME);
    expect(found[3]?.differences).toEqual(['patients is permitted by patient-for-service-calls']);
  });

  it('under a rule that asks from where is not comparable, by its name', async () => {
    const found = await verdicts(engineWith('{ network: [ward] }'), [
      shown('2026-03-02T12:00:00.000Z'),
      refused('2026-03-02T12:00:00.000Z'),
    ]);
    const why = 'the address is sealed, of which patient-for-service-calls asks';
    expect(found).toEqual([1, 2].map(() => ({ differences: [], incomparable: why })));
  });

  it('is none where no rule refused, or nobody had a role', async () => {
    const time = '2026-03-02T12:00:00.000Z';
    const others = [
      { ...refused(time), code: 'RATE_LIMITED' },
      { ...refused(time), code: 'PURPOSE_REQUIRED', purpose: null },
      { ...refused(time), code: 'STEP_UP_REQUIRED' },
      { ...refused(time), outcome: 'failed', code: 'INTERNAL_SERVER_ERROR' },
      { ...shown(time), role: null },
    ];
    expect(await verdicts(engineWith('{ network: [ward] }'), others)).toEqual(others.map(() => null));
  });
});
