import { costLimitRule } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthRule } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesRule } from '@escape.tech/graphql-armor-max-directives';
import {
  GraphQLError,
  Kind,
  type DocumentNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';
import { Failure } from '../kernel/failure.js';

/**
 * How large a document may be. Tokens are counted by the parser; what a document may read at run time is bounded apart.
 * The cost multiplies by each literal `first`: a page of 50 patients with 50 visits of ten fields each costs 365,000.
 */
export const LIMITS = { depth: 8, aliases: 15, directives: 5, tokens: 2_000, cost: 500_000 } as const;

/** All limits answer alike: how close a document came is not told. */
export function tooCostly(): Failure {
  return new Failure(
    'QUERY_COST_EXCEEDED',
    'The document is too large.',
    'Ask for less at once; the README lists the limits.',
  );
}

function refuse(context: ValidationContext): void {
  context.reportError(new GraphQLError('The document is too large.', { originalError: tooCostly() }));
}

const refusing = {
  exposeLimits: false,
  propagateOnRejection: false,
  onReject: [(context: ValidationContext | null): void => void (context && refuse(context))],
};

const costs = new WeakMap<DocumentNode, number>();

/** The cost of a document that was validated: of its dearest operation. Null for one that never was. */
export function costOf(document: DocumentNode | undefined): number | null {
  return (document && costs.get(document)) ?? null;
}

/** The limit is applied here and not by the rule, so that the cost of a refused document is known too. */
function noteCost(context: ValidationContext | null, { n }: { n: number }): void {
  if (context === null) return;
  const document = context.getDocument();
  costs.set(document, Math.max(n, costs.get(document) ?? 0));
  if (n > LIMITS.cost) refuse(context);
}

/** Fields that check a secret or give one away. */
const SECRET_FIELDS = new Set(['signIn', 'refresh', 'satisfyChallenge', 'enrolTotp', 'confirmTotp', 'reveal']);

/**
 * One secret a document: under aliases one request would try fifteen codes or reveal fifteen values, and what counts tries counts requests too. A
 * field that a directive leaves out counts as well.
 */
const oneSecretRule: ValidationRule = (context) => ({
  OperationDefinition({ selectionSet }) {
    if (secretsIn(selectionSet, context, new Map()) > 1) refuse(context);
  },
});

/** Fragments are counted once each and in any depth; one within itself, which another rule refuses, counts as none. */
function secretsIn(set: SelectionSetNode, context: ValidationContext, known: Map<string, number>): number {
  let count = 0;
  for (const selection of set.selections) {
    if (selection.kind === Kind.FIELD) count += SECRET_FIELDS.has(selection.name.value) ? 1 : 0;
    else if (selection.kind === Kind.INLINE_FRAGMENT) count += secretsIn(selection.selectionSet, context, known);
    else count += fragmentSecrets(selection.name.value, context, known);
  }
  return count;
}

function fragmentSecrets(name: string, context: ValidationContext, known: Map<string, number>): number {
  const before = known.get(name);
  if (before !== undefined) return before;
  known.set(name, 0);
  const fragment = context.getFragment(name);
  const count = fragment ? secretsIn(fragment.selectionSet, context, known) : 0;
  known.set(name, count);
  return count;
}

/** Whatever transport a document comes by, it is validated by these beside the rules of the specification. */
export const limitRules: ValidationRule[] = [
  maxDepthRule({ n: LIMITS.depth, flattenFragments: true, ...refusing }),
  maxAliasesRule({ n: LIMITS.aliases, ...refusing }),
  maxDirectivesRule({ n: LIMITS.directives, ...refusing }),
  costLimitRule({
    maxCost: Number.MAX_VALUE,
    flattenFragments: true,
    exposeLimits: false,
    propagateOnRejection: false,
    onAccept: [noteCost],
    onReject: refusing.onReject,
  }),
  oneSecretRule,
];

/** More levels than any input of the schema may have; what reads variables calls itself once a level. */
const DEEPEST_VARIABLE = 200;

/** Refuses variables that are nested beyond reason before anything walks them. Throws QUERY_COST_EXCEEDED. */
export function refuseDeep(variables: unknown): void {
  let level: unknown[] = [variables];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEEPEST_VARIABLE) throw tooCostly();
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
  }
}
