import fc from 'fast-check';
import type { Actor } from '../../src/kernel/actor.js';
import type { FactDeclaration } from '../../src/kernel/attribute.js';
import { bindPlaceholders, CONSENT_STATES, kindOf, type Where } from '../../src/policy/condition.js';
import type { CaslRule } from '../../src/policy/matcher.js';

const IDS = [
  '01900000-0000-7000-8000-00000000000a',
  '01900000-0000-7000-8000-00000000000b',
  '01900000-0000-7000-8000-00000000000c',
] as const;
/** Texts on which byte order, UTF-16 order and dictionary order differ, and texts that quoting gets wrong. */
const TEXTS = ['', 'a', 'B', 'b', 'é', 'z', "O'Neil", '%', '\\', '{}', '\uffee', '\u{1f600}', 'T-CN'] as const;
export const FIELDS = ['f0', 'f1', 'f2', 'f3'] as const;

export const ACTOR: Actor = {
  id: IDS[0],
  tenant: 'T-CN',
  role: 'physician',
  sessionId: IDS[1],
  reference: '0'.repeat(32),
  careTeamIds: [IDS[0], IDS[1]],
  patientIds: [IDS[1], IDS[2]],
  emergencyPatientIds: [IDS[0]],
  compartmentGrants: [
    `${IDS[0]}:a`,
    `${IDS[1]}:B`,
    `${IDS[1]}:b`,
    `${IDS[2]}:`,
    `${IDS[2]}:O'Neil`,
    `${IDS[0]}:b:${IDS[0]}`,
  ],
  factorMissing: false,
  country: 'CN',
  timeZone: 'Asia/Shanghai',
};

export const NOW = new Date('2026-11-21T04:00:00Z');
/** Purposes of which one is the beginning of the other. */
export const SCOPES = ['CAREMGT', 'CAREMGT.EDU'] as const;

/** Facts of every source; unlike those of real nouns, the columns may be null. */
export const FACTS: readonly FactDeclaration[] = [
  { name: 'label', source: 'column', column: 'label', kind: 'text' },
  { name: 'note', source: 'column', column: 'note', kind: 'text' },
  { name: 'score', source: 'column', column: 'score', kind: 'integer' },
  { name: 'flag', source: 'column', column: 'flag', kind: 'boolean' },
  { name: 'owner', source: 'column', column: 'owner', kind: 'uuid' },
  { name: 'isListed', source: 'listed', column: 'owner', actorAttribute: 'patientIds' },
  { name: 'isOpen', source: 'listed', column: 'owner', actorAttribute: 'emergencyPatientIds' },
  {
    name: 'isGranted',
    source: 'granted',
    patient: 'owner',
    column: 'label',
    visit: 'owner',
    actorAttribute: 'compartmentGrants',
  },
  { name: 'consent', source: 'consent', column: 'consents' },
  { name: 'inTeam', source: 'overlap', column: 'teams', actorAttribute: 'careTeamIds' },
  {
    name: 'comesToday',
    source: 'today',
    table: 'child',
    foreignKey: 'parent_id',
    column: 'start_at',
    only: { column: 'label', equals: 'open' },
  },
];

/** The names by which a condition asks for a fact: a consent by each purpose. */
const NAMED = FACTS.flatMap((fact): { fact: FactDeclaration; name: string }[] =>
  fact.source === 'consent'
    ? SCOPES.map((scope) => ({ fact, name: `${fact.name}.${scope}` }))
    : [{ fact, name: fact.name }],
);

/** As the consents of a patient are stored. */
export interface StoredConsent {
  readonly decision: string;
  readonly until: string | null;
  readonly at: string;
}

export interface RandomRow {
  readonly consents: Readonly<Partial<Record<string, StoredConsent>>>;
  readonly label: string | null;
  readonly note: string | null;
  readonly score: number | null;
  readonly flag: boolean | null;
  readonly owner: string | null;
  readonly teams: readonly string[] | null;
  /** Hours between now and the start of each child; an odd number of hours makes it one that does not count. */
  readonly children: readonly number[];
}

const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 3, nil: null });
const text = fc.constantFrom(...TEXTS);
const integer = fc.integer({ min: -3, max: 3 });
const uuid = fc.constantFrom(...IDS);

/** Decisions without an end, with one that is over, that comes, and that is this very millisecond. */
const consent = fc.record({
  decision: fc.constantFrom('PERMIT', 'PERMIT', 'DENY', 'DENY', 'WITHDRAWN'),
  until: fc.option(
    fc.constantFrom(-31_536_000_000, -1, 0, 1, 31_536_000_000).map((by) => new Date(NOW.getTime() + by).toISOString()),
    { nil: null },
  ),
  at: fc.constant('2026-01-01T00:00:00.000Z'),
});

export const randomRow: fc.Arbitrary<RandomRow> = fc.record({
  consents: fc.dictionary(fc.constantFrom(...SCOPES, 'HRESCH'), consent, { maxKeys: 3 }),
  label: nullable(text),
  note: nullable(text),
  score: nullable(integer),
  flag: nullable(fc.boolean()),
  owner: nullable(uuid),
  teams: nullable(fc.uniqueArray(uuid, { maxLength: 2 })),
  children: fc.array(fc.integer({ min: -40, max: 40 }), { maxLength: 2 }),
});

const operands = {
  text,
  integer,
  boolean: fc.boolean(),
  uuid,
  consent: fc.constantFrom(...CONSENT_STATES),
} as const;
const placeholder = { text: '$user.tenant', integer: null, boolean: null, uuid: '$user.id', consent: null } as const;

function comparisonOf(fact: FactDeclaration, stock: boolean): fc.Arbitrary<unknown> {
  const kind = kindOf(fact);
  const value = operands[kind] as fc.Arbitrary<unknown>;
  const bound = placeholder[kind];
  const equal = stock || bound === null ? value : fc.oneof({ weight: 4, arbitrary: value }, fc.constant(bound));
  const one = nullable(equal);
  const list = fc.array(nullable(value), { maxLength: 3 });
  const lists =
    kind === 'uuid' && !stock
      ? fc.oneof({ weight: 3, arbitrary: list as fc.Arbitrary<unknown> }, fc.constant('$user.careTeamIds'))
      : list;
  const operators: Record<string, fc.Arbitrary<unknown>> = {
    $eq: one,
    $ne: one,
    $in: lists,
    $nin: lists,
    $exists: fc.boolean(),
  };
  if (kind === 'text' || kind === 'integer')
    Object.assign(operators, { $lt: value, $lte: value, $gt: value, $gte: value });
  const single = fc
    .constantFrom(...Object.keys(operators))
    .chain((name) => (operators[name] as fc.Arbitrary<unknown>).map((operand) => ({ [name]: operand })));
  return fc.oneof(
    { weight: 5, arbitrary: single as fc.Arbitrary<unknown> },
    fc.tuple(single, single).map(([left, right]) => ({ ...left, ...right })),
    equal,
  );
}

function wheres(stock: boolean): fc.Arbitrary<Where> {
  const facts = stock ? NAMED.filter(({ fact }) => fact.source === 'column') : NAMED;
  const leaf = fc
    .uniqueArray(fc.constantFrom(...facts), { minLength: 0, maxLength: 2 })
    .chain((chosen) =>
      fc.tuple(...chosen.map(({ fact, name }) => comparisonOf(fact, stock).map((value) => [name, value] as const))),
    )
    .map((entries) => Object.fromEntries(entries) as Where);
  if (stock) return leaf;
  const { node } = fc.letrec<{ node: Where }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      { weight: 2, arbitrary: leaf },
      {
        weight: 3,
        arbitrary: fc
          .tuple(fc.constantFrom('$and', '$or', '$nor'), fc.array(tie('node'), { minLength: 1, maxLength: 3 }), leaf)
          .map(([connective, members, beside]) => ({ ...beside, [connective]: members })),
      },
    ),
  }));
  return node;
}

/** Permits and forbids, with and without fields and conditions, in any order. */
export function randomPolicy(options: { stock: boolean }): fc.Arbitrary<CaslRule[]> {
  const rule = fc
    .record({
      inverted: fc.boolean(),
      fields: fc.option(fc.uniqueArray(fc.constantFrom(...FIELDS), { minLength: 1 }), { nil: undefined }),
      where: fc.option(wheres(options.stock), { freq: 5, nil: undefined }),
    })
    .map(({ inverted, fields, where }): CaslRule => ({
      action: 'read',
      subject: 'Thing',
      inverted,
      ...(fields === undefined ? {} : { fields: [...fields] }),
      ...(where === undefined ? {} : { conditions: bindPlaceholders(where) as never }),
    }));
  return fc.array(rule, { minLength: 1, maxLength: 5 });
}
