import 'graphql';
import { describe, expect, it } from '@jest/globals';
import type { Role } from '../kernel/actor.js';
import { registry } from '../kernel/attribute.js';
import '../domain/nouns.js';
import { loadBundle } from './bundle.js';
import { actorOf } from './cases.js';
import { POLICY_ACTIONS } from './decision.js';
import { PolicyEngine } from './engine.js';
import { asksTime, lackingRules, networkRules, type RefusedQuestion } from './refusal.js';
import { PolicySource } from './source.js';

const source = PolicySource.directory('policies');
const bundle = loadBundle(source, registry);
const engine = PolicyEngine.of(bundle, registry);
const ASKED: RefusedQuestion = {
  ...{ role: 'nurse', purpose: 'TREAT', action: 'read', type: 'Patient', now: new Date(0) },
  ...{ code: 'FORBIDDEN', reason: false },
};

describe('what a refusal lacked', () => {
  it('is told of every question that no permit answers, and of no permit that took part as a role or a purpose', () => {
    let refused = 0;
    for (const role of ['marketer', 'nurse', 'researcher'] as Role[]) {
      for (const { type } of registry.all()) {
        for (const action of POLICY_ACTIONS) {
          const purpose = engine.purposesOf(role)[0] ?? '';
          const decision = engine.decide(actorOf(role), purpose, action, type);
          const rules = lackingRules(bundle, registry, { ...ASKED, role, purpose, action, type });
          const took = rules.filter(({ lacks }) =>
            lacks.every(({ kind }) => !['role', 'purpose', 'action'].includes(kind)),
          );
          expect(took.map(({ id }) => id).sort()).toEqual(
            decision.allowed
              ? took
                  .map(({ id }) => id)
                  .filter((id) => decision.ruleIds.includes(id))
                  .sort()
              : [],
          );
          if (!decision.allowed) refused += 1;
        }
      }
    }
    expect(refused).toBeGreaterThan(50);
  });

  it('names the care team where the row decided, and the rules of others after those that took part', () => {
    const [first] = lackingRules(bundle, registry, { ...ASKED, code: 'NO_CARE_RELATIONSHIP' });
    expect(first?.lacks.find(({ kind }) => kind === 'condition')?.names).toContain('inCareTeam');
    const child = lackingRules(bundle, registry, { ...ASKED, type: 'Diagnosis', code: 'NO_CARE_RELATIONSHIP' });
    expect(child[0]?.lacks).toContainEqual({ kind: 'inherit', names: ['Patient'] });
    expect(child[0]?.lacks.find(({ kind }) => kind === 'condition')?.names).toContain('subject.inCareTeam');
    const forbidding = child.filter(({ lacks }) => lacks.some(({ kind }) => kind === 'forbidden')).map(({ id }) => id);
    expect(forbidding).toContain('compartments-need-a-grant');
  });

  it('is the scope of the consent and nothing else where consent kept the row back', () => {
    const question: RefusedQuestion = { ...ASKED, role: 'researcher', purpose: 'HRESCH', code: 'CONSENT_REQUIRED' };
    const [first] = lackingRules(bundle, registry, question);
    expect(first?.lacks).toEqual([{ kind: 'consent', names: ['HRESCH'] }]);
    const followUp = { ...question, role: 'call_center_agent', purpose: 'CAREMGT', code: 'CONSENT_WITHDRAWN' } as const;
    const rule = (code: string) =>
      lackingRules(bundle, registry, { ...followUp, code }).find(({ id }) => id === 'patient-assigned-for-follow-up');
    expect(rule('CONSENT_WITHDRAWN')?.lacks).toEqual([{ kind: 'consent', names: ['CAREMGT'] }]);
    expect(rule('NO_CARE_RELATIONSHIP')?.lacks.map(({ kind }) => kind)).toEqual(['condition', 'consent']);
    expect(engine.decide(actorOf('researcher'), 'HRESCH', 'read', 'Patient').consents).toEqual(['HRESCH']);
  });

  it('is the second factor or the reason where a rule demands it', () => {
    const reveal = bundle.permits.find(({ actions }) => actions.has('reveal'));
    const [role, purpose] = [[...(reveal?.roles ?? [])][0] as Role, [...(reveal?.purposes ?? [])][0] ?? ''];
    const question = { ...ASKED, role, purpose, action: 'reveal', type: reveal?.type ?? '' } as const;
    const lacks = (change: Partial<RefusedQuestion>) =>
      lackingRules(bundle, registry, { ...question, ...change })[0]?.lacks ?? [];
    expect(lacks({})).toContainEqual({ kind: 'obligation', names: ['reason'] });
    expect(lacks({ reason: true }).some(({ kind }) => kind === 'obligation')).toBe(false);
    expect(lacks({ code: 'STEP_UP_REQUIRED' }).every(({ kind }) => kind === 'obligation')).toBe(true);
  });
});

it('the shipped policies ask neither when nor from where a request came', () => {
  const types = new Set(registry.all().map(({ type }) => type));
  expect(networkRules(bundle, 'nurse', 'TREAT', types)).toEqual([]);
  expect(asksTime(bundle, 'nurse', 'TREAT')).toBe(false);
});
