import { describe, expect, it } from '@jest/globals';
import { mutants } from '../../src/policy/mutant.js';
import { PolicySource } from '../../src/policy/source.js';
import { registry } from './nouns.js';

const shipped = PolicySource.directory('policies');

function outcomes(source: PolicySource, rule?: string): Map<string, string[]> {
  const isMeant = (id: string) => rule === undefined || id === rule;
  const results = [...mutants(source, registry, isMeant)].map((one) => ({
    ...one,
    name: `${one.rule}: ${one.mutation}`,
  }));
  const grouped = Map.groupBy(results, (one) => one.outcome);
  return new Map([...grouped].map(([outcome, all]) => [outcome, all.map((one) => one.name)]));
}

describe('the cases', () => {
  it('notice every rule that is dropped, widened, narrowed or loosened', () => {
    const found = outcomes(shipped);
    expect(found.get('SURVIVED') ?? []).toEqual([]);
    const noticed = found.get('NOTICED') ?? [];
    expect(noticed).toEqual(
      expect.arrayContaining([
        'patient-own-for-treatment: roles without nurse',
        'patient-own-for-treatment: contact made clear',
        'patient-assigned-for-follow-up: consent of another purpose',
        'patient-for-research: silence taken for consent',
        'patient-export: obligations dropped',
        'diagnosis-recorded: nurse added to the roles',
        'compartments-need-a-grant: isGranted flipped',
        'compartments-need-a-grant: rule dropped',
        'related-person-registered: write.fields without evidence',
      ]),
    );
    expect(noticed.length).toBeGreaterThan(10 * (found.get('EQUIVALENT') ?? []).length);
    // A fence before permits that do not exist: whoever treats reads own patients only.
    expect(found.get('EQUIVALENT')).toContain('unmapped-codes-for-the-treating-team-only: rule dropped');
  }, 120_000);

  it('are told of by name where they stop to notice', () => {
    const file = 'cases/related-person.yaml';
    const text = shipped.texts.get(file) ?? '';
    const without = text.replace(/ {2}- name: the front desk registers\n(?: {4}.*\n)+/, '');
    expect(without).not.toBe(text);
    const found = outcomes(shipped.with(file, without), 'related-person-registered');
    expect(found.get('SURVIVED')).toContain('related-person-registered: write.fields without evidence');
    expect(outcomes(shipped, 'related-person-registered').get('SURVIVED')).toBeUndefined();
  });
});
