import { createSecretKey } from 'node:crypto';
import path from 'node:path';
import { MikroORM } from '@mikro-orm/postgresql';
import type { Configuration } from './config/configuration.js';
import './domain/nouns.js';
import { Identity } from './identity/identity.js';
import { registry } from './kernel/attribute.js';
import { SystemClock, type Clock } from './kernel/clock.js';
import { newId } from './kernel/identifier.js';
import { FileCheckpointStore, type CheckpointStore } from './ledger/checkpoint-store.js';
import { fileLedgerKeys } from './ledger/keys.js';
import { Ledger } from './ledger/ledger.js';
import { bareDraft } from './ledger/record.js';
import { ormOptions, POOL_SIZE } from './mikro-orm.config.js';
import { Answering } from './operation/answering.js';
import { IdempotencyStore } from './operation/idempotency.store.js';
import { LimitStore } from './operation/limit.store.js';
import { Operations } from './operation/run.js';
import { Sessions } from './operation/sessions.js';
import { Database } from './persistence/database.js';
import { tenantCodes } from './persistence/tenant.store.js';
import { PolicyEngine } from './policy/engine.js';
import { Vault } from './vault/vault.js';

export interface DatabaseLogins {
  readonly appUrl: string;
  readonly sequencerUrl: string;
}

/** Everything that runs, wired once. Whoever composes closes: last what others stand on. */
export interface Composition {
  readonly operations: Operations;
  readonly sessions: Sessions;
  readonly answering: Answering;
  readonly identity: Identity;
  readonly policy: PolicyEngine;
  readonly vault: Vault;
  readonly ledger: Ledger;
  readonly checkpoints: CheckpointStore;
  /** Codes of the tenants that exist. */
  readonly tenants: readonly string[];
  readonly clock: Clock;
  readonly app: Database;
  readonly sequencer: Database;
  close(): Promise<void>;
}

const SEQUENCER_POOL = 4;

/**
 * Wires the rooms: the API, the import and every other command stand on the same composition, so that there is one door.
 * Refuses to start on a rolled-back ledger, a wrong root key or a bad policy.
 */
export async function compose(
  configuration: Configuration,
  logins: DatabaseLogins,
  options: { clock?: Clock; policies?: string } = {},
): Promise<Composition> {
  const clock = options.clock ?? new SystemClock();
  const policy = PolicyEngine.load(options.policies ?? path.resolve('policies'), registry);
  const app = await Database.of(new MikroORM(ormOptions(logins.appUrl)), POOL_SIZE);
  const sequencer = await Database.connect(logins.sequencerUrl, {
    maximum: SEQUENCER_POOL,
    name: 'custodia sequencer',
  });
  const vault = await Vault.withFileRoot(app, configuration.keyDirectory);
  const checkpoints = new FileCheckpointStore(configuration.checkpointDirectory);
  const tenants = await tenantCodes(sequencer);
  for (const tenant of tenants) await vault.createTenantKey(tenant);
  const keys = fileLedgerKeys(configuration.keyDirectory, configuration.origin);
  const ledger = await Ledger.open({
    app,
    sequencer,
    sequencerUrl: logins.sequencerUrl,
    keys,
    store: checkpoints,
    clock,
  });
  await ledger.createLogs(['system', ...tenants]);
  await ledger.writer.append({ ...bareDraft('system', 'policy.load', 'POLICY', newId()), policy: policy.hash });
  const digest = (tenant: string, label: string, text: string) => vault.keyedDigest(tenant, label, text);
  const tokenKey = createSecretKey(digest('system', 'access-token', 'key'));
  const identity = new Identity({ database: app, clock, tokenKey, digest });
  const operations = new Operations({
    database: app,
    policy,
    vault,
    ledger: ledger.writer,
    clock,
    limits: new LimitStore(app),
    idempotency: new IdempotencyStore(app),
  });
  return {
    operations,
    sessions: new Sessions(identity, policy),
    answering: new Answering(ledger.writer, policy),
    identity,
    policy,
    vault,
    ledger,
    checkpoints,
    tenants,
    clock,
    app,
    sequencer,
    async close() {
      await identity.close();
      await ledger.close();
      await app.close();
      await sequencer.close();
    },
  };
}
