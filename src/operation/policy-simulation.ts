import type { Role } from '../kernel/actor.js';
import { registry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { POLICY_ACTIONS, type PolicyAction } from '../policy/decision.js';
import { explain, factValue, simulate, type SimulatedField } from '../policy/explanation.js';
import { defineOperation } from './operation.js';
import { askedRelease, engineOf, LOOK, noteLooked, takeLook } from './policy-sources.js';

/** What can be asked about. */
export const ASKED_ACTIONS: readonly PolicyAction[] = POLICY_ACTIONS;

interface SimulationArguments {
  /** Null: the policies in force. */
  readonly hash: string | null;
  readonly role: Role;
  /** Null: each of the role's own. */
  readonly purpose: string | null;
  readonly action: PolicyAction;
  /** Null: every type. */
  readonly type: string | null;
}
interface ExplanationArguments {
  readonly hash: string | null;
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
  /** Facts of an imagined row; null: of no row. */
  readonly facts: readonly { readonly name: string; readonly value: string }[] | null;
}

/** What a role sees of every field, on all rows that there could be: asks no database. */
export const policySimulation = defineOperation<SimulationArguments, SimulatedField[]>({
  ...LOOK,
  name: 'policySimulation',
  handler: async (scope, { hash, type, ...question }) => {
    const release = await askedRelease(scope, hash);
    if (type !== null) refuseUnknown(type);
    await takeLook(scope, 'policySimulation');
    noteLooked(scope, 1);
    return simulate(engineOf(release), registry, question).filter((one) => type === null || one.type === type);
  },
});

/** Which rules, consent clauses and masks make an answer, in lines of text. */
export const policyExplanation = defineOperation<ExplanationArguments, string[]>({
  ...LOOK,
  name: 'policyExplanation',
  handler: async (scope, { hash, facts, ...question }) => {
    const release = await askedRelease(scope, hash);
    refuseUnknown(question.type);
    await takeLook(scope, 'policyExplanation');
    noteLooked(scope, 1);
    const engine = engineOf(release);
    const given = facts && Object.fromEntries(facts.map(({ name, value }) => [name, factValue(value)]));
    try {
      return explain(engine.bundle, engine, question, given);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new Failure(
        'BAD_USER_INPUT',
        'There is no such fact, or its value is of another kind.',
        'Name facts as the rules of this type do, such as inCareTeam with true.',
      );
    }
  },
});

function refuseUnknown(type: string): void {
  if (registry.all().some((noun) => noun.type === type)) return;
  throw new Failure(
    'BAD_USER_INPUT',
    'There is no such type.',
    'Name a type of the schema that has rules, such as Patient.',
  );
}
