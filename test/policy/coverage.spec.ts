import { describe, expect, it } from '@jest/globals';
import { judge, loadCases } from '../../src/policy/cases.js';
import { coverageOf } from '../../src/policy/coverage.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { PolicySource } from '../../src/policy/source.js';
import { registry } from './nouns.js';

describe('the cases', () => {
  it('reach every rule, both outcomes of every comparison and every state of every field', () => {
    const all = coverageOf(PolicySource.directory('policies'), registry);
    expect(all.filter((one) => !one.covered).map((one) => one.name)).toEqual([]);
    expect(all.length).toBeGreaterThan(500);
  });

  it('are told where they reach too little', () => {
    const shipped = PolicySource.directory('policies');
    const text = shipped.texts.get('patient.yaml') ?? '';
    const more = text.replace(
      'rules:\n',
      'rules:\n  - id: planted\n    effect: permit\n    roles: [billing]\n    purposes: [HPAYMT]\n    actions: [read]\n' +
        '    where: { status: archived }\n    show: { clear: [contact] }\n',
    );
    const missing = coverageOf(shipped.with('patient.yaml', more), registry).filter((one) => !one.covered);
    const names = missing.map((one) => one.name);
    expect(names).toContain('planted: is reached');
    expect(names).toContain('planted: status eq archived is true');
    expect(names).not.toContain('planted: status eq archived is false');
    expect(names).toContain('billing for HPAYMT, read Patient.address is CLEAR');
  });

  it('may ask at a time and from an address, and reach what opens only then', () => {
    const shipped = PolicySource.directory('policies');
    const planted =
      'rules:\n  - id: planted\n    effect: permit\n    roles: [marketer]\n    purposes: [HMARKT]\n    actions: [read]\n' +
      '    when: { time: { tz: UTC, days: [7], from: "03:00", to: "03:01" } }\n    where: { isRepresented: true }\n' +
      '    show: { clear: [public] }\n';
    const asked = (at: string) =>
      `  - { name: a, roles: [marketer], purposes: [HMARKT], actions: [read], environment: { at: "${at}" },\n` +
      '      expect: { rows: [represented], show: { all: { clear: [public] } } } }\n';
    const replaced = (at: string) =>
      shipped
        .with('patient.yaml', (shipped.texts.get('patient.yaml') ?? '').replace('rules:\n', planted))
        .with('cases/patient.yaml', `${(shipped.texts.get('cases/patient.yaml') ?? '').trimEnd()}\n${asked(at)}`);
    const failed = (source: PolicySource) => {
      const engine = PolicyEngine.load(source, registry, { lazy: true });
      return loadCases(source, registry, engine).flatMap((one) => judge(one, engine));
    };
    expect(failed(replaced('2026-11-22T03:00:30Z'))).toEqual([]);
    expect(failed(replaced('2026-11-22T03:01:00Z'))).toEqual(['is refused']);
    const uncovered = coverageOf(replaced('2026-11-22T03:00:30Z'), registry).filter((one) => !one.covered);
    expect(uncovered.map((one) => one.name)).toEqual([]);
    expect(() => failed(replaced('noon'))).toThrow(/Write the time like/);
  });
});
