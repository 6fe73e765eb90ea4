import { ArgsType, Field, Float, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import { ROLES, type Role } from '../../kernel/actor.js';
import type { AccessExplanation } from '../../operation/policy-explanation.js';
import { PROOF_KINDS, type PolicyProof, type PolicyProofState } from '../../operation/policy-proof.js';
import { ASKED_ACTIONS } from '../../operation/policy-simulation.js';
import type { PolicyAction } from '../../policy/decision.js';
import type { SimulatedField } from '../../policy/explanation.js';
import type { Finding, ProofKind } from '../../policy/proofs.js';

/** An enum of the schema whose names are those of a list. */
export function enumOf<Name extends string>(names: readonly Name[]): Record<Name, Name> {
  return Object.fromEntries(names.map((name) => [name, name])) as Record<Name, Name>;
}

export const RoleEnum = enumOf(ROLES);
registerEnumType(RoleEnum, { name: 'Role' });

export const PolicyActionEnum = enumOf(ASKED_ACTIONS);
registerEnumType(PolicyActionEnum, { name: 'PolicyAction' });

export const PolicyProofKindEnum = enumOf(PROOF_KINDS);
registerEnumType(PolicyProofKindEnum, {
  name: 'PolicyProofKind',
  description:
    'CASES: the policies load and answer as their cases say. COVERAGE: what the cases reach. MUTATION: whether a case notices ' +
    'when a rule is changed. INVARIANTS: what no role, purpose and row may ever see.',
});

const STATES: readonly PolicyProofState[] = ['WAITING', 'RUNNING', 'DONE', 'REFUSED', 'FAILED'];
export const PolicyProofStateEnum = enumOf(STATES);
registerEnumType(PolicyProofStateEnum, {
  name: 'PolicyProofState',
  description:
    'WAITING: another proof runs. RUNNING: ask again. REFUSED: the policies do not load, the findings say why. FAILED: it came ' +
    'to no end; who asks again begins it anew.',
});

@ObjectType('PolicyFinding')
export class PolicyFindingType implements Finding {
  @Field(() => String)
  text: string;

  @Field(() => String, { nullable: true })
  file: string | null;

  @Field(() => Int, { nullable: true, description: 'Counts from 1.' })
  line: number | null;

  @Field(() => String, { nullable: true, description: 'The rule that a mutant changed.' })
  rule: string | null;
}

@ObjectType('PolicyProof', { description: 'What a proof of a release counted; null where it is not DONE.' })
export class PolicyProofType implements PolicyProof {
  @Field(() => String)
  hash: string;

  @Field(() => Int)
  version: number;

  @Field(() => PolicyProofKindEnum)
  proof: ProofKind;

  @Field(() => String, { nullable: true })
  rule: string | null;

  @Field(() => PolicyProofStateEnum)
  state: PolicyProofState;

  @Field(() => Int, { nullable: true, description: 'Cases, rules or invariants that were looked at so far.' })
  done: number | null;

  @Field(() => Int, { nullable: true })
  total: number | null;

  @Field(() => Int, { nullable: true, description: 'Cases, things covered, mutants noticed, invariants that hold.' })
  passed: number | null;

  @Field(() => Int, { nullable: true })
  failed: number | null;

  @Field(() => Int, { nullable: true, description: 'Mutants that no row could tell from the original: not counted.' })
  equivalent: number | null;

  @Field(() => Int, { nullable: true, description: 'Mutants that do not load: not counted.' })
  refused: number | null;

  @Field(() => Float, { nullable: true, description: 'Share of what passed, from 0 to 1.' })
  score: number | null;

  @Field(() => Float, { description: 'The least score that holds.' })
  minimum: number;

  @Field(() => Boolean, { nullable: true })
  holds: boolean | null;

  @Field(() => [PolicyFindingType], { description: 'What failed, as many as first asks for.' })
  findings: readonly Finding[];
}

@ObjectType('SimulatedField')
export class SimulatedFieldType implements SimulatedField {
  @Field(() => String)
  purpose: string;

  @Field(() => PolicyActionEnum)
  action: PolicyAction;

  @Field(() => String)
  type: string;

  @Field(() => String, { description: '* for the type as a whole; of a writing action the fields that may be set.' })
  field: string;

  @Field(() => String, { description: 'Such as CLEAR or MASKED M_PHONE, where it depends on the row; or REFUSED.' })
  state: string;
}

@InputType('PolicyFactInput')
export class PolicyFactInput {
  @Field(() => String, { description: 'Such as inCareTeam or consent.CAREMGT.' })
  name: string;

  @Field(() => String, { description: 'Such as true, 3, DENY.' })
  value: string;
}

@ObjectType('AccessRule', { description: 'A rule that took part, and what it says of the patient.' })
class AccessRuleType {
  @Field(() => String)
  id: string;

  @Field(() => String, {
    description:
      'permitted by, not permitted by, kept back by the consent clause of, forbidden by, or not forbidden by the rule.',
  })
  verdict: string;

  @Field(() => String, { nullable: true, description: 'permit or forbid.' })
  effect: string | null;

  @Field(() => String, { nullable: true })
  file: string | null;

  @Field(() => Int, { nullable: true })
  line: number | null;

  @Field(() => String, { nullable: true, description: 'The purpose whose consent the rule asks for.' })
  consent: string | null;

  @Field(() => String, { nullable: true, description: 'permit or deny, where the patient has not decided.' })
  onMissing: string | null;

  @Field(() => String, { nullable: true, description: 'permit or deny, where the patient denied it.' })
  onDeny: string | null;
}

@ObjectType('AccessFieldState')
class AccessFieldStateType {
  @Field(() => String)
  field: string;

  @Field(() => String, { description: 'CLEAR, MASKED or HIDDEN.' })
  state: string;

  @Field(() => String, { nullable: true })
  mask: string | null;
}

@ObjectType('AccessExplanation', { description: 'What an account would see of a patient now: names, no values.' })
export class AccessExplanationType implements AccessExplanation {
  @Field(() => RoleEnum)
  role: string;

  @Field(() => String)
  purpose: string;

  @Field(() => String, { description: 'Hash of the policies in force.' })
  policy: string;

  @Field(() => Int)
  version: number;

  @Field(() => Boolean, { description: 'Whether the role may read patients for the purpose at all.' })
  allowed: boolean;

  @Field(() => Boolean)
  reached: boolean;

  @Field(() => String, { nullable: true, description: 'DENIED or MISSING, where consent alone keeps the record back.' })
  keptBack: AccessExplanation['keptBack'];

  @Field(() => [AccessRuleType])
  rules: AccessExplanation['rules'];

  @Field(() => [AccessFieldStateType], { description: 'Of a record that is reached.' })
  fields: AccessExplanation['fields'];

  @Field(() => [String], { description: 'What the account would have to give, such as stepUp.' })
  obligations: readonly string[];
}

const HASH = {
  nullable: true,
  description: 'The hash of a release, approved or not; without it the policies in force.',
} as const;

@ArgsType()
export class PolicyProofArgumentsType {
  @Field(() => String, HASH)
  hash: string | null = null;

  @Field(() => PolicyProofKindEnum)
  proof: ProofKind;

  @Field(() => String, { nullable: true, description: 'Of MUTATION: the one rule or guardrail to change.' })
  rule: string | null = null;

  @Field(() => Int, { nullable: true, description: 'Findings; 50 unless told.' })
  first: number | null = null;
}

@ArgsType()
export class PolicySimulationArgumentsType {
  @Field(() => String, HASH)
  hash: string | null = null;

  @Field(() => RoleEnum)
  role: Role;

  @Field(() => String, { nullable: true, description: "Without it each of the role's own." })
  purpose: string | null = null;

  @Field(() => PolicyActionEnum, { defaultValue: 'read' })
  action: PolicyAction;

  @Field(() => String, { nullable: true, description: 'Without it every type.' })
  type: string | null = null;
}

@ArgsType()
export class PolicyExplanationArgumentsType {
  @Field(() => String, HASH)
  hash: string | null = null;

  @Field(() => RoleEnum)
  role: Role;

  @Field(() => String)
  purpose: string;

  @Field(() => PolicyActionEnum, { defaultValue: 'read' })
  action: PolicyAction;

  @Field(() => String, { defaultValue: 'Patient' })
  type: string;

  @Field(() => [PolicyFactInput], {
    nullable: true,
    description: 'Facts of an imagined row; those that are not given are taken for no.',
  })
  facts: PolicyFactInput[] | null = null;
}

@ArgsType()
export class ExplainAccessArgumentsType {
  @Field(() => ID)
  patientId: string;

  @Field(() => ID)
  accountId: string;

  @Field(() => String)
  purpose: string;

  @Field(() => Boolean, {
    defaultValue: false,
    description: 'Whether the account asks under the emergency accesses that are open to it.',
  })
  breakGlass: boolean;
}
