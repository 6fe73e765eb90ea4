import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PoolClient } from 'pg';
import { newId } from '../../src/kernel/identifier.js';
import { factColumns, newFacts, readFacts } from '../../src/operation/row-facts.js';
import { compile } from '../../src/policy/compile.js';
import { CONSENT_STATES, type ConsentState, type Where } from '../../src/policy/condition.js';
import { readConsent, type ConsentDocument } from '../../src/policy/consent.js';
import type { Facts } from '../../src/policy/decision.js';
import { Plan } from '../../src/policy/plan.js';
import { PlannedDecision } from '../../src/policy/planned-decision.js';
import { settingOf, type Permit } from '../../src/policy/rule.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { ACTOR, CHILD, CONTEXT, FACTS, load, permit, rendered, SELF, SELF_ID, smallRegistry } from './small-policy.js';

const SCOPES = ['TREAT', 'PATADMIN'] as const;
const registry = smallRegistry();
const vocabulary = {
  purposes: new Set<string>(SCOPES),
  purposesOf: new Map(),
  networks: new Map(),
  volumeOf: new Map(),
  emergencyAccess: { hours: 4, reviewHours: 72, patientsPerHour: 5 },
};
const settings = new Map(
  registry.all().map((noun) => [noun.type, settingOf(noun, registry, new Map(), vocabulary, undefined)] as const),
);

interface RandomPermit {
  readonly type: 'Person' | 'Letter';
  readonly inherits: boolean;
  readonly where: Where | null;
  readonly consent: ConsentDocument | null;
}
interface RandomForbid {
  readonly type: 'Person' | 'Letter';
  readonly where: Where | null;
}
interface RandomRules {
  readonly permits: readonly RandomPermit[];
  readonly forbids: readonly RandomForbid[];
}

const ofPerson = fc.constantFrom<Where>({ status: 'active' }, { inTeam: true }, { isMe: true }, { inTeam: false });
const ofLetter = fc.constantFrom<Where>({ secret: false }, { 'subject.inTeam': true }, { 'subject.isMe': true });
const clause = fc
  .record({
    scope: fc.constantFrom(...SCOPES),
    effects: fc.constantFrom(['permit', 'deny'] as const, ['deny', 'deny'] as const, ['deny', 'permit'] as const),
  })
  .map(({ scope, effects: [onMissing, onDeny] }): ConsentDocument => ({ scope, onMissing, onDeny }));
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { freq: 2, nil: null });
const randomRules: fc.Arbitrary<RandomRules> = fc.record({
  permits: fc.array(
    fc.oneof(
      fc.record({
        type: fc.constant('Person' as const),
        inherits: fc.constant(false),
        where: maybe(ofPerson),
        consent: maybe(clause),
      }),
      fc.record({
        type: fc.constant('Letter' as const),
        inherits: fc.boolean(),
        where: maybe(ofLetter),
        consent: maybe(clause),
      }),
    ),
    { minLength: 1, maxLength: 5 },
  ),
  forbids: fc.array(
    fc.oneof(
      fc.record({ type: fc.constant('Person' as const), where: maybe(ofPerson) }),
      fc.record({ type: fc.constant('Letter' as const), where: maybe(ofLetter) }),
    ),
    { maxLength: 1 },
  ),
});

function decisions({ permits, forbids }: RandomRules, actor = ACTOR): Record<'Person' | 'Letter', PlannedDecision> {
  const compiled = compile(
    {
      vocabulary,
      permits: permits.map((one, index): Permit => {
        const refuse = () => {
          throw new Error('A random clause was refused.');
        };
        const setting = settings.get(one.type)!;
        return {
          id: `permit-${index}`,
          type: one.type,
          roles: new Set(['physician']),
          purposes: new Set(['TREAT']),
          actions: new Set(['read']),
          inherits: one.inherits,
          when: null,
          where: one.where,
          consent: one.consent === null ? null : readConsent(one.consent, setting, refuse),
          shows: new Map([['id', { clear: true, mask: 'M_SAME' }]]),
          writes: new Set(),
          lookup: null,
          search: null,
          limits: null,
          obligations: [],
        };
      }),
      guardrails: forbids.map((one, index) => ({
        id: `forbid-${index}`,
        actions: new Set(['read', 'read:clear']),
        where: one.where,
        fields: new Map([[one.type, null]]),
        lift: null,
        appliesTo: () => true,
      })),
    } as never,
    registry,
    'physician',
    'TREAT',
  );
  const made = (type: 'Person' | 'Letter') =>
    new PlannedDecision(new Plan(compiled, settings.get(type)!, 'read'), actor, 'TREAT');
  return { Person: made('Person'), Letter: made('Letter') };
}

/** The same in plain words: which ways lead to a row, and which of their clauses fail there. */
function judged({ permits, forbids }: RandomRules, type: 'Person' | 'Letter', facts: Facts) {
  const holds = (where: Where | null, of: Facts) =>
    Object.entries(where ?? {}).every(([name, value]) => of[name] === value);
  const person = Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]) =>
      name.startsWith('subject.') ? [[name.slice('subject.'.length), value]] : [],
    ),
  );
  const stateOf = (scope: string) => (type === 'Person' ? facts : person)[`consent.${scope}`] as ConsentState;
  const forbidden = (kind: 'Person' | 'Letter', of: Facts) =>
    forbids.some((one) => one.type === kind && holds(one.where, of));
  const ways = permits
    .filter((one) => one.type === type && holds(one.where, facts) && !forbidden(type, facts))
    .flatMap((one): (ConsentDocument | null)[][] => {
      if (!one.inherits) return [[one.consent]];
      const readers = permits.filter((reader) => reader.type === 'Person' && holds(reader.where, person));
      return forbidden('Person', person) ? [] : readers.map((reader) => [one.consent, reader.consent]);
    });
  const denies = (one: ConsentDocument | null) => one?.onDeny === 'deny' && stateOf(one.scope) === 'DENY';
  const misses = (one: ConsentDocument | null) => one?.onMissing === 'deny' && stateOf(one.scope) === 'NONE';
  const reached = ways.some((way) => !way.some((one) => denies(one) || misses(one)));
  const keptBack = reached || ways.length === 0 ? null : ways.some((way) => way.some(denies)) ? 'DENIED' : 'MISSING';
  return { reached, keptBack };
}

/** Every combination of the facts of a person, and of a letter to each. */
const people: Facts[] = ['active', 'archived'].flatMap((status) =>
  [true, false].flatMap((inTeam) =>
    [true, false].flatMap((isMe) =>
      CONSENT_STATES.flatMap((treat) =>
        CONSENT_STATES.map((admin) => {
          return { ...FACTS, status, inTeam, isMe, 'consent.TREAT': treat, 'consent.PATADMIN': admin };
        }),
      ),
    ),
  ),
);
const letters: Facts[] = people.flatMap((facts) =>
  [true, false].map((secret) => {
    const parent = Object.entries(facts).map(([name, value]) => [`subject.${name}`, value] as const);
    return { tenant: 'T-CN', secret, ...Object.fromEntries(parent) };
  }),
);
const rows = { Person: people, Letter: letters };
const TYPES = ['Person', 'Letter'] as const;

describe('a consent clause', () => {
  it('keeps back what it says, by whatever way a row is reached, and says why', () => {
    const seen = { reached: 0, DENIED: 0, MISSING: 0, never: 0 };
    fc.assert(
      fc.property(randomRules, (rules) => {
        const made = decisions(rules);
        for (const type of TYPES) {
          for (const facts of rows[type]) {
            const expected = judged(rules, type, facts);
            const actual = { reached: made[type].matches(facts), keptBack: made[type].keptBack(facts) };
            if (actual.reached !== expected.reached || actual.keptBack !== expected.keptBack) {
              throw new Error(`${JSON.stringify(facts)}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
            }
            seen[expected.reached ? 'reached' : (expected.keptBack ?? 'never')] += 1;
          }
        }
      }),
      { numRuns: 400, seed: 20261121 },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(1_000);
  });

  it('never opens by a denial or a silence what a permission leaves closed', () => {
    fc.assert(
      fc.property(randomRules, (rules) => {
        const made = decisions(rules);
        for (const type of TYPES) {
          const prefix = type === 'Person' ? '' : 'subject.';
          for (const facts of rows[type]) {
            if (!made[type].matches(facts)) continue;
            for (const scope of SCOPES) {
              expect(made[type].matches({ ...facts, [`${prefix}consent.${scope}`]: 'PERMIT' })).toBe(true);
            }
          }
        }
      }),
      { numRuns: 100, seed: 20261121 },
    );
  });

  it('lets no row through that its patient denied, unless another permit asks nothing of her', () => {
    const optOut = 'consent: { scope: TREAT, onMissing: permit, onDeny: deny }';
    const denied = { ...FACTS, inTeam: true, 'consent.TREAT': 'DENY' };
    const one = load({ person: `[${permit('asked', `${optOut}, show: { clear: [public] }`)}]` });
    expect(one.decide(ACTOR, 'TREAT', 'read', 'Person').matches(denied)).toBe(false);
    const two = load({
      person: `[${[
        permit('asked', `${optOut}, show: { clear: [public, contact] }`),
        permit('team', 'where: { inTeam: true }, show: { clear: [public] }'),
      ].join(', ')}]`,
    });
    const joined = two.decide(ACTOR, 'TREAT', 'read', 'Person');
    expect(joined.matches(denied)).toBe(true);
    expect(joined.keptBack(denied)).toBeNull();
    expect(joined.matches({ ...denied, inTeam: false })).toBe(false);
    // What the clause keeps back is kept back field by field, too.
    const phone = (facts: Facts) => joined.visibility(joined.bitsOf(facts)).fields.get('phone')?.state;
    expect([phone(denied), phone({ ...denied, 'consent.TREAT': 'NONE' })]).toEqual(['HIDDEN', 'CLEAR']);
    expect([joined.clearFor('phone'), joined.clearFor('id')]).toEqual(['sometimes', 'always']);
  });

  it('costs nothing where none takes part', () => {
    const engine = load({
      person: `[${[
        permit('asked', 'consent: { scope: TREAT, onMissing: deny, onDeny: deny }, show: { clear: [public] }'),
        permit('made', 'write: { groups: [contact] }', 'create'),
      ].join(', ')}]`,
      letter: `[${permit('free', 'show: { clear: [public] }')}]`,
    });
    for (const [action, type, aliases] of [
      ['create', 'Person', SELF],
      ['read', 'Letter', CHILD],
    ] as const) {
      const decision = engine.decide(ACTOR, 'TREAT', action, type);
      const ask = (make: 'rowPredicate' | 'butForConsentPredicate' | 'consentDeniedPredicate') =>
        rendered((bind) => decision[make](aliases, bind, CONTEXT)).text;
      expect(decision.usesConsent).toBe(false);
      expect([ask('butForConsentPredicate'), ask('consentDeniedPredicate')]).toEqual(['FALSE', 'FALSE']);
      expect(ask('rowPredicate')).not.toContain('consents');
      expect(decision.keptBack({ tenant: 'T-CN' })).toBeNull();
    }
    expect(engine.decide(ACTOR, 'TREAT', 'read', 'Person').usesConsent).toBe(true);
    expect(engine.consentScopes).toEqual(['TREAT']);
  });

  it('demands the state of every purpose in memory: a missing or an unknown one is refused', () => {
    const engine = load({
      person: `[${permit('asked', 'consent: { scope: TREAT, onMissing: permit, onDeny: deny }, show: { clear: [public] }')}]`,
    });
    const decision = engine.decide(ACTOR, 'TREAT', 'read', 'Person');
    const { 'consent.TREAT': _state, ...missing } = FACTS;
    for (const facts of [missing, { ...FACTS, 'consent.TREAT': 'permit' }, { ...FACTS, 'consent.TREAT': null }]) {
      expect(() => decision.matches(facts)).toThrow(/Person\.consent\.TREAT/);
    }
  });
});

describe('a consent clause in PostgreSQL', () => {
  let database: TestDatabase;
  let client: PoolClient;
  const ids = { Person: [] as string[], Letter: [] as string[] };

  beforeAll(async () => {
    database = await testDatabase();
    client = await database.owner.connect();
    await client.query(`
      CREATE TEMPORARY TABLE person (id uuid, tenant_id text, status text, owner uuid, teams uuid[], consents jsonb, number int);
      CREATE TEMPORARY TABLE letter
        (id uuid, tenant_id text, secret boolean, person int, person_id uuid, sent_at timestamptz, kind text);`);
    for (const [index, facts] of people.entries()) {
      const id = newId();
      ids.Person.push(id);
      const stored = SCOPES.flatMap((scope, place) => {
        const decision = facts[`consent.${scope}`];
        if (decision !== 'NONE')
          return [[scope, { decision, until: index % 2 === 0 ? null : '2026-11-21T20:00:00.001Z' }]];
        // Nothing, or something that is over since this very moment.
        return (index + place) % 2 === 0 ? [] : [[scope, { decision: 'DENY', until: '2026-11-21T20:00:00.000Z' }]];
      });
      await client.query('INSERT INTO person VALUES ($1, $2, $3, $4, $5, $6, $7)', [
        id,
        'T-CN',
        facts['status'],
        ACTOR.id,
        facts['inTeam'] === true ? ACTOR.careTeamIds : [],
        Object.fromEntries(stored),
        index,
      ]);
    }
    for (const [index, facts] of letters.entries()) {
      const id = newId();
      ids.Letter.push(id);
      await client.query('INSERT INTO letter VALUES ($1, $2, $3, $4)', [id, 'T-CN', facts['secret'], index >> 1]);
    }
  });
  afterAll(async () => {
    client?.release(true);
    await database?.close();
  });

  it('finds the facts in memory that are in the row: what is over is NONE, what cannot be read is DENY', async () => {
    const values: unknown[] = [];
    const bind = (value: unknown) => `$${values.push(value)}`;
    const actor = { ...ACTOR, patientIds: ids.Person.filter((_, index) => people[index]?.['isMe'] === true) };
    const columns = factColumns(registry.noun('Person'), SELF, actor, bind, CONTEXT, SCOPES);
    const { rows: found } = await client.query(`SELECT ${columns} FROM person s ORDER BY number`, values);
    expect(found.map((row) => readFacts(registry.noun('Person'), row))).toEqual(people);
    const odd = { TREAT: { decision: 'WITHDRAWN', until: null }, PATADMIN: { until: null } };
    const [row] = (
      await client.query(
        `SELECT ${columns} FROM (SELECT *, ${bind(odd)}::jsonb AS odd FROM person LIMIT 1) s`.replaceAll(
          's.consents',
          's.odd',
        ),
        values,
      )
    ).rows;
    const facts = readFacts(registry.noun('Person'), row);
    expect([facts['consent.TREAT'], facts['consent.PATADMIN']]).toEqual(['DENY', 'NONE']);
    const made = newFacts(registry.noun('Person'), { id: SELF_ID, teams: [] }, ACTOR, SCOPES, CONTEXT.now);
    expect(made).toMatchObject({ 'consent.TREAT': 'NONE', 'consent.PATADMIN': 'NONE', isMe: true, inTeam: false });
  });

  it('means the same, expiries included', async () => {
    const listed = ids.Person.filter((_, index) => people[index]?.['isMe'] === true);
    const actor = { ...ACTOR, patientIds: [SELF_ID, ...listed] };
    const policies = fc.sample(randomRules, { numRuns: 300, seed: 20261122 });
    const differences: string[] = [];
    for (const rules of policies) {
      for (const type of TYPES) {
        const decision = decisions(rules, actor)[type];
        const aliases = type === 'Person' ? SELF : CHILD;
        const values: unknown[] = [];
        const bind = (value: unknown) => `$${values.push(value)}`;
        const answer = await client.query<{ id: string; reached: boolean; but: boolean; denied: boolean }>(
          `SELECT s.id, ${decision.rowPredicate(aliases, bind, CONTEXT)} AS reached,
             ${decision.butForConsentPredicate(aliases, bind, CONTEXT)} AS but,
             ${decision.consentDeniedPredicate(aliases, bind, CONTEXT)} AS denied
           FROM ${type === 'Person' ? 'person s' : 'letter s JOIN person p ON p.number = s.person'}`,
          values,
        );
        const byId = new Map(answer.rows.map((row) => [row.id, row]));
        rows[type].forEach((facts, index) => {
          const row = byId.get(ids[type][index] ?? '');
          const expected = judged(rules, type, facts);
          const keptBack = row?.but === true ? (row.denied ? 'DENIED' : 'MISSING') : null;
          if (row?.reached !== expected.reached || row.but === null || keptBack !== expected.keptBack) {
            differences.push(JSON.stringify({ rules, facts, row, expected }));
          }
        });
      }
    }
    expect(differences.slice(0, 2)).toEqual([]);
  }, 60_000);
});
