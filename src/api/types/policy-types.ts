import { Field, ID, InputType, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type {
  DecisionExplanation,
  ExplainedAccess,
  ExplainedLack,
  ExplainedRule,
} from '../../operation/decision-explanation.js';
import type { PolicyFile, ProposePolicyArguments } from '../../operation/policy-proposal.js';
import type { PolicyReleaseConnection } from '../../operation/policy-release.js';
import type { PolicyReleaseView } from '../../operation/policy-view.js';
import type { PolicyProblem } from '../../policy/error.js';
import { PageInfoType } from './connection-types.js';

export enum PolicyReleaseState {
  PROPOSED = 'PROPOSED',
  APPROVED = 'APPROVED',
  ACTIVE = 'ACTIVE',
  REPLACED = 'REPLACED',
  REFUSED = 'REFUSED',
  INVALID = 'INVALID',
}
registerEnumType(PolicyReleaseState, {
  name: 'PolicyReleaseState',
  description:
    'REPLACED: it was in force before. REFUSED: not stored, see its problems. INVALID: not what was signed, never in force.',
});

@InputType('PolicyFileInput')
export class PolicyFileInput implements PolicyFile {
  @Field(() => String, { description: 'Such as patient.yaml or cases/patient.yaml.' })
  name: string;

  @Field(() => String, { nullable: true, description: 'null takes the file away.' })
  text: string | null;
}

@InputType('ProposePolicyInput')
export class ProposePolicyInput implements ProposePolicyArguments {
  @Field(() => [PolicyFileInput], { description: 'What is not sent stays as it is in the release in force.' })
  files: PolicyFileInput[];

  @Field(() => String, { description: 'What the change is for; 1 to 2,000 characters.' })
  note: string;

  @Field(() => ID, { nullable: true, description: 'The satisfied challenge of an earlier STEP_UP_REQUIRED.' })
  challengeId?: string | null;
}

@ObjectType('PolicyProblem', { description: 'One thing that is wrong with proposed policies.' })
export class PolicyProblemType implements PolicyProblem {
  @Field(() => String)
  file: string;

  @Field(() => Int, { description: 'Counts from 1.' })
  line: number;

  @Field(() => String)
  message: string;
}

@ObjectType('PolicyFile')
export class PolicyFileType {
  @Field(() => String)
  name: string;

  @Field(() => String)
  text: string;
}

@ObjectType('PolicyRelease', { description: 'Policies that somebody proposed, known by the hash of what they say.' })
export class PolicyReleaseType implements PolicyReleaseView {
  @Field(() => String, { nullable: true, description: 'SHA-256, hexadecimal; null where they could not be read.' })
  hash: string | null;

  @Field(() => Int, { nullable: true })
  version: number | null;

  @Field(() => PolicyReleaseState)
  state: PolicyReleaseView['state'];

  @Field(() => String)
  note: string;

  @Field(() => String, { description: 'Account id, or system where it came with the software.' })
  author: string;

  @Field(() => String, { description: 'RFC 3339, UTC.' })
  proposedAt: string;

  @Field(() => String, { nullable: true, description: 'Account id of who approved it first.' })
  approver: string | null;

  @Field(() => String, { nullable: true })
  approvedAt: string | null;

  @Field(() => [PolicyFileType])
  files: PolicyReleaseView['files'];

  @Field(() => [PolicyProblemType])
  problems: readonly PolicyProblem[];

  @Field(() => [String], {
    description:
      'Read them before you approve: cases and invariants of the release in force that this one removes or changes.',
  })
  notices: PolicyReleaseView['notices'];
}

@ObjectType('PolicyReleaseEdge')
class PolicyReleaseEdgeType {
  @Field(() => PolicyReleaseType)
  node: PolicyReleaseView;

  @Field(() => String)
  cursor: string;
}

@ObjectType('PolicyReleaseConnection')
export class PolicyReleaseConnectionType implements PolicyReleaseConnection {
  @Field(() => [PolicyReleaseEdgeType])
  edges: PolicyReleaseConnection['edges'];

  @Field(() => PageInfoType)
  pageInfo: PolicyReleaseConnection['pageInfo'];
}

@ObjectType('ExplainedRule')
class ExplainedRuleType implements ExplainedRule {
  @Field(() => String)
  id: string;

  @Field(() => String, { nullable: true, description: 'permit or forbid; null where the release is not at hand.' })
  effect: string | null;

  @Field(() => String, { nullable: true })
  subject: string | null;

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

@ObjectType('DecisionLack')
class DecisionLackType {
  @Field(() => String, {
    description:
      'role, purpose, action, time, network, inherit (the parent row is not read), condition, consent, obligation or forbidden.',
  })
  kind: string;

  @Field(() => [String], { description: 'What the rule asks for: roles, purposes, actions, types, facts; no values.' })
  names: readonly string[];
}

@ObjectType('LackingRule', { description: 'A rule that did not allow what was refused.' })
class LackingRuleType extends ExplainedRuleType implements ExplainedLack {
  @Field(() => [DecisionLackType])
  lacks: ExplainedLack['lacks'];
}

@ObjectType('ExplainedField')
class ExplainedFieldType {
  @Field(() => String)
  field: string;

  @Field(() => String, { description: 'CLEAR, MASKED, HIDDEN, ERASED or WRITTEN.' })
  state: string;

  @Field(() => [String], { description: 'Masks that the policies of the time have for this field.' })
  masks: readonly string[];
}

@ObjectType('ExplainedAccess')
class ExplainedAccessType implements ExplainedAccess {
  @Field(() => String)
  type: string;

  @Field(() => Int)
  rows: number;

  @Field(() => [ExplainedFieldType])
  fields: ExplainedAccess['fields'];
}

@ObjectType('DecisionExplanation', { description: 'Why something was shown, hidden or refused: names, no values.' })
export class DecisionExplanationType implements DecisionExplanation {
  @Field(() => Int)
  index: number;

  @Field(() => String)
  time: string;

  @Field(() => String)
  operation: string;

  @Field(() => ID, { nullable: true, description: 'The decisionId of its document.' })
  decision: string | null;

  @Field(() => String, { nullable: true, description: 'How the session was authenticated: pwd or pwd+otp (RFC 8176).' })
  acr: string | null;

  @Field(() => [String], { description: 'Purposes whose consent the rules asked for.' })
  consents: readonly string[];

  @Field(() => [String], { description: 'What the rules demanded besides a record, such as stepUp or reason.' })
  obligations: readonly string[];

  @Field(() => String)
  outcome: string;

  @Field(() => String, { nullable: true })
  code: string | null;

  @Field(() => String, { nullable: true })
  role: string | null;

  @Field(() => String, { nullable: true })
  purpose: string | null;

  @Field(() => String, { nullable: true, description: 'Hash of the policies that decided.' })
  policy: string | null;

  @Field(() => Int, { nullable: true, description: 'Their version, where their release is stored.' })
  version: number | null;

  @Field(() => [ExplainedRuleType])
  rules: readonly ExplainedRule[];

  @Field(() => [ExplainedAccessType])
  accesses: readonly ExplainedAccess[];

  @Field(() => [LackingRuleType], {
    description: 'Of a refusal: the rules that would have allowed it, the nearest first, and what each asks for.',
  })
  lacking: readonly ExplainedLack[];

  @Field(() => [String], { description: 'What the policies of the time would not do again; empty as a rule.' })
  differences: readonly string[];
}
