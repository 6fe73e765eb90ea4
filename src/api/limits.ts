import { costLimitRule } from '@escape.tech/graphql-armor-cost-limit';
import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthRule } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesRule } from '@escape.tech/graphql-armor-max-directives';
import { GraphQLError, type ValidationContext, type ValidationRule } from 'graphql';
import { Failure } from '../kernel/failure.js';

/** How large a document may be. Tokens are counted by the parser; what a document may read at run time is bounded apart. */
export const LIMITS = { depth: 8, aliases: 15, directives: 5, tokens: 2_000, cost: 5_000 } as const;

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
