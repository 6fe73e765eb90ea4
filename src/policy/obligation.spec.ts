import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ROLES } from '../kernel/actor.js';
import { AUDIT_LEVELS, joinObligations, type Obligation } from './obligation.js';

const obligation: fc.Arbitrary<Obligation> = fc.oneof(
  fc.record({ type: fc.constant('stepUp' as const), maxAge: fc.integer({ min: 30, max: 300 }) }),
  fc.constant({ type: 'stepUp' as const }),
  fc.record({ type: fc.constant('reason' as const), minChars: fc.integer({ min: 10, max: 500 }) }),
  fc.record({ type: fc.constant('fourEyes' as const), role: fc.constantFrom(...ROLES) }),
  fc.record({ type: fc.constant('audit' as const), level: fc.constantFrom(...AUDIT_LEVELS) }),
  fc.record({
    type: fc.constant('kAnonymity' as const),
    k: fc.integer({ min: 2, max: 50 }),
    quasi: fc.subarray(['birthDate', 'gender', 'region'], { minLength: 1 }),
    lDiversity: fc.subarray([
      { on: 'code', l: 2 },
      { on: 'status', l: 3 },
    ]),
    suppressMax: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
);

/** Whether doing what `strict` asks is doing what `loose` asks. */
function covers(strict: Obligation, loose: Obligation): boolean {
  if (strict.type === 'stepUp' && loose.type === 'stepUp') {
    return loose.maxAge === undefined || (strict.maxAge !== undefined && strict.maxAge <= loose.maxAge);
  }
  if (strict.type === 'reason' && loose.type === 'reason') return strict.minChars >= loose.minChars;
  if (strict.type === 'fourEyes' && loose.type === 'fourEyes') return strict.role === loose.role;
  if (strict.type === 'audit' && loose.type === 'audit') {
    return AUDIT_LEVELS.indexOf(strict.level) >= AUDIT_LEVELS.indexOf(loose.level);
  }
  if (strict.type !== 'kAnonymity' || loose.type !== 'kAnonymity') return false;
  const diverse = loose.lDiversity.every(({ on, l }) => strict.lDiversity.some((one) => one.on === on && one.l >= l));
  const quasi = loose.quasi.every((field) => strict.quasi.includes(field));
  return strict.k >= loose.k && quasi && diverse && strict.suppressMax <= loose.suppressMax;
}

describe('obligations of several permits', () => {
  it('are joined to what meets each of them, and to nothing that none of them asks', () => {
    fc.assert(
      fc.property(fc.array(obligation, { maxLength: 6 }), (all) => {
        const joined = joinObligations(all);
        for (const one of all) expect(joined.some((strict) => covers(strict, one))).toBe(true);
        for (const one of joined) expect(all.some((asked) => asked.type === one.type)).toBe(true);
        expect(joinObligations([...all].reverse()).every((one) => joined.some((other) => covers(one, other)))).toBe(
          true,
        );
        expect(joinObligations([...joined, ...all])).toEqual(joined);
      }),
    );
  });
});
