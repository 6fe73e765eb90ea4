import { describe, expect, it } from '@jest/globals';
import type { Obligation } from '../policy/obligation.js';
import { refuseUnmet, type Fulfilled } from './obligations.js';

const NOTHING: Fulfilled = {
  steppedUp: false,
  recordedAlone: false,
  reason: null,
  smallestGroup: null,
  demanded: new Set(),
};
const EVERYTHING: Fulfilled = {
  steppedUp: true,
  recordedAlone: true,
  reason: 'x'.repeat(500),
  smallestGroup: 1_000,
  demanded: new Set(),
};
const meets = (obligation: Obligation, fulfilled: Fulfilled) => {
  try {
    refuseUnmet([{ type: 'audit', level: 'access' }, obligation], fulfilled);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'FORBIDDEN', message: `This needs more than a purpose: ${obligation.type}.` });
    return false;
  }
};

describe('an obligation', () => {
  it.each<[Obligation, Partial<Fulfilled>]>([
    [{ type: 'stepUp' }, { steppedUp: true }],
    [{ type: 'reason', minChars: 10 }, { reason: 'x'.repeat(10) }],
    [{ type: 'reason', minChars: 40 }, { reason: 'x'.repeat(40) }],
    [{ type: 'audit', level: 'disclosure' }, { recordedAlone: true }],
    [{ type: 'kAnonymity', k: 11, quasi: ['gender'], lDiversity: [], suppressMax: 1 }, { smallestGroup: 11 }],
  ])('of %j is met by one thing and by nothing else', (obligation, by) => {
    expect(meets(obligation, { ...NOTHING, ...by })).toBe(true);
    const others = {
      ...EVERYTHING,
      ...Object.fromEntries(Object.keys(by).map((key) => [key, NOTHING[key as keyof Fulfilled]])),
    };
    expect(meets(obligation, others)).toBe(false);
  });

  it('is noted for the record whether it is met or not, but for that of being recorded', () => {
    const demanded = new Set<string>();
    for (const fulfilled of [NOTHING, EVERYTHING]) meets({ type: 'stepUp' }, { ...fulfilled, demanded });
    expect([...demanded]).toEqual(['stepUp']);
  });

  it('to a reason is not met by a shorter one', () => {
    expect(meets({ type: 'reason', minChars: 40 }, { ...EVERYTHING, reason: 'x'.repeat(39) })).toBe(false);
  });

  it('to large groups is not met by smaller ones', () => {
    const groups: Obligation = { type: 'kAnonymity', k: 20, quasi: ['gender'], lDiversity: [], suppressMax: 1 };
    expect(meets(groups, { ...EVERYTHING, smallestGroup: 19 })).toBe(false);
  });

  it.each<Obligation>([
    { type: 'fourEyes', role: 'privacy_officer' },
    { type: 'kAnonymity', k: 11, quasi: ['gender'], lDiversity: [], suppressMax: 0 },
    { type: 'kAnonymity', k: 11, quasi: ['gender'], lDiversity: [{ on: 'region', l: 2 }], suppressMax: 1 },
    { type: 'tomorrow' } as never,
  ])('that nothing can meet refuses: %j', (obligation) => {
    expect(meets(obligation, EVERYTHING)).toBe(false);
  });
});
