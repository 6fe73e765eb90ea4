import { ApolloServerPluginCacheControlDisabled } from '@apollo/server/plugin/disabled';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import type { FastifyRequest } from 'fastify';
import type { Answering } from '../operation/answering.js';
import { FrameworkLog } from '../telemetry/framework-log.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { documentPlugin } from './document-plugin.js';
import { formatError } from './error-format.js';
import { LIMITS, limitRules } from './limits.js';
import { withRefreshCookie } from './refresh-cookie.js';
import type { Deployment, RequestDocuments } from './request-document.js';

/** A page of another origin can send none of these without a preflight, which CORS refuses: a GET with one is no forgery. */
const PREFLIGHTED = ['authorization', 'x-purpose-of-use', 'x-apollo-operation-name', 'apollo-require-preflight'];

/**
 * Apollo's settings. One document a request, no per-field plugin (its instrumentation of every field costs more than the
 * fields), plain JSON.stringify, no landing page that loads scripts from elsewhere.
 */
export function graphqlOptions(
  documents: RequestDocuments,
  answering: Answering,
  services: { metrics: Metrics; log: Log },
  deployment: Deployment,
): ApolloDriverConfig {
  const framework = new FrameworkLog(services.log);
  return {
    driver: ApolloDriver,
    autoSchemaFile: true,
    sortSchema: true,
    path: '/graphql',
    graphiql: false,
    introspection: !deployment.production,
    transformSchema: withRefreshCookie,
    context: (request: FastifyRequest) => documents.open(request),
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      documentPlugin(answering, services.metrics, services.log, deployment),
    ],
    preserveHttpStatusForExecutionErrors: false,
    autoTransformHttpErrors: false,
    formatError,
    validationRules: limitRules,
    parseOptions: { maxTokens: LIMITS.tokens },
    hideSchemaDetailsFromClientErrors: true,
    includeStacktraceInErrorResponses: false,
    allowBatchedHttpRequests: false,
    persistedQueries: false,
    csrfPrevention: { requestHeaders: PREFLIGHTED },
    stringifyResult: JSON.stringify,
    stopOnTerminationSignals: false,
    // Apollo's own writes to the console, and quotes documents there.
    logger: {
      debug: () => framework.debug('', 'ApolloServer'),
      info: () => framework.log('', 'ApolloServer'),
      warn: () => framework.warn('', 'ApolloServer'),
      error: () => framework.error('', 'ApolloServer'),
    },
  };
}
