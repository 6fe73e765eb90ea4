import { Refusal } from '../config/refusal.js';
import { ROLES, type Role } from '../kernel/actor.js';
import { registry } from '../kernel/attribute.js';
import { loadBundle } from '../policy/bundle.js';
import { POLICY_ACTIONS, type Facts, type PolicyAction } from '../policy/decision.js';
import { PolicyEngine } from '../policy/engine.js';
import * as explanation from '../policy/explanation.js';
import type { CommandInput } from './command.js';
import { directoryOption, print, sourceOf, type Verb } from './policy-verb.js';

const questionOptions = {
  ...directoryOption,
  role: { type: 'string' },
  purpose: { type: 'string' },
  action: { type: 'string' },
} as const;

export const explain: Verb = {
  usage: `npm run policy -- explain --role R --purpose P [--type Patient] [--action read] [--facts k=v,...] [--directory D]

  which rules, consent clauses and masks make the answer; with facts of a row, such as inCareTeam=true,consent.HRESCH=DENY,
  what becomes of that row; facts that are not given are taken for no`,
  options: { ...questionOptions, type: { type: 'string' }, facts: { type: 'string' } },
  run(input: CommandInput): boolean {
    const { role, action } = question(input);
    const purpose = input.values['purpose'];
    if (typeof purpose !== 'string') throw new Refusal('--purpose is missing.', 2);
    const type = String(input.values['type'] ?? 'Patient');
    if (!registry.all().some((noun) => noun.type === type)) throw new Refusal(`There is no type ${type}.`, 2);
    const bundle = loadBundle(sourceOf(input), registry);
    const engine = PolicyEngine.of(bundle, registry);
    try {
      const lines = explanation.explain(
        bundle,
        engine,
        { role, purpose, action, type },
        factsOf(input.values['facts']),
      );
      for (const line of lines) print(line);
      return true;
    } catch (error) {
      if (error instanceof RangeError) throw new Refusal(error.message, 2);
      throw error;
    }
  },
};

export const simulate: Verb = {
  usage: `npm run policy -- simulate --role R [--purpose P] [--action read] [--directory D]

  what the role sees of every field, for one purpose or all of its own; several states stand where it depends on the row`,
  options: questionOptions,
  run(input: CommandInput): boolean {
    const { role, action } = question(input);
    const engine = PolicyEngine.load(sourceOf(input), registry, { lazy: true });
    const stated = input.values['purpose'];
    const purpose = typeof stated === 'string' ? stated : null;
    for (const one of explanation.simulate(engine, registry, { role, purpose, action })) {
      const field = `${one.type}.${one.field}`;
      print([one.purpose.padEnd(9), action.padEnd(8), field.padEnd(40), one.state].join(' '));
    }
    return true;
  },
};

function question({ values }: CommandInput): { role: Role; action: PolicyAction } {
  const role = values['role'];
  const action = values['action'] ?? 'read';
  if (!(ROLES as readonly unknown[]).includes(role)) throw new Refusal(`--role is one of ${ROLES.join(', ')}.`, 2);
  if (!(POLICY_ACTIONS as readonly unknown[]).includes(action)) {
    throw new Refusal(`--action is one of ${POLICY_ACTIONS.join(', ')}.`, 2);
  }
  return { role: role as Role, action: action as PolicyAction };
}

/** `inCareTeam=true,score=3,status=active` as values. */
function factsOf(text: string | boolean | undefined): Facts | null {
  if (typeof text !== 'string') return null;
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new Refusal('--facts is a list such as inCareTeam=true,compartment=HIV.', 2);
      return [pair.slice(0, at).trim(), explanation.factValue(pair.slice(at + 1).trim())];
    }),
  );
}
