import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { compose, type Composition } from '../composition.js';
import { readConfiguration, type Configuration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { loadDemo, type DemoOrganisation } from '../demo/organisation.js';
import { DEMO_TENANTS } from '../demo/people.js';
import { SystemClock } from '../kernel/clock.js';
import { assertDurability } from '../ledger/durability.js';
import { serve, type RunningApi } from '../main.js';
import { isRunning, removeCluster } from '../persistence/embedded.js';
import { ensureTenants } from '../persistence/tenant.store.js';
import { Log } from '../telemetry/log.js';
import { onInterruption, openDatabase, runCommand, type OpenDatabase } from './command.js';
import { welcome } from './welcome.js';

const usage = `Usage: npm start [-- --fresh]

  Sets everything up and runs the system until it is told to stop (Ctrl-C, SIGTERM).

  --fresh   deletes the data directory first: database, keys, ledger and checkpoints

  Settings are environment variables: CUSTODIA_PORT (4000), CUSTODIA_HOST (127.0.0.1), DATABASE_URL (the owner's URL of a
  PostgreSQL 18 of your own), and more in the README.`;

/** Deletes what an earlier run left. Refuses while a server runs on it, and with a database that is not ours to drop. */
async function startOver(configuration: Configuration): Promise<void> {
  if (configuration.databaseUrl !== null) {
    throw new Refusal(
      '--fresh works on the embedded database only: drop and create the database of DATABASE_URL yourself.',
    );
  }
  if (await isRunning(configuration.dataDirectory)) {
    throw new Refusal('The system is running on this data directory: stop it first.');
  }
  await removeCluster(configuration.dataDirectory);
  if (existsSync(configuration.dataDirectory)) rmSync(configuration.dataDirectory, { recursive: true });
}

/** The running system. What was started last is stopped first; the database goes last of all. */
class System {
  private constructor(
    private readonly log: Log,
    private readonly database: OpenDatabase,
    private readonly composition: Composition,
    private readonly api: RunningApi,
  ) {}

  static async start(configuration: Configuration, log: Log): Promise<System> {
    if (configuration.databaseUrl === null && (await isRunning(configuration.dataDirectory))) {
      throw new Refusal('The system is already running on this data directory.');
    }
    log.info('starting');
    const database = await openDatabase(configuration);
    let composition: Composition | null = null;
    try {
      if (database.embedded !== null) log.info('database started', { port: database.embedded.port });
      log.info('migrations done', { count: database.migrated.length });
      const demo = configuration.profile === 'trial';
      if (demo) await ensureTenants(database.ownerUrl, DEMO_TENANTS, new SystemClock().now());
      composition = await compose(configuration, database);
      await assertDurability(composition.app);
      log.info('policies loaded', { policyHash: composition.policy.hash });
      if (composition.policy.differs) log.warn('policies of the directory not in force');
      const api = await serve(configuration, composition, log);
      const organisation = demo ? await demoOf(configuration, composition, api, log) : null;
      log.info('ready');
      process.stdout.write(welcome(configuration, api.endpoint, organisation));
      return new System(log, database, composition, api);
    } catch (error) {
      await composition?.close();
      await database.embedded?.stop();
      throw error;
    }
  }

  /** Drains, then stops what was started, the embedded database last. */
  async stop(): Promise<void> {
    this.log.info('draining');
    await this.api.close();
    await this.composition.close();
    await this.database.embedded?.stop();
    this.log.info('stopped');
    this.log.flush();
  }
}

async function demoOf(
  configuration: Configuration,
  composition: Composition,
  api: RunningApi,
  log: Log,
): Promise<DemoOrganisation> {
  const before = existsSync(path.join(configuration.dataDirectory, 'demo.json'));
  const demo = await loadDemo(composition, configuration.dataDirectory, api.endpoint);
  if (!before) log.info('demo organisation loaded', { count: DEMO_TENANTS.length });
  return demo;
}

await runCommand({
  usage,
  options: { fresh: { type: 'boolean' } },
  async run({ values }) {
    const configuration = readConfiguration();
    if (values['fresh'] === true) await startOver(configuration);
    // Asked to stop while it starts, it finishes starting first: then there is a defined way back.
    const interrupted = new Promise<void>((resolve) => onInterruption(() => resolve()));
    const system = await System.start(configuration, new Log(configuration.logLevel));
    await interrupted;
    await system.stop();
  },
});
