import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { actorOf } from './cases.js';
import { ActorAttribute, operandOf, type FactKind } from './condition.js';
import { COMPARE } from './matcher.js';
import { representatives, type Leaf } from './row-classes.js';

const actor = actorOf('physician');
const IDS = [
  ...actor.careTeamIds,
  actor.id,
  '01900000-0000-7000-8000-000000000001',
  '01900000-0000-7000-8000-000000000002',
];
/** Texts that follow each other closely, and one that stands elsewhere in the order of UTF-16. */
const TEXTS = ['', 'a', 'a\u0000', 'a ', '𠮷', '\uFFFD', actor.tenant];

const VALUES: Readonly<Record<'text' | 'integer' | 'uuid', readonly unknown[]>> = {
  text: TEXTS,
  integer: [-4, -3, -2, -1, 0, 1, 2, 3, 4],
  uuid: IDS,
};

function leaf(kind: 'text' | 'integer' | 'uuid'): fc.Arbitrary<Leaf> {
  const value = fc.constantFrom(...VALUES[kind]);
  const made = (operators: readonly string[], operand: fc.Arbitrary<unknown>): fc.Arbitrary<Leaf> =>
    fc.record({ fact: fc.constant('fact'), operator: fc.constantFrom(...operators), value: operand });
  const plain = made(['eq', 'ne'], value);
  const listed = made(['in', 'nin'], fc.array(value, { minLength: 1, maxLength: 3 }));
  if (kind === 'uuid') {
    const own = fc.constant(new ActorAttribute('id'));
    return fc.oneof(
      plain,
      listed,
      made(['eq', 'ne'], own),
      made(['in'], fc.constant(new ActorAttribute('careTeamIds'))),
    );
  }
  return fc.oneof(plain, listed, { weight: 4, arbitrary: made(['lt', 'lte', 'gt', 'gte'], value) });
}

const truths = (leaves: readonly Leaf[], value: unknown) =>
  leaves.map(({ operator, value: operand }) => COMPARE[operator]?.(value, operandOf(operand, actor))).join(' ');

describe('representatives of a fact', () => {
  it.each(['text', 'integer', 'uuid'] as const)('stand for every value of a %s', (kind) => {
    fc.assert(
      fc.property(fc.array(leaf(kind), { minLength: 1, maxLength: 5, size: 'max' }), (leaves) => {
        const known = new Set(representatives(kind, leaves, actor).map((one) => truths(leaves, one)));
        expect(VALUES[kind].filter((value) => !known.has(truths(leaves, value)))).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('are all there are of a boolean and of a consent', () => {
    const all = (kind: FactKind) => representatives(kind, [], actor);
    expect([all('boolean'), all('consent')]).toEqual([
      [true, false],
      ['PERMIT', 'DENY', 'NONE'],
    ]);
  });
});
