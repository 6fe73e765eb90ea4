import { costLimitRule } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthRule } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesRule } from '@escape.tech/graphql-armor-max-directives';
import { GraphQLError, type ValidationContext, type ValidationRule } from 'graphql';
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

const refuse = {
  exposeLimits: false,
  propagateOnRejection: false,
  onReject: [
    (context: ValidationContext | null): void => {
      context?.reportError(new GraphQLError('The document is too large.', { originalError: tooCostly() }));
    },
  ],
};

export const limitRules: ValidationRule[] = [
  maxDepthRule({ n: LIMITS.depth, flattenFragments: true, ...refuse }),
  maxAliasesRule({ n: LIMITS.aliases, ...refuse }),
  maxDirectivesRule({ n: LIMITS.directives, ...refuse }),
  costLimitRule({ maxCost: LIMITS.cost, flattenFragments: true, ...refuse }),
];

/** More levels than any input of the schema may have; what reads variables calls itself once a level. */
const DEEPEST_VARIABLE = 200;

/** Refuses variables that are nested beyond reason before anything walks them. Throws QUERY_COST_EXCEEDED. */
export function refuseDeep(variables: unknown): void {
  let level: unknown[] = [variables];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEEPEST_VARIABLE) {
      const originalError = tooCostly();
      throw new GraphQLError(originalError.message, { originalError, extensions: { http: { status: 400 } } });
    }
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
  }
}
