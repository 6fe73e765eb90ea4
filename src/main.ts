import 'reflect-metadata';
import cors from '@fastify/cors';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import { refuseUndeclared } from './api/boot-check.js';
import { serveGraphiql } from './api/graphiql.js';
import { Origins } from './api/origins.js';
import { answerClientError, governEndpoint, TIME_LIMITS, type TimeLimits } from './api/protocol.js';
import { Readiness } from './api/readiness.js';
import { SubscriptionServer } from './api/subscription-server.js';
import { TrustedDocuments } from './api/trusted-documents.js';
import { AppModule } from './app.module.js';
import type { Composition } from './composition.js';
import type { Configuration } from './config/configuration.js';
import { Refusal } from './config/refusal.js';
import { readManifest } from './config/trusted-documents.js';
import type { LedgerHealth } from './ledger/ledger.js';
import { storedCounts } from './operation/key-count.js';
import { FrameworkLog } from './telemetry/framework-log.js';
import type { Log } from './telemetry/log.js';
import { Metrics } from './telemetry/metrics.js';

export interface RunningApi {
  /** Where the GraphQL endpoint is. */
  readonly endpoint: string;
  /** Takes no new requests, finishes the running ones, then lets go of the port. */
  close(): Promise<void>;
}

const LARGEST_BODY = 1024 * 1024;
const SWEEP_MILLISECONDS = 50;
/** How often connections are looked over for requests that arrive too slowly. */
const CHECK_MILLISECONDS = 1_000;
const HEADERS = [
  'authorization',
  'content-type',
  'idempotency-key',
  'x-break-glass',
  'x-purpose-of-use',
  'x-reason',
  'x-request-id',
];

/**
 * Serves the API of a composition. Refuses to listen when an operation, a field or a policy is undeclared, or a trusted
 * document does not fit the schema.
 */
export async function serve(
  configuration: Configuration,
  composition: Composition,
  log: Log,
  limits: TimeLimits = TIME_LIMITS,
): Promise<RunningApi> {
  await composition.erasures.tombstones.refuseResurrected();
  const metrics = new Metrics();
  watch(metrics, composition);
  watchPolicies(log, metrics, composition);
  composition.ledger.onLagAlarm(({ milliseconds, blockedByPid }, over) =>
    log.warn(over ? 'ledger lag over' : 'ledger lags', { milliseconds, process: blockedByPid ?? undefined }),
  );
  composition.ledger.onWitnessAlarm((_, problem) =>
    log.warn(problem === null ? 'ledger witness answers' : 'ledger witness failed'),
  );
  const production = configuration.profile === 'production';
  const origins = new Origins(configuration.corsOrigins);
  const { trustedDocuments } = configuration;
  const documents = trustedDocuments === null ? [] : readManifest(trustedDocuments);
  const trusted = new TrustedDocuments(documents, production);
  const adapter = new FastifyAdapter({
    bodyLimit: LARGEST_BODY,
    trustProxy: false,
    logger: false,
    requestTimeout: limits.request,
    connectionTimeout: limits.silence,
    http: { headersTimeout: limits.head, connectionsCheckingInterval: CHECK_MILLISECONDS },
    clientErrorHandler: answerClientError,
  });
  const module = AppModule.of(composition, { log, metrics, deployment: { production, origins, trusted } });
  const application = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: new FrameworkLog(log),
    abortOnError: false,
  });
  // With credentials for the cookie of the refresh token; an origin that is not listed gets no header at all.
  await application.register(cors, {
    origin: (origin, answer) => answer(null, origins.allows(origin)),
    credentials: true,
    methods: ['GET', 'POST', 'PUT'],
    allowedHeaders: HEADERS,
    exposedHeaders: ['content-disposition', 'retry-after', 'x-ledger-record', 'x-request-id'],
    maxAge: 600,
  });
  const server = adapter.getInstance();
  governEndpoint(server, limits, log);
  if (!production) serveGraphiql(server);
  await application.init();
  const { schema } = application.get(GraphQLSchemaHost);
  refuseUndeclared(schema, composition.policy);
  trusted.refuseStale(schema);
  const { identity, answering, turns } = composition;
  const subscriptions = new SubscriptionServer({
    schema,
    identity,
    answering,
    turns,
    metrics,
    log,
    production,
    origins,
    trusted,
  });
  subscriptions.attach(application.getHttpServer());
  try {
    await application.listen(configuration.port, configuration.host);
  } catch (error) {
    await application.close();
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new Refusal(`Port ${configuration.port} is taken: set CUSTODIA_PORT to a free one.`);
    if (code === 'EACCES')
      throw new Refusal(
        `Port ${configuration.port} may not be used by this account: set CUSTODIA_PORT to one above 1023.`,
      );
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN')
      throw new Refusal(`${configuration.host} is no address of this machine: set CUSTODIA_HOST to one that is.`);
    throw error;
  }
  await composition.jobs.start(log).catch(async (error: unknown) => {
    await application.close();
    throw error;
  });
  const address = application.getHttpServer().address();
  const port = typeof address === 'object' && address !== null ? address.port : configuration.port;
  const host = configuration.host.includes(':') ? `[${configuration.host}]` : configuration.host;
  return {
    endpoint: `http://${host}:${port}/graphql`,
    close: async () => {
      application.get(Readiness).drain();
      await subscriptions.close();
      await composition.jobs.close();
      // A connection that was busy when the drain began is idle afterwards, and nobody else closes it for ten seconds.
      const server = application.getHttpServer();
      const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MILLISECONDS);
      await application.close().finally(() => clearInterval(sweep));
    },
  };
}

function watchPolicies(log: Log, metrics: Metrics, { policy }: Composition): void {
  metrics.watchPolicies(() => ({ version: Number(policy.version), problem: policy.health.problem !== null }));
  if (policy.health.problem !== null) log.warn('policies refused', { policyHash: policy.hash });
  policy.onChange(({ hash, problem }) => {
    if (problem === null) log.info('policies changed', { policyHash: hash });
    else log.error('policies refused', { policyHash: hash });
  });
  policy.onDifference((difference) => {
    metrics.shadowDifference(difference.type, difference.action);
    log.info('policies differ in shadow', { ...difference });
  });
}

function watch(metrics: Metrics, composition: Composition): void {
  const { app, sequencer, ledger, volumes, emergencies, erasures, tenants, clock, keyAgent } = composition;
  if (keyAgent !== null) metrics.watchUnexplainedUnwraps(() => keyAgent.unexplained);
  metrics.watchErasureNotices(() => erasures.store.overdue(tenants, clock.now()));
  metrics.watchEmergencyAccesses(() => emergencies.waiting(tenants, clock.now()));
  metrics.watchSealedValues(() => storedCounts(app));
  metrics.watchBulkLimits(() => volumes.refused);
  metrics.watchPool('app', () => app.load());
  metrics.watchPool('sequencer', () => sequencer.load());
  let health: Pick<LedgerHealth, 'lagMilliseconds' | 'refusing' | 'sizeByLog' | 'witnesses'> = {
    lagMilliseconds: 0,
    refusing: false,
    sizeByLog: {},
    witnesses: [],
  };
  metrics.watchLedger(() => {
    void ledger.health().then(
      (now) => (health = now),
      () => undefined,
    );
    return {
      queued: ledger.writer.load().queued,
      lagSeconds: health.lagMilliseconds / 1000,
      refusing: health.refusing,
      sizes: new Map(Object.entries(health.sizeByLog)),
      witnesses: new Map(health.witnesses.map(({ name, time }) => [name, time])),
    };
  });
}
