import { createSecretKey } from 'node:crypto';
import path from 'node:path';
import { MikroORM } from '@mikro-orm/postgresql';
import type { Configuration } from './config/configuration.js';
import { EmergencyAccessStore } from './domain/emergency-access/emergency-access.store.js';
import './domain/nouns.js';
import { Identity } from './identity/identity.js';
import { auditEvents } from './interop/fhir/audit-event.js';
import { ReminderJobs } from './jobs/appointment-reminder-jobs.js';
import { ReminderDirectory } from './jobs/appointment-reminder-sink.js';
import { EmergencyNotices } from './jobs/emergency-notices.js';
import { ErasureFollowUp } from './jobs/erasure-follow-up.js';
import { ExportJobs } from './jobs/export-jobs.js';
import { Jobs } from './jobs/jobs.js';
import { KeyReconciliation } from './jobs/key-reconciliation.js';
import { registry } from './kernel/attribute.js';
import { SystemClock, type Clock } from './kernel/clock.js';
import { newId } from './kernel/identifier.js';
import { FileCheckpointStore, type CheckpointStore } from './ledger/checkpoint-store.js';
import { fileLedgerKeys } from './ledger/keys.js';
import { Ledger } from './ledger/ledger.js';
import { LogFiles } from './ledger/log-files.js';
import { LedgerReader } from './ledger/reader.js';
import { bareDraft } from './ledger/record.js';
import { witnessSettings } from './ledger/witness-policy.js';
import { ReferenceFollower, ReferenceIndexer } from './ledger/references.js';
import { ormOptions, POOL_SIZE } from './mikro-orm.config.js';
import { AccessVolume } from './operation/access-volume.store.js';
import { Answering } from './operation/answering.js';
import { Details } from './operation/details.js';
import { ExportFiles } from './operation/export-file.js';
import { ErasureStore } from './operation/erasure.store.js';
import { ExportStore } from './operation/export.store.js';
import { Exports } from './operation/exports.js';
import { IdempotencyStore } from './operation/idempotency.store.js';
import { LimitStore } from './operation/limit.store.js';
import { Notices } from './operation/notices.js';
import { storeShipped } from './operation/policy-install.js';
import { Operations } from './operation/run.js';
import { SealedContents } from './operation/sealed-content.js';
import { SubjectErasures } from './operation/subject-erasure.js';
import { Tombstones } from './operation/tombstones.js';
import { Sessions } from './operation/sessions.js';
import { FileBlobStore } from './persistence/blob-store.js';
import { Turns } from './operation/turn.js';
import { Database } from './persistence/database.js';
import { TombstoneStore } from './persistence/tombstone-store.js';
import { tenantCodes } from './persistence/tenant.store.js';
import { PolicyEngine } from './policy/engine.js';
import { Policies } from './policy/policies.js';
import { PolicyKey } from './policy/policy-key.js';
import { ProofDesk } from './policy/proof-desk.js';
import { ReleaseLoader } from './policy/release-loader.js';
import { ReleaseStore } from './policy/release.store.js';
import { PolicySource } from './policy/source.js';
import { AgentClient } from './vault/agent-client.js';
import { Vault } from './vault/vault.js';

export interface CompositionOptions {
  readonly clock?: Clock;
  /** A directory of policies to decide by, in place of the releases of the database. */
  readonly policies?: string;
  /** Whether the shipped policies decide where no stored release fits: for commands that put another one in force. */
  readonly stopgap?: boolean;
}

export interface DatabaseLogins {
  readonly appUrl: string;
  readonly sequencerUrl: string;
  /** Reads the whole ledger, for the reports that patients ask for. */
  readonly auditorUrl: string;
}

/** Everything that runs, wired once. Whoever composes closes: last what others stand on. */
export interface Composition {
  readonly operations: Operations;
  readonly sessions: Sessions;
  readonly answering: Answering;
  readonly identity: Identity;
  readonly policy: Policies;
  readonly volumes: AccessVolume;
  readonly vault: Vault;
  readonly ledger: Ledger;
  readonly checkpoints: CheckpointStore;
  readonly ledgerReader: LedgerReader;
  readonly exports: Exports;
  readonly emergencies: EmergencyAccessStore;
  readonly erasures: SubjectErasures;
  /** Null where the root key is in a file. */
  readonly keyAgent: KeyReconciliation | null;
  /** Not started. */
  readonly jobs: Jobs;
  /** Listens from the first subscription on. */
  readonly notices: Notices;
  readonly turns: Turns;
  /** Codes of the tenants that exist. */
  readonly tenants: readonly string[];
  readonly clock: Clock;
  readonly app: Database;
  readonly sequencer: Database;
  close(): Promise<void>;
}

const SEQUENCER_POOL = 4;
const AUDITOR_POOL = 2;
/** How long a report waits for the newest entries to be sequenced. */
const DRAIN_MILLISECONDS = 5_000;
/** How long a command may check a proposal, which may be all files at once. */
const COMMAND_CHECK = 900_000;

/**
 * Wires the rooms: the API, the import and every other command stand on the same composition, so that there is one door.
 * Refuses to start on a rolled-back ledger, a wrong root key or a bad policy.
 */
export async function compose(
  configuration: Configuration,
  logins: DatabaseLogins,
  options: CompositionOptions = {},
): Promise<Composition> {
  const clock = options.clock ?? new SystemClock();
  const app = await Database.of(new MikroORM(ormOptions(logins.appUrl)), POOL_SIZE);
  const sequencer = await Database.connect(logins.sequencerUrl, {
    maximum: SEQUENCER_POOL,
    name: 'custodia sequencer',
  });
  const auditor = await Database.connect(logins.auditorUrl, { maximum: AUDITOR_POOL, name: 'custodia auditor' });
  const policy = await openPolicies(configuration, app, options);
  const { keyAgent } = configuration;
  const agent = keyAgent === null ? null : AgentClient.of(keyAgent);
  const vault =
    agent === null ? await Vault.withFileRoot(app, configuration.keyDirectory) : await Vault.withAgent(app, agent);
  const blobs = await FileBlobStore.open(configuration.blobDirectory, clock);
  const checkpoints = new FileCheckpointStore(configuration.checkpointDirectory);
  const tenants = await tenantCodes(sequencer);
  for (const tenant of tenants) await vault.createTenantKey(tenant);
  vault.start();
  const keys = fileLedgerKeys(configuration.keyDirectory, configuration.origin, await checkpoints.incarnation());
  const ledger = await Ledger.open({
    app,
    sequencer,
    sequencerUrl: logins.sequencerUrl,
    keys,
    store: checkpoints,
    clock,
    witnesses: witnessSettings(configuration),
    lagLimit: configuration.ledgerLagLimit,
  });
  await ledger.createLogs(['system', ...tenants]);
  if (policy.unsettled === 'install') await storeShipped(policy, app, ledger.writer, clock);
  const recordLoad = (hash: string, logs: readonly string[]) =>
    Promise.all(
      logs.map((log) => ledger.writer.append({ ...bareDraft(log, 'policy.load', 'POLICY', newId()), policy: hash })),
    );
  await recordLoad(policy.hash, ['system']);
  // A change concerns every tenant, whoever made it.
  policy.start((hash) => recordLoad(hash, ['system', ...tenants]));
  const digest = (tenant: string, label: string, text: string) => vault.keyedDigest(tenant, label, text);
  const tokenKey = createSecretKey(digest('system', 'access-token', 'key'));
  const sealing = {
    seal: (label: string, context: string, payload: string) => vault.sealToken(label, context, payload),
    open: (label: string, context: string, token: string) => vault.openToken(label, context, token),
  };
  const identity = new Identity({ database: app, clock, tokenKey, digest, sealing });
  const details = new Details(vault);
  const files = new LogFiles(auditor, checkpoints, keys, configuration.archiveDirectory);
  const volumes = new AccessVolume(app);
  const ledgerReader = new LedgerReader(auditor, () => ledger.sequencer.drain(DRAIN_MILLISECONDS), files);
  const exports = new Exports(
    new ExportStore(app),
    new ExportFiles(path.join(configuration.dataDirectory, 'exports'), vault),
  );
  const erasures = new SubjectErasures({
    ...{ database: app, vault, blobs, ledgerReader, keys, exports },
    tombstones: new Tombstones(
      { keys, incarnation: await checkpoints.incarnation() },
      new TombstoneStore(configuration.tombstoneDirectory),
      new ErasureStore(app),
    ),
  });
  // A command waits for nobody else's answer.
  const proofs = new ProofDesk(registry, options.stopgap === true ? { check: COMMAND_CHECK } : {});
  const operations = new Operations({
    database: app,
    policies: policy,
    policyTenants: configuration.policyTenants,
    proofs,
    vault,
    ledger: ledger.writer,
    clock,
    limits: new LimitStore(app),
    volumes,
    idempotency: new IdempotencyStore(app),
    challenges: identity.challenges,
    files,
    contents: new SealedContents(vault, blobs, configuration.largestAttachment),
    details,
    erasures,
    ledgerReader,
    auditEvents: (entry) => auditEvents(entry, configuration.origin),
  });
  const references = new ReferenceFollower(new ReferenceIndexer(sequencer, files), () => ledger.sequencer.leader);
  references.start();
  const work = { operations, identity, exports, ledger: ledger.writer, vault, details, clock, tenants };
  const notices = new Notices(logins.appUrl);
  const answering = new Answering(ledger.writer, details);
  const outbox = new ReminderDirectory(path.join(configuration.dataDirectory, 'outbox', 'reminders'));
  const emergencies = new EmergencyAccessStore(app);
  const emergencyOutbox = new ReminderDirectory(path.join(configuration.dataDirectory, 'outbox', 'emergency'));
  const notifier = new EmergencyNotices(emergencies, emergencyOutbox, clock, tenants);
  const reminders = new ReminderJobs({ operations, answering, identity, vault, clock, tenants }, outbox);
  const reconciled = path.join(configuration.dataDirectory, 'key-reconciliation.json');
  const reconciliation =
    agent === null
      ? null
      : new KeyReconciliation({ agent, reader: ledgerReader, ledger: ledger.writer, clock, tenants }, reconciled);
  return {
    operations,
    sessions: new Sessions(identity, policy),
    answering,
    identity,
    policy,
    volumes,
    vault,
    ledger,
    checkpoints,
    ledgerReader,
    exports,
    emergencies,
    erasures,
    keyAgent: reconciliation,
    jobs: new Jobs(
      logins.appUrl,
      [new ExportJobs(work), reminders, notifier, new ErasureFollowUp(erasures, tenants), reconciliation].filter(
        (part) => part !== null,
      ),
    ),
    notices,
    turns: new Turns(app, clock),
    tenants,
    clock,
    app,
    sequencer,
    async close() {
      await reconciliation?.stop();
      vault.stop();
      await policy.stop();
      await proofs.close();
      await notices.close();
      await identity.close();
      await references.stop();
      await ledger.close();
      await app.close();
      await sequencer.close();
      await auditor.close();
      agent?.close();
    },
  };
}

/** The policies of a directory where one is named, else what the releases in the database say. */
export async function openPolicies(
  { checkpointDirectory, keyDirectory, profile }: Configuration,
  app: Database,
  { policies, stopgap = false }: CompositionOptions,
): Promise<Policies> {
  const shipped = PolicySource.directory(policies ?? path.resolve('policies'));
  if (policies !== undefined) return Policies.of(PolicyEngine.load(shipped, registry));
  const store = new ReleaseStore(app);
  const { releases } = await store.counted();
  return Policies.open(
    new ReleaseLoader({
      store,
      key: PolicyKey.open(keyDirectory, releases === 0),
      registry,
      shipped,
      head: path.join(checkpointDirectory, 'policy-head.json'),
      adopts: profile === 'trial',
      stopgap,
    }),
  );
}
