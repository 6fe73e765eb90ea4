import 'reflect-metadata';
import cors from '@fastify/cors';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import { Readiness } from './api/readiness.js';
import { AppModule } from './app.module.js';
import { refuseUndeclared } from './api/boot-check.js';
import type { Composition } from './composition.js';
import type { Configuration } from './config/configuration.js';
import { Refusal } from './config/refusal.js';
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
const HEADERS = [
  'authorization',
  'content-type',
  'idempotency-key',
  'x-break-glass',
  'x-purpose-of-use',
  'x-reason',
  'x-request-id',
];

/** Serves the API of a composition. Refuses to listen when an operation, a field or a policy is undeclared. */
export async function serve(configuration: Configuration, composition: Composition, log: Log): Promise<RunningApi> {
  const metrics = new Metrics();
  watch(metrics, composition);
  const introspection = configuration.profile === 'trial';
  const adapter = new FastifyAdapter({ bodyLimit: LARGEST_BODY, trustProxy: false, logger: false });
  const module = AppModule.of(composition, { log, metrics, introspection });
  const application = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: new FrameworkLog(log),
    abortOnError: false,
  });
  await application.register(cors, {
    origin: originCheck(configuration.corsOrigins),
    methods: ['GET', 'POST'],
    allowedHeaders: HEADERS,
    exposedHeaders: ['x-request-id'],
    maxAge: 600,
  });
  await application.init();
  refuseUndeclared(application.get(GraphQLSchemaHost).schema, composition.policy);
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
  const address = application.getHttpServer().address();
  const port = typeof address === 'object' && address !== null ? address.port : configuration.port;
  const host = configuration.host.includes(':') ? `[${configuration.host}]` : configuration.host;
  return {
    endpoint: `http://${host}:${port}/graphql`,
    close: async () => {
      application.get(Readiness).drain();
      // A connection that was busy when the drain began is idle afterwards, and nobody else closes it for ten seconds.
      const server = application.getHttpServer();
      const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MILLISECONDS);
      await application.close().finally(() => clearInterval(sweep));
    },
  };
}

/** `localhost` in the list stands for any port of this machine. */
function originCheck(
  allowed: readonly string[],
): (origin: string | undefined, answer: (error: Error | null, allow: boolean) => void) => void {
  return (origin, answer) => {
    const local = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;
    const fits =
      origin !== undefined && (allowed.includes(origin) || (allowed.includes('localhost') && local.test(origin)));
    answer(null, fits);
  };
}

function watch(metrics: Metrics, { app, sequencer, ledger }: Composition): void {
  metrics.watchPool('app', () => app.load());
  metrics.watchPool('sequencer', () => sequencer.load());
  let health = { lagMilliseconds: 0, sizeByLog: {} as Readonly<Record<string, number>> };
  metrics.watchLedger(() => {
    void ledger.health().then(
      (now) => (health = now),
      () => undefined,
    );
    return {
      queued: ledger.writer.load().queued,
      lagSeconds: health.lagMilliseconds / 1000,
      sizes: new Map(Object.entries(health.sizeByLog)),
    };
  });
}
