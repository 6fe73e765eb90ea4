import type { RecordDraft } from '../ledger/record.js';
import type { PolicyAction } from '../policy/decision.js';
import type { Scope } from './scope.js';

/**
 * One thing that can be done, declared once: the name outsiders use, what the policy is asked, and the business rule.
 * The handler gets a scope that is bound to actor, purpose and decision; it can reach data in no other way.
 */
export interface OperationDefinition<Arguments, Result> {
  /** GraphQL root field, `Type.field` of a nested list, or the name of a command. */
  readonly name: string;
  readonly kind: RecordDraft['kind'];
  readonly action: PolicyAction;
  readonly type: string;
  /** `read` joins the document's one read record; `write` has its own record in its own statement. */
  readonly mode: 'read' | 'write';
  /**
   * What a caller hears to whom no rule of this type applies at all. `HIDDEN` is for nested fields: they are null like a
   * hidden scalar, named once in `extensions.policy.hidden`, and in the record of the document.
   */
  readonly refusal: Refusal;
  /** True for what goes on with something that a step-up allowed before: the chunks of an export, its state, its download. */
  readonly continues: boolean;
  /** True for a read with a record of its own, whatever else its document reads. */
  readonly alone: boolean;
  /** Types beside its own of which it writes rows. */
  readonly brings?: readonly string[];
  /** Members of the input that never enter the sealed details of a record: contents of files, and what others sealed. */
  readonly withheld?: readonly (keyof Arguments & string)[];
  readonly handler: (scope: Scope, input: Arguments) => Promise<Result>;
}

export type Refusal = 'FORBIDDEN' | 'NOT_FOUND' | 'HIDDEN';

export type AnyOperation = Pick<
  OperationDefinition<never, unknown>,
  'name' | 'kind' | 'action' | 'type' | 'mode' | 'alone' | 'brings' | 'withheld'
>;

const declared = new Map<string, AnyOperation>();

/** Declares an operation. A second declaration of a name stops the boot. */
export function defineOperation<Arguments, Result>(
  definition: Omit<OperationDefinition<Arguments, Result>, 'refusal' | 'continues' | 'alone'> & {
    readonly refusal?: Refusal;
    readonly continues?: boolean;
    readonly alone?: boolean;
  },
): OperationDefinition<Arguments, Result> {
  if (declared.has(definition.name)) throw new Error(`The operation ${definition.name} is declared twice.`);
  const operation = { refusal: 'FORBIDDEN' as const, continues: false, alone: false, ...definition };
  declared.set(operation.name, operation);
  return operation;
}

/** Every operation declared so far, for the boot check and the policy's closed list. */
export function declaredOperations(): ReadonlyMap<string, AnyOperation> {
  return declared;
}
